//! Names that are taken, or make no variant.

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Counter {
    #[tell]
    fn add_one(&mut self) {}

    #[tell]
    fn add__one(&mut self) {}

    #[tell]
    fn stop(&mut self) {}

    #[ask]
    fn clone(&self) -> u64 {
        0
    }

    #[tell]
    fn _1(&mut self) {}

    #[ask]
    fn get(&self, reply: u64) -> u64 {
        reply
    }
}

fn main() {}

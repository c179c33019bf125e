//! A method that is two things at once.

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Counter {
    #[tell]
    #[ask]
    fn add(&mut self, _n: u64) {}
}

fn main() {}

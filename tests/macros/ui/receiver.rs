//! Methods that take the actor away, or do without it.

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Counter {
    #[tell]
    fn consume(self) {}

    #[tell]
    fn consume_box(self: Box<Self>) {}

    #[ask]
    fn zero() -> u64 {
        0
    }
}

fn main() {}

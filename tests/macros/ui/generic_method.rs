//! Methods for more than one type of message.

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Counter {
    #[tell]
    fn add<N: Into<u64>>(&mut self, _n: N) {}

    #[tell]
    fn name<'a>(&mut self, _name: String) {}

    #[tell]
    fn sometimes(&mut self)
    where
        Vec<u8>: Clone,
    {
    }

    #[tell]
    unsafe fn dangerous(&mut self) {}
}

fn main() {}

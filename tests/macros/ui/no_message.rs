//! Methods, but none of them marked.

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Counter {
    fn add(&mut self, _n: u64) {}
}

fn main() {}

//! The attribute on what it writes itself.

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Actor for Counter {
    type Msg = u64;
}

fn main() {}

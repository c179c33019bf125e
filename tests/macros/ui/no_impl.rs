//! The attribute on something else.

use omnitron::prelude::*;

#[actor]
struct Counter;

fn main() {}

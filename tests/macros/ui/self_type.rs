//! An actor without a name.

use omnitron::prelude::*;

#[actor]
impl (u8, u8) {
    #[tell]
    fn add(&mut self) {}
}

fn main() {}

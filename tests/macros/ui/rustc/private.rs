//! A public actor with private methods: its messages have to be as visible as it is.

use omnitron::prelude::*;

pub struct Public;

#[actor]
impl Public {
    #[tell]
    fn private(&mut self) {}
}

fn main() {}

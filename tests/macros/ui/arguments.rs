//! Arguments without a name of their own, or without a place in the message.

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Counter {
    #[tell]
    fn shift(&mut self, (_x, _y): (u32, u32)) {}

    #[tell]
    fn ignore(&mut self, _: u32) {}

    #[tell]
    fn sometimes(&mut self, #[cfg(test)] _n: u32) {}

    #[tell]
    fn twice(&mut self, _ctx: &mut Context<Self>, _again: &mut Context<Self>) {}
}

fn main() {}

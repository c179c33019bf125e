//! Hooks that `Actor` does not have.

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Counter {
    #[tell]
    fn add(&mut self, _n: u64) {}

    #[hook]
    async fn start(&mut self, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }

    #[hook]
    async fn receive(&mut self, _msg: CounterMsg, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }

    #[hook]
    fn stopped(&mut self, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}

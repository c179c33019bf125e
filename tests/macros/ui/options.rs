//! Options that are not there, and marks with options they do not have.

use omnitron::prelude::*;

struct Unknown;

#[actor(name = "unknown")]
impl Unknown {
    #[tell]
    fn add(&mut self) {}
}

struct Twice;

#[actor(msg = A, msg = B)]
impl Twice {
    #[tell]
    fn add(&mut self) {}
}

struct Private;

#[actor(vis = private)]
impl Private {
    #[tell]
    fn add(&mut self) {}
}

struct Marks;

#[actor]
impl Marks {
    #[tell(fail)]
    fn add(&mut self) {}

    #[ask(failing)]
    fn get(&self) -> u64 {
        0
    }

    #[hook(started)]
    async fn started(&mut self, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}

//! Values that nobody waits for, and results without their types.

use omnitron::prelude::*;

struct Counter;

type Outcome = std::io::Result<()>;

#[actor]
impl Counter {
    #[tell]
    fn get(&self) -> u64 {
        0
    }

    #[tell]
    fn take(&mut self) -> Result<u64, Failure> {
        Ok(0)
    }

    #[tell]
    fn alias(&mut self) -> Outcome {
        Ok(())
    }

    #[tell]
    fn short(&mut self) -> std::fmt::Result {
        Ok(())
    }

    #[ask]
    fn read(&self) -> std::io::Result<u64> {
        Ok(0)
    }

    #[ask(fail)]
    fn infallible(&self) -> u64 {
        0
    }

    #[ask(fail)]
    fn nothing(&self) {}

    #[ask]
    fn name(&self) -> &str {
        ""
    }

    #[ask]
    fn all(&self) -> impl Iterator<Item = u64> {
        [].into_iter()
    }
}

fn main() {}

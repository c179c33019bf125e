//! What only rustc can know: it says so at what the method returns.

use omnitron::prelude::*;

struct NotAnError;

struct Counter;

#[actor]
impl Counter {
    #[tell]
    fn fail(&mut self) -> Result<(), NotAnError> {
        Err(NotAnError)
    }
}

fn main() {}

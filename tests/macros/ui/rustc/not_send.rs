//! What only rustc can know: it says so at the type.

use std::rc::Rc;

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Counter {
    #[tell]
    fn share(&mut self, _n: Rc<u64>) {}
}

fn main() {}

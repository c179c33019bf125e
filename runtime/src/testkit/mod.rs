//! How are actors tested?
//!
//! [`Sim`] runs a whole system in one thread under virtual time, in an order that its seed alone decides. A [`Probe`]
//! stands in for an actor and shows what it was sent. A [`Single`] is one actor stepped by hand.

mod probe;
pub(crate) mod sim;
mod single;

pub use self::probe::Probe;
pub use self::sim::{Sim, t0};
pub use self::single::Single;
pub use crate::fence::{MemoryLeases, check_lease_store};

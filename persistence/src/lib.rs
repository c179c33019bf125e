//! Actors that survive a crash: events, the journal they lie in, and how state comes back from it.

mod id;
mod recorded;

pub mod backend;
pub mod conformance;
pub mod disk;
pub mod snapshot;

pub use id::{Epoch, InvalidId, Ordinal, PersistenceId, Sequence, Slice, Slices};
pub use recorded::{NewEvent, Recorded};

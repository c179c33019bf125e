//! Actors that survive a crash: events, the journal they lie in, and how state comes back from it.

pub mod backend;
pub mod conformance;
pub mod disk;
pub mod event;
pub mod evolve;
mod id;
mod recorded;
pub mod schema_file;
pub mod snapshot;
mod timestamp;

pub use id::{Epoch, InvalidId, Ordinal, PersistenceId, Sequence, Slice, Slices};
pub use omnitron_persistence_macros::{Event, Schema};
pub use recorded::{NewEvent, Recorded};

pub use self::event::{
    __event, DecodeError, EncodeError, Encoded, Event, EventType, Fingerprint, Schema, Stored,
};
pub use self::schema_file::SchemaFile;
pub use self::timestamp::Timestamp;

//! Actors that survive a crash: events, the journal they lie in, and how state comes back from it.

pub mod event;
pub mod evolve;
pub mod schema_file;
mod timestamp;

pub use omnitron_persistence_macros::{Event, Schema};

pub use self::event::{
    __event, DecodeError, EncodeError, Encoded, Event, EventType, Fingerprint, Schema, Stored,
};
pub use self::schema_file::SchemaFile;
pub use self::timestamp::Timestamp;

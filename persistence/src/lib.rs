//! Actors that survive a crash: events, the journal they lie in, and how state comes back from it.

mod event;
pub mod evolve;
mod schema_file;
mod timestamp;

pub use omnitron_persistence_macros::{Event, Schema};

pub use self::event::{
    __event, DecodeError, EncodeError, Encoded, Event, EventType, FORMAT, Fault, Fingerprint,
    MAX_EVENT_BYTES, MAX_EVENT_DEPTH, NoFingerprint, Reason, Schema, Shape, Stored, WrongFormat,
    check_format,
};
pub use self::schema_file::{Difference, Malformed, SchemaError, SchemaFile, UPDATE};
pub use self::timestamp::Timestamp;

//! Actors that survive a crash: events, the journal they lie in, and how state comes back from it.

mod active;
pub mod backend;
mod cause;
pub mod conformance;
pub mod disk;
mod durable_state;
mod effect;
mod entity;
mod error;
pub mod event;
mod event_sourced;
pub mod evolve;
mod feed;
mod flow;
mod forget;
mod gateway;
mod id;
mod intake;
mod join;
mod journal;
mod marks;
mod offset;
pub mod outbox;
mod persistent;
mod pipeline;
mod post;
pub mod projection;
mod recorded;
mod recovery;
mod releaser;
mod replay;
mod retention;
mod roster;
pub mod schema_file;
pub mod snapshot;
mod stored;
pub mod testkit;
pub mod timeline;
mod timestamp;

pub use cause::Cause;
pub use durable_state::{Durable, DurableState};
pub use effect::{Effect, Positioned};
pub use entity::Entity;
pub use error::EffectError;
pub use event_sourced::{EventSourced, Scope};
pub use feed::{EventFeed, FeedError, Follow};
pub use forget::{ForgetError, Forgotten, Swept};
pub use gateway::{EntityGateway, Gateway};
pub use id::{Epoch, InvalidId, Ordinal, PersistenceId, Sequence, Slice, Slices};
pub use journal::{Journal, Reader, Recovering, WithJournal};
pub use offset::{InvalidOffset, Offset, Position};
pub use omnitron_persistence_macros::{Event, Schema};
pub use outbox::{Outbox, OutboxRef};
pub use persistent::Persistent;
pub use post::{Post, PostError, Receiver};
pub use projection::{Projection, ProjectionRef, ReadModel};
pub use recorded::{NewEvent, Recorded};
pub use recovery::RecoveryError;
pub use retention::Snapshots;

pub use self::event::{
    __event, DecodeError, EncodeError, Encoded, Event, EventType, Fingerprint, Schema, Stored,
};
pub use self::schema_file::SchemaFile;
pub use self::timestamp::Timestamp;

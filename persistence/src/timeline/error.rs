//! Why can a timeline not be opened, or not go where it was told to?

use crate::backend::ReadError;
use crate::event::DecodeError;
use crate::id::{InvalidId, PersistenceId, Sequence};
use crate::timestamp::Timestamp;

/// Why a timeline is not where it was told to go. Nothing was changed anywhere: a timeline only reads.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimelineError {
    /// There is no journal, or it is not open.
    #[error(
        "`{id}` has no journal to be read from: start the system with `ActorSystem::builder(..).journal(..)`, or open the journal"
    )]
    NoJournal {
        /// Whose timeline was asked for.
        id: String,
    },
    /// Nothing can be stored under such an id.
    #[error("`{text}` cannot be an id of persistence")]
    IllegalId {
        /// The text.
        text: String,
        /// What is wrong with it.
        #[source]
        reason: InvalidId,
    },
    /// No event was ever stored under this id.
    #[error(
        "`{id}` has no events in this journal: look at the id. That of an actor is its path below `/user`, that of an entity behind \
         a gateway is `GATEWAY/ID`, unless `Persistent::id` says something else"
    )]
    UnknownId {
        /// The id.
        id: PersistenceId,
    },
    /// The first events were deleted, and there is no snapshot to begin with.
    #[error("`{id}` has no events before {first} any more, and no snapshot to begin with: {reason}")]
    Deleted {
        /// The id.
        id: PersistenceId,
        /// The first event that is still there; the one behind the last, if there is none.
        first: Sequence,
        /// Why no snapshot was used, and what to do.
        reason: String,
    },
    /// What was there before was deleted.
    #[error(
        "`{id}` is known from event {known_from} on, so there is no state at event {asked}: what was before was deleted"
    )]
    BeforeKnown {
        /// The id.
        id: PersistenceId,
        /// Where it was to go.
        asked: Sequence,
        /// The earliest place.
        known_from: Sequence,
    },
    /// There was nothing yet.
    #[error(
        "`{id}` is known from {known_from} on, in seconds since 1970, and {asked} is before that: what was before never was, or was deleted"
    )]
    BeforeFirst {
        /// The id.
        id: PersistenceId,
        /// Where it was to go.
        asked: Timestamp,
        /// The earliest moment.
        known_from: Timestamp,
    },
    /// There are not so many events.
    #[error(
        "`{id}` ends at event {end}, so there is no state at event {asked}: `refresh` looks for events that came since"
    )]
    BehindEnd {
        /// The id.
        id: PersistenceId,
        /// Where it was to go.
        asked: Sequence,
        /// The last event.
        end: Sequence,
    },
    /// An event in the journal is not one that this program knows. The timeline is in front of it.
    #[error("event {sequence} of `{id}` cannot be read")]
    Undecodable {
        /// The id.
        id: PersistenceId,
        /// Which event.
        sequence: Sequence,
        /// The type, both sides, and what to do.
        #[source]
        reason: DecodeError,
    },
    /// `apply` panicked over an event. The timeline is in front of it.
    #[error("`apply` panicked over event {sequence} of `{id}`, `{event}` version {version}: {panic}")]
    ApplyPanicked {
        /// The id.
        id: PersistenceId,
        /// Which event.
        sequence: Sequence,
        /// The name of its type.
        event: String,
        /// The version of its type.
        version: u32,
        /// What the panic said.
        panic: String,
    },
    /// The function that changes events panicked.
    #[error("the function that changes events panicked over event {sequence} of `{id}`: {panic}")]
    ChangePanicked {
        /// The id.
        id: PersistenceId,
        /// Which event.
        sequence: Sequence,
        /// What the panic said.
        panic: String,
    },
    /// Events are missing.
    #[error(
        "the events {from} to {to} of `{id}` are missing: they were deleted meanwhile, or the journal is damaged"
    )]
    Missing {
        /// The id.
        id: PersistenceId,
        /// The first that is missing.
        from: Sequence,
        /// The last that is missing.
        to: Sequence,
    },
    /// The journal cannot be read: it was closed, is away, or is damaged there. The timeline is where it was, or nearer to where it was to go.
    #[error("the events of `{id}` behind {after} cannot be read")]
    Unread {
        /// The id.
        id: PersistenceId,
        /// The last event that was read.
        after: Sequence,
        /// What is wrong, and where.
        #[source]
        reason: ReadError,
    },
}

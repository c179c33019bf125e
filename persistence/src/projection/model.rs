//! What does a user write to keep a read model, and what is he given?
//!
//! A [`ReadModel`] is a store with two methods. One that commits events and offset in one transaction has each event exactly once; one that
//! cannot is an [`Effects`] behind [`AtLeastOnce`](super::AtLeastOnce).

use std::error::Error;
use std::fmt;

use omnitron_runtime::Failure;

use crate::event::{DecodeError, Event};
use crate::id::{PersistenceId, Sequence};
use crate::offset::{Offset, Position};
use crate::recorded::Recorded;
use crate::stored;
use crate::timestamp::Timestamp;

/// Keeps what a projection makes of events.
///
/// # Contract
///
/// 1. **Together**: `commit` stores what it makes of the events *and* the offset in one transaction, the offset in the place of the one that the same
///    [`part`](Batch::part) stored before.
/// 2. **Whole or not at all**: when `commit` fails or panics, nothing of it is stored, and the same events come again, perhaps fewer at once, to the same
///    value.
/// 3. **Durable enough**: what `commit` confirmed and a crash takes back, it takes back together with its offset.
///
/// # Cancel safety
///
/// Both futures may be dropped when the projection is stopped; a transaction has to be undone by that.
pub trait ReadModel: Sized + Send + 'static {
    /// What it reads: an [`Event`], or [`Recorded`] for all events as they lie in the journal.
    type Event: Readable;

    /// The offsets that were stored, one for each part there ever was; none at the beginning. Whatever has to be made first (tables, connections) is
    /// made here: it comes first, and again when the store was not available.
    ///
    /// # Errors
    ///
    /// The store is not available: it is tried again.
    fn offsets(&mut self) -> impl Future<Output = Result<Vec<Vec<u8>>, Failure>> + Send;

    /// Stores what the events lead to, and the offset. A batch without events may name an id that was [forgotten](Batch::forgotten).
    ///
    /// # Errors
    ///
    /// [`CommitError`]: with `?`, the store is not available, and it is tried again for ever; with [`Batch::refuse`], that event cannot be taken.
    fn commit(
        &mut self,
        batch: &Batch<'_, Self::Event>,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;
}

/// Takes events, without a transaction that could hold an offset as well: mail, a search index, files.
pub trait Effects: Sized + Send + 'static {
    /// What it reads: an [`Event`], or [`Recorded`].
    type Event: Readable;

    /// Takes these events, or lets go of an id that was [forgotten](Batch::forgotten). After a crash the last of them come again, each with the same [key](Projected::key).
    ///
    /// # Errors
    ///
    /// As [`ReadModel::commit`].
    fn apply(
        &mut self,
        batch: &Batch<'_, Self::Event>,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;
}

/// What can be read of a journal: every [`Event`], and [`Recorded`] itself, whose bytes are not copied.
pub trait Readable: Sized + Send + Sync + 'static {
    /// Whether it is an event of this kind, by its name.
    fn is_named(name: &str) -> bool;

    /// The event.
    ///
    /// # Errors
    ///
    /// [`DecodeError`].
    fn read(recorded: Recorded) -> Result<Self, DecodeError>;
}

impl<E: Event + Sync> Readable for E {
    fn is_named(name: &str) -> bool {
        E::types().iter().chain(E::readable()).any(|known| known.name == name)
    }

    fn read(recorded: Recorded) -> Result<Self, DecodeError> {
        stored::read_event(&recorded)
    }
}

impl Readable for Recorded {
    fn is_named(_: &str) -> bool {
        true
    }

    fn read(recorded: Recorded) -> Result<Self, DecodeError> {
        Ok(recorded)
    }
}

/// An event for a read model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Projected<E> {
    /// The event.
    pub event: E,
    /// Whose it is.
    pub id: PersistenceId,
    /// Its place among the events of that id.
    pub sequence: Sequence,
    /// Its place in the journal.
    pub position: Position,
    /// When it was stored, by the clock of the one who did.
    pub at: Timestamp,
}

impl<E> Projected<E> {
    /// What tells this event from all others, and is the same each time it comes: `account-42#17`.
    pub fn key(&self) -> String {
        format!("{}#{}", self.id, self.sequence)
    }
}

/// Events to be put into a read model together.
#[derive(Debug)]
pub struct Batch<'a, E> {
    pub(crate) events: &'a [Projected<E>],
    pub(crate) forgotten: Option<&'a PersistenceId>,
    pub(crate) offset: &'a Offset,
    pub(crate) part: u32,
}

impl<'a, E> Batch<'a, E> {
    /// The events, those of each id in order. There may be none: then only the offset has changed.
    pub fn events(&self) -> &'a [Projected<E>] {
        self.events
    }

    /// An id that was [forgotten](crate::Journal::forget): the read model is to delete what it holds of it, with the offset. Such a batch has no events. Those
    /// that come later with this id are of a new history.
    pub fn forgotten(&self) -> Option<&'a PersistenceId> {
        self.forgotten
    }

    /// The offset behind them, to be stored for [`part`](Self::part).
    pub fn offset(&self) -> Vec<u8> {
        self.offset.to_bytes()
    }

    /// Which part of the projection this is, counted from 0.
    pub fn part(&self) -> u32 {
        self.part
    }

    /// This event, one of [`events`](Self::events), cannot be taken, ever: `Err(batch.refuse(event, "an order without a customer"))`.
    ///
    /// With an event that is not one of them it is as with a panic: fewer are tried at once, until it is known over which.
    pub fn refuse(&self, event: &Projected<E>, reason: impl fmt::Display) -> CommitError {
        let at = self.events.iter().position(|other| std::ptr::eq(other, event));
        let (position, reason) = (event.position, reason.to_string());
        let at = at.or_else(|| self.events.iter().position(|other| other.position == position));
        CommitError(Why::Refused { at, reason })
    }
}

/// Why nothing was stored. Made with `?` of any error, which says that the store is not available, or by [`Batch::refuse`].
#[derive(Debug)]
pub struct CommitError(pub(crate) Why);

#[derive(Debug)]
pub(crate) enum Why {
    Unavailable(String),
    /// `None`: an event that is not of the batch.
    Refused {
        at: Option<usize>,
        reason: String,
    },
}

impl<E: Error> From<E> for CommitError {
    fn from(error: E) -> Self {
        Self(Why::Unavailable(chain(&error)))
    }
}

/// An error and its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

//! How is a state kept for later, and with which one does a history begin?

use futures_util::StreamExt;

use super::error::TimelineError;
use super::history::Beginning;
use super::reel::Reel;
use crate::active::Codec;
use crate::event_sourced::EventSourced;
use crate::forget;
use crate::id::{PersistenceId, Sequence};
use crate::journal::Open;
use crate::snapshot::Snapshot;
use crate::stored;
use crate::timestamp::Timestamp;

/// From where on a history is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// From the beginning: no event was deleted.
    Beginning,
    /// From a snapshot: events before it were deleted.
    Snapshot {
        /// The last event that is in it.
        sequence: Sequence,
        /// When it was taken.
        taken: Timestamp,
    },
    /// From this event on, which holds the whole state: those before it were deleted.
    Event(Sequence),
}

impl Origin {
    /// The earliest place of the history.
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Beginning => Sequence::ZERO,
            Self::Snapshot { sequence, .. } | Self::Event(sequence) => *sequence,
        }
    }
}

/// How states are kept: not at all, as clones, or encoded.
pub(crate) struct Keeping<S> {
    pub(crate) clone: Option<fn(&S) -> S>,
    pub(crate) codec: Option<Codec<S>>,
}

impl<S> Default for Keeping<S> {
    fn default() -> Self {
        Self { clone: None, codec: None }
    }
}

/// A state that is kept.
pub(crate) enum Kept<S> {
    Clone(S),
    Encoded(Snapshot),
}

impl<S> Keeping<S> {
    /// Whether states can be kept at all.
    pub(crate) fn keeps(&self) -> bool {
        self.clone.is_some() || self.codec.is_some()
    }

    /// The state for later, unless it cannot be kept.
    pub(crate) fn keep(&self, state: &S, id: &PersistenceId, at: Sequence) -> Option<Kept<S>> {
        if let Some(clone) = self.clone {
            return Some(Kept::Clone(clone(state)));
        }
        let codec = self.codec.as_ref()?;
        (codec.encode)(state, id, at, 0).ok().map(Kept::Encoded)
    }

    /// A state that was kept.
    pub(crate) fn restore(&self, kept: &Kept<S>) -> Option<S> {
        match kept {
            Kept::Clone(state) => self.clone.map(|clone| clone(state)),
            Kept::Encoded(snapshot) => (self.codec.as_ref()?.decode)(snapshot).ok(),
        }
    }
}

/// The state that a history begins with.
pub(crate) struct Base {
    /// The last event that is in it.
    pub(crate) at: Sequence,
    pub(crate) origin: Origin,
    snapshot: Option<Snapshot>,
}

impl Base {
    /// The state itself.
    pub(crate) fn state<S: Default>(&self, keeping: &Keeping<S>) -> S {
        let decoded = self.snapshot.as_ref().and_then(|snapshot| {
            let codec = keeping.codec.as_ref()?;
            // It was decoded once, so it can be.
            (codec.decode)(snapshot).ok()
        });
        decoded.unwrap_or_default()
    }

    /// As it is written down. A history that begins with an event holds no state before it.
    pub(crate) fn beginning(&self) -> Beginning {
        let snapshot = self.snapshot.as_ref().map(|it| (it.name.clone(), it.version, it.state.to_vec()));
        Beginning { sequence: self.at.get(), snapshot }
    }

    /// From when on the history is known, if its beginning says so.
    pub(crate) fn taken(&self) -> Option<Timestamp> {
        match self.origin {
            Origin::Snapshot { taken, .. } => Some(taken),
            Origin::Beginning | Origin::Event(_) => None,
        }
    }

    /// Finds where the history of an id begins that ends at `end`.
    pub(crate) async fn find<E: EventSourced>(
        open: &Open,
        id: &PersistenceId,
        end: Sequence,
        keeping: &Keeping<E::State>,
    ) -> Result<Self, TimelineError> {
        let first = first_event(open, id, end).await?;
        if first == Sequence::new(1) {
            return Ok(Self { at: Sequence::ZERO, origin: Origin::Beginning, snapshot: None });
        }
        let before = Sequence::new(first.get().saturating_sub(1));
        if (E::LAST_ONLY && first <= end) || is_forgotten(open, id, first).await? {
            return Ok(Self { at: before, origin: Origin::Event(first), snapshot: None });
        }
        let deleted = |reason: String| TimelineError::Deleted { id: id.clone(), first, reason };
        let Some(codec) = &keeping.codec else {
            return Err(deleted("open the timeline with `.snapshots()`".to_owned()));
        };
        // The oldest one that can be read has the longest history behind it. A store keeps only a few.
        let (mut to, mut found, mut trouble) = (end, None, None);
        loop {
            let loaded = open.snapshots.load(id, to).await;
            let loaded =
                loaded.map_err(|reason| TimelineError::Unread { id: id.clone(), after: before, reason })?;
            let Some(snapshot) = loaded.snapshot.filter(|snapshot| snapshot.sequence >= before) else {
                break;
            };
            let sequence = snapshot.sequence;
            to = Sequence::new(sequence.get().saturating_sub(1));
            let split = stored::split_marks(snapshot).and_then(|(snapshot, _)| {
                (codec.decode)(&snapshot)?;
                Ok(snapshot)
            });
            match split {
                Ok(snapshot) => found = Some(snapshot),
                Err(reason) => {
                    trouble = Some(format!("the one of event {sequence} cannot be read: {reason}"));
                }
            }
        }
        let Some(snapshot) = found else {
            let none = || "none is there: restore the journal and its snapshots from a copy".to_owned();
            return Err(deleted(trouble.unwrap_or_else(none)));
        };
        let (sequence, taken) = (snapshot.sequence, Timestamp::from_millis(snapshot.timestamp_ms));
        Ok(Self { at: sequence, origin: Origin::Snapshot { sequence, taken }, snapshot: Some(snapshot) })
    }
}

/// Whether the history begins where the one before was forgotten.
async fn is_forgotten(open: &Open, id: &PersistenceId, first: Sequence) -> Result<bool, TimelineError> {
    let first = open.backend.read(id, first, first).next().await.transpose();
    let first =
        first.map_err(|reason| TimelineError::Unread { id: id.clone(), after: Sequence::ZERO, reason })?;
    Ok(first.is_some_and(|first| forget::is_mark(&first)))
}

/// The first event that is still there; the one behind the end, if there is none.
async fn first_event(open: &Open, id: &PersistenceId, end: Sequence) -> Result<Sequence, TimelineError> {
    let first = Sequence::new(1);
    let mut reel = Reel::new(&*open.backend, id, Sequence::ZERO, end);
    match reel.next().await {
        Ok(_) => Ok(first),
        Err(TimelineError::Missing { to, .. }) => Ok(to.plus(1)),
        Err(error) => Err(error),
    }
}

//! How are the events of an id read for somebody who looks back?
//!
//! As a recovery reads them, but without claiming anything: what is written meanwhile is not looked at, and nobody is kept from writing.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::error::TimelineError;
use crate::backend::{JournalBackend, ReadError};
use crate::error::panic_text;
use crate::event_sourced::EventSourced;
use crate::forget;
use crate::id::{PersistenceId, Sequence};
use crate::post;
use crate::recorded::Recorded;
use crate::replay::{EVENTS_PER_TURN, give_way};
use crate::stored;

/// Events of one id, in order and without gaps. One is in memory at a time, and what the stream of the backend holds.
pub(crate) struct Reel {
    id: PersistenceId,
    events: BoxStream<'static, Result<Recorded, ReadError>>,
    at: Sequence,
    to: Sequence,
}

impl Reel {
    /// The events behind `after`, up to `to`.
    pub(crate) fn new(
        backend: &dyn JournalBackend,
        id: &PersistenceId,
        after: Sequence,
        to: Sequence,
    ) -> Self {
        let events = if after < to {
            backend.read(id, after.plus(1), to)
        } else {
            Box::pin(futures_util::stream::empty())
        };
        Self { id: id.clone(), events, at: after, to }
    }

    /// The next event; `None` behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Recorded>, TimelineError> {
        if self.at >= self.to {
            return Ok(None);
        }
        if self.at.get().is_multiple_of(EVENTS_PER_TURN) {
            give_way().await;
        }
        let missing = |from: Sequence, to| TimelineError::Missing { id: self.id.clone(), from, to };
        match self.events.next().await {
            None => Err(missing(self.at.plus(1), self.to)),
            Some(Err(reason)) => Err(TimelineError::Unread { id: self.id.clone(), after: self.at, reason }),
            Some(Ok(event)) if event.sequence != self.at.plus(1) => {
                let last = Sequence::new(event.sequence.get().saturating_sub(1));
                Err(missing(self.at.plus(1), last))
            }
            Some(Ok(event)) => {
                self.at = event.sequence;
                Ok(Some(event))
            }
        }
    }
}

impl fmt::Debug for Reel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reel").field("id", &self.id).field("at", &self.at).finish_non_exhaustive()
    }
}

/// The event that was recorded. `None`: it is one of the machinery, of which `apply` hears nothing.
pub(crate) fn decode<E: EventSourced>(recorded: &Recorded) -> Result<Option<E::Event>, TimelineError> {
    if post::is_bookkeeping(&recorded.event.name) {
        return Ok(None);
    }
    stored::read_event(recorded).map(Some).map_err(|reason| TimelineError::Undecodable {
        id: recorded.id.clone(),
        sequence: recorded.sequence,
        reason,
    })
}

/// Applies what was [decoded](decode): an event, or the mark of an id that was forgotten, behind which there is a new state. After an error the state may be half changed.
pub(crate) fn apply<E: EventSourced>(
    state: &mut E::State,
    event: Option<&E::Event>,
    recorded: &Recorded,
) -> Result<(), TimelineError> {
    let Some(event) = event else {
        if forget::is_mark(recorded) {
            *state = E::State::default();
        }
        return Ok(());
    };
    catch_unwind(AssertUnwindSafe(|| E::apply(state, event))).map_err(|panic| TimelineError::ApplyPanicked {
        id: recorded.id.clone(),
        sequence: recorded.sequence,
        event: recorded.event.name.to_string(),
        version: recorded.event.version,
        panic: panic_text(&*panic),
    })
}

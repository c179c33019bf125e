//! What has a part in hand: events on their way into the read model, and what is known of the next one?

use omnitron_runtime::ReplyTo;

use super::attempt::{Attempt, Poison};
use super::model::Projected;
use super::reading::{Bad, Fetched, Mark};
use crate::offset::{Offset, Position};

/// Events that are being put into the read model.
pub(super) struct Hand<E> {
    pub(super) events: Vec<Projected<E>>,
    pub(super) done: usize,
    /// Behind the events: an id that was forgotten.
    pub(super) forgotten: Option<Mark>,
    pub(super) bad: Option<Bad>,
    pub(super) end: Option<Offset>,
    pub(super) attempt: Attempt,
    /// Why the next event cannot be taken.
    pub(super) reason: String,
    /// Everybody was told that somebody has to decide about the next event.
    pub(super) halts: bool,
    /// Those who decided that the next event is left out. They wait until that is recorded.
    pub(super) deciders: Vec<ReplyTo<bool>>,
}

impl<E> Hand<E> {
    pub(super) fn new(fetched: Fetched<E>, policy: Poison) -> Self {
        let Fetched { events, bad, forgotten, end, .. } = fetched;
        let steps = events.len() + usize::from(forgotten.is_some());
        let attempt = Attempt::new(policy, steps, bad.is_some());
        let (reason, halts, deciders) = (String::new(), false, Vec::new());
        Self { events, done: 0, forgotten, bad, end, attempt, reason, halts, deciders }
    }

    /// The next of them, which cannot be taken, is left out.
    pub(super) fn leave_out(&mut self) {
        self.halts = false;
        if self.done < self.events.len() {
            self.done += 1;
        } else if self.forgotten.take().is_none() {
            self.bad = None;
        }
    }

    /// The next event, which cannot be taken.
    pub(super) fn suspect(&self) -> Option<Bad> {
        let next = self.events.get(self.done).map(|event| Bad {
            id: event.id.clone(),
            sequence: event.sequence,
            position: event.position,
            reason: self.reason.clone(),
        });
        let mark = || {
            let Mark { id, sequence, position } = self.forgotten.clone()?;
            Some(Bad { id, sequence, position, reason: self.reason.clone() })
        };
        next.or_else(mark).or_else(|| self.bad.clone())
    }
}

/// Moves an offset behind these places.
pub(super) fn advance(offset: &mut Offset, positions: impl IntoIterator<Item = Position>) {
    for Position { slice, ordinal } in positions {
        offset.advance(slice, ordinal);
    }
}

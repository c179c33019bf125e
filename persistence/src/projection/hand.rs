//! What has a part in hand: events on their way into the read model, and what is known of the next one?

use super::attempt::{Attempt, Poison};
use super::model::Projected;
use super::reading::{Bad, Fetched};
use crate::offset::Offset;

/// Events that are being put into the read model.
pub(super) struct Hand<E> {
    pub(super) events: Vec<Projected<E>>,
    pub(super) done: usize,
    pub(super) bad: Option<Bad>,
    pub(super) end: Option<Offset>,
    pub(super) attempt: Attempt,
    /// Why the next event cannot be taken.
    pub(super) reason: String,
}

impl<E> Hand<E> {
    pub(super) fn new(fetched: Fetched<E>, policy: Poison) -> Self {
        let Fetched { events, bad, end, .. } = fetched;
        let attempt = Attempt::new(policy, events.len(), bad.is_some());
        Self { events, done: 0, bad, end, attempt, reason: String::new() }
    }

    /// The next event, which cannot be taken.
    pub(super) fn suspect(&self) -> Option<Bad> {
        let next = self.events.get(self.done).map(|event| Bad {
            id: event.id.clone(),
            sequence: event.sequence,
            position: event.position,
            reason: self.reason.clone(),
        });
        next.or_else(|| self.bad.clone())
    }
}

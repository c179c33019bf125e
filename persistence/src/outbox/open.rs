//! What does a postman have in hand, while it can read the journal, and how does a post leave it?
//!
//! All of this is gone with the incarnation, or when the journal cannot be read on: the next one begins where the offset is that is stored.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::answers::{Answer, Answers};
use super::item::{Limits, Sending};
use super::ledger::Entry;
use super::postman::Settings;
use super::reading::{Batch, Line};
use super::route::Congested;
use super::sorting::Sorting;
use crate::cause::Cause;
use crate::intake::Delivery;
use crate::journal::Reader;
use crate::marks::Origin;
use crate::offset::{Offset, Position};

/// After so many sends others have their turn.
pub(super) const SENDS_PER_TURN: usize = 128;
/// After so many posts the offset is stored, whatever the time.
pub(super) const POSTS_PER_MARK: u64 = 8_192;

/// What it does while it can read the journal.
pub(super) struct Open {
    pub(super) identity: u64,
    pub(super) sorting: Sorting,
    pub(super) answers: Arc<Answers>,
    pub(super) line: Line,
    pub(super) reader: Arc<Reader>,
    /// Posts that were given up, and are read again.
    pub(super) skipped: BTreeSet<Position>,
    pub(super) fetches: usize,
    /// A gateway had no room in this turn.
    pub(super) is_congested: bool,
    pub(super) is_storing: bool,
    pub(super) stored: Offset,
    /// How many posts were done when the offset was stored last.
    pub(super) done_then: u64,
    /// The last attempt to store it failed: the next tick tries again, and nobody before.
    pub(super) is_unstored: bool,
    pub(super) hands: Vec<Answer>,
}

impl Open {
    /// As of what is remembered: how far it was, and what was given up behind that.
    pub(super) fn new(
        limits: Limits,
        from: Offset,
        line: Line,
        (reader, answers): (Arc<Reader>, Arc<Answers>),
        skipped: &[Entry],
    ) -> Self {
        let skipped = skipped.iter().map(Entry::position);
        Self {
            identity: from.journal(),
            sorting: Sorting::new(limits, &from),
            answers,
            line,
            reader,
            skipped: skipped.filter(|position| !from.covers(*position)).collect(),
            fetches: 0,
            is_congested: false,
            is_storing: false,
            stored: from,
            done_then: 0,
            is_unstored: false,
            hands: Vec::new(),
        }
    }

    /// Whether so much is done since the offset was stored that it is to be stored again.
    pub(super) fn is_far(&self) -> bool {
        !self.is_unstored && self.sorting.count().1 - self.done_then >= POSTS_PER_MARK
    }

    /// Sends what is to be sent, up to so many. How many that were.
    pub(super) fn send(&mut self, settings: &Settings, now: Instant, random: impl Fn() -> f64) -> usize {
        let mut sent = 0;
        while sent < SENDS_PER_TURN {
            let Some(Sending { receiver, item, after, attempt }) = self.sorting.next(now) else {
                // What was answered meanwhile may make room for more.
                if self.take_answers(now, &random) {
                    continue;
                }
                break;
            };
            sent += 1;
            if self.skipped.contains(&item.position) {
                self.sorting.done(&receiver, item.position);
                continue;
            }
            let origin = Origin { source: self.identity, position: item.position, after };
            let delivery = Delivery::new(origin, attempt, &receiver, &self.answers);
            let route =
                receiver.split_once('/').and_then(|(gateway, id)| Some((settings.routes.get(gateway)?, id)));
            match route {
                Some((route, id)) if route.takes(item.post.name()) => {
                    let cause = Cause { id: item.from.clone(), sequence: item.sequence };
                    if let Err(Congested) = cause.scope(|| route.send(id, &item.post, delivery)) {
                        self.sorting.unsent(&receiver, item.position);
                        self.is_congested = true;
                        break;
                    }
                }
                Some(_) => delivery.failed(format!("its gateway takes no message `{}`", item.post.name())),
                None => delivery.failed(format!(
                    "this outbox delivers to no gateway of `{receiver}`: name it with `Outbox::deliver`"
                )),
            }
        }
        sent
    }

    /// Whether there were any.
    pub(super) fn take_answers(&mut self, now: Instant, random: impl Fn() -> f64) -> bool {
        let mut hands = std::mem::take(&mut self.hands);
        self.answers.take(&mut hands);
        let any = !hands.is_empty();
        for Answer { receiver, position, attempt, said } in hands.drain(..) {
            self.sorting.answered(&receiver, position, attempt, said, (now, random()));
        }
        self.hands = hands;
        any
    }

    pub(super) fn take(&mut self, Batch { items, ends }: Batch) {
        for item in items {
            self.sorting.take(item);
        }
        for (slice, ordinal) in ends {
            self.sorting.read(slice, ordinal);
        }
    }
}

//! How does an actor answer, and what does its asker learn if it does not?
//!
//! [`ReplyTo`] is the end of a question that travels in the message. The protocol between the two ends is in
//! [`slot`]; here it meets the system: deadlines, and dead letters for replies that come too late.
//!
//! # Invariants
//!
//! * A `ReplyTo` settles its question when it is sent or dropped, unless it is settled already.
//! * It lets go of the slot before it wakes the asker, so that the asker can use the slot again at once.

use std::any::type_name;
use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::deadlines::Deadlines;
use crate::slot::{self, Put};
pub(crate) use crate::slot::{Answer, Claim, Loss, Ticket};
use crate::sync::Arc;

/// The slot of a question in one system.
pub(crate) type Slot<T> = slot::Slot<T, std::sync::Arc<Deadlines>>;

/// The obligation to answer one question. Dropping it unanswered tells the asker at once.
///
/// A reply never waits and never fails for the one who sends it: when the asker has gone meanwhile, the value is
/// dropped and counted as a dead letter ([`is_abandoned`](Self::is_abandoned) says so beforehand).
#[must_use = "dropping a reply unanswered makes the ask fail"]
pub struct ReplyTo<T> {
    slot: Option<Arc<Slot<T>>>,
}

impl<T> Slot<T> {
    /// The answer, if there is one. Else `cx` is woken when there is, or when `limit` has passed since the first time
    /// that there was none.
    pub(crate) fn poll_within(&self, limit: Duration, cx: &Context<'_>) -> Poll<Answer<T>> {
        let deadlines = &self.owner;
        self.poll_answer(cx, || deadlines.tick_after(limit), |tick| deadlines.arm(tick, self.ticket()))
    }

    pub(crate) fn belongs_to(&self, deadlines: &std::sync::Arc<Deadlines>) -> bool {
        std::sync::Arc::ptr_eq(&self.owner, deadlines)
    }
}

impl<T> ReplyTo<T> {
    pub(crate) fn new(slot: Arc<Slot<T>>) -> Self {
        Self { slot: Some(slot) }
    }

    /// Answers. The asker is woken; this never waits.
    pub fn send(mut self, value: T) {
        let Some(slot) = self.slot.take() else { return };
        match slot.put(value) {
            Put::Settled(waker) => {
                drop(slot);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Put::Late(value) => {
                slot.owner.late_reply(type_name::<T>());
                drop(value);
            }
        }
    }

    /// Whether nobody waits any more: the asker has gone or its deadline has passed. Long work may look from time to
    /// time, and end early.
    pub fn is_abandoned(&self) -> bool {
        self.slot.as_ref().is_none_or(|slot| slot.is_abandoned())
    }
}

impl<T> Drop for ReplyTo<T> {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        let waker = slot.lose(std::thread::panicking());
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for ReplyTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo").field("abandoned", &self.is_abandoned()).finish_non_exhaustive()
    }
}

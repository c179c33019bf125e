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
use std::cell::Cell;
use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::deadlines::Deadlines;
use crate::failure::drop_quietly;
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
        let why = if std::thread::panicking() {
            Loss::Crashed
        } else {
            UNANSWERED.try_with(Cell::get).ok().flatten().map_or(Loss::Abandoned, Unanswered::loss)
        };
        let waker = slot.lose(why);
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What those learn whose questions are dropped unanswered on purpose: see [`drop_unanswered`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unanswered {
    /// [`AskError::Unavailable`](crate::AskError::Unavailable): nothing was done, because what that needs is not available.
    Unavailable,
    /// [`AskError::Unconfirmed`](crate::AskError::Unconfirmed): it was done, and nobody knows whether it will last.
    Unconfirmed,
}

impl Unanswered {
    fn loss(self) -> Loss {
        match self {
            Self::Unavailable => Loss::Unavailable,
            Self::Unconfirmed => Loss::Unconfirmed,
        }
    }
}

thread_local! {
    /// Why replies are dropped on this thread, now, if there is a better reason than that nobody wanted to answer.
    static UNANSWERED: Cell<Option<Unanswered>> = const { Cell::new(None) };
}

/// Drops a message, or whatever else holds a [`ReplyTo`], and tells those who asked why. For actors that serve others whose
/// messages they cannot look into, such as persistent ones.
///
/// A destructor of the message that panics does so for itself: the panic is logged, and ends here.
pub fn drop_unanswered<T>(message: T, why: Unanswered) {
    let before = UNANSWERED.replace(Some(why));
    let dropped = drop_quietly(message);
    UNANSWERED.set(before);
    if let Err(failure) = dropped {
        tracing::warn!(message_type = type_name::<T>(), %failure, "a message panicked on drop");
    }
}

impl<T> fmt::Debug for ReplyTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo").field("abandoned", &self.is_abandoned()).finish_non_exhaustive()
    }
}

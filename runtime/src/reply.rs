//! How does a reply find its asker, whatever becomes of the two?
//!
//! A question has two ends that share a *slot*: the asker waits on it, the [`ReplyTo`] inside the message fills it. A
//! third, the *ticket*, lies beside the message in the mailbox, so that the actor can *claim* the question before it
//! handles it: only then can anybody say whether a target that never answered had begun to act.
//!
//! # Invariants
//!
//! * A question is settled once: by a reply, by the loss of its `ReplyTo`, by its deadline, or by its asker's leaving.
//! * `Queued` means that the target has not begun; a claim fails once the deadline has settled the question, so what
//!   was reported as not handled never is.
//! * A slot is used again only when nobody but its pool can reach it: a late reply meets its own, dead question.

use std::fmt;
use std::mem;
use std::task::{Context, Poll, Waker};

use crate::chain::Link;
use crate::deadlines::Deadlines;
use crate::sync::{Arc, Mutex};

/// The obligation to answer one question. Dropping it unanswered tells the asker at once.
///
/// A reply never waits and never fails for the one who sends it: when the asker has gone meanwhile, the value is
/// dropped and counted as a dead letter ([`is_abandoned`](Self::is_abandoned) says so beforehand).
#[must_use = "dropping a reply unanswered makes the ask fail"]
pub struct ReplyTo<T> {
    slot: Option<Arc<Slot<T>>>,
}

/// Where the reply of type `T` will lie.
pub(crate) struct Slot<T> {
    ticket: Arc<Ticket>,
    value: Mutex<Option<T>>,
}

/// The part of a slot that does not depend on the type of the reply.
pub(crate) struct Ticket {
    state: Mutex<State>,
    deadlines: std::sync::Arc<Deadlines>,
}

struct State {
    phase: Phase,
    waker: Option<Waker>,
    /// The tick at which the question is lost. 0 means never.
    deadline: u64,
    /// The earliest tick at which the wheel will look at this ticket. 0 means that it will not.
    armed: u64,
    chain: Option<std::sync::Arc<Link>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nobody asks.
    Idle,
    /// The target has not begun.
    Queued,
    /// The target has begun.
    Claimed,
    /// The reply lies in the slot.
    Replied,
    /// There will be no reply.
    Lost(Loss),
    /// The asker has gone.
    Left,
}

/// Why there will be no reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// The message was dropped before the target began.
    Unhandled,
    /// The deadline passed before the target began.
    Expired,
    /// The deadline passed after the target had begun.
    TimedOut,
    /// The reply was dropped.
    Abandoned,
    /// The reply was dropped by a panic.
    Crashed,
}

/// What became of a question so far.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    Reply(T),
    Lost(Loss),
}

/// Whether a message may be handled.
pub(crate) enum Claim {
    /// Yes; these handlers wait for it.
    Granted(Option<std::sync::Arc<Link>>),
    /// No: its asker was told that it will not be.
    Expired,
}

impl<T> Slot<T> {
    pub(crate) fn new(deadlines: std::sync::Arc<Deadlines>) -> Self {
        Self { ticket: Arc::new(Ticket::new(deadlines)), value: Mutex::new(None) }
    }

    pub(crate) fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
    }

    /// Begins a question. The caller is the only one who can reach the slot. `deadline` is a tick.
    pub(crate) fn begin(&self, deadline: u64, chain: Option<std::sync::Arc<Link>>) {
        let stale = mem::take(&mut *self.value.lock());
        let mut state = self.ticket.state.lock();
        debug_assert!(state.phase != Phase::Claimed, "a slot in use is never begun again");
        state.phase = Phase::Queued;
        state.waker = None;
        state.deadline = deadline;
        let old_chain = mem::replace(&mut state.chain, chain);
        let arm = state.armed == 0 || state.armed > deadline;
        if arm {
            state.armed = deadline;
        }
        drop(state);
        drop((stale, old_chain));
        if arm {
            self.ticket.deadlines.arm(deadline, &self.ticket);
        }
    }

    /// The answer, if there is one; else `cx` is woken when there is. Returns an answer once.
    pub(crate) fn poll_answer(&self, cx: &Context<'_>) -> Poll<Answer<T>> {
        let mut state = self.ticket.state.lock();
        match state.phase {
            Phase::Replied => {
                state.phase = Phase::Idle;
                drop(state);
                let value = self.value.lock().take();
                // The phase is set after the value, under the lock of the ticket, and read under it here.
                Poll::Ready(value.map_or(Answer::Lost(Loss::Abandoned), Answer::Reply))
            }
            Phase::Lost(loss) => Poll::Ready(Answer::Lost(loss)),
            Phase::Idle | Phase::Queued | Phase::Claimed | Phase::Left => {
                if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn leave(&self) {
        let mut state = self.ticket.state.lock();
        let late = state.phase == Phase::Replied;
        if matches!(state.phase, Phase::Queued | Phase::Claimed | Phase::Replied) {
            state.phase = Phase::Left;
        }
        let waker = state.waker.take();
        drop(state);
        drop(waker);
        if late {
            drop(self.value.lock().take());
        }
    }

    /// Whether nobody else can reach this slot, through a `ReplyTo` or through a ticket in a mailbox. (The wheel may,
    /// for a moment; it touches nothing but what is due.)
    pub(crate) fn is_unreachable(this: &Arc<Self>) -> bool {
        let alone = Arc::strong_count(this) == 1 && Arc::strong_count(&this.ticket) == 1;
        // Pairs with the release of the last other owner.
        crate::sync::fence(crate::sync::Ordering::Acquire);
        alone
    }

    pub(crate) fn belongs_to(&self, deadlines: &std::sync::Arc<Deadlines>) -> bool {
        std::sync::Arc::ptr_eq(&self.ticket.deadlines, deadlines)
    }
}

impl Ticket {
    fn new(deadlines: std::sync::Arc<Deadlines>) -> Self {
        let state = State { phase: Phase::Idle, waker: None, deadline: 0, armed: 0, chain: None };
        Self { state: Mutex::new(state), deadlines }
    }

    /// The actor is about to handle the message this ticket lies beside.
    pub(crate) fn claim(&self) -> Claim {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Lost(Loss::Expired) => Claim::Expired,
            Phase::Queued => {
                state.phase = Phase::Claimed;
                Claim::Granted(state.chain.clone())
            }
            // An asker that left does not undo its question.
            _ => Claim::Granted(None),
        }
    }

    /// The wheel has come to `now`. Returns the tick at which it must look again, if any.
    pub(crate) fn expire(&self, now: u64) -> Option<u64> {
        let mut state = self.state.lock();
        if state.armed > now {
            // It was armed anew meanwhile; that entry is in the wheel by itself.
            return None;
        }
        state.armed = 0;
        let open = matches!(state.phase, Phase::Queued | Phase::Claimed);
        if !open || state.deadline == 0 {
            return None;
        }
        if state.deadline > now {
            state.armed = state.deadline;
            return Some(state.deadline);
        }
        let loss = if state.phase == Phase::Queued { Loss::Expired } else { Loss::TimedOut };
        state.phase = Phase::Lost(loss);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    fn is_abandoned(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Left | Phase::Lost(_) | Phase::Idle)
    }
}

impl<T> ReplyTo<T> {
    pub(crate) fn new(slot: Arc<Slot<T>>) -> Self {
        Self { slot: Some(slot) }
    }

    /// Answers. The asker is woken; this never waits.
    pub fn send(mut self, value: T) {
        let Some(slot) = self.slot.take() else { return };
        *slot.value.lock() = Some(value);
        let mut state = slot.ticket.state.lock();
        let open = matches!(state.phase, Phase::Queued | Phase::Claimed);
        if open {
            state.phase = Phase::Replied;
        }
        let waker = state.waker.take();
        drop(state);
        if !open {
            let late = slot.value.lock().take();
            slot.ticket.deadlines.late_reply(std::any::type_name::<T>());
            drop(late);
        }
        // Before the asker is woken, so that it finds the slot unreachable, and can use it again.
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nobody waits any more: the asker has gone or its deadline has passed. Long work may look from time to
    /// time, and end early.
    pub fn is_abandoned(&self) -> bool {
        self.slot.as_ref().is_none_or(|slot| slot.ticket.is_abandoned())
    }
}

impl<T> Drop for ReplyTo<T> {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        let mut state = slot.ticket.state.lock();
        let loss = match state.phase {
            Phase::Queued => Loss::Unhandled,
            Phase::Claimed if std::thread::panicking() => Loss::Crashed,
            Phase::Claimed => Loss::Abandoned,
            Phase::Idle | Phase::Replied | Phase::Lost(_) | Phase::Left => return,
        };
        state.phase = Phase::Lost(loss);
        let waker = state.waker.take();
        drop(state);
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

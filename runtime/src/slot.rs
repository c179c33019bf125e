//! Who settles a question, when all who could do so race?
//!
//! A *slot* is shared by the two ends of a question: the asker waits on it, the reply lies in it. Its *ticket* lies
//! beside the message in the mailbox, so that the actor can *claim* the question before it handles it: only then can
//! anybody say whether a target that never answered had begun to act.
//!
//! Nothing here knows the time or the system: the caller names ticks, and says when one has come.
//!
//! # Invariants
//!
//! * A question is settled once: by a reply, by the loss of it, by its deadline, or by its asker's leaving.
//! * `Queued` means that the target has not begun; a claim fails once the asker was told so, so what was reported as
//!   not handled never is.
//! * A question with a deadline is looked at when that has come: `armed` is never later than `deadline` while it is
//!   open.
//! * A slot is used again only when nobody but its pool can reach it: a late reply meets its own, dead question.

use std::mem;
use std::task::{Context, Poll, Waker};

use crate::chain::{Asker, Link};
use crate::sync::{Arc, Mutex, Weak};
use crate::trace::TraceContext;

/// Where the reply of type `T` will lie, and what its `owner` keeps beside it.
pub(crate) struct Slot<T, H> {
    ticket: Arc<Ticket>,
    value: Mutex<Option<T>>,
    pub(crate) owner: H,
}

/// The part of a slot that does not depend on the type of the reply.
pub(crate) struct Ticket {
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    waker: Option<Waker>,
    /// The tick at which the question is lost. 0 means never.
    deadline: u64,
    /// The earliest tick at which the wheel will look at this ticket. 0 means that it will not.
    armed: u64,
    /// How many questions this ticket has served: tells this one from those before and after it.
    number: u64,
    chain: Option<std::sync::Arc<Link>>,
    trace: Option<TraceContext>,
}

/// One question of many that a ticket serves, seen from outside. Keeps nobody from using the slot again.
#[derive(Clone)]
pub(crate) struct Question {
    ticket: Weak<Ticket>,
    number: u64,
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

impl Phase {
    /// Whether the question can still be settled.
    fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Claimed)
    }
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

/// What became of a question.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    Reply(T),
    Lost(Loss),
}

/// Whether a message may be handled.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Yes; these handlers wait for it.
    Granted(Option<Asker>),
    /// No: its asker was told that it will not be.
    Denied,
}

/// What became of a reply.
pub(crate) enum Put<T> {
    /// It lies in the slot; this is to be woken.
    Settled(Option<Waker>),
    /// It came too late, and is given back.
    Late(Option<T>),
}

impl<T, H> Slot<T, H> {
    pub(crate) fn new(owner: H) -> Self {
        Self { ticket: Arc::new(Ticket::new(None)), value: Mutex::new(None), owner }
    }

    pub(crate) fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
    }

    /// Opens a question. The caller is the only one who can reach the slot. `deadline` is a tick. Says whether the
    /// wheel must be told of it.
    #[must_use = "a question the wheel does not know of never ends"]
    pub(crate) fn open(&self, deadline: u64, chain: Option<std::sync::Arc<Link>>) -> bool {
        debug_assert!(self.value.lock().is_none(), "whoever settles a question leaves no value behind");
        let mut state = self.ticket.state.lock();
        debug_assert!(!state.phase.is_open(), "a slot in use is never opened again");
        state.phase = Phase::Queued;
        state.number += 1;
        state.deadline = deadline;
        state.trace = None;
        let old = (state.waker.take(), mem::replace(&mut state.chain, chain));
        let arm = state.armed == 0 || state.armed > deadline;
        if arm {
            state.armed = deadline;
        }
        drop(state);
        drop(old);
        arm
    }

    /// The answer, if there is one; else `cx` is woken when there is. Returns a reply once.
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
        let unread = state.phase == Phase::Replied;
        if unread || state.phase.is_open() {
            state.phase = Phase::Left;
        }
        let waker = state.waker.take();
        drop(state);
        drop(waker);
        if unread {
            drop(self.value.lock().take());
        }
    }

    /// Replies.
    pub(crate) fn put(&self, value: T) -> Put<T> {
        *self.value.lock() = Some(value);
        let mut state = self.ticket.state.lock();
        if state.phase.is_open() {
            state.phase = Phase::Replied;
            return Put::Settled(state.waker.take());
        }
        drop(state);
        Put::Late(self.value.lock().take())
    }

    /// The reply is lost, by a panic or not. Returns who is to be woken.
    pub(crate) fn lose(&self, by_panic: bool) -> Option<Waker> {
        let mut state = self.ticket.state.lock();
        let loss = match state.phase {
            Phase::Queued => Loss::Unhandled,
            Phase::Claimed if by_panic => Loss::Crashed,
            Phase::Claimed => Loss::Abandoned,
            Phase::Idle | Phase::Replied | Phase::Lost(_) | Phase::Left => return None,
        };
        state.phase = Phase::Lost(loss);
        state.waker.take()
    }

    /// Whether nobody waits for a reply any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(self.ticket.state.lock().phase, Phase::Left | Phase::Lost(_) | Phase::Idle)
    }

    /// Whether nobody else can reach this slot, through a `ReplyTo` or through a ticket in a mailbox. (The wheel may,
    /// for a moment; it touches nothing but what is due.)
    pub(crate) fn is_unreachable(this: &Arc<Self>) -> bool {
        let alone = Arc::strong_count(this) == 1 && Arc::strong_count(&this.ticket) == 1;
        // Pairs with the release of the last other owner.
        crate::sync::fence(crate::sync::Ordering::Acquire);
        alone
    }
}

impl Ticket {
    fn new(trace: Option<TraceContext>) -> Self {
        let state =
            State { phase: Phase::Idle, waker: None, deadline: 0, armed: 0, number: 0, chain: None, trace };
        Self { state: Mutex::new(state) }
    }

    /// A ticket for a message that asks nothing: it only carries a trace.
    pub(crate) fn traced(trace: TraceContext) -> Arc<Self> {
        Arc::new(Self::new(Some(trace)))
    }

    /// What the message is part of.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        self.state.lock().trace
    }

    /// The message is part of this.
    pub(crate) fn set_trace(&self, trace: TraceContext) {
        self.state.lock().trace = Some(trace);
    }

    /// Whether somebody waits for an answer.
    pub(crate) fn is_question(&self) -> bool {
        self.state.lock().phase.is_open()
    }

    /// The actor is about to handle the message this ticket lies beside.
    pub(crate) fn claim(self: &Arc<Self>) -> Claim {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Lost(Loss::Expired | Loss::Unhandled) => Claim::Denied,
            Phase::Queued => {
                state.phase = Phase::Claimed;
                let number = state.number;
                Claim::Granted(state.chain.clone().map(|link| {
                    let question = Question { ticket: Arc::downgrade(self), number };
                    Asker { link, question }
                }))
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
        if !state.phase.is_open() || state.deadline == 0 {
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
}

impl Question {
    /// Whether its asker still waits.
    pub(crate) fn is_open(&self) -> bool {
        self.ticket.upgrade().is_some_and(|ticket| {
            let state = ticket.state.lock();
            state.number == self.number && state.phase.is_open()
        })
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(all(test, omnitron_loom))]
mod loom;

//! Who settles a question, when all who could do so race?
//!
//! A *slot* is shared by the two ends of a question: the asker waits on it, the reply lies in it. Its *ticket* lies
//! beside the message in the mailbox, so that the actor can *claim* the question before it handles it: only then can
//! anybody say whether a target that never answered had begun to act.
//!
//! A question that is answered before its asker has to wait costs neither a waker nor a deadline: both are left when it
//! does, together.
//!
//! Nothing here knows the time or the system: the caller names ticks, and says when one has come.
//!
//! # Invariants
//!
//! * A question is settled once: by a reply, by the loss of it, by its deadline, or by its asker's leaving. Whoever
//!   exchanges its [word](word::Word) has settled it.
//! * `Queued` means that the target has not begun; a claim fails once the asker was told so, so what was reported as
//!   not handled never is.
//! * A question whose asker waits is looked at when its deadline has come: `armed` is never later than `deadline` while
//!   it is open.
//! * A slot is used again only when nobody but its pool can reach it: a late reply meets its own, dead question.

mod word;

use std::task::{Context, Poll, Waker};

use crate::baggage::Baggage;
use crate::chain::{Asker, Link};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, Weak};
use crate::trace::{Carried, TraceContext};
pub(crate) use word::Loss;
use word::{CHAINED, LOADED, Phase, WAITS, Word};

/// Where the reply of type `T` will lie, and what its `owner` keeps beside it.
pub(crate) struct Slot<T, H> {
    ticket: Arc<Ticket>,
    value: Mutex<Option<T>>,
    pub(crate) owner: H,
}

/// The part of a slot that does not depend on the type of the reply.
pub(crate) struct Ticket {
    word: AtomicU64,
    aside: Mutex<Aside>,
}

/// What only questions need that are not answered at once.
#[derive(Default)]
struct Aside {
    waker: Option<Waker>,
    /// The number of the question whose deadline this is.
    question: u64,
    /// The tick at which the question is lost. 0 means never.
    deadline: u64,
    /// The earliest tick at which the wheel will look at this ticket. 0 means that it will not.
    armed: u64,
    chain: Option<std::sync::Arc<Link>>,
    trace: Option<TraceContext>,
    baggage: Option<Baggage>,
}

/// One question of many that a ticket serves, seen from outside. Keeps nobody from using the slot again.
#[derive(Clone)]
pub(crate) struct Question {
    ticket: Weak<Ticket>,
    number: u64,
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
        let ticket = Ticket { word: AtomicU64::new(0), aside: Mutex::default() };
        Self { ticket: Arc::new(ticket), value: Mutex::new(None), owner }
    }

    pub(crate) fn ticket(&self) -> &Arc<Ticket> {
        &self.ticket
    }

    /// Opens a question, for which the handlers of `chain` wait. The caller is the only one who can reach the slot.
    pub(crate) fn open(&self, chain: Option<std::sync::Arc<Link>>) {
        let before = self.ticket.word();
        debug_assert!(!before.is_open(), "a slot in use is never opened again");
        let mut word = before.next();
        if chain.is_some() || before.has(CHAINED | LOADED) {
            if chain.is_some() {
                word = word.with(CHAINED);
            }
            let mut aside = self.ticket.aside.lock();
            aside.trace = None;
            let old = (aside.baggage.take(), std::mem::replace(&mut aside.chain, chain));
            drop(aside);
            drop(old);
        }
        self.ticket.word.store(word.0, Ordering::Release);
    }

    /// The answer, if there is one; else `cx` is woken when there is. Returns a reply once.
    ///
    /// When the asker has to wait for the first time, it waits until the tick `deadline`, and the wheel is told by `arm`
    /// if it does not know that this question is to be looked at then.
    pub(crate) fn poll_answer(
        &self,
        cx: &Context<'_>,
        deadline: impl FnOnce() -> u64,
        arm: impl FnOnce(u64),
    ) -> Poll<Answer<T>> {
        let mut word = self.ticket.word();
        if word.is_open() {
            if self.ticket.wait(cx, deadline, arm) {
                return Poll::Pending;
            }
            word = self.ticket.word();
        }
        match word.phase() {
            Phase::Replied => {
                let value = self.value.lock().take();
                self.ticket.word.store(word.in_phase(Phase::Idle).0, Ordering::Release);
                // The phase is set after the value.
                Poll::Ready(value.map_or(Answer::Lost(Loss::Abandoned), Answer::Reply))
            }
            Phase::Lost(loss) => Poll::Ready(Answer::Lost(loss)),
            Phase::Idle | Phase::Queued | Phase::Claimed | Phase::Left => Poll::Pending,
        }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn leave(&self) {
        let leaves = |word: Word| word.is_open() || word.phase() == Phase::Replied;
        let Ok(before) = self.ticket.change(|word| leaves(word).then(|| word.in_phase(Phase::Left))) else {
            return;
        };
        drop(self.ticket.waker(before));
        if before.phase() == Phase::Replied {
            let value = self.value.lock().take();
            drop(value);
        }
    }

    /// Replies.
    pub(crate) fn put(&self, value: T) -> Put<T> {
        *self.value.lock() = Some(value);
        match self.ticket.settle(Phase::Replied) {
            Ok(before) => Put::Settled(self.ticket.waker(before)),
            Err(_) => Put::Late(self.value.lock().take()),
        }
    }

    /// The reply is lost: for `claimed` if the target had begun. Returns who is to be woken.
    pub(crate) fn lose(&self, claimed: Loss) -> Option<Waker> {
        let before = self.ticket.change(|word| {
            let loss = match word.phase() {
                Phase::Queued => Loss::Unhandled,
                Phase::Claimed => claimed,
                Phase::Idle | Phase::Replied | Phase::Lost(_) | Phase::Left => return None,
            };
            Some(word.in_phase(Phase::Lost(loss)))
        });
        self.ticket.waker(before.ok()?)
    }

    /// Whether nobody waits for a reply any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(self.ticket.word().phase(), Phase::Left | Phase::Lost(_) | Phase::Idle)
    }

    /// Whether nobody else can reach this slot, through a `ReplyTo` or through a ticket in a mailbox. (The wheel may,
    /// for a moment; it touches nothing but what is due.)
    pub(crate) fn is_unreachable(this: &Arc<Self>) -> bool {
        let alone = Arc::strong_count(this) == 1 && Arc::strong_count(&this.ticket) == 1;
        // Pairs with the release of the last other owner.
        crate::sync::fence(Ordering::Acquire);
        alone
    }
}

impl Ticket {
    /// A ticket for a message that asks nothing: it only carries.
    pub(crate) fn carrier() -> Arc<Self> {
        Arc::new(Self { word: AtomicU64::new(0), aside: Mutex::default() })
    }

    /// What the handler of the message is to have. A baggage is given once. Boxed, so that it takes no room where there is nothing.
    #[inline]
    pub(crate) fn carried(&self) -> Option<Box<Carried>> {
        if self.word().has(LOADED) { Some(Box::new(self.unload())) } else { None }
    }

    #[cold]
    fn unload(&self) -> Carried {
        let mut aside = self.aside.lock();
        Carried { trace: aside.trace, baggage: aside.baggage.take() }
    }

    /// The message is part of this.
    pub(crate) fn set_trace(&self, trace: TraceContext) {
        self.aside.lock().trace = Some(trace);
        self.word.fetch_or(LOADED, Ordering::Release);
    }

    /// The message takes this along.
    pub(crate) fn set_baggage(&self, baggage: Baggage) {
        let old = self.aside.lock().baggage.replace(baggage);
        self.word.fetch_or(LOADED, Ordering::Release);
        drop(old);
    }

    /// Whether somebody waits for an answer.
    pub(crate) fn is_question(&self) -> bool {
        self.word().is_open()
    }

    /// The actor is about to handle the message this ticket lies beside.
    pub(crate) fn claim(self: &Arc<Self>) -> Claim {
        let queued = |word: Word| word.phase() == Phase::Queued;
        match self.change(|word| queued(word).then(|| word.in_phase(Phase::Claimed))) {
            Ok(before) if before.has(CHAINED) => {
                let chain = self.aside.lock().chain.take();
                Claim::Granted(chain.map(|link| {
                    let question = Question { ticket: Arc::downgrade(self), number: before.number() };
                    Asker { link, question }
                }))
            }
            Err(word) if matches!(word.phase(), Phase::Lost(Loss::Expired | Loss::Unhandled)) => {
                Claim::Denied
            }
            // An asker that left does not undo its question.
            Ok(_) | Err(_) => Claim::Granted(None),
        }
    }

    /// The wheel has come to `now`. Returns the tick at which it must look again, if any.
    pub(crate) fn expire(&self, now: u64) -> Option<u64> {
        let mut aside = self.aside.lock();
        if aside.armed > now {
            // It was armed anew meanwhile; that entry is in the wheel by itself.
            return None;
        }
        aside.armed = 0;
        let word = self.word();
        // A question that was just opened has no deadline yet: it is armed anew when its asker waits.
        if !word.is_open() || word.number() != aside.question || aside.deadline == 0 {
            return None;
        }
        if aside.deadline > now {
            aside.armed = aside.deadline;
            return Some(aside.deadline);
        }
        let lost = |word: Word| match word.phase() {
            Phase::Queued => Some(Loss::Expired),
            Phase::Claimed => Some(Loss::TimedOut),
            _ => None,
        };
        let before = self.change(|word| Some(word.in_phase(Phase::Lost(lost(word)?))));
        let waker = if before.is_ok() { aside.waker.take() } else { None };
        drop(aside);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    /// The asker waits. `false` when the question is settled meanwhile.
    fn wait(&self, cx: &Context<'_>, deadline: impl FnOnce() -> u64, arm: impl FnOnce(u64)) -> bool {
        let mut aside = self.aside.lock();
        let number = self.word().number();
        let mut armed = None;
        if aside.question != number {
            aside.question = number;
            aside.deadline = deadline();
            if aside.armed == 0 || aside.armed > aside.deadline {
                aside.armed = aside.deadline;
                armed = Some(aside.deadline);
            }
        }
        let knows = aside.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        let old = if knows { None } else { aside.waker.replace(cx.waker().clone()) };
        drop(aside);
        drop(old);
        if let Some(tick) = armed {
            arm(tick);
        }
        let waits = self.change(|word| word.is_open().then(|| word.with(WAITS))).is_ok();
        if !waits {
            let waker = self.aside.lock().waker.take();
            drop(waker);
        }
        waits
    }

    fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// Settles a question that is open. Returns how it stood.
    fn settle(&self, phase: Phase) -> Result<Word, Word> {
        self.change(|word| word.is_open().then(|| word.in_phase(phase)))
    }

    /// Exchanges the word. Returns what it was before; or what it is, where it is not to be exchanged.
    #[inline]
    fn change(&self, mut to: impl FnMut(Word) -> Option<Word>) -> Result<Word, Word> {
        let to = |word| to(Word(word)).map(|word| word.0);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, to).map(Word).map_err(Word)
    }

    /// Who waits for a question that stood like this when it was settled.
    fn waker(&self, before: Word) -> Option<Waker> {
        if before.has(WAITS) { self.aside.lock().waker.take() } else { None }
    }
}

impl Question {
    /// Whether its asker still waits.
    pub(crate) fn is_open(&self) -> bool {
        self.ticket.upgrade().is_some_and(|ticket| {
            let word = ticket.word();
            word.number() == self.number && word.is_open()
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

//! How do messages reach an actor, and how does the actor get at them?
//!
//! One lock guards everything that waits: messages, signals of the runtime (*controls*), senders without room, and
//! the waker of the actor. Senders push under the lock. The actor takes all messages at once, by exchanging two
//! rings, and works through them without the lock; between any two it looks at one atomic byte, which says whether
//! controls or waiting senders want attention.
//!
//! # Invariants
//!
//! * `waker` is `Some` exactly while the actor sleeps, awaits inside a handler, or handles a message after which it will
//!   sleep without another look; whoever takes it wakes the actor.
//!   So no wake-up is lost: what is pushed before the actor looks is seen, what is pushed after finds the waker.
//! * `taken` is what the actor took last, `left` how much of it is not handled yet: `left <= taken`.
//! * `queued + left + reserved` never exceeds the capacity but by results whose room had been reserved.
//! * While senders wait, nobody overtakes them, and they are admitted in the order in which they began to wait.
//! * No message is dropped and nobody is woken under the lock.

use std::mem::{self, ManuallyDrop};
use std::task::{Context, Poll, Waker};

use super::Mailbox;
pub(crate) use super::outcome::{Figures, Next, Offered, Pushed};
use super::overflow::{Load, Overflow, Verdict};
use super::priority::Rank;
use super::ring::{Item, Ring};
use super::senders::{Sender, Senders};
use super::store::Store;
use crate::error::Refusal;
use crate::sync::{AtomicU8, AtomicU32, Mutex, MutexGuard, Ordering};

/// Controls wait, or the actor is urged to stop.
pub(super) const CONTROLS: u8 = 1;
/// Senders wait for room.
pub(super) const SENDERS: u8 = 2;
/// The actor has started, or started again.
const BEGUN: u8 = 4;
/// The capacity of a mailbox without a bound.
pub(super) const UNBOUNDED: u32 = u32::MAX;
/// Waiting senders are let in at the latest after this many handled messages: often enough to keep them busy, rare
/// enough that the lock and the wake-ups do not show.
pub(super) const PORTION_LIMIT: u32 = 128;

/// How strongly an actor is asked to end. A stronger urge replaces a weaker one, never the other way round.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Urge {
    /// Take nothing more, handle what is queued, then stop.
    Drain,
    /// Finish the current message, then stop.
    Stop,
    /// Stop at the next await point.
    Kill,
}

/// The coarse time of the one who owns a mailbox: beats since some beginning, and 0 where nobody beats.
pub(crate) trait Pulse {
    fn beats(&self) -> u32;
}

/// The concurrent part of a mailbox: messages `T`, controls `C`, and what its `owner` keeps beside it.
///
/// The order of the fields is kept, because it keeps apart what is read for every message (`attention`) from what
/// senders write for every message (the lock and what follows it): on one cache line they would cost each message a
/// transfer between cores.
#[repr(C)]
pub(crate) struct Inbox<T: Item, C: Item, H> {
    pub(super) attention: AtomicU8,
    pub(super) overflow: Overflow,
    pub(super) single: bool,
    /// How an asker may run the actor on the spot: see [`Inline`](crate::pace::Inline).
    pub(crate) inline: AtomicU8,
    pub(super) capacity: u32,
    /// When what is queued may have begun to wait, and when what is in hand may have or, if a handler awaits, when it
    /// began to. In [beats](Pulse), and never too late.
    pub(super) queued_since: AtomicU32,
    pub(super) in_hand_since: AtomicU32,
    /// Messages that are handled beside the actor: it has not drained before they are done.
    pub(super) beside: AtomicU32,
    pub(super) left: AtomicU32,
    pub(crate) owner: H,
    pub(super) state: Mutex<State<T, C>>,
}

pub(super) struct State<T: Item, C: Item> {
    pub(super) store: Store<T>,
    pub(super) controls: Ring<C>,
    pub(super) senders: Option<Box<Senders<T>>>,
    pub(super) waker: Option<Waker>,
    pub(super) accepted: u64,
    pub(super) taken: u32,
    pub(super) deepest: u32,
    pub(super) reserved: u32,
    pub(super) urge: Option<Urge>,
    /// The waker is for controls only: a handler awaits, and messages must not disturb it.
    pub(super) controls_only: bool,
    /// Takes no more messages.
    pub(super) closed: bool,
    /// Takes no more controls either: the actor is gone.
    pub(super) finished: bool,
}

impl<T: Item, C: Item, H: Pulse> Inbox<T, C, H> {
    /// An inbox as `mailbox` says, and the function that ranks its messages, if any.
    pub(crate) fn new<M>(mailbox: Mailbox<M>, owner: H) -> (Self, Option<Rank<M>>) {
        let capacity = mailbox
            .capacity
            .map_or(UNBOUNDED, |messages| u32::try_from(messages).unwrap_or(UNBOUNDED).min(UNBOUNDED - 1));
        let ranked = mailbox.rank.is_some();
        let bounded = mailbox.capacity.is_some();
        let inbox = Self {
            state: Mutex::new(State {
                store: Store::new(ranked),
                controls: Ring::default(),
                senders: None,
                waker: None,
                accepted: 0,
                taken: 0,
                deepest: 0,
                reserved: 0,
                urge: None,
                controls_only: false,
                closed: false,
                finished: false,
            }),
            left: AtomicU32::new(0),
            beside: AtomicU32::new(0),
            attention: AtomicU8::new(0),
            overflow: mailbox.overflow,
            single: ranked || (bounded && mailbox.overflow == Overflow::DropOldest),
            inline: AtomicU8::new(0),
            capacity,
            queued_since: AtomicU32::new(0),
            in_hand_since: AtomicU32::new(0),
            owner,
        };
        (inbox, mailbox.rank)
    }

    /// The most messages it holds; `usize::MAX` without a bound.
    pub(crate) fn capacity(&self) -> usize {
        if self.capacity == UNBOUNDED { usize::MAX } else { self.capacity as usize }
    }

    // ---- senders ----------------------------------------------------------------------------------------------

    /// Puts a message in by the way that is right nearly always: there is room, nobody waits for it, and the ring need
    /// not grow. Anything else decides nothing and gives the message back.
    ///
    /// Nothing here may unwind while it owns the message: so no landing pad takes its address, and it goes from the
    /// sender's registers to its place. That measured twice as fast as through memory.
    #[expect(clippy::inline_always, reason = "measured, see above")]
    #[inline(always)]
    pub(crate) fn push_now(&self, message: T) -> Result<(), T> {
        let message = ManuallyDrop::new(message);
        let mut state = self.state.lock();
        if !self.surely_has_room(&state) {
            drop(state);
            return Err(ManuallyDrop::into_inner(message));
        }
        self.note_arrival(&state);
        if let Err(message) = state.store.push_now(ManuallyDrop::into_inner(message)) {
            let message = ManuallyDrop::new(message);
            drop(state);
            return Err(ManuallyDrop::into_inner(message));
        }
        self.count(&mut state);
        let waker = state.wake_for_message();
        drop(state);
        wake(waker);
        Ok(())
    }

    /// Puts a message in, or says what became of it. Never waits.
    #[cold]
    pub(crate) fn push(&self, rank: u8, message: T) -> Pushed<T> {
        let mut state = self.state.lock();
        let pushed = self.place(&mut state, rank, message);
        wake_if_queued(state, &pushed);
        pushed
    }

    /// Puts a message in, or lets it wait for room in order.
    #[cold]
    pub(crate) fn offer(&self, rank: u8, message: T, cx: &Context<'_>) -> Offered<T> {
        let mut state = self.state.lock();
        let pushed = match self.place(&mut state, rank, message) {
            Pushed::Refused(message, Refusal::Full { .. }) => {
                let number = state.stand_in_line(rank, Some(message), cx);
                self.call_for_room(state);
                return Offered::Waits(number);
            }
            pushed => pushed,
        };
        wake_if_queued(state, &pushed);
        Offered::Settled(pushed)
    }

    /// Puts a message in as a sender does who does not wait.
    #[cfg(test)]
    pub(crate) fn pushed(&self, rank: u8, message: T) -> Pushed<T> {
        match self.push_now(message) {
            Ok(()) => Pushed::Queued,
            Err(message) => self.push(rank, message),
        }
    }

    /// Puts a message in as a sender does who can wait.
    #[cfg(test)]
    pub(crate) fn offered(&self, rank: u8, message: T, cx: &Context<'_>) -> Offered<T> {
        match self.push_now(message) {
            Ok(()) => Offered::Settled(Pushed::Queued),
            Err(message) => self.offer(rank, message, cx),
        }
    }

    /// Somebody waits for room now. An actor that handles a lone message is woken for that: it would not look.
    pub(super) fn call_for_room(&self, mut state: MutexGuard<'_, State<T, C>>) {
        self.attention.fetch_or(SENDERS, Ordering::Relaxed);
        let waker = state.wake_for_message();
        drop(state);
        wake(waker);
    }

    /// Whether the message that waits under `number` is in.
    pub(crate) fn poll_admitted(&self, number: u64, cx: &Context<'_>) -> Poll<Result<(), (T, Refusal)>> {
        self.poll_line(number, cx).map(|line| match line {
            Err(Sender { message: Some(message), .. }) => Err((message, Refusal::Stopped)),
            Err(_) | Ok(()) => Ok(()),
        })
    }

    /// Whether the sender of this number was let in. It is given back when the mailbox is closed.
    pub(super) fn poll_line(&self, number: u64, cx: &Context<'_>) -> Poll<Result<(), Sender<T>>> {
        let mut state = self.state.lock();
        let closed = state.closed;
        let Some(senders) = &mut state.senders else { return Poll::Ready(Ok(())) };
        if closed {
            let sender = senders.leave(number);
            drop(state);
            return Poll::Ready(sender.map_or(Ok(()), Err));
        }
        let Some(sender) = senders.get_mut(number) else { return Poll::Ready(Ok(())) };
        if !sender.waker.will_wake(cx.waker()) {
            let old = mem::replace(&mut sender.waker, cx.waker().clone());
            drop(state);
            drop(old);
        }
        Poll::Pending
    }

    /// Takes back a message that waits for room. `None` when it is in already.
    pub(crate) fn withdraw(&self, number: u64) -> Option<T> {
        let mut state = self.state.lock();
        let sender = state.senders.as_mut().and_then(|senders| senders.leave(number));
        drop(state);
        sender.and_then(|sender| sender.message)
    }

    // ---- the runtime ------------------------------------------------------------------------------------------

    /// Hands a control to the actor. Gives it back when the actor is gone.
    pub(crate) fn control(&self, control: C) -> Result<(), C> {
        let mut state = self.state.lock();
        if state.finished {
            return Err(control);
        }
        state.controls.push_back(control);
        self.attention.fetch_or(CONTROLS, Ordering::Relaxed);
        let waker = state.wake_for_control();
        drop(state);
        wake(waker);
        Ok(())
    }

    /// Urges the actor to end.
    pub(crate) fn urge(&self, urge: Urge) {
        let mut state = self.state.lock();
        if state.finished || state.urge >= Some(urge) {
            return;
        }
        state.urge = Some(urge);
        self.attention.fetch_or(CONTROLS, Ordering::Relaxed);
        let waker = state.wake_for_control();
        drop(state);
        wake(waker);
    }

    /// Wakes the actor, though there is nothing to do.
    pub(crate) fn wake_up(&self) {
        let waker = self.state.lock().wake_for_control();
        wake(waker);
    }

    /// The actor has started, or started again; or it has not.
    pub(crate) fn note_begun(&self, begun: bool) {
        if begun {
            self.attention.fetch_or(BEGUN, Ordering::Relaxed);
        } else {
            self.attention.fetch_and(!BEGUN, Ordering::Relaxed);
        }
    }

    /// Whether the actor has started.
    pub(crate) fn has_begun(&self) -> bool {
        self.attention.load(Ordering::Relaxed) & BEGUN != 0
    }

    /// How strongly the actor is urged to end, if at all. Sticky: an urge is never taken back.
    pub(crate) fn urged(&self) -> Option<Urge> {
        self.state.lock().urge
    }

    pub(crate) fn figures(&self) -> Figures {
        let state = self.state.lock();
        let asleep = state.waker.is_some() && !state.controls_only && self.left(&state) == 0;
        let beside = state.reserved > 0 || self.beside.load(Ordering::Relaxed) > 0;
        let waits = beside || !state.store.is_empty() || !state.controls.is_empty();
        let awaits = state.waker.is_some() && state.controls_only;
        let in_hand_since = self.in_hand_since.load(Ordering::Relaxed);
        Figures {
            depth: state.store.len() + self.left(&state),
            oldest_since: match (self.left(&state), state.store.len()) {
                (0, 0) => None,
                (0, _) => Some(self.queued_since.load(Ordering::Relaxed)),
                _ => Some(in_hand_since),
            },
            awaits_since: awaits.then_some(in_hand_since),
            asleep,
            begun: self.attention.load(Ordering::Relaxed) & BEGUN != 0,
            closed: state.closed,
            capacity: self.capacity(),
            deepest: state.deepest as usize,
            accepted: state.accepted,
            idle: state.finished || (asleep && !waits),
        }
    }

    // ---- inside -----------------------------------------------------------------------------------------------

    /// Whether a message can be put in, by a bound that is quick to look at. `false` decides nothing.
    #[inline]
    fn surely_has_room(&self, state: &State<T, C>) -> bool {
        let bound = || state.store.len() + state.taken as usize + state.reserved as usize;
        let contested = self.attention.load(Ordering::Relaxed) & SENDERS != 0;
        !state.closed && !contested && (self.capacity == UNBOUNDED || bound() < self.capacity as usize)
    }

    /// Puts a message where its turn is, or says why not.
    fn place(&self, state: &mut State<T, C>, rank: u8, message: T) -> Pushed<T> {
        if state.closed {
            return Pushed::Refused(message, Refusal::Stopped);
        }
        if self.capacity == UNBOUNDED {
            self.insert(state, rank, message);
            return Pushed::Queued;
        }
        match self.overflow.decide(self.load(state)) {
            Verdict::Queue => {
                self.insert(state, rank, message);
                Pushed::Queued
            }
            Verdict::DisplaceOldest => {
                let oldest = state.store.displace();
                self.insert(state, rank, message);
                oldest.map_or(Pushed::Queued, Pushed::Displaced)
            }
            Verdict::Drop => Pushed::Dropped(message),
            Verdict::Refuse => Pushed::Refused(message, Refusal::Full { capacity: self.capacity() }),
        }
    }

    fn insert(&self, state: &mut State<T, C>, rank: u8, message: T) {
        self.note_arrival(state);
        state.store.push(rank, message);
        self.count(state);
    }

    /// A message arrives: the first one of an idle actor begins to wait now.
    #[inline]
    fn note_arrival(&self, state: &State<T, C>) {
        if state.store.is_empty() && (state.taken == 0 || state.waker.is_some()) {
            self.queued_since.store(self.owner.beats(), Ordering::Relaxed);
        }
    }

    /// Counts a message that was put in.
    #[inline]
    pub(super) fn count(&self, state: &mut State<T, C>) {
        state.accepted += 1;
        // `taken` is an upper bound that costs nothing; the exact figure is on a cache line the actor writes to.
        if state.store.len() + state.taken as usize > state.deepest as usize {
            state.deepest = state.deepest.max(count(state.store.len() + self.left(state)));
        }
    }

    pub(super) fn load(&self, state: &State<T, C>) -> Load {
        let queued = state.store.len();
        let contested = state.senders.as_ref().is_some_and(|senders| !senders.is_empty());
        let reserved = state.reserved as usize;
        let capacity = self.capacity();
        let displaceable = state.store.displaceable();
        let in_hand = match self.overflow {
            // What is being handled can no longer be dropped, so it does not count.
            Overflow::DropOldest => 0,
            _ if queued + reserved + (state.taken as usize) < capacity => state.taken as usize,
            _ => self.left(state),
        };
        Load { depth: queued + reserved + in_hand, displaceable, capacity, contested }
    }

    fn left(&self, state: &State<T, C>) -> usize {
        self.left.load(Ordering::Acquire).min(state.taken) as usize
    }

    /// Lets in those who wait, in order, as far as there is room.
    pub(super) fn admit(&self, state: &mut State<T, C>) -> Vec<Waker> {
        let mut admitted = Vec::new();
        if self.attention.load(Ordering::Relaxed) & SENDERS == 0 || state.closed {
            return admitted;
        }
        // Exact, where a bound would let in too few: the actor is the one who calls, and `left` its own.
        let depth = state.store.len() + state.reserved as usize + self.left(state);
        let mut room = self.capacity().saturating_sub(depth);
        while room > 0 {
            let Some(sender) = state.senders.as_mut().and_then(|senders| senders.admit()) else { break };
            match sender.message {
                Some(message) => self.insert(state, sender.rank, message),
                None => state.reserved += 1,
            }
            admitted.push(sender.waker);
            room -= 1;
        }
        if state.senders.as_ref().is_none_or(|senders| senders.is_empty()) {
            self.attention.fetch_and(!SENDERS, Ordering::Relaxed);
        }
        admitted
    }
}

impl<T: Item, C: Item> State<T, C> {
    /// Waits for room behind all who do.
    pub(super) fn stand_in_line(&mut self, rank: u8, message: Option<T>, cx: &Context<'_>) -> u64 {
        self.senders.get_or_insert_default().enter(Sender { rank, message, waker: cx.waker().clone() })
    }

    pub(super) fn wake_for_message(&mut self) -> Option<Waker> {
        if self.controls_only { None } else { self.waker.take() }
    }

    pub(super) fn wake_for_control(&mut self) -> Option<Waker> {
        self.waker.take()
    }
}

/// A number of messages, in half the space.
pub(super) fn count(messages: usize) -> u32 {
    u32::try_from(messages).unwrap_or(u32::MAX)
}

/// A message was placed, or not: wakes the actor for it, without the lock.
fn wake_if_queued<T: Item, C: Item>(mut state: MutexGuard<'_, State<T, C>>, pushed: &Pushed<T>) {
    let waker = if matches!(pushed, Pushed::Queued) { state.wake_for_message() } else { None };
    drop(state);
    wake(waker);
}

pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[inline]
pub(super) fn wake_all(wakers: Vec<Waker>) {
    if !wakers.is_empty() {
        wake_each(wakers);
    }
}

#[cold]
fn wake_each(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

//! How does an actor get at what waits for it?
//!
//! The other side of the [`Inbox`]: only the task of its actor calls this. It takes all messages at once, and works
//! through them without the lock.
//!
//! # Invariants
//!
//! * The waker is left under the lock under which the actor saw that there is nothing to do.
//! * With a lone message the waker is left under the lock under which it was taken, so that the actor need not look again.
//! * `left` is never less than what is in the actor's hand: what it tells late, it tells too high.

use std::task::{Context, Poll};

use super::inbox::{CONTROLS, Inbox, Next, PORTION_LIMIT, Pulse, SENDERS, State, Urge, count, wake_all};
use super::ring::{Item, Ring};
use crate::sync::Ordering;

impl<T: Item, C: Item, H: Pulse> Inbox<T, C, H> {
    /// Whether controls want attention. Cheap: asked between any two messages.
    pub(crate) fn wants_control(&self) -> bool {
        self.attention.load(Ordering::Relaxed) & CONTROLS != 0
    }

    /// The next control; or, when there are no more, how strongly the actor is urged to end. Both are looked at under
    /// one lock, under which their common sign is cleared.
    pub(crate) fn next_control(&self) -> Result<C, Option<Urge>> {
        let mut state = self.state.lock();
        state.controls.pop_front().ok_or_else(|| {
            self.attention.fetch_and(!CONTROLS, Ordering::Relaxed);
            state.urge
        })
    }

    /// Waits for something to do. A message is put into `next`, which is empty, as is `batch`, which receives what
    /// follows it. (Through an enum on the way back it would be copied twice more.)
    ///
    /// `dozes` says whether the waker may be left with a message that came alone, and then whether it was: that actor is
    /// woken by whatever comes next, and may [`doze`](Self::doze) after the message.
    #[inline]
    pub(crate) fn poll_into(
        &self,
        next: &mut Option<T>,
        batch: &mut Ring<T>,
        dozes: &mut bool,
        cx: &Context<'_>,
    ) -> Poll<Next<()>> {
        let mut state = self.state.lock();
        let waker = state.waker.take();
        state.taken = 0;
        self.left.store(0, Ordering::Relaxed);
        let attention = self.attention.load(Ordering::Relaxed);
        if attention & CONTROLS != 0 {
            drop(state);
            return Poll::Ready(Next::Controls);
        }
        let admitted = if attention & SENDERS == 0 { Vec::new() } else { self.admit(&mut state) };
        *next = if self.single { state.store.pop() } else { state.store.take_all(batch) };
        if next.is_some() {
            state.taken = count(1 + batch.len());
            self.left.store(state.taken, Ordering::Relaxed);
            self.note_taken(&state);
            *dozes &= batch.is_empty() && state.store.is_empty() && !state.closed;
            if *dozes {
                state.waker = waker.or_else(|| Some(cx.waker().clone()));
                state.controls_only = false;
            }
            drop(state);
            wake_all(admitted);
            return Poll::Ready(Next::Message(()));
        }
        if state.closed && state.reserved == 0 && self.beside.load(Ordering::Relaxed) == 0 {
            return Poll::Ready(Next::Drained);
        }
        state.waker = Some(cx.waker().clone());
        state.controls_only = false;
        state.store.trim();
        batch.trim();
        Poll::Pending
    }

    /// As [`poll_into`](Self::poll_into), with the message.
    #[cfg(test)]
    pub(crate) fn poll_next(&self, batch: &mut Ring<T>, dozes: &mut bool, cx: &Context<'_>) -> Poll<Next<T>> {
        let mut next = None;
        self.poll_into(&mut next, batch, dozes, cx).map(|found| match (found, next) {
            (Next::Message(()), Some(message)) => Next::Message(message),
            (Next::Controls, None) => Next::Controls,
            (Next::Drained, None) => Next::Drained,
            _ => panic!("a message, and nothing else, comes with a message"),
        })
    }

    /// A lone message is handled. Whether the actor may sleep without another look; else it has to look.
    pub(crate) fn doze(&self) -> bool {
        // Whoever sees that nothing is in hand sees what the handler did.
        self.left.store(0, Ordering::Release);
        self.attention.load(Ordering::Relaxed) & (CONTROLS | SENDERS) == 0
    }

    /// After how many handled messages those who wait are let in.
    pub(crate) fn portion(&self) -> u32 {
        (self.capacity / 8).clamp(1, PORTION_LIMIT)
    }

    /// Messages were taken: what is queued from now on waits since now at the earliest.
    fn note_taken(&self, state: &State<T, C>) {
        self.in_hand_since.store(self.queued_since.load(Ordering::Relaxed), Ordering::Relaxed);
        if state.store.is_empty() {
            self.queued_since.store(self.owner.beats(), Ordering::Relaxed);
        }
    }

    /// A handler begins to await.
    pub(crate) fn note_pause(&self) {
        self.in_hand_since.store(self.owner.beats(), Ordering::Relaxed);
    }

    /// So many more messages are handled, `left` of those taken are not. From time to time this is told to the senders,
    /// and those that wait are let in: `since` counts the messages since the last time.
    pub(crate) fn handled(&self, left: usize, messages: u32, since: &mut u32) {
        *since += messages;
        if *since >= self.portion() {
            *since = 0;
            self.tell_left(left);
        }
    }

    /// Tells the senders how many of the messages taken are not handled yet.
    pub(crate) fn tell_left(&self, left: usize) {
        self.left.store(count(left), Ordering::Relaxed);
        if self.attention.load(Ordering::Relaxed) & SENDERS != 0 {
            let mut state = self.state.lock();
            let admitted = self.admit(&mut state);
            drop(state);
            wake_all(admitted);
        }
    }

    /// A handler awaits: only controls may wake it, besides what it waits for. Lets waiting senders in, since this
    /// may take long, and returns how strongly the actor is urged to end.
    pub(crate) fn pause(&self, left: usize, cx: &Context<'_>) -> Option<Urge> {
        self.left.store(count(left), Ordering::Relaxed);
        let mut state = self.state.lock();
        let admitted = self.admit(&mut state);
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        state.controls_only = true;
        let urge = state.urge;
        drop(state);
        wake_all(admitted);
        urge
    }

    /// Waits for a control or an urge that was not there before; messages stay where they are.
    pub(crate) fn poll_control(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if self.attention.load(Ordering::Relaxed) & CONTROLS != 0 {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        state.controls_only = true;
        Poll::Pending
    }

    /// The actor is awake for a reason of its own (a timer): it no longer counts as asleep.
    pub(crate) fn rouse(&self) {
        self.state.lock().waker = None;
    }

    /// Takes no more messages. Senders that wait get theirs back.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = state.senders.iter().flat_map(|senders| senders.wakers()).collect();
        drop(state);
        wake_all(waiting);
    }

    /// The actor is gone: takes nothing any more, and returns what nobody will handle.
    pub(crate) fn finish(&self) -> (Vec<T>, Vec<C>) {
        self.close();
        let mut state = self.state.lock();
        state.finished = true;
        state.waker = None;
        state.taken = 0;
        self.left.store(0, Ordering::Relaxed);
        let messages = std::iter::from_fn(|| state.store.pop()).collect();
        let controls = state.controls.drain().collect();
        state.store.trim();
        drop(state);
        (messages, controls)
    }
}

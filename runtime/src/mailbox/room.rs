//! How does somebody keep room for a message that is not there yet?
//!
//! Room is *reserved*, and counts like a message until it is filled or given back. What runs beside the actor and is no
//! message any more holds up a drain in the same way, and takes no room.
//!
//! # Invariants
//!
//! * Reserved room is filled or given back once.
//! * A closed mailbox has not drained while room is reserved or anything runs beside its actor.

use std::task::{Context, Poll};

use super::inbox::{Inbox, Pulse, State, UNBOUNDED, wake};
use super::overflow::{Overflow, Verdict};
use super::ring::Item;
use crate::error::Refusal;
use crate::sync::Ordering;

impl<T: Item, C: Item, H: Pulse> Inbox<T, C, H> {
    /// Whether room is reserved for the one who waits under `number`.
    pub(crate) fn poll_room(&self, number: u64, cx: &Context<'_>) -> Poll<Result<(), Refusal>> {
        self.poll_line(number, cx).map(|line| line.map_err(|_| Refusal::Stopped))
    }

    /// Waits for reserved room no more, and gives it back if it was let in already.
    pub(crate) fn leave_line(&self, number: u64) {
        let mut state = self.state.lock();
        let waited = state.senders.as_mut().is_some_and(|senders| senders.leave(number).is_some());
        drop(state);
        if !waited {
            self.release();
        }
    }

    /// Keeps room for one message which [`fulfil`](Self::fulfil) or [`release`](Self::release) settles. The message
    /// that had to go for it, if any, is returned.
    pub(crate) fn reserve(&self) -> Result<Option<T>, Refusal> {
        self.state.lock().reserve(self)
    }

    /// As [`reserve`](Self::reserve); where there is no room now, waits in line for it under the number that is
    /// returned, which [`poll_room`](Self::poll_room) and [`leave_line`](Self::leave_line) know.
    pub(crate) fn reserve_or_wait(&self, cx: &Context<'_>) -> Result<Result<Option<T>, u64>, Refusal> {
        let mut state = self.state.lock();
        match state.reserve(self) {
            Ok(displaced) => Ok(Ok(displaced)),
            Err(Refusal::Full { .. }) => {
                let number = state.stand_in_line(0, None, cx);
                self.call_for_room(state);
                Ok(Err(number))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Puts in a message whose room was reserved; one that is to be `kept` is never dropped for another. Gives it back
    /// when the actor has stopped.
    pub(crate) fn fulfil(&self, rank: u8, message: T, kept: bool) -> Result<(), T> {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(1);
        if state.finished {
            return Err(message);
        }
        if kept && self.overflow == Overflow::DropOldest && self.capacity != UNBOUNDED {
            state.store.push_kept(message);
        } else {
            state.store.push(rank, message);
        }
        self.count(&mut state);
        let waker = state.wake_for_message();
        drop(state);
        wake(waker);
        Ok(())
    }

    /// Gives back reserved room unused.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(1);
        let waker = state.wake_for_control();
        drop(state);
        wake(waker);
    }

    /// One message more is handled beside the actor, until [`end_beside`](Self::end_beside).
    pub(crate) fn begin_beside(&self) {
        self.beside.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end_beside(&self) {
        // Whoever reads this under the lock before, leaves a waker there before.
        if self.beside.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        let mut state = self.state.lock();
        let waker = if state.closed { state.wake_for_control() } else { None };
        drop(state);
        wake(waker);
    }
}

impl<T: Item, C: Item> State<T, C> {
    fn reserve<H: Pulse>(&mut self, inbox: &Inbox<T, C, H>) -> Result<Option<T>, Refusal> {
        if self.closed {
            return Err(Refusal::Stopped);
        }
        let capacity = inbox.capacity();
        let displaced = match inbox.overflow.decide(inbox.load(self)) {
            Verdict::Queue => None,
            Verdict::DisplaceOldest => self.store.displace(),
            Verdict::Refuse => return Err(Refusal::Full { capacity }),
            Verdict::Drop => return Err(Refusal::Overflowed { capacity }),
        };
        self.reserved += 1;
        Ok(displaced)
    }
}

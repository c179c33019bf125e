//! Who waits for room in a full mailbox?
//!
//! Senders, each with its message, in the order in which they began to wait. The mailbox keeps this behind its lock,
//! and lets in whom there is room for. Who has no message yet gets room reserved instead.
//!
//! # Invariants
//!
//! * A message lies here or was handed out, by [`admit`](Senders::admit) or by [`leave`](Senders::leave): never both.
//! * Who waits longest is admitted first.

use std::collections::BTreeMap;
use std::task::Waker;

/// Senders that wait for room.
pub(super) struct Senders<T> {
    next_number: u64,
    waiting: BTreeMap<u64, Sender<T>>,
}

/// One of them.
pub(super) struct Sender<T> {
    pub(super) rank: u8,
    /// `None` waits for reserved room.
    pub(super) message: Option<T>,
    pub(super) waker: Waker,
}

impl<T> Default for Senders<T> {
    fn default() -> Self {
        Self { next_number: 0, waiting: BTreeMap::new() }
    }
}

impl<T> Senders<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Begins to wait, behind all others. Returns the number of the sender.
    pub(super) fn enter(&mut self, sender: Sender<T>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.insert(number, sender);
        number
    }

    /// The sender of this number, while it waits.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Sender<T>> {
        self.waiting.get_mut(&number)
    }

    /// Waits no more. `None` when it was admitted already.
    pub(super) fn leave(&mut self, number: u64) -> Option<Sender<T>> {
        self.waiting.remove(&number)
    }

    /// The one whose turn it is.
    pub(super) fn admit(&mut self) -> Option<Sender<T>> {
        self.waiting.pop_first().map(|(_, sender)| sender)
    }

    /// How to wake all of them, in order.
    pub(super) fn wakers(&self) -> impl Iterator<Item = Waker> {
        self.waiting.values().map(|sender| sender.waker.clone())
    }
}

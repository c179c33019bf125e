//! Where do queued messages lie?
//!
//! The first of them lies inline, so that an actor which gets one message at a time never allocates for it; the rest
//! lies in a ring that is handed to the actor whole. With a priority mailbox everything lies in a heap instead.
//!
//! # Invariants
//!
//! * `rest` is only used while `first` is taken: the order of arrival is `first`, then `rest`.
//! * With `ranked`, `first` and `rest` stay empty.

use std::collections::VecDeque;
use std::mem;

use super::priority::Ranked;

/// A drained ring of more than this many messages gives its memory back when the actor goes to sleep. A smaller one
/// is kept, or a steady trickle of small bursts would allocate once per burst.
const KEEP_MESSAGES: usize = 32;

/// Messages in order.
pub(crate) struct Store<T> {
    first: Option<T>,
    rest: VecDeque<T>,
    ranked: Option<Box<Ranked<T>>>,
}

impl<T> Store<T> {
    /// `ranked`: whether messages leave by rank.
    pub(crate) fn new(ranked: bool) -> Self {
        Self { first: None, rest: VecDeque::new(), ranked: ranked.then(|| Box::new(Ranked::new())) }
    }

    /// `rank` is only looked at where messages leave by rank.
    pub(crate) fn push(&mut self, rank: u8, item: T) {
        if let Some(ranked) = &mut self.ranked {
            ranked.push(rank, item);
        } else if self.first.is_none() && self.rest.is_empty() {
            self.first = Some(item);
        } else {
            self.rest.push_back(item);
        }
    }

    /// The next in order.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if let Some(ranked) = &mut self.ranked {
            return ranked.pop();
        }
        let first = self.first.take();
        if first.is_some() { first } else { self.rest.pop_front() }
    }

    /// Takes everything: the first is returned, the rest is exchanged for the empty ring in `rest`.
    pub(crate) fn take_all(&mut self, rest: &mut VecDeque<T>) -> Option<T> {
        debug_assert!(rest.is_empty(), "what was taken before is handled first");
        let first = self.first.take()?;
        mem::swap(&mut self.rest, rest);
        Some(first)
    }

    pub(crate) fn len(&self) -> usize {
        match &self.ranked {
            Some(ranked) => ranked.len(),
            None => usize::from(self.first.is_some()) + self.rest.len(),
        }
    }

    /// Gives back the memory of a burst that is over.
    pub(crate) fn trim(&mut self) {
        trim(&mut self.rest);
    }
}

/// Gives back the memory of a ring that is empty and was large.
pub(crate) fn trim<T>(ring: &mut VecDeque<T>) {
    if ring.is_empty() && ring.capacity() > KEEP_MESSAGES {
        *ring = VecDeque::new();
    }
}

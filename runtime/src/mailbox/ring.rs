//! Where do messages lie that wait behind the first?
//!
//! In a ring that grows and is handed from the mailbox to the actor whole. Most actors never have two messages at
//! once: what they would need for it lies behind one pointer.

use std::collections::VecDeque;

/// A drained ring of more than this many messages gives its memory back when the actor goes to sleep. A smaller one
/// is kept, or a steady trickle of small bursts would allocate once per burst.
const KEEP_MESSAGES: usize = 32;

/// A queue that owns no memory until it is used.
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Ring<T> {
    items: Option<Box<Items<T>>>,
}

#[cfg_attr(test, derive(Clone))]
struct Items<T> {
    queue: VecDeque<T>,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { items: None }
    }
}

impl<T> Ring<T> {
    #[inline]
    fn items(&mut self) -> &mut VecDeque<T> {
        &mut self.items.get_or_insert_with(|| Box::new(Items { queue: VecDeque::new() })).queue
    }

    #[expect(clippy::inline_always, reason = "measured: see `Cell::deliver`")]
    #[inline(always)]
    pub(crate) fn push_back(&mut self, item: T) {
        self.items().push_back(item);
    }

    pub(crate) fn push_front(&mut self, item: T) {
        self.items().push_front(item);
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        self.items.as_mut()?.queue.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.as_ref().map_or(0, |items| items.queue.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives back the memory of a burst that is over.
    pub(crate) fn trim(&mut self) {
        if self
            .items
            .as_ref()
            .is_some_and(|items| items.queue.is_empty() && items.queue.capacity() > KEEP_MESSAGES)
        {
            self.items = None;
        }
    }

    /// Takes out all there is, in order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.pop_front())
    }

    #[cfg(all(test, not(omnitron_loom)))]
    pub(crate) fn capacity(&self) -> usize {
        self.items.as_ref().map_or(0, |items| items.queue.capacity())
    }
}

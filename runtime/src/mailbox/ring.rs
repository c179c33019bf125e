//! Where do messages lie that wait behind the first?
//!
//! In a ring that grows and is handed from the mailbox to the actor whole. Most actors never have two messages at
//! once: what they would need for it lies behind one pointer. What only few messages carry lies in a ring of its own
//! beside, so that the others are as small as they can be: the memory that goes from the sender's core to the actor's
//! is what limits a busy mailbox.
//!
//! # Invariants
//!
//! * `notes` are in the order of their bodies, each with the number of its body. `gone` is the number of the first
//!   body there is; numbers wrap.

use std::collections::VecDeque;

/// A drained ring of more than this many messages gives its memory back when the actor goes to sleep. A smaller one
/// is kept, or a steady trickle of small bursts would allocate once per burst.
const KEEP_MESSAGES: usize = 32;

/// What a ring holds: a body, and for few of them a note.
pub(crate) trait Item {
    type Body;
    type Note;

    fn split(self) -> (Self::Body, Option<Self::Note>);
    fn join(body: Self::Body, note: Option<Self::Note>) -> Self;
}

/// A queue that owns no memory until it is used.
pub(crate) struct Ring<T: Item> {
    items: Option<Box<Items<T>>>,
}

struct Items<T: Item> {
    bodies: VecDeque<T::Body>,
    notes: VecDeque<(u64, T::Note)>,
    gone: u64,
}

impl<T: Item> Default for Ring<T> {
    fn default() -> Self {
        Self { items: None }
    }
}

impl<T: Item> Items<T> {
    fn new() -> Self {
        Self { bodies: VecDeque::new(), notes: VecDeque::new(), gone: 0 }
    }

    #[inline]
    fn number(&self) -> u64 {
        self.gone.wrapping_add(self.bodies.len() as u64)
    }
}

impl<T: Item> Ring<T> {
    pub(crate) fn push_back(&mut self, item: T) {
        let items = self.items.get_or_insert_with(|| Box::new(Items::new()));
        let (body, note) = item.split();
        if let Some(note) = note {
            items.notes.push_back((items.number(), note));
        }
        items.bodies.push_back(body);
    }

    /// As [`push_back`](Self::push_back), where nothing has to grow. Gives it back elsewhere.
    #[expect(clippy::inline_always, reason = "measured: see `Inbox::push_now`")]
    #[inline(always)]
    pub(crate) fn push_now(&mut self, item: T) -> Result<(), T> {
        let Some(items) = &mut self.items else { return Err(item) };
        if items.bodies.len() == items.bodies.capacity() {
            return Err(item);
        }
        let (body, note) = item.split();
        if let Some(note) = note {
            if items.notes.len() == items.notes.capacity() {
                return Err(T::join(body, Some(note)));
            }
            items.notes.push_back((items.number(), note));
        }
        items.bodies.push_back(body);
        Ok(())
    }

    pub(crate) fn push_front(&mut self, item: T) {
        let items = self.items.get_or_insert_with(|| Box::new(Items::new()));
        let (body, note) = item.split();
        items.gone = items.gone.wrapping_sub(1);
        if let Some(note) = note {
            items.notes.push_front((items.gone, note));
        }
        items.bodies.push_front(body);
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let items = self.items.as_mut()?;
        let body = items.bodies.pop_front()?;
        let number = items.gone;
        items.gone = number.wrapping_add(1);
        let note = match items.notes.front() {
            Some((of, _)) if *of == number => items.notes.pop_front().map(|(_, note)| note),
            _ => None,
        };
        Some(T::join(body, note))
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.items.as_ref().map_or(0, |items| items.bodies.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives back the memory of a burst that is over.
    pub(crate) fn trim(&mut self) {
        if self
            .items
            .as_ref()
            .is_some_and(|items| items.bodies.is_empty() && items.bodies.capacity() > KEEP_MESSAGES)
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
        self.items.as_ref().map_or(0, |items| items.bodies.capacity())
    }
}

#[cfg(test)]
mod plain {
    use std::convert::Infallible;

    /// Numbers and words of tests carry no notes.
    macro_rules! plain {
        ($($of:ty),*) => {$(
            impl super::Item for $of {
                type Body = Self;
                type Note = Infallible;

                fn split(self) -> (Self, Option<Infallible>) {
                    (self, None)
                }

                fn join(body: Self, _: Option<Infallible>) -> Self {
                    body
                }
            }
        )*};
    }

    plain!(u32, &'static str);
    #[cfg(omnitron_loom)]
    plain!((), u64);

    impl crate::mailbox::inbox::Pulse for () {
        fn beats(&self) -> u32 {
            0
        }
    }
}

#[cfg(all(test, not(omnitron_loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Noted(u8, Option<u8>);

    impl Item for Noted {
        type Body = u8;
        type Note = u8;

        fn split(self) -> (u8, Option<u8>) {
            (self.0, self.1)
        }

        fn join(body: u8, note: Option<u8>) -> Self {
            Self(body, note)
        }
    }

    proptest! {
        /// Every body keeps its own note, whatever is put in at either end and taken out between.
        #[test]
        fn a_ring_is_a_queue_of_whole_items(
            steps in proptest::collection::vec((0..4u8, any::<u8>(), any::<Option<u8>>()), 0..200),
        ) {
            let (mut ring, mut model) = (Ring::default(), VecDeque::new());
            for (step, body, note) in steps {
                let item = Noted(body, note);
                match step {
                    0 => {
                        model.push_back(item.clone());
                        ring.push_back(item);
                    }
                    1 => {
                        model.push_front(item.clone());
                        ring.push_front(item);
                    }
                    2 => match ring.push_now(item.clone()) {
                        Ok(()) => model.push_back(item),
                        Err(back) => prop_assert_eq!(back, item),
                    },
                    _ => prop_assert_eq!(ring.pop_front(), model.pop_front()),
                }
                prop_assert_eq!(ring.len(), model.len());
            }
            prop_assert_eq!(ring.drain().collect::<Vec<_>>(), Vec::from(model));
        }
    }
}

//! Where do queued messages lie?
//!
//! The first of them lies inline, so that an actor which gets one message at a time never allocates for it; the rest
//! lies in a ring that is handed to the actor whole. With a priority mailbox everything lies in a heap instead. Where
//! the oldest may be dropped, messages that may not lie aside, with a note of their turn.
//!
//! # Invariants
//!
//! * `rest` is only used while `first` is taken: the order of arrival is `first`, then `rest`.
//! * With [`Aside::Ranked`], `first` and `rest` stay empty.
//! * With [`Aside::Kept`], at least one message is kept, and every message still leaves in its turn.

use std::collections::VecDeque;
use std::mem;

use super::priority::Ranked;
use super::ring::{Item, Ring};

/// Messages in order.
pub(crate) struct Store<T: Item> {
    first: Option<T>,
    rest: Ring<T>,
    aside: Option<Box<Aside<T>>>,
}

/// What few stores need.
enum Aside<T> {
    Ranked(Ranked<T>),
    Kept(Kept<T>),
}

/// Messages that are never dropped.
struct Kept<T> {
    /// How many of the others have left since this began.
    passed: u64,
    /// In order; each with what `passed` is when its turn has come.
    waiting: VecDeque<(u64, T)>,
}

impl<T: Item> Store<T> {
    /// `ranked`: whether messages leave by rank.
    pub(crate) fn new(ranked: bool) -> Self {
        let aside = ranked.then(|| Box::new(Aside::Ranked(Ranked::new())));
        Self { first: None, rest: Ring::default(), aside }
    }

    /// `rank` is only looked at where messages leave by rank.
    pub(crate) fn push(&mut self, rank: u8, item: T) {
        match self.aside.as_deref_mut() {
            Some(Aside::Ranked(ranked)) => ranked.push(rank, item),
            Some(Aside::Kept(_)) | None if self.first.is_none() && self.rest.is_empty() => {
                self.first = Some(item);
            }
            Some(Aside::Kept(_)) | None => self.rest.push_back(item),
        }
    }

    /// As [`push`](Self::push), where nothing lies aside and nothing has to grow. Gives it back elsewhere.
    #[expect(clippy::inline_always, reason = "measured: see `Inbox::push_now`")]
    #[inline(always)]
    pub(crate) fn push_now(&mut self, item: T) -> Result<(), T> {
        if self.aside.is_some() {
            Err(item)
        } else if self.first.is_none() && self.rest.is_empty() {
            self.first = Some(item);
            Ok(())
        } else {
            self.rest.push_now(item)
        }
    }

    /// Like [`push`](Self::push), but [`displace`](Self::displace) passes over this one. Not for stores that are
    /// ranked or taken whole.
    pub(crate) fn push_kept(&mut self, item: T) {
        let ahead = self.displaceable() as u64;
        let aside = self
            .aside
            .get_or_insert_with(|| Box::new(Aside::Kept(Kept { passed: 0, waiting: VecDeque::new() })));
        match &mut **aside {
            Aside::Kept(kept) => kept.waiting.push_back((kept.passed + ahead, item)),
            Aside::Ranked(ranked) => ranked.push(0, item),
        }
    }

    /// The next in order.
    pub(crate) fn pop(&mut self) -> Option<T> {
        match self.aside.as_deref_mut() {
            None => self.pop_unranked(),
            Some(Aside::Ranked(ranked)) => ranked.pop(),
            Some(Aside::Kept(kept)) => match kept.waiting.pop_front_if(|(turn, _)| *turn <= kept.passed) {
                Some((_, item)) => {
                    if kept.waiting.is_empty() {
                        self.aside = None;
                    }
                    Some(item)
                }
                None => self.displace(),
            },
        }
    }

    /// The oldest of those that may be dropped.
    pub(crate) fn displace(&mut self) -> Option<T> {
        if let Some(Aside::Kept(kept)) = self.aside.as_deref_mut() {
            kept.passed += 1;
        }
        self.pop_unranked()
    }

    fn pop_unranked(&mut self) -> Option<T> {
        let first = self.first.take();
        if first.is_some() { first } else { self.rest.pop_front() }
    }

    /// Takes everything: the first is returned, the rest is exchanged for the empty ring in `rest`.
    pub(crate) fn take_all(&mut self, rest: &mut Ring<T>) -> Option<T> {
        debug_assert!(rest.is_empty(), "what was taken before is handled first");
        debug_assert!(self.aside.is_none(), "what lies aside is taken one by one");
        let first = self.first.take()?;
        mem::swap(&mut self.rest, rest);
        Some(first)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        match self.aside.as_deref() {
            None => self.displaceable(),
            Some(Aside::Ranked(ranked)) => ranked.len(),
            Some(Aside::Kept(kept)) => self.displaceable() + kept.waiting.len(),
        }
    }

    /// How many may be dropped, where messages may be.
    pub(crate) fn displaceable(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Gives back the memory of a burst that is over.
    pub(crate) fn trim(&mut self) {
        self.rest.trim();
    }
}

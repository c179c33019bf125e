//! Who is told when an actor has ended, and how is that told exactly once?
//!
//! Each actor keeps a list of those who watch it, and each watcher a set of those it watches. Ending takes the list,
//! once; what comes too late for the list learns so at once, and tells itself.
//!
//! # Invariants
//!
//! * After [`end`](Watchers::end) the list takes nobody more: [`add`](Watchers::add) gives the watcher back.
//! * A watcher is in a list at most once.
//! * A notice counts only while its target is in the watcher's own set, and takes it out: never twice, and never
//!   after `unwatch`.

use std::collections::BTreeMap;

use crate::sync::Mutex;

/// Those who want to know when one actor has ended. `W` is how they are told.
pub(crate) struct Watchers<W> {
    state: Mutex<State<W>>,
}

/// A list of watchers by number, or the fact that all is over.
enum State<W> {
    Nobody,
    Waiting(Box<List<W>>),
    Ended,
}

/// Most actors have no watcher: what they would need lies behind one pointer. Of the others most have one.
struct List<W> {
    first: Option<(u64, W)>,
    more: BTreeMap<u64, W>,
}

impl<W> List<W> {
    fn contains(&self, number: u64) -> bool {
        self.first.as_ref().is_some_and(|(first, _)| *first == number) || self.more.contains_key(&number)
    }

    fn remove(&mut self, number: u64) -> Option<W> {
        let first = self.first.take_if(|(first, _)| *first == number);
        first.map(|(_, watcher)| watcher).or_else(|| self.more.remove(&number))
    }

    /// Takes out those to whom this applies, in the order of their numbers: actors come before those who wait for them.
    fn extract(&mut self, applies: impl Fn(&W) -> bool) -> Vec<W> {
        let first = self.first.take_if(|(_, watcher)| applies(watcher)).into_iter();
        let more = self.more.extract_if(.., |_, watcher| applies(watcher));
        let mut all: Vec<_> = first.chain(more).collect();
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, watcher)| watcher).collect()
    }
}

impl<W> Watchers<W> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State::Nobody) }
    }

    /// Enters a watcher under its number. Gives it back when the actor has ended: it is to be told at once.
    pub(crate) fn add(&self, number: u64, watcher: W) -> Result<(), W> {
        let mut state = self.state.lock();
        if matches!(*state, State::Nobody) {
            *state = State::Waiting(Box::new(List { first: None, more: BTreeMap::new() }));
        }
        match &mut *state {
            State::Waiting(list) if list.contains(number) => {}
            State::Waiting(list) if list.first.is_none() => list.first = Some((number, watcher)),
            State::Waiting(list) => drop(list.more.insert(number, watcher)),
            State::Nobody | State::Ended => return Err(watcher),
        }
        Ok(())
    }

    /// Whether a watcher is in the list, and so will be told.
    pub(crate) fn contains(&self, number: u64) -> bool {
        matches!(&*self.state.lock(), State::Waiting(list) if list.contains(number))
    }

    /// Takes a watcher out again, if it is in.
    pub(crate) fn remove(&self, number: u64) {
        let mut state = self.state.lock();
        if let State::Waiting(list) = &mut *state {
            let taken = list.remove(number);
            drop(state);
            drop(taken);
        }
    }

    /// The actor has ended: returns those who are to be told. The second time there are none.
    ///
    /// # Errors
    ///
    /// Those who are to be told `first`, taken out, where there are any: the list has not ended. Call again when they have
    /// been told; so nobody learns of the end before them.
    pub(crate) fn end(&self, first: impl Fn(&W) -> bool) -> Result<Vec<W>, Vec<W>> {
        let mut state = self.state.lock();
        if let State::Waiting(list) = &mut *state {
            let before = list.extract(first);
            if !before.is_empty() {
                return Err(before);
            }
        }
        Ok(match std::mem::replace(&mut *state, State::Ended) {
            State::Waiting(mut list) => list.extract(|_| true),
            State::Nobody | State::Ended => Vec::new(),
        })
    }

    #[cfg(all(test, not(omnitron_loom)))]
    pub(crate) fn len(&self) -> usize {
        match &*self.state.lock() {
            State::Waiting(list) => usize::from(list.first.is_some()) + list.more.len(),
            State::Nobody | State::Ended => 0,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(*self.state.lock(), State::Ended)
    }
}

#[cfg(all(test, omnitron_loom))]
mod loom;
#[cfg(all(test, not(omnitron_loom)))]
mod tests;

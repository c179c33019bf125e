//! What does the writer of a server know, so that it need not ask?
//!
//! A [`Lane`] is the writer's hold on a slice: as long as the server finds its epoch and its session in the fence, nobody else has written to
//! the slice, and what is remembered of it is true. The last sequences of ids are remembered in two halves; when the young half is full,
//! the old one is forgotten.
//!
//! # Invariants
//!
//! * A last sequence counts only as long as the lane stands under which it was learned.
//! * No more than the given number of ids is remembered.

use std::collections::BTreeMap;

use crate::id::PersistenceId;

/// The hold on a slice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Lane {
    /// Of the owner for whom the slice is held.
    pub(crate) epoch: u64,
    /// Of this connection: what an earlier one left on its way is refused.
    pub(crate) session: i64,
    /// The last ordinal that was given.
    pub(crate) ordinal: u64,
}

#[derive(Debug)]
pub(crate) struct Memory {
    lanes: BTreeMap<u32, Lane>,
    young: Known,
    old: Known,
    half: usize,
}

/// The last sequence of ids, and the session under which it was learned.
type Known = BTreeMap<PersistenceId, (i64, u64)>;

impl Memory {
    /// Remembers about `ids` ids.
    pub(crate) fn new(ids: usize) -> Self {
        Self { lanes: BTreeMap::new(), young: Known::new(), old: Known::new(), half: (ids / 2).max(1) }
    }

    pub(crate) fn lane(&self, slice: u32) -> Option<Lane> {
        self.lanes.get(&slice).copied()
    }

    pub(crate) fn hold(&mut self, slice: u32, lane: Lane) {
        self.lanes.insert(slice, lane);
    }

    pub(crate) fn lose(&mut self, slice: u32) {
        self.lanes.remove(&slice);
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&mut self) {
        self.lanes.clear();
        self.young.clear();
        self.old.clear();
    }

    pub(crate) fn last(&self, id: &PersistenceId, lane: Lane) -> Option<u64> {
        let known = self.young.get(id).or_else(|| self.old.get(id));
        known.and_then(|&(session, last)| (session == lane.session).then_some(last))
    }

    pub(crate) fn learn(&mut self, id: PersistenceId, lane: Lane, last: u64) {
        if let Some(known) = self.young.get_mut(&id) {
            *known = (lane.session, last);
            return;
        }
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, (lane.session, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> PersistenceId {
        PersistenceId::new(format!("id-{number}")).unwrap()
    }

    #[test]
    fn what_was_learned_counts_for_the_session_it_was_learned_in_alone() {
        let mut memory = Memory::new(10);
        let lane = Lane { epoch: 1, session: 7, ordinal: 0 };
        memory.learn(id(1), lane, 5);
        assert_eq!(memory.last(&id(1), lane), Some(5));
        assert_eq!(memory.last(&id(1), Lane { session: 8, ..lane }), None);
        memory.learn(id(1), lane, 6);
        assert_eq!(memory.last(&id(1), lane), Some(6));
        memory.forget();
        assert_eq!(memory.last(&id(1), lane), None);
    }

    #[test]
    fn no_more_ids_are_remembered_than_given_and_the_newest_half_always_is() {
        let mut memory = Memory::new(10);
        let lane = Lane { epoch: 1, session: 7, ordinal: 0 };
        for n in 0..1_000 {
            memory.learn(id(n), lane, u64::from(n));
            let known = (0..=n).filter(|&n| memory.last(&id(n), lane) == Some(u64::from(n))).count();
            assert!(known <= 10, "{known}");
            assert!((n.saturating_sub(4)..=n).all(|n| memory.last(&id(n), lane).is_some()));
        }
    }
}

//! What does the writer of a server know, so that it need not ask?
//!
//! A [`Lane`] is the writer's hold on a slice: as long as the server finds its epoch and its connection in the fence, nobody else has written to
//! the slice, and what is remembered of it is true. Each time a slice is taken, that is another hold: others may have written in between. The last sequences of ids are remembered in two halves; when the young half is full,
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
    /// How many times any slice had been taken when this one was.
    pub(crate) hold: u64,
    /// The last ordinal that was given.
    pub(crate) ordinal: u64,
}

#[derive(Debug)]
pub(crate) struct Memory {
    holds: u64,
    lanes: BTreeMap<u32, Lane>,
    young: Known,
    old: Known,
    half: usize,
}

/// The last sequence of ids, and the hold under which it was learned.
type Known = BTreeMap<PersistenceId, (u64, u64)>;

impl Memory {
    /// Remembers about `ids` ids.
    pub(crate) fn new(ids: usize) -> Self {
        Self {
            holds: 0,
            lanes: BTreeMap::new(),
            young: Known::new(),
            old: Known::new(),
            half: (ids / 2).max(1),
        }
    }

    pub(crate) fn lane(&self, slice: u32) -> Option<Lane> {
        self.lanes.get(&slice).copied()
    }

    /// A slice was taken.
    pub(crate) fn hold(&mut self, slice: u32, epoch: u64, ordinal: u64) {
        self.holds += 1;
        self.lanes.insert(slice, Lane { epoch, hold: self.holds, ordinal });
    }

    /// A slice that is held goes up to this ordinal now.
    pub(crate) fn advance(&mut self, slice: u32, ordinal: u64) {
        if let Some(lane) = self.lanes.get_mut(&slice) {
            lane.ordinal = ordinal;
        }
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
        known.and_then(|&(hold, last)| (hold == lane.hold).then_some(last))
    }

    pub(crate) fn learn(&mut self, id: PersistenceId, lane: Lane, last: u64) {
        if let Some(known) = self.young.get_mut(&id) {
            *known = (lane.hold, last);
            return;
        }
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, (lane.hold, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> PersistenceId {
        PersistenceId::new(format!("id-{number}")).unwrap()
    }

    #[test]
    fn what_was_learned_counts_for_the_hold_it_was_learned_under_alone() {
        let mut memory = Memory::new(10);
        memory.hold(0, 1, 0);
        let lane = memory.lane(0).unwrap();
        memory.learn(id(1), lane, 5);
        memory.advance(0, 5);
        assert_eq!(memory.last(&id(1), memory.lane(0).unwrap()), Some(5));
        memory.learn(id(1), lane, 6);
        assert_eq!(memory.last(&id(1), lane), Some(6));
        // Somebody else had it in between.
        memory.hold(0, 3, 9);
        assert_eq!(memory.last(&id(1), memory.lane(0).unwrap()), None);
        memory.forget();
        assert_eq!((memory.last(&id(1), lane), memory.lane(0)), (None, None));
        memory.advance(0, 7);
        assert_eq!(memory.lane(0), None);
    }

    #[test]
    fn no_more_ids_are_remembered_than_given_and_the_newest_half_always_is() {
        let mut memory = Memory::new(10);
        let lane = Lane { epoch: 1, hold: 7, ordinal: 0 };
        for n in 0..1_000 {
            memory.learn(id(n), lane, u64::from(n));
            let known = (0..=n).filter(|&n| memory.last(&id(n), lane) == Some(u64::from(n))).count();
            assert!(known <= 10, "{known}");
            assert!((n.saturating_sub(4)..=n).all(|n| memory.last(&id(n), lane).is_some()));
        }
    }
}

//! To which group does an actor belong, and what did those of it do who have ended?
//!
//! The group of an actor is the first name below `/user`. Names are data of a user, and each becomes a time series of
//! whoever stores the metrics: so the first so many groups are known by name, and all later ones together as
//! [`OTHER`]. Pure: paths and figures go in, slots and sums come out.
//!
//! # Invariants
//!
//! * A group keeps its slot for ever, also when nobody of it lives: its totals never move to another name.
//! * There are never more slots than the limit and one.
//! * What was entered is in exactly one slot.

use std::collections::BTreeMap;

use crate::path::ActorPath;

/// The groups beyond the limit. An actor of this name is one of them.
pub(super) const OTHER: &str = "other";

/// The slot of [`OTHER`].
const OTHERS: usize = 0;

/// What actors did, up to their ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Done {
    /// Messages handled.
    pub(crate) messages: u64,
    /// Times that they failed.
    pub(crate) failures: u64,
}

/// The groups of a system, and what those did who have ended.
pub(crate) struct Ledger {
    /// The most groups that are known by name.
    limit: usize,
    slots: BTreeMap<Box<str>, usize>,
    /// By slot.
    done: Vec<Done>,
    /// Whether there ever was a group without a slot of its own.
    crowded: bool,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, slots: BTreeMap::new(), done: vec![Done::default()], crowded: false }
    }

    /// The group of the actor that lives there.
    pub(super) fn group(path: &ActorPath) -> &str {
        path.as_str().split('/').nth(2).unwrap_or(OTHER)
    }

    /// The slot of a group, which gets one of its own if there is room.
    pub(super) fn slot(&mut self, group: &str) -> usize {
        if let Some(&slot) = self.slots.get(group) {
            return slot;
        }
        if group == OTHER || self.slots.len() >= self.limit {
            self.crowded = true;
            return OTHERS;
        }
        let slot = self.done.len();
        self.slots.insert(group.into(), slot);
        self.done.push(Done::default());
        slot
    }

    /// The actor that lived there has ended.
    pub(crate) fn ended(&mut self, path: &ActorPath, done: Done) {
        let slot = self.slot(Self::group(path));
        self.done[slot].messages += done.messages;
        self.done[slot].failures += done.failures;
    }

    /// What those did who have ended, by slot.
    pub(super) fn done(&self) -> Vec<Done> {
        self.done.clone()
    }

    /// The groups with their slots: by name, and the others if there are any.
    pub(super) fn names(&self) -> Vec<(String, usize)> {
        let named = self.slots.iter().map(|(name, &slot)| (name.to_string(), slot));
        named.chain(self.crowded.then(|| (OTHER.to_owned(), OTHERS))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> ActorPath {
        ActorPath::parse(text).unwrap()
    }

    #[test]
    fn the_group_is_the_first_name_below_user() {
        assert_eq!(Ledger::group(&path("/user/fleet")), "fleet");
        assert_eq!(Ledger::group(&path("/user/fleet/a/b")), "fleet");
        assert_eq!(Ledger::group(&path("/user")), OTHER);
    }

    #[test]
    fn the_last_group_with_room_has_a_name_and_the_next_has_none() {
        let mut ledger = Ledger::new(2);
        assert_eq!(["a", "b", "c", "a", "d"].map(|group| ledger.slot(group)), [1, 2, 0, 1, 0]);
        assert_eq!(ledger.names(), [("a".to_owned(), 1), ("b".to_owned(), 2), (OTHER.to_owned(), 0)]);
        assert_eq!(Ledger::new(2).names(), []);
    }

    #[test]
    fn an_actor_called_other_is_one_of_the_others() {
        let mut ledger = Ledger::new(2);
        ledger.ended(&path("/user/other"), Done { messages: 3, failures: 1 });
        assert_eq!(ledger.names(), [(OTHER.to_owned(), 0)]);
        assert_eq!(ledger.done(), [Done { messages: 3, failures: 1 }]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_no_total_falls_and_no_group_changes_its_slot(
            limit in 0usize..4,
            ends in proptest::collection::vec((0u8..8, 0u64..100, 0u64..3), 0..60),
        ) {
            let mut ledger = Ledger::new(limit);
            let mut sum = Done::default();
            let mut first: BTreeMap<u8, usize> = BTreeMap::new();
            for (group, messages, failures) in ends {
                let before = ledger.done();
                let path = path(&format!("/user/g{group}/x"));
                ledger.ended(&path, Done { messages, failures });
                sum = Done { messages: sum.messages + messages, failures: sum.failures + failures };
                let slot = ledger.slot(Ledger::group(&path));
                prop_assert_eq!(*first.entry(group).or_insert(slot), slot);
                let after = ledger.done();
                prop_assert!(before.iter().zip(&after).all(|(a, b)| a.messages <= b.messages && a.failures <= b.failures));
                prop_assert!(after.len() <= limit + 1 && ledger.names().len() <= limit + 1);
                prop_assert_eq!(after.iter().map(|done| done.messages).sum::<u64>(), sum.messages);
                prop_assert_eq!(after.iter().map(|done| done.failures).sum::<u64>(), sum.failures);
            }
        }
    }
}

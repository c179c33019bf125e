//! Who is in a set, in which order, and how does one go through it without holding its lock?
//!
//! Numbers decide the order. The list to go through is made when it is asked for and kept until the set changes, so
//! that many changes in a row cost one list, and so do many rounds without a change.
//!
//! # Invariants
//!
//! * The list, where there is one, holds exactly the members, in the order of their numbers.
//! * No call drops a member: one that leaves is handed to the caller, who drops it outside of any lock.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Members by number.
pub(crate) struct Roster<T> {
    by_number: BTreeMap<u64, T>,
    list: Option<Arc<[T]>>,
}

impl<T> Default for Roster<T> {
    fn default() -> Self {
        Self { by_number: BTreeMap::new(), list: None }
    }
}

impl<T: Clone> Roster<T> {
    /// Enters a member. Gives it back when its number is in already.
    pub(crate) fn enter(&mut self, number: u64, member: T) -> Result<(), T> {
        if self.by_number.contains_key(&number) {
            return Err(member);
        }
        self.by_number.insert(number, member);
        self.list = None;
        Ok(())
    }

    /// Takes a member out, if it is in.
    pub(crate) fn leave(&mut self, number: u64) -> Option<T> {
        let left = self.by_number.remove(&number);
        if left.is_some() {
            self.list = None;
        }
        left
    }

    /// All members, in the order of their numbers.
    pub(crate) fn list(&mut self) -> Arc<[T]> {
        let by_number = &self.by_number;
        self.list.get_or_insert_with(|| by_number.values().cloned().collect()).clone()
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.by_number.contains_key(&number)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_is_taken_once_and_who_comes_second_is_given_back() {
        let mut roster = Roster::default();
        assert_eq!(roster.enter(1, 'a'), Ok(()));
        assert_eq!(roster.enter(1, 'b'), Err('b'));
        assert_eq!((roster.leave(1), roster.leave(1)), (Some('a'), None));
        assert!(roster.is_empty());
    }

    #[test]
    fn the_list_is_made_anew_only_after_a_change() {
        let mut roster = Roster::default();
        assert_eq!(roster.enter(1, ()), Ok(()));
        let first = roster.list();
        assert!(Arc::ptr_eq(&first, &roster.list()));
        assert_eq!(roster.leave(2), None);
        assert!(Arc::ptr_eq(&first, &roster.list()), "nobody left");
        assert_eq!(roster.leave(1), Some(()));
        assert!(roster.list().is_empty());
    }

    proptest! {
        #[test]
        fn whoever_enters_and_leaves_the_list_is_the_members_in_order(
            steps in proptest::collection::vec((any::<bool>(), 0u64..8, any::<bool>()), 0..40),
        ) {
            let (mut roster, mut plain) = (Roster::default(), BTreeMap::new());
            for (step, (enters, number, looks)) in steps.into_iter().enumerate() {
                if enters {
                    let free = !plain.contains_key(&number);
                    prop_assert_eq!(roster.enter(number, step).is_ok(), free);
                    plain.entry(number).or_insert(step);
                } else {
                    prop_assert_eq!(roster.leave(number), plain.remove(&number));
                }
                prop_assert_eq!(roster.len(), plain.len());
                prop_assert_eq!(roster.contains(number), plain.contains_key(&number));
                if looks {
                    prop_assert_eq!(roster.list().to_vec(), plain.values().copied().collect::<Vec<_>>());
                }
            }
        }
    }
}

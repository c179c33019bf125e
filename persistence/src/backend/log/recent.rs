//! What was used recently, and no more than that?
//!
//! Two generations: what is used goes into the young one; when that is full, it becomes the old one and the old one is forgotten. So
//! what is used among the last `capacity / 2` different ones is always known, and each step takes the same time.
//!
//! # Invariants
//!
//! * There are never more than `capacity` entries.

use foldhash::quality::FixedState;

use super::table::Map;
use crate::id::PersistenceId;

/// The last sequence of the ids that were used recently.
pub(crate) struct Recent {
    half: usize,
    young: Map<PersistenceId, u64>,
    old: Map<PersistenceId, u64>,
}

impl Recent {
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        let map = || Map::with_hasher(FixedState::with_seed(seed));
        Self { half: (capacity / 2).max(1), young: map(), old: map() }
    }

    /// What is known of `id`.
    pub(crate) fn get(&mut self, id: &PersistenceId) -> Option<u64> {
        if let Some(value) = self.young.get(id) {
            return Some(*value);
        }
        let (id, value) = self.old.remove_entry(id)?;
        self.put(id, value);
        Some(value)
    }

    /// Remembers `value` for `id`.
    pub(crate) fn put(&mut self, id: PersistenceId, value: u64) {
        if self.young.len() >= self.half && !self.young.contains_key(&id) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.old.remove(&id);
        self.young.insert(id, value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_never_lies_never_grows_and_knows_the_last_ones(uses in proptest::collection::vec((0..30_u64, any::<bool>()), 1..300)) {
            let (mut recent, mut truth, mut order) = (Recent::new(10, 1), BTreeMap::new(), Vec::new());
            for (step, (id, put)) in uses.into_iter().enumerate() {
                let name = PersistenceId::new(format!("id-{id}")).unwrap();
                if put {
                    recent.put(name, step as u64);
                    truth.insert(id, step as u64);
                } else if let Some(found) = recent.get(&name) {
                    prop_assert_eq!(found, truth[&id]);
                } else {
                    let last: std::collections::BTreeSet<u64> = order.iter().rev().take(5).copied().collect();
                    prop_assert!(!truth.contains_key(&id) || !last.contains(&id), "it was used just now");
                    continue;
                }
                order.retain(|other| *other != id);
                order.push(id);
                prop_assert!(recent.young.len() + recent.old.len() <= 10);
            }
        }
    }
}

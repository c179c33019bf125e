//! What was used recently, and no more than that?
//!
//! Two generations: what is used goes into the young one; when that is full, it becomes the old one and the old one is forgotten. So
//! what is used among the last `capacity / 2` different ones is always known, and each step takes the same time. A generation is a row of bytes with all ids and their
//! sequences, and a table of places in it: some 40 bytes for each id of 15, where a map of ids takes 100.
//!
//! # Invariants
//!
//! * There are never more than `capacity` entries, and they never take more than about `capacity * 80` bytes.
//! * What the young generation says is newer than what the old one says.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

use crate::id::PersistenceId;

/// The bytes before an id: its last sequence, and how long it is.
const BEFORE_ID: usize = 10;
/// The most bytes of a generation for each id that it may have, on average.
const BYTES_PER_ID: usize = 64;

/// The last sequence of the ids that were used recently.
pub(crate) struct Recent {
    half: usize,
    young: Generation,
    old: Generation,
    hasher: FixedState,
}

/// Ids in the order in which they were used first.
#[derive(Default)]
struct Generation {
    /// Sequence, length and bytes of each id.
    bytes: Vec<u8>,
    /// Where ids start in `bytes`, in the order of their hashes as far as there is room: the lower half of the hash above,
    /// the place and 1 below; 0 is free. At least a quarter is free, and the length is a power of two.
    places: Vec<u64>,
    len: usize,
}

impl Recent {
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self { half: (capacity / 2).max(1), young: Generation::default(), old: Generation::default(), hasher }
    }

    /// What is known of `id`.
    pub(crate) fn get(&mut self, id: &PersistenceId) -> Option<u64> {
        let hash = self.hash(id);
        if let Some(value) = self.young.get(hash, id) {
            return Some(value);
        }
        let value = self.old.get(hash, id)?;
        self.insert(hash, id, value);
        Some(value)
    }

    /// Remembers `value` for `id`.
    pub(crate) fn put(&mut self, id: &PersistenceId, value: u64) {
        let hash = self.hash(id);
        if !self.young.set(hash, id, value) {
            self.insert(hash, id, value);
        }
    }

    /// Puts what the young generation does not have into it.
    fn insert(&mut self, hash: u32, id: &PersistenceId, value: u64) {
        let most = self.half.saturating_mul(BYTES_PER_ID).min(u32::MAX as usize / 2);
        if self.young.len >= self.half || self.young.bytes.len() >= most {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(hash, id, value);
    }

    fn hash(&self, id: &PersistenceId) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(id.as_str().as_bytes());
        let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

impl Generation {
    fn get(&self, hash: u32, id: &PersistenceId) -> Option<u64> {
        let at = self.find(hash, id)?;
        let value = self.bytes[at..].first_chunk().expect("a sequence stands before each id");
        Some(u64::from_le_bytes(*value))
    }

    /// Changes what is there. `false`: it is not there.
    fn set(&mut self, hash: u32, id: &PersistenceId, value: u64) -> bool {
        let Some(at) = self.find(hash, id) else { return false };
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        true
    }

    /// Adds what is not there.
    fn insert(&mut self, hash: u32, id: &PersistenceId, value: u64) {
        if self.len * 4 >= self.places.len() * 3 {
            let longer = vec![0; (self.places.len() * 2).max(16)];
            for place in std::mem::replace(&mut self.places, longer) {
                self.settle(place);
            }
        }
        let (at, text) = (self.bytes.len() as u64, id.as_str().as_bytes());
        let length = u16::try_from(text.len()).expect("an id has at most 512 bytes");
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(text);
        self.settle(u64::from(hash) << 32 | (at + 1));
        self.len += 1;
    }

    /// Puts a place where a search for it comes by.
    fn settle(&mut self, place: u64) {
        if place != 0 {
            let mut slot = self.slot(place >> 32);
            while self.places[slot] != 0 {
                slot = (slot + 1) % self.places.len();
            }
            self.places[slot] = place;
        }
    }

    fn find(&self, hash: u32, id: &PersistenceId) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let (text, mut slot) = (id.as_str().as_bytes(), self.slot(hash.into()));
        loop {
            let place = self.places[slot];
            let at = usize::try_from((place & u64::from(u32::MAX)).checked_sub(1)?).ok()?;
            if place >> 32 == u64::from(hash) {
                let length = usize::from(u16::from_le_bytes([self.bytes[at + 8], self.bytes[at + 9]]));
                if &self.bytes[at + BEFORE_ID..at + BEFORE_ID + length] == text {
                    return Some(at);
                }
            }
            slot = (slot + 1) % self.places.len();
        }
    }

    fn slot(&self, hash: u64) -> usize {
        usize::try_from(hash).expect("half a hash fits") & (self.places.len() - 1)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.places.fill(0);
        self.len = 0;
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
                    recent.put(&name, step as u64);
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
                prop_assert!(recent.young.len + recent.old.len <= 10);
            }
        }
    }
}

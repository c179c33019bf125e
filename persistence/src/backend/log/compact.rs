//! Which full segments are worth rewriting?
//!
//! Segments that stand side by side are rewritten into one, in the same order, without what was deleted. So orders stay as they are, and a
//! segment without anything left becomes a few bytes.
//!
//! # Invariants
//!
//! * A choice gives back at least half of its bytes, or makes one small file of four or more.

use std::ops::Range;

/// The least number of small segments that are put together although nothing in them was deleted.
const MANY: usize = 4;
/// How many segments' bytes are read at once: what is being rewritten takes room beside what is there.
const AT_ONCE: u64 = 16;
/// What part of a full segment is small.
const SMALL: u64 = 8;

/// What there is in a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Weight {
    pub(crate) bytes: u64,
    pub(crate) events: u64,
    /// How many of the events are deleted.
    pub(crate) dead: u64,
}

impl Weight {
    /// About how many bytes would be left.
    fn left(&self) -> u64 {
        if self.events == 0 {
            return self.bytes;
        }
        let live = self.events.saturating_sub(self.dead);
        u64::try_from(u128::from(self.bytes) * u128::from(live) / u128::from(self.events))
            .unwrap_or(self.bytes)
    }
}

/// The first segments, side by side, that are worth being rewritten into one.
pub(crate) fn choose(weights: &[Weight], segment_bytes: u64) -> Option<Range<usize>> {
    let mut from = 0;
    while from < weights.len() {
        let (mut to, mut bytes, mut left) = (from, 0, 0);
        while let Some(weight) = weights.get(to) {
            let eligible = weight.left() * 2 <= weight.bytes || weight.bytes <= segment_bytes / SMALL;
            let large = bytes > segment_bytes.saturating_mul(AT_ONCE);
            if !eligible || large || left + weight.left() > segment_bytes {
                break;
            }
            (bytes, left, to) = (bytes + weight.bytes, left + weight.left(), to + 1);
        }
        let gains = bytes > 0 && left * 2 <= bytes;
        if gains || to - from >= MANY {
            return Some(from..to);
        }
        from = to.max(from + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weight(bytes: u64, events: u64, dead: u64) -> Weight {
        Weight { bytes, events, dead }
    }

    #[test]
    fn sparse_neighbours_become_one_and_full_segments_stay() {
        let (full, dead, half) = (weight(1000, 10, 0), weight(1000, 10, 10), weight(1000, 10, 5));
        assert_eq!(choose(&[full, full], 1000), None);
        assert_eq!(choose(&[full, half, dead, half, full], 1000), Some(1..4));
        assert_eq!(choose(&[full, weight(1000, 10, 4)], 1000), None, "too little to gain");
        assert_eq!(choose(&[full, dead], 1000), Some(1..2));
        assert_eq!(choose(&[half, half, half], 1000), Some(0..2), "no more than a segment holds");
        assert_eq!(choose(&[], 1000), None);
    }

    #[test]
    fn many_small_ones_become_one_and_one_small_one_stays() {
        let small = weight(100, 1, 0);
        assert_eq!(choose(&[small; 3], 1000), None);
        assert_eq!(choose(&[small; 4], 1000), Some(0..4));
        assert_eq!(choose(&[weight(90, 0, 0)], 1000), None, "nothing is left in it");
    }

    proptest! {
        #[test]
        fn rewriting_what_is_chosen_comes_to_an_end(sizes in proptest::collection::vec((80..2000_u64, 0..9_u64, 0..9_u64), 0..30)) {
            let mut weights: Vec<Weight> =
                sizes.into_iter().map(|(bytes, events, dead)| weight(bytes, events, dead.min(events))).collect();
            for _ in 0..weights.len() * 2 {
                let Some(chosen) = choose(&weights, 1000) else { return Ok(()) };
                let left: u64 = weights[chosen.clone()].iter().map(Weight::left).sum();
                let events = weights[chosen.clone()].iter().map(|weight| weight.events - weight.dead).sum();
                weights.splice(chosen, [weight(left.max(80), events, 0)]);
            }
            prop_assert_eq!(choose(&weights, 1000), None);
        }
    }
}

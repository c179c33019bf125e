//! Which routee handles a key, so that few keys move when routees come or go?
//!
//! Every routee owns 64 points on a ring of 64-bit numbers. A key belongs to the owner of the first
//! point at or after it. The hash of the key comes in: how a key is hashed, and how messages reach the
//! routee, is the router's part.
//!
//! The ring is a fixed function of the number of routees, the same in every process and release, so two
//! nodes agree on it without talking and a simulation repeats. Both the points and the position of a key
//! come from [`mix`], so that hashes with little entropy (small numbers, multiples of 1024) spread as
//! well as good ones.
//!
//! # Invariants
//!
//! * The same hash gives the same routee, in every ring of the same size.
//! * A ring with one more routee has all the points of the smaller ring: a key either stays where it
//!   was or moves to the new routee.
//! * No two points are equal ([`mix`] is a bijection of different inputs), so every point has one owner.
//! * `points` is sorted.

/// Points per routee.
///
/// More points spread keys more evenly and cost memory (16 bytes each) and time in the search. Measured
/// over rings of 2 to 256 routees, the busiest routee owns at most 1.43 times its fair part of the ring
/// (8 routees: 1.16 times). 16 points gave up to 1.91 times.
const POINTS_PER_ROUTEE: usize = 64;

/// The odd constant by which `SplitMix64` steps to its next output: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Maps hashes to routees, which are numbered from 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HashRing {
    /// Position on the ring, and the routee which owns what lies before it.
    points: Box<[(u64, usize)]>,
}

impl HashRing {
    /// A ring of `routees` routees. With none, [`pick`](Self::pick) has no answer.
    #[must_use]
    pub(crate) fn new(routees: usize) -> Self {
        let mut state = 0_u64;
        let mut points: Vec<(u64, usize)> = (0..routees)
            .flat_map(|routee| std::iter::repeat_n(routee, POINTS_PER_ROUTEE))
            .map(|routee| {
                state = state.wrapping_add(STEP);
                (mix(state), routee)
            })
            .collect();
        points.sort_unstable();
        Self { points: points.into_boxed_slice() }
    }

    /// The routee for `hash`, or `None` if the ring has no routees.
    #[must_use]
    pub(crate) fn pick(&self, hash: u64) -> Option<usize> {
        let position = mix(hash);
        let after = self.points.partition_point(|&(point, _)| point < position);
        // Past the last point the ring begins again.
        self.points.get(after).or_else(|| self.points.first()).map(|&(_, routee)| routee)
    }
}

/// Scatters `z` over all 64-bit numbers; different inputs give different outputs.
///
/// The output function of `SplitMix64` (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number
/// Generators*, OOPSLA 2014) with the constants of Stafford's variant 13, as in Vigna's public-domain
/// `splitmix64.c`. Placement depends on it: a change moves almost every key.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use proptest::prelude::*;

    use super::*;

    /// Keys per routee.
    fn loads(routees: usize, hashes: impl Iterator<Item = u64>) -> Vec<u32> {
        let ring = HashRing::new(routees);
        let mut loads = vec![0; routees];
        hashes.for_each(|hash| loads[ring.pick(hash).expect("the ring has routees")] += 1);
        loads
    }

    /// The load of the busiest routee as a multiple of the mean.
    fn imbalance(loads: &[u32]) -> f64 {
        let max = loads.iter().copied().max().map_or(0.0, f64::from);
        let mean = loads.iter().copied().map(f64::from).sum::<f64>() / loads.iter().map(|_| 1.0).sum::<f64>();
        max / mean
    }

    /// The part of the ring that each routee owns.
    fn arcs(routees: usize) -> Vec<u64> {
        let points = HashRing::new(routees).points;
        let mut owned = vec![0; routees];
        let mut previous = points[points.len() - 1].0;
        for &(point, routee) in &points {
            owned[routee] += point.wrapping_sub(previous);
            previous = point;
        }
        owned
    }

    #[test]
    fn the_mix_is_that_of_splitmix64() {
        // First outputs of splitmix64.c from the seeds 0 and 1234567.
        let output = |seed: u64, number: u64| mix(seed.wrapping_add(STEP.wrapping_mul(number)));
        assert_eq!(
            [output(0, 1), output(0, 2), output(0, 3)],
            [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]
        );
        assert_eq!(
            [output(1_234_567, 1), output(1_234_567, 2)],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
    }

    #[test]
    fn a_ring_without_routees_picks_none() {
        assert_eq!(HashRing::new(0).pick(0), None);
        assert_eq!(HashRing::new(0).pick(u64::MAX), None);
    }

    #[test]
    fn a_single_routee_gets_everything() {
        let ring = HashRing::new(1);
        assert!([0, 1, u64::MAX / 2, u64::MAX].iter().all(|&hash| ring.pick(hash) == Some(0)));
    }

    #[test]
    fn no_two_points_are_equal_and_each_routee_has_its_share() {
        let ring = HashRing::new(1000);
        assert!(ring.points.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(ring.points.len(), 1000 * POINTS_PER_ROUTEE);
    }

    #[test]
    fn a_point_belongs_to_its_owner_and_what_lies_past_the_last_point_to_the_first() {
        let ring = HashRing { points: Box::new([(mix(1).min(mix(2)), 7), (mix(1).max(mix(2)), 8)]) };
        let (low, high) = if mix(1) < mix(2) { (1, 2) } else { (2, 1) };
        assert_eq!(ring.pick(low), Some(7));
        assert_eq!(ring.pick(high), Some(8));
        let past =
            (0..1_000_000).find(|&hash| mix(hash) > mix(high)).expect("some hash lies past the last point");
        assert_eq!(ring.pick(past), Some(7));
    }

    #[test]
    fn placement_is_the_same_in_every_process_and_release() {
        let ring = HashRing::new(8);
        let picks: Vec<_> = (0..16).map(|hash| ring.pick(hash).expect("the ring has routees")).collect();
        assert_eq!(picks, [6, 4, 3, 1, 2, 4, 7, 0, 4, 4, 4, 0, 2, 0, 7, 0]);
    }

    #[test]
    fn no_routee_owns_more_of_the_ring_than_measured() {
        for routees in 2..=256_u32 {
            let owned = arcs(routees as usize);
            let mean = u64::MAX / u64::from(routees);
            let most = owned.into_iter().max().unwrap();
            assert!(most / 143 <= mean / 100, "{routees} routees: {most} of a mean of {mean}");
        }
    }

    #[test]
    fn ten_thousand_small_numbers_spread_over_eight_routees() {
        let loads = loads(8, 0..10_000);
        assert!(imbalance(&loads) <= 1.3, "{loads:?}");
    }

    proptest! {
        #[test]
        fn the_same_hash_gives_the_same_routee(routees in 1_usize..50, hash: u64) {
            let pick = HashRing::new(routees).pick(hash);
            prop_assert_eq!(pick, HashRing::new(routees).pick(hash));
            prop_assert!(pick.is_some_and(|routee| routee < routees));
        }

        #[test]
        fn one_more_routee_takes_keys_and_moves_none_between_the_others(
            routees in 1_usize..50,
            hashes in prop::collection::vec(any::<u64>(), 100),
        ) {
            let (before, after) = (HashRing::new(routees), HashRing::new(routees + 1));
            for hash in hashes {
                let (old, new) = (before.pick(hash), after.pick(hash));
                prop_assert!(old == new || new == Some(routees), "{:?} moved to {:?}", old, new);
            }
        }

        #[test]
        fn the_busiest_of_eight_routees_gets_at_most_1_6_times_the_mean(
            seed: u64,
            step in prop_oneof![1_u64..100, (0_u32..48).prop_map(|shift| 1 << shift), any::<u64>()],
        ) {
            // A step of zero, or one that repeats, would be few keys and not ten thousand.
            let step = step | 1 << 20;
            let sequence = (0..10_000_u64).map(|number| seed.wrapping_add(number.wrapping_mul(step)));
            let hasher = foldhash::quality::FixedState::with_seed(seed);
            let plain = loads(8, sequence.clone());
            prop_assert!(imbalance(&plain) <= 1.6, "{:?}", plain);
            let hashed = loads(8, sequence.map(|key| hasher.hash_one(key)));
            prop_assert!(imbalance(&hashed) <= 1.6, "{:?}", hashed);
        }
    }
}

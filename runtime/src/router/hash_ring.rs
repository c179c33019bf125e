//! Which routee handles a key, so that few keys move when routees come or go?
//!
//! Every routee owns 64 points per unit of weight on a ring of 64-bit numbers. A key belongs to the owner of the
//! first point at or after it. The hash of the key comes in: how a key is hashed, and how messages reach the
//! routee, is the router's part.
//!
//! The points of a routee are a fixed function of its number and weight, the same in every process and release, so two
//! nodes agree on a ring without talking and a simulation repeats. Both the points and the position of a key
//! come from [`mix`], so that hashes with little entropy (small numbers, multiples of 1024) spread as
//! well as good ones.
//!
//! # Invariants
//!
//! * The same hash gives the same routee, in every ring of the same routees.
//! * A ring with one more routee has all the points of the smaller ring: a key either stays where it
//!   was or moves to the new routee. A heavier routee has all the points it had when it was lighter.
//! * No two points are equal ([`mix`] is a bijection of different inputs), so every point has one owner.
//! * `points` is sorted.

/// Points per routee and unit of weight.
///
/// More points spread keys more evenly and cost memory (16 bytes each) and time in the search. Measured
/// over rings of 2 to 256 routees, the busiest routee owns at most 1.43 times its fair part of the ring
/// (8 routees: 1.16 times). 16 points gave up to 1.91 times.
const POINTS_PER_WEIGHT: u64 = 64;

/// The most weight a routee can have: memory and the time to build a ring grow with it.
pub(crate) const WEIGHT_LIMIT: u32 = 100;

/// The odd constant by which `SplitMix64` steps to its next output: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Maps hashes to routees, by their position in the list that the ring was made from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct HashRing {
    /// Where on the ring, and the position of the routee which owns what lies before it.
    points: Box<[(u64, usize)]>,
}

impl HashRing {
    /// A ring of routees, each with a number of its own (below 2³²) and a weight from 1 to [`WEIGHT_LIMIT`]. Of none,
    /// [`pick`](Self::pick) has no answer.
    #[must_use]
    pub(crate) fn new(routees: impl IntoIterator<Item = (usize, u32)>) -> Self {
        let mut points: Vec<(u64, usize)> = routees
            .into_iter()
            .enumerate()
            .flat_map(|(position, (number, weight))| {
                let points = u64::from(weight.clamp(1, WEIGHT_LIMIT)) * POINTS_PER_WEIGHT;
                (0..points).map(move |index| (point(number as u64, index), position))
            })
            .collect();
        points.sort_unstable();
        Self { points: points.into_boxed_slice() }
    }

    /// The position of the routee for `hash`, or `None` if the ring has no routees.
    #[must_use]
    pub(crate) fn pick(&self, hash: u64) -> Option<usize> {
        let position = mix(hash);
        let after = self.points.partition_point(|&(point, _)| point < position);
        // Past the last point the ring begins again.
        self.points.get(after).or_else(|| self.points.first()).map(|&(_, routee)| routee)
    }
}

/// A point of the routee `number`: each unit of weight is a sequence of its own, and has 64 points per number.
fn point(number: u64, index: u64) -> u64 {
    let (unit, index) = (index / POINTS_PER_WEIGHT, index % POINTS_PER_WEIGHT);
    let output = (unit << 40) + number * POINTS_PER_WEIGHT + index + 1;
    mix(output.wrapping_mul(STEP))
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

    /// A ring of the numbers from 0, all of weight 1.
    fn even(routees: usize) -> HashRing {
        HashRing::new((0..routees).map(|number| (number, 1)))
    }

    /// Keys per routee.
    fn loads(routees: usize, hashes: impl Iterator<Item = u64>) -> Vec<u32> {
        let ring = even(routees);
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
    fn arcs(ring: &HashRing, routees: usize) -> Vec<u64> {
        let points = &ring.points;
        let mut owned = vec![0_u64; routees];
        let mut previous = points[points.len() - 1].0;
        for &(point, routee) in points {
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
        assert_eq!(even(0).pick(0), None);
        assert_eq!(even(0).pick(u64::MAX), None);
    }

    #[test]
    fn a_single_routee_gets_everything() {
        let ring = even(1);
        assert!([0, 1, u64::MAX / 2, u64::MAX].iter().all(|&hash| ring.pick(hash) == Some(0)));
    }

    #[test]
    fn no_two_points_are_equal_and_each_routee_has_its_share() {
        let ring = even(1000);
        assert!(ring.points.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(ring.points.len() as u64, 1000 * POINTS_PER_WEIGHT);
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
        let ring = even(8);
        let picks: Vec<_> = (0..16).map(|hash| ring.pick(hash).expect("the ring has routees")).collect();
        assert_eq!(picks, [6, 4, 3, 1, 2, 4, 7, 0, 4, 4, 4, 0, 2, 0, 7, 0]);
    }

    #[test]
    fn no_routee_owns_more_of_the_ring_than_measured() {
        for routees in 2..=256_u32 {
            let owned = arcs(&even(routees as usize), routees as usize);
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

    /// Numbers with gaps, as they are after routees have come and gone, with weights.
    fn weighted() -> impl Strategy<Value = Vec<(usize, u32)>> {
        prop::collection::btree_map(0_usize..1000, 1_u32..=10, 2..64)
            .prop_map(|map| map.into_iter().collect())
    }

    /// The part of the ring of each routee, in units of its fair part.
    fn shares(routees: &[(usize, u32)]) -> Vec<f64> {
        let total: f64 = routees.iter().map(|&(_, weight)| f64::from(weight)).sum();
        let arcs = arcs(&HashRing::new(routees.iter().copied()), routees.len());
        let fair = |weight: u32| 2_f64.powi(64) * f64::from(weight) / total;
        #[expect(clippy::cast_precision_loss, reason = "a share needs no 64 bits")]
        arcs.iter().zip(routees).map(|(&arc, &(_, weight))| arc as f64 / fair(weight)).collect()
    }

    proptest! {
        // Big rings in an unoptimised build: fewer cases than usual.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn whoever_came_and_went_and_whatever_the_weights_nobody_owns_twice_its_fair_part(
            routees in weighted(),
        ) {
            let shares = shares(&routees);
            prop_assert!(shares.iter().all(|share| (0.4..=2.0).contains(share)), "{:?}", shares);
        }

        #[test]
        fn without_a_routee_its_keys_move_and_no_others(
            routees in weighted(),
            leaves in any::<prop::sample::Index>(),
            hashes in prop::collection::vec(any::<u64>(), 100),
        ) {
            let gone = leaves.index(routees.len());
            let mut rest = routees.clone();
            rest.remove(gone);
            let ring = |routees: &[(usize, u32)]| HashRing::new(routees.iter().copied());
            let (before, after) = (ring(&routees), ring(&rest));
            for hash in hashes {
                let old = before.pick(hash).map(|position| routees[position].0);
                let new = after.pick(hash).map(|position| rest[position].0);
                prop_assert!(old == new || old == Some(routees[gone].0), "{:?} moved to {:?}", old, new);
            }
        }

        #[test]
        fn more_weight_takes_keys_and_gives_none_away(
            routees in weighted(),
            grows in any::<prop::sample::Index>(),
            hashes in prop::collection::vec(any::<u64>(), 100),
        ) {
            let heavier = grows.index(routees.len());
            let mut after = routees.clone();
            after[heavier].1 += 1;
            let (before, after) = (HashRing::new(routees), HashRing::new(after));
            for hash in hashes {
                let (old, new) = (before.pick(hash), after.pick(hash));
                prop_assert!(old == new || new == Some(heavier), "{:?} moved to {:?}", old, new);
            }
        }

        #[test]
        fn the_same_hash_gives_the_same_routee(routees in 1_usize..50, hash: u64) {
            let pick = even(routees).pick(hash);
            prop_assert_eq!(pick, even(routees).pick(hash));
            prop_assert!(pick.is_some_and(|routee| routee < routees));
        }

        #[test]
        fn one_more_routee_takes_keys_and_moves_none_between_the_others(
            routees in 1_usize..50,
            hashes in prop::collection::vec(any::<u64>(), 100),
        ) {
            let (before, after) = (even(routees), even(routees + 1));
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

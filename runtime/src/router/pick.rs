//! Which of several routees comes first?
//!
//! Positions go in and out; what sits at them, and whether it has room, is the router's part. Nothing here allocates:
//! these lines run for every message.
//!
//! # Invariants
//!
//! * A position that is returned is less than the number of positions, whatever it was before.
//! * [`in_turn`] visits every position once.

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    next: usize,
}

impl Rotation {
    pub(crate) const ZERO: Self = Self { next: 0 };

    /// The position whose turn it is, among `among` (at least 1). Meanwhile there may be fewer than last time.
    pub(crate) fn first(self, among: usize) -> usize {
        if self.next < among { self.next } else { 0 }
    }

    /// It was the turn of `position`: the one after it is next. One that was passed over, because it had no room,
    /// does not get a second turn for it, and neither does the one that stood in for it.
    pub(crate) fn after(&mut self, position: usize) {
        self.next = position + 1;
    }
}

/// The position that a random number stands for, among `among` (at least 1). Each is as likely as the others, up to
/// one part in 2⁶⁴ ÷ `among`.
///
/// The high half of a product, without a division (Lemire, *Fast Random Integer Generation in an Interval*, ACM TOMACS
/// 29, 2019); its correction of the last bit of bias is left out.
pub(crate) fn random(number: u64, among: usize) -> usize {
    let product = u128::from(number) * among as u128;
    // Less than `among`, so it fits.
    usize::try_from(product >> 64).unwrap_or(0)
}

/// The position of the least depth, among `among`; of several, the first one from `first` on. `None` where nobody
/// sits. `None` when nobody sits anywhere.
pub(crate) fn least(
    first: usize,
    among: usize,
    mut depth: impl FnMut(usize) -> Option<usize>,
) -> Option<usize> {
    let mut least = None;
    for position in in_turn(first, among) {
        let Some(depth) = depth(position) else { continue };
        if least.is_none_or(|(_, other)| depth < other) {
            least = Some((position, depth));
            if depth == 0 {
                break;
            }
        }
    }
    least.map(|(position, _)| position)
}

/// All positions, from `first` on and around.
pub(crate) fn in_turn(first: usize, among: usize) -> impl Iterator<Item = usize> {
    (first..among).chain(0..first.min(among))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn turns_go_around() {
        let mut rotation = Rotation::ZERO;
        let turns: Vec<_> = (0..7)
            .map(|_| {
                let position = rotation.first(3);
                rotation.after(position);
                position
            })
            .collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn one_that_was_passed_over_costs_its_stand_in_no_turn() {
        let mut rotation = Rotation::ZERO;
        rotation.after(1); // 0 was passed over
        assert_eq!(rotation.first(3), 2);
    }

    #[test]
    fn the_ends_of_the_random_numbers_are_the_first_and_the_last_position() {
        assert_eq!(random(0, 5), 0);
        assert_eq!(random(u64::MAX, 5), 4);
        assert_eq!(random(u64::MAX, 1), 0);
    }

    proptest! {
        #[test]
        fn a_turn_is_a_position_however_many_there_were_before(last: usize, among in 1_usize..100) {
            let mut rotation = Rotation::ZERO;
            rotation.after(last.min(usize::MAX - 1));
            prop_assert!(rotation.first(among) < among);
        }

        #[test]
        fn every_position_gets_its_part_of_the_random_numbers(among in 1_u64..64) {
            let size = usize::try_from(among).unwrap();
            // 1000 numbers for each, evenly spread.
            let mut counts = vec![0_u64; size];
            let step = u64::MAX / (among * 1000);
            (0..among * 1000).for_each(|number| counts[random(number * step, size)] += 1);
            prop_assert!(counts.iter().all(|&count| (999..=1001).contains(&count)), "{:?}", counts);
        }

        #[test]
        fn in_turn_visits_every_position_once_and_begins_with_the_first(
            among in 1_usize..50, first in 0_usize..50,
        ) {
            let first = first % among;
            let visited: Vec<_> = in_turn(first, among).collect();
            prop_assert_eq!(visited[0], first);
            let mut sorted = visited;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..among).collect::<Vec<_>>());
        }

        #[test]
        fn nobody_has_less_than_the_least_and_ties_go_to_the_one_whose_turn_comes_first(
            depths in prop::collection::vec(prop::option::of(0_usize..4), 1..20), first in 0_usize..20,
        ) {
            let first = first % depths.len();
            let position = least(first, depths.len(), |position| depths[position]);
            let expected = in_turn(first, depths.len())
                .filter(|&position| depths[position].is_some())
                .min_by_key(|&position| depths[position]); // the first of several
            prop_assert_eq!(position, expected);
        }
    }
}

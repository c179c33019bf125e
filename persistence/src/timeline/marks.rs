//! Which states along a history are kept, so that a step back need not begin at the beginning?
//!
//! # Invariants
//!
//! * Never more than [`most`](Marks::new) are kept, however long the history is.
//! * They are evenly spread over what was passed: when there is no room, every second one goes, and from then on half as many are kept.

use std::collections::BTreeMap;

use crate::id::Sequence;

/// Things that are kept at places of a history.
#[derive(Debug)]
pub(crate) struct Marks<T> {
    most: usize,
    from: Sequence,
    stride: u64,
    kept: BTreeMap<Sequence, T>,
}

impl<T> Marks<T> {
    /// Keeps at most `most`, at places behind `from`.
    pub(crate) fn new(most: usize, from: Sequence) -> Self {
        Self { most, from, stride: 1, kept: BTreeMap::new() }
    }

    /// Forgets all, and keeps from now on what lies behind `from`, with room up to `to`.
    pub(crate) fn restart(&mut self, from: Sequence, to: Sequence) {
        self.kept.clear();
        self.from = from;
        let most = u64::try_from(self.most).unwrap_or(u64::MAX).max(1);
        self.stride = (to.get().saturating_sub(from.get()) / most).max(1);
    }

    /// Whether something is to be kept at this place.
    pub(crate) fn wants(&self, at: Sequence) -> bool {
        let distance = at.get().saturating_sub(self.from.get());
        self.most > 0 && distance > 0 && distance.is_multiple_of(self.stride) && !self.kept.contains_key(&at)
    }

    /// Keeps it.
    pub(crate) fn keep(&mut self, at: Sequence, thing: T) {
        while self.kept.len() >= self.most {
            if self.most < 2 {
                self.kept.clear();
                break;
            }
            self.stride = self.stride.saturating_mul(2);
            let (from, stride) = (self.from.get(), self.stride);
            self.kept.retain(|at, _| (at.get() - from).is_multiple_of(stride));
        }
        self.kept.insert(at, thing);
    }

    /// The last one at `to` or before.
    pub(crate) fn last_to(&self, to: Sequence) -> Option<(Sequence, &T)> {
        self.kept.range(..=to).next_back().map(|(&at, thing)| (at, thing))
    }

    /// All of them, the last one first.
    pub(crate) fn backwards(&self) -> impl Iterator<Item = (Sequence, &T)> {
        self.kept.iter().rev().map(|(&at, thing)| (at, thing))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(most: usize, from: u64, to: u64) -> Marks<u64> {
        let mut marks = Marks::new(most, Sequence::new(from));
        for at in (from + 1..=to).map(Sequence::new) {
            if marks.wants(at) {
                marks.keep(at, at.get());
            }
        }
        marks
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_to_be() {
        assert_eq!(passed(0, 0, 100).last_to(Sequence::MAX), None);
    }

    #[test]
    fn of_the_last_stretch_the_marks_are_near_each_other() {
        let mut marks = Marks::new(4, Sequence::ZERO);
        marks.restart(Sequence::new(100), Sequence::new(140));
        for at in (101..140).map(Sequence::new) {
            if marks.wants(at) {
                marks.keep(at, ());
            }
        }
        let at: Vec<_> = marks.backwards().map(|(at, ())| at.get()).collect();
        assert_eq!(at, [130, 120, 110]);
    }

    proptest! {
        #[test]
        fn they_are_few_and_no_place_is_far_from_one(most in 1_usize..20, from in 0_u64..50, length in 1_u64..2_000) {
            let marks = passed(most, from, from + length);
            prop_assert!(marks.kept.len() <= most);
            // Half of the room is used at least, so a gap is at most that long.
            let gap = 4 * length / most as u64 + 1;
            if most > 1 {
                let behind = marks.last_to(Sequence::new(from + length)).map_or(from, |(at, _)| at.get());
                prop_assert!(from + length - behind <= gap, "{behind} {marks:?}");
            }
        }
    }
}

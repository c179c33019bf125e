//! In which order does a priority mailbox hand out its messages?
//!
//! # Invariants
//!
//! * A higher rank leaves before a lower one.
//! * Messages of one rank leave in the order in which they came.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// How urgent a message is: higher first.
pub(crate) type Rank<M> = Box<dyn Fn(&M) -> u8 + Send + Sync>;

/// What waits, the most urgent on top.
pub(crate) struct Ranked<T> {
    heap: BinaryHeap<Entry<T>>,
    arrivals: u64,
}

struct Entry<T> {
    rank: u8,
    arrival: u64,
    item: T,
}

impl<T> Ranked<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), arrivals: 0 }
    }

    pub(crate) fn push(&mut self, rank: u8, item: T) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.heap.push(Entry { rank, arrival, item });
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.heap.pop().map(|entry| entry.item)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank).then_with(|| other.arrival.cmp(&self.arrival))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn higher_ranks_leave_first_and_equals_in_order_of_arrival(ranks in proptest::collection::vec(0u8..4, 0..100)) {
            let mut ranked = Ranked::new();
            for (arrival, &rank) in ranks.iter().enumerate() {
                ranked.push(rank, (rank, arrival));
            }
            let left: Vec<_> = std::iter::from_fn(|| ranked.pop()).collect();
            let mut expected: Vec<_> = ranks.iter().copied().zip(0..).collect();
            expected.sort_by_key(|&(rank, arrival)| (std::cmp::Reverse(rank), arrival));
            prop_assert_eq!(left, expected);
            prop_assert_eq!(ranked.len(), 0);
        }
    }
}

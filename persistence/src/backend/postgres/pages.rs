//! Which page of which slices is read next?
//!
//! Every page goes on behind the last key that was seen, so nothing is skipped or read twice whatever is written or deleted meanwhile. A page has a bounded number of
//! events, and ends with the event that fills its bytes.
//!
//! # Invariants
//!
//! * A slice is left only after a page that had room for more of it.

use std::collections::BTreeMap;

/// How many events a page has at most.
pub(crate) const EVENTS: usize = 2_000;
/// A page takes no more events once it has so many bytes of payload: 1 MiB.
pub(crate) const BYTES: i64 = 1 << 20;

/// The slices that are still to be read, and behind which ordinal.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    after: BTreeMap<i32, i64>,
}

/// What a page told: the slice, ordinal and payload size of each of its events, in order.
pub(crate) type Seen = (i32, i64, usize);

impl Cursor {
    pub(crate) fn new(after: impl IntoIterator<Item = (i32, i64)>) -> Self {
        Self { after: after.into_iter().collect() }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.after.is_empty()
    }

    /// Slices, ordinals, and how many events of each.
    pub(crate) fn next(&self) -> (Vec<i32>, Vec<i64>, i64) {
        let (slices, after) = self.after.iter().map(|(&slice, &after)| (slice, after)).unzip();
        (slices, after, self.each().cast_signed())
    }

    fn each(&self) -> u64 {
        (EVENTS / self.after.len().max(1)).max(8) as u64
    }

    /// Goes on behind a page.
    pub(crate) fn seen(&mut self, page: &[Seen]) {
        let each = self.each();
        let bytes: usize = page.iter().map(|(_, _, bytes)| bytes).sum();
        // The page may have been cut: what comes from the slice of its last event on was not looked at to its end.
        let cut =
            (bytes.cast_signed() as i64 >= BYTES).then(|| page.last().map(|&(slice, ..)| slice)).flatten();
        let mut counts = BTreeMap::<i32, u64>::new();
        for &(slice, ordinal, _) in page {
            *counts.entry(slice).or_default() += 1;
            self.after.insert(slice, ordinal);
        }
        self.after.retain(|slice, _| {
            cut.is_some_and(|cut| *slice >= cut) || counts.get(slice).is_some_and(|&count| count >= each)
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server answers to a page.
    fn page(store: &[Seen], cursor: &Cursor) -> Vec<Seen> {
        let (slices, after, each) = cursor.next();
        let (mut page, mut bytes) = (Vec::new(), 0);
        for (slice, after) in slices.into_iter().zip(after) {
            let of = store.iter().filter(|(of, ordinal, _)| *of == slice && *ordinal > after);
            for event in of.take(usize::try_from(each).unwrap()) {
                if bytes < BYTES {
                    page.push(*event);
                }
                bytes += i64::try_from(event.2).unwrap();
            }
        }
        page
    }

    proptest! {
        #[test]
        fn every_event_is_seen_once_and_in_order(
            lengths in prop::collection::vec(0_usize..5_000, 1..6), size in 1_usize..3_000, large in 0_usize..5,
        ) {
            let store: Vec<Seen> = (0..)
                .zip(&lengths)
                .flat_map(|(slice, &length)| (1..=length).map(move |n| {
                    (slice, i64::try_from(n).unwrap(), if n % 700 == large { 1 << 20 } else { size })
                }))
                .collect();
            let mut cursor = Cursor::new((0..).zip(&lengths).map(|(slice, _)| (slice, 0)));
            let mut seen = Vec::new();
            while !cursor.is_at_end() {
                let page = page(&store, &cursor);
                prop_assert!(page.len() <= EVENTS.max(8 * lengths.len()));
                cursor.seen(&page);
                seen.extend(page);
            }
            seen.sort_by_key(|&(slice, ..)| slice);
            prop_assert_eq!(seen, store);
        }
    }
}

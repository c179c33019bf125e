//! Does a reader find what is there, in order, and nothing else?

use super::{Storage, Subject, event, id, slices};
use crate::backend::IdQuery;
use crate::id::{Ordinal, PersistenceId, Slice, Slices};

/// From and to are both included; ids are told apart; an id without events is empty.
pub async fn a_range_has_both_its_ends<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let (a, b, none) = (id("a"), id("b"), id("none"));
    let epoch = it.claim(&a).await;
    it.fill(epoch, &a, 1..=5).await;
    it.fill(epoch, &b, 6..=7).await;
    for (from, to, expected) in [
        (0, u64::MAX, 1..=5),
        (1, 5, 1..=5),
        (2, 4, 2..=4),
        (3, 3, 3..=3),
        (5, 9, 5..=5),
        #[expect(clippy::reversed_empty_ranges, reason = "nothing is expected")]
        (6, 9, 1..=0),
        #[expect(clippy::reversed_empty_ranges, reason = "nothing is expected")]
        (4, 3, 1..=0),
    ] {
        let found: Vec<u64> = it.range(&a, from, to).await.iter().map(|event| event.sequence.get()).collect();
        assert_eq!(found, expected.collect::<Vec<_>>(), "from {from} to {to}");
    }
    assert_eq!(it.events(&none).await, []);
    assert_eq!((it.highest(&a).await, it.highest(&b).await, it.highest(&none).await), (5, 2, 0));
}

/// All ids of the slice and none of another, behind an ordinal, with a tag.
pub async fn a_slice_is_read_in_order_and_by_tag<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(2));
    let it = Subject::open(&mut storage).await;
    let of =
        |slice| (0..).map(|n| id(&format!("id-{n}"))).filter(move |id| id.slice(slices(2)).get() == slice);
    let mut expected = [Vec::new(), Vec::new()];
    for slice in 0..2 {
        let ids: Vec<PersistenceId> = of(slice).take(3).collect();
        let epoch = it.claim(&ids[0]).await;
        for (n, id) in (0..150_u64).zip(ids.iter().cycle()) {
            let mut event = event(n);
            if n % 10 == 0 {
                event = event.tag("round").tag("other");
            }
            let appended = it.append(epoch, id, n / 3, vec![event]).await.expect("a healthy journal appends");
            expected[slice as usize].push((appended.ordinal, id.clone(), appended.sequence));
        }
    }
    for (slice, expected) in (0..2).map(Slice::new).zip(&expected) {
        let found = it.slice_events(slice, None, Ordinal::ZERO).await;
        let found: Vec<_> =
            found.into_iter().map(|event| (event.ordinal, event.id, event.sequence)).collect();
        assert_eq!(&found, expected);
        let rest = it.slice_events(slice, None, expected[99].0).await;
        assert_eq!((rest.len(), rest[0].ordinal), (50, expected[100].0));
        assert_eq!(it.slice_events(slice, None, expected[149].0).await, []);
        let round: Vec<_> = it.slice_events(slice, Some("round"), expected[0].0).await;
        let round: Vec<u64> = round.iter().map(|event| event.event.timestamp_ms).collect();
        assert_eq!(round, (1..15).map(|n| n * 10).collect::<Vec<_>>());
        assert_eq!(it.slice_events(slice, Some("roun"), Ordinal::ZERO).await, []);
    }
}

/// Thousands of events, among those of others, read from the beginning and from the middle.
pub async fn a_long_history_comes_whole_and_in_order<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let (a, b) = (id("a"), id("b"));
    let epoch = it.claim(&a).await;
    for n in 0..50 {
        let events = |of: u64| (0..100).map(|i| event(of + n * 100 + i)).collect::<Vec<_>>();
        it.append(epoch, &a, n * 100, events(0)).await.expect("a healthy journal appends");
        it.append(epoch, &b, n * 100, events(1_000_000)).await.expect("a healthy journal appends");
    }
    it.expect(&a, 1, &(0..5000).collect::<Vec<_>>()).await;
    let middle = it.range(&b, 2500, 4999).await;
    assert_eq!((middle.len(), middle[0].event.timestamp_ms), (2500, 1_002_499));
}

/// By prefix, behind an id, at most so many, in the order of their bytes.
pub async fn ids_are_listed_in_pages<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(4));
    let it = Subject::open(&mut storage).await;
    let all: Vec<PersistenceId> =
        ["a", "b", "b-1", "b-2", "b-3", "ba", "c", "ä"].map(id).into_iter().collect();
    for slice in slices(4).iter() {
        let epoch = it.journal.claim(slice).await.expect("a claim on a healthy journal succeeds");
        for id in all.iter().rev().filter(|id| it.slice(id) == slice) {
            it.fill(epoch, id, [1, 2]).await;
        }
    }
    let page = async |prefix: &str, after: Option<&PersistenceId>, limit| {
        let query = IdQuery { prefix: prefix.to_owned(), after: after.cloned(), limit };
        it.journal.ids(query).await.expect("a healthy journal can be read")
    };
    assert_eq!(page("", None, 100).await, all);
    assert_eq!(page("b-", None, 2).await, all[2..4]);
    assert_eq!(page("b-", Some(&all[3]), 2).await, all[4..5]);
    assert_eq!(page("b-", Some(&all[4]), 2).await, []);
    assert_eq!(page("", None, 0).await, []);
    assert_eq!(page("b", Some(&id("b-10")), 10).await, all[3..6], "behind an id that there is not");
}

//! Are appends atomic, ordered, checked and bounded?

use futures_util::future::join_all;

use super::{Storage, Subject, event, id, slices};
use crate::backend::{Append, MAX_APPEND_EVENTS, WriteError};
use crate::id::{Epoch, Sequence, Slice, Slices};
use crate::recorded::{MAX_LABEL_BYTES, MAX_PAYLOAD_BYTES, NewEvent};

/// The first event has sequence 1, each append goes on where the last one ended, and ordinals rise over all ids of a slice.
pub async fn positions_have_no_gaps<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let (a, b) = (id("a"), id("b"));
    let epoch = it.claim(&a).await;
    let first = it.append(epoch, &a, 0, vec![event(1), event(2)]).await.expect("the first append");
    assert_eq!(first.sequence, Sequence::new(2));
    let other = it.append(epoch, &b, 0, vec![event(3)]).await.expect("another id");
    let third = it.append(epoch, &a, 2, vec![event(4)]).await.expect("the next append");
    assert_eq!((other.sequence.get(), third.sequence.get()), (1, 3));
    assert!(first.ordinal < other.ordinal && other.ordinal < third.ordinal, "ordinals rise");
    it.expect(&a, 1, &[1, 2, 4]).await;
    let last = it.events(&a).await.pop().expect("it has events");
    assert_eq!(last.ordinal, third.ordinal, "a reader sees the ordinal which the writer was told");
}

/// Every field, empty ones and large ones included.
pub async fn what_was_appended_is_read_back_exactly<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(4));
    let it = Subject::open(&mut storage).await;
    let a = id("ä b/c 漢");
    let epoch = it.claim(&a).await;
    let full = NewEvent {
        name: "account.withdrawn".into(),
        version: u32::MAX,
        timestamp_ms: u64::MAX,
        tags: vec!["one".into(), "".into(), "x".repeat(MAX_LABEL_BYTES).into()],
        payload: (0..300_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into(),
        metadata: vec![7; 65_536].into(),
    };
    let mut none = NewEvent::new("", Vec::new());
    none.version = 0;
    let events = vec![none, full, NewEvent::new("zeros", vec![0; 5000])];
    it.append(epoch, &a, 0, events.clone()).await.expect("within the limits");
    let found = it.events(&a).await;
    assert!(found.iter().all(|event| event.id == a && event.slice == it.slice(&a)));
    assert_eq!(found.into_iter().map(|event| event.event).collect::<Vec<_>>(), events);
}

/// Too low, too high, of an id that has none: refused with the actual sequence, and nothing is stored.
pub async fn an_unexpected_sequence_is_refused<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(4));
    let it = Subject::open(&mut storage).await;
    let a = id("a");
    let epoch = it.claim(&a).await;
    for (expected, ends_at) in [(1, 0), (0, 0), (0, 2), (1, 2), (3, 2), (u64::MAX, 2)] {
        if ends_at == 0 && expected == 0 {
            it.fill(epoch, &a, [1, 2]).await;
            continue;
        }
        match it.append(epoch, &a, expected, vec![event(9)]).await {
            Err(WriteError::UnexpectedSequence { actual, .. }) => assert_eq!(actual.get(), ends_at),
            other => panic!("expected {expected}, it ends at {ends_at}, and the answer was {other:?}"),
        }
    }
    it.expect(&a, 1, &[1, 2]).await;
}

/// A thousand appends of a few ids, none of them awaited before the next.
pub async fn what_is_submitted_without_waiting_arrives_in_order<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let ids = [id("a"), id("b"), id("c")];
    let epoch = it.claim(&ids[0]).await;
    let waiting: Vec<_> =
        (0..999).zip(ids.iter().cycle()).map(|(n, id)| it.append(epoch, id, n / 3, vec![event(n)])).collect();
    let answers = join_all(waiting).await;
    let ordinals: Vec<_> =
        answers.into_iter().map(|answer| answer.expect("a healthy journal appends").ordinal).collect();
    assert!(ordinals.is_sorted_by(|a, b| a < b), "ordinals rise in the order of the calls");
    for (n, id) in (0..3).zip(&ids) {
        it.expect(id, 1, &(0..333).map(|i| i * 3 + n).collect::<Vec<_>>()).await;
    }
}

/// Of appends that wait together, one that is refused takes those with it that build on it, and no others.
pub async fn one_failure_fails_what_follows_and_nothing_else<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let (a, b) = (id("a"), id("b"));
    let epoch = it.claim(&a).await;
    let answers = join_all([
        it.append(epoch, &a, 0, vec![event(1)]),
        it.append(epoch, &a, 5, vec![event(2)]), // wrong
        it.append(epoch, &b, 0, vec![event(3)]),
        it.append(epoch, &a, 6, vec![event(4)]), // believed in the wrong one
        it.append(epoch, &b, 1, vec![event(5)]),
    ]);
    let good: Vec<bool> = answers.await.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, false, true]);
    it.expect(&a, 1, &[1]).await;
    it.expect(&b, 1, &[3, 5]).await;
}

/// It is answered as an append is: by the epoch and the sequence.
pub async fn an_empty_append_stores_nothing_and_checks<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let a = id("a");
    let epoch = it.claim(&a).await;
    it.append(epoch, &a, 0, vec![]).await.expect("the id has no events, as expected");
    assert!(it.append(epoch, &a, 1, vec![]).await.is_err(), "it has no event 1");
    let last = it.append(epoch, &a, 0, vec![event(1)]).await.expect("a healthy journal appends");
    assert_eq!(it.append(epoch, &a, 1, vec![]).await.expect("as expected"), last);
    assert!(it.append(Epoch::ZERO, &a, 1, vec![]).await.is_err(), "nobody has epoch 0");
    it.expect(&a, 1, &[1]).await;
}

/// Events, labels and slices beyond their limits are refused, and the journal goes on.
pub async fn what_breaks_a_limit_is_refused<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(4));
    let it = Subject::open(&mut storage).await;
    let a = id("a");
    let epoch = it.claim(&a).await;
    let too_large = [
        vec![NewEvent::new("large", vec![1; MAX_PAYLOAD_BYTES + 1])],
        vec![NewEvent::new("large", vec![1; 12 << 20]); 3],
        vec![NewEvent::new("x".repeat(MAX_LABEL_BYTES + 1), "")],
        vec![NewEvent::new("x", "").tag("x".repeat(MAX_LABEL_BYTES + 1))],
        vec![event(1); MAX_APPEND_EVENTS + 1],
    ];
    for events in too_large {
        let answer = it.append(epoch, &a, 0, events).await;
        assert!(matches!(answer, Err(WriteError::TooLarge { .. })), "the answer was {answer:?}");
    }
    let slice = Slice::new((it.slice(&a).get() + 1) % 4);
    let wrong = Append { slice, epoch, id: a.clone(), expected: Sequence::ZERO, events: vec![event(1)] };
    assert!(matches!(it.journal.append(wrong).await, Err(WriteError::WrongSlice { .. })));
    assert!(matches!(it.journal.claim(Slice::new(4)).await, Err(WriteError::NoSuchSlice { .. })));
    let largest = vec![NewEvent::new("largest", vec![1; MAX_PAYLOAD_BYTES])];
    it.append(epoch, &a, 0, largest).await.expect("a payload of exactly the limit");
    assert_eq!(it.events(&a).await[0].event.payload.len(), MAX_PAYLOAD_BYTES);
}

/// However many are submitted at once, each is either stored and confirmed, or refused and not stored.
pub async fn more_than_fits_is_refused_not_lost<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let ids: Vec<_> = (0..20_000).map(|n| id(&format!("id-{n}"))).collect();
    let epoch = it.claim(&ids[0]).await;
    let waiting: Vec<_> = ids.iter().map(|id| it.append(epoch, id, 0, vec![event(1)])).collect();
    let mut confirmed = 0;
    for answer in join_all(waiting).await {
        match answer {
            Ok(_) => confirmed += 1,
            Err(WriteError::Full { .. }) => {}
            Err(other) => panic!("a healthy journal refuses for lack of room only, and not because {other}"),
        }
    }
    assert_eq!(it.slice_events(Slice::new(0), None, crate::Ordinal::ZERO).await.len(), confirmed);
}

/// Submitting is what counts; the future only tells.
pub async fn a_dropped_future_takes_nothing_back<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let a = id("a");
    let epoch = it.claim(&a).await;
    drop(it.append(epoch, &a, 0, vec![event(1)]));
    it.append(epoch, &a, 1, vec![event(2)]).await.expect("the one before was submitted");
    it.expect(&a, 1, &[1, 2]).await;
}

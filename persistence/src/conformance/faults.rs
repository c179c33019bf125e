//! Is what was confirmed still there after a crash, and is what failed answered honestly?

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::{Storage, Subject, event, id, slices};
use crate::backend::WriteError;
use crate::id::{Ordinal, Slice, Slices};

/// Events, ordinals, slices: all as before, twice.
pub async fn everything_outlives_a_restart<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(3));
    let ids: Vec<_> = (0..20).map(|n| id(&format!("id-{n}"))).collect();
    let mut before = Vec::new();
    for round in 0..3_u64 {
        let it = Subject::open(&mut storage).await;
        assert_eq!(it.journal.slices(), slices(3));
        for (slice, before) in before.iter().enumerate() {
            let slice = Slice::new(u32::try_from(slice).expect("a few slices"));
            assert_eq!(&it.slice_events(slice, None, Ordinal::ZERO).await, before);
        }
        for slice in slices(3).iter() {
            let epoch = it.journal.claim(slice).await.expect("a claim on a healthy journal succeeds");
            for id in ids.iter().filter(|id| it.slice(id) == slice) {
                it.fill(epoch, id, round * 5 + 1..=round * 5 + 5).await;
                it.expect(id, 1, &(1..=round * 5 + 5).collect::<Vec<_>>()).await;
            }
        }
        before.clear();
        for slice in slices(3).iter() {
            before.push(it.slice_events(slice, None, Ordinal::ZERO).await);
        }
        drop(it);
        storage.close().await;
    }
}

/// What was confirmed is there; of the rest, each append is there whole or not at all, and none without those before.
pub async fn a_crash_loses_nothing_acknowledged<S: Storage>(create: impl Fn(Slices) -> S) -> bool {
    for round in 0..20 {
        let mut storage = create(slices(1));
        let it = Subject::open(&mut storage).await;
        let a = id("a");
        let epoch = it.claim(&a).await;
        it.fill(epoch, &a, 1..=10).await;
        let pairs = |n: u64| vec![event(11 + 2 * n), event(12 + 2 * n)];
        let waiting: Vec<_> = (0..round).map(|n| it.append(epoch, &a, 10 + 2 * n, pairs(n))).collect();
        if !storage.crash() {
            return false;
        }
        let answers = waiting.into_iter().map(FutureExt::now_or_never);
        let confirmed = answers.take_while(|answer| matches!(answer, Some(Ok(_)))).count() as u64;
        drop(it);
        let it = Subject::open(&mut storage).await;
        let events = it.events(&a).await.len() as u64;
        assert!(events >= 10 + 2 * confirmed, "{events} events, after {confirmed} appends were confirmed");
        assert!(events <= 10 + 2 * round && events.is_multiple_of(2), "{events} events: an append is torn");
        it.expect(&a, 1, &(1..=events).collect::<Vec<_>>()).await;
        it.fill(epoch, &a, [events + 1]).await;
    }
    true
}

/// What is answered with an error that says "not written" is not there, then or after a restart. What followed it is refused. Others go on.
pub async fn a_failing_device_is_answered_honestly<S: Storage>(create: impl Fn(Slices) -> S) -> bool {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let (a, b) = (id("a"), id("b"));
    let epoch = it.claim(&a).await;
    it.fill(epoch, &a, [1]).await;
    if !storage.fail_next_write() {
        return false;
    }
    let failed = it.append(epoch, &a, 1, vec![event(2)]);
    let following = it.append(epoch, &a, 2, vec![event(3)]);
    let [failed, following]: [_; 2] = join_all([failed, following]).await.try_into().expect("two answers");
    let doubtful = match failed {
        Err(WriteError::Unknown(_)) => true,
        Err(WriteError::Unavailable(_)) => false,
        other => panic!("the device failed, and the answer was {other:?}"),
    };
    assert!(following.is_err(), "what builds on a failure fails");
    drop(it);
    storage.close().await;
    let it = Subject::open(&mut storage).await;
    let found = it.highest(&a).await;
    assert!(found == 1 || doubtful, "it was answered as not written, and is there");
    it.expect(&a, 1, &(1..=found).collect::<Vec<_>>()).await;
    it.fill(epoch, &a, [7]).await;
    it.fill(epoch, &b, [8]).await;
    it.expect(&b, 1, &[8]).await;
    true
}

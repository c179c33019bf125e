//! Can a journal be followed: who is it, where does it end, and does it tell what is new?
//!
//! What a backend does not claim to know is not checked, but for its identity: an offset has to be refused by another journal.

use super::{Storage, Subject, event, id, slices};
use crate::backend::tail::Found;
use crate::id::{Ordinal, Slices};

/// A journal has an identity of its own; it stays the same when it is opened again.
pub async fn it_has_an_identity_that_stays<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(2));
    let before = Subject::open(&mut storage).await.journal.identity();
    assert_ne!(before, 0, "0 is what a backend says that does not know who it is");
    storage.close().await;
    assert_eq!(Subject::open(&mut storage).await.journal.identity(), before);
}

/// The ends of slices are those of their last events, deleted or not, also after a restart.
pub async fn slices_end_at_their_last_event<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let a = id("a");
    let epoch = it.claim(&a).await;
    it.fill(epoch, &a, 1..=3).await;
    let last = it.append(epoch, &a, 3, vec![event(4), event(5)]).await.expect("a healthy journal appends");
    let slice = it.slice(&a);
    assert_eq!(it.journal.ends().await.expect("it can be read").get(&slice), Some(&last.ordinal));
    if it.journal.is_gapless() {
        assert_eq!(last.ordinal, Ordinal::new(5), "the fifth event of a slice without gaps");
    }
    drop(it);
    storage.close().await;
    let again = Subject::open(&mut storage).await;
    assert_eq!(again.journal.ends().await.expect("it can be read").get(&slice), Some(&last.ordinal));
}

/// A follower of the tail is given what becomes durable, or learns that he has to read.
pub async fn whoever_follows_learns_of_what_is_new<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let a = id("a");
    let epoch = it.claim(&a).await;
    it.fill(epoch, &a, 1..=2).await;
    let Some(tail) = it.journal.tail().cloned() else { return };
    let mut follower = tail.follow();
    // What was told just before may still come: a reader drops it by its ordinal.
    let mut seen = 0;
    for number in 3..=6_u64 {
        it.fill(epoch, &a, [number]).await;
        while seen < number {
            match follower.take() {
                Found::Batch(batch) => {
                    for found in batch.iter().flat_map(crate::backend::tail::Durable::events) {
                        let there = it.range(&a, found.sequence.get(), found.sequence.get()).await;
                        assert!(there == std::slice::from_ref(&found), "what is told is what is read");
                        seen = seen.max(found.sequence.get());
                    }
                }
                Found::Lost => {
                    follower.go_to_end();
                    seen = it.highest(&a).await;
                }
                Found::Nothing => follower.told().await,
            }
        }
    }
}

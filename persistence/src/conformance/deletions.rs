//! Is what was deleted gone, and nothing else?

use super::{Storage, Subject, event, id, slices};
use crate::backend::Delete;
use crate::id::{Epoch, PersistenceId, Sequence, Slices};

async fn delete(it: &Subject, epoch: Epoch, id: &PersistenceId, to: u64) {
    let delete = Delete { slice: it.slice(id), epoch, id: id.clone(), to: Sequence::new(to) };
    it.journal.delete_to(delete).await.expect("a healthy journal deletes");
}

/// Also after a restart.
pub async fn what_is_deleted_is_gone_and_its_sequences_stay_used<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let (a, b) = (id("a"), id("b"));
    let epoch = it.claim(&a).await;
    it.fill(epoch, &a, 1..=6).await;
    it.fill(epoch, &b, 1..=3).await;
    delete(&it, epoch, &a, 4).await;
    it.expect(&a, 5, &[5, 6]).await;
    delete(&it, epoch, &a, 2).await;
    it.expect(&a, 5, &[5, 6]).await;
    assert_eq!(it.range(&a, 1, 4).await, []);
    it.expect(&b, 1, &[1, 2, 3]).await;
    it.fill(epoch, &a, [7]).await;
    drop(it);
    storage.close().await;
    let it = Subject::open(&mut storage).await;
    it.expect(&a, 5, &[5, 6, 7]).await;
    assert_eq!(it.highest(&a).await, 7);
}

/// And the next event comes behind the last one there was.
pub async fn deleting_beyond_the_end_deletes_all_there_is<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let (a, none) = (id("a"), id("none"));
    let epoch = it.claim(&a).await;
    it.fill(epoch, &a, 1..=3).await;
    delete(&it, epoch, &a, u64::MAX).await;
    delete(&it, epoch, &none, 7).await;
    assert_eq!(it.events(&a).await, []);
    assert_eq!((it.highest(&a).await, it.highest(&none).await), (3, 0));
    drop(it);
    storage.close().await;
    let it = Subject::open(&mut storage).await;
    assert_eq!(it.events(&a).await, []);
    assert_eq!((it.highest(&a).await, it.highest(&none).await), (3, 0));
    assert!(it.append(epoch, &a, 0, vec![event(9)]).await.is_err(), "sequences are not used again");
    it.append(epoch, &a, 3, vec![event(4)]).await.expect("it goes on where it ended");
    it.append(epoch, &none, 0, vec![event(1)]).await.expect("it never had any");
    it.expect(&a, 4, &[4]).await;
    it.expect(&none, 1, &[1]).await;
}

//! Does an id have one writer?

use super::{Storage, Subject, event, id, slices};
use crate::backend::{Delete, WriteError};
use crate::id::{Sequence, Slices};

/// Also of what was submitted before the claim and waits behind it.
pub async fn each_claim_is_higher_and_fences_those_before<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(2));
    let it = Subject::open(&mut storage).await;
    let a = id("a");
    let old = it.claim(&a).await;
    it.fill(old, &a, [1]).await;
    let claiming = it.journal.claim(it.slice(&a));
    let late = it.append(old, &a, 1, vec![event(2)]);
    let new = claiming.await.expect("a claim on a healthy journal succeeds");
    assert!(new > old);
    assert!(matches!(late.await, Err(WriteError::StaleEpoch { given, current, .. })
        if given == old && current == new));
    let delete = Delete { slice: it.slice(&a), epoch: old, id: a.clone(), to: Sequence::MAX };
    assert!(matches!(it.journal.delete_to(delete).await, Err(WriteError::StaleEpoch { .. })));
    let never = it.append(new.plus(1), &a, 1, vec![event(3)]).await;
    assert!(matches!(never, Err(WriteError::StaleEpoch { .. })), "an epoch that was never given");
    it.fill(new, &a, [4]).await;
    it.expect(&a, 1, &[1, 4]).await;
}

/// Nobody gets an epoch twice.
pub async fn epochs_outlive_a_restart<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(2));
    let it = Subject::open(&mut storage).await;
    let a = id("a");
    let before = it.claim(&a).await;
    drop(it);
    storage.close().await;
    let it = Subject::open(&mut storage).await;
    it.append(before, &a, 0, vec![event(1)]).await.expect("nobody else claimed the slice");
    let after = it.claim(&a).await;
    assert!(after > before);
    assert!(it.append(before, &a, 1, vec![event(2)]).await.is_err());
}

/// Two owners who take turns at claiming, appending and checking: what a fenced one writes never lands.
pub async fn of_two_owners_one_writes<S: Storage>(create: impl Fn(Slices) -> S) {
    let mut storage = create(slices(1));
    let it = Subject::open(&mut storage).await;
    let a = id("a");
    let (mut owners, mut written) = ([it.claim(&a).await, it.claim(&a).await], Vec::new());
    for turn in 0..40_u64 {
        let who = usize::from(turn % 3 == 0);
        if turn % 7 == 0 {
            owners[who] = it.claim(&a).await;
        }
        let rightful = owners[who] > owners[1 - who];
        let answer = it.append(owners[who], &a, written.len() as u64, vec![event(turn)]).await;
        assert_eq!(answer.is_ok(), rightful, "turn {turn}: {answer:?}");
        written.extend(rightful.then_some(turn));
    }
    it.expect(&a, 1, &written).await;
}

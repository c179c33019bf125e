//! Does a store of snapshots keep the contract of [`SnapshotStore`]?

use crate::id::Sequence;
use crate::snapshot::{Snapshot, SnapshotStore};

use super::id;

/// Saves, loads, replaces and deletes; `store` is empty and keeps `kept` snapshots of each id, at least 2.
pub async fn the_newest_intact_one_is_found(store: &dyn SnapshotStore, kept: u64) {
    let (a, b) = (id("a"), id("b/../ä"));
    let snapshot = |id: &crate::PersistenceId, sequence: u64, state: &str| Snapshot {
        id: id.clone(),
        sequence: Sequence::new(sequence),
        timestamp_ms: sequence * 10,
        name: "account".to_owned(),
        version: 3,
        state: state.as_bytes().to_vec().into(),
    };
    let load = async |id: &crate::PersistenceId, to: u64| {
        let loaded = store.load(id, Sequence::new(to)).await.expect("a healthy store can be read");
        assert!(loaded.damaged.is_empty(), "nothing is damaged: {:?}", loaded.damaged);
        loaded.snapshot
    };
    assert_eq!(load(&a, u64::MAX).await, None);
    for n in 1..=kept + 2 {
        store.save(snapshot(&a, n * 10, "state")).await.expect("a healthy store saves");
    }
    store.save(snapshot(&b, 7, "")).await.expect("a healthy store saves");
    let last = (kept + 2) * 10;
    assert_eq!(load(&a, u64::MAX).await, Some(snapshot(&a, last, "state")));
    assert_eq!(load(&a, last - 1).await, Some(snapshot(&a, last - 10, "state")));
    assert_eq!(load(&a, 29).await, None, "only the newest {kept} are kept");
    assert_eq!(load(&b, 7).await, Some(snapshot(&b, 7, "")));
    assert_eq!(load(&b, 6).await, None);
    store.save(snapshot(&a, last, "another")).await.expect("a healthy store saves");
    assert_eq!(load(&a, last).await, Some(snapshot(&a, last, "another")));
    store.delete_to(&a, Sequence::new(last - 1)).await.expect("a healthy store deletes");
    assert_eq!(load(&a, last - 1).await, None);
    assert_eq!(load(&a, last).await, Some(snapshot(&a, last, "another")));
    store.delete_to(&a, Sequence::MAX).await.expect("a healthy store deletes");
    assert_eq!(load(&a, u64::MAX).await, None);
    assert_eq!(load(&b, 7).await, Some(snapshot(&b, 7, "")), "another id is another id");
}

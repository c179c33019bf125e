//! Does a store of leases keep its contract?

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Epoch, LeaseFault, LeaseRecord, LeaseStore, LeaseVersion, MAX_LEASE_NAME_BYTES};

fn record(holder: &str, epoch: u64, beat: u64) -> LeaseRecord {
    let term = Duration::from_millis(1_500);
    LeaseRecord { holder: holder.to_owned(), epoch: Epoch::new(epoch), beat, term }
}

/// Tries to break the contract of [`LeaseStore`] with leases whose names begin with `prefix`, which nobody else may use and which have to be new.
///
/// What it cannot see: whether an epoch survives a crash of the store. Test that where the store can be crashed.
///
/// # Panics
///
/// With the rule that was broken.
pub async fn check_lease_store(store: Arc<dyn LeaseStore>, prefix: &str) {
    let name = format!("{prefix}-one");
    let conflict = |name: &str| Err(LeaseFault::Conflict { name: name.to_owned() });
    let version = |epoch, beat| -> Option<LeaseVersion> { Some((Epoch::new(epoch), beat)) };

    assert_eq!(store.read(&name).await, Ok(None), "a lease that nobody asked for has no record");
    let wrong = store.replace(&name, version(1, 0), record("a", 2, 0)).await;
    assert_eq!(wrong, conflict(&name), "1: none is there, and one was expected");
    assert_eq!(store.read(&name).await, Ok(None), "1: a refused record is not stored");
    let first = record("a: ä \u{1F9AC} ' \" \\", 1, 0);
    assert_eq!(
        store.replace(&name, None, first.clone()).await,
        Ok(()),
        "1: none was expected, and none is there"
    );
    assert_eq!(
        store.read(&name).await,
        Ok(Some(first.clone())),
        "2: what was stored is read, every field of it"
    );
    let again = store.replace(&name, None, record("b", 1, 0)).await;
    assert_eq!(again, conflict(&name), "1: one is there, and none was expected");
    for wrong in [version(1, 1), version(2, 0), version(0, 0), version(u64::from(u32::MAX), 7)] {
        let refused = store.replace(&name, wrong, record("b", 2, 0)).await;
        assert_eq!(refused, conflict(&name), "1: {wrong:?} was expected, and (1, 0) is there");
    }
    assert_eq!(store.read(&name).await, Ok(Some(first)), "1: a refused record is not stored");
    let given_back = record("", 1, 1);
    assert_eq!(
        store.replace(&name, version(1, 0), given_back.clone()).await,
        Ok(()),
        "1: the version is there"
    );
    assert_eq!(store.read(&name).await, Ok(Some(given_back)), "2: a lease without a holder keeps its epoch");

    let other = format!("{prefix}-two");
    assert_eq!(store.read(&other).await, Ok(None), "names are kept apart");
    let longest = format!("{prefix}-{}", "n".repeat(MAX_LEASE_NAME_BYTES));
    let (longest, longer) = (&longest[..MAX_LEASE_NAME_BYTES], &longest[..=MAX_LEASE_NAME_BYTES]);
    assert_eq!(store.replace(longest, None, record("a", 1, 0)).await, Ok(()), "5: the longest name is taken");
    let refused = |result: &Result<(), LeaseFault>| matches!(result, Err(LeaseFault::TooLong { .. }));
    let result = store.replace(longer, None, record("a", 1, 0)).await;
    assert!(refused(&result), "5: a longer name is refused: {result:?}");
    let result = store.replace(&other, None, record(&"h".repeat(MAX_LEASE_NAME_BYTES + 1), 1, 0)).await;
    assert!(refused(&result), "5: a longer holder is refused: {result:?}");
    let biggest = record(&"h".repeat(MAX_LEASE_NAME_BYTES), i64::MAX.unsigned_abs(), i64::MAX.unsigned_abs());
    assert_eq!(store.replace(&other, None, biggest.clone()).await, Ok(()), "big numbers are taken");
    assert_eq!(store.read(&other).await, Ok(Some(biggest)), "2: big numbers are read as they were stored");

    let contested = format!("{prefix}-contested");
    let mut expected = None;
    for epoch in 1..=20 {
        let holders: Vec<String> = (0..8).map(|n| format!("racer {n} of {epoch}")).collect();
        let races =
            holders.iter().map(|holder| store.replace(&contested, expected, record(holder, epoch, 0)));
        let results = join_all(races).await;
        let won: Vec<_> = holders.iter().zip(&results).filter(|(_, result)| result.is_ok()).collect();
        assert_eq!(won.len(), 1, "1: of several who expect the same version one stores: {results:?}");
        let there = store.read(&contested).await.map(|record| record.map(|record| record.holder));
        assert_eq!(there.as_ref(), Ok(&Some(won[0].0.clone())), "2: the one who was told so is there");
        expected = version(epoch, 0);
    }
}

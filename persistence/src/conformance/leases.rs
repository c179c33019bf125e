//! Leases, where a backend keeps them.

use std::time::Duration;

use omnitron_runtime::testkit::check_lease_store;
use omnitron_runtime::{Epoch, LeaseRecord};

use super::Storage;
use crate::id::Slices;

/// The store keeps the contract of [`LeaseStore`](omnitron_runtime::LeaseStore), and epochs outlive a restart and a crash. `false`: the backend keeps none.
///
/// # Panics
///
/// When the contract is broken.
pub async fn epochs_of_leases_outlive_everything<S: Storage>(create: &impl Fn(Slices) -> S) -> bool {
    let mut storage = create(Slices::default());
    let journal = storage.open().await;
    let Some(leases) = journal.leases() else { return false };
    check_lease_store(leases.clone(), "conformance").await;
    let record = |holder: &str, epoch, beat| {
        let term = Duration::from_millis(1_234);
        LeaseRecord { holder: holder.to_owned(), epoch: Epoch::new(epoch), beat, term }
    };
    let (first, second) = (record("a", 1, 0), record("b", 2, 0));
    assert_eq!(leases.replace("lasting", None, first.clone()).await, Ok(()));
    assert_eq!(leases.replace("lasting", Some(first.version()), record("a", 1, 1)).await, Ok(()));
    assert_eq!(leases.replace("lasting", Some((Epoch::new(1), 1)), second.clone()).await, Ok(()));
    drop((leases, journal));
    storage.close().await;
    for crash in [false, true] {
        if crash && !storage.crash() {
            break;
        }
        let leases = storage.open().await.leases().expect("it kept leases before");
        let there = leases.read("lasting").await.expect("it can be read");
        assert_eq!(there.map(|record| record.epoch), Some(second.epoch), "3: epochs last");
        if !crash {
            // What comes last is not closed in good order.
            drop(leases);
            storage.close().await;
        }
    }
    true
}

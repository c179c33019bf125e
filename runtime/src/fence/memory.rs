//! Leases that are gone with the process.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{LeaseFault, LeaseRecord, LeaseStore, LeaseVersion};

/// A store of leases in memory, for tests and for candidates within one process. A clone is the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryLeases {
    records: Arc<Mutex<BTreeMap<String, LeaseRecord>>>,
}

impl MemoryLeases {
    fn replace_now(
        &self,
        name: &str,
        expected: Option<LeaseVersion>,
        record: LeaseRecord,
    ) -> Result<(), LeaseFault> {
        LeaseFault::check(name, &record.holder)?;
        let mut records = self.records.lock();
        if records.get(name).map(LeaseRecord::version) != expected {
            return Err(LeaseFault::Conflict { name: name.to_owned() });
        }
        records.insert(name.to_owned(), record);
        Ok(())
    }
}

impl LeaseStore for MemoryLeases {
    fn read(&self, name: &str) -> BoxFuture<'static, Result<Option<LeaseRecord>, LeaseFault>> {
        let result = LeaseFault::check(name, "").map(|()| self.records.lock().get(name).cloned());
        std::future::ready(result).boxed()
    }

    fn replace(
        &self,
        name: &str,
        expected: Option<LeaseVersion>,
        record: LeaseRecord,
    ) -> BoxFuture<'static, Result<(), LeaseFault>> {
        std::future::ready(self.replace_now(name, expected, record)).boxed()
    }
}

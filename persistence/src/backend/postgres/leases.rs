//! Where do leases lie?
//!
//! In a table of one of the servers, chosen by the name of the lease, so that nodes which share nothing but the servers agree. A replacement is one statement that names the version
//! it expects.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use omnitron_runtime::{Epoch, LeaseFault, LeaseRecord, LeaseStore, LeaseVersion};

use super::Postgres;
use super::faults::Trouble;
use super::schema;

/// The leases beside a journal on PostgreSQL. A clone is the same.
#[derive(Clone)]
pub struct Leases {
    journal: Postgres,
}

impl Leases {
    pub(crate) fn new(journal: Postgres) -> Self {
        Self { journal }
    }
}

fn fault(trouble: &Trouble) -> LeaseFault {
    let fault = trouble.fault.to_string().into();
    if trouble.is_open { LeaseFault::Unknown(fault) } else { LeaseFault::Unavailable(fault) }
}

impl LeaseStore for Leases {
    fn read(&self, name: &str) -> BoxFuture<'static, Result<Option<LeaseRecord>, LeaseFault>> {
        if let Err(fault) = LeaseFault::check(name, "") {
            return std::future::ready(Err(fault)).boxed();
        }
        let (server, name) = (Arc::clone(self.journal.server_of_lease(name)), name.to_owned());
        async move {
            let rows = server.query(schema::LEASE, &[&name.as_bytes()]).await;
            let rows = rows.map_err(|trouble| LeaseFault::Unavailable(trouble.fault.to_string().into()))?;
            let Some(row) = rows.first() else { return Ok(None) };
            let damaged = || {
                LeaseFault::Unavailable(
                    format!("{}: the holder of the lease `{name}` is no UTF-8: correct it", server.place())
                        .into(),
                )
            };
            Ok(Some(LeaseRecord {
                holder: String::from_utf8(row.get(0)).map_err(|_| damaged())?,
                epoch: Epoch::new(row.get::<_, i64>(1).cast_unsigned()),
                beat: row.get::<_, i64>(2).cast_unsigned(),
                term: Duration::from_millis(row.get::<_, i64>(3).cast_unsigned()),
            }))
        }
        .boxed()
    }

    fn replace(
        &self,
        name: &str,
        expected: Option<LeaseVersion>,
        record: LeaseRecord,
    ) -> BoxFuture<'static, Result<(), LeaseFault>> {
        if let Err(fault) = LeaseFault::check(name, &record.holder) {
            return std::future::ready(Err(fault)).boxed();
        }
        let (server, name) = (Arc::clone(self.journal.server_of_lease(name)), name.to_owned());
        async move {
            let holder = record.holder.as_bytes();
            let (epoch, beat) = (record.epoch.get().cast_signed(), record.beat.cast_signed());
            let term = i64::try_from(record.term.as_millis()).unwrap_or(i64::MAX);
            let done = match expected {
                None => {
                    server.once(schema::LEASE_FIRST, &[&name.as_bytes(), &holder, &epoch, &beat, &term]).await
                }
                Some((of, at)) => {
                    let (of, at) = (of.get().cast_signed(), at.cast_signed());
                    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                        [&name.as_bytes(), &holder, &epoch, &beat, &term, &of, &at];
                    server.once(schema::LEASE_NEXT, &params).await
                }
            };
            match done.map_err(|trouble| fault(&trouble))? {
                0 => Err(LeaseFault::Conflict { name }),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}

//! Where do snapshots lie?
//!
//! In a table of the server of their id, each with a checksum.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio_postgres::Row;

use super::Postgres;
use super::faults::Trouble;
use super::queue::closed;
use super::read::bigint;
use super::rows::checksum_of;
use super::schema;
use super::server::Server;
use crate::backend::{Fault, MAX_LABEL_BYTES, ReadError, WriteError};
use crate::id::{PersistenceId, Sequence};
use crate::snapshot::{Loaded, MAX_SNAPSHOT_BYTES, Snapshot, SnapshotStore};

/// The snapshots beside a journal on PostgreSQL. A clone is the same.
#[derive(Clone)]
pub struct Snapshots {
    journal: Postgres,
}

impl Snapshots {
    pub(crate) fn new(journal: Postgres) -> Self {
        Self { journal }
    }

    /// Does `work` as soon as it is polled, to its end.
    fn work<T: Send + 'static>(
        &self,
        id: &PersistenceId,
        work: impl AsyncFnOnceSend<T>,
    ) -> BoxFuture<'static, Result<T, WriteError>> {
        let server = Arc::clone(self.journal.server_of(id));
        async move {
            let (done, answered) = oneshot::channel();
            let env = server.env.clone();
            let work = work.call(server);
            env.spawn(|| "snapshot".to_owned(), async move { drop(done.send(work.await)) });
            answered.await.unwrap_or_else(|_| Err(Trouble::before(closed()))).map_err(WriteError::from)
        }
        .boxed()
    }
}

/// What is done with a server.
trait AsyncFnOnceSend<T>: Send + 'static {
    fn call(self, server: Arc<Server>) -> BoxFuture<'static, Result<T, Trouble>>;
}

impl<T, F: FnOnce(Arc<Server>) -> BoxFuture<'static, Result<T, Trouble>> + Send + 'static> AsyncFnOnceSend<T>
    for F
{
    fn call(self, server: Arc<Server>) -> BoxFuture<'static, Result<T, Trouble>> {
        self(server)
    }
}

fn checksum(snapshot: &Snapshot) -> i32 {
    checksum_of(&[
        snapshot.id.as_str().as_bytes(),
        &snapshot.sequence.get().to_le_bytes(),
        &snapshot.timestamp_ms.to_le_bytes(),
        &snapshot.version.to_le_bytes(),
        snapshot.name.as_bytes(),
        &snapshot.state,
    ])
}

/// The snapshot in a row. `None`: it is not what was saved.
fn snapshot(id: &PersistenceId, row: &Row) -> Option<Snapshot> {
    let snapshot = Snapshot {
        id: id.clone(),
        sequence: Sequence::new(row.get::<_, i64>(0).cast_unsigned()),
        timestamp_ms: row.get::<_, i64>(1).cast_unsigned(),
        version: row.get::<_, i32>(2).cast_unsigned(),
        name: String::from_utf8(row.get(4)).ok()?,
        state: Bytes::copy_from_slice(row.get(5)),
    };
    (checksum(&snapshot) == row.get::<_, i32>(3)).then_some(snapshot)
}

impl SnapshotStore for Snapshots {
    fn save(&self, snapshot: Snapshot) -> BoxFuture<'static, Result<(), WriteError>> {
        let sizes = [
            ("a snapshot", snapshot.state.len(), MAX_SNAPSHOT_BYTES),
            ("the name of a snapshot's type", snapshot.name.len(), MAX_LABEL_BYTES),
        ];
        if let Some((what, size, limit)) = sizes.into_iter().find(|(_, size, limit)| size > limit) {
            return std::future::ready(Err(WriteError::TooLarge { what, size, limit })).boxed();
        }
        let kept = i64::from(self.journal.options().snapshots);
        let id = snapshot.id.clone();
        self.work(&id, move |server: Arc<Server>| {
            async move {
                let Snapshot { id, sequence, timestamp_ms, name, version, state } = &snapshot;
                let (id, name, state) = (id.as_str(), name.as_bytes(), &state[..]);
                let (sequence, timestamp) = (bigint(sequence.get()), timestamp_ms.cast_signed());
                let (version, checksum) = (version.cast_signed(), checksum(&snapshot));
                server
                    .query(schema::SAVE, &[&id, &sequence, &timestamp, &version, &checksum, &name, &state])
                    .await?;
                server.query(schema::KEEP, &[&id, &kept]).await.map(drop)
            }
            .boxed()
        })
    }

    fn load(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        let (server, id) = (Arc::clone(self.journal.server_of(id)), id.clone());
        async move {
            let (mut loaded, mut to) = (Loaded::default(), bigint(to.get()));
            // One at a time: they may be large, and the newest is hardly ever damaged.
            loop {
                let rows = server.query(schema::LOAD, &[&id.as_str(), &to]).await?;
                let Some(row) = rows.first() else { return Ok(loaded) };
                loaded.snapshot = snapshot(&id, row);
                if loaded.snapshot.is_some() {
                    return Ok(loaded);
                }
                let sequence: i64 = row.get(0);
                let what =
                    format!("snapshot {sequence} of `{id}` in omnitron_snapshot is not what was saved");
                let advice = "An older one or the events are used; delete the row";
                loaded.damaged.push(ReadError::Corrupt(Fault::new(what, server.place(), advice)));
                to = sequence - 1;
            }
        }
        .boxed()
    }

    fn delete_to(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<(), WriteError>> {
        let (of, to) = (id.clone(), bigint(to.get()));
        self.work(id, move |server: Arc<Server>| {
            async move { server.query(schema::FORGET, &[&of.as_str(), &to]).await.map(drop) }.boxed()
        })
    }
}

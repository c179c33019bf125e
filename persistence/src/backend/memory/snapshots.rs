//! Snapshots in memory, beside the journal in memory. Saved is durable: a crash does not take them.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{Memory, State, fault};
use crate::backend::{MAX_LABEL_BYTES, ReadError, WriteError};
use crate::id::{PersistenceId, Sequence};
use crate::snapshot::{Loaded, MAX_SNAPSHOT_BYTES, Snapshot, SnapshotStore};

/// How many of each id are kept.
const KEPT: usize = 2;

/// The snapshots beside a journal in memory. A clone is the same.
#[derive(Clone)]
pub struct Snapshots {
    shared: Arc<Mutex<State>>,
}

impl Memory {
    /// The snapshots beside it. The newest two of each id are kept.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots { shared: Arc::clone(&self.shared) }
    }
}

impl SnapshotStore for Snapshots {
    fn save(&self, snapshot: Snapshot) -> BoxFuture<'static, Result<(), WriteError>> {
        let shared = Arc::clone(&self.shared);
        async move {
            let sizes = [
                ("a snapshot", snapshot.state.len(), MAX_SNAPSHOT_BYTES),
                ("the name of a snapshot's type", snapshot.name.len(), MAX_LABEL_BYTES),
            ];
            if let Some((what, size, limit)) = sizes.into_iter().find(|(_, size, limit)| size > limit) {
                return Err(WriteError::TooLarge { what, size, limit });
            }
            let mut state = shared.lock();
            let kept = state.snapshots.entry(snapshot.id.clone()).or_default();
            kept.insert(snapshot.sequence, snapshot);
            while kept.len() > KEPT {
                kept.pop_first();
            }
            Ok(())
        }
        .boxed()
    }

    fn load(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        async move {
            let state = shared.lock();
            if state.unreadable {
                return Err(ReadError::Unavailable(fault()));
            }
            let kept = state.snapshots.get(&id);
            let newest = kept.and_then(|kept| kept.range(..=to).next_back());
            Ok(Loaded { snapshot: newest.map(|(_, snapshot)| snapshot.clone()), damaged: Vec::new() })
        }
        .boxed()
    }

    fn delete_to(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<(), WriteError>> {
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        async move {
            if let Some(kept) = shared.lock().snapshots.get_mut(&id) {
                kept.retain(|sequence, _| *sequence > to);
            }
            Ok(())
        }
        .boxed()
    }
}

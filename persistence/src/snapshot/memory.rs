//! Snapshots in memory, for tests: the newest few of each id, and what a test does to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Loaded, Snapshot, SnapshotStore};
use crate::backend::{Fault, ReadError, WriteError};
use crate::id::{PersistenceId, Sequence};

/// How many of each id are kept.
const KEPT: usize = 8;

/// Snapshots in memory. A clone is the same store.
#[derive(Clone)]
pub struct MemorySnapshots {
    shared: Arc<Mutex<State>>,
    held: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    ids: BTreeMap<PersistenceId, BTreeMap<Sequence, Snapshot>>,
    unavailable: bool,
}

impl MemorySnapshots {
    /// A store without any.
    pub fn new() -> Self {
        Self { shared: Arc::default(), held: watch::Sender::new(false) }
    }

    /// Whether saving waits.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Whether everything fails.
    pub fn unavailable(&self, unavailable: bool) {
        self.shared.lock().unavailable = unavailable;
    }

    /// The sequences of the snapshots of an id, the oldest first.
    pub fn sequences(&self, id: &PersistenceId) -> Vec<Sequence> {
        let state = self.shared.lock();
        state.ids.get(id).into_iter().flat_map(BTreeMap::keys).copied().collect()
    }

    fn act<T>(shared: &Mutex<State>, act: impl FnOnce(&mut State) -> T) -> Result<T, Fault> {
        let mut state = shared.lock();
        if state.unavailable {
            return Err(Fault::new("a test wants it to fail", "the snapshots in memory", "Nothing to do"));
        }
        Ok(act(&mut state))
    }
}

impl Default for MemorySnapshots {
    fn default() -> Self {
        Self::new()
    }
}

impl SnapshotStore for MemorySnapshots {
    fn save(&self, snapshot: Snapshot) -> BoxFuture<'static, Result<(), WriteError>> {
        let (shared, mut held) = (Arc::clone(&self.shared), self.held.subscribe());
        async move {
            // An error says that the store is gone: nobody holds it any more.
            let _ = held.wait_for(|held| !held).await;
            Self::act(&shared, |state| {
                let of_id = state.ids.entry(snapshot.id.clone()).or_default();
                of_id.insert(snapshot.sequence, snapshot);
                if of_id.len() > KEPT {
                    of_id.pop_first();
                }
            })
            .map_err(WriteError::Unavailable)
        }
        .boxed()
    }

    fn load(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        let newest = Self::act(&self.shared, |state| {
            let snapshot = state.ids.get(id).and_then(|of_id| of_id.range(..=to).next_back());
            Loaded { snapshot: snapshot.map(|(_, snapshot)| snapshot.clone()), damaged: Vec::new() }
        });
        ready(newest.map_err(ReadError::Unavailable)).boxed()
    }

    fn delete_to(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<(), WriteError>> {
        let deleted = Self::act(&self.shared, |state| {
            if let Some(of_id) = state.ids.get_mut(id) {
                of_id.retain(|sequence, _| *sequence > to);
            }
        });
        ready(deleted.map_err(WriteError::Unavailable)).boxed()
    }
}

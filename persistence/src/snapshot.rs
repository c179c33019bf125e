//! What must a store of snapshots be able to do?
//!
//! A snapshot saves reading events again; the events remain the truth. So a snapshot that is damaged or missing costs time
//! and nothing else, and whoever loads one has to be ready to get an older one or none.

pub mod memory;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::backend::{ReadError, WriteError};
use crate::id::{PersistenceId, Sequence};

/// The most bytes of a snapshot's state: 256 MiB.
pub const MAX_SNAPSHOT_BYTES: usize = 256 << 20;

/// The state of an id as of one of its events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// Whose state it is.
    pub id: PersistenceId,
    /// The last event that is in it.
    pub sequence: Sequence,
    /// When it was taken, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The name of the state's type. At most 255 bytes.
    pub name: String,
    /// Which version of that type.
    pub version: u32,
    /// The state, encoded. At most 256 MiB.
    pub state: Bytes,
}

/// A snapshot that was found, and what was found damaged while looking for it.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The newest one that is intact, if there is any.
    pub snapshot: Option<Snapshot>,
    /// Newer ones that are damaged: which, where, why. They are skipped.
    pub damaged: Vec<ReadError>,
}

/// Keeps the newest few snapshots of each id.
///
/// # Contract
///
/// 1. **Durable**: what `save` answered with `Ok` survives a crash.
/// 2. **Whole or not at all**: a snapshot that was being saved during a crash is either intact or not there.
/// 3. **Checked**: a damaged snapshot is never returned; an older intact one is, and the damage is reported.
/// 4. **Lazy**: nothing happens unless the future is polled. Once it was, dropping it takes nothing back.
pub trait SnapshotStore: Send + Sync + 'static {
    /// Keeps a snapshot, and as many older ones of the id as the store is set to keep. One of the same sequence is replaced.
    ///
    /// # Errors
    ///
    /// [`WriteError::TooLarge`], [`WriteError::Full`], [`WriteError::Unavailable`]: it is not kept.
    fn save(&self, snapshot: Snapshot) -> BoxFuture<'static, Result<(), WriteError>>;

    /// The newest intact snapshot whose sequence is at most `to`.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`]: it could not be looked for.
    fn load(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<Loaded, ReadError>>;

    /// Deletes the snapshots of an id up to a sequence.
    ///
    /// # Errors
    ///
    /// [`WriteError::Full`], [`WriteError::Unavailable`]: some may be left.
    fn delete_to(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<(), WriteError>>;
}

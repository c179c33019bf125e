//! What if a store cannot keep an offset in the transaction of its effects, or has no transactions?
//!
//! Then effects come first and the offset after them, so that a crash in between lets the last events come again: at least once. Each has a
//! [key](super::Projected::key), which is the same each time, so that whoever keeps keys can tell.

use std::sync::Arc;

use omnitron_runtime::Failure;

use super::model::{Batch, CommitError, Effects, ReadModel};
use super::{MAX_PARTS, Target};
use crate::backend::{Fault, ReadError};
use crate::id::{PersistenceId, Sequence};
use crate::journal::Journal;
use crate::snapshot::Snapshot;

const NAME: &str = "projection.offset";

/// A read model whose offset lies in the journal's store of snapshots, behind effects that come at least once.
pub struct AtLeastOnce<F> {
    journal: Journal,
    target: Target,
    effects: F,
    /// The snapshots of one id are numbered.
    stored: u64,
}

impl<F: Effects> AtLeastOnce<F> {
    /// `effects`, for `target`, with the offset beside `journal`.
    pub fn new(journal: &Journal, target: &Target, effects: F) -> Self {
        Self { journal: journal.clone(), target: target.clone(), effects, stored: 0 }
    }

    /// The effects.
    pub fn effects(&mut self) -> &mut F {
        &mut self.effects
    }

    fn id(&self, part: u32) -> Result<PersistenceId, Failure> {
        let Target { projection, generation, .. } = &self.target;
        Ok(PersistenceId::new(format!("projection/{projection}/g{generation}/{part}"))?)
    }
}

fn closed() -> ReadError {
    ReadError::Unavailable(Fault::new("it is not open", "the journal", "Start the system it belongs to"))
}

impl<F: Effects> ReadModel for AtLeastOnce<F> {
    type Event = F::Event;

    async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let mut offsets = Vec::new();
        for part in 0..MAX_PARTS {
            let id = self.id(part)?;
            let snapshots = Arc::clone(&self.journal.get().ok_or_else(closed)?.snapshots);
            if let Some(snapshot) = snapshots.load(&id, Sequence::MAX).await?.snapshot {
                if part == self.target.part {
                    self.stored = snapshot.sequence.get();
                }
                offsets.push(snapshot.state.to_vec());
            }
        }
        Ok(offsets)
    }

    async fn commit(&mut self, batch: &Batch<'_, F::Event>) -> Result<(), CommitError> {
        if !batch.events().is_empty() || batch.forgotten().is_some() {
            self.effects.apply(batch).await?;
        }
        let snapshots = Arc::clone(&self.journal.get().ok_or_else(closed)?.snapshots);
        let id = self.id(batch.part()).map_err(|failure| std::io::Error::other(failure.to_string()))?;
        let (name, state) = (NAME.to_owned(), batch.offset().into());
        let sequence = Sequence::new(self.stored + 1);
        snapshots.save(Snapshot { id, sequence, timestamp_ms: 0, name, version: 1, state }).await?;
        self.stored += 1;
        Ok(())
    }
}

impl<F> std::fmt::Debug for AtLeastOnce<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AtLeastOnce").field("target", &self.target).finish_non_exhaustive()
    }
}

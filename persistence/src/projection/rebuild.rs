//! How does a new generation of a read model take the place of the live one?
//!
//! It is built beside the live one. When it has caught up, the ledger records it, and nobody can take that back: so from there on a task of its own
//! brings it to its end, whatever becomes of the asker.
//!
//! # Invariants
//!
//! * The live generation is the one that the ledger has recorded. Where the ledger could not say whether it has, it is asked until it can.

use std::sync::Arc;
use std::time::Duration;

use omnitron_runtime::{Acted, AskError, SpawnError};
use tokio::sync::oneshot;

use super::generation::Generation;
use super::handle::ProjectionRef;
use super::ledger::Entry;
use super::model::ReadModel;
use super::status::Doing;
use crate::feed::FeedError;

/// The first and the longest wait until the ledger is asked again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Why a read model was not built anew. The one before is still the live one, but for [`Unconfirmed`](Self::Unconfirmed).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// Somebody does so already.
    #[error("it is being built anew already: wait for that")]
    Already,
    /// An actor could not be spawned.
    #[error("the parts of the new read model were not started")]
    Spawn(#[source] SpawnError),
    /// The new one cannot go on.
    #[error("the new read model does not get on: {doing:?}")]
    Stuck {
        /// What the part that does not get on does.
        doing: Doing,
    },
    /// Where the journal ends is not known.
    #[error("it is not known when the new read model has caught up")]
    Read(#[source] FeedError),
    /// The new one is complete, and it could not be recorded that it is the live one.
    #[error("it could not be recorded that the new read model is the live one")]
    Ledger(#[source] AskError),
    /// The projection was stopped while it was recorded that the new one is the live one. The next start knows which of them it is.
    #[error("the projection was stopped meanwhile: the new read model may be the live one")]
    Unconfirmed,
}

/// A generation that is built. When it is dropped, nobody wants it any more.
struct Building<R: ReadModel> {
    projection: ProjectionRef<R>,
    generation: Arc<Generation<R>>,
}

impl<R: ReadModel> Drop for Building<R> {
    fn drop(&mut self) {
        // One that has taken over is not there any more.
        if self.projection.inner.next.lock().take().is_some() {
            self.generation.parts.iter().for_each(|(part, _)| drop(part.stop()));
        }
    }
}

impl<R: ReadModel> ProjectionRef<R> {
    /// Builds the read model anew, from the first event on, beside the live one, and makes it the live one when it has caught up. The one before is
    /// stopped then; what it stored stays, and is the user's to remove. Returns the new generation.
    ///
    /// While the projection is [paused](Self::pause), it waits.
    ///
    /// # Errors
    ///
    /// [`RebuildError`]: the one before is still the live one, but for [`Unconfirmed`](RebuildError::Unconfirmed). Another call goes on where this one was.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before the new one has caught up stops what it built, and nothing has changed for the live one. Later the new one
    /// **may** become the live one all the same: [`generation`](Self::generation) says which it is.
    pub async fn rebuild(&self) -> Result<u64, RebuildError> {
        let inner = &self.inner;
        let alone = Arc::clone(&inner.building).try_lock_owned().map_err(|_| RebuildError::Already)?;
        let next = self.begin(self.generation() + 1).map_err(RebuildError::Spawn)?;
        let building = Building { projection: self.clone(), generation: Arc::clone(&next) };
        let end = inner.journal.end().await.map_err(RebuildError::Read)?;
        next.until(|next| next.has(&end) || next.stuck().is_some()).await;
        if let Some(doing) = next.stuck() {
            drop(building);
            next.stop().await;
            return Err(RebuildError::Stuck { doing });
        }
        let (tell, told) = oneshot::channel();
        let label = format!("{}.switch", inner.settings.name);
        self.env().spawn(|| label, async move {
            let switched = building.switch().await;
            drop((building, alone));
            // Whoever is gone does not want to know.
            let _ = tell.send(switched);
        });
        told.await.unwrap_or(Err(RebuildError::Unconfirmed))
    }

    /// Spawns the next generation, known to those who pause and resume.
    fn begin(&self, number: u64) -> Result<Arc<Generation<R>>, SpawnError> {
        let inner = &self.inner;
        let mut next = inner.next.lock();
        let (settings, system, journal) = (&inner.settings, &inner.system, &inner.journal);
        let spawned = Generation::spawn(settings, system, journal, &inner.ledger, &inner.paused, number)?;
        let spawned = Arc::new(spawned);
        *next = Some(Arc::clone(&spawned));
        Ok(spawned)
    }
}

impl<R: ReadModel> Building<R> {
    /// Records that it is the live one, and makes it that.
    async fn switch(&self) -> Result<u64, RebuildError> {
        let (inner, number) = (&self.projection.inner, self.generation.number);
        let recorded = inner.ledger.ask(|reply| Entry::Switch { generation: number, reply }).await;
        if let Err(error) = recorded {
            if error.acted() == Acted::No {
                return Err(RebuildError::Ledger(error));
            }
            // It may be recorded all the same.
            match self.recorded().await {
                Some(live) if live == number => {}
                Some(_) => return Err(RebuildError::Ledger(error)),
                None => return Err(RebuildError::Unconfirmed),
            }
        }
        let (before, runs) = {
            let mut next = inner.next.lock();
            (inner.live.send_replace(Arc::clone(&self.generation)), next.take().is_some())
        };
        before.stop().await;
        if !runs {
            // The projection was stopped meanwhile.
            self.generation.stop().await;
        }
        Ok(number)
    }

    /// Which generation is recorded as the live one. `None`: the projection was stopped, and nobody can say.
    async fn recorded(&self) -> Option<u64> {
        let ledger = &self.projection.inner.ledger;
        let mut wait = RETRY.0;
        loop {
            match ledger.ask(Entry::Generation).await {
                Ok(generation) => return Some(generation),
                Err(_) if ledger.is_stopped() => return None,
                Err(_) => self.projection.env().sleep(wait).await,
            }
            wait = wait.saturating_mul(2).min(RETRY.1);
        }
    }
}

//! What can others do with a projection that runs?

use std::fmt;
use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{Either, join_all, select};
use omnitron_runtime::{ActorRef, ActorSystem, AskError, Env};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::generation::Generation;
use super::ledger::{Entry, Ledger, Skipped};
use super::model::ReadModel;
use super::part::Work;
use super::query::Query;
#[cfg(doc)]
use super::status::Doing;
use super::status::PartStatus;
use super::{ProjectionError, Settings};
use crate::feed::FeedError;
use crate::id::{Ordinal, PersistenceId, Sequence, Slice};
use crate::journal::Journal;
use crate::offset::Position;
use crate::persistent::Persistent;

/// A projection that runs. A clone is the same one; dropping all of them does not stop it.
pub struct ProjectionRef<R: ReadModel> {
    pub(super) inner: Arc<Inner<R>>,
}

pub(super) struct Inner<R: ReadModel> {
    pub(super) settings: Arc<Settings<R>>,
    pub(super) system: ActorSystem,
    pub(super) journal: Journal,
    pub(super) ledger: ActorRef<Entry>,
    pub(super) paused: Arc<AtomicBool>,
    pub(super) live: watch::Sender<Arc<Generation<R>>>,
    /// The generation that is built beside the live one.
    pub(super) next: Mutex<Option<Arc<Generation<R>>>>,
    /// Held while one is built.
    pub(super) building: Arc<tokio::sync::Mutex<()>>,
}

/// How far a projection is behind the journal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Lag {
    /// Events of its slices that it has not passed, whether they are for its read model or not. Exact where ordinals have no gaps.
    pub events: u64,
}

pub(super) async fn start<R: ReadModel>(
    settings: Settings<R>,
    system: &ActorSystem,
) -> Result<ProjectionRef<R>, ProjectionError> {
    let name = settings.name.clone();
    let of_system = || system.extension::<Journal>().map(|journal| (*journal).clone());
    let journal = settings.journal.clone().or_else(of_system).filter(|journal| journal.start().is_some());
    let Some(journal) = journal else { return Err(ProjectionError::NoJournal { name }) };
    let spawn = |reason| ProjectionError::Spawn { name: name.clone(), reason };
    let ledger = Persistent::new(Ledger).id(format!("projection/{name}")).journal(&journal);
    let ledger = system.spawn(&format!("{name}.ledger"), ledger).map_err(spawn)?;
    let generation = match ledger.ask(Entry::Generation).await {
        Ok(generation) => generation,
        Err(reason) => {
            ledger.stop().await;
            return Err(ProjectionError::Ledger { name, reason });
        }
    };
    let (settings, paused) = (Arc::new(settings), Arc::new(AtomicBool::new(false)));
    let (next, building) = (Mutex::new(None), Arc::default());
    let spawned = Generation::spawn(&settings, system, &journal, &ledger, &paused, generation);
    let live = match spawned {
        Ok(live) => watch::Sender::new(Arc::new(live)),
        Err(reason) => {
            ledger.stop().await;
            return Err(ProjectionError::Spawn { name, reason });
        }
    };
    let system = system.clone();
    let inner = Inner { settings, system, journal, ledger, paused, live, next, building };
    Ok(ProjectionRef { inner: Arc::new(inner) })
}

impl<R: ReadModel> Inner<R> {
    pub(super) fn live(&self) -> Arc<Generation<R>> {
        Arc::clone(&self.live.borrow())
    }

    /// Tells the parts of the live generation, and of the one that is built beside it.
    fn tell(&self, mut work: impl FnMut() -> Work<R>) {
        // Held, so that one that is spawned just now is told, or sees what was said.
        let next = self.next.lock();
        self.live().tell(&mut work);
        if let Some(next) = &*next {
            next.tell(work);
        }
    }
}

impl<R: ReadModel> ProjectionRef<R> {
    /// What each part does, and how far it is.
    pub fn status(&self) -> Vec<PartStatus> {
        self.inner.live().status()
    }

    /// Which generation of the read model is the live one.
    pub fn generation(&self) -> u64 {
        self.inner.live().number
    }

    /// How far it is behind the journal now.
    ///
    /// # Errors
    ///
    /// [`FeedError`]: it is not known where the journal ends.
    pub async fn lag(&self) -> Result<Lag, FeedError> {
        let end = self.inner.journal.end().await?;
        let at = self.inner.live().offset(&end);
        let behind = |(slice, end): (Slice, Ordinal)| end.get().saturating_sub(at.of(slice).get());
        Ok(Lag { events: end.iter().map(behind).sum() })
    }

    /// Waits until everything is in the read model that is in the journal now. Without end where the projection does not get on; put a deadline around it.
    ///
    /// # Errors
    ///
    /// [`FeedError`]: it is not known where the journal ends.
    ///
    /// # Cancel safety
    ///
    /// It only waits.
    pub async fn caught_up(&self) -> Result<(), FeedError> {
        let end = self.inner.journal.end().await?;
        self.until(|live| live.has(&end)).await;
        Ok(())
    }

    /// Waits until the live generation has got somewhere, whichever is the live one then.
    pub(super) async fn until(&self, reached: impl Fn(&Generation<R>) -> bool) -> Arc<Generation<R>> {
        let mut switched = self.inner.live.subscribe();
        loop {
            let live = Arc::clone(&switched.borrow_and_update());
            let is_there = {
                let there = pin!(live.until(&reached));
                let replaced = pin!(switched.changed());
                matches!(select(there, replaced).await, Either::Left(_))
            };
            if is_there {
                return live;
            }
        }
    }

    /// Asks the read model, between two batches: `projection.query(|model| model.total()).after(position)`. With several parts, the first one is asked;
    /// they share a store.
    ///
    /// Whoever reads the store by other means awaits [`after`](Self::after) first.
    pub fn query<T: Send + 'static>(&self, ask: impl FnOnce(&mut R) -> T + Send + 'static) -> Query<R, T> {
        Query::new(self.clone(), Box::new(ask))
    }

    /// Waits until the event at `position`, and everything before it in its slice, is in the read model. A query with no question.
    pub fn after(&self, position: Position) -> Query<R, ()> {
        self.query(|_| ()).after(position)
    }

    /// Stops reading after the batches in hand, until [`resume`](Self::resume). Queries are answered meanwhile. A [rebuild](Self::rebuild) waits as well.
    pub fn pause(&self) {
        self.inner.paused.store(true, Ordering::Release);
        self.inner.tell(|| Work::Go);
    }

    /// Reads on.
    pub fn resume(&self) {
        self.inner.paused.store(false, Ordering::Release);
        self.inner.tell(|| Work::Again);
    }

    /// Tries again what could not be done: the event it halts at, a store that was not available.
    pub fn retry(&self) {
        self.inner.tell(|| Work::Again);
    }

    /// Leaves out the event that a part [halts](Doing::Halted) at, once that is recorded in the journal. `false`: no part halts at this event, so nothing was
    /// done. While it is paused it does so when it is resumed.
    ///
    /// # Errors
    ///
    /// [`AskError`]: it is not known to be recorded. Where the journal is not available it is tried again by itself, and so it **may** be left out later.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have decided.
    pub async fn skip(&self, id: &PersistenceId, sequence: Sequence) -> Result<bool, AskError> {
        let live = self.inner.live();
        let ask = |part: &ActorRef<Work<R>>| {
            part.ask(|reply| Work::Skip(id.clone(), sequence, reply)).into_future()
        };
        let answers = join_all(live.parts.iter().map(|(part, _)| ask(part))).await;
        if answers.iter().any(|answer| matches!(answer, Ok(true))) {
            return Ok(true);
        }
        answers.into_iter().find(Result::is_err).unwrap_or(Ok(false))
    }

    /// The events that were left out, the oldest first: at most the last 10,000, and how many there are in all.
    ///
    /// # Errors
    ///
    /// [`AskError`]: the journal is not available.
    pub async fn skipped(&self) -> Result<(u64, Vec<Skipped>), AskError> {
        self.inner.ledger.ask(Entry::Skipped).await
    }

    /// Stops it; what is being committed is finished.
    pub async fn stop(&self) {
        let next = self.inner.next.lock().take();
        self.inner.live().stop().await;
        if let Some(next) = next {
            next.stop().await;
        }
        self.inner.ledger.stop().await;
    }

    pub(super) fn env(&self) -> &Env {
        self.inner.system.env()
    }
}

impl<R: ReadModel> Clone for ProjectionRef<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<R: ReadModel> fmt::Debug for ProjectionRef<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectionRef")
            .field("name", &self.inner.settings.name)
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

//! What can others do with a projection that runs?

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use omnitron_runtime::{ActorRef, ActorSystem, AskError, Backoff, Env, Spawn, SpawnError, Supervision};
use parking_lot::Mutex;

use super::ledger::{Entry, Ledger, Skipped};
use super::model::ReadModel;
use super::part::{Part, Work};
use super::query::Query;
use super::status::{Board, Doing, PartStatus};
use super::{ProjectionError, Settings, Target};
use crate::feed::FeedError;
use crate::id::Slice;
use crate::journal::Journal;
use crate::offset::{Offset, Position};
use crate::persistent::Persistent;

/// A projection that runs. A clone is the same one; dropping all of them does not stop it.
pub struct ProjectionRef<R: ReadModel> {
    pub(super) inner: Arc<Inner<R>>,
}

pub(super) struct Inner<R: ReadModel> {
    settings: Arc<Settings<R>>,
    pub(super) system: ActorSystem,
    journal: Journal,
    ledger: ActorRef<Entry>,
    paused: Arc<AtomicBool>,
    live: Mutex<Arc<Generation<R>>>,
    /// Held while a generation is built beside the live one.
    building: tokio::sync::Mutex<()>,
}

/// The parts that build one read model.
pub(super) struct Generation<R: ReadModel> {
    number: u64,
    pub(super) parts: Vec<(ActorRef<Work<R>>, Arc<Board>)>,
}

/// How far a projection is behind the journal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Lag {
    /// Events of its slices that it has not passed, whether they are for its read model or not. Exact where ordinals have no gaps.
    pub events: u64,
}

/// Why a read model was not built anew. The one before is still the live one.
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
    let building = tokio::sync::Mutex::new(());
    let spawned = Generation::spawn(&settings, system, &journal, &ledger, &paused, generation);
    let live = match spawned {
        Ok(live) => Mutex::new(Arc::new(live)),
        Err(reason) => {
            ledger.stop().await;
            return Err(ProjectionError::Spawn { name, reason });
        }
    };
    let system = system.clone();
    Ok(ProjectionRef { inner: Arc::new(Inner { settings, system, journal, ledger, paused, live, building }) })
}

impl<R: ReadModel> Generation<R> {
    fn spawn(
        settings: &Arc<Settings<R>>,
        system: &ActorSystem,
        journal: &Journal,
        ledger: &ActorRef<Entry>,
        paused: &Arc<AtomicBool>,
        number: u64,
    ) -> Result<Self, SpawnError> {
        let mut generation = Self { number, parts: Vec::new() };
        let slices = journal.parts(settings.parts as usize).unwrap_or_default();
        let identity = journal.start().map_or(0, |start| start.journal());
        for (part, slices) in (0..).zip(slices) {
            let target = Target { projection: settings.name.clone(), generation: number, part };
            let board = Arc::new(Board::new(identity));
            let name = target.to_string();
            let make = {
                let (settings, board, paused) =
                    (Arc::clone(settings), Arc::clone(&board), Arc::clone(paused));
                let (ledger, journal) = (ledger.clone(), journal.clone());
                move || Part::new(&settings, &target, &slices, (&board, &paused), &ledger, &journal)
            };
            let backoff =
                Backoff::exponential(Duration::from_millis(100), Duration::from_secs(10)).jitter(0.2);
            let spawn = Spawn::new(make)
                .supervision(Supervision::restart().backoff(backoff))
                .dispatcher(settings.dispatcher.clone());
            match system.spawn(&name, spawn) {
                Ok(actor) => generation.parts.push((actor, board)),
                Err(error) => {
                    generation.parts.iter().for_each(|(part, _)| drop(part.stop()));
                    return Err(error);
                }
            }
        }
        Ok(generation)
    }

    fn tell(&self, mut work: impl FnMut() -> Work<R>) {
        for (part, _) in &self.parts {
            // One that is full looks by itself, and one that has ended does nothing any more.
            let _ = part.tell(work());
        }
    }

    async fn stop(&self) {
        join_all(self.parts.iter().map(|(part, _)| part.stop())).await;
    }

    /// Waits for a change of any part.
    pub(super) async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes: Vec<_> = self.parts.iter().map(|(_, board)| board.changes()).collect();
        loop {
            changes.iter_mut().for_each(tokio::sync::watch::Receiver::mark_unchanged);
            if reached(self) || changes.is_empty() {
                return;
            }
            let each = changes.iter_mut().map(|change| Box::pin(change.changed()));
            // The senders live in `self`.
            let _ = select_all(each).await;
        }
    }

    fn status(&self) -> Vec<PartStatus> {
        self.parts.iter().map(|(_, board)| board.get()).collect()
    }

    /// How far all parts together are, in the journal of `end`.
    fn offset(&self, end: &Offset) -> Offset {
        let mut all = Offset::start(end.journal());
        for part in self.status() {
            all.merge(&part.offset);
        }
        all
    }

    /// Whether everything up to `end` is in the read model.
    fn has(&self, end: &Offset) -> bool {
        let all = self.offset(end);
        end.iter().all(|(slice, ordinal)| all.of(slice) >= ordinal)
    }

    /// What a part does that will not get on by itself.
    fn stuck(&self) -> Option<Doing> {
        self.status()
            .into_iter()
            .map(|part| part.doing)
            .find(|doing| matches!(doing, Doing::Halted { .. } | Doing::Unreadable { .. } | Doing::Ended))
    }
}

impl<R: ReadModel> Inner<R> {
    pub(super) fn live(&self) -> Arc<Generation<R>> {
        Arc::clone(&self.live.lock())
    }
}

/// Ends the parts of a generation that nobody wants any more.
struct Abandoned<R: ReadModel>(Option<Arc<Generation<R>>>);

impl<R: ReadModel> Drop for Abandoned<R> {
    fn drop(&mut self) {
        if let Some(generation) = self.0.take() {
            generation.parts.iter().for_each(|(part, _)| drop(part.stop()));
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
        let behind = |(slice, end): (Slice, crate::id::Ordinal)| end.get().saturating_sub(at.of(slice).get());
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
        let live = self.inner.live();
        live.until(|live| live.has(&end)).await;
        Ok(())
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

    /// Stops reading after the batches in hand, until [`resume`](Self::resume). Queries are answered meanwhile.
    pub fn pause(&self) {
        self.inner.paused.store(true, Ordering::Release);
        self.inner.live().tell(|| Work::Go);
    }

    /// Reads on.
    pub fn resume(&self) {
        self.inner.paused.store(false, Ordering::Release);
        self.inner.live().tell(|| Work::Again);
    }

    /// Tries again what could not be done: the event it halts at, a store that was not available.
    pub fn retry(&self) {
        self.inner.live().tell(|| Work::Again);
    }

    /// Records the event that a part halts at, and leaves it out. Says how many parts did so.
    pub async fn skip(&self) -> usize {
        let live = self.inner.live();
        let each = live.parts.iter().map(|(part, _)| part.ask(Work::Skip));
        join_all(each).await.into_iter().filter(|skipped| matches!(skipped, Ok(true))).count()
    }

    /// The events that were left out, the oldest first: at most the last 10,000, and how many there are in all.
    ///
    /// # Errors
    ///
    /// [`AskError`]: the journal is not available.
    pub async fn skipped(&self) -> Result<(u64, Vec<Skipped>), AskError> {
        self.inner.ledger.ask(Entry::Skipped).await
    }

    /// Builds the read model anew, from the first event on, beside the live one, and makes it the live one when it has caught up. The one before is
    /// stopped then; what it stored stays, and is the user's to remove. Returns the new generation.
    ///
    /// # Errors
    ///
    /// [`RebuildError`]: the one before is still the live one. Another call goes on where this one was.
    ///
    /// # Cancel safety
    ///
    /// A dropped future stops what it built, and nothing has changed for the live one.
    pub async fn rebuild(&self) -> Result<u64, RebuildError> {
        let Inner { settings, system, journal, ledger, paused, .. } = &*self.inner;
        let _alone = self.inner.building.try_lock().map_err(|_| RebuildError::Already)?;
        let number = self.generation() + 1;
        let next = Generation::spawn(settings, system, journal, ledger, paused, number);
        let next = Arc::new(next.map_err(RebuildError::Spawn)?);
        let mut abandoned = Abandoned(Some(Arc::clone(&next)));
        let end = journal.end().await.map_err(RebuildError::Read)?;
        next.until(|next| next.has(&end) || next.stuck().is_some()).await;
        if let Some(doing) = next.stuck() {
            drop(abandoned);
            next.stop().await;
            return Err(RebuildError::Stuck { doing });
        }
        let recorded = ledger.ask(|reply| Entry::Switch { generation: number, reply }).await;
        recorded.map_err(RebuildError::Ledger)?;
        abandoned.0 = None;
        let before = std::mem::replace(&mut *self.inner.live.lock(), next);
        before.stop().await;
        Ok(number)
    }

    /// Stops it; what is being committed is finished.
    pub async fn stop(&self) {
        self.inner.live().stop().await;
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

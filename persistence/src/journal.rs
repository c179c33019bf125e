//! What do users hold of a journal, and what do all persistent actors of a process share?
//!
//! A [`Journal`] is a backend with its snapshots, and what must exist once per process: the epoch of each slice, the place of each id, the turn
//! to recover, and the marks of the readers.
//!
//! # Invariants
//!
//! * A slice is claimed once, when the first of its ids needs it, and its epoch is shared by all.
//! * At most one actor of this process writes an id at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use omnitron_runtime::{
    ActorSystem, Env, Extension, ExtensionFuture, Failure, LeaseStore, Phase, SystemBuilder,
};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::backend::log::{self, Log, OpenError};
use crate::backend::memory::Memory;
#[cfg(feature = "postgres")]
use crate::backend::postgres::{self, Postgres};
use crate::backend::{Fault, JournalBackend, WriteError};
use crate::disk::real::Real;
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice, Slices};
use crate::offset::Offset;
use crate::releaser::Releaser;
use crate::retention::Snapshots;
use crate::snapshot::SnapshotStore;
use crate::snapshot::memory::MemorySnapshots;

/// How many appends of all persistent actors are on their way at once: fewer than any backend of ours refuses. Beyond that, commands wait.
const APPENDS_AT_ONCE: usize = 4_096;
/// How many ids are recovered at once; the others wait their turn, in order.
const RECOVERIES_AT_ONCE: usize = 64;

/// Where the events of persistent actors lie. A clone is the same journal.
///
/// Give it to the system with [`WithJournal::journal`]: it is opened when the system starts, and closed when everything else has ended. One
/// journal serves one system.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    /// Where a journal lies that has to be opened.
    place: Option<Place>,
    open: OnceLock<Open>,
    opening: tokio::sync::Mutex<()>,
    epochs: Mutex<BTreeMap<Slice, Arc<OnceCell<Epoch>>>>,
    fenced: Arc<Fenced>,
    places: Mutex<BTreeMap<PersistenceId, Weak<Semaphore>>>,
    turns: Arc<Semaphore>,
    admission: Arc<Semaphore>,
    releaser: Arc<Releaser>,
    recovering: Mutex<BTreeMap<PersistenceId, (Sequence, Sequence)>>,
    readers: Mutex<Readers>,
    fault: Mutex<Option<Fault>>,
}

/// Where, and how it is kept.
#[derive(Clone)]
enum Place {
    Folder(PathBuf, log::Options),
    #[cfg(feature = "postgres")]
    Servers(Vec<String>, postgres::Options),
}

/// Why a path cannot be the folder of a journal.
fn unusable(error: &io::Error, place: &str) -> OpenError {
    let advice = match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "A file is in the way: choose the path of a folder, or one where nothing is"
        }
        io::ErrorKind::InvalidFilename => "Choose a shorter path",
        io::ErrorKind::InvalidInput => "Say which folder is to hold the journal",
        _ => "Look at the folder and its rights, then try again",
    };
    OpenError::Unavailable(Fault::new(error, place, advice))
}

/// A journal that is open.
pub(crate) struct Open {
    pub(crate) backend: Arc<dyn JournalBackend>,
    pub(crate) snapshots: Arc<dyn SnapshotStore>,
    opened: Opened,
}

/// What has to be closed.
enum Opened {
    Nothing,
    Log(Log),
    #[cfg(feature = "postgres")]
    Postgres(Postgres),
}

#[derive(Default)]
struct Readers {
    next: u64,
    marks: BTreeMap<u64, BTreeMap<Slice, Ordinal>>,
    /// Those who deliver posts.
    outboxes: BTreeSet<u64>,
}

/// The slices of which this process knows that somebody else took them over.
#[derive(Default)]
pub(crate) struct Fenced {
    /// Whether there are any: every command asks.
    any: AtomicBool,
    slices: Mutex<BTreeSet<Slice>>,
}

impl Fenced {
    pub(crate) fn note(&self, slice: Slice) {
        self.slices.lock().insert(slice);
        self.any.store(true, Ordering::Release);
    }

    pub(crate) fn contains(&self, slice: Slice) -> bool {
        self.any.load(Ordering::Acquire) && self.slices.lock().contains(&slice)
    }
}

/// A recovery that is under way.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Recovering {
    /// Whose state it is.
    pub id: PersistenceId,
    /// The last event that was applied.
    pub at: Sequence,
    /// The last event there is.
    pub end: Sequence,
}

impl Journal {
    /// A journal in the folder `dir`, created if there is none. Nothing is read before the system starts.
    pub fn embedded(dir: impl Into<PathBuf>) -> Self {
        Self::embedded_with(dir, log::Options::default())
    }

    /// As [`embedded`](Self::embedded), with options. The identity of a new journal and the number of snapshots are chosen here.
    pub fn embedded_with(dir: impl Into<PathBuf>, options: log::Options) -> Self {
        Self::of(Some(Place::Folder(dir.into(), options)), OnceLock::new())
    }

    /// A journal on PostgreSQL, spread over these servers: `postgres://user:password@host:port/database`. It is created if their databases hold none. The number and
    /// the order of the addresses stay the same as long as the journal lives. Nothing is connected to before the system starts.
    #[cfg(feature = "postgres")]
    pub fn postgres(addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::postgres_with(addresses, postgres::Options::default())
    }

    /// As [`postgres`](Self::postgres), with options. The number of snapshots is chosen here.
    #[cfg(feature = "postgres")]
    pub fn postgres_with(
        addresses: impl IntoIterator<Item = impl Into<String>>,
        options: postgres::Options,
    ) -> Self {
        let addresses = addresses.into_iter().map(Into::into).collect();
        Self::of(Some(Place::Servers(addresses, options)), OnceLock::new())
    }

    /// A journal in memory, which is gone with the process: for tests, and for trying out.
    pub fn memory() -> Self {
        Self::with(Memory::new(Slices::default()).0, MemorySnapshots::new())
    }

    /// A journal on any backend.
    pub fn with(backend: impl JournalBackend, snapshots: impl SnapshotStore) -> Self {
        let open =
            Open { backend: Arc::new(backend), snapshots: Arc::new(snapshots), opened: Opened::Nothing };
        Self::of(None, OnceLock::from(open))
    }

    fn of(place: Option<Place>, open: OnceLock<Open>) -> Self {
        let inner = Inner {
            place,
            open,
            opening: tokio::sync::Mutex::new(()),
            epochs: Mutex::default(),
            fenced: Arc::default(),
            places: Mutex::default(),
            turns: Arc::new(Semaphore::new(RECOVERIES_AT_ONCE)),
            admission: Arc::new(Semaphore::new(APPENDS_AT_ONCE)),
            releaser: Arc::default(),
            recovering: Mutex::default(),
            readers: Mutex::default(),
            fault: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Opens it, if it is not open. The start of a system does this.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what is wrong, where, and what to do. Nothing that holds events was changed, and a second call tries again.
    pub async fn open(&self, env: &Env) -> Result<(), OpenError> {
        let _alone = self.inner.opening.lock().await;
        let Some(place) = self.inner.place.clone().filter(|_| self.inner.open.get().is_none()) else {
            return Ok(());
        };
        let kept = u32::try_from(Snapshots::MAX_KEPT).unwrap_or(u32::MAX);
        let open = match place {
            Place::Folder(dir, options) => Self::open_folder(env, dir, options.snapshots(kept)).await?,
            #[cfg(feature = "postgres")]
            Place::Servers(addresses, options) => {
                let journal = postgres::open(env, addresses, options.snapshots(kept)).await?;
                let (backend, snapshots) = (Arc::new(journal.clone()), Arc::new(journal.snapshots()));
                Open { backend, snapshots, opened: Opened::Postgres(journal) }
            }
        };
        // Nobody else sets it: this holds the lock.
        let _ = self.inner.open.set(open);
        Ok(())
    }

    async fn open_folder(env: &Env, dir: PathBuf, options: log::Options) -> Result<Open, OpenError> {
        let options = options.identity(env.random_u64());
        let place = dir.display().to_string();
        let failed = |error: io::Error| unusable(&error, &place);
        let (done, opened) = oneshot::channel();
        let work = move || {
            let opened = Real::new(dir).map_err(Ok).and_then(|disk| log::open(disk, options).map_err(Err));
            // Whoever does not wait any more has dropped the system.
            let _ = done.send(opened);
        };
        env.thread("journal-open", work).map_err(failed)?;
        let opened = opened.await.map_err(|_| failed(io::Error::other("its opening panicked")))?;
        let log = opened.map_err(|error| error.map_or_else(|open| open, failed))?;
        if let Some(torn) = log.torn_end() {
            tracing::info!(
                file = torn.file,
                offset = torn.offset,
                bytes = torn.bytes,
                "a torn end of the journal was cut"
            );
        }
        let (backend, snapshots) = (Arc::new(log.clone()), Arc::new(log.snapshots()));
        Ok(Open { backend, snapshots, opened: Opened::Log(log) })
    }

    /// The backend, once the journal is open.
    pub fn backend(&self) -> Option<&dyn JournalBackend> {
        self.inner.open.get().map(|open| &*open.backend)
    }

    /// Where leases are kept beside the events. `None`: the journal is not open, or its backend keeps none.
    pub fn leases(&self) -> Option<Arc<dyn LeaseStore>> {
        self.inner.open.get().and_then(|open| open.backend.leases())
    }

    /// Why an event-sourced actor could last not write or read: what, where, and what to do. `None`: that never happened. It
    /// may be over: an actor whose journal is not available tries again by itself.
    pub fn last_fault(&self) -> Option<Fault> {
        self.inner.fault.lock().clone()
    }

    /// The recoveries that are under way, in the order of the ids. Those that are done at once are hardly ever seen here.
    pub fn recovering(&self) -> Vec<Recovering> {
        let recovering = self.inner.recovering.lock();
        recovering.iter().map(|(id, &(at, end))| Recovering { id: id.clone(), at, end }).collect()
    }

    /// Registers a reader of all slices that begins at their beginning: no event that it has not [passed](Reader::passed) is
    /// [deleted behind a snapshot](Snapshots::delete_events).
    pub fn reader(&self) -> Reader {
        let mut readers = self.inner.readers.lock();
        readers.next += 1;
        let number = readers.next;
        readers.marks.insert(number, BTreeMap::new());
        Reader { journal: self.clone(), number }
    }

    /// Registers a reader of `slices` that begins behind `from`.
    pub(crate) fn reader_of(&self, slices: &BTreeSet<Slice>, from: &Offset) -> Reader {
        let reader = self.reader();
        let all = self.get().map(|open| open.backend.slices());
        for slice in all.into_iter().flat_map(Slices::iter) {
            // What it does not read need not wait for it.
            let at = if slices.contains(&slice) { from.of(slice) } else { Ordinal::MAX };
            reader.passed(slice, at);
        }
        reader
    }

    pub(crate) fn get(&self) -> Option<&Open> {
        self.inner.open.get()
    }

    /// How far the slowest reader of a slice is; `None`: there are no readers. `has_posts`: what is posted there waits for an outbox, also for one that was not
    /// started yet.
    pub(crate) fn slowest_reader(&self, slice: Slice, has_posts: bool) -> Option<Ordinal> {
        let readers = self.inner.readers.lock();
        if has_posts && readers.outboxes.is_empty() {
            return Some(Ordinal::ZERO);
        }
        readers.marks.values().map(|marks| marks.get(&slice).copied().unwrap_or_default()).min()
    }

    /// The epoch of this process for a slice, claimed when it is first asked for.
    pub(crate) async fn epoch(&self, open: &Open, slice: Slice) -> Result<Epoch, WriteError> {
        let cell = Arc::clone(self.inner.epochs.lock().entry(slice).or_default());
        cell.get_or_try_init(|| open.backend.claim(slice)).await.copied()
    }

    /// An actor could not write or read.
    pub(crate) fn note_fault(&self, fault: Option<&Fault>) {
        if let Some(fault) = fault {
            *self.inner.fault.lock() = Some(fault.clone());
        }
    }

    /// The slices that somebody else took over.
    pub(crate) fn fenced(&self) -> &Arc<Fenced> {
        &self.inner.fenced
    }

    /// The place of an id in this process, once nobody else has it.
    pub(crate) async fn place(&self, id: &PersistenceId) -> OwnedSemaphorePermit {
        let place = {
            let mut places = self.inner.places.lock();
            let known = places.get(id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                if places.len().is_power_of_two() {
                    // Now and then, so that ids that are gone cost nothing in the long run.
                    places.retain(|_, place| place.strong_count() > 0);
                }
                let place = Arc::new(Semaphore::new(1));
                places.insert(id.clone(), Arc::downgrade(&place));
                place
            })
        };
        place.acquire_owned().await.unwrap_or_else(|_| unreachable!("a place is never closed"))
    }

    /// Room for one append, in order; given back when the answer is dropped.
    pub(crate) async fn admission(&self) -> OwnedSemaphorePermit {
        let admission = Arc::clone(&self.inner.admission);
        admission.acquire_owned().await.unwrap_or_else(|_| unreachable!("admission is never closed"))
    }

    /// Room for one append, if there is some and nobody waits for it.
    pub(crate) fn admission_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.admission).try_acquire_owned().ok()
    }

    /// Who runs the flows.
    pub(crate) fn releaser(&self) -> Arc<Releaser> {
        Arc::clone(&self.inner.releaser)
    }

    /// One's turn to recover.
    pub(crate) async fn turn(&self) -> OwnedSemaphorePermit {
        let turns = Arc::clone(&self.inner.turns);
        turns.acquire_owned().await.unwrap_or_else(|_| unreachable!("turns are never closed"))
    }

    /// Shows a recovery for as long as the answer lives.
    pub(crate) fn shown(&self, id: &PersistenceId) -> Shown<'_> {
        Shown { journal: self, id: id.clone() }
    }
}

/// A recovery that others can see.
pub(crate) struct Shown<'a> {
    journal: &'a Journal,
    id: PersistenceId,
}

impl Shown<'_> {
    pub(crate) fn at(&self, at: Sequence, end: Sequence) {
        self.journal.inner.recovering.lock().insert(self.id.clone(), (at, end));
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.journal.inner.recovering.lock().remove(&self.id);
    }
}

/// One who reads slices, and for whom events are kept until he has passed them. His drop lets them go.
#[must_use = "its drop ends the registration"]
pub struct Reader {
    journal: Journal,
    number: u64,
}

impl Reader {
    /// Everything of `slice` up to `ordinal` was read and is not needed any more. Never goes back.
    pub fn passed(&self, slice: Slice, ordinal: Ordinal) {
        let mut readers = self.journal.inner.readers.lock();
        if let Some(marks) = readers.marks.get_mut(&self.number) {
            let mark = marks.entry(slice).or_default();
            *mark = (*mark).max(ordinal);
        }
    }

    /// It delivers what is posted.
    pub(crate) fn delivers(&self) {
        self.journal.inner.readers.lock().outboxes.insert(self.number);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut readers = self.journal.inner.readers.lock();
        readers.marks.remove(&self.number);
        readers.outboxes.remove(&self.number);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Extension for Journal {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn start<'a>(&'a self, system: &'a ActorSystem) -> ExtensionFuture<'a, Result<(), Failure>> {
        Box::pin(async move { Ok(self.open(system.env()).await?) })
    }

    fn stop<'a>(&'a self, phase: Phase, _: &'a ActorSystem) -> ExtensionFuture<'a, ()> {
        Box::pin(async move {
            let Some(open) = self.get().filter(|_| phase == Phase::Close) else { return };
            match &open.opened {
                Opened::Nothing => {}
                Opened::Log(log) => log.close().await,
                #[cfg(feature = "postgres")]
                Opened::Postgres(journal) => journal.close().await,
            }
        })
    }
}

/// Starts a system with a journal.
pub trait WithJournal {
    /// The journal of the persistent actors of this system. It is opened when the system starts, which fails if that does, and closed
    /// when everything else has ended.
    #[must_use = "a builder does nothing until `start` is awaited"]
    fn journal(self, journal: Journal) -> Self;
}

impl WithJournal for SystemBuilder {
    fn journal(self, journal: Journal) -> Self {
        self.extension(journal)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = match &self.inner.place {
            Some(Place::Folder(dir, _)) => Some(dir),
            _ => None,
        };
        f.debug_struct("Journal")
            .field("folder", &folder)
            .field("is_open", &self.inner.open.get().is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn no_more_ids_than_the_limit_recover_at_once_and_the_others_wait_in_order() {
        let journal = Journal::memory();
        let mut turns: Vec<_> =
            (0..RECOVERIES_AT_ONCE).map(|_| journal.turn().now_or_never().unwrap()).collect();
        let (mut first, mut second) = (Box::pin(journal.turn()), Box::pin(journal.turn()));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        turns.pop();
        assert!((&mut second).now_or_never().is_none(), "the first one has waited longer");
        assert!((&mut first).now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_place_of_an_id_is_held_by_one_at_a_time() {
        let journal = Journal::memory();
        let (a, b) = (PersistenceId::new("a").unwrap(), PersistenceId::new("b").unwrap());
        let held = journal.place(&a).now_or_never().unwrap();
        assert!(journal.place(&a).now_or_never().is_none());
        assert!(journal.place(&b).now_or_never().is_some());
        drop(held);
        assert!(journal.place(&a).now_or_never().is_some());
        for n in 0..1_000 {
            drop(journal.place(&PersistenceId::new(format!("x{n}")).unwrap()).await);
        }
        assert!(journal.inner.places.lock().len() <= 2, "ids that are gone leave nothing behind");
    }

    #[tokio::test]
    async fn a_slice_is_claimed_once_and_again_only_if_that_failed() {
        let (backend, controls) = Memory::new(Slices::new(1).unwrap());
        let journal = Journal::with(backend, MemorySnapshots::new());
        let (open, slice) = (journal.get().unwrap(), Slice::new(0));
        controls.fail_next(crate::backend::memory::Failure::UnknownKept);
        assert!(journal.epoch(open, slice).await.is_err());
        let epoch = journal.epoch(open, slice).await.unwrap();
        assert_eq!((epoch, journal.epoch(open, slice).await.unwrap()), (Epoch::new(2), Epoch::new(2)));
    }
}

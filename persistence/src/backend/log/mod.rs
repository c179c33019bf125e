//! The journal in files: a log in segments, one checked batch per sync.
//!
//! [`open()`] gives a [`Log`]. What is promised is the contract of [`JournalBackend`]; `docs/formats/journal.md` describes
//! every byte. The files are reached through [`Disk`] only, so a simulated disk can do to them what power cuts do.
//!
//! | file | answers |
//! |---|---|
//! | `format`, `record`, `names` | which bytes? |
//! | `form` | which of what waits becomes a batch? |
//! | `writer` | when is it durable? |
//! | `scan`, `walk`, `open` | what is valid after a crash? |
//! | `table`, `index`, `filter` | what stands where? |
//! | `segment`, `store`, `read` | how is it read? |
//! | `checkpoint` | how far was it durable? |
//! | `snapshots` | where do snapshots lie? |
//! | `leases` | who may act for a name? |
//! | `inspect`, `salvage`, `check` | is a journal whole, and what is left of it? |
//! | `remains`, `repair` | what becomes of that in a copy? |
//! | `compact`, `rewrite` | how is the space of deleted events given back? |

mod check;
mod checkpoint;
mod compact;
mod filter;
mod form;
mod format;
mod index;
pub mod inspect;
mod leases;
mod names;
mod open;
mod owned;
mod read;
mod recent;
mod record;
mod remains;
mod repair;
mod rewrite;
mod salvage;
mod scan;
mod segment;
mod snapshots;
mod store;
mod table;
mod walk;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::Sender;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use omnitron_runtime::LeaseStore;
use parking_lot::RwLock;
use tokio::sync::{oneshot, watch};

use super::{
    Append, Appended, Delete, Fault, IdQuery, JournalBackend, ReadError, SliceQuery, SlicesQuery, WriteError,
    check_slice,
};
use crate::backend::tail::Tail;
use crate::disk::Disk;
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice, Slices};
use crate::recorded::Recorded;

use owned::gone;
use read::Pool;
use recent::Recent;
use store::Store;
use writer::{Answer, Command};

pub use inspect::{Inspection, inspect};
pub use leases::Leases;
pub use open::OpenError;
pub use repair::Repaired;
pub use rewrite::Compacted;
pub use snapshots::Snapshots;
pub use writer::Writer;

/// How a log is kept.
#[derive(Clone, Debug)]
#[must_use = "options change nothing until a log is opened with them"]
pub struct Options {
    slices: Slices,
    identity: u64,
    segment_bytes: u64,
    batch_events: usize,
    batch_bytes: usize,
    queue: usize,
    queue_bytes: usize,
    recent_ids: usize,
    filter_bytes: usize,
    readers: usize,
    snapshots: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slices: Slices::default(),
            identity: 0,
            segment_bytes: 64 << 20,
            batch_events: 1000,
            batch_bytes: 1 << 20,
            queue: 8192,
            queue_bytes: 64 << 20,
            recent_ids: 1 << 21,
            filter_bytes: 32 << 20,
            readers: 2,
            snapshots: 2,
        }
    }
}

impl Options {
    /// How many slices a journal gets that is created. One that exists keeps its number. Default: 256.
    pub fn slices(mut self, slices: Slices) -> Self {
        self.slices = slices;
        self
    }

    /// A number that tells a journal that is created from all others; draw it at random. It goes into every file, so that
    /// files of different journals are not taken for each other, and nobody who does not know it can build an event that looks like a part of the log. Default: 0.
    pub fn identity(mut self, identity: u64) -> Self {
        self.identity = identity;
        self
    }

    /// The bytes after which a segment is full. It may be longer by one batch. From 4 KiB to 1 GiB; what lies outside counts as the nearest. Default: 64 MiB.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.clamp(4 << 10, 1 << 30);
        self
    }

    /// The most events that a batch takes before it is written. One append is never split. At least 1. Default: 1000.
    pub fn batch_events(mut self, events: usize) -> Self {
        self.batch_events = events.max(1);
        self
    }

    /// The bytes after which a batch takes nothing more before it is written. One append is never split. From 1 byte to 16 MiB; what lies
    /// outside counts as the nearest. Default: 1 MiB.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes.clamp(1, 16 << 20); // with the largest append it stays below `format::MAX_BODY_BYTES`
        self
    }

    /// The most operations that wait for the writer. At least 1. Default: 8192.
    pub fn queue(mut self, operations: usize) -> Self {
        self.queue = operations.max(1);
        self
    }

    /// The most bytes of events that wait for the writer; one append may always wait. Default: 64 MiB.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Of how many ids, used recently, the last sequence is kept in memory, at about 25 bytes each and the id itself, and at most 80. Default: 2,097,152.
    pub fn recent_ids(mut self, ids: usize) -> Self {
        self.recent_ids = ids;
        self
    }

    /// About how many bytes of filters, which say in which segments an id is not, are kept in memory. The rest is read from files. Default: 32 MiB.
    pub fn filter_bytes(mut self, bytes: usize) -> Self {
        self.filter_bytes = bytes;
        self
    }

    /// How many threads read. 0: whoever reads does it on its own thread and blocks it. Default: 2.
    pub fn readers(mut self, threads: usize) -> Self {
        self.readers = threads;
        self
    }

    /// How many snapshots of each id are kept. From 1 to 16; what lies outside counts as the nearest. Default: 2.
    pub fn snapshots(mut self, kept: u32) -> Self {
        self.snapshots = kept.clamp(1, 16);
        self
    }
}

/// What stood behind the last whole batch when the journal was opened: a batch that was torn by a crash before it was acknowledged. It
/// was cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TornEnd {
    /// The file.
    pub file: String,
    /// The byte of the file where the whole batches end.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// A journal in files. A clone is the same journal; it is closed when the last one is dropped, or by [`close`](Self::close).
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    commands: RwLock<Option<Sender<Command>>>,
    queued_bytes: Arc<AtomicUsize>,
    tail: Tail,
    options: Options,
    pool: Pool,
    torn: Option<TornEnd>,
    closed: watch::Receiver<bool>,
    leases: Leases,
    snapshots: Snapshots,
}

/// Opens the journal in the folder `disk`, or creates it if the folder is empty. Blocks while it reads.
///
/// One thread writes, one builds indexes, one gives space back, and some read ([`Options::readers`]); they end with the journal.
///
/// # Errors
///
/// [`OpenError`]; nothing that holds events was changed.
pub fn open(disk: impl Disk, options: Options) -> Result<Log, OpenError> {
    let (pool, work) = if options.readers > 0 {
        let (pool, work) = Pool::new();
        (pool, Some(work))
    } else {
        (Pool::inline(), None)
    };
    let readers = options.readers;
    let (log, mut writer) = build(Arc::new(disk), options, pool)?;
    for _ in 0..readers {
        let work = work.clone().expect("there are readers, so there is work for them");
        thread("journal-read", work)?;
    }
    let store = Arc::clone(&log.inner.store);
    let (keeper, full) = crossbeam_channel::bounded::<Arc<segment::Segment>>(1);
    let (wake, woken) = crossbeam_channel::bounded::<()>(1);
    thread("journal-index", move || {
        for _ in full {
            // Of all that are full, because the disk may have been full before.
            store.segments().iter().for_each(|segment| segment.write_index());
            // One call that waits is enough: it looks at everything.
            let _ = wake.try_send(());
        }
    })?;
    let (store, segment_bytes) = (Arc::clone(&log.inner.store), writer.options.segment_bytes);
    thread("journal-compact", move || {
        for () in woken {
            // What fails is tried again when the next segment is full.
            let _ = rewrite::compact(&store, segment_bytes, false);
        }
    })?;
    writer.keeper = Some(keeper);
    thread("journal-write", move || writer.run())?;
    Ok(log)
}

/// Opens the journal as [`open()`] does, without any thread: whoever calls drives the [`Writer`], and reads on its own thread. For simulations.
///
/// # Errors
///
/// [`OpenError`]; nothing that holds events was changed.
pub fn open_driven(disk: impl Disk, options: Options) -> Result<(Log, Writer), OpenError> {
    build(Arc::new(disk), options, Pool::inline())
}

fn build(disk: Arc<dyn Disk>, options: Options, pool: Pool) -> Result<(Log, Writer), OpenError> {
    let opened = open::open(disk, &options)?;
    let store = Arc::new(opened.store);
    let (sender, commands) = crossbeam_channel::bounded(options.queue);
    let closed = opened.held.closed();
    let queued_bytes = Arc::new(AtomicUsize::new(0));
    let tail = Tail::new();
    let writer = Writer {
        store: Arc::clone(&store),
        told: tail.clone(),
        options: options.clone(),
        commands,
        queued_bytes: Arc::clone(&queued_bytes),
        tail: opened.tail,
        lanes: opened.lanes,
        recent: Recent::new(options.recent_ids, store.context.journal),
        broken: opened.broken,
        dead: opened.dead,
        keeper: None,
        hopes: None,
        patience: 0,
        held: Some(opened.held),
    };
    let commands = RwLock::new(Some(sender));
    let torn = opened.torn;
    let leases = Leases::new(Arc::clone(&store.context), pool.clone());
    let snapshots = Snapshots::new(&store.context, pool.clone(), options.snapshots);
    let inner = Inner { store, commands, queued_bytes, tail, options, pool, torn, closed, leases, snapshots };
    Ok((Log { inner: Arc::new(inner) }, writer))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the threads of a journal, which works without a system of actors"
)]
fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map(drop).map_err(|error| {
        OpenError::Unavailable(Fault::new(error, "a thread of the journal", "Allow the process more threads"))
    })
}

impl Log {
    /// What was torn at the end when the journal was opened, and cut.
    pub fn torn_end(&self) -> Option<&TornEnd> {
        self.inner.torn.as_ref()
    }

    /// Closes the journal: what was submitted is still written, what comes later is refused, and the answer comes when the folder is
    /// free for others.
    ///
    /// # Cancel safety
    ///
    /// The journal is closed by the call; the future only waits.
    pub fn close(&self) -> BoxFuture<'static, ()> {
        drop(self.inner.commands.write().take());
        let mut closed = self.inner.closed.clone();
        // An error says that the writer is gone, so it is closed.
        async move { drop(closed.wait_for(|closed| *closed).await) }.boxed()
    }

    /// The snapshots beside it, in the folder `snapshots`.
    pub fn snapshots(&self) -> Snapshots {
        self.inner.snapshots.clone()
    }

    /// The leases beside it, in the file `leases`.
    pub fn leases(&self) -> Leases {
        self.inner.leases.clone()
    }

    /// Gives back the space of deleted events, where it is worth it. The journal does so by itself whenever a segment is full, going by what it
    /// counted when events were deleted; a crash or a lost checkpoint can make that too little. This looks at everything, and reads all of the journal for that.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: nothing is lost, and the space is not given back.
    pub fn compact(&self) -> BoxFuture<'static, Result<Compacted, ReadError>> {
        let (store, segment_bytes) = (Arc::clone(&self.inner.store), self.inner.options.segment_bytes);
        self.inner.pool.ask(move || rewrite::compact(&store, segment_bytes, true))
    }

    /// Takes every deleted event out of the files, worth it or not: the bytes of what is deleted when this is called are gone from the
    /// folder when it is done. What the device keeps of files that were removed is the device's business.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: some may be left. Call it again when the cause is gone.
    pub fn erase(&self) -> BoxFuture<'static, Result<Compacted, ReadError>> {
        // What is written to now can only be rewritten when it is full.
        let turned = self.submit(Ok(()), 0, Command::Turn, |()| ());
        let (store, pool) = (Arc::clone(&self.inner.store), self.inner.pool.clone());
        async move {
            let fault =
                |error: &WriteError| error.fault().cloned().unwrap_or_else(|| Fault::new(error, "it", LATER));
            turned.await.map_err(|error| ReadError::Unavailable(fault(&error)))?;
            pool.ask(move || rewrite::erase(&store)).await
        }
        .boxed()
    }

    fn submit<T: Send + 'static, U: Send + 'static>(
        &self,
        check: Result<(), WriteError>,
        bytes: usize,
        command: impl FnOnce(Answer<T>) -> Command,
        result: fn(T) -> U,
    ) -> BoxFuture<'static, Result<U, WriteError>> {
        let inner = &*self.inner;
        let submitted = check.and_then(|()| inner.send(bytes, command));
        match submitted {
            Ok(answered) => {
                let answer = move |answer: Result<_, _>| match answer {
                    Ok(Ok(answer)) => Ok(result(answer)),
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(WriteError::Unknown(gone())),
                };
                answered.map(answer).boxed()
            }
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }
}

impl Inner {
    fn send<T>(
        &self,
        bytes: usize,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Result<oneshot::Receiver<Result<T, WriteError>>, WriteError> {
        let commands = self.commands.read();
        let commands = commands.as_ref().ok_or_else(|| WriteError::Unavailable(gone()))?;
        let capacity = self.options.queue;
        let queued = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let sent = if queued > 0 && queued + bytes > self.options.queue_bytes {
            Err(WriteError::Full { capacity })
        } else {
            commands.try_send(command(answer)).map_err(|unsent| match unsent {
                crossbeam_channel::TrySendError::Full(_) => WriteError::Full { capacity },
                crossbeam_channel::TrySendError::Disconnected(_) => WriteError::Unavailable(gone()),
            })
        };
        if sent.is_err() {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        sent.map(|()| answered)
    }
}

const LATER: &str = "Wait for what is on its way, then try again";

impl JournalBackend for Log {
    fn leases(&self) -> Option<Arc<dyn LeaseStore>> {
        Some(Arc::new(self.inner.leases.clone()))
    }

    fn erase(&self) -> BoxFuture<'static, Result<(), ReadError>> {
        Self::erase(self).map(|erased| erased.map(drop)).boxed()
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn slices(&self) -> Slices {
        self.inner.store.context.slices
    }

    fn identity(&self) -> u64 {
        self.inner.store.context.journal
    }

    fn is_gapless(&self) -> bool {
        true
    }

    fn tail(&self) -> Option<&Tail> {
        Some(&self.inner.tail)
    }

    fn ends(&self) -> BoxFuture<'static, Result<BTreeMap<Slice, Ordinal>, ReadError>> {
        let store = Arc::clone(&self.inner.store);
        self.inner.pool.ask(move || store.ends())
    }

    fn claim(&self, slice: Slice) -> BoxFuture<'static, Result<Epoch, WriteError>> {
        let slices = self.slices().get();
        let there = slice.get() < slices;
        let check = if there { Ok(()) } else { Err(WriteError::NoSuchSlice { slice, slices }) };
        self.submit(check, 0, |answer| Command::Claim(slice, answer), |epoch| epoch)
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, WriteError>> {
        let bytes = append.size_bytes();
        let check = append.check_of(self.slices(), bytes);
        let append = Arc::new(append);
        self.submit(check, bytes, |answer| Command::Append(append, bytes, answer), |(appended, _)| appended)
    }

    fn read(
        &self,
        id: &PersistenceId,
        from: Sequence,
        to: Sequence,
    ) -> BoxStream<'static, Result<Recorded, ReadError>> {
        read::events(self.inner.pool.clone(), Arc::clone(&self.inner.store), id.clone(), from, to)
    }

    fn read_slice(&self, query: SliceQuery) -> BoxStream<'static, Result<Recorded, ReadError>> {
        let SliceQuery { slice, tag, after } = query;
        self.read_slices(SlicesQuery { after: [(slice, after)].into(), tag })
    }

    fn read_slices(&self, query: SlicesQuery) -> BoxStream<'static, Result<Recorded, ReadError>> {
        read::slice_events(self.inner.pool.clone(), &self.inner.store, query)
    }

    fn highest(&self, id: &PersistenceId) -> BoxFuture<'static, Result<Sequence, ReadError>> {
        let (store, id) = (Arc::clone(&self.inner.store), id.clone());
        self.inner.pool.ask(move || store.highest(&id).map(Sequence::new))
    }

    fn delete_to(&self, delete: Delete) -> BoxFuture<'static, Result<(), WriteError>> {
        let check = check_slice(&delete.id, delete.slice, self.slices());
        self.submit(check, 0, |answer| Command::Delete(delete, answer), |()| ())
    }

    fn ids(&self, query: IdQuery) -> BoxFuture<'static, Result<Vec<PersistenceId>, ReadError>> {
        let store = Arc::clone(&self.inner.store);
        self.inner.pool.ask(move || store.ids(&query))
    }
}

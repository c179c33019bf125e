//! A journal in memory, for tests: it can delay, refuse, and forget what was not synced. It keeps snapshots, too.
//!
//! What is submitted waits in a queue and becomes durable when it is taken from there. That happens at once, unless the test
//! [holds](Controls::hold) the journal. What waits is what a crash [forgets](Controls::crash).
//!
//! # Invariants
//!
//! * `durable` changes only when an operation is taken from the queue, in the order of the calls.
//! * An operation is answered exactly once, when it is taken or forgotten.

mod snapshots;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use omnitron_runtime::LeaseStore;
use omnitron_runtime::testkit::MemoryLeases;
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use snapshots::Snapshots;

use super::tail::{self, Tail};
use super::{
    Append, Appended, Delete, Fault, IdQuery, JournalBackend, ReadError, SliceQuery, WriteError, check_slice,
};
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice, Slices};
use crate::recorded::Recorded;
use crate::snapshot::Snapshot;

/// The most operations that wait while the journal is held.
const CAPACITY: usize = 4096;
/// How many events a stream takes at a time.
const CHUNK: usize = 64;
/// The identity of the last journal. They are gone with the process, so counting tells them apart.
static IDENTITIES: AtomicU64 = AtomicU64::new(0);

/// The journal. A clone is the same journal.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Mutex<State>>,
    slices: Slices,
    identity: u64,
    tail: Tail,
    leases: MemoryLeases,
}

/// What a test does to a [`Memory`].
#[derive(Clone)]
pub struct Controls {
    shared: Arc<Mutex<State>>,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// [`WriteError::Unavailable`], and nothing happened.
    Refused,
    /// [`WriteError::Unknown`], and nothing happened.
    UnknownLost,
    /// [`WriteError::Unknown`], and it happened.
    UnknownKept,
}

#[derive(Default)]
struct State {
    durable: Durable,
    waiting: VecDeque<Waiting>,
    held: bool,
    failures: VecDeque<Failure>,
    unreadable: bool,
    snapshots: BTreeMap<PersistenceId, BTreeMap<Sequence, Snapshot>>,
    tail: Tail,
}

#[derive(Default)]
struct Durable {
    ids: BTreeMap<PersistenceId, Stream>,
    slices: BTreeMap<Slice, SliceState>,
}

#[derive(Default)]
struct Stream {
    highest: Sequence,
    events: BTreeMap<Sequence, Recorded>,
}

#[derive(Default)]
struct SliceState {
    epoch: Epoch,
    last: Ordinal,
    order: BTreeMap<Ordinal, (PersistenceId, Sequence)>,
}

type Answer<T> = oneshot::Sender<Result<T, WriteError>>;

enum Waiting {
    Claim(Slice, Answer<Epoch>),
    Append(Append, Answer<Appended>),
    Delete(Delete, Answer<()>),
}

impl Memory {
    /// An empty journal of `slices` slices, and what a test can do to it.
    pub fn new(slices: Slices) -> (Self, Controls) {
        let tail = Tail::new();
        let shared = Arc::new(Mutex::new(State { tail: tail.clone(), ..State::default() }));
        let identity = IDENTITIES.fetch_add(1, Ordering::Relaxed) + 1;
        let leases = MemoryLeases::default();
        (Self { shared: Arc::clone(&shared), slices, identity, tail, leases }, Controls { shared })
    }

    /// Queues an operation, and takes it at once unless the journal is held.
    fn submit<T: Send + 'static>(
        &self,
        check: Result<(), WriteError>,
        waiting: impl FnOnce(Answer<T>) -> Waiting,
    ) -> BoxFuture<'static, Result<T, WriteError>> {
        let mut state = self.shared.lock();
        let full = state.waiting.len() >= CAPACITY;
        let check = if full { Err(WriteError::Full { capacity: CAPACITY }) } else { check };
        if let Err(error) = check {
            return futures_util::future::ready(Err(error)).boxed();
        }
        let (answer, answered) = oneshot::channel();
        state.waiting.push_back(waiting(answer));
        if !state.held {
            state.take(usize::MAX);
        }
        async move { answered.await.unwrap_or_else(|_| Err(unknown())) }.boxed()
    }

    fn no_slice(&self, slice: Slice) -> Result<(), WriteError> {
        let slices = self.slices.get();
        if slice.get() < slices { Ok(()) } else { Err(WriteError::NoSuchSlice { slice, slices }) }
    }
}

impl Controls {
    /// From now on nothing becomes durable.
    pub fn hold(&self) {
        self.shared.lock().held = true;
    }

    /// Makes the next `operations` that wait durable, the oldest first. The journal stays held.
    pub fn release(&self, operations: usize) {
        self.shared.lock().take(operations);
    }

    /// Ends [`hold`](Self::hold): everything that waits becomes durable.
    pub fn resume(&self) {
        let mut state = self.shared.lock();
        state.held = false;
        state.take(usize::MAX);
    }

    /// How many operations wait.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// Lets the next operation that is taken fail. Several calls fail several.
    pub fn fail_next(&self, failure: Failure) {
        self.shared.lock().failures.push_back(failure);
    }

    /// Whether reading fails.
    pub fn unreadable(&self, unreadable: bool) {
        self.shared.lock().unreadable = unreadable;
    }

    /// A crash: what waits is forgotten, and whoever waits for it is told that it may have happened.
    pub fn crash(&self) {
        let forgotten = std::mem::take(&mut self.shared.lock().waiting);
        for waiting in forgotten {
            waiting.fail(unknown());
        }
    }
}

impl State {
    fn take(&mut self, operations: usize) {
        for _ in 0..operations {
            let Some(waiting) = self.waiting.pop_front() else { return };
            match self.failures.pop_front() {
                None => waiting.settle(&mut self.durable, &self.tail, false),
                Some(Failure::UnknownKept) => waiting.settle(&mut self.durable, &self.tail, true),
                Some(Failure::UnknownLost) => waiting.fail(unknown()),
                Some(Failure::Refused) => waiting.fail(WriteError::Unavailable(fault())),
            }
        }
    }
}

impl Waiting {
    /// Does it and answers: with what came of it, or, when `doubtful`, that nobody knows.
    fn settle(self, durable: &mut Durable, tail: &Tail, doubtful: bool) {
        fn answer<T>(to: Answer<T>, result: Result<T, WriteError>, doubtful: bool) {
            // Whoever dropped the future does not want to know.
            let _ = to.send(if doubtful { result.and(Err(unknown())) } else { result });
        }
        match self {
            Self::Claim(slice, to) => answer(to, Ok(durable.claim(slice)), doubtful),
            Self::Append(append, to) => {
                let told = Arc::new(append.clone());
                let appended = durable.append(append);
                if let Ok(Appended { ordinal, .. }) = appended
                    && !told.events.is_empty()
                {
                    tail.tell(vec![tail::Durable { append: told, last: ordinal }]);
                }
                answer(to, appended, doubtful);
            }
            Self::Delete(delete, to) => answer(to, durable.delete(&delete), doubtful),
        }
    }

    fn fail(self, error: WriteError) {
        match self {
            Self::Claim(_, to) => drop(to.send(Err(error))),
            Self::Append(_, to) => drop(to.send(Err(error))),
            Self::Delete(_, to) => drop(to.send(Err(error))),
        }
    }
}

impl Durable {
    fn claim(&mut self, slice: Slice) -> Epoch {
        let state = self.slices.entry(slice).or_default();
        state.epoch = state.epoch.plus(1);
        state.epoch
    }

    fn fence(&self, slice: Slice, given: Epoch) -> Result<(), WriteError> {
        let current = self.slices.get(&slice).map_or(Epoch::ZERO, |state| state.epoch);
        // Epoch 0 is nobody, also where nobody claimed anything yet.
        if given == current && given != Epoch::ZERO {
            return Ok(());
        }
        Err(WriteError::StaleEpoch { slice, given, current })
    }

    fn append(&mut self, append: Append) -> Result<Appended, WriteError> {
        let Append { slice, epoch, id, expected, events } = append;
        self.fence(slice, epoch)?;
        let actual = self.highest(&id);
        if actual != expected {
            return Err(WriteError::UnexpectedSequence { id, expected, actual });
        }
        let state = self.slices.entry(slice).or_default();
        if events.is_empty() {
            return Ok(Appended { sequence: expected, ordinal: state.last });
        }
        let stream = self.ids.entry(id.clone()).or_default();
        for event in events {
            stream.highest = stream.highest.plus(1);
            state.last = state.last.plus(1);
            let (sequence, ordinal) = (stream.highest, state.last);
            state.order.insert(ordinal, (id.clone(), sequence));
            stream.events.insert(sequence, Recorded { id: id.clone(), slice, sequence, ordinal, event });
        }
        Ok(Appended { sequence: stream.highest, ordinal: state.last })
    }

    fn delete(&mut self, delete: &Delete) -> Result<(), WriteError> {
        self.fence(delete.slice, delete.epoch)?;
        let Some(stream) = self.ids.get_mut(&delete.id) else { return Ok(()) };
        let kept = stream.events.split_off(&delete.to.plus(1));
        let gone = std::mem::replace(&mut stream.events, kept);
        let state = self.slices.entry(delete.slice).or_default();
        for event in gone.values() {
            state.order.remove(&event.ordinal);
        }
        Ok(())
    }

    fn highest(&self, id: &PersistenceId) -> Sequence {
        self.ids.get(id).map_or(Sequence::ZERO, |stream| stream.highest)
    }
}

impl JournalBackend for Memory {
    fn leases(&self) -> Option<Arc<dyn LeaseStore>> {
        Some(Arc::new(self.leases.clone()))
    }

    fn slices(&self) -> Slices {
        self.slices
    }

    fn identity(&self) -> u64 {
        self.identity
    }

    fn is_gapless(&self) -> bool {
        true
    }

    fn tail(&self) -> Option<&Tail> {
        Some(&self.tail)
    }

    fn ends(&self) -> BoxFuture<'static, Result<BTreeMap<Slice, Ordinal>, ReadError>> {
        let shared = Arc::clone(&self.shared);
        async move {
            let state = shared.lock();
            let slices = readable(&state)?.slices.iter();
            let ends = slices.filter(|(_, slice)| slice.last > Ordinal::ZERO);
            Ok(ends.map(|(number, slice)| (*number, slice.last)).collect())
        }
        .boxed()
    }

    fn claim(&self, slice: Slice) -> BoxFuture<'static, Result<Epoch, WriteError>> {
        self.submit(self.no_slice(slice), |answer| Waiting::Claim(slice, answer))
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, WriteError>> {
        self.submit(append.check(self.slices), |answer| Waiting::Append(append, answer))
    }

    fn read(
        &self,
        id: &PersistenceId,
        from: Sequence,
        to: Sequence,
    ) -> BoxStream<'static, Result<Recorded, ReadError>> {
        let id = id.clone();
        chunks(Arc::clone(&self.shared), from, move |durable, from| {
            let stream = durable.ids.get(&id);
            let range = stream.filter(|_| *from <= to).map(|stream| stream.events.range(*from..=to));
            let chunk: Vec<_> =
                range.into_iter().flatten().take(CHUNK).map(|(_, event)| event.clone()).collect();
            *from = chunk.last().map_or(*from, |event| event.sequence.plus(1));
            chunk
        })
    }

    fn read_slice(&self, query: SliceQuery) -> BoxStream<'static, Result<Recorded, ReadError>> {
        chunks(Arc::clone(&self.shared), query.after, move |durable, after| {
            let Some(state) = durable.slices.get(&query.slice) else { return Vec::new() };
            let tagged = |event: &&Recorded| {
                query.tag.as_ref().is_none_or(|tag| event.event.tags.iter().any(|t| t == tag))
            };
            let behind = state
                .order
                .range(after.plus(1)..)
                .map(|(_, (id, sequence))| &durable.ids[id].events[sequence]);
            let chunk: Vec<_> = behind.filter(tagged).take(CHUNK).cloned().collect();
            *after = chunk.last().map_or(*after, |event| event.ordinal);
            chunk
        })
    }

    fn highest(&self, id: &PersistenceId) -> BoxFuture<'static, Result<Sequence, ReadError>> {
        let (shared, id) = (Arc::clone(&self.shared), id.clone());
        async move { readable(&shared.lock()).map(|durable| durable.highest(&id)) }.boxed()
    }

    fn delete_to(&self, delete: Delete) -> BoxFuture<'static, Result<(), WriteError>> {
        let check = check_slice(&delete.id, delete.slice, self.slices);
        self.submit(check, |answer| Waiting::Delete(delete, answer))
    }

    fn ids(&self, query: IdQuery) -> BoxFuture<'static, Result<Vec<PersistenceId>, ReadError>> {
        let shared = Arc::clone(&self.shared);
        async move {
            let state = shared.lock();
            let ids = readable(&state)?.ids.keys();
            let behind = |id: &&PersistenceId| query.after.as_ref().is_none_or(|after| *id > after);
            let wanted = ids.filter(|id| id.as_str().starts_with(&query.prefix)).filter(behind);
            Ok(wanted.take(query.limit).cloned().collect())
        }
        .boxed()
    }
}

/// A stream which asks `next` for a few events at a time, until there are none.
fn chunks<P: Send + 'static>(
    shared: Arc<Mutex<State>>,
    position: P,
    next: impl Fn(&Durable, &mut P) -> Vec<Recorded> + Send + 'static,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    let chunks = stream::unfold(Some(position), move |position| {
        let chunk = position.and_then(|mut position| match readable(&shared.lock()) {
            Ok(durable) => {
                let chunk = next(durable, &mut position);
                (!chunk.is_empty()).then(|| (chunk.into_iter().map(Ok).collect(), Some(position)))
            }
            Err(error) => Some((vec![Err(error)], None)),
        });
        std::future::ready(chunk)
    });
    chunks.flat_map(stream::iter::<Vec<_>>).boxed()
}

fn readable(state: &State) -> Result<&Durable, ReadError> {
    if state.unreadable { Err(ReadError::Unavailable(fault())) } else { Ok(&state.durable) }
}

fn fault() -> Fault {
    Fault::new("a test wants it to fail", "the journal in memory", "Nothing to do")
}

fn unknown() -> WriteError {
    WriteError::Unknown(fault())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::NewEvent;

    #[tokio::test]
    async fn what_was_not_released_is_forgotten_in_a_crash() {
        let (journal, controls) = Memory::new(Slices::new(1).unwrap());
        let (slice, id) = (Slice::new(0), PersistenceId::new("a").unwrap());
        let epoch = journal.claim(slice).await.unwrap();
        controls.hold();
        let append = |expected| {
            let events = vec![NewEvent::new("e", "x")];
            journal.append(Append { slice, epoch, id: id.clone(), expected: Sequence::new(expected), events })
        };
        let (first, second) = (append(0), append(1));
        assert_eq!(controls.waiting(), 2);
        controls.release(1);
        controls.crash();
        assert_eq!(first.await.unwrap().sequence, Sequence::new(1));
        assert!(matches!(second.await, Err(WriteError::Unknown(_))));
        controls.resume();
        assert_eq!(journal.highest(&id).await.unwrap(), Sequence::new(1));
    }
}

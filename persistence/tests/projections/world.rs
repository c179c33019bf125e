//! What the stories share: a read model that can refuse, and a system in a simulation.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::memory::{Controls, Memory};
use omnitron_persistence::backend::{Append, JournalBackend};
use omnitron_persistence::projection::{Batch, CommitError, Target};
use omnitron_persistence::snapshot::memory::MemorySnapshots;
use omnitron_persistence::{
    Effect, Epoch, Event, EventSourced, Journal, NewEvent, PersistenceId, Persistent, Position, Projection,
    ProjectionRef, ReadModel, Scope, Sequence, Slice, Slices, Snapshots, WithJournal,
};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorRef, ActorSystem, Failure};
use parking_lot::Mutex;

#[derive(Clone, Debug, Default, Event, PartialEq)]
#[event(name = "noted")]
pub(crate) struct Noted {
    pub(crate) number: u64,
}

pub(crate) fn noted(number: u64) -> NewEvent {
    NewEvent::new("noted", Noted { number }.encode().unwrap().bytes)
}

/// A read model with transactions, which outlives its projection. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    notes: Vec<(String, u64)>,
    offsets: BTreeMap<u32, Vec<u8>>,
    unavailable: bool,
    refused: Option<u64>,
    panics: Option<u64>,
    commits: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("the shelf is locked")]
struct Locked;

impl Shelf {
    pub(crate) fn numbers(&self, id: &str) -> Vec<u64> {
        let state = self.state.lock();
        state.notes.iter().filter(|(of, _)| of == id).map(|(_, number)| *number).collect()
    }

    pub(crate) fn unavailable(&self, unavailable: bool) {
        self.state.lock().unavailable = unavailable;
    }

    pub(crate) fn refuse(&self, number: Option<u64>) {
        self.state.lock().refused = number;
    }

    pub(crate) fn panic_over(&self, number: Option<u64>) {
        self.state.lock().panics = number;
    }

    pub(crate) fn offset(&self, part: u32) -> Option<Vec<u8>> {
        self.state.lock().offsets.get(&part).cloned()
    }

    pub(crate) fn set_offset(&self, part: u32, offset: Vec<u8>) {
        self.state.lock().offsets.insert(part, offset);
    }

    pub(crate) fn commits(&self) -> u64 {
        self.state.lock().commits
    }
}

impl ReadModel for Shelf {
    type Event = Noted;

    async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let state = self.state.lock();
        if state.unavailable {
            return Err(Locked.into());
        }
        Ok(state.offsets.values().cloned().collect())
    }

    async fn commit(&mut self, batch: &Batch<'_, Noted>) -> Result<(), CommitError> {
        let mut state = self.state.lock();
        if state.unavailable {
            Err(Locked)?;
        }
        for event in batch.events() {
            if state.refused == Some(event.event.number) {
                return Err(batch.refuse(event, "it is not wanted"));
            }
        }
        let panics = batch.events().iter().any(|event| state.panics == Some(event.event.number));
        if panics {
            drop(state);
            panic!("it cannot be read");
        }
        state.notes.extend(batch.events().iter().map(|event| (event.id.to_string(), event.event.number)));
        state.offsets.insert(batch.part(), batch.offset());
        state.commits += 1;
        Ok(())
    }
}

/// A system over a journal in memory.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) system: ActorSystem,
    pub(crate) backend: Memory,
    pub(crate) controls: Controls,
    pub(crate) journal: Journal,
    /// The read model of generation 0.
    pub(crate) shelf: Shelf,
    shelves: Arc<Mutex<BTreeMap<u64, Shelf>>>,
    epochs: BTreeMap<Slice, Epoch>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let (backend, controls) = Memory::new(Slices::new(4).unwrap());
        let sim = Sim::new(seed);
        let journal = Journal::with(backend.clone(), MemorySnapshots::new());
        let system = ActorSystem::builder("test").env(sim.env()).journal(journal.clone()).start();
        let system = sim.block_on(system).unwrap();
        let shelf = Shelf::default();
        let shelves = Arc::new(Mutex::new(BTreeMap::from([(0, shelf.clone())])));
        Self { sim, system, backend, controls, journal, shelf, shelves, epochs: BTreeMap::new() }
    }

    /// An empty read model in the place of that of generation 0.
    pub(crate) fn new_shelf(&self) -> Shelf {
        let empty = Shelf::default();
        self.shelves.lock().insert(0, empty.clone());
        empty
    }

    /// The read model of a generation.
    pub(crate) fn shelf_of(&self, generation: u64) -> Shelf {
        self.shelves.lock().entry(generation).or_default().clone()
    }

    pub(crate) fn projection(&self, name: &str) -> Projection<Shelf> {
        let shelves = Arc::clone(&self.shelves);
        let open = move |target: &Target| Ok(shelves.lock().entry(target.generation).or_default().clone());
        Projection::new(name, open)
    }

    pub(crate) fn start<R: ReadModel>(&self, projection: Projection<R>) -> ProjectionRef<R> {
        self.sim.block_on(projection.start(&self.system)).unwrap()
    }

    /// Appends numbers to an id. Where the last one is.
    pub(crate) fn write(&mut self, id: &str, numbers: impl IntoIterator<Item = u64>) -> Position {
        self.write_events(id, numbers.into_iter().map(noted).collect())
    }

    pub(crate) fn write_events(&mut self, id: &str, events: Vec<NewEvent>) -> Position {
        let id = PersistenceId::new(id).unwrap();
        let slice = id.slice(self.backend.slices());
        let epoch = *self.epochs.entry(slice).or_insert_with(|| now(self.backend.claim(slice)).unwrap());
        let expected = now(self.backend.highest(&id)).unwrap();
        let appended = now(self.backend.append(Append { slice, epoch, id, expected, events })).unwrap();
        Position { slice, ordinal: appended.ordinal }
    }

    /// Something that runs, and its result.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Started<T> {
        let (tell, result) = tokio::sync::oneshot::channel();
        self.sim.env().spawn(|| "asker".to_owned(), async move { drop(tell.send(future.await)) });
        self.sim.run_until_idle();
        Started(result)
    }

    /// An entity that deletes its events behind snapshots.
    pub(crate) fn diary(&self, name: &str) -> ActorRef<u64> {
        let options = Snapshots::every(5).keep(1).delete_events();
        self.system.spawn(name, Persistent::new(Diary).snapshots(options)).unwrap()
    }

    pub(crate) fn tell(&self, diary: &ActorRef<u64>, times: u64) {
        for _ in 0..times {
            diary.tell(1).unwrap();
            self.sim.run_until_idle();
        }
    }

    /// The sequence of the first event of `id` that was not deleted.
    pub(crate) fn first_left(&self, id: &str) -> u64 {
        let id = PersistenceId::new(id).unwrap();
        let mut events = self.backend.read(&id, Sequence::ZERO, Sequence::MAX);
        let first = events.next().now_or_never().flatten();
        first.map_or(u64::MAX, |event| event.unwrap().sequence.get())
    }
}

pub(crate) struct Started<T>(tokio::sync::oneshot::Receiver<T>);

impl<T> Started<T> {
    #[track_caller]
    pub(crate) fn get(mut self) -> T {
        self.0.try_recv().expect("it has ended")
    }
}

pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing has to be waited for")
}

/// Counts, and notes each number.
struct Diary;

#[derive(Clone, Default, Event)]
#[event(name = "diary.state")]
struct Count {
    number: u64,
}

impl EventSourced for Diary {
    type Command = u64;
    type Event = Noted;
    type State = Count;

    fn handle(&self, state: &Count, more: u64, _: &Scope<Self>) -> Effect<Self> {
        Effect::persist(Noted { number: state.number + more })
    }

    fn apply(state: &mut Count, event: &Noted) {
        state.number = event.number;
    }
}

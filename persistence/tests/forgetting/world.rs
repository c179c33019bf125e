//! What the stories share: a list of numbers for each id, in a system over a journal in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::backend::memory::{Controls, Failure, Memory};
use omnitron_persistence::snapshot::memory::MemorySnapshots;
use omnitron_persistence::snapshot::{Snapshot, SnapshotStore};
use omnitron_persistence::{
    Effect, Event, EventSourced, ForgetError, Forgotten, Journal, PersistenceId, Persistent, Recorded, Scope,
    Sequence, Slices, Snapshots, WithJournal,
};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorRef, ActorSystem, ReplyTo};
use tokio::sync::oneshot;

#[derive(Clone, Debug, Event, PartialEq)]
#[event(name = "noted")]
pub(crate) struct Noted {
    pub(crate) number: u64,
}

#[derive(Clone, Debug, Default, Event, PartialEq)]
#[event(name = "notes")]
pub(crate) struct Notes {
    pub(crate) numbers: Vec<u64>,
}

pub(crate) struct Notebook;

pub(crate) enum Command {
    Note(u64, ReplyTo<usize>),
    Read(ReplyTo<Vec<u64>>),
}

impl EventSourced for Notebook {
    type Command = Command;
    type Event = Noted;
    type State = Notes;

    fn handle(&self, state: &Notes, command: Command, _: &Scope<Self>) -> Effect<Self> {
        match command {
            Command::Note(number, reply) => {
                Effect::persist(Noted { number }).then_reply(reply, |notes: &Notes| notes.numbers.len())
            }
            Command::Read(reply) => Effect::reply(reply, state.numbers.clone()),
        }
    }

    fn apply(state: &mut Notes, event: &Noted) {
        state.numbers.push(event.number);
    }
}

pub(crate) fn id(text: &str) -> PersistenceId {
    PersistenceId::new(text).unwrap()
}

pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) system: ActorSystem,
    pub(crate) journal: Journal,
    pub(crate) backend: Memory,
    pub(crate) snapshots: MemorySnapshots,
    controls: Controls,
    actors: BTreeMap<String, ActorRef<Command>>,
}

/// What comes of something that runs beside the story.
pub(crate) struct Later<T>(oneshot::Receiver<T>);

impl<T> Later<T> {
    #[track_caller]
    pub(crate) fn get(mut self) -> T {
        self.0.try_recv().expect("it is done")
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let (backend, controls) = Memory::new(Slices::new(1).unwrap());
        let (sim, snapshots) = (Sim::new(seed), MemorySnapshots::new());
        let journal = Journal::with(backend.clone(), snapshots.clone());
        let system = ActorSystem::builder("test").env(sim.env()).journal(journal.clone()).start();
        let system = sim.block_on(system).unwrap();
        Self { sim, system, journal, backend, snapshots, controls, actors: BTreeMap::new() }
    }

    fn actor(&mut self, name: &str) -> ActorRef<Command> {
        let system = &self.system;
        let spawn = || {
            let notebook = Persistent::new(Notebook).snapshots(Snapshots::every(3));
            system.spawn(name, notebook).unwrap()
        };
        self.actors.entry(name.to_owned()).or_insert_with(spawn).clone()
    }

    /// Notes a number. Returns how many there are.
    pub(crate) fn write(&mut self, name: &str, number: u64) -> usize {
        let actor = self.actor(name);
        let written =
            self.sim.block_on(actor.ask(|reply| Command::Note(number, reply)).into_future()).unwrap();
        self.sim.run_until_idle();
        written
    }

    pub(crate) fn read(&mut self, name: &str) -> Vec<u64> {
        let actor = self.actor(name);
        self.sim.block_on(actor.ask(Command::Read).into_future()).unwrap()
    }

    pub(crate) fn stop(&mut self, name: &str) {
        let actor = self.actors.remove(name).unwrap();
        self.sim.block_on(actor.stop().into_future());
    }

    pub(crate) fn forget(&mut self, name: &str) -> Result<Forgotten, ForgetError> {
        let later = self.forget_later(name);
        self.sim.advance(Duration::from_secs(30));
        later.get()
    }

    pub(crate) fn forget_later(&self, name: &str) -> Later<Result<Forgotten, ForgetError>> {
        let (journal, env, id) = (self.journal.clone(), self.sim.env(), id(name));
        let (tell, told) = oneshot::channel();
        let forget = async move { drop(tell.send(journal.forget(&env, &id).await)) };
        self.sim.env().spawn(|| "forgets".to_owned(), forget);
        self.sim.run_until_idle();
        Later(told)
    }

    /// Forgets, and the write that comes after `done` others fails.
    pub(crate) fn forget_with(
        &mut self,
        done: usize,
        failure: Failure,
        name: &str,
    ) -> Result<Forgotten, ForgetError> {
        self.controls.hold();
        let later = self.forget_later(name);
        self.controls.release(done);
        self.sim.run_until_idle();
        self.controls.fail_next(failure);
        self.controls.resume();
        self.sim.advance(Duration::from_secs(30));
        later.get()
    }

    pub(crate) fn events(&self, name: &str) -> Vec<Recorded> {
        let read = self.backend.read(&id(name), Sequence::ZERO, Sequence::MAX);
        read.collect::<Vec<_>>().now_or_never().unwrap().into_iter().map(Result::unwrap).collect()
    }

    pub(crate) fn snapshot(&self, name: &str) -> Option<Snapshot> {
        self.sim.block_on(self.snapshots.load(&id(name), Sequence::MAX)).unwrap().snapshot
    }
}

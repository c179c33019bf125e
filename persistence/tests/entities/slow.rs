//! What if the journal is slow or silent, or belongs to somebody else by now?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::memory::{Controls, Failure, Memory};
use omnitron_persistence::backend::{
    Append, Appended, Delete, IdQuery, JournalBackend, ReadError, SliceQuery, WriteError,
};
use omnitron_persistence::snapshot::memory::MemorySnapshots;
use omnitron_persistence::snapshot::{Loaded, Snapshot, SnapshotStore};
use omnitron_persistence::{
    Epoch, Event, Journal, NewEvent, PersistenceId, Persistent, Recorded, Sequence, Slice, Slices, Snapshots,
    WithJournal,
};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorRef, ActorSystem, AskError, Reason};
use tokio::sync::watch;

use crate::world::{Account, AccountEvent, Command};

/// Reads as the journal in memory does, once its gate is open; of ids that begin with `ok`, always.
struct Slow {
    inner: Memory,
    gate: watch::Receiver<bool>,
}

impl JournalBackend for Slow {
    fn slices(&self) -> Slices {
        self.inner.slices()
    }

    fn claim(&self, slice: Slice) -> BoxFuture<'static, Result<Epoch, WriteError>> {
        self.inner.claim(slice)
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, WriteError>> {
        self.inner.append(append)
    }

    fn read(
        &self,
        id: &PersistenceId,
        from: Sequence,
        to: Sequence,
    ) -> BoxStream<'static, Result<Recorded, ReadError>> {
        let (inner, id, mut gate) = (self.inner.clone(), id.clone(), self.gate.clone());
        if id.as_str().starts_with("ok") {
            return inner.read(&id, from, to);
        }
        let read = async move {
            let _ = gate.wait_for(|open| *open).await;
            inner.read(&id, from, to)
        };
        stream::once(read).flatten().boxed()
    }

    fn read_slice(&self, query: SliceQuery) -> BoxStream<'static, Result<Recorded, ReadError>> {
        self.inner.read_slice(query)
    }

    fn highest(&self, id: &PersistenceId) -> BoxFuture<'static, Result<Sequence, ReadError>> {
        self.inner.highest(id)
    }

    fn delete_to(&self, delete: Delete) -> BoxFuture<'static, Result<(), WriteError>> {
        self.inner.delete_to(delete)
    }

    fn ids(&self, query: IdQuery) -> BoxFuture<'static, Result<Vec<PersistenceId>, ReadError>> {
        self.inner.ids(query)
    }
}

/// Its first save panics.
struct Fragile(MemorySnapshots, Arc<AtomicBool>);

impl SnapshotStore for Fragile {
    fn save(&self, snapshot: Snapshot) -> BoxFuture<'static, Result<(), WriteError>> {
        let (inner, later) = (self.0.clone(), self.1.swap(true, Ordering::SeqCst));
        async move {
            assert!(later, "the first save");
            inner.save(snapshot).await
        }
        .boxed()
    }

    fn load(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        self.0.load(id, to)
    }

    fn delete_to(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<(), WriteError>> {
        self.0.delete_to(id, to)
    }
}

struct World {
    sim: Sim,
    memory: Memory,
    controls: Controls,
    system: ActorSystem,
    gate: watch::Sender<bool>,
}

impl World {
    fn new(slices: u32, snapshots: impl SnapshotStore) -> Self {
        let sim = Sim::new(1);
        let (memory, controls) = Memory::new(Slices::new(slices).unwrap());
        let (gate, opened) = watch::channel(true);
        let journal = Journal::with(Slow { inner: memory.clone(), gate: opened }, snapshots);
        let system = ActorSystem::builder("test").env(sim.env()).journal(journal).start();
        let system = sim.block_on(system).unwrap();
        Self { sim, memory, controls, system, gate }
    }

    fn spawn(&self, name: &str, snapshots: Option<Snapshots>) -> ActorRef<Command> {
        let account = Persistent::new(Account::default());
        let account = match snapshots {
            Some(snapshots) => account.snapshots(snapshots),
            None => account,
        };
        self.system.spawn(name, account).unwrap()
    }

    fn put(&self, account: &ActorRef<Command>, times: u64) {
        for _ in 0..times {
            account.tell(Command::Put(1)).unwrap();
            self.sim.run_until_idle();
        }
    }

    fn balance(&self, account: &ActorRef<Command>) -> Result<u64, AskError> {
        self.sim.block_on(account.ask(Command::Balance).into_future())
    }

    /// Another process takes over the slice, and puts something into an id whose end it knows.
    fn take_over(&self, slice: u32, id: &str, expected: u64) {
        let slice = Slice::new(slice);
        let epoch = self.memory.claim(slice).now_or_never().unwrap().unwrap();
        let encoded = AccountEvent::Deposited { cents: 41 }.encode().unwrap();
        let (id, expected) = (PersistenceId::new(id).unwrap(), Sequence::new(expected));
        let events = vec![NewEvent::new(encoded.name, encoded.bytes)];
        self.memory.append(Append { slice, epoch, id, expected, events }).now_or_never().unwrap().unwrap();
    }
}

#[test]
fn a_snapshot_of_the_incarnation_before_takes_no_event_from_under_a_recovery() {
    for restarts in [true, false] {
        let snapshots = MemorySnapshots::new();
        let world = World::new(4, snapshots.clone());
        let account = world.spawn("a", Some(Snapshots::every(5).keep(1).delete_events()));
        world.put(&account, 5);
        snapshots.hold(true);
        world.put(&account, 6); // the snapshot of 10 is being saved
        world.gate.send_replace(false);
        if restarts {
            account.tell(Command::Panic).unwrap();
        } else {
            // It recovers without a restart.
            world.controls.fail_next(Failure::Refused);
            account.tell(Command::Put(1)).unwrap();
            world.sim.run_until_idle();
            account.tell(Command::Note(0)).unwrap();
        }
        world.sim.advance(Duration::from_secs(1));
        snapshots.hold(false); // it is saved, and the events up to it go
        world.sim.run_until_idle();
        world.gate.send_replace(true);
        world.sim.advance(Duration::from_secs(15));
        assert_eq!(world.balance(&account).unwrap(), 11, "restarts: {restarts}");
    }
}

#[test]
fn a_save_that_panics_is_not_the_last_one() {
    let snapshots = MemorySnapshots::new();
    let world = World::new(4, Fragile(snapshots.clone(), Arc::default()));
    let account = world.spawn("a", Some(Snapshots::every(5)));
    world.put(&account, 12);
    assert_eq!(snapshots.sequences(&PersistenceId::new("a").unwrap()), [Sequence::new(10)]);
    assert_eq!(world.balance(&account).unwrap(), 12);
}

#[test]
fn once_one_id_of_a_slice_knows_that_it_is_lost_no_other_answers_either() {
    let world = World::new(1, MemorySnapshots::new());
    let (a, b) = (world.spawn("a", None), world.spawn("b", None));
    world.put(&a, 1);
    world.put(&b, 1);
    world.take_over(0, "b", 1);
    world.put(&a, 1);
    assert!(world.balance(&a).is_err());
    let answer = world.balance(&b);
    assert!(answer.is_err(), "{answer:?}");
}

#[test]
fn an_owner_that_was_replaced_during_a_pause_does_not_answer_after_it() {
    let world = World::new(1, MemorySnapshots::new());
    let account = world.spawn("a", None);
    world.put(&account, 1);
    world.take_over(0, "a", 1);
    world.sim.advance(Duration::from_secs(10));
    let answer = world.balance(&account);
    assert!(answer.is_err(), "it is 42, and not {answer:?}");
}

#[test]
fn what_is_told_while_it_is_suspended_is_a_dead_letter_and_not_gone_in_silence() {
    let world = World::new(4, MemorySnapshots::new());
    let account = world.spawn("a", None);
    world.put(&account, 1);
    world.controls.unreadable(true);
    account.tell(Command::Panic).unwrap();
    world.sim.advance(Duration::from_secs(5));
    world.put(&account, 3);
    let lost = world.system.dead_letters().count(Reason::Unavailable);
    assert!(lost > 0);
    world.controls.unreadable(false);
    world.sim.advance(Duration::from_secs(30));
    assert_eq!(world.balance(&account).unwrap() + lost, 4);
}

#[test]
fn ids_whose_journal_is_silent_hold_up_no_other_for_ever() {
    let world = World::new(4, MemorySnapshots::new());
    let names: Vec<String> = (0..64).map(|n| format!("slow-{n}")).chain(["ok".to_owned()]).collect();
    for name in &names {
        let account = world.spawn(name, None);
        world.put(&account, 1);
        world.sim.block_on(account.stop().into_future());
    }
    world.gate.send_replace(false);
    let accounts: Vec<_> = names
        .iter()
        .map(|name| {
            world.sim.run_until_idle();
            world.spawn(name, None)
        })
        .collect();
    world.sim.advance(Duration::from_mins(2));
    assert_eq!(world.balance(&accounts[64]).unwrap(), 1);
    world.gate.send_replace(true);
    world.sim.advance(Duration::from_mins(1));
    assert_eq!(world.balance(&accounts[0]).unwrap(), 1);
}

//! What the stories share: an account, and a system in a simulation over a journal in memory.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::backend::memory::{Controls, Memory};
use omnitron_persistence::snapshot::memory::MemorySnapshots;
use omnitron_persistence::{
    Effect, Event, EventSourced, Journal, PersistenceId, Persistent, Recorded, Scope, Sequence, Slices,
    WithJournal,
};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorRef, ActorSystem, AskError, ReplyTo};
use parking_lot::Mutex;

/// What a program keeps apart from its actors: here it collects side effects.
pub(crate) type Notes = Arc<Mutex<Vec<String>>>;

/// An account, whose deposits of 13 cannot be applied, and of 666 only by those who do not replay.
#[derive(Clone, Default)]
pub(crate) struct Account {
    pub(crate) notes: Notes,
}

pub(crate) enum Command {
    Deposit(u64, ReplyTo<u64>),
    /// Several events at once.
    DepositAll(Vec<u64>, ReplyTo<u64>),
    /// Says nothing.
    Put(u64),
    Note(u64),
    Balance(ReplyTo<u64>),
    Confirmed(ReplyTo<u64>),
    Snapshot(ReplyTo<u64>),
    Close(ReplyTo<u64>),
    Fail(&'static str),
    Panic,
    Later(u64, ReplyTo<u64>),
    Now,
}

#[derive(Clone, Debug, Event, PartialEq)]
pub(crate) enum AccountEvent {
    Deposited { cents: u64 },
}

#[derive(Clone, Debug, Default, Event, PartialEq)]
#[event(name = "balance")]
pub(crate) struct Balance {
    pub(crate) cents: u64,
    pub(crate) deposits: u64,
}

impl EventSourced for Account {
    type Command = Command;
    type Event = AccountEvent;
    type State = Balance;

    fn handle(&self, state: &Balance, command: Command, _: &Scope<Self>) -> Effect<Self> {
        let deposited = |cents| AccountEvent::Deposited { cents };
        let cents = |state: &Balance| state.cents;
        match command {
            Command::DepositAll(all, reply) => {
                Effect::persist_all(all.into_iter().map(deposited)).then_reply(reply, cents)
            }
            Command::Put(n) => Effect::persist(deposited(n)),
            Command::Note(n) => {
                let notes = Arc::clone(&self.notes);
                Effect::persist(deposited(n)).then_run(move |state: &Balance| {
                    let line = state.cents.to_string();
                    move || notes.lock().push(line)
                })
            }
            Command::Balance(reply) => Effect::reply(reply, state.cents),
            Command::Confirmed(reply) => Effect::reply(reply, state.cents).confirmed(),
            Command::Snapshot(reply) => Effect::snapshot().then_reply(reply, cents),
            Command::Close(reply) => Effect::persist(deposited(1)).then_reply(reply, cents).then_stop(),
            Command::Fail(text) => Effect::fail(std::io::Error::other(text)),
            Command::Panic => panic!("a command that panics"),
            Command::Later(n, reply) if state.deposits == 0 => Effect::stash(Command::Later(n, reply)),
            Command::Deposit(n, reply) | Command::Later(n, reply) => {
                Effect::persist(deposited(n)).then_reply(reply, cents)
            }
            Command::Now => Effect::persist(deposited(1)).then_unstash(),
        }
    }

    fn apply(state: &mut Balance, event: &AccountEvent) {
        let AccountEvent::Deposited { cents } = event;
        assert_ne!(*cents, 13, "an unlucky deposit");
        state.cents += cents;
        state.deposits += 1;
    }
}

/// A system in a simulation, over a journal that outlives it.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) system: ActorSystem,
    pub(crate) backend: Memory,
    pub(crate) controls: Controls,
    pub(crate) snapshots: MemorySnapshots,
    pub(crate) journal: Journal,
}

/// A question whose answer is looked at from time to time.
pub(crate) struct Asked<T> {
    answer: tokio::sync::oneshot::Receiver<Result<T, AskError>>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let (backend, controls) = Memory::new(Slices::new(4).unwrap());
        Self::over(seed, backend, controls, MemorySnapshots::new())
    }

    fn over(seed: u64, backend: Memory, controls: Controls, snapshots: MemorySnapshots) -> Self {
        let sim = Sim::new(seed);
        let journal = Journal::with(backend.clone(), snapshots.clone());
        let system = ActorSystem::builder("test").env(sim.env()).journal(journal.clone()).start();
        let system = sim.block_on(system).unwrap();
        Self { sim, system, backend, controls, snapshots, journal }
    }

    /// The machine crashes and starts again: what was not durable is gone, and everything in memory.
    pub(crate) fn crash(self) -> Self {
        let Self { sim, controls, backend, snapshots, .. } = self;
        let seed = sim.seed() + 1;
        drop(sim);
        controls.crash();
        controls.resume();
        Self::over(seed, backend, controls, snapshots)
    }

    pub(crate) fn spawn(&self, name: &str) -> ActorRef<Command> {
        self.spawn_with(name, Persistent::new(Account::default()))
    }

    pub(crate) fn spawn_with(&self, name: &str, account: Persistent<Account>) -> ActorRef<Command> {
        let account = self.system.spawn(name, account).unwrap();
        self.sim.run_until_idle();
        account
    }

    /// Asks, and lets everything run that can.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        account: &ActorRef<Command>,
        make: impl FnOnce(ReplyTo<T>) -> Command + Send + 'static,
    ) -> Asked<T> {
        let (tell, answer) = tokio::sync::oneshot::channel();
        let account = account.clone();
        let ask = async move { drop(tell.send(account.ask(make).within(Duration::from_hours(1)).await)) };
        self.sim.env().spawn(|| "asker".to_owned(), ask);
        self.sim.run_until_idle();
        Asked { answer }
    }

    pub(crate) fn deposit(&self, account: &ActorRef<Command>, cents: u64) -> Asked<u64> {
        self.ask(account, move |reply| Command::Deposit(cents, reply))
    }

    pub(crate) fn balance(&self, account: &ActorRef<Command>) -> u64 {
        self.ask(account, Command::Balance).get().expect("the journal is well")
    }

    pub(crate) fn events(&self, id: &str) -> Vec<Recorded> {
        let id = PersistenceId::new(id).unwrap();
        let read = self.backend.read(&id, Sequence::ZERO, Sequence::MAX);
        let events = read.collect::<Vec<_>>().now_or_never().unwrap();
        events.into_iter().map(Result::unwrap).collect()
    }
}

impl<T> Asked<T> {
    /// The answer, if it is there.
    pub(crate) fn poll(&mut self) -> Option<Result<T, AskError>> {
        let polled = std::pin::pin!(&mut self.answer).poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(answer) => Some(answer.expect("the asker lives as long as its world")),
            Poll::Pending => None,
        }
    }

    /// The answer, which is there.
    #[track_caller]
    pub(crate) fn get(mut self) -> Result<T, AskError> {
        self.poll().expect("it is answered")
    }
}

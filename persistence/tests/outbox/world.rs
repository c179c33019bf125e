//! What the stories share: offices that post letters to each other and write down what they get.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::backend::memory::{Controls, Memory};
use omnitron_persistence::outbox::OutboxStatus;
use omnitron_persistence::snapshot::memory::MemorySnapshots;
use omnitron_persistence::{
    Effect, EntityGateway, Event, EventSourced, Gateway, Journal, Outbox, OutboxRef, PersistenceId,
    Persistent, Recorded, Schema, Scope, Sequence, Slices, Snapshots, WithJournal,
};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorSystem, ReplyTo};
use parking_lot::Mutex;

/// What travels.
#[derive(Clone, Debug, Event, PartialEq)]
#[event(name = "office.letter")]
pub(crate) struct Letter {
    pub(crate) from: String,
    pub(crate) number: u64,
}

/// What no office takes.
#[derive(Clone, Debug, Event, PartialEq)]
#[event(name = "office.parcel")]
pub(crate) struct Parcel {
    pub(crate) grams: u64,
}

/// Writes letters to others, one number after the other, and writes down those that it gets.
#[derive(Clone, Default)]
pub(crate) struct Office {
    rules: Arc<Mutex<Rules>>,
}

/// What goes wrong at offices, and what they have done.
#[derive(Default)]
struct Rules {
    /// Letters that fail their receiver.
    refused: BTreeSet<(String, u64)>,
    /// Letters that their receiver panics over.
    frightening: BTreeSet<(String, u64)>,
    /// Letters that are read and thrown away.
    ignored: BTreeSet<(String, u64)>,
    /// How often a letter was handled.
    handled: BTreeMap<(String, String, u64), u32>,
}

pub(crate) enum Command {
    /// Writes so many letters to an office.
    Write(String, u64),
    /// Writes a letter to each of these, in one effect.
    WriteAll(Vec<String>),
    /// Posts something that no office takes.
    Send(String),
    /// Posts to whatever is named there.
    To(String, String),
    Get(Letter),
    /// What was got, in order.
    Got(ReplyTo<Vec<(String, u64)>>),
    /// The last number that was written to each.
    Wrote(ReplyTo<BTreeMap<String, u64>>),
    /// Puts off letters that come from now on, until [`Command::Open`].
    Close,
    Open,
}

#[derive(Debug, Event, PartialEq)]
pub(crate) enum OfficeEvent {
    Wrote { to: String, number: u64 },
    Got { from: String, number: u64 },
    Closed(bool),
}

#[derive(Clone, Debug, Default, PartialEq, Schema)]
pub(crate) struct Number {
    pub(crate) office: String,
    pub(crate) number: u64,
}

#[derive(Clone, Debug, Default, Event, PartialEq)]
#[event(name = "office.state")]
pub(crate) struct Books {
    pub(crate) wrote: BTreeMap<String, u64>,
    pub(crate) got: Vec<Number>,
    pub(crate) closed: bool,
}

impl Office {
    pub(crate) fn refuse(&self, from: &str, number: u64, refuses: bool) {
        let mut rules = self.rules.lock();
        if refuses {
            rules.refused.insert((from.to_owned(), number));
        } else {
            rules.refused.remove(&(from.to_owned(), number));
        }
    }

    pub(crate) fn frighten(&self, from: &str, number: u64) {
        self.rules.lock().frightening.insert((from.to_owned(), number));
    }

    pub(crate) fn ignore(&self, from: &str, number: u64) {
        self.rules.lock().ignored.insert((from.to_owned(), number));
    }

    /// How often a receiver has handled a letter.
    pub(crate) fn handled(&self, receiver: &str, from: &str, number: u64) -> u32 {
        let key = (receiver.to_owned(), from.to_owned(), number);
        self.rules.lock().handled.get(&key).copied().unwrap_or_default()
    }
}

fn name(cx: &Scope<Office>) -> String {
    cx.id().as_str().trim_start_matches("office/").to_owned()
}

impl EventSourced for Office {
    type Command = Command;
    type Event = OfficeEvent;
    type State = Books;

    fn handle(&self, state: &Books, command: Command, cx: &Scope<Self>) -> Effect<Self> {
        let next = |to: &str| state.wrote.get(to).copied().unwrap_or_default() + 1;
        match command {
            Command::Write(to, count) => {
                let numbers = next(&to)..next(&to) + count;
                let wrote = numbers.clone().map(|number| OfficeEvent::Wrote { to: to.clone(), number });
                let mut effect = Effect::persist_all(wrote);
                for number in numbers {
                    effect = effect.then_post(("office", &to), Letter { from: name(cx), number });
                }
                effect
            }
            Command::WriteAll(all) => {
                let wrote = all.iter().map(|to| OfficeEvent::Wrote { to: to.clone(), number: next(to) });
                let mut effect = Effect::persist_all(wrote);
                for to in &all {
                    effect = effect.then_post(("office", to), Letter { from: name(cx), number: next(to) });
                }
                effect
            }
            Command::Send(to) => Effect::none().then_post(("office", to), Parcel { grams: 1 }),
            Command::To(gateway, id) => {
                Effect::none().then_post((gateway, id), Letter { from: name(cx), number: 1 })
            }
            Command::Get(letter) if state.closed => Effect::stash(Command::Get(letter)),
            Command::Get(Letter { from, number }) => {
                let mut rules = self.rules.lock();
                let key = (from.clone(), number);
                if rules.refused.contains(&key) {
                    return Effect::fail(std::io::Error::other("it is in no language that is known here"));
                }
                let is_frightening = rules.frightening.contains(&key);
                if is_frightening {
                    drop(rules);
                    panic!("a frightening letter");
                }
                *rules.handled.entry((name(cx), from.clone(), number)).or_default() += 1;
                if rules.ignored.contains(&key) {
                    return Effect::none();
                }
                Effect::persist(OfficeEvent::Got { from, number })
            }
            Command::Got(reply) => {
                let got = state.got.iter().map(|letter| (letter.office.clone(), letter.number)).collect();
                Effect::reply(reply, got)
            }
            Command::Wrote(reply) => Effect::reply(reply, state.wrote.clone()),
            Command::Close => Effect::persist(OfficeEvent::Closed(true)),
            Command::Open => Effect::persist(OfficeEvent::Closed(false)).then_unstash(),
        }
    }

    fn apply(state: &mut Books, event: &OfficeEvent) {
        match event {
            OfficeEvent::Wrote { to, number } => {
                state.wrote.insert(to.clone(), *number);
            }
            OfficeEvent::Got { from, number } => {
                state.got.push(Number { office: from.clone(), number: *number });
            }
            OfficeEvent::Closed(closed) => state.closed = *closed,
        }
    }
}

/// A system in a simulation, over a journal in memory that outlives it.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) system: ActorSystem,
    pub(crate) backend: Memory,
    pub(crate) controls: Controls,
    pub(crate) snapshots: MemorySnapshots,
    pub(crate) office: Office,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_slices(seed, 4)
    }

    pub(crate) fn with_slices(seed: u64, slices: u32) -> Self {
        let (backend, controls) = Memory::new(Slices::new(slices).unwrap());
        Self::over(seed, backend, controls, MemorySnapshots::new(), Office::default())
    }

    fn over(
        seed: u64,
        backend: Memory,
        controls: Controls,
        snapshots: MemorySnapshots,
        office: Office,
    ) -> Self {
        let sim = Sim::new(seed);
        let journal = Journal::with(backend.clone(), snapshots.clone());
        let system = ActorSystem::builder("test").env(sim.env()).journal(journal).start();
        let system = sim.block_on(system).unwrap();
        Self { sim, system, backend, controls, snapshots, office }
    }

    /// The machine crashes and starts again: what was not durable is gone, and everything in memory.
    pub(crate) fn crash(self) -> Self {
        let Self { sim, controls, backend, snapshots, office, .. } = self;
        let seed = sim.seed() + 1;
        drop(sim);
        controls.crash();
        controls.resume();
        Self::over(seed, backend, controls, snapshots, office)
    }

    pub(crate) fn offices(&self) -> EntityGateway<Office> {
        let office = self.office.clone();
        Gateway::new(move |_| Persistent::new(office.clone())).start(&self.system, "office").unwrap()
    }

    /// Offices that delete their events behind snapshots.
    pub(crate) fn forgetful_offices(&self) -> EntityGateway<Office> {
        let office = self.office.clone();
        let entity =
            move |_: &str| Persistent::new(office.clone()).snapshots(Snapshots::every(4).delete_events());
        Gateway::new(entity).start(&self.system, "office").unwrap()
    }

    pub(crate) fn outbox(&self, offices: &EntityGateway<Office>) -> OutboxRef {
        self.start(Outbox::new("post").deliver(offices, Command::Get))
    }

    pub(crate) fn start(&self, outbox: Outbox) -> OutboxRef {
        let outbox = outbox.start(&self.system).unwrap();
        self.sim.run_until_idle();
        outbox
    }

    pub(crate) fn tell(&self, offices: &EntityGateway<Office>, id: &str, command: Command) {
        offices.entity(id).unwrap().tell(command).unwrap();
        self.sim.run_until_idle();
    }

    pub(crate) fn write(&self, offices: &EntityGateway<Office>, from: &str, to: &str, letters: u64) {
        self.tell(offices, from, Command::Write(to.to_owned(), letters));
    }

    /// Time passes.
    pub(crate) fn later(&self, seconds: u64) {
        self.sim.advance(Duration::from_secs(seconds));
        self.sim.run_until_idle();
    }

    /// What an office has got, in order.
    pub(crate) fn got(&self, offices: &EntityGateway<Office>, id: &str) -> Vec<(String, u64)> {
        let office = offices.entity(id).unwrap();
        self.now(async move { office.ask(Command::Got).await.unwrap() })
    }

    /// The numbers that an office has got from another, in order.
    pub(crate) fn numbers(&self, offices: &EntityGateway<Office>, id: &str, from: &str) -> Vec<u64> {
        let got = self.got(offices, id).into_iter().filter(|(office, _)| office == from);
        got.map(|(_, number)| number).collect()
    }

    pub(crate) fn status(&self, outbox: &OutboxRef) -> OutboxStatus {
        let outbox = outbox.clone();
        self.now(async move { outbox.status().await.unwrap() })
    }

    /// Something that ends without that time passes.
    #[track_caller]
    pub(crate) fn now<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let (tell, mut told) = tokio::sync::oneshot::channel();
        self.sim.env().spawn(|| "asker".to_owned(), async move { drop(tell.send(future.await)) });
        self.sim.run_until_idle();
        told.try_recv().expect("it has ended")
    }

    pub(crate) fn events(&self, id: &str) -> Vec<Recorded> {
        let id = PersistenceId::new(id).unwrap();
        let read = self.backend.read(&id, Sequence::ZERO, Sequence::MAX);
        read.collect::<Vec<_>>().now_or_never().unwrap().into_iter().map(Result::unwrap).collect()
    }

    /// The names of the events of an id, in order.
    pub(crate) fn names(&self, id: &str) -> Vec<String> {
        self.events(id).into_iter().map(|event| event.event.name.into_owned()).collect()
    }
}

//! Does a command reach its entity, whether that is active, on its way out, or not there yet?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

extern crate omnitron_persistence as omnitron;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use omnitron_persistence::backend::memory::{Controls, Memory};
use omnitron_persistence::snapshot::memory::MemorySnapshots;
use omnitron_persistence::{
    Effect, EntityGateway, Event, EventSourced, Gateway, Journal, Persistent, Positioned, Scope, Slices,
    WithJournal,
};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorRef, ActorSystem, AskError, ReplyTo};
use parking_lot::Mutex;
use proptest::prelude::*;

/// Keeps the numbers that it is told.
struct Counter;

enum Command {
    Add(u64),
    AddAndTell(ReplyTo<Positioned<u64>>),
    Numbers(ReplyTo<Vec<u64>>),
    Leave,
    Fail,
}

#[derive(Event)]
#[event(name = "counted")]
struct Counted {
    number: u64,
}

impl EventSourced for Counter {
    type Command = Command;
    type Event = Counted;
    type State = Vec<u64>;

    fn handle(&self, state: &Vec<u64>, command: Command, _: &Scope<Self>) -> Effect<Self> {
        match command {
            Command::Add(number) => Effect::persist(Counted { number }),
            Command::AddAndTell(reply) => Effect::persist(Counted { number: state.len() as u64 + 1 })
                .then_reply_positioned(reply, |numbers: &Vec<u64>| numbers.len() as u64),
            Command::Numbers(reply) => Effect::reply(reply, state.clone()),
            Command::Leave => Effect::stop(),
            Command::Fail => panic!("a defect of one entity"),
        }
    }

    fn apply(state: &mut Vec<u64>, event: &Counted) {
        state.push(event.number);
    }
}

struct World {
    sim: Sim,
    _system: ActorSystem,
    controls: Controls,
    gateway: EntityGateway<Counter>,
    made: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new(seed: u64, options: impl FnOnce(Gateway<Counter>) -> Gateway<Counter>) -> Self {
        let sim = Sim::new(seed);
        let (backend, controls) = Memory::new(Slices::new(4).unwrap());
        let journal = Journal::with(backend, MemorySnapshots::new());
        let system = ActorSystem::builder("test").env(sim.env()).journal(journal).start();
        let system = sim.block_on(system).unwrap();
        let made = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&made);
        let gateway = Gateway::new(move |id: &str| {
            assert_ne!(id, "cursed", "an id that cannot be made");
            notes.lock().push(id.to_owned());
            // Longer than a test holds the journal: what is not stored then is refused, and that is tested elsewhere.
            Persistent::new(Counter).patience(Duration::from_mins(30))
        });
        let gateway = options(gateway).start(&system, "counter").unwrap();
        Self { sim, _system: system, controls, gateway, made }
    }

    fn entity(&self, id: &str) -> ActorRef<Command> {
        self.gateway.entity(id).unwrap()
    }

    fn numbers(&self, id: &str) -> Vec<u64> {
        self.sim.block_on(self.entity(id).ask(Command::Numbers).into_future()).unwrap()
    }

    fn active(&self) -> (usize, usize) {
        self.sim.block_on(self.gateway.active()).unwrap()
    }
}

#[test]
fn a_command_activates_its_entity_and_idleness_lets_it_go() {
    let world = World::new(1, |gateway| gateway.idle(Duration::from_secs(10)));
    for number in 1..=3 {
        world.entity("a").tell(Command::Add(number)).unwrap();
        world.entity("b/c").tell(Command::Add(number)).unwrap();
    }
    world.sim.run_until_idle();
    assert_eq!(world.active(), (2, 0));
    world.sim.advance(Duration::from_secs(8));
    assert_eq!(world.numbers("a"), [1, 2, 3]);
    world.sim.advance(Duration::from_secs(8));
    assert_eq!(world.active(), (1, 0), "one was used meanwhile");
    world.sim.advance(Duration::from_secs(20));
    assert_eq!(world.active(), (0, 0));
    assert_eq!(world.numbers("b/c"), [1, 2, 3], "it comes back with its state");
    assert_eq!(*world.made.lock(), ["a", "b/c", "b/c"]);
}

#[test]
fn no_more_than_the_limit_are_active_and_the_one_unused_for_longest_goes() {
    let world = World::new(2, |gateway| gateway.active(2));
    for id in ["a", "b", "a", "c"] {
        world.entity(id).tell(Command::Add(1)).unwrap();
        world.sim.run_until_idle();
    }
    assert_eq!(world.active(), (2, 0));
    for id in ["a", "c"] {
        world.numbers(id);
    }
    assert_eq!(*world.made.lock(), ["a", "b", "c"], "it was b that went");
}

#[test]
fn what_comes_while_an_entity_leaves_is_for_the_next_activation_in_order() {
    let world = World::new(3, |gateway| gateway.active(1).waiting(3));
    world.controls.hold();
    world.entity("a").tell(Command::Add(1)).unwrap();
    world.sim.run_until_idle();
    world.controls.release(9);
    world.sim.run_until_idle();
    world.entity("a").tell(Command::Add(2)).unwrap();
    world.entity("b").tell(Command::Add(1)).unwrap();
    world.sim.run_until_idle();
    assert_eq!(world.active(), (1, 1), "`a` waits for the journal, and then leaves");
    for number in 3..=6 {
        world.entity("a").tell(Command::Add(number)).unwrap();
    }
    let refused = world.sim.block_on(world.entity("a").ask(Command::Numbers).into_future());
    assert!(matches!(refused, Err(AskError::Unavailable)), "{refused:?}");
    world.controls.resume();
    world.sim.run_until_idle();
    assert_eq!(world.numbers("a"), [1, 2, 3, 4, 5], "the sixth found no room");
}

#[test]
fn an_entity_that_stops_by_itself_takes_no_later_command_along() {
    let world = World::new(4, |gateway| gateway);
    world.entity("a").tell(Command::Add(1)).unwrap();
    world.sim.run_until_idle();
    world.entity("a").tell(Command::Leave).unwrap();
    world.sim.run_until_idle();
    for number in 2..=4 {
        world.entity("a").tell(Command::Add(number)).unwrap();
    }
    world.sim.run_until_idle();
    assert_eq!(world.numbers("a"), [1, 2, 3, 4]);
}

#[test]
fn an_entity_that_stops_by_itself_handles_what_lies_in_its_mailbox_first() {
    let world = World::new(10, |gateway| gateway);
    world.entity("a").tell(Command::Add(1)).unwrap();
    world.sim.run_until_idle();
    world.entity("a").tell(Command::Leave).unwrap();
    for number in 2..=4 {
        world.entity("a").tell(Command::Add(number)).unwrap();
    }
    world.sim.run_until_idle();
    assert_eq!(world.active(), (0, 0), "it has stopped");
    assert_eq!(world.numbers("a"), [1, 2, 3, 4]);
}

#[test]
fn an_entity_that_panics_for_ever_takes_no_command_of_others_along() {
    let world = World::new(8, |gateway| gateway);
    for id in ["a", "b"] {
        world.entity(id).tell(Command::Add(1)).unwrap();
    }
    world.sim.run_until_idle();
    // The pipeline of `b` is full, so commands wait in its mailbox.
    world.controls.hold();
    for number in 2..=1_500 {
        world.entity("b").tell(Command::Add(number)).unwrap();
    }
    world.sim.run_until_idle();
    for _ in 0..400 {
        world.entity("a").tell(Command::Fail).unwrap();
        world.sim.run_until_idle();
        world.sim.advance(Duration::from_millis(300));
    }
    world.controls.resume();
    world.sim.advance(Duration::from_mins(1));
    assert_eq!((world.numbers("a").len(), world.numbers("b").len()), (1, 1_500));
}

#[test]
fn an_idleness_of_nothing_lets_time_pass() {
    let world = World::new(9, |gateway| gateway.idle(Duration::ZERO));
    world.entity("a").tell(Command::Add(1)).unwrap();
    world.sim.advance(Duration::from_secs(1));
    assert_eq!((world.active(), world.numbers("a")), ((0, 0), vec![1]));
}

#[test]
fn an_entity_that_cannot_be_made_or_named_harms_no_other() {
    let world = World::new(5, |gateway| gateway);
    let refused = world.sim.block_on(world.entity("cursed").ask(Command::Numbers).into_future());
    assert!(matches!(refused, Err(AskError::Unavailable)), "{refused:?}");
    assert!(world.gateway.entity("").is_err());
    assert!(world.gateway.entity("a\nb").is_err());
    assert!(world.gateway.entity("x".repeat(600)).is_err());
    let long = "x".repeat(500);
    world.entity(&long).tell(Command::Add(7)).unwrap();
    assert_eq!((world.numbers(&long), world.numbers("$a")), (vec![7], vec![]));
}

#[test]
fn a_reply_says_where_in_the_journal_its_events_are() {
    let world = World::new(6, |gateway| gateway);
    let ask = || world.sim.block_on(world.entity("a").ask(Command::AddAndTell).into_future()).unwrap();
    let (first, second) = (ask(), ask());
    let id = world.gateway.persistence_id("a").unwrap();
    let (one, two) = (first.position.unwrap(), second.position.unwrap());
    assert_eq!((first.value, second.value), (1, 2));
    assert_eq!((one.slice, two.slice), (id.slice(Slices::new(4).unwrap()), one.slice));
    assert_eq!((one.ordinal.get(), two.ordinal.get()), (1, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Commands for a few ids, time that passes, entities that leave for others: at the end each has exactly its commands, in order.
    #[test]
    fn no_command_is_lost_whatever_leaves_and_comes_back(
        steps in prop::collection::vec((0_usize..6, 0_u64..4, any::<bool>()), 1..80),
    ) {
        const IDS: [&str; 4] = ["a", "b", "c", "d"];
        let world = World::new(7, |gateway| gateway.active(2).idle(Duration::from_secs(2)));
        let mut expected = vec![Vec::new(); IDS.len()];
        let mut next = 0;
        for (what, seconds, settles) in steps {
            match IDS.get(what) {
                Some(id) => {
                    next += 1;
                    expected[what].push(next);
                    world.entity(id).tell(Command::Add(next)).unwrap();
                    if settles {
                        world.sim.run_until_idle();
                    }
                }
                None if settles => world.sim.advance(Duration::from_secs(seconds)),
                None => world.controls.hold(),
            }
            if seconds == 3 {
                world.controls.resume();
            }
        }
        world.controls.resume();
        world.sim.advance(Duration::from_mins(1));
        for (id, expected) in IDS.iter().zip(expected) {
            prop_assert_eq!(world.numbers(id), expected, "{}", id);
        }
    }
}

//! Do streams into actors and out of them keep to the pace of who is slower, and end when either side does?
//!
//! Here: streams that feed an actor. The modules look at how feeds end, and at the output of actors.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod feeds;
mod outputs;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use omnitron::prelude::*;
use omnitron::testkit::Sim;

/// Long enough, in virtual time, for everything these tests wait for.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// Seeds under which a race is run.
pub(crate) const SEEDS: std::ops::Range<u64> = 0..200;

/// A system in a simulation.
pub(crate) async fn system_in(sim: &Sim) -> ActorSystem {
    ActorSystem::builder("test").env(sim.env()).start().await.unwrap()
}

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Writes down what it is fed, slowly.
pub(crate) struct Eater {
    takes: Duration,
    diary: Diary,
}

pub(crate) enum Food {
    Item(u32),
    Bad(String),
    End,
    Fail,
    StopAt(u32),
}

impl Actor for Eater {
    type Msg = Food;

    async fn receive(&mut self, food: Food, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match food {
            Food::Item(number) => self.diary.note(number.to_string()),
            Food::Bad(error) => self.diary.note(error),
            Food::End => self.diary.note("end"),
            Food::Fail => return Err(Failure::msg("as told")),
            Food::StopAt(number) if number < 1_000 => {}
            Food::StopAt(_) => ctx.stop(),
        }
        // Tokio rounds a sleep of zero up to its next millisecond.
        if !self.takes.is_zero() {
            ctx.env().sleep(self.takes).await;
        }
        Ok(())
    }

    async fn pre_restart(&mut self, crash: &Crash, _: &mut Context<Self>) -> Result<(), Failure> {
        self.diary.note(format!("{} {}", crash.during(), crash.reason()));
        Ok(())
    }
}

pub(crate) fn eater(
    system: &ActorSystem,
    takes: Duration,
    mailbox: Mailbox<Food>,
) -> (ActorRef<Food>, Diary) {
    let diary = Diary::default();
    let shared = diary.clone();
    let spawn = Spawn::new(move || Eater { takes, diary: shared.clone() }).mailbox(mailbox);
    (system.spawn("eater", spawn).unwrap(), diary)
}

/// The numbers from 0 on, and how many were asked for.
pub(crate) fn numbers() -> (impl Stream<Item = u32> + Send + 'static, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let ask = move |_: &u32| {
        count.fetch_add(1, Ordering::SeqCst);
    };
    (stream::iter(0..).inspect(ask), asked)
}

#[test]
fn items_arrive_in_order_and_the_end_of_the_stream_is_told_last_and_once() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let (actor, diary) = eater(&system, Duration::ZERO, Mailbox::bounded(2));
            let env = sim.env();
            let slow = stream::iter(0..5).then(move |number| {
                let pause = env.sleep(Duration::from_millis(env.random_u64() % 3));
                async move {
                    pause.await;
                    number
                }
            });
            let feed = actor.feed(slow, Food::Item, || Food::End);
            assert!(!feed.is_ended());
            sim.env().sleep(SOON).await;
            assert_eq!(diary.read(), ["0", "1", "2", "3", "4", "end"], "seed {seed}");
            assert!(feed.is_ended());
        });
    }
}

#[test]
fn a_stream_is_asked_for_the_next_item_only_when_the_last_has_room() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let (actor, diary) = eater(&system, SOON, Mailbox::bounded(3));
            let (stream, asked) = numbers();
            let _feed = actor.feed(stream, Food::Item, || Food::End);
            for handled in 1..10 {
                sim.env().sleep(Duration::from_millis(500)).await;
                // The mailbox is full, and one item waits for room.
                let ahead = asked.load(Ordering::SeqCst) as usize - diary.read().len();
                assert_eq!((diary.read().len(), ahead), (handled, 3), "seed {seed}");
                sim.env().sleep(Duration::from_millis(500)).await;
            }
        });
    }
}

#[test]
fn items_of_two_streams_come_in_the_order_of_each() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let (actor, diary) = eater(&system, Duration::ZERO, Mailbox::bounded(1));
            actor.feed(stream::iter(0..20), Food::Item, || Food::End).keep();
            actor.feed(stream::iter(20..40), Food::Item, || Food::End).keep();
            sim.env().sleep(SOON).await;
            let read: Vec<u32> = diary.read().iter().filter_map(|note| note.parse().ok()).collect();
            let (low, high): (Vec<u32>, Vec<u32>) = read.into_iter().partition(|&number| number < 20);
            assert!(low.into_iter().eq(0..20) && high.into_iter().eq(20..40), "seed {seed}");
        });
    }
}

#[test]
fn an_error_item_is_an_item_and_the_stream_decides_what_follows() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let (actor, diary) = eater(&system, Duration::ZERO, Mailbox::default());
        let lines = stream::iter(["1", "two", "3"]).map(str::parse::<u32>);
        let food = |item: Result<u32, std::num::ParseIntError>| match item {
            Ok(number) => Food::Item(number),
            Err(error) => Food::Bad(error.to_string()),
        };
        actor.feed(lines, food, || Food::End).keep();
        sim.env().sleep(SOON).await;
        assert_eq!(diary.read(), ["1", "invalid digit found in string", "3", "end"]);
    });
}

#[test]
fn a_stream_that_ends_at_once_is_told_as_its_end_and_nothing_else() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let (actor, diary) = eater(&system, Duration::ZERO, Mailbox::default());
        let feed = actor.feed(stream::empty(), Food::Item, || Food::End);
        sim.env().sleep(SOON).await;
        assert_eq!((diary.read(), feed.is_ended()), (vec!["end".to_owned()], true));
    });
}

#[test]
fn a_stream_and_a_mailbox_that_are_always_ready_leave_others_their_turn() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let (actor, _) = eater(&system, Duration::ZERO, Mailbox::bounded(8).on_full(Overflow::DropNewest));
        let (stream, _) = numbers();
        let feed = actor.feed(stream, Food::StopAt, || Food::End);
        actor.stopped().await;
        sim.env().sleep(SOON).await;
        assert!(feed.is_ended());
    });
}

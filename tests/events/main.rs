//! Does each event reach everybody who subscribed to it, and what becomes of those who are slow, gone or broken?
//!
//! Here: who hears of what, and in which order. The modules look at subscribers that are slow, at the ends of
//! subscriptions, at bad input, and at groups. What runs in a simulation runs under many seeds.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod bad_input;
mod ends;
mod groups;
mod slow;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use omnitron::prelude::*;
use omnitron::testkit::{Probe, Sim};

/// Long enough, in virtual time, for everything these tests wait for.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// Seeds under which a race is run.
pub(crate) const SEEDS: std::ops::Range<u64> = 0..200;

/// Number of the publisher, number of the event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Tick(pub(crate) u32, pub(crate) u32);

/// A system in a simulation.
pub(crate) async fn system_in(sim: &Sim) -> ActorSystem {
    ActorSystem::builder("test").env(sim.env()).start().await.unwrap()
}

/// All that waits in a stream.
pub(crate) fn waiting(stream: &mut Events<Tick>) -> Vec<u32> {
    std::iter::from_fn(|| stream.try_recv()).map(|Tick(_, number)| number).collect()
}

/// All that a probe was sent.
pub(crate) fn sent<M: Send + 'static>(probe: &mut Probe<M>) -> Vec<M> {
    std::iter::from_fn(|| probe.try_next()).collect()
}

/// Takes this long for each message, and writes it down.
pub(crate) struct Slow {
    pub(crate) takes: Duration,
    pub(crate) diary: Arc<Mutex<Vec<Tick>>>,
}

impl Actor for Slow {
    type Msg = Tick;

    async fn receive(&mut self, tick: Tick, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.diary.lock().unwrap().push(tick);
        // Tokio rounds a sleep of zero up to its next millisecond.
        if !self.takes.is_zero() {
            ctx.env().sleep(self.takes).await;
        }
        Ok(())
    }
}

/// A slow actor, and what it has begun to handle.
pub(crate) fn slow(
    system: &ActorSystem,
    takes: Duration,
    mailbox: Mailbox<Tick>,
) -> (ActorRef<Tick>, Arc<Mutex<Vec<Tick>>>) {
    let diary = Arc::new(Mutex::new(Vec::new()));
    let shared = diary.clone();
    let spawn = Spawn::new(move || Slow { takes, diary: shared.clone() }).mailbox(mailbox);
    (system.spawn("slow", spawn).unwrap(), diary)
}

#[test]
fn every_subscriber_gets_every_event_once_and_in_the_order_of_its_publisher() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let bus = system.events();
            let mut first = Probe::new(&system, "first").unwrap();
            let mut second = Probe::new(&system, "second").unwrap();
            bus.subscribe(first.actor()).keep();
            bus.subscribe_with(second.actor(), |Tick(publisher, number)| (publisher, number)).keep();
            let mut roomy = bus.stream(100, WhenFull::DropNewest);
            let mut narrow = bus.stream::<Tick>(1, WhenFull::End);
            let publishers = (0..3).map(|publisher| {
                let (bus, env) = (bus.clone(), sim.env());
                async move {
                    for number in 0..10 {
                        env.sleep(Duration::from_millis(env.random_u64() % 3)).await;
                        let taken = bus.publish_waiting(Tick(publisher, number)).await.unwrap();
                        assert_eq!(taken, 4, "seed {seed}");
                    }
                }
            });
            let reader = async {
                let mut read = Vec::new();
                while read.len() < 30 {
                    read.push(narrow.recv().await.unwrap());
                    sim.env().sleep(Duration::from_millis(sim.env().random_u64() % 3)).await;
                }
                read
            };
            let (read, _) = futures_util::future::join(reader, join_all(publishers)).await;
            sim.env().sleep(SOON).await;
            let seconds: Vec<Tick> = sent(&mut second).into_iter().map(|(a, b)| Tick(a, b)).collect();
            let waited: Vec<Tick> = std::iter::from_fn(|| roomy.try_recv()).collect();
            for all in [read, sent(&mut first), seconds, waited] {
                assert_eq!(all.len(), 30, "seed {seed}");
                for publisher in 0..3 {
                    let numbers = all.iter().filter(|tick| tick.0 == publisher).map(|tick| tick.1);
                    assert!(numbers.eq(0..10), "seed {seed}, publisher {publisher}: {all:?}");
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_threads_nobody_misses_what_is_published_waiting_and_each_order_is_kept() {
    const EVENTS: u32 = 2_000;
    let system = ActorSystem::start("threads").await.unwrap();
    let bus = system.events();
    let mut stream = bus.stream::<Tick>(3, WhenFull::DropOldest);
    let (actor, diary) = slow(&system, Duration::ZERO, Mailbox::bounded(2));
    bus.subscribe(&actor).keep();
    for publisher in 0..2 {
        let bus = bus.clone();
        system.env().spawn(|| "publisher".to_owned(), async move {
            for number in 0..EVENTS {
                assert_eq!(bus.publish_waiting(Tick(publisher, number)).await.unwrap(), 2);
            }
        });
    }
    let mut read = Vec::new();
    for _ in 0..EVENTS * 2 {
        read.push(stream.recv().await.unwrap());
    }
    // Both hand-outs of the last event may not be over yet.
    while diary.lock().unwrap().len() < read.len() {
        tokio::task::yield_now().await;
    }
    for all in [read, diary.lock().unwrap().clone()] {
        for publisher in 0..2 {
            assert!(all.iter().filter(|tick| tick.0 == publisher).map(|tick| tick.1).eq(0..EVENTS));
        }
    }
    assert_eq!(stream.missed(), 0);
    system.shutdown().await;
}

#[test]
fn events_go_by_their_type_and_one_nobody_wants_is_no_error() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let bus = system.events();
        let mut ticks = bus.stream::<Tick>(10, WhenFull::DropNewest);
        let mut shared = bus.stream::<Arc<Tick>>(10, WhenFull::DropNewest);
        assert_eq!(bus.publish("nobody").unwrap(), 0);
        assert_eq!(bus.publish(Tick(0, 1)).unwrap(), 1);
        assert_eq!(bus.publish(Arc::new(Tick(0, 2))).unwrap(), 1);
        assert_eq!(waiting(&mut ticks), [1]);
        assert_eq!(shared.recv().await.map(|tick| tick.1), Some(2));
        assert_eq!((bus.subscribers::<Tick>(), bus.subscribers::<u8>()), (1, 0));
        assert_eq!(system.dead_letters().total(), 0);
    });
}

#[test]
fn a_second_subscription_gets_each_event_again() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let mut probe = Probe::<Tick>::new(&system, "probe").unwrap();
        let first = system.events().subscribe(probe.actor());
        let second = system.events().subscribe(probe.actor());
        assert_eq!(system.events().publish(Tick(0, 1)).unwrap(), 2);
        drop(first);
        assert_eq!(system.events().publish(Tick(0, 2)).unwrap(), 1);
        sim.env().sleep(SOON).await;
        assert_eq!(sent(&mut probe), [Tick(0, 1), Tick(0, 1), Tick(0, 2)]);
        assert!(second.is_active());
    });
}

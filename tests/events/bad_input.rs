//! What does a subscriber that is broken do to others?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use omnitron::prelude::*;
use omnitron::testkit::{Probe, Sim};

use crate::{SOON, Tick, sent, system_in, waiting};

/// Hears of ticks, and tells of its crashes.
struct Careful {
    crashes: ActorRef<(During, String)>,
}

impl Actor for Careful {
    type Msg = Tick;

    async fn receive(&mut self, _: Tick, _: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }

    async fn pre_restart(&mut self, crash: &Crash, _: &mut Context<Self>) -> Result<(), Failure> {
        let _ = self.crashes.tell((crash.during(), crash.reason().to_owned()));
        Ok(())
    }
}

#[test]
fn a_function_that_panics_is_a_failure_of_its_subscriber_and_of_nobody_else() {
    for waits in [false, true] {
        let sim = Sim::new(1);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let bus = system.events();
            let mut crashes = Probe::new(&system, "crashes").unwrap();
            let told = crashes.actor().clone();
            let careful = system.spawn("careful", move || Careful { crashes: told.clone() }).unwrap();
            let subscription = bus.subscribe_with(&careful, |tick: Tick| {
                assert!(tick.1 != 1, "not this one");
                tick
            });
            let mut other = bus.stream(5, WhenFull::DropNewest);
            for (number, taken) in [(0, 2), (1, 1), (2, 2)] {
                let tick = Tick(0, number);
                let published = if waits { bus.publish_waiting(tick).await } else { bus.publish(tick) };
                assert_eq!(published.unwrap(), taken);
            }
            sim.env().sleep(SOON).await;
            assert_eq!(sent(&mut crashes), [(During::Fed, "panicked: not this one".to_owned())]);
            assert_eq!((subscription.missed(), waiting(&mut other)), (1, vec![0, 1, 2]));
            assert!(subscription.is_active(), "a failure ends no subscription");
        });
    }
}

#[test]
fn a_ranking_that_panics_is_a_failure_of_the_subscriber_and_not_of_the_publisher() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let mut crashes = Probe::new(&system, "crashes").unwrap();
        let told = crashes.actor().clone();
        let mailbox = Mailbox::priority(|_: &Tick| panic!("no rank"));
        let spawn = Spawn::new(move || Careful { crashes: told.clone() }).mailbox(mailbox);
        let careful = system.spawn("careful", spawn).unwrap();
        system.events().subscribe(&careful).keep();
        assert_eq!(system.events().publish(Tick(0, 0)).unwrap(), 0);
        sim.env().sleep(SOON).await;
        assert_eq!(sent(&mut crashes), [(During::Fed, "panicked: no rank".to_owned())]);
    });
}

#[test]
fn a_function_may_publish_subscribe_and_unsubscribe_and_so_may_its_drop() {
    /// Publishes when it is dropped.
    struct Last(EventBus);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.publish("dropped").unwrap();
        }
    }
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let bus = system.events();
        let probe = Probe::new(&system, "probe").unwrap();
        let mut texts = bus.stream::<&str>(5, WhenFull::DropNewest);
        let (inner, actor, last) = (bus.clone(), probe.actor().clone(), Last(bus.clone()));
        let subscription = bus.subscribe_with(probe.actor(), move |tick: Tick| {
            inner.subscribe::<Tick>(&actor).unsubscribe();
            inner.publish("nested").unwrap();
            let _still_here = &last;
            tick
        });
        bus.publish(Tick(0, 0)).unwrap();
        drop(subscription);
        assert_eq!((texts.recv().await, texts.recv().await), (Some("nested"), Some("dropped")));
    });
}

/// Counts how often it is dropped, and panics at that.
#[derive(Clone)]
struct Bomb(Arc<AtomicU64>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("on drop");
    }
}

#[test]
fn events_that_panic_on_drop_harm_no_publisher() {
    for when_full in [WhenFull::DropNewest, WhenFull::DropOldest, WhenFull::End] {
        let sim = Sim::new(1);
        let drops = Arc::new(AtomicU64::new(0));
        sim.block_on(async {
            let system = system_in(&sim).await;
            let stream = system.events().stream::<Bomb>(2, when_full);
            for _ in 0..3 {
                system.events().publish(Bomb(drops.clone())).unwrap();
            }
            assert_eq!(drops.load(Ordering::SeqCst), 1, "{when_full:?}");
            drop(stream);
            assert_eq!(drops.load(Ordering::SeqCst), 3, "{when_full:?}");
            assert_eq!(system.events().subscribers::<Bomb>(), 0);
        });
    }
}

#[test]
fn functions_that_panic_on_drop_harm_neither_publishers_nor_the_end_of_the_system() {
    let sim = Sim::new(1);
    let drops = Arc::new(AtomicU64::new(0));
    sim.block_on(async {
        let system = system_in(&sim).await;
        let probe = Probe::new(&system, "probe").unwrap();
        let subscribe = || {
            let bomb = Bomb(drops.clone());
            system.events().subscribe_with(probe.actor(), move |tick: Tick| {
                let _still_here = &bomb;
                tick
            })
        };
        drop(subscribe());
        subscribe().keep();
        subscribe().keep();
        assert_eq!(system.events().publish(Tick(0, 0)).unwrap(), 2);
        system.shutdown().await;
        assert_eq!(drops.load(Ordering::SeqCst), 3);
    });
}

//! When does a subscription end, and does it leave anything behind?

use std::time::Duration;

use futures_util::future::{join, join3};
use omnitron::EventsEnd;
use omnitron::prelude::*;
use omnitron::testkit::{Probe, Sim};

use crate::{SEEDS, SOON, Tick, sent, system_in, waiting};

#[test]
fn a_subscription_ends_when_it_is_dropped_and_a_kept_one_when_its_actor_ends() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let bus = system.events();
        let mut probe = Probe::<Tick>::new(&system, "probe").unwrap();
        let subscription = bus.subscribe(probe.actor());
        bus.publish(Tick(0, 1)).unwrap();
        subscription.unsubscribe();
        assert_eq!((bus.publish(Tick(0, 2)).unwrap(), bus.subscribers::<Tick>()), (0, 0));
        bus.subscribe(probe.actor()).keep();
        assert_eq!(bus.publish(Tick(0, 3)).unwrap(), 1);
        sim.env().sleep(SOON).await;
        assert_eq!(sent(&mut probe), [Tick(0, 1), Tick(0, 3)], "what was in the mailbox stays there");
        let seen = bus.subscribe(probe.actor());
        assert!(seen.is_active());
        probe.actor().stop().await;
        assert!(!seen.is_active());
        assert_eq!((bus.publish(Tick(0, 4)).unwrap(), bus.subscribers::<Tick>()), (0, 0));
        assert_eq!(system.dead_letters().total(), 0);
    });
}

#[test]
fn a_stream_that_is_dropped_is_no_subscriber_and_holds_up_nobody_who_waits_for_it() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let bus = system.events();
            let stream = bus.stream::<Tick>(1, WhenFull::DropNewest);
            bus.publish(Tick(0, 0)).unwrap();
            let wait = async |number| bus.publish_waiting(Tick(0, number)).await.unwrap();
            let leave = async {
                sim.env().sleep(Duration::from_millis(sim.env().random_u64() % 3)).await;
                drop(stream);
            };
            assert_eq!(join3(wait(1), wait(2), leave).await, (0, 0, ()), "seed {seed}");
            assert_eq!(bus.subscribers::<Tick>(), 0);
        });
    }
}

#[test]
fn whenever_an_actor_ends_while_others_subscribe_it_nothing_is_left() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let bus = system.events();
            let probe = Probe::<Tick>::new(&system, "probe").unwrap();
            for _ in 0..3 {
                let (bus, actor) = (bus.clone(), probe.actor().clone());
                system.env().spawn(|| "subscriber".to_owned(), async move { bus.subscribe(&actor).keep() });
                let bus = system.events();
                system.env().spawn(|| "publisher".to_owned(), async move {
                    bus.publish(Tick(0, 0)).unwrap();
                });
            }
            probe.actor().stop().await;
            sim.env().sleep(SOON).await;
            assert_eq!(bus.subscribers::<Tick>(), 0, "seed {seed}");
            let late = bus.subscribe(probe.actor());
            assert!(!late.is_active());
            assert_eq!(bus.subscribers::<Tick>(), 0, "seed {seed}");
        });
    }
}

/// Subscribes itself when it starts, and fails when told.
struct Listener {
    subscription: Option<Subscription>,
    heard: Vec<u32>,
}

enum Listen {
    Tick(u32),
    Fail,
    Heard(ReplyTo<Vec<u32>>),
}

impl Listener {
    fn subscribe(&mut self, ctx: &Context<Self>) {
        let events = ctx.system().events();
        self.subscription = Some(events.subscribe_with(ctx.myself(), |tick: Tick| Listen::Tick(tick.1)));
    }
}

impl Actor for Listener {
    type Msg = Listen;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.subscribe(ctx);
        Ok(())
    }

    async fn receive(&mut self, message: Listen, _: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            Listen::Tick(number) => self.heard.push(number),
            Listen::Fail => return Err(Failure::msg("as told")),
            Listen::Heard(reply) => reply.send(self.heard.clone()),
        }
        Ok(())
    }
}

#[test]
fn an_actor_that_keeps_its_subscription_in_its_state_has_one_after_every_restart() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let bus = system.events();
        let factory = || Listener { subscription: None, heard: Vec::new() };
        let listener = system.spawn("listener", factory).unwrap();
        for number in 0..3 {
            sim.env().sleep(SOON * 60).await;
            assert_eq!(bus.publish(Tick(0, number)).unwrap(), 1);
            assert_eq!(listener.ask(Listen::Heard).await.unwrap(), [number]);
            listener.tell(Listen::Fail).unwrap();
        }
        sim.env().sleep(SOON * 60).await;
        listener.stop().await;
        assert_eq!(bus.subscribers::<Tick>(), 0);
    });
}

#[test]
fn a_stopped_system_gives_events_back_and_ends_streams_after_what_waits() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let bus = system.events();
        let mut stream = bus.stream::<Tick>(5, WhenFull::DropNewest);
        let mut idle = bus.stream::<u8>(5, WhenFull::DropNewest);
        bus.publish(Tick(0, 0)).unwrap();
        let (end, _) = join(idle.recv(), system.shutdown()).await;
        assert_eq!((end, idle.ended()), (None, Some(EventsEnd::SystemStopped)));
        assert_eq!((stream.recv().await, stream.recv().await), (Some(Tick(0, 0)), None));
        let Undelivered { message, reason } = bus.publish(Tick(0, 1)).unwrap_err();
        assert_eq!((message, reason), (Tick(0, 1), Refusal::SystemStopped));
        let waited = bus.publish_waiting(Tick(0, 2)).await.unwrap_err();
        assert_eq!(waited.reason, Refusal::SystemStopped);
        let mut late = bus.stream::<Tick>(1, WhenFull::DropNewest);
        assert_eq!((late.recv().await, late.ended()), (None, Some(EventsEnd::SystemStopped)));
        assert_eq!(bus.subscribers::<Tick>(), 0);
    });
}

/// Publishes while the system drains.
struct Late;

impl Actor for Late {
    type Msg = ();

    async fn receive(&mut self, (): (), ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.env().sleep(SOON).await;
        ctx.system().events().publish(Tick(0, 7))?;
        Ok(())
    }
}

#[test]
fn while_a_system_shuts_down_events_of_actors_arrive_and_those_from_outside_are_given_back() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let bus = system.events();
        let mut stream = bus.stream::<Tick>(5, WhenFull::DropNewest);
        let mut probe = Probe::<Tick>::new(&system, "probe").unwrap();
        bus.subscribe(probe.actor()).keep();
        let late = system.spawn("late", || Late).unwrap();
        late.tell(()).unwrap();
        system.begin_shutdown();
        let refused = bus.publish(Tick(0, 1)).unwrap_err();
        assert_eq!(refused.reason, Refusal::ShuttingDown);
        system.terminated().await;
        assert_eq!((waiting(&mut stream), sent(&mut probe)), (vec![7], vec![Tick(0, 7)]));
    });
}

#[test]
fn who_waits_for_a_stream_is_released_when_the_system_stops() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let bus = system.events();
        let _never_read = bus.stream::<Tick>(1, WhenFull::DropNewest);
        bus.publish(Tick(0, 0)).unwrap();
        let (taken, _) = join(bus.publish_waiting(Tick(0, 1)), system.shutdown()).await;
        assert_eq!(taken.unwrap(), 0);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_threads_subscribers_that_come_and_go_while_others_publish_leave_nothing_behind() {
    let system = ActorSystem::start("threads").await.unwrap();
    let bus = system.events();
    let groups = Groups::new(system.env());
    let (over, mut done) = tokio::sync::mpsc::channel::<()>(1);
    for publisher in 0..2 {
        let (bus, groups, over) = (bus.clone(), groups.clone(), over.clone());
        system.env().spawn(|| "publisher".to_owned(), async move {
            for number in 0..2_000 {
                bus.publish(Tick(publisher, number)).unwrap();
                bus.publish_waiting(Tick(publisher, number)).await.unwrap();
                let _who_has_ended_meanwhile = groups.tell_all(&0, Tick(publisher, number));
                tokio::task::yield_now().await;
            }
            drop(over);
        });
    }
    drop(over);
    for round in 0..200 {
        let probe = Probe::<Tick>::new(&system, "probe").unwrap();
        bus.subscribe(probe.actor()).keep();
        groups.join(&0, probe.actor());
        let mut stream = bus.stream::<Tick>(1, WhenFull::DropOldest);
        let mut ends = bus.stream::<Tick>(1, WhenFull::End);
        if round % 2 == 0 {
            stream.try_recv();
            ends.try_recv();
        }
        let subscription = bus.subscribe(probe.actor());
        probe.actor().stop().await;
        assert!(
            !subscription.is_active() && groups.is_empty(),
            "who learns of the end finds that it has left"
        );
    }
    assert_eq!(done.recv().await, None);
    assert_eq!(bus.subscribers::<Tick>(), 0);
    system.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_threads_who_subscribes_to_an_actor_that_just_ends_leaves_nothing_behind() {
    let system = ActorSystem::start("threads").await.unwrap();
    let bus = system.events();
    let groups = Groups::new(system.env());
    for _ in 0..1_000 {
        let probe = Probe::<Tick>::new(&system, "probe").unwrap();
        let (done, over) = tokio::sync::oneshot::channel();
        let (events, group, actor) = (bus.clone(), groups.clone(), probe.actor().clone());
        system.env().spawn(|| "subscriber".to_owned(), async move {
            events.subscribe(&actor).keep();
            group.join(&0, &actor);
            let _ = done.send(());
        });
        probe.actor().stop().await;
        over.await.unwrap();
        assert_eq!((bus.subscribers::<Tick>(), groups.len()), (0, 0));
    }
    system.shutdown().await;
}

//! How does a system go down: in which order, and what becomes of work that is under way?
//!
//! Here: draining, refusals, the order of the tree, and who may ask for it. The modules look at the budget, at
//! extensions, and at signals of the operating system.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod budget;
mod extensions;
#[cfg(unix)]
mod signals;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
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

/// Does one thing per message, and notes its end.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) diary: Diary,
}

pub(crate) enum Job {
    Note(&'static str),
    /// Await so long.
    Busy(Duration),
    /// Await for ever.
    Hang,
    /// Pass the number, less one, to the other; end with zero.
    Pass(u32, ActorRef<Job>),
    /// Spawn a child of this name, which is told to note its own.
    Child(&'static str),
    BeginShutdown,
    AwaitShutdown,
    Panic,
    Reply(ReplyTo<()>),
}

impl Actor for Worker {
    type Msg = Job;

    async fn receive(&mut self, job: Job, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match job {
            Job::Note(what) => self.diary.note(what),
            Job::Busy(time) => ctx.env().sleep(time).await,
            Job::Hang => std::future::pending().await,
            Job::Pass(0, _) => self.diary.note("arrived"),
            Job::Pass(left, other) => {
                // Time passes on the way: a drain that only looked at mailboxes once would miss it.
                ctx.env().sleep(ms(7)).await;
                let myself = ctx.myself().clone();
                other.tell(Job::Pass(left - 1, myself))?;
            }
            Job::Child(name) => {
                let worker = self.clone();
                match ctx.spawn(name, move || worker.clone()) {
                    Ok(child) => child.tell(Job::Note(name))?,
                    Err(error) => self.diary.note(error.to_string()),
                }
            }
            Job::BeginShutdown => ctx.system().begin_shutdown(),
            Job::AwaitShutdown => {
                ctx.system().shutdown().await;
                self.diary.note("a handler outlived the system");
            }
            Job::Panic => panic!("as told"),
            Job::Reply(reply) => reply.send(()),
        }
        Ok(())
    }

    async fn stopped(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.diary.note(format!("{} stopped", ctx.path()));
        let worker = self.clone();
        assert!(matches!(ctx.spawn("late", move || worker.clone()), Err(SpawnError::ParentStopped { .. })));
        let worker = self.clone();
        let late = ctx.system().spawn("late", move || worker.clone());
        if !matches!(late, Err(SpawnError::ShuttingDown { .. })) {
            self.diary.note("spawned while the actors stop");
        }
        Ok(())
    }
}

pub(crate) fn worker(diary: &Diary) -> Spawn<Worker> {
    let worker = Worker { diary: diary.clone() };
    Spawn::new(move || worker.clone())
}

pub(crate) async fn system_in(sim: &Sim) -> ActorSystem {
    ActorSystem::builder("test").env(sim.env()).start().await.unwrap()
}

pub(crate) fn unfinished(report: &ShutdownReport) -> Vec<String> {
    report.unfinished.iter().map(ToString::to_string).collect()
}

#[test]
fn a_drain_handles_what_is_queued_and_what_actors_still_send_each_other() {
    for seed in 0..50 {
        let sim = Sim::new(seed);
        let diary = Diary::default();
        sim.block_on(async {
            let system = system_in(&sim).await;
            let one = system.spawn("one", worker(&diary)).unwrap();
            let two = system.spawn("two", worker(&diary)).unwrap();
            for _ in 0..10 {
                one.tell(Job::Note("queued")).unwrap();
            }
            one.tell(Job::Pass(100, two.clone())).unwrap();
            let report = system.shutdown().await;
            assert_eq!(unfinished(&report), [""; 0], "seed {seed}");
            assert!(report.cause.is_none());
            assert_eq!((system.dead_letters().total(), system.stats().messages), (0, 111), "seed {seed}");
        });
        let diary = diary.read();
        assert_eq!(diary.iter().filter(|line| *line == "queued").count(), 10);
        assert_eq!(diary.iter().filter(|line| *line == "arrived").count(), 1, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_drain_on_real_threads_handles_what_actors_still_send_each_other() {
    struct Relay(Option<ActorRef<Ball>>);
    enum Ball {
        To(ActorRef<Ball>),
        Fly(u32),
    }
    impl Actor for Relay {
        type Msg = Ball;
        async fn receive(&mut self, ball: Ball, _: &mut Context<Self>) -> Result<(), Failure> {
            match (ball, &self.0) {
                (Ball::To(other), _) => self.0 = Some(other),
                (Ball::Fly(left), Some(other)) if left > 0 => other.tell(Ball::Fly(left - 1))?,
                (Ball::Fly(_), _) => {}
            }
            Ok(())
        }
    }
    for _ in 0..20 {
        let system = ActorSystem::start("relay").await.unwrap();
        let relays: Vec<_> =
            (0..8).map(|number| system.spawn(&format!("relay{number}"), || Relay(None)).unwrap()).collect();
        for (number, relay) in relays.iter().enumerate() {
            relay.tell(Ball::To(relays[(number + 1) % relays.len()].clone())).unwrap();
        }
        for relay in &relays {
            relay.tell(Ball::Fly(2_000)).unwrap();
        }
        let report = system.shutdown().await;
        assert_eq!(unfinished(&report), [""; 0]);
        assert_eq!((system.dead_letters().total(), system.stats().failures), (0, 0));
        assert_eq!(system.stats().messages, 8 + 8 * 2_001);
    }
}

#[test]
fn outside_senders_are_refused_while_the_system_drains_and_after_it() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let actor = system.spawn("worker", worker(&diary)).unwrap();
        actor.tell(Job::Busy(ms(100))).unwrap();
        system.begin_shutdown();
        let every_way = async |expected: Refusal| {
            assert_eq!(actor.tell(Job::Note("late")).unwrap_err().reason, expected);
            assert_eq!(actor.send(Job::Note("late")).await.unwrap_err().reason, expected);
            let asked = actor.ask(Job::Reply).await;
            assert!(matches!(asked, Err(AskError::Refused(reason)) if reason == expected), "{asked:?}");
            let spawned = system.spawn("late", worker(&diary));
            assert!(matches!(spawned, Err(SpawnError::ShuttingDown { .. })), "{spawned:?}");
        };
        every_way(Refusal::ShuttingDown).await;
        sim.env().sleep(ms(50)).await;
        every_way(Refusal::ShuttingDown).await;
        system.terminated().await;
        every_way(Refusal::SystemStopped).await;
        assert!(actor.is_stopped() && system.lookup::<Job>("/user/worker").is_err());
        actor.stop().await;
        assert_eq!(system.stats().actors, 0);
    });
    assert_eq!(diary.read(), ["/user/worker stopped"]);
}

#[test]
fn a_sender_that_waits_for_room_when_the_shutdown_begins_is_served() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let actor = system.spawn("worker", worker(&diary).mailbox(Mailbox::bounded(1))).unwrap();
        actor.tell(Job::Busy(ms(100))).unwrap();
        let sender = actor.clone();
        let notes = diary.clone();
        sim.env().spawn(|| "sender".into(), async move {
            notes.note(format!("sent: {:?}", sender.send(Job::Note("waited")).await.is_ok()));
        });
        sim.env().sleep(ms(1)).await;
        system.shutdown().await;
    });
    let mut diary = diary.read();
    diary.sort();
    assert_eq!(diary, ["/user/worker stopped", "sent: true", "waited"]);
}

#[test]
fn children_stop_before_their_parents_and_those_spawned_while_draining_with_them() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let parent = system.spawn("parent", worker(&diary)).unwrap();
        parent.tell(Job::Child("first")).unwrap();
        parent.ask(Job::Reply).await.unwrap();
        parent.tell(Job::Busy(ms(50))).unwrap();
        parent.tell(Job::Child("second")).unwrap();
        let report = system.shutdown().await;
        assert_eq!(unfinished(&report), [""; 0]);
    });
    let diary = diary.read();
    assert_eq!(diary[..2], ["first", "second"], "the second was spawned by an actor, while draining");
    let mut children = diary[2..4].to_vec();
    children.sort();
    assert_eq!(children, ["/user/parent/first stopped", "/user/parent/second stopped"]);
    assert_eq!(diary[4..], ["/user/parent stopped"]);
}

#[test]
fn a_shutdown_happens_once_however_often_it_is_asked_for() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        system.spawn("worker", worker(&diary)).unwrap().tell(Job::Busy(ms(42))).unwrap();
        let (one, two, three) = tokio::join!(system.shutdown(), system.shutdown(), system.terminated());
        let four = system.shutdown().await;
        assert!(one.took >= ms(42));
        assert_eq!([two.took, three.took, four.took], [one.took; 3], "everybody gets the same report");
        // What a wait that is dropped began goes on.
    });
    assert_eq!(diary.read(), ["/user/worker stopped"]);

    let diary = Diary::default();
    let sim = Sim::new(2);
    sim.block_on(async {
        let system = system_in(&sim).await;
        system.spawn("worker", worker(&diary)).unwrap().tell(Job::Busy(ms(42))).unwrap();
        let dropped = tokio::select! { biased;
            _ = system.shutdown() => false,
            () = sim.env().sleep(ms(1)) => true,
        };
        assert!(dropped);
        sim.env().sleep(ms(1_000)).await;
        assert_eq!(
            diary.read(),
            ["/user/worker stopped"],
            "a wait that is dropped does not end what it began"
        );
    });
}

#[test]
fn an_actor_can_begin_the_shutdown_of_its_own_system() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let actor = system.spawn("worker", worker(&diary)).unwrap();
        actor.tell(Job::BeginShutdown).unwrap();
        actor.tell(Job::Note("queued")).unwrap();
        let report = system.terminated().await;
        assert_eq!(unfinished(&report), [""; 0]);
    });
    assert_eq!(diary.read(), ["queued", "/user/worker stopped"]);
}

#[test]
fn a_handler_that_awaits_the_shutdown_of_its_own_system_is_cancelled_and_named() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        system.spawn("worker", worker(&diary)).unwrap().tell(Job::AwaitShutdown).unwrap();
        let report = system.terminated().await;
        assert_eq!(unfinished(&report), ["/user/worker"]);
        assert!(report.took <= Duration::from_secs(10), "{:?}", report.took);
    });
    assert_eq!(diary.read(), ["/user/worker stopped"]);
}

#[test]
fn a_timer_does_not_hold_up_the_drain() {
    struct Ticker;
    impl Actor for Ticker {
        type Msg = ();
        async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.timers().every("tick", ms(20), || ());
            Ok(())
        }
        async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
            Ok(())
        }
    }
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        system.spawn("ticker", || Ticker).unwrap();
        sim.env().sleep(ms(100)).await;
        let report = system.shutdown().await;
        assert!(report.took < ms(100), "{:?}", report.took);
    });
}

#[test]
fn a_shutdown_ends_back_off_and_endless_restarts() {
    let hour = Duration::from_hours(1);
    let slow = Supervision::restart().unlimited().backoff(Backoff::exponential(hour, hour));
    for (supervision, name) in [(slow, "back-off"), (Supervision::restart().unlimited(), "restarts at once")]
    {
        let sim = Sim::new(1);
        let diary = Diary::default();
        sim.block_on(async {
            let system = system_in(&sim).await;
            let actor = system.spawn("worker", worker(&diary).supervision(supervision)).unwrap();
            for _ in 0..200 {
                actor.tell(Job::Panic).unwrap();
            }
            let report = system.shutdown().await;
            assert_eq!(unfinished(&report), [""; 0], "{name}");
            assert!(report.took < Duration::from_secs(10), "{name}: {:?}", report.took);
            let failures = system.stats().failures;
            assert_eq!(failures + system.dead_letters().count(Reason::Stopped), 200, "{name}");
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_real_threads_every_message_and_spawn_that_races_with_the_shutdown_is_settled() {
    struct Sink;
    impl Actor for Sink {
        type Msg = ();
        async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
            Ok(())
        }
    }
    for round in 0..50 {
        let system = ActorSystem::start("races").await.unwrap();
        let sink = system.spawn("sink", Spawn::new(|| Sink).mailbox(Mailbox::unbounded())).unwrap();
        let (counts, mut told) = tokio::sync::mpsc::unbounded_channel::<u64>();
        for sender in 0..3 {
            let (system, sink, counts) = (system.clone(), sink.clone(), counts.clone());
            let env = system.env().clone();
            let race = async move {
                let mut accepted = 0;
                while sink.tell(()).is_ok() {
                    accepted += 1;
                    let spawned = system.spawn(&format!("s{sender}-{accepted}"), || Sink);
                    if spawned.is_err() || accepted % 64 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                counts.send(accepted).unwrap();
            };
            env.spawn(|| "sender".into(), race);
        }
        drop(counts);
        let report = system.shutdown().await;
        assert_eq!(unfinished(&report), [""; 0], "round {round}");
        let mut accepted = 0;
        while let Some(count) = told.recv().await {
            accepted += count;
        }
        let stats = system.stats();
        assert_eq!(stats.messages + stats.dead_letters, accepted, "round {round}");
        assert_eq!(stats.actors, 0, "round {round}");
    }
}

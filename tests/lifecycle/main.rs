//! How does an actor live, from its first hook to its last dead letter?
//!
//! Here: the order of the hooks, one message at a time, and the order of messages per sender. The modules look at
//! the watch over others, at names, at dead letters, at the stash and at piped futures. What runs in a simulation
//! runs under many seeds; what only real threads can break runs on tokio.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod dead_letters;
mod names;
mod pipe;
mod stash;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

/// Long enough, in virtual time, for everything these tests wait for.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// Seeds under which a race is run.
pub(crate) const SEEDS: std::ops::Range<u64> = 0..300;

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

/// Writes down each of its hooks.
struct Diarist {
    name: &'static str,
    diary: Diary,
    child: Option<&'static str>,
}

enum Do {
    Note(&'static str),
    Fail,
    Panic,
    StopSelf,
}

impl Diarist {
    fn note(&self, what: &str) {
        self.diary.note(format!("{}: {what}", self.name));
    }
}

impl Actor for Diarist {
    type Msg = Do;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.note("started");
        if let Some(name) = self.child.take() {
            let diary = self.diary.clone();
            ctx.spawn(name, move || Diarist { name, diary: diary.clone(), child: None })?;
        }
        Ok(())
    }

    async fn receive(&mut self, message: Do, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            Do::Note(what) => self.note(what),
            Do::Fail => return Err(Failure::msg("as told")),
            Do::Panic => panic!("as told"),
            Do::StopSelf => ctx.stop(),
        }
        Ok(())
    }

    async fn pre_restart(&mut self, crash: &Crash, _: &mut Context<Self>) -> Result<(), Failure> {
        self.note(&format!("pre_restart after {}", crash.reason()));
        Ok(())
    }

    async fn post_restart(&mut self, crash: &Crash, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.note(&format!("post_restart after failure {}", crash.attempt()));
        assert_eq!(ctx.restarts(), crash.attempt());
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>) -> Result<(), Failure> {
        self.note("stopped");
        Ok(())
    }
}

impl Drop for Diarist {
    fn drop(&mut self) {
        self.note("dropped");
    }
}

fn diarist(diary: &Diary, child: Option<&'static str>) -> impl FnMut() -> Diarist + Send + 'static {
    let diary = diary.clone();
    move || {
        diary.note("a: made");
        Diarist { name: "a", diary: diary.clone(), child }
    }
}

#[test]
fn hooks_run_in_their_order_and_the_factory_once_per_incarnation() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let actor = system.spawn("a", diarist(&diary, None)).unwrap();
        for message in [Do::Note("one"), Do::Fail, Do::Note("two"), Do::Panic, Do::Note("three")] {
            actor.tell(message).unwrap();
        }
        actor.drain().await;
    });
    assert_eq!(
        diary.read(),
        [
            "a: made",
            "a: started",
            "a: one",
            "a: pre_restart after as told",
            "a: dropped",
            "a: made",
            "a: post_restart after failure 1",
            "a: two",
            "a: pre_restart after panicked: as told",
            "a: dropped",
            "a: made",
            "a: post_restart after failure 2",
            "a: three",
            "a: stopped",
            "a: dropped",
        ]
    );
}

#[test]
fn a_child_stops_before_its_parent_stops_and_before_its_parent_restarts() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let actor = system.spawn("a", diarist(&diary, Some("b"))).unwrap();
        sim.env().sleep(SOON).await;
        actor.tell(Do::Fail).unwrap();
        sim.env().sleep(SOON).await;
        actor.stop().await;
    });
    let expected = [
        "a: made",
        "a: started",
        "b: started",
        "a: pre_restart after as told",
        "b: stopped",
        "b: dropped",
        "a: dropped",
        "a: made",
        "a: post_restart after failure 1",
        "a: stopped",
        "a: dropped",
    ];
    assert_eq!(diary.read(), expected);

    let diary = Diary::default();
    sim.block_on(async {
        let system = ActorSystem::builder("second").env(sim.env()).start().await.unwrap();
        let actor = system.spawn("a", diarist(&diary, Some("b"))).unwrap();
        sim.env().sleep(SOON).await;
        actor.stop().await;
    });
    assert_eq!(
        diary.read(),
        ["a: made", "a: started", "b: started", "b: stopped", "b: dropped", "a: stopped", "a: dropped"]
    );
}

#[test]
fn an_actor_that_stops_itself_handles_nothing_more_and_what_is_queued_becomes_dead_letters() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let actor = system.spawn("a", diarist(&diary, None)).unwrap();
        for message in [Do::Note("one"), Do::StopSelf, Do::Note("never"), Do::Note("never")] {
            actor.tell(message).unwrap();
        }
        actor.stopped().await;
        assert_eq!(system.dead_letters().count(Reason::Stopped), 2);
        assert_eq!(actor.tell(Do::Note("late")).unwrap_err().reason, Refusal::Stopped);
    });
    assert_eq!(diary.read(), ["a: made", "a: started", "a: one", "a: stopped", "a: dropped"]);
}

/// Checks that nobody else is in `receive`, and that each sender's numbers come in order.
struct Checker {
    inside: Arc<AtomicBool>,
    last: [u64; SENDERS],
    handled: Arc<AtomicU64>,
}

const SENDERS: usize = 4;

impl Actor for Checker {
    type Msg = (usize, u64);

    async fn receive(
        &mut self,
        (sender, number): (usize, u64),
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        assert!(!self.inside.swap(true, Ordering::SeqCst), "two messages at once");
        if number.is_multiple_of(64) {
            // Awaits in the middle: nothing may slip in.
            ctx.env().sleep(Duration::from_micros(1)).await;
        }
        assert_eq!(self.last[sender] + 1, number, "out of order from sender {sender}");
        self.last[sender] = number;
        self.handled.fetch_add(1, Ordering::SeqCst);
        assert!(self.inside.swap(false, Ordering::SeqCst), "two messages at once");
        Ok(())
    }
}

/// Lets every sender send its numbers, half of them by `tell` where there is room, and returns how many were handled
/// and how many failures there were.
async fn send_and_check(system: ActorSystem, numbers: u64, mailbox: Mailbox<(usize, u64)>) -> (u64, u64) {
    let (inside, handled) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let checker = {
        let (inside, handled) = (inside.clone(), handled.clone());
        let make = move || Checker { inside: inside.clone(), last: [0; SENDERS], handled: handled.clone() };
        system.spawn("checker", Spawn::new(make).mailbox(mailbox)).unwrap()
    };
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    for sender in 0..SENDERS {
        let (checker, done) = (checker.clone(), done.clone());
        system.env().spawn(|| format!("sender {sender}"), async move {
            for number in 1..=numbers {
                let told = if number % 2 == 0 { checker.tell((sender, number)) } else { Ok(()) };
                if number % 2 == 1 || told.is_err() {
                    checker.send((sender, number)).await.unwrap();
                }
            }
            drop(done);
        });
    }
    drop(done);
    assert!(all_done.recv().await.is_none());
    checker.drain().await;
    (handled.load(Ordering::SeqCst), system.stats().failures)
}

#[test]
fn messages_of_one_sender_are_handled_in_order_and_one_at_a_time_in_every_interleaving() {
    for seed in SEEDS {
        for mailbox in [Mailbox::unbounded(), Mailbox::bounded(1), Mailbox::bounded(7)] {
            let name = format!("{mailbox:?}");
            let sim = Sim::new(seed);
            let (handled, failures) =
                sim.block_on(async { send_and_check(system_in(&sim).await, 20, mailbox).await });
            assert_eq!((handled, failures), (20 * SENDERS as u64, 0), "seed {seed}, {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_of_one_sender_are_handled_in_order_and_one_at_a_time_on_real_threads() {
    for mailbox in [Mailbox::unbounded(), Mailbox::bounded(1), Mailbox::bounded(100)] {
        let system = ActorSystem::start("order").await.unwrap();
        let (handled, failures) = send_and_check(system.clone(), 2_000, mailbox).await;
        assert_eq!((handled, failures), (2_000 * SENDERS as u64, 0));
        system.shutdown().await;
    }
}

struct StopsAndFails;

impl Actor for StopsAndFails {
    type Msg = ();

    async fn receive(&mut self, (): (), ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.stop();
        Err(Failure::msg("after it asked to stop"))
    }
}

#[test]
fn an_actor_that_asks_to_stop_stops_also_when_the_same_handler_fails() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = ActorSystem::builder("both").env(sim.env()).start().await.unwrap();
        let actor = system.spawn("actor", || StopsAndFails).unwrap();
        actor.tell(()).unwrap();
        actor.stopped().await;
        assert_eq!((system.stats().failures, system.stats().restarts), (1, 0));
    });
}

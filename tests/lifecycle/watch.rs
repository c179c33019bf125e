//! Does `Terminated` come exactly once, whatever watch, unwatch, stops and failures do to each other?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::{Diary, SEEDS, SOON, system_in};

/// Ends as it is told.
struct Mortal;

#[derive(Clone, Copy, Debug)]
enum End {
    Stop,
    Fail,
}

impl Actor for Mortal {
    type Msg = End;

    async fn receive(&mut self, end: End, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match end {
            End::Stop => ctx.stop(),
            End::Fail => return Err(Failure::msg("as told")),
        }
        Ok(())
    }
}

fn mortal() -> Spawn<Mortal> {
    Spawn::new(|| Mortal).supervision(Supervision::stop())
}

/// Watches what it is told to, and writes down what it hears.
struct Watcher {
    diary: Diary,
}

enum Eye {
    On(ActorRef<End>),
    Off(ActorRef<End>),
    /// Both, in one handler, with nothing in between.
    OnOff(ActorRef<End>),
    OffOn(ActorRef<End>),
    Fail,
}

impl Actor for Watcher {
    type Msg = Eye;

    async fn receive(&mut self, message: Eye, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            Eye::On(target) => ctx.watch(&target),
            Eye::Off(target) => ctx.unwatch(&target),
            Eye::OnOff(target) => {
                ctx.watch(&target);
                ctx.unwatch(&target);
            }
            Eye::OffOn(target) => {
                ctx.unwatch(&target);
                ctx.watch(&target);
            }
            Eye::Fail => return Err(Failure::msg("as told")),
        }
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Self>) -> Result<(), Failure> {
        if let Signal::Terminated(path) = signal {
            self.diary.note(path.to_string());
        }
        Ok(())
    }
}

/// What a watcher hears that is told `messages` before and `later` after the end of `/user/target`.
fn heard(
    before: impl Fn(ActorRef<End>) -> Vec<Eye>,
    later: impl Fn(ActorRef<End>) -> Vec<Eye>,
    end: End,
) -> Vec<String> {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let target = system.spawn("target", mortal()).unwrap();
        let watcher = {
            let diary = diary.clone();
            system.spawn("watcher", move || Watcher { diary: diary.clone() }).unwrap()
        };
        for message in before(target.clone()) {
            watcher.tell(message).unwrap();
            sim.env().sleep(SOON).await;
        }
        target.tell(end).unwrap();
        target.stopped().await;
        sim.env().sleep(SOON).await;
        for message in later(target.clone()) {
            watcher.tell(message).unwrap();
            sim.env().sleep(SOON).await;
        }
    });
    diary.read()
}

fn nothing(_: ActorRef<End>) -> Vec<Eye> {
    Vec::new()
}

#[test]
fn the_end_of_a_watched_actor_is_told_once_however_it_ended() {
    for end in [End::Stop, End::Fail] {
        assert_eq!(heard(|it| vec![Eye::On(it)], nothing, end), ["/user/target"], "{end:?}");
    }
    assert_eq!(heard(nothing, nothing, End::Stop), [""; 0], "who does not watch hears nothing");
}

#[test]
fn an_actor_that_had_ended_before_is_told_at_once() {
    assert_eq!(heard(nothing, |it| vec![Eye::On(it)], End::Stop), ["/user/target"]);
}

#[test]
fn watching_twice_is_watching_once_and_watching_again_afterwards_is_a_new_watch() {
    let twice = |it: ActorRef<End>| vec![Eye::On(it.clone()), Eye::On(it)];
    assert_eq!(heard(twice, nothing, End::Stop), ["/user/target"]);
    assert_eq!(heard(|it| vec![Eye::On(it)], |it| vec![Eye::On(it)], End::Stop), ["/user/target"; 2]);
}

#[test]
fn nothing_is_told_after_unwatch_also_when_the_notice_was_on_its_way() {
    let unwatched = |it: ActorRef<End>| vec![Eye::On(it.clone()), Eye::Off(it)];
    assert_eq!(heard(unwatched, nothing, End::Stop), [""; 0]);
    assert_eq!(heard(nothing, |it| vec![Eye::OnOff(it)], End::Stop), [""; 0]);
    assert_eq!(heard(nothing, |it| vec![Eye::Off(it)], End::Stop), [""; 0], "nothing to unwatch");
}

#[test]
fn unwatch_and_watch_again_is_told_once() {
    assert_eq!(heard(|it| vec![Eye::On(it.clone()), Eye::OffOn(it)], nothing, End::Stop), ["/user/target"]);
    // Two notices are on their way, and only one of them still counts.
    let twice = |it: ActorRef<End>| vec![Eye::OnOff(it.clone()), Eye::OffOn(it)];
    assert_eq!(heard(nothing, twice, End::Stop), ["/user/target"]);
}

#[test]
fn a_watch_outlives_the_restart_of_its_watcher() {
    let failing = |it: ActorRef<End>| vec![Eye::On(it), Eye::Fail];
    assert_eq!(heard(failing, nothing, End::Stop), ["/user/target"]);
}

#[test]
fn a_restart_of_the_watched_actor_is_not_its_end() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let target = system.spawn("target", || Mortal).unwrap();
        let watcher = {
            let diary = diary.clone();
            system.spawn("watcher", move || Watcher { diary: diary.clone() }).unwrap()
        };
        watcher.tell(Eye::On(target.clone())).unwrap();
        for _ in 0..3 {
            target.tell(End::Fail).unwrap();
            sim.env().sleep(SOON).await;
        }
        assert_eq!((system.stats().restarts, diary.read()), (3, Vec::new()));
        target.stop().await;
        sim.env().sleep(SOON).await;
    });
    assert_eq!(diary.read(), ["/user/target"]);
}

#[test]
fn a_watcher_that_has_ended_itself_is_told_nothing_and_harms_nobody() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let target = system.spawn("target", mortal()).unwrap();
        let watchers: Vec<_> = ["one", "two"]
            .into_iter()
            .map(|name| {
                let diary = diary.clone();
                system.spawn(name, move || Watcher { diary: diary.clone() }).unwrap()
            })
            .collect();
        for watcher in &watchers {
            watcher.tell(Eye::On(target.clone())).unwrap();
        }
        sim.env().sleep(SOON).await;
        watchers[0].stop().await;
        target.stop().await;
        sim.env().sleep(SOON).await;
    });
    assert_eq!(diary.read(), ["/user/target"], "only the second lived to hear it");
}

#[test]
fn whoever_hears_of_the_end_can_use_the_name_again() {
    struct Heir {
        target: Option<ActorRef<End>>,
        done: Arc<AtomicU64>,
    }
    impl Actor for Heir {
        type Msg = ActorRef<End>;

        async fn receive(&mut self, target: ActorRef<End>, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.watch(&target);
            self.target = Some(target);
            Ok(())
        }

        async fn signal(&mut self, _: Signal, ctx: &mut Context<Self>) -> Result<(), Failure> {
            let fresh = ctx.system().spawn("target", mortal())?;
            assert_ne!(Some(&fresh), self.target.as_ref());
            self.done.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
    for seed in SEEDS {
        let sim = Sim::new(seed);
        let done = Arc::new(AtomicU64::new(0));
        sim.block_on(async {
            let system = system_in(&sim).await;
            let target = system.spawn("target", mortal()).unwrap();
            let counter = done.clone();
            let heir = system.spawn("heir", move || Heir { target: None, done: counter.clone() }).unwrap();
            heir.tell(target.clone()).unwrap();
            target.tell(End::Stop).unwrap();
            sim.env().sleep(SOON).await;
            assert_eq!((done.load(Ordering::SeqCst), system.stats().failures), (1, 0), "seed {seed}");
        });
    }
}

/// Watches and unwatches at random, restarts now and then, and knows at every moment whether it may hear `Terminated`.
struct Fickle {
    target: ActorRef<End>,
    /// Whether `Terminated` is still to come. Outlives restarts.
    expects: Arc<AtomicBool>,
    wrong: Arc<AtomicU64>,
}

impl Actor for Fickle {
    type Msg = ();

    async fn receive(&mut self, (): (), ctx: &mut Context<Self>) -> Result<(), Failure> {
        match ctx.random_u64() % 4 {
            0 | 1 => {
                ctx.watch(&self.target);
                self.expects.store(true, Ordering::SeqCst);
            }
            2 => {
                ctx.unwatch(&self.target);
                self.expects.store(false, Ordering::SeqCst);
            }
            _ => return Err(Failure::msg("now and then")),
        }
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Self>) -> Result<(), Failure> {
        if matches!(signal, Signal::Terminated(_)) && !self.expects.swap(false, Ordering::SeqCst) {
            self.wrong.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

const FICKLE: usize = 6;

/// Lets watchers be fickle while their target stops. Returns notices that nobody expected, and those still missing.
async fn race(system: &ActorSystem, round: u64) -> (u64, usize) {
    let env = system.env();
    let target = system.spawn(&format!("target{round}"), mortal()).unwrap();
    let wrong = Arc::new(AtomicU64::new(0));
    let mut watchers = Vec::new();
    for number in 0..FICKLE {
        let expects = Arc::new(AtomicBool::new(false));
        let make = {
            let (target, expects, wrong) = (target.clone(), expects.clone(), wrong.clone());
            move || Fickle { target: target.clone(), expects: expects.clone(), wrong: wrong.clone() }
        };
        let spawn = Spawn::new(make).supervision(Supervision::restart().unlimited());
        watchers.push((system.spawn(&format!("fickle{round}-{number}"), spawn).unwrap(), expects));
    }
    let ends_at = env.random_u64() % 20;
    for number in 0..20 {
        for (watcher, _) in &watchers {
            watcher.tell(()).unwrap();
        }
        if number == ends_at {
            target.tell(if env.random_u64().is_multiple_of(2) { End::Stop } else { End::Fail }).unwrap();
        }
        tokio::task::yield_now().await;
    }
    target.stop().await;
    // What was told is on its way, ahead of the messages; a drain lets the watchers come to it.
    for (watcher, _) in &watchers {
        watcher.drain().await;
    }
    let missing = watchers.iter().filter(|(_, expects)| expects.load(Ordering::SeqCst)).count();
    (wrong.load(Ordering::SeqCst), missing)
}

#[test]
fn terminated_comes_exactly_once_in_races_of_watch_unwatch_stop_and_restart() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        let outcome = sim.block_on(async { race(&system_in(&sim).await, 0).await });
        assert_eq!(outcome, (0, 0), "unexpected and missing notices, seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn terminated_comes_exactly_once_in_races_on_real_threads() {
    let system = ActorSystem::start("races").await.unwrap();
    for round in 0..200 {
        assert_eq!(race(&system, round).await, (0, 0), "unexpected and missing notices, round {round}");
    }
    system.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_wait_for_the_end_of_an_actor_ends_on_real_threads() {
    let system = ActorSystem::start("waits").await.unwrap();
    for round in 0..500 {
        let target = system.spawn(&format!("target{round}"), mortal()).unwrap();
        let (before, stopping) = (target.stopped(), target.stop());
        let racing = target.stopped();
        before.await;
        stopping.await;
        racing.await;
        target.stopped().await;
        assert!(target.is_stopped());
    }
    system.shutdown().await;
}

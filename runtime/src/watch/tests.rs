//! Is an end that is noticed while its watcher recovers told exactly once, and never after `unwatch`?
//!
//! The watcher fails, its target ends during the back-off, and `post_restart` changes its mind about the watch.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Watchers;
use crate::testkit::Sim;
use crate::{Actor, ActorRef, ActorSystem, Backoff, Context, Crash, Failure, Signal, Spawn, Supervision};

const BACKOFF: Duration = Duration::from_secs(1);

/// Does nothing.
struct Target;

impl Actor for Target {
    type Msg = ();

    async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

/// What a fresh watcher does about its target.
#[derive(Clone, Copy)]
enum Change {
    Nothing,
    Unwatch,
    WatchAgain,
}

struct Watcher {
    target: ActorRef<()>,
    change: Change,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Actor for Watcher {
    type Msg = ();

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.watch(&self.target);
        Ok(())
    }

    async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
        Err(Failure::msg("fails"))
    }

    async fn post_restart(&mut self, _: &Crash, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match self.change {
            Change::Nothing => {}
            Change::Unwatch => ctx.unwatch(&self.target),
            Change::WatchAgain => ctx.watch(&self.target),
        }
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Self>) -> Result<(), Failure> {
        self.heard.lock().push(format!("{signal:?}"));
        Ok(())
    }
}

/// How many signals such a watcher gets.
fn signals(change: Change) -> usize {
    let sim = Sim::new(1);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let out = heard.clone();
    sim.block_on(async {
        let system = ActorSystem::builder("watch").env(sim.env()).start().await.expect("a system");
        let target = system.spawn("target", || Target).expect("a target");
        let seen = target.clone();
        let spawn = Spawn::new(move || Watcher { target: seen.clone(), change, heard: heard.clone() });
        let supervision = Supervision::restart().backoff(Backoff::exponential(BACKOFF, BACKOFF));
        let watcher = system.spawn("watcher", spawn.supervision(supervision)).expect("a watcher");
        watcher.tell(()).expect("room");
        sim.env().sleep(BACKOFF / 2).await;
        target.stop().await;
        sim.env().sleep(BACKOFF).await;
        assert!(!watcher.is_stopped());
    });
    let signals = out.lock();
    signals.len()
}

#[test]
fn an_end_while_the_watcher_waits_for_its_restart_is_told_once() {
    assert_eq!(signals(Change::Nothing), 1);
}

#[test]
fn an_end_while_the_watcher_waits_for_its_restart_is_not_told_after_unwatch() {
    assert_eq!(signals(Change::Unwatch), 0);
}

#[test]
fn an_end_while_the_watcher_waits_for_its_restart_is_told_once_though_it_watches_again() {
    assert_eq!(signals(Change::WatchAgain), 1);
}

#[test]
fn a_list_that_has_ended_gives_watchers_back_and_ends_only_once() {
    let watchers = Watchers::new();
    assert_eq!(watchers.add(1, "one"), Ok(()));
    assert_eq!(watchers.add(1, "one again"), Ok(()));
    assert_eq!(watchers.add(2, "two"), Ok(()));
    watchers.remove(2);
    watchers.remove(3);
    assert!(!watchers.has_ended());
    assert_eq!(watchers.end(|_| false), Ok(vec!["one"]));
    assert!(watchers.has_ended());
    assert_eq!(watchers.add(4, "four"), Err("four"));
    assert_eq!(watchers.end(|_| false), Ok(vec![]));
}

#[test]
fn who_waits_for_an_end_and_gives_up_leaves_nothing_behind() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = ActorSystem::builder("watch").env(sim.env()).start().await.expect("a system");
        let target = system.spawn("target", || Target).expect("a target");
        let waits = target.stopped();
        for _ in 0..100 {
            drop(target.stopped());
        }
        assert_eq!(target.cell.head().watchers.len(), 1, "the one that still waits");
        drop(target.stop());
        waits.await;
        assert!(target.is_stopped());
    });
}

#[test]
fn those_who_are_told_first_are_told_before_anybody_can_learn_of_the_end() {
    let watchers = Watchers::new();
    assert_eq!((watchers.add(1, "future"), watchers.add(2, "call")), (Ok(()), Ok(())));
    assert_eq!(watchers.end(|&it| it == "call"), Err(vec!["call"]));
    assert!(!watchers.has_ended());
    assert_eq!(watchers.add(3, "call"), Ok(()), "a call that comes meanwhile is told first as well");
    assert_eq!(watchers.end(|&it| it == "call"), Err(vec!["call"]));
    assert_eq!(watchers.end(|&it| it == "call"), Ok(vec!["future"]));
    assert!(watchers.has_ended());
}

#[test]
fn watchers_are_told_in_the_order_of_their_numbers_whenever_they_came() {
    let watchers = Watchers::new();
    for number in [5, 2, 9, 1] {
        assert_eq!(watchers.add(number, number), Ok(()));
    }
    assert_eq!(watchers.end(|_| false), Ok(vec![1, 2, 5, 9]));
}

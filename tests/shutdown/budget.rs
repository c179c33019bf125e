//! Does a shutdown end in time, and does it name those who did not?

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::{Diary, Job, ms, system_in, unfinished, worker};

const SECOND: Duration = Duration::from_secs(1);

/// The parts of a budget that a shutdown spends in vain on an actor that hangs: until it is cancelled.
fn until_killed(budget: Duration) -> Duration {
    budget / 10 * 8
}

#[test]
fn an_actor_stuck_at_an_await_is_cancelled_and_named_with_the_parents_that_wait_for_it() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system =
            ActorSystem::builder("test").env(sim.env()).shutdown_budget(SECOND).start().await.unwrap();
        let parent = system.spawn("parent", worker(&diary)).unwrap();
        parent.tell(Job::Child("stuck")).unwrap();
        parent.ask(Job::Reply).await.unwrap();
        let stuck = system.lookup::<Job>("/user/parent/stuck").unwrap();
        stuck.tell(Job::Hang).unwrap();
        stuck.tell(Job::Note("never")).unwrap();
        let idle = system.spawn("idle", worker(&diary)).unwrap();
        sim.env().sleep(ms(1)).await;

        let report = system.shutdown().await;
        assert_eq!(unfinished(&report), ["/user/parent", "/user/parent/stuck"]);
        assert_eq!(report.took, until_killed(SECOND), "cancelled at once when its time was over");
        assert!(report.to_string().contains("/user/parent/stuck"), "{report}");
        assert!(stuck.is_stopped() && parent.is_stopped() && idle.is_stopped());
        assert_eq!(system.dead_letters().count(Reason::Stopped), 1);
        assert_eq!(system.stats().actors, 0);
    });
    let diary = diary.read();
    let expected = ["stuck", "/user/idle stopped", "/user/parent/stuck stopped", "/user/parent stopped"];
    assert_eq!(diary, expected, "hooks run all the same");
}

#[test]
fn a_handler_that_ends_within_the_budget_is_not_named() {
    // Longer than the drain may take, shorter than until all are cancelled.
    for (time, named) in [(ms(500), false), (ms(790), false), (ms(810), true)] {
        let sim = Sim::new(1);
        let diary = Diary::default();
        sim.block_on(async {
            let system =
                ActorSystem::builder("test").env(sim.env()).shutdown_budget(SECOND).start().await.unwrap();
            system.spawn("worker", worker(&diary)).unwrap().tell(Job::Busy(time)).unwrap();
            let report = system.shutdown().await;
            assert_eq!(!report.unfinished.is_empty(), named, "{time:?}");
            assert!(report.took <= SECOND);
        });
    }
}

#[test]
fn actors_that_never_stop_sending_are_stopped_when_the_drain_is_over() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system =
            ActorSystem::builder("test").env(sim.env()).shutdown_budget(SECOND).start().await.unwrap();
        let one = system.spawn("one", worker(&diary)).unwrap();
        let two = system.spawn("two", worker(&diary)).unwrap();
        one.tell(Job::Pass(u32::MAX, two)).unwrap();
        let report = system.shutdown().await;
        assert_eq!(unfinished(&report), [""; 0]);
        assert!(report.took >= SECOND / 2 && report.took < until_killed(SECOND), "{:?}", report.took);
    });
}

#[test]
fn with_a_budget_of_zero_everything_is_cancelled_at_once() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = ActorSystem::builder("test")
            .env(sim.env())
            .shutdown_budget(Duration::ZERO)
            .start()
            .await
            .unwrap();
        let stuck = system.spawn("stuck", worker(&diary)).unwrap();
        stuck.tell(Job::Hang).unwrap();
        sim.env().sleep(ms(1)).await;
        let report = system.shutdown().await;
        assert_eq!(report.took, Duration::ZERO);
        assert_eq!(unfinished(&report), ["/user/stuck"]);
        stuck.stopped().await;
        assert_eq!(system.stats().actors, 0);
    });
}

#[test]
fn a_stopped_hook_that_hangs_has_its_grace_and_no_more() {
    struct Clinger;
    impl Actor for Clinger {
        type Msg = ();
        async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
            Ok(())
        }
        async fn stopped(&mut self, _: &mut Context<Self>) -> Result<(), Failure> {
            std::future::pending().await
        }
    }
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        system.spawn("clinger", Spawn::new(|| Clinger).stop_grace(ms(100))).unwrap();
        let report = system.shutdown().await;
        assert_eq!(unfinished(&report), [""; 0]);
        assert!(report.took >= ms(100) && report.took < SECOND, "{:?}", report.took);

        let second = ActorSystem::builder("second").env(sim.env()).start().await.unwrap();
        second.spawn("clinger", Spawn::new(|| Clinger).stop_grace(Duration::MAX)).unwrap();
        let report = second.shutdown().await;
        assert_eq!(unfinished(&report), ["/user/clinger"], "a longer grace than the budget does not help");
        assert!(report.took <= 10 * SECOND, "{:?}", report.took);
    });
}

#[test]
fn a_forced_shutdown_waits_for_nobody_whenever_it_is_forced() {
    let hour = Duration::from_hours(1);
    // While it drains, while the actors stop, and before it has begun.
    for forced_after in [Some(ms(100)), Some(hour * 6 / 10), None] {
        let sim = Sim::new(1);
        let diary = Diary::default();
        sim.block_on(async {
            let system =
                ActorSystem::builder("test").env(sim.env()).shutdown_budget(hour).start().await.unwrap();
            let spawn = worker(&diary).stop_grace(hour);
            system.spawn("stuck", spawn).unwrap().tell(Job::Hang).unwrap();
            sim.env().sleep(ms(1)).await;
            if let Some(after) = forced_after {
                system.begin_shutdown();
                sim.env().sleep(after).await;
            }
            system.force_shutdown();
            let report = system.terminated().await;
            assert_eq!(unfinished(&report), ["/user/stuck"]);
            let took = report.took.saturating_sub(forced_after.unwrap_or_default());
            assert!(took <= ms(10), "forced after {forced_after:?}, and it still took {took:?}");
            assert_eq!(system.stats().actors, 0);
        });
        assert_eq!(diary.read(), ["/user/stuck stopped"]);
    }
}

#[test]
fn a_forced_shutdown_gives_up_on_a_stopped_hook_that_hangs() {
    struct Clinger;
    impl Actor for Clinger {
        type Msg = ();
        async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
            Ok(())
        }
        async fn stopped(&mut self, _: &mut Context<Self>) -> Result<(), Failure> {
            std::future::pending().await
        }
    }
    let hour = Duration::from_hours(1);
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = ActorSystem::builder("test").env(sim.env()).shutdown_budget(hour).start().await.unwrap();
        system.spawn("clinger", Spawn::new(|| Clinger).stop_grace(hour)).unwrap();
        system.begin_shutdown();
        sim.env().sleep(SECOND).await;
        system.force_shutdown();
        let report = system.terminated().await;
        assert_eq!(unfinished(&report), ["/user/clinger"]);
        assert!(report.took < 2 * SECOND, "{:?}", report.took);
    });
}

/// Blocks its thread, as no handler should.
struct Blocker;

impl Actor for Blocker {
    type Msg = (tokio::sync::oneshot::Sender<()>, std::sync::mpsc::Receiver<()>);

    async fn receive(&mut self, (runs, go): Self::Msg, _: &mut Context<Self>) -> Result<(), Failure> {
        let _ = runs.send(());
        let _ = go.recv();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_actor_that_blocks_its_thread_is_named_and_the_shutdown_ends_without_it() {
    let system = ActorSystem::builder("blocked").shutdown_budget(ms(300)).start().await.unwrap();
    let diary = Diary::default();
    let good = system.spawn("good", worker(&diary)).unwrap();
    let blocked = system.spawn("blocked", || Blocker).unwrap();
    let (runs, running) = tokio::sync::oneshot::channel();
    let (go, wait) = std::sync::mpsc::channel();
    blocked.tell((runs, wait)).unwrap();
    running.await.unwrap();

    let report = system.shutdown().await;
    assert_eq!(unfinished(&report), ["/user/blocked"]);
    assert!(good.is_stopped() && !blocked.is_stopped());

    go.send(()).unwrap();
    blocked.stopped().await;
    assert_eq!(system.stats().actors, 0, "it ends when it can");
}

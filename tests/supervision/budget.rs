//! How often, and how soon, may a failed actor start again?

use std::time::{Duration, Instant};

use omnitron::prelude::*;

use crate::world::{At, Msg, SECOND, World, simulate};

const WINDOW: Duration = Duration::from_secs(10);
const ALMOST_WINDOW: Duration = Duration::from_nanos(9_999_999_999);

fn spawn(world: &World, supervision: Supervision) -> ActorRef<Msg> {
    world.system.spawn("a", world.plain("a").supervision(supervision)).expect("a free name")
}

async fn fail_after(world: &World, a: &ActorRef<Msg>, time: Duration) {
    world.wait(time).await;
    a.tell(Msg::fail("x")).expect("it lives");
}

/// The times between the failures and the restarts that followed.
fn delays(world: &World) -> Vec<Duration> {
    let halted = world.times("pre_restart");
    world.times("post_restart").into_iter().zip(halted).map(|(started, halted)| started - halted).collect()
}

#[test]
fn the_restart_after_the_limit_is_refused_and_the_actor_stops_if_so_chosen() {
    simulate(async |world| {
        let supervision = Supervision::restart().limit(3, WINDOW).when_spent(WhenSpent::Stop);
        let a = spawn(&world, supervision);
        for _ in 0..4 {
            fail_after(&world, &a, SECOND).await;
        }
        a.stopped().await;
        assert_eq!(world.made("a"), 4);
        assert_eq!(world.system.stats().failures, 4);
        assert_eq!(world.notes(|line| line.ends_with("stopped")), ["a#4 stopped"]);
    });
}

#[test]
fn a_spent_budget_escalates_by_default() {
    simulate(async |world| {
        let a = spawn(&world, Supervision::restart().limit(0, WINDOW));
        fail_after(&world, &a, SECOND).await;
        let report = world.system.terminated().await;
        let cause = report.cause.expect("the failure was escalated");
        assert_eq!((cause.path(), cause.reason()), (a.path(), "x"));
        assert_eq!(world.made("a"), 1);
    });
}

#[test]
fn a_restart_counts_until_its_window_has_passed_to_the_nanosecond() {
    for (pause, stops) in [(WINDOW, false), (ALMOST_WINDOW, true)] {
        simulate(async |world| {
            let supervision = Supervision::restart().limit(1, WINDOW).when_spent(WhenSpent::Stop);
            let a = spawn(&world, supervision);
            fail_after(&world, &a, SECOND).await;
            fail_after(&world, &a, pause).await;
            world.rest().await;
            assert_eq!(a.is_stopped(), stops, "{pause:?}");
            assert_eq!(world.made("a"), if stops { 2 } else { 3 });
        });
    }
}

#[test]
fn resuming_costs_no_restart() {
    simulate(async |world| {
        let supervision = Supervision::resume().limit(0, WINDOW);
        let a = spawn(&world, supervision);
        for _ in 0..100 {
            a.tell(Msg::fail("x")).expect("it lives");
        }
        world.rest().await;
        assert!(!a.is_stopped());
        assert_eq!((world.made("a"), world.system.stats().failures), (1, 100));
    });
}

#[test]
fn an_actor_that_can_never_start_uses_up_its_restarts_and_no_more() {
    simulate(async |world| {
        let a = world.node("a", |at, _, _| {
            assert_ne!(at, At::Made, "never");
            Ok(())
        });
        let a = a.supervision(Supervision::restart().when_spent(WhenSpent::Stop));
        let a = world.system.spawn("a", a).expect("a free name");
        a.stopped().await;
        assert_eq!(world.made("a"), 1 + u32::try_from(Supervision::DEFAULT_LIMIT).expect("it is small"));
    });
}

#[test]
fn without_a_limit_it_restarts_as_often_as_it_fails() {
    simulate(async |world| {
        let a = spawn(&world, Supervision::restart().unlimited());
        for _ in 0..200 {
            a.tell(Msg::panic("x")).expect("it lives");
        }
        world.rest().await;
        assert_eq!(world.made("a"), 201);
    });
}

#[test]
fn back_off_doubles_from_the_minimum_to_the_maximum_exactly() {
    simulate(async |world| {
        let backoff = Backoff::exponential(SECOND, SECOND * 5);
        let a = spawn(&world, Supervision::restart().limit(5, WINDOW * 10).backoff(backoff));
        for _ in 0..5 {
            a.tell(Msg::fail("x")).expect("it lives");
        }
        world.rest().await;
        assert_eq!(delays(&world), [1, 2, 4, 5, 5].map(Duration::from_secs));
    });
}

#[test]
fn back_off_begins_anew_after_a_window_without_a_failure() {
    simulate(async |world| {
        let backoff = Backoff::exponential(SECOND, SECOND * 60);
        let a = spawn(&world, Supervision::restart().limit(10, WINDOW).backoff(backoff));
        fail_after(&world, &a, Duration::ZERO).await;
        fail_after(&world, &a, SECOND).await;
        fail_after(&world, &a, WINDOW).await;
        world.rest().await;
        assert_eq!(delays(&world), [1, 2, 1].map(Duration::from_secs));
    });
}

#[test]
fn jitter_moves_each_delay_within_its_fraction_and_no_two_alike() {
    simulate(async |world| {
        let backoff = Backoff::exponential(SECOND * 10, SECOND * 10).jitter(0.2);
        let a = spawn(&world, Supervision::restart().limit(20, WINDOW * 100).backoff(backoff));
        for _ in 0..20 {
            a.tell(Msg::fail("x")).expect("it lives");
        }
        world.rest().await;
        let mut delays = delays(&world);
        assert_eq!(delays.len(), 20);
        assert!(delays.iter().all(|delay| (SECOND * 8..=SECOND * 12).contains(delay)), "{delays:?}");
        assert!(
            delays.iter().any(|&delay| delay < SECOND * 10)
                && delays.iter().any(|&delay| delay > SECOND * 10)
        );
        delays.sort();
        delays.dedup();
        assert_eq!(delays.len(), 20);
    });
}

#[test]
fn a_stop_during_back_off_is_obeyed_at_once() {
    simulate(async |world| {
        let backoff = Backoff::exponential(SECOND * 100, SECOND * 100);
        let a = spawn(&world, Supervision::restart().backoff(backoff));
        fail_after(&world, &a, SECOND).await;
        a.tell(Msg::Note(1)).expect("it will start again, as far as one knows");
        world.wait(SECOND).await;
        let now: Instant = world.system.env().now();
        a.stop().await;
        assert_eq!(world.system.env().now(), now);
        assert_eq!(world.made("a"), 1);
        assert_eq!(world.system.dead_letters().count(Reason::Stopped), 1);
        assert!(
            world.notes(|line| line.ends_with("stopped")).is_empty(),
            "there is no state that could stop"
        );
    });
}

#[test]
fn a_drain_during_back_off_handles_what_is_queued_after_it_and_then_stops() {
    simulate(async |world| {
        let backoff = Backoff::exponential(SECOND * 100, SECOND * 100);
        let a = spawn(&world, Supervision::restart().backoff(backoff));
        fail_after(&world, &a, SECOND).await;
        a.tell(Msg::Note(1)).expect("it lives");
        world.wait(SECOND).await;
        let drained = a.drain();
        world.wait(SECOND).await;
        let refused = a.tell(Msg::Note(2)).expect_err("it takes nothing more");
        assert_eq!(refused.reason, Refusal::Stopped);
        drained.await;
        assert_eq!(world.handled(), [("a".to_owned(), 1, 1)]);
        assert_eq!(world.notes(|line| line.ends_with("stopped")), ["a#2 stopped"]);
    });
}

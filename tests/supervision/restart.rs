//! What outlives a restart, and what does not?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use omnitron::prelude::*;

use crate::world::{At, Msg, SECOND, World, simulate};

fn told(to: &ActorRef<Msg>, messages: impl IntoIterator<Item = Msg>) {
    for message in messages {
        to.tell(message).expect("it lives and has room");
    }
}

/// What `a` has handled, in order, with the incarnation that did.
fn handled(world: &World) -> Vec<String> {
    world.notes(|line| line.starts_with('a') && line.ends_with(|last: char| last.is_ascii_digit()))
}

#[test]
fn a_restart_keeps_the_rest_of_a_taken_batch_in_order_and_loses_the_failed_message_alone() {
    for fail in [Msg::fail as fn(&'static str) -> Msg, Msg::panic] {
        simulate(async |world| {
            let a = world.system.spawn("a", world.plain("a")).expect("a free name");
            // All are taken as one batch, because none is handled before the last is sent.
            told(&a, (1..=3).map(Msg::Note).chain([fail("x")]).chain((4..=6).map(Msg::Note)));
            told(&a, [fail("y"), fail("z"), Msg::Note(7)]);
            world.rest().await;
            let expected = ["a#1 1", "a#1 2", "a#1 3", "a#2 4", "a#2 5", "a#2 6", "a#4 7"];
            assert_eq!(handled(&world), expected);
            assert_eq!(world.system.dead_letters().total(), 0);
        });
    }
}

#[test]
fn messages_sent_during_a_back_off_are_handled_after_it_in_order() {
    simulate(async |world| {
        let supervision = Supervision::restart().backoff(Backoff::exponential(SECOND, SECOND));
        let a = world.system.spawn("a", world.plain("a").supervision(supervision)).expect("a free name");
        told(&a, [Msg::fail("x"), Msg::Note(1)]);
        world.wait(SECOND / 2).await;
        told(&a, [Msg::Note(2), Msg::Note(3)]);
        assert_eq!(a.depth(), 3);
        world.rest().await;
        assert_eq!(handled(&world), ["a#2 1", "a#2 2", "a#2 3"]);
    });
}

#[test]
fn the_stash_outlives_a_restart_at_the_head_of_the_mailbox() {
    simulate(async |world| {
        let a = world.system.spawn("a", world.plain("a")).expect("a free name");
        let stash = |number| {
            Msg::run(move |ctx| {
                ctx.stash(Msg::Note(number)).map_err(|_| Failure::msg("the stash is full"))?;
                Ok(())
            })
        };
        told(&a, [stash(1), stash(2), Msg::panic("x"), Msg::Note(3)]);
        world.rest().await;
        assert_eq!(handled(&world), ["a#2 1", "a#2 2", "a#2 3"]);
    });
}

#[test]
fn a_resumed_actor_keeps_its_state_its_stash_and_its_timers() {
    simulate(async |world| {
        let a = world.plain("a").supervision(Supervision::resume());
        let a = world.system.spawn("a", a).expect("a free name");
        let prepare = Msg::run(|ctx| {
            ctx.stash(Msg::Note(3)).map_err(|_| Failure::msg("the stash is full"))?;
            ctx.timers().once("t", SECOND, || Msg::Note(2));
            Ok(())
        });
        told(&a, [Msg::Note(1), prepare, Msg::panic("x")]);
        world.rest().await;
        let unstash = Msg::run(|ctx| {
            assert_eq!(ctx.unstash_all(), 1);
            Ok(())
        });
        told(&a, [unstash]);
        world.rest().await;
        assert_eq!(handled(&world), ["a#1 1", "a#1 2", "a#1 3"]);
        assert_eq!(world.handled().last(), Some(&("a".to_owned(), 3, 3)));
    });
}

#[test]
fn timers_end_with_the_incarnation_that_set_them() {
    simulate(async |world| {
        let a = world.system.spawn("a", world.plain("a")).expect("a free name");
        let set = Msg::run(|ctx| {
            ctx.timers().once("once", SECOND, || Msg::Note(1));
            ctx.timers().every("every", SECOND, || Msg::Note(2));
            Ok(())
        });
        told(&a, [set, Msg::fail("x")]);
        world.rest().await;
        assert!(handled(&world).is_empty(), "{:?}", handled(&world));
    });
}

#[test]
fn a_periodic_timer_that_panicked_is_gone_and_holds_up_no_other() {
    simulate(async |world| {
        let a = world.plain("a").supervision(Supervision::resume());
        let a = world.system.spawn("a", a).expect("a free name");
        let set = Msg::run(|ctx| {
            ctx.timers().every("bad", SECOND, || panic!("boom"));
            ctx.timers().once("early", SECOND * 5 / 2, || Msg::Note(1));
            ctx.timers().once("late", SECOND * 7 / 2, || Msg::Note(2));
            Ok(())
        });
        told(&a, [set]);
        let begin = world.system.env().now();
        world.wait(SECOND * 3 / 2).await;
        let look = Msg::run(|ctx| {
            assert!(!ctx.timers().is_set("bad"), "it is gone");
            assert!(!ctx.timers().cancel("bad"), "it is gone");
            Ok(())
        });
        told(&a, [look]);
        world.rest().await;
        assert_eq!(world.system.stats().failures, 1);
        assert_eq!(world.times("a#1 1"), [begin + SECOND * 5 / 2]);
        assert_eq!(world.times("a#1 2"), [begin + SECOND * 7 / 2]);
    });
}

#[test]
fn watches_outlive_a_restart_on_both_sides_and_report_once() {
    simulate(async |world| {
        let a = world.system.spawn("a", world.plain("a")).expect("a free name");
        let b = world.system.spawn("b", world.plain("b")).expect("a free name");
        let watched = b.clone();
        let watch = Msg::run(move |ctx| {
            ctx.watch(&watched);
            Ok(())
        });
        told(&a, [watch, Msg::fail("the watcher restarts")]);
        world.rest().await;
        told(&b, [Msg::fail("the watched restarts")]);
        world.rest().await;
        let heard = |line: &str| line.contains("hears");
        assert!(world.notes(heard).is_empty(), "a restart is no end");
        b.stop().await;
        world.rest().await;
        assert_eq!(world.notes(heard), ["a#2 hears that b ended"]);
    });
}

#[test]
fn what_a_watcher_is_to_hear_during_its_back_off_it_hears_afterwards() {
    simulate(async |world| {
        let supervision = Supervision::restart().backoff(Backoff::exponential(SECOND * 5, SECOND * 5));
        let a = world.system.spawn("a", world.plain("a").supervision(supervision)).expect("a free name");
        let b = world.system.spawn("b", world.plain("b")).expect("a free name");
        let watched = b.clone();
        let watch = Msg::run(move |ctx| {
            ctx.watch(&watched);
            Ok(())
        });
        told(&a, [watch, Msg::fail("x")]);
        world.wait(SECOND).await;
        b.stop().await;
        world.rest().await;
        assert_eq!(world.notes(|line| line.contains("hears")), ["a#2 hears that b ended"]);
    });
}

#[test]
fn the_hooks_of_a_restart_run_in_order_with_children_stopped_in_between() {
    simulate(async |world| {
        let inner = world.clone();
        let parent = world.parent("parent", move |ctx| {
            ctx.spawn("child", inner.plain("child"))?;
            Ok(())
        });
        let parent = world.system.spawn("parent", parent).expect("a free name");
        world.wait(SECOND).await;
        told(&parent, [Msg::fail("x")]);
        world.rest().await;
        let expected = [
            "parent#1 made",
            "parent#1 started",
            "child#1 made",
            "child#1 started",
            "parent#1 pre_restart by parent",
            "child#1 stopped",
            "child#1 dropped",
            "parent#1 dropped",
            "parent#2 made",
            "parent#2 post_restart by parent",
            "child#2 made",
            "child#2 started",
        ];
        assert_eq!(world.notes(|_| true), expected);
    });
}

#[test]
fn kept_children_run_on_and_are_found_by_the_fresh_actor() {
    simulate(async |world| {
        let (inner, found) = (world.clone(), Arc::new(AtomicBool::new(false)));
        let seen = found.clone();
        let parent = world.node("parent", move |at, _, ctx| {
            match (at, ctx) {
                (At::Started, Some(ctx)) => {
                    ctx.spawn("child", inner.plain("child"))?;
                }
                (At::PostRestart, Some(ctx)) => {
                    let child = ctx.child::<Msg>("child").expect("it was kept");
                    child.tell(Msg::Note(2)).expect("it lives");
                    assert_eq!(ctx.children(), [child.path().clone()]);
                    seen.store(true, Ordering::Relaxed);
                }
                _ => {}
            }
            Ok(())
        });
        let parent = parent.supervision(Supervision::restart().keep_children());
        let parent = world.system.spawn("parent", parent).expect("a free name");
        world.wait(SECOND).await;
        told(&world.find("/user/parent/child"), [Msg::Note(1)]);
        told(&parent, [Msg::panic("x")]);
        world.rest().await;
        assert!(found.load(Ordering::Relaxed));
        assert_eq!((world.made("parent"), world.made("child")), (2, 1));
        assert_eq!(world.handled().last(), Some(&("child".to_owned(), 2, 2)));
    });
}

#[test]
fn a_piped_future_outlives_a_restart_and_its_panic_during_one_is_still_reported() {
    simulate(async |world| {
        let inner = world.clone();
        let parent = world.parent("parent", move |ctx| {
            let supervision = Supervision::restart().backoff(Backoff::exponential(SECOND * 5, SECOND * 5));
            let a = ctx.spawn("a", inner.plain("a").supervision(supervision))?;
            let pipe = Msg::run(|ctx| {
                let (early, late) = (ctx.env().sleep(SECOND), ctx.env().sleep(SECOND * 10));
                ctx.pipe_to_self(early, |()| panic!("in a pipe"))?;
                ctx.pipe_to_self(late, |()| Msg::Note(1))?;
                Err(Failure::msg("x"))
            });
            a.tell(pipe).expect("it has room");
            Ok(())
        });
        world.system.spawn("parent", parent).expect("a free name");
        world.rest().await;
        let crashes: Vec<_> = world.crashes().iter().map(|crash| (crash.during(), crash.attempt())).collect();
        let running = During::Running { message_type: std::any::type_name::<Msg>() };
        assert_eq!(crashes, [(running, 1), (During::Piped, 2)]);
        assert_eq!(handled(&world), ["a#2 1"]);
    });
}

#[test]
fn what_a_timer_or_an_error_drops_cannot_harm_the_restart() {
    /// An error whose display and whose drop panic.
    #[derive(Debug)]
    struct Vicious(crate::world::Bomb);

    impl std::fmt::Display for Vicious {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no words")
        }
    }

    impl std::error::Error for Vicious {}

    simulate(async |world| {
        let a = world.system.spawn("a", world.plain("a")).expect("a free name");
        let set = Msg::run(|ctx| {
            let bomb = crate::world::Bomb;
            ctx.timers().once("bomb", SECOND, || Msg::Bomb(bomb));
            Err(Vicious(crate::world::Bomb).into())
        });
        told(&a, [set, Msg::Note(1)]);
        world.rest().await;
        assert_eq!(handled(&world), ["a#2 1"]);
        // The error, and the drop of the timer.
        assert_eq!(world.system.stats().failures, 2);
    });
}

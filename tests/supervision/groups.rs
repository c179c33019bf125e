//! What do siblings do when the failure of one restarts several of them?

use omnitron::prelude::*;

use crate::world::{At, Msg, Node, SECOND, World, simulate};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A parent with the children `a` to `d`; `chosen` gives each its supervision and, if it wants, its node.
async fn siblings(
    world: &World,
    chosen: impl Fn(&World, &'static str) -> (Spawn<Node>, Supervision) + Send + Sync + 'static,
) -> [ActorRef<Msg>; 4] {
    let inner = world.clone();
    let parent = world.parent("parent", move |ctx| {
        for name in NAMES {
            let (node, supervision) = chosen(&inner, name);
            ctx.spawn(name, node.supervision(supervision))?;
        }
        Ok(())
    });
    world.system.spawn("parent", parent.supervision(Supervision::stop())).expect("a free name");
    world.wait(SECOND).await;
    NAMES.map(|name| world.find(&format!("/user/parent/{name}")))
}

fn made(world: &World) -> [u32; 4] {
    NAMES.map(|name| world.made(name))
}

/// The notes of the children from the first failure on, without what parents hear.
fn round(world: &World) -> Vec<String> {
    let notes = world.notes(|line| !line.starts_with("parent"));
    let first = notes.iter().position(|line| line.contains("pre_restart")).expect("one has failed");
    notes[first..].to_vec()
}

fn position(notes: &[String], what: &str) -> usize {
    notes.iter().position(|line| line == what).unwrap_or_else(|| panic!("no `{what}` in {notes:#?}"))
}

#[test]
fn all_halt_before_any_starts_and_start_one_after_the_other_in_the_order_of_their_spawns() {
    simulate(async |world| {
        let [_, b, ..] =
            siblings(&world, |world, name| (world.plain(name), Supervision::restart().all_for_one())).await;
        b.tell(Msg::panic("x")).expect("it lives");
        world.rest().await;
        let notes = round(&world);
        let (halts, starts) = notes.split_at(8);
        for name in NAMES {
            let halted = position(halts, &format!("{name}#1 pre_restart by b"));
            assert!(halted < position(halts, &format!("{name}#1 dropped")));
        }
        let expected: Vec<_> = NAMES
            .iter()
            .flat_map(|name| [format!("{name}#2 made"), format!("{name}#2 post_restart by b")])
            .collect();
        assert_eq!(starts, expected);
    });
}

#[test]
fn the_next_sibling_waits_until_the_one_before_it_has_started() {
    /// An actor that takes a while to start again.
    struct Slow(World, &'static str);

    impl Actor for Slow {
        type Msg = Msg;

        async fn receive(&mut self, _: Msg, _: &mut Context<Self>) -> Result<(), Failure> {
            Err(Failure::msg("x"))
        }

        async fn post_restart(&mut self, _: &Crash, ctx: &mut Context<Self>) -> Result<(), Failure> {
            self.0.note(self.1, 2, "begins");
            ctx.env().clone().sleep(SECOND).await;
            self.0.note(self.1, 2, "has begun");
            Ok(())
        }
    }

    struct Parent(World);

    impl Actor for Parent {
        type Msg = Msg;

        async fn receive(&mut self, _: Msg, _: &mut Context<Self>) -> Result<(), Failure> {
            Ok(())
        }

        async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
            for name in NAMES {
                let world = self.0.clone();
                let child = Spawn::new(move || Slow(world.clone(), name));
                ctx.spawn(name, child.supervision(Supervision::restart().rest_for_one()))?;
            }
            Ok(())
        }
    }

    simulate(async |world| {
        let inner = world.clone();
        world.system.spawn("parent", move || Parent(inner.clone())).expect("a free name");
        world.wait(SECOND).await;
        world.find("/user/parent/b").tell(Msg::Note(1)).expect("it lives");
        let begin = world.system.env().now();
        world.rest().await;
        let expected =
            ["b#2 begins", "b#2 has begun", "c#2 begins", "c#2 has begun", "d#2 begins", "d#2 has begun"];
        assert_eq!(world.notes(|_| true), expected);
        assert_eq!(world.times("begins"), [0, 1, 2].map(|seconds| begin + SECOND * seconds));
    });
}

#[test]
fn a_failure_concerns_nobody_earlier_under_rest_for_one_and_nobody_else_under_one_for_one() {
    let strategies: [fn() -> Supervision; 3] = [
        Supervision::restart,
        || Supervision::restart().rest_for_one(),
        || Supervision::restart().all_for_one(),
    ];
    for (strategy, expected) in strategies.into_iter().zip([[1, 2, 1, 1], [1, 2, 2, 2], [2, 2, 2, 2]]) {
        simulate(async |world| {
            let [_, b, ..] = siblings(&world, move |world, name| (world.plain(name), strategy())).await;
            b.tell(Msg::fail("x")).expect("it lives");
            world.rest().await;
            assert_eq!(made(&world), expected);
        });
    }
}

#[test]
fn siblings_keep_their_mailboxes_and_finish_the_message_in_hand() {
    simulate(async |world| {
        let [a, b, ..] =
            siblings(&world, |world, name| (world.plain(name), Supervision::restart().all_for_one())).await;
        for message in [Msg::Sleep(SECOND * 5, 1), Msg::Note(2), Msg::Note(3)] {
            a.tell(message).expect("it lives");
        }
        world.wait(SECOND).await;
        b.tell(Msg::fail("x")).expect("it lives");
        world.rest().await;
        assert_eq!(made(&world), [2; 4]);
        let handled: Vec<_> = world.handled().iter().map(|&(_, number, memory)| (number, memory)).collect();
        assert_eq!(handled, [(1, 1), (2, 1), (3, 2)]);
    });
}

#[test]
fn two_siblings_that_fail_at_once_make_one_round() {
    simulate(async |world| {
        let [_, b, _, d] = siblings(&world, |world, name| {
            let node = world.plain(name).handler_limit(SECOND * 3);
            (node, Supervision::restart().all_for_one())
        })
        .await;
        // Both exceed their limit at the same instant, in a handler: neither can be told to halt before it fails.
        for stuck in [&b, &d] {
            stuck.tell(Msg::Sleep(SECOND * 1000, 1)).expect("it lives");
            stuck.tell(Msg::Note(2)).expect("it lives");
        }
        world.rest().await;
        assert_eq!(made(&world), [2; 4]);
        assert_eq!(world.system.stats().failures, 2);
        assert_eq!(world.handled().len(), 2, "both run again");
    });
}

#[test]
fn a_failure_during_a_round_joins_it_and_all_run_in_the_end() {
    simulate(async |world| {
        let [_, b, ..] = siblings(&world, |world, name| {
            let node = world.node(name, move |at, incarnation, _| {
                // `c` fails at its first start in the round, when `a` and `b` run again already.
                assert!(!(name == "c" && at == At::PostRestart && incarnation == 2), "x");
                Ok(())
            });
            (node, Supervision::restart().all_for_one())
        })
        .await;
        b.tell(Msg::fail("x")).expect("it lives");
        world.rest().await;
        // `d` had halted, and starts once.
        assert_eq!(made(&world), [3, 3, 3, 2]);
        let last: Vec<_> = world.notes(|line| line.contains("post_restart")).split_off(3);
        let expected = [
            "a#3 post_restart by c",
            "b#3 post_restart by c",
            "c#3 post_restart by c",
            "d#2 post_restart by b",
        ];
        assert_eq!(last, expected);
    });
}

#[test]
fn a_sibling_that_stops_during_a_round_holds_up_nobody() {
    simulate(async |world| {
        let [a, b, c, d] =
            siblings(&world, |world, name| (world.plain(name), Supervision::restart().all_for_one())).await;
        // `c` works on while the others have halted, and stops.
        c.tell(Msg::Sleep(SECOND * 3, 1)).expect("it lives");
        world.wait(SECOND).await;
        b.tell(Msg::fail("x")).expect("it lives");
        world.wait(SECOND).await;
        assert_eq!(made(&world), [1; 4], "nobody starts before all have halted");
        drop(c.stop());
        world.rest().await;
        assert_eq!(made(&world), [2, 2, 1, 2]);
        assert!(c.is_stopped() && !a.is_stopped() && !b.is_stopped() && !d.is_stopped());
    });
}

#[test]
fn a_halted_sibling_can_be_stopped_before_its_turn() {
    simulate(async |world| {
        let [a, b, c, d] =
            siblings(&world, |world, name| (world.plain(name), Supervision::restart().all_for_one())).await;
        a.tell(Msg::Sleep(SECOND * 3, 1)).expect("it lives");
        world.wait(SECOND).await;
        b.tell(Msg::fail("x")).expect("it lives");
        world.wait(SECOND).await;
        let now = world.system.env().now();
        c.stop().await;
        assert_eq!(world.system.env().now(), now, "at once");
        world.rest().await;
        assert_eq!(made(&world), [2, 2, 1, 2]);
        assert!(!d.is_stopped());
    });
}

#[test]
fn a_sibling_told_to_halt_while_it_restarts_by_itself_halts_all_the_same() {
    simulate(async |world| {
        // `a` restarts alone, and has a child that takes its time to stop; `b` takes all with it.
        let [a, b, ..] = siblings(&world, |world, name| {
            let supervision = Supervision::restart();
            if name != "a" {
                return (world.plain(name), supervision.all_for_one());
            }
            let inner = world.clone();
            let node = world.parent("a", move |ctx| {
                let child = ctx.spawn("child", inner.plain("child"))?;
                child.tell(Msg::Sleep(SECOND * 3, 1)).expect("it has room");
                Ok(())
            });
            (node, supervision)
        })
        .await;
        a.tell(Msg::fail("x")).expect("it lives");
        world.wait(SECOND).await;
        b.tell(Msg::fail("y")).expect("it lives");
        world.wait(SECOND / 2).await;
        assert_eq!(made(&world), [1; 4], "the child of `a` is not done yet");
        world.rest().await;
        assert_eq!(made(&world), [2; 4]);
        let incarnation = b.ask(Msg::Ping).await.expect("the round has ended, and it runs");
        assert_eq!(incarnation, 2);
        assert_eq!(a.ask(Msg::Ping).await.expect("it runs"), 2);
    });
}

#[test]
fn a_sibling_in_back_off_joins_the_round_and_is_not_waited_for() {
    simulate(async |world| {
        let [a, b, ..] = siblings(&world, |world, name| {
            let alone = Supervision::restart().backoff(Backoff::exponential(SECOND * 100, SECOND * 100));
            (world.plain(name), if name == "a" { alone } else { Supervision::restart().all_for_one() })
        })
        .await;
        a.tell(Msg::fail("x")).expect("it lives");
        world.wait(SECOND).await;
        b.tell(Msg::fail("y")).expect("it lives");
        world.wait(SECOND).await;
        assert_eq!(made(&world), [2; 4]);
        world.rest().await;
        assert_eq!(made(&world), [2; 4]);
    });
}

#[test]
fn a_sibling_that_waits_for_a_verdict_joins_the_round() {
    simulate(async |world| {
        let [a, b, ..] = siblings(&world, |world, name| {
            let supervision =
                if name == "a" { Supervision::escalate() } else { Supervision::restart().all_for_one() };
            (world.plain(name), supervision)
        })
        .await;
        // The parent is busy, and does not decide for now; when it does, it stops.
        let parent = world.find("/user/parent");
        parent.tell(Msg::Sleep(SECOND * 10, 1)).expect("it lives");
        world.wait(SECOND).await;
        a.tell(Msg::fail("x")).expect("it lives");
        world.wait(SECOND).await;
        b.tell(Msg::fail("y")).expect("it lives");
        world.wait(SECOND).await;
        assert_eq!(made(&world), [2; 4]);
        assert_eq!(a.ask(Msg::Ping).await.expect("it runs"), 2);
        world.rest().await;
        assert!(parent.is_stopped(), "what was escalated is not forgotten");
    });
}

#[test]
fn a_kept_child_that_escalated_starts_again_when_a_round_restarts_its_parent_first() {
    simulate(async |world| {
        let [_, b, ..] = siblings(&world, |world, name| {
            if name != "a" {
                return (world.plain(name), Supervision::restart().all_for_one());
            }
            let inner = world.clone();
            let a = world.node("a", move |at, _, ctx| {
                if let (At::Started, Some(ctx)) = (at, ctx) {
                    ctx.spawn("child", inner.plain("child").supervision(Supervision::escalate()))?;
                }
                Ok(())
            });
            (a, Supervision::escalate().keep_children())
        })
        .await;
        // `child` waits for `a`, which waits for its parent, which is busy.
        world.find("/user/parent").tell(Msg::Sleep(SECOND * 10, 1)).expect("it lives");
        world.wait(SECOND).await;
        let child = world.find("/user/parent/a/child");
        child.tell(Msg::fail("x")).expect("it lives");
        world.wait(SECOND).await;
        b.tell(Msg::fail("y")).expect("it lives");
        world.wait(SECOND).await;
        assert_eq!(made(&world), [2; 4]);
        assert_eq!(child.ask(Msg::Ping).await.expect("it runs"), 2);
    });
}

#[test]
fn a_round_waits_for_the_back_off_of_the_failed_one() {
    simulate(async |world| {
        let [_, b, ..] = siblings(&world, |world, name| {
            let backoff = Backoff::exponential(SECOND * 7, SECOND * 7);
            (world.plain(name), Supervision::restart().all_for_one().backoff(backoff))
        })
        .await;
        b.tell(Msg::fail("x")).expect("it lives");
        let failed = world.system.env().now();
        world.rest().await;
        assert_eq!(world.times("post_restart"), [failed + SECOND * 7; 4]);
        assert_eq!(world.times("pre_restart"), [failed; 4], "the others halt at once");
    });
}

#[test]
fn a_child_spawned_during_a_round_is_no_part_of_it() {
    simulate(async |world| {
        let [a, b, ..] =
            siblings(&world, |world, name| (world.plain(name), Supervision::restart().all_for_one())).await;
        a.tell(Msg::Sleep(SECOND * 3, 1)).expect("it lives");
        world.wait(SECOND).await;
        b.tell(Msg::fail("x")).expect("it lives");
        let inner = world.clone();
        let spawn = Msg::run(move |ctx| {
            ctx.spawn("late", inner.plain("late"))?;
            Ok(())
        });
        world.wait(SECOND).await;
        world.find("/user/parent").tell(spawn).expect("it lives");
        world.rest().await;
        assert_eq!(made(&world), [2; 4]);
        assert_eq!(world.made("late"), 1);
    });
}

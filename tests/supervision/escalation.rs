//! What happens to a failure that nobody below can deal with, and who hears of what?

use omnitron::prelude::*;

use crate::world::{At, Msg, SECOND, World, simulate};

/// `/user/top/middle/leaf`, each with its own supervision.
fn chain(
    world: &World,
    supervisions: impl Fn() -> [Supervision; 3] + Send + Sync + Clone + 'static,
) -> ActorRef<Msg> {
    let (inner, chosen) = (world.clone(), supervisions.clone());
    let top = world.node("top", move |at, _, ctx| {
        if let (At::Started | At::PostRestart, Some(ctx)) = (at, ctx)
            && ctx.children().is_empty()
        {
            let (leafs, chosen_below) = (inner.clone(), chosen.clone());
            let middle = inner.node("middle", move |at, _, ctx| {
                if let (At::Started | At::PostRestart, Some(ctx)) = (at, ctx)
                    && ctx.children().is_empty()
                {
                    let [_, _, supervision] = chosen_below();
                    ctx.spawn("leaf", leafs.plain("leaf").supervision(supervision))?;
                }
                Ok(())
            });
            let [_, supervision, _] = chosen();
            ctx.spawn("middle", middle.supervision(supervision))?;
        }
        Ok(())
    });
    let [supervision, ..] = supervisions();
    world.system.spawn("top", top.supervision(supervision)).expect("a free name")
}

async fn leaf(world: &World) -> ActorRef<Msg> {
    world.wait(SECOND).await;
    world.find("/user/top/middle/leaf")
}

fn made(world: &World) -> [u32; 3] {
    ["top", "middle", "leaf"].map(|name| world.made(name))
}

#[test]
fn a_failure_escalated_past_the_top_stops_the_system_and_its_cause_names_the_origin() {
    simulate(async |world| {
        chain(&world, || [Supervision::escalate(), Supervision::escalate(), Supervision::escalate()]);
        let leaf = leaf(&world).await;
        leaf.tell(Msg::Note(1)).expect("it lives");
        let line = line!() + 1;
        leaf.tell(Msg::run(|_| panic!("the very text"))).expect("it lives");
        leaf.tell(Msg::Note(2)).expect("it lives");
        let report = world.system.terminated().await;
        assert_eq!(report.unfinished, []);
        assert!(report.took < SECOND, "who waits for a verdict holds nothing up: {report}");
        let cause = report.cause.expect("the failure was escalated");
        assert_eq!(cause.path().to_string(), "/user/top");
        assert_eq!(cause.during(), During::Supervising);
        let origin = cause.origin();
        assert_eq!(origin.path(), leaf.path());
        assert_eq!(origin.during(), During::Running { message_type: std::any::type_name::<Msg>() });
        assert_eq!(origin.reason(), "panicked: the very text");
        let place = origin.place().expect("a panic has a place");
        let here = format!("tests/supervision/escalation.rs:{line}:");
        assert!(place.starts_with(&here), "{place}");
        // All of it in the one line that is logged, and nothing twice.
        let expected = format!(
            "/user/top failed in a child: /user/top/middle/leaf failed while handling {}: panicked: the very text \
             (at {place})",
            std::any::type_name::<Msg>(),
        );
        assert_eq!(cause.to_string(), expected);
        assert_eq!(made(&world), [1, 1, 1]);
        assert_eq!(world.handled(), [("leaf".to_owned(), 1, 1)]);
        assert_eq!(world.system.dead_letters().count(Reason::Stopped), 1);
    });
}

#[test]
fn only_the_first_cause_counts() {
    simulate(async |world| {
        let a = world.system.spawn("a", world.plain("a").supervision(Supervision::escalate()));
        let b = world.system.spawn("b", world.plain("b").supervision(Supervision::escalate()));
        a.expect("a free name").tell(Msg::fail("first")).expect("it lives");
        let late = Msg::run(|ctx| {
            ctx.timers().once("late", SECOND, || panic!("second"));
            Ok(())
        });
        b.expect("a free name").tell(late).expect("it lives");
        let cause = world.system.terminated().await.cause.expect("there is one");
        assert_eq!(cause.reason(), "first");
        assert_eq!(cause.origin().path(), cause.path(), "it is its own origin");
    });
}

#[test]
fn an_ancestor_that_resumes_lets_the_failed_one_go_on_with_its_state() {
    simulate(async |world| {
        chain(&world, || [Supervision::resume(), Supervision::escalate(), Supervision::escalate()]);
        let leaf = leaf(&world).await;
        for message in [Msg::Note(1), Msg::fail("x"), Msg::Note(2)] {
            leaf.tell(message).expect("it lives");
        }
        world.rest().await;
        assert_eq!(made(&world), [1, 1, 1]);
        assert_eq!(world.handled().last(), Some(&("leaf".to_owned(), 2, 2)));
    });
}

#[test]
fn an_ancestor_that_restarts_ends_the_failed_one_and_makes_it_anew() {
    simulate(async |world| {
        chain(&world, || [Supervision::restart(), Supervision::escalate(), Supervision::escalate()]);
        let leaf = leaf(&world).await;
        leaf.tell(Msg::fail("x")).expect("it lives");
        leaf.stopped().await;
        world.rest().await;
        assert_eq!(made(&world), [2, 2, 2]);
        assert!(world.lives("/user/top/middle/leaf"));
    });
}

#[test]
fn an_ancestor_that_restarts_and_keeps_its_children_restarts_the_failed_one_with_its_mailbox() {
    simulate(async |world| {
        chain(&world, || {
            [
                Supervision::restart().keep_children(),
                Supervision::restart().keep_children(),
                Supervision::escalate(),
            ]
        });
        let leaf = leaf(&world).await;
        for message in [Msg::Note(1), Msg::fail("x"), Msg::Note(2)] {
            leaf.tell(message).expect("it lives");
        }
        world.rest().await;
        assert_eq!(made(&world), [1, 2, 2]);
        assert!(!leaf.is_stopped(), "the reference holds over the restart");
        assert_eq!(world.handled().last(), Some(&("leaf".to_owned(), 2, 1)));
    });
}

#[test]
fn an_ancestor_that_stops_takes_all_below_with_it() {
    simulate(async |world| {
        let top = chain(&world, || [Supervision::stop(), Supervision::escalate(), Supervision::escalate()]);
        let leaf = leaf(&world).await;
        leaf.tell(Msg::fail("x")).expect("it lives");
        top.stopped().await;
        let ends = world.notes(|line| line.ends_with("stopped"));
        assert_eq!(ends, ["leaf#1 stopped", "middle#1 stopped", "top#1 stopped"]);
        assert_eq!(world.system.stats().actors, 0);
    });
}

#[test]
fn who_waits_for_a_verdict_can_be_stopped() {
    simulate(async |world| {
        chain(&world, || [Supervision::stop(), Supervision::stop(), Supervision::escalate()]);
        let leaf = leaf(&world).await;
        let middle = world.find("/user/top/middle");
        middle.tell(Msg::Sleep(SECOND * 100, 1)).expect("it lives");
        world.wait(SECOND).await;
        leaf.tell(Msg::fail("x")).expect("it lives");
        world.wait(SECOND).await;
        leaf.stop().await;
        world.rest().await;
        // The failure of one that is gone concerns nobody any more.
        assert!(!middle.is_stopped());
    });
}

#[test]
fn the_parent_hears_of_every_failure_and_restart_with_its_number() {
    simulate(async |world| {
        let inner = world.clone();
        let parent = world.parent("parent", move |ctx| {
            let supervision = Supervision::restart()
                .decide(|failure| if failure.is_panic() { Directive::Restart } else { Directive::Resume });
            ctx.spawn("a", inner.plain("a").supervision(supervision))?;
            Ok(())
        });
        world.system.spawn("parent", parent).expect("a free name");
        world.wait(SECOND).await;
        let a = world.find("/user/parent/a");
        for message in [Msg::fail("x"), Msg::panic("y"), Msg::fail("x"), Msg::panic("y")] {
            a.tell(message).expect("it lives");
            world.wait(SECOND).await;
        }
        let expected = [
            "parent#1 hears failure 1 of a",
            "parent#1 hears failure 2 of a",
            "parent#1 hears restart 1 of a",
            "parent#1 hears failure 3 of a",
            "parent#1 hears failure 4 of a",
            "parent#1 hears restart 2 of a",
        ];
        assert_eq!(world.notes(|line| line.contains("hears")), expected);
    });
}

#[test]
fn a_parent_that_awaits_a_reply_from_its_child_does_not_hold_up_the_recovery_of_the_child() {
    struct Parent;

    impl Actor for Parent {
        type Msg = (World, ReplyTo<u32>);

        async fn receive(
            &mut self,
            (world, reply): Self::Msg,
            ctx: &mut Context<Self>,
        ) -> Result<(), Failure> {
            let child: ActorRef<Msg> = ctx.spawn("child", world.plain("child"))?;
            child.tell(Msg::panic("x"))?;
            reply.send(child.ask(Msg::Ping).await?);
            Ok(())
        }
    }

    simulate(async |world| {
        let parent = world.system.spawn("parent", || Parent).expect("a free name");
        let incarnation = parent.ask(|reply| (world.clone(), reply)).await.expect("the child answers");
        assert_eq!(incarnation, 2);
    });
}

#[test]
fn a_handler_over_its_limit_is_cancelled_and_the_actor_fails() {
    for (directive, expected) in
        [(Directive::Restart, ["a#1 1", "a#2 3", "a#2 4"]), (Directive::Resume, ["a#1 1", "a#1 3", "a#1 4"])]
    {
        simulate(async |world| {
            let supervision = Supervision::stop().decide(move |failure| {
                assert!(failure.is_over_limit() && !failure.is_panic());
                directive
            });
            let a = world.plain("a").handler_limit(SECOND * 3).supervision(supervision);
            let a = world.system.spawn("a", a).expect("a free name");
            let begin = world.system.env().now();
            let stuck = Msg::Sleep(SECOND * 1000, 2);
            let in_time = Msg::Sleep(SECOND * 2, 4);
            for message in [Msg::Note(1), stuck, Msg::Note(3), in_time] {
                a.tell(message).expect("it lives");
            }
            world.rest().await;
            let numbers = |line: &str| line.ends_with(|last: char| last.is_ascii_digit());
            assert_eq!(world.notes(numbers), expected);
            assert_eq!(world.times("3"), [begin + SECOND * 3], "cancelled at the limit, to the nanosecond");
            assert_eq!(world.system.stats().failures, 1);
        });
    }
}

#[test]
fn an_ask_to_a_handler_that_is_cancelled_ends_at_once() {
    struct Stuck;

    impl Actor for Stuck {
        type Msg = ReplyTo<()>;

        async fn receive(&mut self, reply: ReplyTo<()>, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.env().clone().sleep(SECOND * 1000).await;
            reply.send(());
            Ok(())
        }
    }

    simulate(async |world| {
        let stuck = Spawn::new(|| Stuck).handler_limit(SECOND);
        let stuck = world.system.spawn("stuck", stuck).expect("a free name");
        let begin = world.system.env().now();
        let error = stuck.ask(|reply| reply).await.expect_err("it never answers");
        assert!(matches!(error, AskError::Abandoned), "{error:?}");
        assert_eq!(world.system.env().now() - begin, SECOND);
    });
}

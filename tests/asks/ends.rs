//! In which ways can a target end while it is asked, and which error tells of each?

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::{Unanswered, drop_unanswered};

use crate::world::{AGES, Question, Record, SECOND, Way, World, did_not_act, question};

#[test]
fn a_reply_is_the_result_of_an_ask() {
    let world = World::new();
    let reply = world.asks(7, Way::Reply);
    assert_eq!(world.end(reply).unwrap(), 7);
}

#[test]
fn a_target_that_never_existed_is_not_found() {
    let world = World::new();
    let error = world.system.lookup::<Question>("/user/nobody").unwrap_err();
    assert!(matches!(&error, LookupError::NotFound { path } if path.as_str() == "/user/nobody"), "{error:?}");
    assert_eq!(error.to_string(), "there is no actor at /user/nobody");
}

#[test]
fn a_target_of_another_type_is_not_given_out_and_both_types_are_named() {
    let world = World::new();
    let error = world.system.lookup::<String>("/user/target").unwrap_err();
    let LookupError::WrongType { requested, actual, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*requested, actual.ends_with("Question")), ("alloc::string::String", true));
    let found = world.system.lookup::<Question>("/user/target").unwrap();
    assert_eq!(found, world.target);
}

#[test]
fn a_target_that_stopped_before_refuses() {
    let world = World::new();
    world.sim.block_on(world.target.stop());
    let asked = world.asks(1, Way::Reply);
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::Refused(Refusal::Stopped)), "{error:?}");
    did_not_act(&error, &world.handled, 1);
}

#[test]
fn a_target_that_stops_while_the_question_is_queued_leaves_it_unhandled() {
    let world = World::new();
    let first = world.occupy(SECOND);
    let queued = [world.asks(1, Way::Reply), world.asks(2, Way::Reply)];
    world.sim.block_on(world.target.stop());
    assert_eq!(world.end(first).unwrap(), 0, "the message it has is handled to its end");
    for (number, asked) in (1..).zip(queued) {
        let error = world.end(asked).unwrap_err();
        assert!(matches!(error, AskError::Unhandled), "{error:?}");
        did_not_act(&error, &world.handled, number);
    }
    assert_eq!(world.system.dead_letters().count(Reason::Stopped), 2);
}

#[test]
fn a_target_that_stops_itself_leaves_the_rest_of_its_batch_unhandled() {
    let world = World::new();
    let first = world.occupy(SECOND);
    let stops = world.asks(1, Way::StopAndReply);
    let behind = world.asks(2, Way::Reply);
    assert_eq!(world.end(first).unwrap(), 0);
    assert_eq!(world.end(stops).unwrap(), 1);
    let error = world.end(behind).unwrap_err();
    assert!(matches!(error, AskError::Unhandled), "{error:?}");
    did_not_act(&error, &world.handled, 2);
}

#[test]
fn a_target_that_drains_handles_what_is_queued_and_refuses_what_comes_later() {
    let world = World::new();
    let first = world.occupy(SECOND);
    let queued = world.asks(1, Way::Reply);
    let drained = world.target.drain();
    world.sim.advance(SECOND);
    assert_eq!((world.end(first).unwrap(), world.end(queued).unwrap()), (0, 1));
    world.sim.block_on(drained);
    let late = world.asks(2, Way::Reply);
    assert!(matches!(world.end(late), Err(AskError::Refused(Refusal::Stopped))));
}

#[test]
fn a_restart_keeps_queued_questions_and_the_fresh_actor_answers_them() {
    for way in [Way::Panic, Way::Fail] {
        let world = World::new();
        let first = world.occupy(SECOND);
        let failing = world.asks(1, way);
        let queued = world.asks(2, Way::Reply);
        assert_eq!(world.end(first).unwrap(), 0);
        assert!(world.end(failing).is_err());
        assert_eq!(world.end(queued).unwrap(), 2, "{way:?}");
        assert_eq!(world.system.stats().restarts, 1);
    }
}

#[test]
fn an_error_before_the_reply_abandons_the_question() {
    let world = World::new();
    let asked = world.asks(1, Way::Fail);
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::Abandoned), "{error:?}");
    assert_eq!(error.acted(), Acted::Maybe);
}

#[test]
fn a_panic_before_the_reply_is_a_crash() {
    let world = World::new();
    let asked = world.asks(1, Way::Panic);
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::Crashed), "{error:?}");
    assert_eq!(error.acted(), Acted::Maybe);
}

#[test]
fn a_dropped_reply_abandons_the_question_at_once() {
    let world = World::new();
    let mut asked = world.asks(1, Way::Drop);
    let error = asked.try_take().expect("no time has passed").unwrap_err();
    assert!(matches!(error, AskError::Abandoned), "{error:?}");
    assert_eq!((error.acted(), world.sim.elapsed()), (Acted::Maybe, Duration::ZERO));
}

#[test]
fn a_reply_dropped_in_another_task_abandons_the_question_when_it_is_dropped() {
    let world = World::new();
    let asked = world.asks(1, Way::DropElsewhere(SECOND));
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::Abandoned), "{error:?}");
    assert_eq!((error.acted(), world.sim.elapsed()), (Acted::Maybe, SECOND));
}

#[test]
fn a_reply_from_another_task_arrives_also_when_the_target_has_stopped_meanwhile() {
    let world = World::new();
    let asked = world.asks(1, Way::ReplyElsewhere(SECOND));
    world.sim.block_on(world.target.stop());
    assert_eq!(world.end(asked).unwrap(), 1);
}

#[test]
fn a_stashed_question_is_abandoned_when_the_target_stops() {
    let world = World::new();
    let asked = world.asks(1, Way::Stash);
    world.sim.block_on(world.target.stop());
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::Abandoned), "the handler had seen it: {error:?}");
    assert_eq!(error.acted(), Acted::Maybe);
}

#[test]
fn a_handler_cancelled_by_its_limit_abandons_the_question() {
    let world = World::with(|target| target.handler_limit(SECOND));
    let asked = world.asks(1, Way::Hang);
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::Abandoned), "{error:?}");
    assert_eq!((error.acted(), world.sim.elapsed()), (Acted::Maybe, SECOND));
}

#[test]
fn a_handler_cancelled_by_a_stop_abandons_the_question_when_its_grace_is_over() {
    let world = World::with(|target| target.stop_grace(SECOND));
    let asked = world.asks_within(1, Way::Hang, AGES);
    world.sim.block_on(world.target.stop());
    assert!(matches!(world.end(asked), Err(AskError::Abandoned)));
    assert_eq!(world.sim.elapsed(), SECOND);
}

#[test]
fn a_stopped_system_refuses_and_says_so() {
    let world = World::new();
    world.sim.block_on(world.system.shutdown());
    let error = world.sim.block_on(world.target.ask(question(1, Way::Reply))).unwrap_err();
    assert!(matches!(error, AskError::Refused(Refusal::SystemStopped)), "{error:?}");
    did_not_act(&error, &world.handled, 1);
}

#[test]
fn a_system_that_shuts_down_refuses_new_questions_and_answers_those_it_has() {
    let world = World::new();
    let first = world.occupy(SECOND);
    let queued = world.asks(1, Way::Reply);
    world.system.begin_shutdown();
    world.sim.run_until_idle();
    let error = world.sim.block_on(world.target.ask(question(2, Way::Reply))).unwrap_err();
    assert!(matches!(error, AskError::Refused(Refusal::ShuttingDown)), "{error:?}");
    did_not_act(&error, &world.handled, 2);
    assert_eq!((world.end(first).unwrap(), world.end(queued).unwrap()), (0, 1));
    let report = world.sim.block_on(world.system.terminated());
    assert!(report.unfinished.is_empty(), "{report}");
}

#[test]
fn a_shutdown_that_runs_out_of_time_answers_what_it_cancels_and_what_it_never_came_to() {
    let world = World::with(|target| target.stop_grace(AGES));
    let hanging = world.asks_within(1, Way::Hang, AGES);
    let queued = world.asks_within(2, Way::Reply, AGES);
    let report = world.sim.block_on(world.system.shutdown());
    assert_eq!(report.unfinished.len(), 1, "{report}");
    assert!(matches!(world.end(hanging), Err(AskError::Abandoned)));
    let error = world.end(queued).unwrap_err();
    assert!(matches!(error, AskError::Unhandled), "{error:?}");
    did_not_act(&error, &world.handled, 2);
}

/// Counts what it handles, whether or not a reply came with it.
struct Counter {
    handled: Record,
}

impl Actor for Counter {
    type Msg = (u64, Option<ReplyTo<u64>>);

    async fn receive(&mut self, (number, reply): Self::Msg, _: &mut Context<Self>) -> Result<(), Failure> {
        self.handled.add(number);
        if let Some(reply) = reply {
            reply.send(number);
        }
        Ok(())
    }
}

#[test]
fn a_question_whose_reply_was_dropped_before_the_target_began_is_not_handled() {
    let world = World::new();
    let record = world.handled.clone();
    let counter = world.system.spawn("counter", move || Counter { handled: record.clone() }).unwrap();
    let without_reply = world.sim.block_on(counter.ask(|reply: ReplyTo<u64>| {
        drop(reply);
        (1, None)
    }));
    let error = without_reply.unwrap_err();
    assert!(matches!(error, AskError::Unhandled), "{error:?}");
    let next = world.sim.block_on(counter.ask(|reply| (2, Some(reply))));
    assert_eq!(next.unwrap(), 2);
    did_not_act(&error, &world.handled, 1);
    assert_eq!(world.system.dead_letters().total(), 1, "what was skipped is no secret");
}

/// Drops what it is asked, and says why.
struct Unable;

enum Wish {
    Now(Unanswered, ReplyTo<u64>),
    /// The reply goes elsewhere first, and is dropped there.
    Elsewhere(Unanswered, ReplyTo<u64>),
}

impl Actor for Unable {
    type Msg = Wish;

    async fn receive(&mut self, wish: Wish, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match wish {
            Wish::Now(why, reply) => drop_unanswered(reply, why),
            Wish::Elsewhere(why, reply) => {
                ctx.env().spawn(|| "elsewhere".to_owned(), async move { drop_unanswered(vec![reply], why) });
            }
        }
        Ok(())
    }
}

#[test]
fn an_actor_that_cannot_answer_says_why_and_whether_it_acted() {
    let world = World::new();
    let unable = world.system.spawn("unable", || Unable).unwrap();
    for make in [Wish::Now as fn(_, _) -> _, Wish::Elsewhere] {
        let unavailable = world.sim.block_on(unable.ask(|reply| make(Unanswered::Unavailable, reply)));
        let unconfirmed = world.sim.block_on(unable.ask(|reply| make(Unanswered::Unconfirmed, reply)));
        let (unavailable, unconfirmed) = (unavailable.unwrap_err(), unconfirmed.unwrap_err());
        assert!(matches!(unavailable, AskError::Unavailable) && unavailable.acted() == Acted::No);
        assert!(matches!(unconfirmed, AskError::Unconfirmed) && unconfirmed.acted() == Acted::Maybe);
    }
    // The reason ends with what was dropped for it.
    let dropped = world.asks(1, Way::Drop);
    assert!(matches!(world.end(dropped), Err(AskError::Abandoned)));
}

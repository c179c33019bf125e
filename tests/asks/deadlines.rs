//! When does an ask end that nobody answers, and what does its deadline say about the target?

use std::time::Duration;

use omnitron::prelude::*;

use crate::world::{AGES, SECOND, Way, World, did_not_act, poll_once, question, start};

/// How much later than its deadline an ask may end: two ticks of the wheel.
const SLACK: Duration = Duration::from_millis(20);

#[test]
fn a_deadline_that_passes_in_the_mailbox_expires_the_question_and_it_is_never_handled() {
    let world = World::new();
    let first = world.occupy(SECOND);
    let asked = world.asks_within(1, Way::Reply, SECOND / 2);
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::Expired { after } if after == SECOND / 2), "{error:?}");
    assert!((SECOND / 2..=SECOND / 2 + SLACK).contains(&world.sim.elapsed()));
    assert_eq!(world.end(first).unwrap(), 0);
    let next = world.asks(2, Way::Reply);
    assert_eq!(world.end(next).unwrap(), 2);
    did_not_act(&error, &world.handled, 1);
    assert_eq!(world.system.dead_letters().count(Reason::Expired), 1);
}

#[test]
fn a_deadline_that_passes_while_the_question_is_handled_times_it_out() {
    let world = World::new();
    let asked = world.asks_within(1, Way::ReplyAfter(SECOND), SECOND / 2);
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::TimedOut { after } if after == SECOND / 2), "{error:?}");
    assert_eq!(error.acted(), Acted::Maybe);
    assert!((SECOND / 2..=SECOND / 2 + SLACK).contains(&world.sim.elapsed()));
    world.sim.advance(SECOND);
    assert_eq!(world.system.dead_letters().count(Reason::LateReply), 1);
}

#[test]
fn a_stashed_question_times_out_because_the_handler_has_seen_it() {
    let world = World::new();
    let asked = world.asks_within(1, Way::Stash, SECOND);
    assert!(matches!(world.end(asked), Err(AskError::TimedOut { .. })));
}

#[test]
fn without_a_limit_of_its_own_an_ask_has_that_of_the_system() {
    let world = World::new();
    let asked = world.asks(1, Way::Hang);
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::TimedOut { after } if after == SECOND * 5), "{error:?}");

    let builder = ActorSystem::builder("patient").ask_timeout(SECOND * 60).env(world.sim.env());
    let patient = world.sim.block_on(builder.start()).unwrap();
    let (began, silent) = (world.sim.now(), patient.spawn("silent", || Silent).unwrap());
    let error = world.sim.block_on(silent.ask(|reply| reply)).unwrap_err();
    assert!(matches!(error, AskError::TimedOut { after } if after == SECOND * 60), "{error:?}");
    assert!((SECOND * 60..=SECOND * 60 + SLACK).contains(&(world.sim.now() - began)));
}

/// Never answers.
struct Silent;

impl Actor for Silent {
    type Msg = ReplyTo<()>;

    async fn receive(&mut self, _held: ReplyTo<()>, _: &mut Context<Self>) -> Result<(), Failure> {
        std::future::pending().await
    }
}

#[test]
fn a_reply_just_before_the_deadline_counts_and_one_after_its_last_tick_does_not() {
    let (limit, moment) = (SECOND / 2, Duration::from_nanos(1));
    let just_before = Duration::from_nanos(499_999_999);
    let world = World::new();
    let asked = world.asks_within(1, Way::ReplyAfter(just_before), limit);
    assert_eq!(world.end(asked).unwrap(), 1, "a deadline never ends an ask early");
    let asked = world.asks_within(2, Way::ReplyAfter(limit + SLACK + moment), limit);
    assert!(matches!(world.end(asked), Err(AskError::TimedOut { .. })));
}

#[test]
fn an_ask_without_any_time_still_ends_and_its_error_is_true() {
    let world = World::new();
    let asked = world.asks_within(1, Way::ReplyAfter(SECOND), Duration::ZERO);
    let error = world.end(asked).unwrap_err();
    assert!(matches!(error, AskError::TimedOut { after: Duration::ZERO }), "{error:?}");
    let queued = world.asks_within(2, Way::Reply, Duration::ZERO);
    let error = world.end(queued).unwrap_err();
    assert!(matches!(error, AskError::Expired { after: Duration::ZERO }), "{error:?}");
    assert!(world.sim.elapsed() <= SLACK * 2);
    world.sim.advance(SECOND * 2);
    did_not_act(&error, &world.handled, 2);
}

#[test]
fn an_ask_with_all_the_time_there_is_waits_for_its_reply() {
    let world = World::new();
    let asked = world.asks_within(1, Way::ReplyAfter(SECOND * 100), Duration::MAX);
    assert_eq!(world.end(asked).unwrap(), 1);
}

#[test]
fn a_shorter_deadline_after_a_longer_one_is_kept() {
    let world = World::new();
    // One slot serves all of these, one after the other; its entry in the wheel has to follow.
    for (number, limit) in [(1, AGES), (2, SECOND), (3, SECOND / 2), (4, SECOND * 2), (5, SECOND / 4)] {
        let answered = world.asks_within(number * 10, Way::Reply, limit);
        assert_eq!(world.end(answered).unwrap(), number * 10);
        let began = world.sim.now();
        let lost = world.asks_within(number, Way::ReplyAfter(limit * 2), limit);
        assert!(matches!(world.end(lost), Err(AskError::TimedOut { .. })));
        let took = world.sim.now() - began;
        assert!((limit..=limit + SLACK).contains(&took), "{limit:?} took {took:?}");
        world.sim.advance(limit * 2);
    }
}

#[test]
fn the_deadline_runs_from_the_first_poll_and_not_from_the_call() {
    let world = World::new();
    let ask = world.target.ask(question(1, Way::ReplyAfter(SECOND / 2))).within(SECOND);
    world.sim.advance(SECOND * 10);
    assert_eq!(world.sim.block_on(ask).unwrap(), 1);
}

#[test]
fn many_asks_with_many_deadlines_each_end_at_their_own() {
    let world = World::with(|target| target.mailbox(Mailbox::unbounded()));
    let _first = world.occupy(AGES);
    let asks: Vec<_> = (1..=500u64)
        .map(|number| {
            let limit = Duration::from_millis(number * 37 % 5_000);
            let (env, ask) = (world.sim.env(), world.target.ask(question(number, Way::Reply)).within(limit));
            (limit, world.begin(async move { (ask.await, env.now()) }))
        })
        .collect();
    let began = world.sim.now();
    for (limit, asked) in asks {
        let (result, at) = world.end(asked);
        assert!(matches!(result, Err(AskError::Expired { after }) if after == limit), "{result:?}");
        assert!((limit..=limit + SLACK).contains(&(at - began)), "{limit:?} ended at {:?}", at - began);
    }
    assert_eq!(world.handled.numbers(), [0]);
}

#[test]
fn a_try_ask_tells_an_error_of_the_target_from_the_loss_of_the_reply() {
    let world = World::new();
    let judge = world.system.spawn("judge", || Judge).unwrap();
    let ask = |verdict: Verdict| judge.try_ask(move |reply| (verdict, reply)).within(SECOND);
    assert_eq!(world.sim.block_on(ask(Verdict::Yes)).unwrap(), "yes");
    let error = world.sim.block_on(ask(Verdict::No)).unwrap_err();
    assert!(matches!(error, AskError::Failed("no")), "{error:?}");
    assert_eq!(error.acted(), Acted::Yes);
    let error = world.sim.block_on(ask(Verdict::Silence)).unwrap_err();
    assert!(matches!(error, AskError::TimedOut { after: SECOND }), "{error:?}");
    world.sim.block_on(judge.stop());
    let error = world.sim.block_on(ask(Verdict::Yes)).unwrap_err();
    assert!(matches!(error, AskError::Refused(Refusal::Stopped)), "{error:?}");
}

#[derive(Clone, Copy)]
enum Verdict {
    Yes,
    No,
    Silence,
}

struct Judge;

impl Actor for Judge {
    type Msg = (Verdict, ReplyTo<Result<&'static str, &'static str>>);

    async fn receive(&mut self, (verdict, reply): Self::Msg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match verdict {
            Verdict::Yes => reply.send(Ok("yes")),
            Verdict::No => reply.send(Err("no")),
            Verdict::Silence => {
                ctx.env().sleep(SECOND * 2).await;
                drop(reply);
            }
        }
        Ok(())
    }
}

#[test]
fn deadlines_go_on_while_the_system_shuts_down() {
    let world = World::new();
    let asked = world.asks_within(1, Way::Hang, SECOND);
    world.system.begin_shutdown();
    assert!(matches!(world.end(asked), Err(AskError::TimedOut { after: SECOND })));
}

#[test]
fn an_ask_of_one_system_ends_though_another_in_the_same_process_has_stopped() {
    let world = World::new();
    let other = start(&world.sim, "other");
    world.sim.block_on(other.shutdown());
    let mut ask = world.target.ask(question(1, Way::Hang)).within(SECOND);
    assert!(world.sim.block_on(poll_once(&mut ask)).is_none());
    assert!(matches!(world.sim.block_on(ask), Err(AskError::TimedOut { after: SECOND })));
}

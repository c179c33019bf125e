//! What does the target see of a caller that goes away?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use omnitron::prelude::*;

use crate::world::{AGES, SECOND, Way, World, did_not_act, poll_once, question, start};
use omnitron::testkit::{Probe, Sim};

/// Works in steps, and looks before each of them whether anybody still waits.
struct Careful {
    steps: Arc<AtomicUsize>,
}

/// Steps of one unit of work.
const STEPS: usize = 10;
const STEP: Duration = Duration::from_millis(100);

impl Actor for Careful {
    type Msg = ReplyTo<usize>;

    async fn receive(&mut self, reply: ReplyTo<usize>, ctx: &mut Context<Self>) -> Result<(), Failure> {
        for done in 0..STEPS {
            if reply.is_abandoned() {
                return Ok(());
            }
            ctx.env().sleep(STEP).await;
            self.steps.store(done + 1, Ordering::Relaxed);
        }
        reply.send(STEPS);
        Ok(())
    }
}

fn careful() -> (Sim, ActorSystem, ActorRef<ReplyTo<usize>>, Arc<AtomicUsize>) {
    let sim = Sim::new(3);
    let system = start(&sim, "callers");
    let steps = Arc::new(AtomicUsize::new(0));
    let counter = steps.clone();
    let actor = system.spawn("careful", move || Careful { steps: counter.clone() }).unwrap();
    (sim, system, actor, steps)
}

#[test]
fn a_caller_that_stays_is_not_abandoned() {
    let (sim, _system, actor, _) = careful();
    assert_eq!(sim.block_on(actor.ask(|reply| reply)).unwrap(), STEPS);
}

#[test]
fn a_caller_that_goes_away_is_seen_in_the_middle_of_the_handler() {
    let (sim, _system, actor, steps) = careful();
    let mut ask = actor.ask(|reply| reply);
    assert!(sim.block_on(poll_once(&mut ask)).is_none());
    sim.advance(STEP * 3 + STEP / 2);
    assert_eq!(steps.load(Ordering::Relaxed), 3);
    drop(ask);
    sim.advance(STEP * 10);
    assert_eq!(steps.load(Ordering::Relaxed), 4, "the step it was in is the last one");
}

#[test]
fn a_caller_whose_deadline_passes_is_seen_in_the_middle_of_the_handler() {
    let (sim, _system, actor, steps) = careful();
    let error = sim.block_on(actor.ask(|reply| reply).within(STEP * 3 + STEP / 2)).unwrap_err();
    assert!(matches!(error, AskError::TimedOut { .. }), "{error:?}");
    sim.advance(STEP * 10);
    assert_eq!(steps.load(Ordering::Relaxed), 4);
}

#[test]
fn a_caller_that_went_away_before_the_handler_began_is_seen_at_once_and_the_message_is_still_handled() {
    let world = World::new();
    let first = world.occupy(SECOND);
    let mut ask = world.target.ask(question(1, Way::Reply));
    assert!(world.sim.block_on(poll_once(&mut ask)).is_none());
    drop(ask);
    assert_eq!(world.end(first).unwrap(), 0);
    world.sim.run_until_idle();
    assert!(world.handled.has(1), "a caller that goes away does not undo its question");
    assert_eq!(world.system.dead_letters().count(Reason::LateReply), 1);
}

#[test]
fn whoever_holds_a_reply_that_was_abandoned_can_see_it_and_drop_it_silently() {
    let sim = Sim::new(4);
    let system = start(&sim, "callers");
    let mut probe = Probe::<ReplyTo<u64>>::new(&system, "probe").unwrap();
    let mut ask = probe.actor().ask(|reply| reply).within(AGES);
    assert!(sim.block_on(poll_once(&mut ask)).is_none());
    let reply = sim.block_on(probe.expect_next(SECOND));
    assert!(!reply.is_abandoned());
    drop(ask);
    assert!(reply.is_abandoned());
    drop(reply);
    assert_eq!(system.dead_letters().total(), 0, "a reply nobody made is no dead letter");
}

#[test]
fn a_dropped_ask_that_nobody_polled_has_sent_nothing() {
    let world = World::new();
    drop(world.target.ask(question(1, Way::Reply)));
    world.sim.run_until_idle();
    assert!(world.handled.numbers().is_empty());
}

/// Asks the target, until it is asked to do something else.
struct Impatient {
    target: ActorRef<crate::world::Question>,
}

impl Actor for Impatient {
    type Msg = u64;

    async fn receive(&mut self, number: u64, _: &mut Context<Self>) -> Result<(), Failure> {
        self.target.ask(question(number, Way::ReplyAfter(SECOND * 2))).within(AGES).await?;
        Ok(())
    }
}

#[test]
fn an_asking_handler_that_is_cancelled_takes_its_waiting_question_back() {
    let world = World::with(|target| target.mailbox(Mailbox::bounded(1)));
    let _first = world.occupy(SECOND * 2);
    let target = world.target.clone();
    let spawn = Spawn::new(move || Impatient { target: target.clone() }).handler_limit(SECOND);
    let impatient = world.system.spawn("impatient", spawn).unwrap();
    impatient.tell(1).unwrap();
    world.sim.advance(SECOND * 10);
    assert_eq!(world.handled.numbers(), [0], "it waited for room when its handler was cancelled");
    assert_eq!(world.system.stats().failures, 1);
}

#[test]
fn what_is_taken_back_never_was_in_the_mailbox() {
    let world = World::with(|target| target.mailbox(Mailbox::bounded(1)));
    let _first = world.occupy(SECOND);
    let error = world.sim.block_on(world.target.ask(question(1, Way::Reply)).within(SECOND / 2)).unwrap_err();
    world.sim.advance(SECOND * 2);
    did_not_act(&error, &world.handled, 1);
    assert_eq!((world.system.dead_letters().total(), world.target.depth()), (0, 0));
}

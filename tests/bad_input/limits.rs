//! What do limits of nothing, and limits beyond all measure, mean?

use std::time::Duration;

use omnitron::prelude::*;

use crate::world::{Echo, Notes, SECOND, answers, world};

/// Does in its handlers what it is told.
#[derive(Clone)]
struct Doing {
    notes: Notes,
}

enum Do {
    /// Ready at once.
    Nothing,
    /// Awaits for this long.
    Await(Duration),
    /// Sets a timer for one message.
    Once(Duration),
    /// Sets a timer for a message every so often.
    Every(Duration),
    Tick,
    Stash,
    Depth(ReplyTo<usize>),
}

impl Actor for Doing {
    type Msg = Do;

    async fn receive(&mut self, what: Do, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match what {
            Do::Nothing => self.notes.add("nothing"),
            Do::Await(time) => {
                ctx.env().clone().sleep(time).await;
                self.notes.add("awaited");
            }
            Do::Once(after) => ctx.timers().once("timer", after, || Do::Tick),
            Do::Every(period) => ctx.timers().every("timer", period, || Do::Tick),
            Do::Tick => self.notes.add("tick"),
            Do::Stash => {
                let full = ctx.stash(Do::Nothing).expect_err("there is no room");
                assert!(matches!(full.message, Do::Nothing), "the message comes back");
                self.notes.add(full.to_string());
            }
            Do::Depth(reply) => reply.send(self.notes.all().len()),
        }
        Ok(())
    }

    async fn stopped(&mut self, _: &mut Context<Self>) -> Result<(), Failure> {
        self.notes.add("stopped");
        Ok(())
    }
}

fn doing() -> (Notes, Spawn<Doing>) {
    let doing = Doing { notes: Notes::default() };
    (doing.notes.clone(), Spawn::new(move || doing.clone()))
}

#[test]
fn a_handler_limit_of_zero_cancels_at_the_first_wait_and_lets_the_rest_pass() {
    let (sim, system) = world();
    let (notes, spawn) = doing();
    let spawn = spawn.handler_limit(Duration::ZERO).supervision(Supervision::resume());
    let actor = system.spawn("actor", spawn).unwrap();
    for what in [Do::Nothing, Do::Await(SECOND), Do::Nothing] {
        actor.tell(what).unwrap();
    }
    sim.advance(SECOND * 2);
    assert_eq!((notes.all(), system.stats().failures), (vec!["nothing".to_owned(); 2], 1));
}

#[test]
fn a_handler_limit_beyond_all_measure_is_none() {
    let (sim, system) = world();
    let (notes, spawn) = doing();
    let actor = system.spawn("actor", spawn.handler_limit(Duration::MAX)).unwrap();
    actor.tell(Do::Await(SECOND * 1_000)).unwrap();
    sim.advance(SECOND * 2_000);
    assert_eq!((notes.all(), system.stats().failures), (vec!["awaited".to_owned()], 0));
}

#[test]
fn a_stop_grace_of_zero_cancels_the_handler_at_once_and_still_runs_stopped() {
    let (sim, system) = world();
    let (notes, spawn) = doing();
    let actor = system.spawn("actor", spawn.stop_grace(Duration::ZERO)).unwrap();
    actor.tell(Do::Await(SECOND)).unwrap();
    sim.run_until_idle();
    sim.block_on(actor.stop());
    assert_eq!((notes.all(), sim.elapsed()), (vec!["stopped".to_owned()], Duration::ZERO));
}

#[test]
fn a_stop_grace_beyond_all_measure_waits_for_the_handler() {
    let (sim, system) = world();
    let (notes, spawn) = doing();
    let actor = system.spawn("actor", spawn.stop_grace(Duration::MAX)).unwrap();
    actor.tell(Do::Await(SECOND * 1_000)).unwrap();
    sim.run_until_idle();
    sim.block_on(actor.stop());
    assert_eq!(
        (notes.all(), sim.elapsed()),
        (vec!["awaited".to_owned(), "stopped".to_owned()], SECOND * 1_000)
    );
}

#[test]
fn a_stash_of_no_room_gives_the_message_back() {
    let (sim, system) = world();
    let (notes, spawn) = doing();
    let actor = system.spawn("actor", spawn.stash(0)).unwrap();
    actor.tell(Do::Stash).unwrap();
    sim.run_until_idle();
    assert_eq!(
        (notes.all(), system.stats().failures),
        (vec!["the stash is full (0 messages)".to_owned()], 0)
    );
}

#[test]
fn a_timer_of_zero_is_due_after_the_current_message_and_once() {
    let (sim, system) = world();
    let (notes, spawn) = doing();
    let actor = system.spawn("actor", spawn).unwrap();
    actor.tell(Do::Once(Duration::ZERO)).unwrap();
    sim.run_until_idle();
    assert_eq!((notes.all(), sim.elapsed()), (vec!["tick".to_owned()], Duration::ZERO));
    assert!(sim.run_until_quiet(SECOND), "nothing is left of it");
    assert_eq!(notes.all().len(), 1);
}

#[test]
fn a_timer_with_a_period_of_zero_has_one_of_a_millisecond_and_leaves_its_actor_time_for_messages() {
    let (sim, system) = world();
    let (notes, spawn) = doing();
    let actor = system.spawn("actor", spawn).unwrap();
    actor.tell(Do::Every(Duration::ZERO)).unwrap();
    sim.advance(SECOND);
    assert_eq!(notes.all().len(), 1_000);
    assert_eq!(sim.block_on(actor.ask(Do::Depth)).unwrap(), 1_000);
}

#[test]
fn timers_beyond_all_measure_never_come_and_overflow_nothing() {
    let (sim, system) = world();
    let (notes, spawn) = doing();
    let actor = system.spawn("actor", spawn).unwrap();
    for what in [Do::Once(Duration::MAX), Do::Every(Duration::MAX), Do::Every(Duration::from_secs(u64::MAX))]
    {
        actor.tell(what).unwrap();
        sim.advance(SECOND * 1_000);
    }
    assert!(notes.all().is_empty());
    assert_eq!(system.stats().failures, 0);
}

#[test]
fn asks_of_no_time_and_of_all_time_are_asks() {
    let (sim, system) = world();
    let echo = system.spawn("echo", || Echo).unwrap();
    for limit in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX, Duration::from_secs(u64::MAX)] {
        let asked = sim.block_on(echo.ask(|reply| (1, reply)).within(limit));
        assert_eq!(asked.unwrap(), 2, "an idle actor answers at once, within {limit:?}");
    }
}

#[test]
fn a_system_whose_asks_have_all_time_answers_and_shuts_down() {
    let (sim, _system) = world();
    let builder = ActorSystem::builder("patient").ask_timeout(Duration::MAX).env(sim.env());
    let system = sim.block_on(builder.start()).unwrap();
    let echo = system.spawn("echo", || Echo).unwrap();
    assert!(answers(&sim, &echo));
    assert!(sim.block_on(system.shutdown()).unfinished.is_empty());
}

#[test]
fn a_shutdown_budget_of_zero_cancels_at_once_and_one_beyond_all_measure_waits() {
    for (budget, names, elapsed) in
        [(Duration::ZERO, 1, Duration::ZERO..SECOND), (Duration::MAX, 0, SECOND * 100..SECOND * 101)]
    {
        let (sim, _) = world();
        let builder = ActorSystem::builder("budget").shutdown_budget(budget).env(sim.env());
        let system = sim.block_on(builder.start()).unwrap();
        let (_, spawn) = doing();
        let actor = system.spawn("actor", spawn).unwrap();
        actor.tell(Do::Await(SECOND * 100)).unwrap();
        sim.run_until_idle();
        let report = sim.block_on(system.shutdown());
        assert_eq!(report.unfinished.len(), names, "{report}");
        assert!(elapsed.contains(&report.took), "{budget:?}: {report}");
    }
}

#[test]
fn a_subscription_of_no_room_has_room_for_one_and_one_of_all_room_works() {
    let (sim, system) = world();
    let mut small = system.dead_letters().subscribe(0);
    let mut large = system.dead_letters().subscribe(usize::MAX);
    let (_, spawn) = doing();
    let actor = system.spawn("actor", spawn).unwrap();
    for _ in 0..3 {
        actor.tell(Do::Nothing).unwrap();
    }
    sim.block_on(actor.stop());
    let count = |stream: &mut omnitron::DeadLetterStream| std::iter::from_fn(|| stream.try_recv()).count();
    assert_eq!((count(&mut small), small.missed()), (1, 2));
    assert_eq!((count(&mut large), large.missed()), (3, 0));
}

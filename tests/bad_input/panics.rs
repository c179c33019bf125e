//! What do panics do in places where nobody expects one?

use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use omnitron::prelude::*;

use crate::world::{Echo, Notes, SECOND, answers, world};

/// A message that panics when it is dropped, and counts that.
struct Bomb {
    drops: Arc<AtomicUsize>,
    _reply: Option<ReplyTo<()>>,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        // A second panic while the first unwinds aborts the process: a limit of Rust, which is documented.
        assert!(std::thread::panicking(), "a bomb was dropped");
    }
}

/// Drops what it is told.
struct Dropper;

impl Actor for Dropper {
    type Msg = Bomb;

    async fn receive(&mut self, bomb: Bomb, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.env().clone().sleep(SECOND).await;
        drop(bomb);
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Bombs(Arc<AtomicUsize>);

impl Bombs {
    fn bomb(&self) -> Bomb {
        Bomb { drops: self.0.clone(), _reply: None }
    }

    fn dropped(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn a_message_that_panics_on_drop_in_its_handler_is_a_failure_of_the_actor_alone() {
    let (sim, system) = world();
    let (bombs, bystander) = (Bombs::default(), system.spawn("bystander", || Echo).unwrap());
    let dropper = system.spawn("dropper", || Dropper).unwrap();
    dropper.tell(bombs.bomb()).unwrap();
    sim.advance(SECOND * 2);
    assert_eq!((bombs.dropped(), system.stats().failures, system.stats().restarts), (1, 1, 1));
    assert!(answers(&sim, &bystander));
}

#[test]
fn messages_that_panic_on_drop_in_the_mailbox_of_an_actor_that_stops_harm_nobody() {
    let (sim, system) = world();
    let bombs = Bombs::default();
    let spawn = Spawn::new(|| Dropper).supervision(Supervision::stop());
    let dropper = system.spawn("dropper", spawn).unwrap();
    for _ in 0..5 {
        dropper.tell(bombs.bomb()).unwrap();
    }
    sim.run_until_idle();
    sim.block_on(dropper.stopped());
    assert_eq!((bombs.dropped(), system.stats().actors), (5, 0));
    assert_eq!(system.dead_letters().count(Reason::Stopped), 4);
    assert!(system.spawn("dropper", || Echo).is_ok(), "its name is free");
}

#[test]
fn a_message_that_panics_on_drop_as_it_makes_room_is_nothing_to_the_sender() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let (sim, system) = world();
        let bombs = Bombs::default();
        let spawn = Spawn::new(|| Dropper).mailbox(Mailbox::bounded(1).on_full(overflow));
        let dropper = system.spawn("dropper", spawn).unwrap();
        dropper.tell(bombs.bomb()).unwrap();
        sim.run_until_idle();
        for _ in 0..3 {
            assert!(dropper.tell(bombs.bomb()).is_ok(), "{overflow:?}");
        }
        assert!(bombs.dropped() >= 2, "{overflow:?}");
        sim.advance(SECOND * 10);
        assert_eq!(bombs.dropped(), 4, "{overflow:?}");
    }
}

#[test]
fn a_question_that_expires_and_panics_on_drop_fails_nobody() {
    let (sim, system) = world();
    let bombs = Bombs::default();
    let dropper = system.spawn("dropper", Spawn::new(|| Dropper).supervision(Supervision::resume())).unwrap();
    dropper.tell(bombs.bomb()).unwrap();
    let drops = bombs.0.clone();
    let ask = dropper.ask(|reply| Bomb { drops, _reply: Some(reply) }).within(SECOND / 10);
    let error = sim.block_on(ask).unwrap_err();
    assert!(matches!(error, AskError::Expired { .. }), "{error:?}");
    sim.advance(SECOND * 3);
    assert_eq!((bombs.dropped(), system.stats().failures), (2, 1), "only the one that was handled failed");
}

#[test]
fn a_question_that_panics_on_drop_in_its_handler_tells_the_asker_that_it_crashed() {
    let (sim, system) = world();
    let bombs = Bombs::default();
    let dropper = system.spawn("dropper", || Dropper).unwrap();
    let drops = bombs.0.clone();
    let error = sim.block_on(dropper.ask(|reply| Bomb { drops, _reply: Some(reply) })).unwrap_err();
    assert!(matches!(error, AskError::Crashed | AskError::Abandoned), "{error:?}");
    assert_eq!(error.acted(), Acted::Maybe);
}

#[test]
fn a_factory_that_panics_is_a_failure_while_starting_and_its_budget_ends_it() {
    let (sim, system) = world();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let factory = move || -> Echo {
        count.fetch_add(1, Ordering::Relaxed);
        panic!("no actor today");
    };
    let supervision = Supervision::restart().limit(3, SECOND).when_spent(WhenSpent::Stop);
    let broken = system.spawn("broken", Spawn::new(factory).supervision(supervision)).unwrap();
    let error = sim.block_on(broken.ask(|reply| (1, reply))).unwrap_err();
    assert_eq!(error.acted(), Acted::No, "{error:?}");
    sim.block_on(broken.stopped());
    assert_eq!((calls.load(Ordering::Relaxed), system.stats().failures), (4, 4));
    assert!(system.spawn("broken", || Echo).is_ok(), "its name is free");
}

#[test]
fn a_factory_that_panics_escalates_to_the_top_by_default_and_the_system_stops_with_the_cause() {
    let (sim, system) = world();
    let broken = system.spawn("broken", || -> Echo { panic!("no actor today") }).unwrap();
    let report = sim.block_on(system.terminated());
    let cause = report.cause.expect("there is one");
    assert_eq!((cause.path(), cause.during(), cause.is_panic()), (broken.path(), During::Restarting, true));
    assert!(cause.reason().contains("no actor today"), "{cause}");
    assert!(cause.place().is_some_and(|place| place.contains("panics.rs")), "{cause}");
}

/// A payload whose drop panics with another of its kind, and so on without end.
struct Hydra(Arc<AtomicUsize>);

impl Drop for Hydra {
    fn drop(&mut self) {
        let heads = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(heads < 1_000, "it is cut off at some head");
        panic_any(Hydra(self.0.clone()));
    }
}

/// Panics with what it is told.
struct Thrower;

enum Throw {
    Number(u64),
    Hydra(Arc<AtomicUsize>),
    Reply(ReplyTo<()>),
}

impl Actor for Thrower {
    type Msg = Throw;

    async fn receive(&mut self, throw: Throw, _: &mut Context<Self>) -> Result<(), Failure> {
        match throw {
            Throw::Number(number) => panic_any(number),
            Throw::Hydra(heads) => panic_any(Hydra(heads)),
            Throw::Reply(reply) => reply.send(()),
        }
        Ok(())
    }
}

/// Keeps the crashes of its child.
struct Parent(Notes);

impl Actor for Parent {
    type Msg = ();

    async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.spawn("thrower", || Thrower)?;
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Self>) -> Result<(), Failure> {
        if let Signal::ChildFailed(crash) = signal {
            self.0.add(format!(
                "{} at {}",
                crash.reason(),
                crash.place().is_some_and(|it| it.contains("panics.rs"))
            ));
        }
        Ok(())
    }
}

#[test]
fn a_panic_with_any_payload_is_reported_with_its_place_even_if_the_payload_panics_on_drop() {
    let (sim, system) = world();
    let notes = Notes::default();
    let record = notes.clone();
    let _parent = system.spawn("parent", move || Parent(record.clone())).unwrap();
    sim.run_until_idle();
    let thrower = system.lookup::<Throw>("/user/parent/thrower").unwrap();
    thrower.tell(Throw::Number(7)).unwrap();
    let heads = Arc::new(AtomicUsize::new(0));
    thrower.tell(Throw::Hydra(heads.clone())).unwrap();
    assert!(sim.block_on(thrower.ask(Throw::Reply)).is_ok());
    sim.run_until_idle();
    assert_eq!(notes.all(), ["panicked: a panic without text at true"; 2]);
    assert_eq!(heads.load(Ordering::Relaxed), 1, "nobody follows it into its recursion");
}

#[test]
fn a_ranking_that_panics_is_the_senders_panic_and_leaves_the_mailbox_whole() {
    let (sim, system) = world();
    let mailbox = Mailbox::priority(|(number, _): &(u64, ReplyTo<u64>)| {
        assert_ne!(*number, 13, "nobody ranks a thirteen");
        0
    });
    let actor = system.spawn("superstitious", Spawn::new(|| Echo).mailbox(mailbox)).unwrap();
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sim.block_on(actor.ask(|reply| (13, reply)))
    }));
    assert!(asked.is_err());
    assert!(answers(&sim, &actor));
    assert_eq!((system.stats().failures, actor.depth()), (0, 0));
}

//! What does a spawn answer at the wrong moment, or with the wrong options?

use omnitron::prelude::*;

use crate::world::{Echo, Notes, SECOND, answers, in_full, world};

#[test]
fn a_mailbox_of_no_room_is_refused_and_its_factory_never_called() {
    let (_sim, system) = world();
    let factory = || -> Echo { unreachable!("nothing is started") };
    let error = system.spawn("none", Spawn::new(factory).mailbox(Mailbox::bounded(0))).unwrap_err();
    assert!(matches!(error, SpawnError::ZeroCapacity { .. }), "{error:?}");
    assert_eq!(
        in_full(&error),
        "the mailbox of /user/none has capacity 0: give it room for at least 1 message"
    );
    assert!(system.spawn("none", || Echo).is_ok(), "the name was not taken by it");
}

#[test]
fn a_mailbox_of_all_the_room_there_is_costs_nothing_and_works() {
    let (sim, system) = world();
    let spawn = Spawn::new(|| Echo).mailbox(Mailbox::bounded(usize::MAX));
    let actor = system.spawn("huge", spawn).unwrap();
    assert!(answers(&sim, &actor));
}

#[test]
fn a_spawn_from_outside_is_refused_as_soon_as_a_shutdown_has_begun() {
    let (sim, system) = world();
    system.begin_shutdown();
    let error = system.spawn("late", || Echo).unwrap_err();
    assert_eq!(in_full(&error), "the system is shutting down: /user/late was not started");
    sim.block_on(system.terminated());
    let error = system.spawn("late", || Echo).unwrap_err();
    assert_eq!(in_full(&error), "the system is shutting down: /user/late was not started");
    let error = system.spawn("a/b", || Echo).unwrap_err();
    assert!(matches!(error, SpawnError::IllegalName { .. }), "{error:?}");
}

/// Spawns in every hook, and says what came of it.
struct Everywhere {
    notes: Notes,
}

enum Order {
    /// Be busy for a second, and spawn then.
    SpawnLate,
    Fail,
}

impl Everywhere {
    fn spawns(&self, hook: &str, ctx: &mut Context<Self>) {
        let name = format!("{hook}-{}", ctx.restarts());
        match ctx.spawn(&name, || Echo) {
            Ok(child) => self.notes.add(format!("{hook}: {child}")),
            Err(error) => self.notes.add(format!("{hook}: {error}")),
        }
    }
}

impl Actor for Everywhere {
    type Msg = Order;

    async fn receive(&mut self, order: Order, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match order {
            Order::SpawnLate => {
                ctx.env().clone().sleep(SECOND).await;
                self.spawns("receive", ctx);
                Ok(())
            }
            Order::Fail => Err(Failure::msg("on request")),
        }
    }

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.spawns("started", ctx);
        Ok(())
    }

    async fn pre_restart(&mut self, _: &Crash, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.spawns("pre_restart", ctx);
        Ok(())
    }

    async fn post_restart(&mut self, _: &Crash, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.spawns("post_restart", ctx);
        Ok(())
    }

    async fn stopped(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.spawns("stopped", ctx);
        Ok(())
    }
}

#[test]
fn children_are_spawned_by_hooks_that_begin_something_and_refused_in_those_that_end_it() {
    let (sim, system) = world();
    let notes = Notes::default();
    let record = notes.clone();
    let actor = system.spawn("actor", move || Everywhere { notes: record.clone() }).unwrap();
    actor.tell(Order::Fail).unwrap();
    sim.run_until_idle();
    sim.block_on(actor.stop());
    assert_eq!(
        notes.all(),
        [
            "started: /user/actor/started-0",
            "pre_restart: /user/actor is stopping and takes no more children",
            "post_restart: /user/actor/post_restart-1",
            "stopped: /user/actor is stopping and takes no more children",
        ]
    );
    assert_eq!(system.stats().actors, 0, "no child outlived its parent");
}

#[test]
fn an_actor_may_spawn_while_a_shutdown_drains_and_not_once_it_stops_actors() {
    for (drains, expected) in [(true, "receive: /user/actor/receive-0"), (false, "receive: the system is")] {
        let (sim, system) = world();
        let notes = Notes::default();
        let record = notes.clone();
        let actor = system.spawn("actor", move || Everywhere { notes: record.clone() }).unwrap();
        // One second each: five of them end within the half of ten seconds that is for draining.
        for _ in 0..if drains { 1 } else { 7 } {
            actor.tell(Order::SpawnLate).unwrap();
        }
        sim.run_until_idle();
        let report = sim.block_on(system.shutdown());
        assert!(report.unfinished.is_empty(), "{report}");
        let told = notes.all();
        assert!(told.iter().any(|note| note.starts_with(expected)), "{told:?}");
        assert_eq!(system.stats().actors, 0);
    }
}

/// Spawns itself, for ever.
struct Recursive {
    notes: Notes,
    /// What it does about the error: nothing, or fail with it.
    fails: bool,
}

impl Actor for Recursive {
    type Msg = ();

    async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let (notes, fails) = (self.notes.clone(), self.fails);
        match ctx.spawn("x", move || Self { notes: notes.clone(), fails }) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.notes.add(in_full(&error));
                if fails { Err(error.into()) } else { Ok(()) }
            }
        }
    }
}

#[test]
fn a_recursion_of_spawns_ends_at_a_depth_of_64_whatever_its_actors_do_about_the_error() {
    for fails in [false, true] {
        let (sim, system) = world();
        let notes = Notes::default();
        let record = notes.clone();
        let first = system.spawn("x", move || Recursive { notes: record.clone(), fails }).unwrap();
        assert!(sim.run_until_quiet(SECOND * 1_000));
        let told = notes.all();
        assert_eq!(told.len(), 1, "it is told once: {}", told.len());
        let text = "is 64 levels deep: no children below (does an actor spawn itself?)";
        assert!(told[0].ends_with(text), "{}", told[0]);
        // `/user` is a level as well. An actor that fails over this stops, because no restart would help.
        assert_eq!(system.stats().actors, if fails { 62 } else { 63 });
        assert!(!first.is_stopped());
        sim.block_on(first.stop());
        assert_eq!(system.stats().actors, 0);
    }
}

#[test]
fn an_actor_that_stops_itself_in_started_handles_nothing_and_runs_stopped() {
    /// Stops at once.
    struct Brief(Notes);
    impl Actor for Brief {
        type Msg = (u64, ReplyTo<u64>);
        async fn receive(&mut self, _: Self::Msg, _: &mut Context<Self>) -> Result<(), Failure> {
            self.0.add("received");
            Ok(())
        }
        async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
            self.0.add("started");
            ctx.stop();
            Ok(())
        }
        async fn stopped(&mut self, _: &mut Context<Self>) -> Result<(), Failure> {
            self.0.add("stopped");
            Ok(())
        }
    }
    let (sim, system) = world();
    let notes = Notes::default();
    let record = notes.clone();
    let brief = system.spawn("brief", move || Brief(record.clone())).unwrap();
    let error = sim.block_on(brief.ask(|reply| (1, reply))).unwrap_err();
    assert!(matches!(error, AskError::Unhandled | AskError::Refused(Refusal::Stopped)), "{error:?}");
    assert_eq!(error.acted(), Acted::No);
    sim.block_on(brief.stopped());
    assert_eq!(notes.all(), ["started", "stopped"]);
    assert!(system.spawn("brief", || Echo).is_ok(), "its name is free");
}

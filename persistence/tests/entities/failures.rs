//! What becomes of commands while the journal is away, and of mistakes in the user's code?

use std::time::Duration;

use omnitron_persistence::backend::memory::Failure;
use omnitron_persistence::{Effect, Persistent};
use omnitron_runtime::{Acted, AskError, Crash, Failure as ActorFailure};
use omnitron_runtime::{Actor, ActorRef, Context, Signal};

use crate::world::{Account, Command, World};

#[test]
fn while_the_journal_is_away_commands_wait_then_are_answered_and_no_restart_is_spent() {
    let world = World::new(1);
    world.controls.unreadable(true);
    let account = world.spawn("a");
    let mut waits = world.deposit(&account, 1);
    assert!(waits.poll().is_none());
    world.sim.advance(Duration::from_millis(999));
    assert!(waits.poll().is_none(), "a second has not passed");
    world.sim.advance(Duration::from_secs(1));
    let error = waits.get().unwrap_err();
    assert!(matches!(error, AskError::Unavailable) && error.acted() == Acted::No, "{error:?}");
    world.sim.advance(Duration::from_mins(10));
    world.controls.unreadable(false);
    assert_eq!(world.deposit(&account, 2).get().unwrap(), 2);
    assert_eq!((world.system.stats().failures, world.system.stats().restarts), (0, 0));
}

#[test]
fn a_short_absence_of_the_journal_is_not_noticed_by_those_who_wait() {
    let world = World::new(1);
    world.controls.unreadable(true);
    let account = world.spawn("a");
    let mut waits = world.deposit(&account, 1);
    world.sim.advance(Duration::from_millis(200));
    assert!(waits.poll().is_none());
    world.controls.unreadable(false);
    world.sim.advance(Duration::from_millis(700));
    assert_eq!(waits.get().unwrap(), 1);
}

#[test]
fn a_claim_that_fails_is_tried_again() {
    let world = World::new(1);
    world.controls.fail_next(Failure::UnknownKept);
    world.controls.fail_next(Failure::Refused);
    let account = world.spawn("a");
    let asked = world.deposit(&account, 1);
    world.sim.advance(Duration::from_secs(1));
    assert_eq!(asked.get().unwrap(), 1);
}

#[test]
fn recovery_waits_until_every_append_in_flight_has_ended() {
    let world = World::new(1);
    let account = world.spawn("a");
    world.controls.hold();
    let (first, second) = (world.deposit(&account, 1), world.deposit(&account, 10));
    world.controls.fail_next(Failure::UnknownKept);
    world.controls.release(1);
    world.sim.run_until_idle();
    assert!(matches!(first.get(), Err(AskError::Unconfirmed)));
    let mut third = world.deposit(&account, 100);
    assert_eq!(world.controls.waiting(), 1, "nothing is submitted behind a failure");
    assert!(third.poll().is_none());
    world.controls.resume();
    world.sim.run_until_idle();
    assert!(matches!(second.get(), Err(AskError::Unconfirmed)));
    assert_eq!(third.get().unwrap(), 111, "what was unconfirmed had happened");
}

/// Keeps the crashes of its child.
struct Parent {
    crashes: tokio::sync::mpsc::UnboundedSender<Crash>,
}

impl Actor for Parent {
    type Msg = tokio::sync::oneshot::Sender<ActorRef<Command>>;

    async fn receive(&mut self, reply: Self::Msg, ctx: &mut Context<Self>) -> Result<(), ActorFailure> {
        let child = ctx.spawn("account", Persistent::new(Account::default()))?;
        let _ = reply.send(child);
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Self>) -> Result<(), ActorFailure> {
        if let Signal::ChildFailed(crash) = signal {
            let _ = self.crashes.send(crash);
        }
        Ok(())
    }
}

pub(crate) type Crashes = tokio::sync::mpsc::UnboundedReceiver<Crash>;

/// An account under a parent that collects its crashes.
pub(crate) fn watched(world: &World) -> (ActorRef<Command>, Crashes) {
    let (sender, crashes) = tokio::sync::mpsc::unbounded_channel();
    let parent = world.system.spawn("parent", move || Parent { crashes: sender.clone() }).unwrap();
    let (reply, mut child) = tokio::sync::oneshot::channel();
    parent.tell(reply).unwrap();
    world.sim.run_until_idle();
    (child.try_recv().unwrap(), crashes)
}

#[test]
fn a_panic_in_apply_submits_nothing_and_names_command_and_event() {
    let world = World::new(1);
    let (account, mut crashes) = watched(&world);
    world.deposit(&account, 5).get().unwrap();
    let unlucky = world.ask(&account, |reply| Command::DepositAll(vec![1, 13, 2], reply));
    let error = unlucky.get().unwrap_err();
    assert_eq!(error.acted(), Acted::Maybe);
    let crash = crashes.try_recv().unwrap().reason().to_owned();
    for part in ["parent/account", "account.deposited", "event 3", "Command", "an unlucky deposit"] {
        assert!(crash.contains(part), "{part:?} is not in {crash:?}");
    }
    assert_eq!(world.events("parent/account").len(), 1);
    assert_eq!(world.balance(&account), 5);
}

#[test]
fn an_effect_that_fails_fails_the_actor_and_stores_nothing() {
    let world = World::new(1);
    let (account, mut crashes) = watched(&world);
    world.deposit(&account, 5).get().unwrap();
    account.tell(Command::Fail("no more")).unwrap();
    world.sim.run_until_idle();
    assert!(crashes.try_recv().unwrap().reason().contains("no more"));
    assert_eq!(world.balance(&account), 5);
}

#[test]
fn an_effect_that_is_too_large_fails_its_actor_alone_and_says_what_is_too_large() {
    let world = World::new(1);
    let (account, mut crashes) = watched(&world);
    let asked = world.ask(&account, |reply| Command::DepositAll(vec![1; 10_001], reply));
    assert!(asked.get().is_err());
    let crash = crashes.try_recv().unwrap().reason().to_owned();
    assert!(crash.contains("10001") && crash.contains("10000"), "{crash}");
    assert_eq!(world.deposit(&account, 1).get().unwrap(), 1);
}

#[test]
fn an_owner_that_was_fenced_stops_and_says_so() {
    let world = World::new(1);
    let (account, mut crashes) = watched(&world);
    world.deposit(&account, 5).get().unwrap();
    // Another process claims every slice.
    for slice in omnitron_persistence::backend::JournalBackend::slices(&world.backend).iter() {
        let claim = omnitron_persistence::backend::JournalBackend::claim(&world.backend, slice);
        world.sim.block_on(claim).unwrap();
    }
    assert!(matches!(world.ask(&account, Command::Confirmed).get(), Err(AskError::Unavailable)));
    assert!(world.deposit(&account, 1).get().is_err());
    world.sim.run_until_idle();
    assert!(crashes.try_recv().unwrap().reason().contains("another owner took over its slice"));
    assert!(account.is_stopped());
    assert_eq!(world.events("parent/account").len(), 1);
}

#[test]
fn two_actors_with_one_id_never_run_at_once() {
    let world = World::new(1);
    let first = world.spawn_with("a", Persistent::new(Account::default()).id("shared"));
    let second = world.spawn_with("b", Persistent::new(Account::default()).id("shared"));
    assert_eq!(world.deposit(&first, 1).get().unwrap(), 1);
    let refused = world.deposit(&second, 1);
    world.sim.advance(Duration::from_secs(5));
    assert!(matches!(refused.get(), Err(AskError::Unavailable)));
    world.sim.block_on(first.stop());
    let taken_over = world.deposit(&second, 10);
    world.sim.advance(Duration::from_secs(20));
    let balance = match taken_over.get() {
        Ok(balance) => balance,
        Err(_) => world.deposit(&second, 10).get().unwrap(),
    };
    assert_eq!(balance, 11);
}

#[test]
fn without_a_journal_the_error_says_what_to_do() {
    let sim = omnitron_runtime::testkit::Sim::new(1);
    let system = sim.block_on(omnitron_runtime::ActorSystem::builder("bare").env(sim.env()).start()).unwrap();
    let single = omnitron_runtime::testkit::Single::try_new(Persistent::new(Account::default()));
    let error = single.err().unwrap().to_string();
    assert!(error.contains("`single` has no journal") && error.contains(".journal("), "{error}");
    drop(system);
    let _: Effect<Account> = Effect::none();
}

//! When do replies leave, in which order, and what do they say when the journal fails?

use omnitron_persistence::Persistent;
use omnitron_persistence::backend::memory::Failure;
use omnitron_runtime::{Acted, AskError};

use crate::world::{Account, Command, World};

#[test]
fn what_was_persisted_is_there_after_a_crash() {
    let world = World::new(1);
    let account = world.spawn("a");
    assert_eq!(world.deposit(&account, 5).get().unwrap(), 5);
    assert_eq!(world.deposit(&account, 7).get().unwrap(), 12);
    let world = world.crash();
    let account = world.spawn("a");
    assert_eq!(world.balance(&account), 12);
}

#[test]
fn no_reply_leaves_before_its_position_is_durable_not_even_that_of_a_read() {
    let world = World::new(1);
    let account = world.spawn("a");
    world.deposit(&account, 1).get().unwrap();
    world.controls.hold();
    let mut first = world.deposit(&account, 10);
    let mut read = world.ask(&account, Command::Balance);
    let mut second = world.deposit(&account, 100);
    assert_eq!(world.controls.waiting(), 2, "the second command did not wait for the first");
    assert!(first.poll().is_none() && read.poll().is_none() && second.poll().is_none());
    world.controls.release(1);
    world.sim.run_until_idle();
    assert_eq!((first.poll().unwrap().unwrap(), read.poll().unwrap().unwrap()), (11, 11));
    assert!(second.poll().is_none());
    world.controls.release(1);
    world.sim.run_until_idle();
    assert_eq!(second.get().unwrap(), 111);
}

#[test]
fn a_read_of_a_state_that_is_durable_is_answered_at_once_also_while_the_journal_is_held() {
    let world = World::new(1);
    let account = world.spawn("a");
    world.deposit(&account, 1).get().unwrap();
    world.controls.hold();
    assert_eq!(world.balance(&account), 1);
    let mut confirmed = world.ask(&account, Command::Confirmed);
    assert!(confirmed.poll().is_none(), "this one wants to know it from the journal");
    world.controls.resume();
    world.sim.run_until_idle();
    assert_eq!(confirmed.get().unwrap(), 1);
}

#[test]
fn side_effects_run_in_order_when_they_are_durable_and_not_again_after_a_crash() {
    let world = World::new(1);
    let behaviour = Account::default();
    let account = world.spawn_with("a", Persistent::new(behaviour.clone()));
    world.controls.hold();
    account.tell(Command::Note(1)).unwrap();
    account.tell(Command::Note(2)).unwrap();
    world.sim.run_until_idle();
    assert!(behaviour.notes.lock().is_empty());
    world.controls.resume();
    world.sim.run_until_idle();
    assert_eq!(*behaviour.notes.lock(), ["1", "3"]);
    let world = world.crash();
    let account = world.spawn_with("a", Persistent::new(behaviour.clone()));
    assert_eq!(world.balance(&account), 3);
    assert_eq!(behaviour.notes.lock().len(), 2);
}

/// Three commands and a read are held; then the first append fails as told.
fn after(failure: Failure) -> (Vec<AskError>, u64) {
    let world = World::new(1);
    let account = world.spawn("a");
    world.deposit(&account, 1).get().unwrap();
    world.controls.hold();
    let mut held = vec![world.deposit(&account, 10), world.ask(&account, Command::Balance)];
    held.push(world.deposit(&account, 100));
    world.controls.fail_next(failure);
    world.controls.resume();
    world.sim.run_until_idle();
    let errors = held.into_iter().map(|asked| asked.get().unwrap_err()).collect();
    (errors, world.balance(&account))
}

#[test]
fn one_append_that_is_refused_fails_all_that_follow_and_says_that_they_did_not_happen() {
    let (errors, balance) = after(Failure::Refused);
    assert!(errors.iter().all(|error| matches!(error, AskError::Unavailable)), "{errors:?}");
    assert!(errors.iter().all(|error| error.acted() == Acted::No));
    assert_eq!(balance, 1);
}

#[test]
fn an_asker_whose_append_may_have_happened_is_told_so_whether_it_did_or_not() {
    let (errors, balance) = after(Failure::UnknownLost);
    assert!(matches!(errors[..2], [AskError::Unconfirmed, AskError::Unconfirmed]), "{errors:?}");
    assert_eq!(errors[0].acted(), Acted::Maybe);
    assert!(matches!(errors[2], AskError::Unavailable), "it was refused for its sequence: {errors:?}");
    assert_eq!(balance, 1);
    let (errors, balance) = after(Failure::UnknownKept);
    assert!(errors.iter().all(|error| matches!(error, AskError::Unconfirmed)), "{errors:?}");
    assert_eq!(balance, 111, "all of it happened");
}

#[test]
fn a_failed_append_is_no_failure_of_the_actor() {
    let world = World::new(1);
    let account = world.spawn("a");
    for _ in 0..50 {
        world.controls.fail_next(Failure::Refused);
        assert!(world.deposit(&account, 1).get().is_err());
    }
    assert_eq!(world.deposit(&account, 1).get().unwrap(), 1);
    let stats = world.system.stats();
    assert_eq!((stats.failures, stats.restarts), (0, 0));
}

#[test]
fn what_is_held_is_bounded_and_commands_wait_in_the_mailbox() {
    let world = World::new(1);
    let account = world.spawn_with("a", Persistent::new(Account::default()).pipeline(3, 1 << 20));
    world.controls.hold();
    let asked: Vec<_> = (0..10).map(|_| world.deposit(&account, 1)).collect();
    assert_eq!(world.controls.waiting(), 3);
    world.controls.release(1);
    world.sim.run_until_idle();
    assert_eq!(world.controls.waiting(), 3);
    world.controls.resume();
    world.sim.run_until_idle();
    let answers: Vec<u64> = asked.into_iter().map(|asked| asked.get().unwrap()).collect();
    assert_eq!(answers, (1..=10).collect::<Vec<_>>());
}

#[test]
fn an_actor_that_stops_lets_go_of_what_it_holds_first() {
    let world = World::new(1);
    let account = world.spawn("a");
    world.controls.hold();
    let first = world.deposit(&account, 1);
    let closed = world.ask(&account, Command::Close);
    assert!(!account.is_stopped());
    world.controls.resume();
    world.sim.run_until_idle();
    assert_eq!((first.get().unwrap(), closed.get().unwrap()), (1, 2));
    assert!(account.is_stopped());
}

#[test]
fn a_crash_of_the_actor_does_not_touch_what_was_submitted_before_it() {
    let world = World::new(1);
    let account = world.spawn("a");
    world.controls.hold();
    let mut before = world.deposit(&account, 1);
    account.tell(Command::Panic).unwrap();
    let mut behind = world.deposit(&account, 10);
    assert_eq!(world.controls.waiting(), 1, "the fresh actor waits for what is on its way");
    assert!(before.poll().is_none() && behind.poll().is_none());
    world.controls.resume();
    world.sim.run_until_idle();
    assert_eq!((before.get().unwrap(), behind.get().unwrap()), (1, 11));
}

#[test]
fn more_appends_than_a_journal_takes_at_once_wait_and_none_is_refused() {
    let world = World::new(1);
    let accounts: Vec<_> = (0..6).map(|n| world.spawn(&format!("a{n}"))).collect();
    world.controls.hold();
    let asked: Vec<_> = (0..1_000).flat_map(|_| &accounts).map(|account| world.deposit(account, 1)).collect();
    assert_eq!(world.controls.waiting(), 4_096);
    world.controls.resume();
    world.sim.run_until_idle();
    assert!(asked.into_iter().all(|asked| asked.get().is_ok()));
}

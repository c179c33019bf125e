//! When are snapshots taken, do they hold anything up, and what goes behind them?

use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::{Ordinal, PersistenceId, Persistent, Sequence, Slice, Snapshots};

use crate::world::{Account, Command, World};

fn account(snapshots: Snapshots) -> Persistent<Account> {
    Persistent::new(Account::default()).snapshots(snapshots)
}

fn sequences(world: &World) -> Vec<u64> {
    world.snapshots.sequences(&PersistenceId::new("a").unwrap()).into_iter().map(Sequence::get).collect()
}

fn oldest_event(world: &World) -> u64 {
    world.events("a").first().map_or(0, |event| event.sequence.get())
}

#[test]
fn they_are_taken_every_so_many_events_and_so_many_are_kept() {
    let world = World::new(1);
    let a = world.spawn_with("a", account(Snapshots::every(3).keep(2)));
    for _ in 0..11 {
        world.deposit(&a, 1).get().unwrap();
    }
    assert_eq!(sequences(&world), [6, 9]);
    assert_eq!(oldest_event(&world), 1, "events are kept unless it is said otherwise");
    let world = world.crash();
    let a = world.spawn_with("a", account(Snapshots::every(3).keep(2)));
    assert_eq!(world.balance(&a), 11);
}

#[test]
fn one_is_taken_on_demand_and_by_bytes() {
    let world = World::new(1);
    let a = world.spawn_with("a", account(Snapshots::on_demand()));
    for _ in 0..5 {
        world.deposit(&a, 1).get().unwrap();
    }
    assert_eq!(sequences(&world), [0_u64; 0]);
    assert_eq!(world.ask(&a, Command::Snapshot).get().unwrap(), 5);
    assert_eq!(sequences(&world), [5]);
    let b = world.spawn_with("b", account(Snapshots::every_bytes(1)));
    world.deposit(&b, 1).get().unwrap();
    assert_eq!(world.snapshots.sequences(&PersistenceId::new("b").unwrap()), [Sequence::new(1)]);
}

#[test]
fn commands_go_on_while_one_is_being_saved_and_one_that_fails_costs_nothing() {
    let world = World::new(1);
    let a = world.spawn_with("a", account(Snapshots::every(2)));
    world.snapshots.hold(true);
    for n in 1..=7 {
        assert_eq!(world.deposit(&a, 1).get().unwrap(), n);
    }
    assert_eq!(sequences(&world), [0_u64; 0]);
    world.snapshots.hold(false);
    world.sim.run_until_idle();
    assert_eq!(sequences(&world), [2]);
    world.snapshots.unavailable(true);
    assert_eq!(world.deposit(&a, 1).get().unwrap(), 8);
    world.snapshots.unavailable(false);
    assert_eq!(sequences(&world), [2]);
    world.deposit(&a, 1).get().unwrap();
    world.deposit(&a, 1).get().unwrap();
    assert_eq!(sequences(&world), [2, 10]);
}

#[test]
fn none_is_saved_of_a_state_that_is_not_durable() {
    let world = World::new(1);
    let a = world.spawn_with("a", account(Snapshots::every(1)));
    world.controls.hold();
    let asked = world.deposit(&a, 1);
    assert_eq!(sequences(&world), [0_u64; 0]);
    world.controls.crash();
    world.sim.run_until_idle();
    assert!(asked.get().is_err());
    assert_eq!(sequences(&world), [0_u64; 0]);
}

#[test]
fn events_behind_the_oldest_kept_one_go_but_never_past_the_slowest_reader() {
    let world = World::new(1);
    let options = Snapshots::every(2).keep(2).delete_events();
    let a = world.spawn_with("a", account(options.clone()));
    let (slow, fast) = (world.journal.reader(), world.journal.reader());
    let slice: Slice = PersistenceId::new("a").unwrap().slice(world.backend.slices());
    fast.passed(slice, Ordinal::new(1_000));
    for _ in 0..8 {
        world.deposit(&a, 1).get().unwrap();
    }
    assert_eq!((sequences(&world), oldest_event(&world)), (vec![6, 8], 1));
    slow.passed(slice, Ordinal::new(7));
    world.deposit(&a, 1).get().unwrap();
    world.deposit(&a, 1).get().unwrap();
    assert_eq!((sequences(&world), oldest_event(&world)), (vec![8, 10], 1), "8 is behind what it passed");
    slow.passed(slice, Ordinal::new(10));
    world.deposit(&a, 1).get().unwrap();
    world.deposit(&a, 1).get().unwrap();
    assert_eq!((sequences(&world), oldest_event(&world)), (vec![10, 12], 11));
    drop((slow, fast));
    world.deposit(&a, 1).get().unwrap();
    world.deposit(&a, 1).get().unwrap();
    assert_eq!((sequences(&world), oldest_event(&world)), (vec![12, 14], 13));
    let world = world.crash();
    let a = world.spawn_with("a", account(options));
    assert_eq!(world.balance(&a), 14);
}

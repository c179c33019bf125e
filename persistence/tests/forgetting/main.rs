//! Is what was forgotten gone, for everybody, and does it stay gone?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

extern crate omnitron_persistence as omnitron;

mod age;
mod crash;
mod models;
mod world;

use std::time::Duration;

use omnitron_persistence::backend::memory::Failure;
use omnitron_persistence::snapshot::SnapshotStore;
use omnitron_persistence::timeline::TimeTravel;
use omnitron_persistence::{Follow, ForgetError, Forgotten, Journal, Sequence};

use crate::world::{Notebook, World, id};

#[test]
fn it_has_no_state_no_events_and_no_snapshots_and_its_sequences_go_on() {
    let mut world = World::new(1);
    for n in 1..=7 {
        world.write("a", n);
    }
    assert_eq!(world.write("a", 8), 8);
    world.write("b", 1);
    assert!(world.snapshot("a").is_some());
    world.stop("a");
    assert_eq!(world.forget("a").unwrap(), Forgotten::Gone);
    assert_eq!(world.snapshot("a"), None);
    let left: Vec<_> = world.events("a").into_iter().map(|event| event.sequence.get()).collect();
    assert_eq!(left, [9], "the mark alone");
    assert_eq!(world.write("a", 9), 1, "a new history");
    assert_eq!(world.events("a").last().unwrap().sequence, Sequence::new(10));
    assert_eq!(world.write("b", 2), 2, "others are not concerned");
    world.stop("a");
    assert_eq!(world.read("a"), [9], "also after a recovery from events");
    for n in 10..16 {
        world.write("a", n);
    }
    assert!(world.snapshot("a").is_some());
    world.stop("a");
    assert_eq!(world.read("a"), [9, 10, 11, 12, 13, 14, 15], "and from a snapshot");
}

#[test]
fn twice_is_once_and_an_unknown_id_is_no_error() {
    let mut world = World::new(1);
    assert_eq!(world.forget("nobody").unwrap(), Forgotten::NothingThere);
    world.write("a", 1);
    world.stop("a");
    assert_eq!(world.forget("a").unwrap(), Forgotten::Gone);
    assert_eq!(world.forget("a").unwrap(), Forgotten::NothingThere);
    assert_eq!(world.events("a").len(), 1);
    let journal = Journal::embedded("never opened");
    let error = world.sim.block_on(journal.forget(&world.sim.env(), &id("a"))).unwrap_err();
    assert!(matches!(error, ForgetError::NotOpen), "{error}");
}

#[test]
fn an_id_in_use_is_waited_for_and_then_named() {
    let mut world = World::new(1);
    world.write("a", 1);
    let error = world.forget("a").unwrap_err();
    assert!(matches!(error, ForgetError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("`a` is in use: stop its actor first"), "{error}");
    assert_eq!(world.read("a"), [1], "nothing happened");
    let forgetting = world.forget_later("a");
    world.stop("a");
    world.sim.advance(Duration::from_millis(100));
    assert_eq!(forgetting.get().unwrap(), Forgotten::Gone);
}

#[test]
fn a_reader_that_is_behind_keeps_the_events_and_gets_them() {
    let mut world = World::new(1);
    for n in 1..=3 {
        world.write("a", n);
    }
    let (journal, env) = (world.journal.clone(), world.sim.env());
    let mut feed = world.sim.block_on(journal.follow(&env, Follow::all())).unwrap();
    world.stop("a");
    let error = world.forget("a").unwrap_err();
    assert!(matches!(error, ForgetError::ReaderBehind { .. }), "{error}");
    assert_eq!(world.read("a"), [0_u64; 0], "it has no state all the same");
    world.stop("a");
    let read = world.sim.block_on(feed.next(100)).unwrap();
    let names: Vec<_> = read.iter().map(|event| &*event.event.name).collect();
    assert_eq!(names, ["noted", "noted", "noted", "omnitron.forgotten"]);
    drop(feed);
    assert_eq!(world.forget("a").unwrap(), Forgotten::NothingThere, "it was, and now its events go");
    assert_eq!(world.events("a").len(), 1);
}

#[test]
fn when_the_journal_fails_it_says_so_and_the_next_call_goes_on() {
    for failure in [Failure::Refused, Failure::UnknownLost, Failure::UnknownKept] {
        for nth in 0..2 {
            let mut world = World::new(1);
            world.write("a", 1);
            world.stop("a");
            let first = world.forget_with(nth, failure, "a");
            assert!(matches!(first, Err(ForgetError::Write { .. })), "{failure:?}, {nth}: {first:?}");
            world.forget("a").unwrap();
            let left: Vec<_> = world.events("a").into_iter().map(|event| event.event.name).collect();
            assert_eq!(left, ["omnitron.forgotten"], "{failure:?}, {nth}: {first:?}");
            assert_eq!(world.read("a"), [0_u64; 0]);
        }
    }
}

#[test]
fn a_snapshot_that_could_not_be_deleted_does_not_bring_it_back() {
    let mut world = World::new(1);
    for n in 1..=4 {
        world.write("a", n);
    }
    let old = world.snapshot("a").unwrap();
    world.stop("a");
    world.forget("a").unwrap();
    // As a crash before its deletion would leave it.
    world.sim.block_on(world.snapshots.save(old)).unwrap();
    assert_eq!(world.read("a"), [0_u64; 0]);
}

#[test]
fn a_timeline_begins_where_it_was_forgotten() {
    let mut world = World::new(1);
    world.write("a", 1);
    world.stop("a");
    world.forget("a").unwrap();
    world.write("a", 2);
    world.write("a", 3);
    let past = world.system.timeline::<Notebook>("a");
    let mut past = world.sim.block_on(past.into_future()).unwrap();
    world.sim.block_on(past.to_end()).unwrap();
    assert_eq!(past.state().numbers, [2, 3]);
    while world.sim.block_on(past.step_back()).unwrap() {}
    assert_eq!(past.state().numbers, [0_u64; 0]);
    assert_eq!(past.moment().map(|moment| moment.sequence), Some(Sequence::new(2)), "the mark");
    assert!(past.event().is_none());
}

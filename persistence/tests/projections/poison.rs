//! What becomes of an event that a read model cannot take?

use std::time::Duration;

use omnitron_persistence::backend::memory::Failure;
use omnitron_persistence::projection::{Doing, Poison};
use omnitron_persistence::{NewEvent, PersistenceId, ProjectionRef, Sequence};
use omnitron_runtime::AskError;

use crate::world::{Shelf, World, noted};

/// Decides that an event of `a` is left out.
fn skip(world: &World, projection: &ProjectionRef<Shelf>, sequence: u64) -> Result<bool, AskError> {
    let id = PersistenceId::new("a").expect("it is valid");
    world.sim.block_on(projection.skip(&id, Sequence::new(sequence)))
}

#[test]
fn a_projection_halts_in_front_of_it_until_somebody_decides() {
    let mut world = World::new(11);
    world.write("a", 1..=9);
    world.shelf.refuse(Some(5));
    let projection = world.start(world.projection("notes"));
    world.sim.advance(Duration::from_mins(1));
    assert_eq!(world.shelf.numbers("a"), [1, 2, 3, 4], "what comes before it is stored");
    let halted = projection.status().remove(0).doing;
    assert!(matches!(&halted, Doing::Halted { sequence, .. } if sequence.get() == 5), "{halted:?}");
    assert_eq!(world.sim.block_on(projection.lag()).unwrap().events, 5, "it has not gone past it");
    let health = world.sim.block_on(world.system.health().report(Duration::from_secs(1)));
    assert!(!health.is_ready(), "{health:?}");

    projection.retry();
    world.sim.run_until_idle();
    assert_eq!(projection.status()[0].doing, halted, "it still cannot");

    assert!(!skip(&world, &projection, 4).unwrap(), "it halts at another one");
    world.sim.run_until_idle();
    assert_eq!(projection.status()[0].doing, halted);
    assert!(skip(&world, &projection, 5).unwrap());
    assert_eq!(
        world.sim.block_on(projection.skipped()).unwrap().0,
        1,
        "it is recorded when the answer comes"
    );
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a"), [1, 2, 3, 4, 6, 7, 8, 9]);
    let (count, skipped) = world.sim.block_on(projection.skipped()).unwrap();
    assert_eq!((count, skipped.len()), (1, 1));
    assert_eq!((skipped[0].id.as_str(), skipped[0].sequence.get()), ("a", 5));
    assert!(skipped[0].reason.contains("not wanted"), "{skipped:?}");
    assert!(!skip(&world, &projection, 5).unwrap(), "there is nothing to skip any more");
    assert!(world.sim.block_on(world.system.health().report(Duration::from_secs(1))).is_ready());
}

#[test]
fn a_projection_that_skips_records_each_and_goes_on() {
    let mut world = World::new(12);
    let mut events: Vec<NewEvent> = (1..=9).map(noted).collect();
    events.insert(4, NewEvent::new("noted", "no"));
    let mut newer = noted(10);
    newer.version = 99;
    events.push(newer);
    world.write_events("a", events);
    world.shelf.refuse(Some(2));
    world.shelf.panic_over(Some(8));
    let projection = world.start(world.projection("notes").poison(Poison::Skip));
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a"), [1, 3, 4, 5, 6, 7, 9]);
    let (_, skipped) = world.sim.block_on(projection.skipped()).unwrap();
    let sequences: Vec<u64> = skipped.iter().map(|skipped| skipped.sequence.get()).collect();
    assert_eq!(sequences, [2, 5, 9, 11]);
    world.sim.block_on(projection.stop());
    let projection = world.start(world.projection("notes").poison(Poison::Skip));
    world.sim.run_until_idle();
    assert_eq!(world.sim.block_on(projection.skipped()).unwrap().0, 4, "the record outlives a restart");
    assert_eq!(world.shelf.numbers("a").len(), 7);
}

#[test]
fn what_cannot_be_recorded_is_not_left_out() {
    let mut world = World::new(15);
    world.write("a", 1..=3);
    world.shelf.refuse(Some(2));
    let projection = world.start(world.projection("notes").poison(Poison::Skip));
    for _ in 0..4 {
        world.controls.fail_next(Failure::Refused);
    }
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a"), [1]);
    assert!(matches!(projection.status()[0].doing, Doing::Suspended { .. }));
    world.sim.advance(Duration::from_mins(5));
    assert_eq!(world.shelf.numbers("a"), [1, 3]);
    assert_eq!(world.sim.block_on(projection.skipped()).unwrap().0, 1);
}

#[test]
fn whoever_decides_that_one_is_left_out_learns_whether_that_is_recorded() {
    let mut world = World::new(17);
    world.write("a", 1..=3);
    world.shelf.refuse(Some(2));
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    world.controls.fail_next(Failure::Refused);
    let answer = skip(&world, &projection, 2);
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(world.shelf.numbers("a"), [1]);
    world.sim.advance(Duration::from_mins(1));
    assert_eq!(world.shelf.numbers("a"), [1, 3], "it is tried again");
    assert_eq!(world.sim.block_on(projection.skipped()).unwrap().0, 1);
}

#[test]
fn one_that_was_left_out_before_a_crash_is_not_asked_about_again() {
    let mut world = World::new(16);
    world.write("a", 1..=3);
    world.shelf.refuse(Some(2));
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    let before = world.shelf.offset(0).unwrap();
    assert!(skip(&world, &projection, 2).unwrap());
    world.sim.block_on(projection.stop());
    // The record is there, and the offset behind it is not.
    world.shelf.set_offset(0, before);
    world.write("a", 4..=4);
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a"), [1, 3, 3, 4], "the offset was put back on purpose");
    assert_eq!(projection.status()[0].doing, Doing::Runs);
}

#[test]
fn a_store_that_is_away_makes_no_event_suspect() {
    let mut world = World::new(13);
    world.write("a", 1..=9);
    let projection = world.start(world.projection("notes").poison(Poison::Skip));
    world.shelf.unavailable(true);
    world.sim.advance(Duration::from_mins(5));
    let doing = projection.status().remove(0).doing;
    assert!(matches!(&doing, Doing::Suspended { attempts, .. } if *attempts > 5), "{doing:?}");
    world.shelf.unavailable(false);
    world.sim.advance(Duration::from_secs(30));
    assert_eq!(world.shelf.numbers("a"), (1..=9).collect::<Vec<_>>());
    assert_eq!(world.sim.block_on(projection.skipped()).unwrap().0, 0);
}

#[test]
fn a_projection_that_retries_for_ever_does_so_with_longer_waits_and_shows_it() {
    let mut world = World::new(14);
    world.write("a", 1..=3);
    world.shelf.panic_over(Some(2));
    let projection = world.start(world.projection("notes").poison(Poison::Retry));
    world.sim.advance(Duration::from_hours(1));
    let doing = projection.status().remove(0).doing;
    let Doing::Suspended { attempts, reason } = doing else { panic!("{doing:?}") };
    assert!(reason.contains("panicked"), "{reason}");
    assert!((300..=460).contains(&attempts), "{attempts} attempts in an hour: about one in 10 s");
    assert_eq!(world.sim.block_on(projection.lag()).unwrap().events, 2);
    let health = world.sim.block_on(world.system.health().report(Duration::from_secs(1)));
    assert!(format!("{health:?}").contains("suspended after"), "{health:?}");
    world.shelf.panic_over(None);
    projection.retry();
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a"), [1, 2, 3]);
}

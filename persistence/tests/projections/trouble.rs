//! Journals, offsets and stores that are not what a projection was made for: is it told, and is nothing made worse?

use std::time::Duration;

use omnitron_persistence::backend::{Delete, JournalBackend};
use omnitron_persistence::projection::{Doing, ProjectionError};
use omnitron_persistence::{Offset, Ordinal, PersistenceId, Sequence, Slice};
use omnitron_runtime::ActorSystem;
use omnitron_runtime::testkit::Sim;

use crate::world::{World, now};

/// What a projection says that cannot read.
fn unreadable(world: &World) -> String {
    let projection = world.start(world.projection("notes"));
    world.sim.advance(Duration::from_mins(1));
    assert!(!world.sim.block_on(world.system.health().report(Duration::from_secs(1))).is_ready());
    match projection.status().remove(0).doing {
        Doing::Unreadable { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_read_model_of_another_journal_is_refused() {
    let mut world = World::new(21);
    world.write("a", 1..=3);
    let mut other = Offset::start(0xdead_beef);
    other.advance(Slice::new(0), Ordinal::new(1));
    world.shelf.set_offset(0, other.to_bytes());
    let reason = unreadable(&world);
    assert!(reason.contains("00000000deadbeef"), "{reason}");
    assert_eq!(world.shelf.numbers("a"), [0; 0]);
}

#[test]
fn a_damaged_offset_is_refused() {
    let mut world = World::new(22);
    world.write("a", 1..=3);
    let mut bytes = world.journal.start().unwrap().to_bytes();
    bytes[3] ^= 1;
    world.shelf.set_offset(0, bytes);
    let reason = unreadable(&world);
    assert!(reason.contains("damaged"), "{reason}");
    assert_eq!(world.shelf.commits(), 0);
}

#[test]
fn a_read_model_that_is_ahead_of_an_older_copy_of_the_journal_is_refused() {
    let mut world = World::new(23);
    let position = world.write("a", 1..=3);
    let mut ahead = world.journal.start().unwrap();
    ahead.advance(position.slice, position.ordinal.plus(1));
    world.shelf.set_offset(0, ahead.to_bytes());
    let reason = unreadable(&world);
    assert!(reason.contains("older than the read model"), "{reason}");
}

#[test]
fn a_read_model_behind_events_that_were_deleted_is_refused_and_says_so() {
    let mut world = World::new(24);
    world.write("a", 1..=9);
    let id = PersistenceId::new("a").unwrap();
    let slice = id.slice(world.backend.slices());
    let epoch = now(world.backend.claim(slice)).unwrap();
    now(world.backend.delete_to(Delete { slice, epoch, id, to: Sequence::new(4) })).unwrap();
    let reason = unreadable(&world);
    assert!(reason.contains("were deleted before they were read"), "{reason}");
    assert_eq!(world.shelf.numbers("a"), [0; 0]);
    let left = world.start(world.projection("left").despite_deletions());
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a"), [5, 6, 7, 8, 9]);
    assert!(world.sim.block_on(left.caught_up()).is_ok());
}

#[test]
fn a_store_that_cannot_be_opened_suspends_the_projection_until_it_can() {
    let mut world = World::new(25);
    world.write("a", 1..=3);
    world.shelf.unavailable(true);
    let projection = world.start(world.projection("notes"));
    world.sim.advance(Duration::from_mins(1));
    let doing = projection.status().remove(0).doing;
    assert!(matches!(&doing, Doing::Suspended { reason, .. } if reason.contains("locked")), "{doing:?}");
    world.shelf.unavailable(false);
    world.sim.advance(Duration::from_secs(20));
    assert_eq!(world.shelf.numbers("a"), [1, 2, 3]);
}

#[test]
fn a_read_model_whose_making_panics_suspends_the_projection() {
    let mut world = World::new(29);
    world.write("a", 1..=3);
    let open = |_: &omnitron_persistence::projection::Target| -> Result<crate::world::Shelf, _> {
        panic!("nothing can be made here")
    };
    let projection = world.start(omnitron_persistence::Projection::new("notes", open));
    world.sim.advance(Duration::from_mins(30));
    let doing = projection.status().remove(0).doing;
    assert!(matches!(&doing, Doing::Suspended { reason, .. } if reason.contains("nothing can")), "{doing:?}");
}

#[test]
fn a_journal_that_cannot_be_read_suspends_the_projection_until_it_can() {
    let mut world = World::new(26);
    world.write("a", 1..=3);
    let projection = world.start(world.projection("notes"));
    world.controls.unreadable(true);
    world.sim.advance(Duration::from_mins(1));
    let doing = projection.status().remove(0).doing;
    assert!(matches!(&doing, Doing::Suspended { .. }), "{doing:?}");
    world.controls.unreadable(false);
    world.sim.advance(Duration::from_secs(20));
    assert_eq!(world.shelf.numbers("a"), [1, 2, 3]);
}

#[test]
fn a_projection_without_a_journal_or_with_a_name_that_is_taken_is_not_started() {
    let sim = Sim::new(27);
    let system = sim.block_on(ActorSystem::builder("bare").env(sim.env()).start()).unwrap();
    let world = World::new(28);
    let error = sim.block_on(world.projection("notes").start(&system)).unwrap_err();
    assert!(matches!(error, ProjectionError::NoJournal { .. }), "{error}");
    let _first = world.start(world.projection("notes"));
    let error = world.sim.block_on(world.projection("notes").start(&world.system)).unwrap_err();
    assert!(matches!(error, ProjectionError::Spawn { .. }), "{error}");
    assert!(world.shelf.offset(0).is_none());
}

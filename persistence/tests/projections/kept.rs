//! Are events kept until a projection that runs has stored them, also while it has no read model, and no longer than that?

use std::future::IntoFuture;
use std::time::Duration;

use omnitron_persistence::projection::Doing;

use crate::world::World;

#[test]
fn events_that_a_projection_has_not_stored_are_kept_when_snapshots_delete() {
    let world = World::new(8);
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    world.shelf.unavailable(true);
    let account = world.diary("diary");
    world.tell(&account, 30);
    assert_eq!(world.shelf.numbers("diary"), [0; 0]);
    world.shelf.unavailable(false);
    world.sim.advance(Duration::from_secs(30));
    assert_eq!(world.shelf.numbers("diary"), (1..=30).collect::<Vec<_>>());
    assert!(world.first_left("diary") <= 1, "nothing was deleted before it was read");
    world.tell(&account, 30);
    assert!(world.first_left("diary") > 1, "and what was read does not stay for ever");
    assert_eq!(projection.status()[0].doing, Doing::Runs);
}

#[test]
fn events_stay_while_the_store_is_away_from_the_start_on() {
    let world = World::new(51);
    world.shelf.unavailable(true);
    let projection = world.start(world.projection("notes").parts(2));
    world.sim.run_until_idle();
    let diary = world.diary("d");
    world.tell(&diary, 20);
    assert_eq!(world.first_left("d"), 1, "{:?}", projection.status());
    world.shelf.unavailable(false);
    world.sim.advance(Duration::from_mins(1));
    assert_eq!(world.shelf.numbers("d"), (1..=20).collect::<Vec<_>>());
    world.tell(&diary, 10);
    assert!(world.first_left("d") > 1, "what is stored may go");
}

#[test]
fn events_stay_while_a_read_model_is_opened_anew() {
    let world = World::new(52);
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    let diary = world.diary("d");
    world.tell(&diary, 3);
    projection.pause();
    world.sim.run_until_idle();
    world.shelf.unavailable(true);
    let panics = projection.query(|_| -> u64 { panic!("a bad query") });
    assert!(world.sim.block_on(panics.into_future()).is_err());
    world.sim.run_until_idle();
    world.tell(&diary, 20);
    world.shelf.unavailable(false);
    projection.resume();
    world.sim.advance(Duration::from_mins(1));
    assert_eq!(world.shelf.numbers("d"), (1..=23).collect::<Vec<_>>(), "{:?}", projection.status());
}

#[test]
fn events_stay_while_the_journal_cannot_be_read() {
    let world = World::new(53);
    let projection = world.start(world.projection("notes"));
    let diary = world.diary("d");
    world.tell(&diary, 3);
    projection.pause();
    world.sim.run_until_idle();
    world.controls.unreadable(true);
    let panics = projection.query(|_| -> u64 { panic!("a bad query") });
    assert!(world.sim.block_on(panics.into_future()).is_err());
    projection.resume();
    world.sim.advance(Duration::from_mins(1));
    world.tell(&diary, 20);
    world.controls.unreadable(false);
    world.sim.advance(Duration::from_mins(1));
    assert_eq!(world.shelf.numbers("d"), (1..=23).collect::<Vec<_>>(), "{:?}", projection.status());
}

#[test]
fn a_projection_that_was_stopped_keeps_nothing_any_more() {
    let world = World::new(54);
    world.shelf.unavailable(true);
    let projection = world.start(world.projection("notes"));
    let diary = world.diary("d");
    world.tell(&diary, 20);
    assert_eq!(world.first_left("d"), 1);
    world.sim.block_on(projection.stop());
    world.tell(&diary, 10);
    assert!(world.first_left("d") > 1);
}

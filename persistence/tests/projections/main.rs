//! Does a projection put every event into its read model, and what does it do when it cannot?

extern crate omnitron_persistence as omnitron;

mod crash;
mod poison;
mod trouble;
mod world;

use std::future::IntoFuture;
use std::time::Duration;

use omnitron_persistence::projection::{Doing, QueryError, RebuildError};
use omnitron_persistence::{NewEvent, Ordinal, Position};

use world::{World, noted};

#[test]
fn a_projection_catches_up_and_then_keeps_up() {
    let mut world = World::new(1);
    world.write("a", 1..=5);
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a"), [1, 2, 3, 4, 5]);
    world.write("a", 6..=7);
    world.write("b", 1..=2);
    world.sim.run_until_idle();
    assert_eq!((world.shelf.numbers("a"), world.shelf.numbers("b")), ((1..=7).collect(), vec![1, 2]));
    assert_eq!(world.sim.block_on(projection.lag()).unwrap().events, 0);
    assert!(projection.status().iter().all(|part| part.is_live && part.doing == Doing::Runs));
}

#[test]
fn events_of_other_types_and_without_the_tag_are_not_for_it() {
    let mut world = World::new(2);
    world.write_events("a", vec![noted(1), NewEvent::new("something.else", "x"), noted(2).tag("loud")]);
    let all = world.start(world.projection("all"));
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a"), [1, 2]);
    world.sim.block_on(all.stop());
    let loud = world.new_shelf();
    let _loud = world.start(world.projection("loud").tag("loud"));
    world.sim.run_until_idle();
    assert_eq!(loud.numbers("a"), [2]);
}

#[test]
fn after_a_restart_it_goes_on_where_its_offset_is_also_in_other_parts() {
    let mut world = World::new(3);
    for (round, parts) in (0..).zip([1_u32, 4, 2, 64]) {
        for id in ["a", "b", "c", "d", "e"] {
            world.write(id, round * 10 + 1..=round * 10 + 10);
        }
        let projection = world.start(world.projection("notes").parts(parts).batch(3));
        world.sim.run_until_idle();
        assert_eq!(projection.status().len(), parts.min(4) as usize, "there are four slices");
        world.sim.block_on(projection.stop());
        world.write("a", []);
    }
    for id in ["a", "b", "c", "d", "e"] {
        assert_eq!(world.shelf.numbers(id), (1..=40).collect::<Vec<_>>(), "{id}: each once, and in order");
    }
}

#[test]
fn a_query_sees_what_its_asker_has_written() {
    let mut world = World::new(4);
    let projection = world.start(world.projection("notes"));
    projection.pause();
    let position = world.write("a", 1..=1);
    let query = projection.query(|shelf| shelf.numbers("a")).after(position).within(Duration::from_secs(1));
    let behind = world.sim.block_on(query.into_future());
    assert!(matches!(behind, Err(QueryError::Behind { doing: Doing::Paused, .. })), "{behind:?}");
    assert_eq!(world.sim.block_on(projection.query(|shelf| shelf.numbers("a")).into_future()), Ok(vec![]));
    projection.resume();
    let query = projection.query(|shelf| shelf.numbers("a")).after(position);
    assert_eq!(world.sim.block_on(query.into_future()), Ok(vec![1]));
    let never = Position { ordinal: Ordinal::new(99), ..position };
    let behind = world.sim.block_on(projection.after(never).into_future());
    assert!(matches!(behind, Err(QueryError::Behind { .. })), "{behind:?}");
}

#[test]
fn a_query_that_panics_is_not_answered_and_the_next_one_is() {
    let mut world = World::new(5);
    world.write("a", 1..=2);
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    for _ in 0..50 {
        let panics = projection.query(|_| -> u64 { panic!("a bad query") });
        let answer = world.sim.block_on(panics.into_future());
        assert!(matches!(answer, Err(QueryError::Unanswered { .. })), "{answer:?}");
        world.sim.run_until_idle();
    }
    assert_eq!(
        world.sim.block_on(projection.query(|shelf| shelf.numbers("a")).into_future()),
        Ok(vec![1, 2])
    );
    world.write("a", 3..=3);
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a"), [1, 2, 3]);
}

#[test]
fn a_paused_projection_does_nothing_until_it_is_resumed() {
    let mut world = World::new(6);
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    projection.pause();
    world.sim.run_until_idle();
    world.write("a", 1..=100);
    world.sim.advance(Duration::from_mins(1));
    assert!(world.shelf.numbers("a").len() <= 1, "what was in hand may still come");
    assert!(world.sim.block_on(projection.lag()).unwrap().events >= 99);
    projection.resume();
    world.sim.run_until_idle();
    assert_eq!(world.shelf.numbers("a").len(), 100);
}

#[test]
fn a_rebuild_runs_beside_the_live_one_and_takes_its_place_when_it_has_caught_up() {
    let mut world = World::new(7);
    world.write("a", 1..=20);
    let projection = world.start(world.projection("notes").parts(2));
    world.sim.run_until_idle();
    let live = world.shelf.clone();
    let next = world.shelf_of(1);
    next.unavailable(true);
    let rebuild = {
        let projection = projection.clone();
        world.spawn(async move { projection.rebuild().await })
    };
    world.sim.advance(Duration::from_secs(1));
    world.write("a", 21..=21);
    world.sim.run_until_idle();
    assert_eq!((projection.generation(), live.numbers("a").len()), (0, 21), "the live one goes on");
    let again = world.sim.block_on(projection.rebuild());
    assert!(matches!(again, Err(RebuildError::Already)), "{again:?}");
    next.unavailable(false);
    world.sim.advance(Duration::from_secs(30));
    assert_eq!(rebuild.get().unwrap(), 1);
    assert_eq!((projection.generation(), next.numbers("a").len()), (1, 21));
    world.write("a", 22..=22);
    world.sim.run_until_idle();
    assert_eq!((live.numbers("a").len(), next.numbers("a").len()), (21, 22));
    let health = world.sim.block_on(world.system.health().report(Duration::from_secs(1)));
    assert!(health.is_ready(), "the one before has ended for good: {health:?}");
    world.sim.block_on(projection.stop());
    let projection = world.start(world.projection("notes"));
    assert_eq!(projection.generation(), 1, "also after a restart");
}

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

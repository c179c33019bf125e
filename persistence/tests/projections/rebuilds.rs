//! Does a read model that is built anew take over when it should, exactly then, and once?

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::future::select;
use omnitron_persistence::ProjectionRef;
use omnitron_persistence::backend::memory::Failure;
use omnitron_persistence::projection::RebuildError;

use crate::world::{Shelf, Started, World};

fn rebuild(world: &World, projection: &ProjectionRef<Shelf>) -> Started<Result<u64, RebuildError>> {
    let projection = projection.clone();
    world.spawn(async move { projection.rebuild().await })
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
fn a_rebuild_of_a_projection_that_is_paused_waits_until_it_is_resumed() {
    for paused_first in [true, false] {
        let mut world = World::new(61);
        world.write("a", 1..=3);
        let projection = world.start(world.projection("notes"));
        world.sim.run_until_idle();
        world.shelf_of(1).unavailable(!paused_first);
        if paused_first {
            projection.pause();
            world.sim.run_until_idle();
        }
        let rebuilt = rebuild(&world, &projection);
        projection.pause();
        world.shelf_of(1).unavailable(false);
        world.sim.advance(Duration::from_mins(1));
        assert_eq!((projection.generation(), world.shelf_of(1).numbers("a").len()), (0, 0), "{paused_first}");
        projection.resume();
        world.sim.advance(Duration::from_mins(1));
        assert_eq!(rebuilt.get().unwrap(), 1);
        assert_eq!(world.shelf_of(1).numbers("a"), [1, 2, 3]);
    }
}

#[test]
fn whoever_waits_for_a_live_one_that_is_replaced_waits_for_the_next() {
    let mut world = World::new(62);
    let position = world.write("a", 1..=3);
    world.shelf.refuse(Some(2));
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    let caught_up = {
        let projection = projection.clone();
        world.spawn(async move { projection.caught_up().await })
    };
    let query = {
        let query =
            projection.query(|shelf| shelf.numbers("a")).after(position).within(Duration::from_hours(2));
        world.spawn(query.into_future())
    };
    let rebuilt = rebuild(&world, &projection);
    world.sim.advance(Duration::from_mins(1));
    assert_eq!(rebuilt.get().unwrap(), 1);
    caught_up.get().unwrap();
    assert_eq!(query.get(), Ok(vec![1, 2, 3]));
}

/// The live one is the one that a start would find.
fn agrees(world: &World, projection: &ProjectionRef<Shelf>) {
    let live = projection.generation();
    world.sim.block_on(projection.stop());
    let projection = world.start(world.projection("notes"));
    assert_eq!(projection.generation(), live, "what is recorded is what was live");
    world.sim.block_on(projection.stop());
}

#[test]
fn a_switch_that_nobody_can_confirm_is_looked_up_before_anything_is_decided() {
    for (failure, live) in [(Failure::UnknownKept, 1), (Failure::UnknownLost, 0), (Failure::Refused, 0)] {
        let mut world = World::new(63);
        world.write("a", 1..=3);
        let projection = world.start(world.projection("notes"));
        world.sim.run_until_idle();
        world.controls.fail_next(failure);
        let answer = rebuild(&world, &projection);
        world.sim.advance(Duration::from_mins(1));
        let answer = answer.get();
        assert_eq!(projection.generation(), live, "{failure:?}: {answer:?}");
        assert_eq!(answer.is_ok(), live == 1, "{failure:?}: {answer:?}");
        if live == 0 {
            let again = rebuild(&world, &projection);
            world.sim.advance(Duration::from_mins(1));
            assert_eq!(again.get().unwrap(), 1, "{failure:?}");
        }
        world.write("a", 4..=4);
        world.sim.run_until_idle();
        assert_eq!(world.shelf_of(1).numbers("a"), [1, 2, 3, 4]);
        agrees(&world, &projection);
    }
}

#[test]
fn a_switch_goes_to_its_end_when_its_asker_has_gone() {
    let mut world = World::new(64);
    world.write("a", 1..=3);
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    world.controls.hold();
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let rebuilt = {
        let projection = projection.clone();
        world.spawn(async move { drop(select(Box::pin(projection.rebuild()), gone).await) })
    };
    assert_eq!(world.controls.waiting(), 1, "the switch is on its way");
    drop(go);
    world.sim.run_until_idle();
    rebuilt.get();
    let again = world.sim.block_on(projection.rebuild());
    assert!(matches!(again, Err(RebuildError::Already)), "it is not done: {again:?}");
    world.controls.resume();
    world.sim.run_until_idle();
    assert_eq!(projection.generation(), 1);
    world.write("a", 4..=4);
    world.sim.run_until_idle();
    assert_eq!((world.shelf.numbers("a").len(), world.shelf_of(1).numbers("a").len()), (3, 4));
    agrees(&world, &projection);
}

#[test]
fn a_projection_that_is_stopped_while_it_is_built_anew_leaves_nothing_running() {
    for held in [false, true] {
        let mut world = World::new(65);
        world.write("a", 1..=3);
        let projection = world.start(world.projection("notes"));
        world.sim.run_until_idle();
        if held {
            world.controls.hold();
        } else {
            projection.pause();
            world.sim.run_until_idle();
        }
        let rebuilt = rebuild(&world, &projection);
        let stopped = {
            let projection = projection.clone();
            world.spawn(async move { projection.stop().await })
        };
        world.controls.resume();
        world.sim.advance(Duration::from_mins(1));
        stopped.get();
        let answer = rebuilt.get();
        assert_eq!(answer.is_ok(), projection.generation() == 1, "{held}: {answer:?}");
        // The names of all actors are free again.
        let next = world.start(world.projection("notes"));
        assert_eq!(next.generation(), projection.generation());
        let rebuilt = rebuild(&world, &next);
        world.sim.advance(Duration::from_mins(1));
        assert_eq!(rebuilt.get().unwrap(), projection.generation() + 1);
    }
}

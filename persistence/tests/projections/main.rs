//! Does a projection put every event into its read model, and what does it do when it cannot?

extern crate omnitron_persistence as omnitron;

mod crash;
mod kept;
mod panics;
mod parts;
mod poison;
mod queries;
mod rebuilds;
#[path = "../shared/seeds.rs"]
mod seeds;
mod trouble;
mod world;

use std::time::Duration;

use omnitron_persistence::NewEvent;
use omnitron_persistence::projection::Doing;

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

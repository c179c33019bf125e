//! What does a map over a pool bring?

use omnitron::prelude::*;

use crate::world::{Act, Job, SECOND, World};

#[test]
fn results_come_in_the_order_of_the_items_whoever_is_ready_first() {
    let world = World::new(1);
    let (pool, _) = world.pool(4, Routing::round_robin());
    // The first takes longest.
    let mapped = pool.map(0..8, |item: u32, reply| Job::Get(item, Act::Busy((8 - item) * SECOND), reply));
    let results = world.sim.block_on(mapped.within(60 * SECOND).into_future());
    let names: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(names, ["0", "1", "2", "3", "0", "1", "2", "3"]);
    assert_ne!(world.seen.all()[0].1, 0);
}

#[test]
fn an_item_that_fails_has_an_error_of_its_own() {
    let world = World::new(1);
    let (pool, _) = world.pool(2, Routing::round_robin());
    let act = |item| if item % 3 == 0 { Act::Fail } else { Act::Note };
    let mapped = pool.map(0..9, move |item: u32, reply| Job::Get(item, act(item), reply));
    let results = world.sim.block_on(mapped.into_future());
    let failed: Vec<_> = (0..9).filter(|&item| results[item].is_err()).collect();
    assert_eq!(failed, [0, 3, 6]);
    assert!(
        results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .all(|error| matches!(error, AskError::Abandoned))
    );
}

#[test]
fn no_more_questions_than_the_limit_are_open_at_once() {
    let world = World::new(1);
    let (pool, control) = world.pool(1, Routing::round_robin());
    let mapped = pool.map(0..10, |item: u32, reply| Job::Get(item, Act::Busy(SECOND), reply));
    let mut results = world.begin(mapped.in_flight(3).within(60 * SECOND).into_future());
    let routee = &control.routees()[0];
    for _ in 0..7 {
        assert_eq!(routee.depth(), 3);
        world.sim.advance(SECOND);
    }
    world.sim.advance(3 * SECOND);
    assert!(results.now().unwrap().iter().all(Result::is_ok));
}

#[test]
fn a_map_of_nothing_is_nothing_and_a_limit_of_zero_counts_as_one() {
    let world = World::new(1);
    let (pool, _) = world.pool(1, Routing::round_robin());
    let note = |item: u32, reply| Job::Get(item, Act::Note, reply);
    assert!(world.sim.block_on(pool.map([], note).into_future()).is_empty());
    assert_eq!(world.sim.block_on(pool.map(0..3, note).in_flight(0).into_future()).len(), 3);
}

//! Does whoever asks a read model see what he has written?

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::future::join;
use omnitron_persistence::projection::{Batch, CommitError, Doing, QueryError};
use omnitron_persistence::{Ordinal, Position, Projection, ReadModel};
use omnitron_runtime::Failure;

use crate::world::{Noted, World};

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

/// Begins anew each time it is opened.
#[derive(Default)]
struct Fleeting(Vec<u64>);

impl ReadModel for Fleeting {
    type Event = Noted;

    async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(Vec::new())
    }

    async fn commit(&mut self, batch: &Batch<'_, Noted>) -> Result<(), CommitError> {
        self.0.extend(batch.events().iter().map(|noted| noted.event.number));
        Ok(())
    }
}

#[test]
fn a_query_after_a_position_sees_it_also_when_another_one_panicked_meanwhile() {
    let mut world = World::new(12);
    let projection = world.start(Projection::new("fleeting", |_| Ok(Fleeting::default())));
    world.sim.run_until_idle();
    let position = world.write("a", 1..=3);
    world.sim.run_until_idle();
    let panics = projection.query(|_| -> u64 { panic!("a bad query") });
    let numbers = projection.query(|model| model.0.clone()).after(position);
    let (_, numbers) = world.sim.block_on(join(panics.into_future(), numbers.into_future()));
    assert_eq!(numbers, Ok(vec![1, 2, 3]));
}

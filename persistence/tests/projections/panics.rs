//! What if a read model panics where nobody thinks of it?

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use omnitron_persistence::projection::{Batch, CommitError, Doing, Poison, Projected};
use omnitron_persistence::{Projection, ReadModel};
use omnitron_runtime::Failure;
use parking_lot::Mutex;

use crate::world::{Noted, World};

/// Where it panics.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    /// Over number 2, before it gives a future.
    Commit,
    /// The first 30 times, before it gives a future.
    Offsets,
    /// After each panic of a query.
    Drop,
}

/// Panics outside of its futures.
#[derive(Clone)]
struct Early {
    place: Where,
    opened: Arc<AtomicU32>,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl Early {
    fn new(place: Where) -> Self {
        Self { place, opened: Arc::default(), seen: Arc::default() }
    }

    fn projection(&self) -> Projection<Model> {
        let model = self.clone();
        Projection::new("early", move |_| Ok(Model(model.clone()))).poison(Poison::Skip)
    }
}

struct Model(Early);

impl Drop for Model {
    fn drop(&mut self) {
        assert!(self.0.place != Where::Drop, "it does not want to go");
    }
}

impl ReadModel for Model {
    type Event = Noted;

    fn offsets(&mut self) -> impl Future<Output = Result<Vec<Vec<u8>>, Failure>> + Send {
        let opened = self.0.opened.fetch_add(1, Ordering::Relaxed);
        assert!(self.0.place != Where::Offsets || opened >= 30, "not yet");
        std::future::ready(Ok(Vec::new()))
    }

    fn commit(&mut self, batch: &Batch<'_, Noted>) -> impl Future<Output = Result<(), CommitError>> + Send {
        let numbers = || batch.events().iter().map(|noted| noted.event.number);
        assert!(self.0.place != Where::Commit || numbers().all(|number| number != 2), "not this one");
        self.0.seen.lock().extend(numbers());
        std::future::ready(Ok(()))
    }
}

/// The system and its other actors go on.
fn all_is_well(world: &World) {
    assert!(world.sim.block_on(world.system.health().report(Duration::from_secs(1))).is_ready());
    let other = world.diary("other");
    world.tell(&other, 1);
    assert!(!other.is_stopped());
}

#[test]
fn a_commit_that_panics_before_its_future_is_poison_too() {
    let mut world = World::new(41);
    world.write("a", 1..=3);
    let early = Early::new(Where::Commit);
    let projection = world.start(early.projection());
    world.sim.advance(Duration::from_mins(1));
    assert_eq!(*early.seen.lock(), [1, 3]);
    assert_eq!(world.sim.block_on(projection.skipped()).unwrap().0, 1);
    assert_eq!(early.opened.load(Ordering::Relaxed), 1, "it was not even opened anew");
    all_is_well(&world);
}

#[test]
fn offsets_that_panic_before_their_future_suspend_the_projection() {
    let mut world = World::new(42);
    world.write("a", 1..=3);
    let early = Early::new(Where::Offsets);
    let projection = world.start(early.projection());
    world.sim.advance(Duration::from_mins(1));
    let doing = projection.status().remove(0).doing;
    assert!(matches!(&doing, Doing::Suspended { reason, .. } if reason.contains("not yet")), "{doing:?}");
    world.sim.advance(Duration::from_mins(10));
    assert_eq!(*early.seen.lock(), [1, 2, 3]);
    all_is_well(&world);
}

#[test]
fn a_read_model_that_panics_when_it_is_dropped_harms_nothing() {
    let mut world = World::new(43);
    let early = Early::new(Where::Drop);
    let projection = world.start(early.projection());
    world.sim.run_until_idle();
    for _ in 0..30 {
        let panics = projection.query(|_| -> () { panic!("a bad query") });
        assert!(world.sim.block_on(std::future::IntoFuture::into_future(panics)).is_err());
        world.sim.run_until_idle();
    }
    world.write("a", 1..=3);
    world.sim.run_until_idle();
    assert_eq!(*early.seen.lock(), [1, 2, 3]);
    all_is_well(&world);
    world.sim.block_on(projection.stop());
    let projection = world.start(early.projection());
    world.sim.run_until_idle();
    assert_eq!(projection.status()[0].doing, Doing::Runs, "the one before has ended");
}

/// Refuses the first event that it was ever given, when number 5 comes.
#[derive(Clone, Default)]
struct Confused {
    first: Arc<Mutex<Option<Projected<Noted>>>>,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl ReadModel for Confused {
    type Event = Noted;

    async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(Vec::new())
    }

    async fn commit(&mut self, batch: &Batch<'_, Noted>) -> Result<(), CommitError> {
        let numbers = || batch.events().iter().map(|noted| noted.event.number);
        let mut first = self.first.lock();
        let first = first.get_or_insert_with(|| batch.events()[0].clone());
        if numbers().any(|number| number == 5) {
            return Err(batch.refuse(first, "it is too old"));
        }
        self.seen.lock().extend(numbers());
        Ok(())
    }
}

#[test]
fn a_refusal_of_an_event_that_is_not_of_the_batch_is_put_on_no_other_one() {
    let mut world = World::new(44);
    world.write("a", 1..=1);
    let model = Confused::default();
    let projection = {
        let model = model.clone();
        world.start(Projection::new("confused", move |_| Ok(model.clone())).poison(Poison::Skip))
    };
    world.sim.run_until_idle();
    world.write("a", 2..=9);
    world.sim.run_until_idle();
    assert_eq!(*model.seen.lock(), [1, 2, 3, 4, 6, 7, 8, 9]);
    let (_, skipped) = world.sim.block_on(projection.skipped()).unwrap();
    assert_eq!((skipped.len(), skipped[0].sequence.get()), (1, 5));
    assert!(skipped[0].reason.contains("not of the batch"), "{skipped:?}");
}

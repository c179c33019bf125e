//! What do read models hear of it?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use omnitron_persistence::projection::{Batch, CommitError, Doing, Poison};
use omnitron_persistence::{Forgotten, Projection, ReadModel};
use omnitron_runtime::Failure;
use parking_lot::Mutex;

use crate::world::{Noted, World};

/// The sum of each id's numbers.
#[derive(Clone, Default)]
struct Sums {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    sums: BTreeMap<String, u64>,
    offset: Option<Vec<u8>>,
    told: Vec<String>,
    away: bool,
    panics: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("it is away")]
struct Away;

impl ReadModel for Sums {
    type Event = Noted;

    async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(self.state.lock().offset.iter().cloned().collect())
    }

    async fn commit(&mut self, batch: &Batch<'_, Noted>) -> Result<(), CommitError> {
        let mut state = self.state.lock();
        if state.away {
            Err(Away)?;
        }
        if let Some(id) = batch.forgotten() {
            assert!(!state.panics, "it cannot let go");
            assert!(batch.events().is_empty());
            state.sums.remove(id.as_str());
            state.told.push(id.to_string());
        }
        for event in batch.events() {
            *state.sums.entry(event.id.to_string()).or_default() += event.event.number;
        }
        state.offset = Some(batch.offset());
        Ok(())
    }
}

fn start(world: &World, sums: &Sums, poison: Poison) -> omnitron_persistence::ProjectionRef<Sums> {
    let sums = sums.clone();
    let projection = Projection::new("sums", move |_| Ok(sums.clone())).poison(poison);
    world.sim.block_on(projection.start(&world.system)).unwrap()
}

#[test]
fn a_read_model_is_told_between_the_old_history_and_the_new_one() {
    let mut world = World::new(1);
    let sums = Sums::default();
    world.write("a", 1);
    world.write("b", 10);
    world.write("a", 2);
    let projection = start(&world, &sums, Poison::Stop);
    world.stop("a");
    assert_eq!(world.forget("a").unwrap(), Forgotten::Gone);
    world.write("a", 4);
    world.sim.run_until_idle();
    let state = sums.state.lock();
    assert_eq!(state.told, ["a"]);
    assert_eq!(state.sums, BTreeMap::from([("a".to_owned(), 4), ("b".to_owned(), 10)]));
    drop(state);
    // All of it at once, by a read model that begins now.
    world.sim.block_on(projection.stop());
    let late = Sums::default();
    let late_of = late.clone();
    let projection = Projection::new("late", move |_| Ok(late_of.clone())).despite_deletions();
    world.sim.block_on(projection.start(&world.system)).unwrap();
    world.sim.run_until_idle();
    let state = late.state.lock();
    assert_eq!(state.sums, BTreeMap::from([("a".to_owned(), 4), ("b".to_owned(), 10)]));
}

#[test]
fn a_read_model_that_is_away_is_told_when_it_is_back() {
    let mut world = World::new(1);
    let sums = Sums::default();
    let _projection = start(&world, &sums, Poison::Stop);
    world.write("a", 1);
    sums.state.lock().away = true;
    world.stop("a");
    let forgetting = world.forget_later("a");
    world.sim.advance(Duration::from_secs(5));
    assert_eq!(sums.state.lock().sums.get("a"), Some(&1));
    sums.state.lock().away = false;
    world.sim.advance(Duration::from_secs(30));
    assert_eq!(forgetting.get().unwrap(), Forgotten::Gone, "it waited for the read model");
    assert_eq!(sums.state.lock().told, ["a"]);
    assert!(sums.state.lock().sums.is_empty());
}

#[test]
fn one_that_cannot_let_go_halts_there_and_can_be_told_to_go_on() {
    let mut world = World::new(1);
    let sums = Sums::default();
    let projection = start(&world, &sums, Poison::Stop);
    world.write("a", 1);
    world.stop("a");
    sums.state.lock().panics = true;
    let forgetting = world.forget_later("a");
    world.write("b", 2);
    world.sim.advance(Duration::from_secs(1));
    let doing = projection.status().remove(0).doing;
    let Doing::Halted { id, sequence, reason } = &doing else { panic!("{doing:?}") };
    assert!(id.as_str() == "a" && reason.contains("it cannot let go"), "{doing:?}");
    assert!(world.sim.block_on(projection.skip(id, *sequence)).unwrap());
    world.sim.advance(Duration::from_secs(1));
    assert_eq!(sums.state.lock().sums.get("b"), Some(&2));
    assert_eq!(world.sim.block_on(projection.skipped()).unwrap().0, 1);
    world.sim.advance(Duration::from_secs(30));
    forgetting.get().unwrap();
}

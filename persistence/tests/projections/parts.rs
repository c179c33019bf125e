//! Does a projection still hold each event once when the number of its parts changes, whatever they get to store before they are stopped?

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use omnitron_persistence::projection::{AtLeastOnce, Target};
use omnitron_persistence::{PersistenceId, Projection, Slices};
use omnitron_runtime::Failure;
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::crash::Letters;
use crate::world::{Shelf, World};

/// Ids outside of the slices that what the projections remember lies in, those in the first half of the slices first.
fn names() -> [String; 6] {
    let slices = Slices::new(4).expect("four is a number of slices");
    let slice = |id: &str| PersistenceId::new(id).expect("it is valid").slice(slices).get();
    let taken = ["projection/notes", "projection/keyed"].map(slice);
    let mut lies = [Vec::new(), Vec::new()];
    for id in (0..100).map(|n| format!("id{n}")).filter(|id| !taken.contains(&slice(id))) {
        lies[usize::from(slice(&id) >= 2)].push(id);
    }
    let [low, high] = lies;
    [&low[..3], &high[..3]].concat().try_into().expect("there are so many in both halves")
}

fn low_and_high() -> (String, String) {
    let [low, .., high] = names();
    (low, high)
}

/// Opens a read model, unless one of these parts does so for the first time.
#[derive(Clone, Default)]
struct Doors(Arc<Mutex<BTreeSet<u32>>>);

impl Doors {
    fn open(&self, target: &Target) -> Result<(), Failure> {
        if self.0.lock().remove(&target.part) {
            return Err(Failure::msg("no connection"));
        }
        Ok(())
    }
}

fn shut(shelf: &Shelf, parts: impl IntoIterator<Item = u32>) -> Projection<Shelf> {
    let (shelf, doors) = (shelf.clone(), Doors(Arc::new(Mutex::new(parts.into_iter().collect()))));
    Projection::new("notes", move |target| doors.open(target).map(|()| shelf.clone()))
}

/// Three events of an id in the slices of the first of two parts, and of one in those of the second, stored by a single part that has stopped.
fn stored_by_one_part(seed: u64) -> (World, String, String) {
    let mut world = World::new(seed);
    let (low, high) = low_and_high();
    world.write(&low, 1..=3);
    world.write(&high, 1..=3);
    let projection = world.start(world.projection("notes"));
    world.sim.run_until_idle();
    world.sim.block_on(projection.stop());
    (world, low, high)
}

#[test]
fn a_part_that_stores_keeps_the_offsets_of_slices_that_are_another_ones_now() {
    let (mut world, low, high) = stored_by_one_part(31);
    // Of two parts, only the first one has something to store.
    world.write(&low, 4..=4);
    for _ in 0..2 {
        let projection = world.start(world.projection("notes").parts(2));
        world.sim.run_until_idle();
        let status = projection.status();
        let slices: Vec<_> = status[1].offset.iter().map(|(slice, _)| slice.get()).collect();
        assert!(slices.iter().all(|slice| *slice >= 2), "the status is of its own slices: {slices:?}");
        assert_eq!(world.sim.block_on(projection.lag()).unwrap().events, 0);
        world.sim.block_on(projection.stop());
    }
    assert_eq!(world.shelf.numbers(&low), [1, 2, 3, 4]);
    assert_eq!(world.shelf.numbers(&high), [1, 2, 3]);
}

#[test]
fn a_part_that_opens_later_than_another_one_stores_goes_on_where_it_was() {
    let (mut world, low, high) = stored_by_one_part(32);
    world.write(&low, 4..=4);
    let shelf = world.shelf.clone();
    let _projection = world.start(shut(&shelf, [1]).parts(2));
    world.sim.advance(Duration::from_secs(10));
    assert_eq!(world.shelf.numbers(&low), [1, 2, 3, 4]);
    assert_eq!(world.shelf.numbers(&high), [1, 2, 3]);
}

/// A start with so many parts, of which these cannot open at first, and what is written before and while it runs.
#[derive(Clone, Debug)]
struct Life {
    parts: u32,
    shut: Vec<u32>,
    before: Vec<usize>,
    meanwhile: Vec<usize>,
    /// Whether those that could not open do so before it is stopped.
    lasts: bool,
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let ids = || prop::collection::vec(0..6_usize, 0..5);
    let life = (1..=4_u32, prop::collection::vec(0..4_u32, 0..4), ids(), ids(), any::<bool>());
    let life = life.prop_map(|(parts, shut, before, meanwhile, lasts)| Life {
        parts,
        shut,
        before,
        meanwhile,
        lasts,
    });
    prop::collection::vec(life, 1..8)
}

fn write(world: &mut World, written: &mut [u64; 6], ids: &[usize]) {
    let names = names();
    for id in ids {
        written[*id] += 1;
        world.write(&names[*id], [written[*id]]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn each_event_is_counted_once_whatever_numbers_of_parts_come_one_after_the_other(lives in lives()) {
        let mut world = World::new(33);
        let (shelf, letters, mut written) = (world.shelf.clone(), Letters::default(), [0; 6]);
        let end = Life { parts: 3, shut: Vec::new(), before: vec![0], meanwhile: vec![5], lasts: true };
        for life in lives.into_iter().chain([end]) {
            write(&mut world, &mut written, &life.before);
            let once = world.start(shut(&shelf, life.shut.clone()).parts(life.parts).batch(2));
            let (effects, journal) = (letters.clone(), world.journal.clone());
            let doors = Doors(Arc::new(Mutex::new(life.shut.iter().copied().collect())));
            let open = move |target: &Target| doors.open(target).map(|()| AtLeastOnce::new(&journal, target, effects.clone()));
            let keyed = world.start(Projection::new("keyed", open).parts(life.parts).batch(2));
            world.sim.run_until_idle();
            write(&mut world, &mut written, &life.meanwhile);
            world.sim.run_until_idle();
            if life.lasts {
                world.sim.advance(Duration::from_secs(5));
            }
            world.sim.block_on(once.stop());
            world.sim.block_on(keyed.stop());
        }
        for (id, written) in names().into_iter().zip(written) {
            prop_assert_eq!(shelf.numbers(&id), (1..=written).collect::<Vec<_>>(), "{}", &id);
            // No crash, so no effect came twice.
            let times: Vec<_> = (1..=written).map(|n| letters.times(&format!("{id}#{n}"))).collect();
            prop_assert_eq!(times, vec![1; usize::try_from(written).expect("it is small")], "{}", &id);
        }
    }
}

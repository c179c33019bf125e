//! Power cuts at random moments under a journal on a simulated disk: do read model, offset and journal agree afterwards?
//!
//! A failure names its seed: `OMNITRON_SIM_SEED=17 cargo test -p omnitron-persistence --test projections crash`. More seeds: `OMNITRON_SIM_SEEDS=10000`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::log::{self, Options};
use omnitron_persistence::backend::{Append, JournalBackend};
use omnitron_persistence::disk::sim::Sim as Disk;
use omnitron_persistence::projection::{AtLeastOnce, Batch, CommitError, Effects, Target};
use omnitron_persistence::{Journal, PersistenceId, Projection, ReadModel, Sequence, Slices, WithJournal};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorSystem, Failure};
use parking_lot::Mutex;

use crate::seeds::each_seed;
use crate::world::{Noted, Shelf, noted};

/// What came, by key, and how often.
#[derive(Clone, Default)]
pub(crate) struct Letters(Arc<Mutex<BTreeMap<String, u32>>>);

impl Letters {
    /// How often the one with this key came.
    pub(crate) fn times(&self, key: &str) -> u32 {
        self.0.lock().get(key).copied().unwrap_or_default()
    }
}

impl Effects for Letters {
    type Event = Noted;

    async fn apply(&mut self, batch: &Batch<'_, Noted>) -> Result<(), CommitError> {
        for event in batch.events() {
            *self.0.lock().entry(event.key()).or_default() += 1;
        }
        Ok(())
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

const IDS: [&str; 3] = ["a", "b", "c"];

fn options() -> Options {
    let slices = Slices::new(2).expect("two is a number of slices");
    Options::default().slices(slices).identity(0xfeed).segment_bytes(4096).readers(0)
}

/// One life of the machine. The last one ends in good order.
fn live(random: &mut Random, disk: &Disk, shelf: &Shelf, letters: &Letters, is_last: bool) {
    let (log, mut writer) = log::open_driven(disk.boot(), options()).expect("the disk is well again");
    let sim = Sim::new(random.0);
    let journal = Journal::with(log.clone(), log.snapshots());
    let system = ActorSystem::builder("crash").env(sim.env()).journal(journal.clone()).start();
    let system = sim.block_on(system).expect("it starts");
    let mut run = |log: &log::Log| {
        sim.run_until_idle();
        while writer.step() {
            sim.run_until_idle();
        }
        let _ = log;
    };
    let parts = 1 + u32::try_from(random.below(2)).expect("it is small");
    let model = shelf.clone();
    // One of them may not open at first.
    let shut = Mutex::new(Some(random.below(3)));
    let open = move |target: &Target| match shut.lock().take_if(|part| *part == u64::from(target.part)) {
        Some(_) => Err(Failure::msg("no connection")),
        None => Ok(model.clone()),
    };
    let once = Projection::new("once", open).parts(parts).batch(3);
    let (effects, beside) = (letters.clone(), journal.clone());
    let open = move |target: &Target| Ok(AtLeastOnce::new(&beside, target, effects.clone()));
    let keyed = Projection::new("keyed", open).parts(parts).batch(2);
    start(&sim, &system, once);
    start(&sim, &system, keyed);
    run(&log);

    if !is_last {
        disk.power_cut_after(u32::try_from(random.below(40)).expect("it is small"));
    }
    let mut epochs = BTreeMap::new();
    for _ in 0..random.below(25) {
        let id = PersistenceId::new(IDS[usize::try_from(random.below(3)).expect("it is small")]);
        let id = id.expect("the ids are valid");
        let slice = id.slice(log.slices());
        if let std::collections::btree_map::Entry::Vacant(entry) = epochs.entry(slice) {
            let claimed = log.claim(slice);
            run(&log);
            // The power may have gone.
            let Some(Ok(epoch)) = claimed.now_or_never() else { break };
            entry.insert(epoch);
        }
        let Some(Ok(expected)) = log.highest(&id).now_or_never() else { break };
        let count = 1 + random.below(4);
        let numbers = expected.get() + 1..=expected.get() + count;
        let events = numbers.map(noted).collect();
        let epoch = epochs[&slice];
        drop(log.append(Append { slice, epoch, id, expected, events }));
        match random.below(3) {
            0 => sim.run_until_idle(),
            _ => run(&log),
        }
    }
    if is_last {
        run(&log);
        sim.advance(std::time::Duration::from_mins(1));
        run(&log);
    } else {
        disk.power_cut();
    }
}

fn start<R: ReadModel>(sim: &Sim, system: &ActorSystem, projection: Projection<R>) {
    // The ledger's slice is claimed at the start: only the writer can do that, so nobody waits for it here.
    let (system, env) = (system.clone(), system.env().clone());
    env.spawn(|| "start".to_owned(), async move { drop(projection.start(&system).await) });
    sim.run_until_idle();
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let disk = Disk::new(seed);
    let (shelf, letters) = (Shelf::default(), Letters::default());
    for _ in 0..4 {
        live(&mut random, &disk, &shelf, &letters, false);
        agree(&disk, &shelf, &letters, false);
    }
    live(&mut random, &disk, &shelf, &letters, true);
    agree(&disk, &shelf, &letters, true);
}

/// The read model holds a part of each history, each event once; at the end, all of it.
fn agree(disk: &Disk, shelf: &Shelf, letters: &Letters, whole: bool) {
    disk.power_cut_after(u32::MAX);
    if whole {
        disk.kill();
    }
    let (log, _writer) = log::open_driven(disk.boot(), options()).expect("the disk is well again");
    for id in IDS {
        let id = PersistenceId::new(id).expect("the ids are valid");
        let read = log.read(&id, Sequence::ZERO, Sequence::MAX).collect::<Vec<_>>().now_or_never();
        let events = read.expect("it reads on this thread");
        let there = events.len() as u64;
        let seen = shelf.numbers(id.as_str());
        assert!(seen.iter().copied().eq(1..=seen.len() as u64), "{id}: {seen:?}");
        assert!(seen.len() as u64 <= there, "{id}: the read model holds what the journal does not");
        let letters = letters.0.lock();
        let taken = (1..=there).filter(|n| letters.contains_key(&format!("{id}#{n}"))).count() as u64;
        if whole {
            assert_eq!((seen.len() as u64, taken), (there, there), "{id}: all of it");
        }
    }
}

#[test]
fn read_model_and_offset_agree_after_every_crash() {
    each_seed(60, "projections crash", run);
}

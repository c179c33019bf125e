//! Power cuts, kills, failing devices and full disks at random moments: is everything there that was acknowledged, and nothing by halves?
//!
//! A failure names its seed: `OMNITRON_SIM_SEED=17 cargo test -p omnitron-persistence --test log crash`. More seeds:
//! `OMNITRON_SIM_SEEDS=10000 cargo test --release -p omnitron-persistence --test log crash`.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use omnitron_persistence::backend::log::Options;
use omnitron_persistence::backend::{Append, Appended, Delete, IdQuery, JournalBackend, WriteError};
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::{Epoch, PersistenceId, Sequence, Slice};

use crate::seeds::each_seed;
use crate::support::{Journal, Random, event, id, number, options};

/// What was done to an id, in order.
#[derive(Clone, Debug)]
enum Deed {
    /// Behind the event with the first number.
    Events(u64, Vec<u64>),
    Deletion(u64),
}

/// What must be in an id, and what may be behind it.
#[derive(Clone, Debug, Default)]
struct Truth {
    certain: Vec<Deed>,
    /// In the order in which they were submitted: any of them may be there, events where they fit.
    possible: Vec<Deed>,
}

impl Truth {
    /// Last sequence, first sequence that is left, and the events left, after these deeds.
    fn after<'a>(deeds: impl Iterator<Item = &'a Deed>) -> (u64, u64, Vec<u64>) {
        let (mut events, mut floor) = (Vec::new(), 0);
        for deed in deeds {
            match deed {
                Deed::Events(_, more) => events.extend(more),
                Deed::Deletion(to) => floor = floor.max((*to).min(events.len() as u64)),
            }
        }
        let left = events.split_off(usize::try_from(floor).unwrap());
        (floor + left.len() as u64, floor + 1, left)
    }

    fn highest(&self) -> u64 {
        Self::after(self.certain.iter()).0
    }

    /// What is there becomes what is certain.
    fn settle(&mut self, highest: u64, found: &[(u64, u64)]) -> Result<(), String> {
        let possible = std::mem::take(&mut self.possible);
        if self.explain(&possible, highest, found) {
            return Ok(());
        }
        self.possible = possible;
        Err(format!("it ends at {highest} with {found:?}, and should be {self:?}"))
    }

    /// Whether what is certain and some of what is possible come to what was found. They become certain.
    fn explain(&mut self, possible: &[Deed], highest: u64, found: &[(u64, u64)]) -> bool {
        let Some((next, rest)) = possible.split_first() else {
            let (last, first, left) = Self::after(self.certain.iter());
            return last == highest && (first..).zip(left).eq(found.iter().copied());
        };
        if self.explain(rest, highest, found) {
            return true;
        }
        if matches!(next, Deed::Events(expected, _) if *expected != self.highest()) {
            return false;
        }
        self.certain.push(next.clone());
        self.explain(rest, highest, found) || {
            self.certain.pop();
            false
        }
    }
}

enum Waiting {
    Append(usize, u64, Vec<u64>, BoxFuture<'static, Result<Appended, WriteError>>),
    Delete(usize, u64, BoxFuture<'static, Result<(), WriteError>>),
}

struct World {
    random: Random,
    disk: Sim,
    options: Options,
    ids: Vec<PersistenceId>,
    truth: Vec<Truth>,
    epochs: BTreeMap<Slice, Epoch>,
    next: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let disk = Sim::new(seed);
        disk.short_reads(random.one_in(3));
        let recent = if random.one_in(2) { 2 } else { 1000 };
        let filters = if random.one_in(2) { 0 } else { 1 << 20 };
        let options = options().recent_ids(recent).filter_bytes(filters);
        let ids: Vec<_> = (0..6).map(|n| id(&format!("id-{n}"))).collect();
        let truth = vec![Truth::default(); ids.len()];
        Self { random, disk, options, ids, truth, epochs: BTreeMap::new(), next: 1 }
    }

    /// One life of the process, up to its end by a crash or in good order.
    fn live(&mut self) -> Result<(), String> {
        if self.random.one_in(4) {
            self.disk.power_cut_after(u32::try_from(self.random.below(8)).unwrap());
        }
        let mut journal = loop {
            let run = self.disk.boot();
            match Journal::open(&run, self.options.clone()) {
                // The power went while it was opened. It goes once.
                _ if run.is_down() => {}
                Ok(journal) => break journal,
                Err(error) => return Err(format!("it does not open: {error}: {}", error.fault())),
            }
        };
        self.disk.power_cut_after(u32::MAX);
        self.check(&journal)?;
        self.disk.power_cut_after(u32::try_from(5 + self.random.below(60)).unwrap());
        for _ in 0..2 {
            let slice = Slice::new(u32::try_from(self.random.below(2)).unwrap());
            if let Ok(epoch) = journal.claim(slice) {
                let before = self.epochs.insert(slice, epoch).unwrap_or_default();
                if epoch <= before {
                    return Err(format!("{slice}: epoch {epoch} came after {before}"));
                }
            }
        }
        for _ in 0..self.random.below(12) {
            self.trouble();
            let waiting = self.submit(&journal);
            for _ in 0..self.random.below(3) {
                journal.writer.step();
            }
            if self.random.one_in(20) {
                self.crash();
            }
            journal.settle();
            self.answered(waiting)?;
            if self.random.one_in(6) {
                let _ = journal.log.compact().now_or_never().expect("it works on this thread");
            }
        }
        self.disk.fail_syncs(0);
        self.disk.fail_writes(0);
        self.disk.limit(None);
        match self.random.below(3) {
            0 => journal.close(),
            1 => drop(journal),
            _ => self.crash(),
        }
        Ok(())
    }

    fn crash(&mut self) {
        if self.random.one_in(3) {
            self.disk.kill();
        } else {
            self.disk.power_cut();
        }
    }

    fn trouble(&mut self) {
        let some = u32::try_from(self.random.below(4)).unwrap();
        match self.random.below(12) {
            0 => self.disk.fail_syncs(some),
            1 => self.disk.fail_writes(some),
            2 => self.disk.limit(Some(self.disk.used() + self.random.below(3000))),
            3 => self.disk.limit(None),
            _ => {}
        }
    }

    /// A few operations, none of them awaited before the next.
    fn submit(&mut self, journal: &Journal) -> Vec<Waiting> {
        let mut believed: Vec<u64> = self.truth.iter().map(Truth::highest).collect();
        let mut waiting = Vec::new();
        for _ in 0..self.random.below(10) {
            let which = usize::try_from(self.random.below(self.ids.len() as u64)).unwrap();
            let id = self.ids[which].clone();
            let slice = journal.slice(&id);
            let epoch = self.epochs.get(&slice).copied().unwrap_or_default();
            if self.random.one_in(8) {
                let to = 1 + self.random.below(believed[which] + 2);
                let delete = Delete { slice, epoch, id, to: Sequence::new(to) };
                waiting.push(Waiting::Delete(which, to.min(believed[which]), journal.log.delete_to(delete)));
                continue;
            }
            let events: Vec<u64> = (0..=self.random.below(4)).map(|n| self.next + n).collect();
            self.next += 4;
            let expected = Sequence::new(believed[which]);
            let append =
                Append { slice, epoch, id, expected, events: events.iter().copied().map(event).collect() };
            let behind = believed[which];
            believed[which] += events.len() as u64;
            waiting.push(Waiting::Append(which, behind, events, journal.log.append(append)));
        }
        waiting
    }

    /// Takes the answers into account, in the order in which they were submitted.
    fn answered(&mut self, waiting: Vec<Waiting>) -> Result<(), String> {
        for waiting in waiting {
            let (which, deed, answer) = match waiting {
                Waiting::Append(which, behind, events, answer) => (
                    which,
                    Deed::Events(behind, events),
                    answer.now_or_never().map(|answer| answer.map(drop)),
                ),
                Waiting::Delete(which, to, answer) => (which, Deed::Deletion(to), answer.now_or_never()),
            };
            let truth = &mut self.truth[which];
            match answer.ok_or("an operation was never answered")? {
                Ok(()) => {
                    // It built on what is certain, so what was doubtful is certainly not there.
                    truth.possible.clear();
                    truth.certain.push(deed);
                }
                Err(WriteError::Unknown(_)) => truth.possible.push(deed),
                Err(WriteError::Unavailable(_) | WriteError::UnexpectedSequence { .. }) => {}
                Err(WriteError::StaleEpoch { given, current, .. })
                    if given < current || given == Epoch::ZERO => {}
                Err(other) => return Err(format!("an answer that cannot be: {other}")),
            }
        }
        Ok(())
    }

    /// What is there is what should be.
    fn check(&mut self, journal: &Journal) -> Result<(), String> {
        let mut all: BTreeMap<Slice, Vec<u64>> = BTreeMap::new();
        for (id, truth) in self.ids.iter().zip(&mut self.truth) {
            let wrong = |error: String| format!("`{id}`: {error}");
            let events = journal.read(id).map_err(|error| wrong(error.fault().to_string()))?;
            let highest = journal.highest(id).map_err(|error| wrong(error.fault().to_string()))?;
            let found: Vec<(u64, u64)> =
                events.iter().map(|event| (event.sequence.get(), number(event))).collect();
            truth.settle(highest, &found).map_err(wrong)?;
            all.entry(journal.slice(id)).or_default().extend(found.iter().map(|(_, number)| number));
        }
        let query = IdQuery { prefix: String::new(), after: None, limit: 100 };
        let listed = journal.log.ids(query).now_or_never().ok_or("it reads on this thread")?;
        let listed = listed.map_err(|error| error.fault().to_string())?;
        let there = self.ids.iter().zip(&self.truth).filter(|(_, truth)| truth.highest() > 0);
        let there: Vec<_> = there.map(|(id, _)| id.clone()).collect();
        if listed != there {
            return Err(format!("the ids are {there:?}, and {listed:?} are listed"));
        }
        for slice in journal.log.slices().iter() {
            let events = journal.read_slice(slice).map_err(|error| error.fault().to_string())?;
            if !events.is_sorted_by(|a, b| a.ordinal < b.ordinal) {
                return Err(format!("{slice}: its events are not in order"));
            }
            let found: Vec<u64> = events.iter().map(number).collect();
            if !found.is_sorted_by(|a, b| a < b) {
                return Err(format!("{slice}: {found:?} is not the order in which they were submitted"));
            }
            let missing = all.get(&slice).into_iter().flatten().find(|number| !found.contains(number));
            if let Some(missing) = missing {
                return Err(format!("{slice}: event {missing} is missing"));
            }
        }
        Ok(())
    }
}

fn run(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed);
    let lives = 2 + world.random.below(6);
    for _ in 0..lives {
        world.live()?;
    }
    world.disk.power_cut();
    let journal = Journal::open(&world.disk, world.options.clone());
    let journal = journal.map_err(|error| format!("it does not open: {}", error.fault()))?;
    world.check(&journal)
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_by_halves() {
    each_seed(300, "log crash", |seed| {
        if let Err(error) = run(seed) {
            panic!("seed {seed}: {error}");
        }
    });
}

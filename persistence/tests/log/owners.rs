//! Two who believe that they own a slice, in every order of what they do and what the writer does: can the older one still write?
//!
//! Each owner claims the slice, reads where the id ends, and appends twice, one after the other. What it submits waits until the writer takes
//! it into a batch; a process dies, or the power goes, between any two steps. Every order of these steps is tried.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use omnitron_persistence::backend::{Append, Appended, JournalBackend, WriteError};
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::{Epoch, Sequence};

use crate::support::{Journal, event, id, number, options};

/// What may come next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// This owner goes on as far as the journal's next answer.
    Owner(usize),
    /// The writer writes what waits.
    Writer,
    /// The same, but the device fails: of the batch, or of the segment that would come after it as well.
    FailingWriter(u32),
    /// All processes die, and the journal is opened again by new ones. Once.
    Kill,
    /// The power goes, and the journal is opened again. Once.
    PowerCut,
}

enum Doing {
    Nothing,
    /// With the newest epoch that anybody had been told of.
    Claims(Epoch, BoxFuture<'static, Result<Epoch, WriteError>>),
    Appends(u64, BoxFuture<'static, Result<Appended, WriteError>>),
    Ended,
}

struct Owner {
    name: u64,
    doing: Doing,
    epoch: Epoch,
    /// Where it believes that the id ends.
    end: u64,
    appended: u64,
}

const APPENDS: u64 = 2;

impl Owner {
    fn new(name: u64) -> Self {
        Self { name, doing: Doing::Nothing, epoch: Epoch::ZERO, end: 0, appended: 0 }
    }
}

struct World {
    disk: Sim,
    journal: Journal,
    owners: [Owner; 2],
    /// What was acknowledged: the number of the event, by its sequence.
    certain: BTreeMap<u64, u64>,
    /// What may be there.
    possible: Vec<u64>,
    /// What is certainly not there.
    denied: Vec<u64>,
    highest_epoch: Epoch,
    deaths: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = Sim::new(seed);
        let journal = Journal::open(&disk, options().segment_bytes(1 << 20)).unwrap();
        Self {
            disk,
            journal,
            owners: [Owner::new(1), Owner::new(2)],
            certain: BTreeMap::new(),
            possible: Vec::new(),
            denied: Vec::new(),
            highest_epoch: Epoch::ZERO,
            deaths: 0,
        }
    }

    /// Whether this step does anything now.
    fn is_open(&mut self, step: Step) -> bool {
        match step {
            Step::Owner(which) => match &mut self.owners[which].doing {
                Doing::Ended => false,
                Doing::Nothing => true,
                // An answer that is not there yet is nothing to go on with. It is looked at without being taken.
                Doing::Claims(..) | Doing::Appends(..) => self.answered(which),
            },
            Step::Writer | Step::FailingWriter(_) => self.waiting() > 0,
            Step::Kill | Step::PowerCut => self.deaths == 0,
        }
    }

    fn waiting(&self) -> usize {
        let waits = |owner: &&Owner| matches!(owner.doing, Doing::Claims(..) | Doing::Appends(..));
        self.owners.iter().filter(waits).count()
    }

    /// Takes an answer, if it is there, and accounts for it. Then the owner has nothing to wait for.
    fn answered(&mut self, which: usize) -> bool {
        let owner = &mut self.owners[which];
        match &mut owner.doing {
            Doing::Nothing | Doing::Ended => true,
            Doing::Claims(before, claim) => match claim.now_or_never() {
                None => false,
                Some(Ok(epoch)) => {
                    assert!(epoch > *before, "{epoch} after {before}");
                    self.highest_epoch = self.highest_epoch.max(epoch);
                    owner.epoch = epoch;
                    let end = self.journal.highest(&id("a")).unwrap();
                    let owner = &mut self.owners[which];
                    (owner.end, owner.doing) = (end, Doing::Nothing);
                    true
                }
                Some(Err(error)) => {
                    assert!(matches!(error, WriteError::Unavailable(_) | WriteError::Unknown(_)), "{error}");
                    owner.doing = Doing::Ended;
                    true
                }
            },
            Doing::Appends(event, append) => {
                let event = *event;
                match append.now_or_never() {
                    None => return false,
                    Some(Ok(appended)) => {
                        let sequence = appended.sequence.get();
                        assert_eq!(sequence, owner.end + 1);
                        assert_eq!(
                            self.certain.insert(sequence, event),
                            None,
                            "two events with one sequence"
                        );
                        owner.end = sequence;
                        owner.doing = Doing::Nothing;
                    }
                    Some(Err(WriteError::StaleEpoch { given, current, .. })) => {
                        assert!(
                            given == owner.epoch && given < current,
                            "{given} is not older than {current}"
                        );
                        self.denied.push(event);
                        owner.doing = Doing::Ended;
                    }
                    Some(Err(WriteError::Unavailable(_))) => {
                        self.denied.push(event);
                        owner.doing = Doing::Ended;
                    }
                    Some(Err(WriteError::Unknown(_))) => {
                        self.possible.push(event);
                        owner.doing = Doing::Ended;
                    }
                    Some(Err(other)) => panic!("an answer that cannot be: {other}"),
                }
                true
            }
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Owner(which) => {
                if !self.answered(which) {
                    return;
                }
                let (a, deaths) = (id("a"), self.deaths);
                let owner = &mut self.owners[which];
                if matches!(owner.doing, Doing::Ended) {
                    return;
                }
                let slice = self.journal.slice(&a);
                if owner.epoch == Epoch::ZERO {
                    owner.doing = Doing::Claims(self.highest_epoch, self.journal.log.claim(slice));
                    return;
                }
                if owner.appended == APPENDS {
                    owner.doing = Doing::Ended;
                    return;
                }
                owner.appended += 1;
                let number = 1000 * deaths + 10 * owner.name + owner.appended;
                let (expected, epoch) = (Sequence::new(owner.end), owner.epoch);
                let append = Append { slice, epoch, id: a, expected, events: vec![event(number)] };
                owner.doing = Doing::Appends(number, self.journal.log.append(append));
            }
            Step::Writer => drop(self.journal.writer.step()),
            Step::FailingWriter(syncs) => {
                self.disk.fail_syncs(syncs);
                self.journal.writer.step();
                self.disk.fail_syncs(0);
            }
            Step::Kill => {
                self.disk.kill();
                self.die();
            }
            Step::PowerCut => {
                self.disk.power_cut();
                self.die();
            }
        }
    }

    /// What nobody was told may be there.
    fn die(&mut self) {
        for which in 0..2 {
            self.answered(which);
            if let Doing::Appends(number, _) = self.owners[which].doing {
                self.possible.push(number);
            }
        }
        self.deaths += 1;
        self.journal = Journal::open(&self.disk, options().segment_bytes(1 << 20)).unwrap();
        self.check();
        self.owners = [Owner::new(1), Owner::new(2)];
    }

    /// What is in the journal is what was acknowledged, and perhaps what nobody knows.
    fn check(&mut self) {
        let events = self.journal.read(&id("a")).unwrap();
        let found: Vec<(u64, u64)> =
            events.iter().map(|event| (event.sequence.get(), number(event))).collect();
        for (at, (sequence, number)) in found.iter().enumerate() {
            assert_eq!(*sequence, at as u64 + 1, "{found:?}: a gap");
            assert!(!self.denied.contains(number), "{number} was denied: {found:?}");
            match self.certain.get(sequence) {
                Some(certain) => assert_eq!(certain, number, "{found:?}: another event was acknowledged"),
                None => assert!(self.possible.contains(number), "{number} was never sent: {found:?}"),
            }
        }
        for (sequence, number) in &self.certain {
            assert!(found.contains(&(*sequence, *number)), "{number} is lost: {found:?}");
        }
        // What was found is there from now on.
        self.certain = found.into_iter().collect();
        self.possible.clear();
    }

    /// Everybody comes to an end; a third owner finds everything and writes on.
    fn finish(&mut self) {
        for _ in 0..20 {
            for which in 0..2 {
                self.take(Step::Owner(which));
            }
            self.journal.settle();
        }
        assert!(
            self.owners.iter().all(|owner| matches!(owner.doing, Doing::Ended)),
            "somebody waits for ever"
        );
        self.check();
        let a = id("a");
        let slice = self.journal.slice(&a);
        let epoch = self.journal.claim(slice).unwrap();
        assert!(epoch > self.highest_epoch);
        let there = self.journal.highest(&a).unwrap();
        self.journal.append(epoch, &a, there, vec![event(77)]).unwrap();
        self.certain.insert(there + 1, 77);
        self.disk.power_cut();
        self.journal = Journal::open(&self.disk, options().segment_bytes(1 << 20)).unwrap();
        self.check();
    }
}

/// Tries every order of at most `length` steps. Returns how many there were.
fn every_order(steps: &[Step], length: usize) -> u64 {
    let mut count = 0;
    let mut paths: Vec<Vec<Step>> = vec![Vec::new()];
    while let Some(path) = paths.pop() {
        let mut world = World::new(path.len() as u64);
        for step in &path {
            world.take(*step);
        }
        let open: Vec<Step> = if path.len() < length {
            steps.iter().copied().filter(|step| world.is_open(*step)).collect()
        } else {
            Vec::new()
        };
        if open.is_empty() {
            count += 1;
            world.finish();
        }
        for step in open {
            let mut longer = path.clone();
            longer.push(step);
            paths.push(longer);
        }
    }
    count
}

#[test]
fn in_every_order_one_owner_alone_can_write() {
    let orders = every_order(&[Step::Owner(0), Step::Owner(1), Step::Writer], 14);
    assert!(orders > 200, "{orders}");
}

#[test]
fn also_when_the_device_fails_and_all_processes_die_in_between() {
    let steps = [
        Step::Owner(0),
        Step::Owner(1),
        Step::Writer,
        Step::FailingWriter(1),
        Step::FailingWriter(2),
        Step::Kill,
        Step::PowerCut,
    ];
    let orders = every_order(&steps, 6);
    assert!(orders > 1_000, "{orders}");
}

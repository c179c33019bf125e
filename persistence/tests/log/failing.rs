//! A sync that failed, and then a crash at every change that follows: is it ever believed that something is there which the device does not hold?
//!
//! After a failed sync the system may have dropped what was to be written, and a second sync proves nothing. So the log never syncs that file again: the next
//! segment says where it ended. Here the failure comes at each append of a story, for the batch alone and for what comes after it, and the power goes, or the
//! process dies, at each change behind it.

use omnitron_persistence::backend::WriteError;
use omnitron_persistence::disk::sim::Sim;

use crate::support::{Journal, event, id, number, options};

const APPENDS: u64 = 5;

#[derive(Debug, Default)]
struct Told {
    certain: Vec<u64>,
    /// Behind how many certain events it would stand.
    possible: Vec<(usize, u64)>,
    denied: Vec<u64>,
}

impl Told {
    /// What is found is what was acknowledged, and perhaps one event behind it of which nobody knows.
    fn check(&mut self, found: &[u64], what: &str) {
        assert!(found.starts_with(&self.certain), "{what}: {found:?} instead of {self:?}");
        let behind = &found[self.certain.len()..];
        let known = |number: &u64| self.possible.contains(&(self.certain.len(), *number));
        assert!(behind.len() <= 1 && behind.iter().all(known), "{what}: {found:?} instead of {self:?}");
        assert!(found.iter().all(|number| !self.denied.contains(number)), "{what}: {found:?}, {self:?}");
        self.certain = found.to_vec();
        self.possible.clear();
    }
}

fn numbers(journal: &Journal) -> Vec<u64> {
    journal.read(&id("a")).unwrap().iter().map(number).collect()
}

/// Appends until the machine goes down, or to the end of the story.
fn append(journal: &mut Journal, numbers: std::ops::Range<u64>, told: &mut Told, before: impl Fn(u64)) {
    let a = id("a");
    let slice = journal.slice(&a);
    let Ok(epoch) = journal.claim(slice) else { return };
    for number in numbers {
        before(number);
        match journal.append(epoch, &a, told.certain.len() as u64, vec![event(number)]) {
            Ok(_) => told.certain.push(number),
            Err(WriteError::Unavailable(_)) => told.denied.push(number),
            Err(WriteError::Unknown(_)) => told.possible.push((told.certain.len(), number)),
            Err(other) => panic!("an answer that cannot be: {other}"),
        }
    }
}

/// One story. Returns how many appends were acknowledged.
fn story(seed: u64, failing: u64, syncs: u32, cut_after: u32, power: bool) -> usize {
    let what = format!(
        "seed {seed}, {syncs} syncs fail at {failing}, {cut_after} changes later the end, power: {power}"
    );
    let disk = Sim::new(seed);
    let mut told = Told::default();
    let mut journal = Journal::open(&disk, options()).unwrap();
    append(&mut journal, 1..APPENDS + 1, &mut told, |number| {
        if number == failing {
            disk.fail_syncs(syncs);
            disk.power_cut_after(if power { cut_after } else { u32::MAX });
        } else if !power && number == failing + u64::from(cut_after) {
            disk.kill();
        }
    });
    drop(journal);
    disk.fail_syncs(0);
    disk.power_cut_after(u32::MAX);
    for round in 1..=2 {
        let opened = Journal::open(&disk, options());
        let mut journal = opened.unwrap_or_else(|error| panic!("{what}: {}", error.fault()));
        told.check(&numbers(&journal), &what);
        append(&mut journal, round * 100..round * 100 + 2, &mut told, |_| ());
        assert!(told.denied.iter().all(|number| *number < 100), "{what}: it does not go on");
        told.check(&numbers(&journal), &what);
        drop(journal);
        disk.power_cut();
    }
    told.certain.len()
}

#[test]
fn after_a_failed_sync_and_a_crash_at_any_change_nothing_is_believed_that_is_not_there() {
    let (mut all, mut fewer) = (0, 0);
    for seed in 0..3 {
        for failing in 1..=APPENDS {
            for syncs in 1..=4 {
                for cut_after in 0..14 {
                    let there = story(seed, failing, syncs, cut_after, true);
                    let whole = usize::try_from(APPENDS).unwrap() + 4;
                    *if there == whole { &mut all } else { &mut fewer } += 1;
                }
                for cut_after in 0..3 {
                    story(seed, failing, syncs, cut_after, false);
                }
            }
        }
    }
    assert!(fewer > 500, "{fewer} stories lost an append that was not acknowledged, {all} did not");
}

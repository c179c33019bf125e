//! Flipped bits, cut files, zeroed pages: is it noticed, and is it said where?
//!
//! What may come of damage: the journal is refused, or a read is, with the file and the place; or what is read is exactly what was appended, up to a
//! place where the journal says that it was cut. What must not: other events than those, or fewer without a word.

use std::collections::BTreeMap;

use omnitron_persistence::backend::log::{OpenError, Options};
use omnitron_persistence::backend::{Fault, ReadError};
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::{PersistenceId, Slice};

use crate::support::{Journal, event, id, number, options};

type Files = BTreeMap<String, Vec<u8>>;

/// A journal with what was acknowledged.
struct Sample {
    files: Files,
    /// Numbers of events by id, and by slice.
    ids: BTreeMap<PersistenceId, Vec<u64>>,
    slices: BTreeMap<Slice, Vec<u64>>,
    options: Options,
    closed: bool,
}

/// A journal of `events` events of four ids, one batch each.
fn sample(segment_bytes: u64, events: u64, closed: bool) -> Sample {
    let disk = Sim::new(1);
    let options = options().segment_bytes(segment_bytes);
    let mut journal = Journal::open(&disk, options.clone()).unwrap();
    let (mut ids, mut slices) = (BTreeMap::<_, Vec<u64>>::new(), BTreeMap::<_, Vec<u64>>::new());
    let epochs = [0, 1].map(|slice| journal.claim(Slice::new(slice)).unwrap());
    for n in 1..=events {
        let id = id(&format!("id-{}", n % 4));
        let slice = journal.slice(&id);
        let there = ids.entry(id.clone()).or_default();
        journal.append(epochs[slice.get() as usize], &id, there.len() as u64, vec![event(n)]).unwrap();
        there.push(n);
        slices.entry(slice).or_default().push(n);
    }
    if closed {
        journal.close();
    }
    let mut files = disk.contents();
    // What lies far behind the end is zeros, and every bit of it is as good as any other.
    for (name, bytes) in &mut files {
        if name.ends_with(".log") {
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(used.next_multiple_of(8) + 64);
        }
    }
    Sample { files, ids, slices, options, closed }
}

fn named(fault: &Fault, what: &str) {
    assert!(fault.place().starts_with("sim:"), "{what}: no file is named: {fault}");
    assert!(!fault.advice().is_empty(), "{what}: it does not say what to do: {fault}");
}

fn read_error(error: &ReadError, what: &str) {
    let ReadError::Corrupt(fault) = error else { panic!("{what}: {error}: {}", error.fault()) };
    named(fault, what);
    assert!(fault.offset().is_some(), "{what}: no place is named: {fault}");
}

/// What came of damage.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Outcome {
    Refused,
    UnreadableInPart,
    Cut,
    Whole,
}

impl Sample {
    /// Opens what is left of it. Panics when damage goes unnoticed.
    fn judge(&self, files: &Files, what: &str) -> Outcome {
        let journal = match Journal::open(&Sim::with(1, files), self.options.clone()) {
            Ok(journal) => journal,
            Err(error) => {
                named(error.fault(), what);
                let corrupt = matches!(error, OpenError::Corrupt(_));
                assert!(!corrupt || error.fault().offset().is_some(), "{what}: {}", error.fault());
                return Outcome::Refused;
            }
        };
        let (mut unreadable, mut missing) = (false, false);
        let mut compare = |found: Result<Vec<u64>, ReadError>, expected: &[u64]| match found {
            Ok(found) => {
                assert_eq!(found, expected[..found.len().min(expected.len())], "{what}");
                missing |= found.len() < expected.len();
            }
            Err(error) => {
                read_error(&error, what);
                unreadable = true;
            }
        };
        let numbers = |events: Vec<_>| events.iter().map(number).collect::<Vec<_>>();
        for (id, expected) in &self.ids {
            compare(journal.read(id).map(numbers), expected);
            match journal.highest(id) {
                Ok(highest) if highest == expected.len() as u64 => {}
                Ok(highest) => compare(Ok(expected[..usize::try_from(highest).unwrap()].to_vec()), expected),
                Err(error) => read_error(&error, what),
            }
        }
        for (slice, expected) in &self.slices {
            compare(journal.read_slice(*slice).map(numbers), expected);
        }
        if missing {
            let closed = self.closed && files.get("checkpoint") == self.files.get("checkpoint");
            assert!(!closed, "{what}: the checkpoint tells that something is missing, and nobody said so");
            let torn = journal.log.torn_end();
            assert!(
                torn.is_some() || self.nothing_stands_behind(files),
                "{what}: nobody said that something is missing"
            );
            return Outcome::Cut;
        }
        if unreadable { Outcome::UnreadableInPart } else { Outcome::Whole }
    }

    /// The limit: when all of the last batches is gone without a trace, the end looks as it did before they were written.
    fn nothing_stands_behind(&self, files: &Files) -> bool {
        let changed = files
            .iter()
            .filter(|(name, bytes)| name.ends_with(".log") && self.files.get(*name) != Some(bytes));
        changed.into_iter().all(|(name, bytes)| {
            let before = &self.files[name];
            let first = bytes.iter().zip(before).position(|(new, old)| new != old).unwrap_or(bytes.len());
            bytes[first..].iter().all(|byte| *byte == 0)
        })
    }

    /// Damages each file in every way that `damage` knows. What came of it, counted.
    fn try_all(&self, damage: impl Fn(&str, &[u8]) -> Vec<(String, Vec<u8>)>) -> BTreeMap<Outcome, usize> {
        let mut outcomes = BTreeMap::new();
        for (name, bytes) in &self.files {
            for (what, damaged) in damage(name, bytes) {
                let mut files = self.files.clone();
                files.insert(name.clone(), damaged);
                *outcomes.entry(self.judge(&files, &format!("{name}: {what}"))).or_default() += 1;
            }
        }
        outcomes
    }
}

fn flips(bytes: &[u8], step: usize) -> Vec<(String, Vec<u8>)> {
    let flip = |byte: usize| {
        let (mut damaged, bit) = (bytes.to_vec(), (byte / step * 5) % 8);
        damaged[byte] ^= 1 << bit;
        (format!("bit {bit} of byte {byte} flipped"), damaged)
    };
    (0..bytes.len()).step_by(step).map(flip).collect()
}

fn cuts(bytes: &[u8], step: usize) -> Vec<(String, Vec<u8>)> {
    (0..bytes.len()).step_by(step).map(|n| (format!("cut to {n} bytes"), bytes[..n].to_vec())).collect()
}

fn pages(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let zero = |from: usize| {
        let (mut damaged, to) = (bytes.to_vec(), (from + 4096).min(bytes.len()));
        damaged[from..to].fill(0);
        (format!("page {} zeroed", from / 4096), damaged)
    };
    (0..bytes.len()).step_by(4096).map(zero).collect()
}

#[test]
fn every_flipped_byte_of_a_small_journal_is_noticed() {
    for closed in [false, true] {
        let sample = sample(1 << 20, 16, closed);
        let outcomes = sample.try_all(|_, bytes| flips(bytes, 1));
        assert!(outcomes[&Outcome::Refused] > 1000, "{outcomes:?}");
        assert_eq!(outcomes.contains_key(&Outcome::Cut), !closed, "{outcomes:?}");
    }
}

#[test]
fn every_prefix_of_a_small_journal_is_noticed() {
    for closed in [false, true] {
        let outcomes = sample(1 << 20, 16, closed).try_all(|_, bytes| cuts(bytes, 1));
        assert_eq!(outcomes.contains_key(&Outcome::Cut), !closed, "{outcomes:?}");
    }
}

#[test]
fn every_zeroed_page_is_noticed() {
    for closed in [false, true] {
        let outcomes = sample(1 << 20, 400, closed).try_all(|_, bytes| pages(bytes));
        assert!(outcomes[&Outcome::Refused] >= 10, "{outcomes:?}");
        assert!(!outcomes.contains_key(&Outcome::UnreadableInPart), "{outcomes:?}");
    }
}

/// Every so many bytes of larger files are enough for each run; all of them with `OMNITRON_EVERY_BYTE=1`.
fn step(usually: usize) -> usize {
    if std::env::var_os("OMNITRON_EVERY_BYTE").is_some() { 1 } else { usually }
}

#[test]
fn damage_in_full_segments_and_their_indexes_is_noticed_or_mended() {
    let sample = sample(4096, 60, true);
    assert!(
        sample.files.keys().filter(|name| name.ends_with(".idx")).count() >= 2,
        "{:?}",
        sample.files.keys()
    );
    let flipped = sample.try_all(|_, bytes| flips(bytes, step(13)));
    assert!(flipped[&Outcome::UnreadableInPart] > 100, "{flipped:?}");
    assert!(flipped[&Outcome::Whole] > 100, "an index is built anew: {flipped:?}");
    assert!(!flipped.contains_key(&Outcome::Cut), "{flipped:?}");
    let cut = sample.try_all(|_, bytes| cuts(bytes, step(61)));
    assert!(!cut.contains_key(&Outcome::Cut), "{cut:?}");
    let zeroed = sample.try_all(|_, bytes| pages(bytes));
    assert!(!zeroed.contains_key(&Outcome::Cut), "{zeroed:?}");
}

#[test]
fn a_segment_that_is_missing_is_named() {
    let sample = sample(4096, 60, false);
    for name in sample.files.keys().filter(|name| name.ends_with(".log") || *name == "journal") {
        let mut files = sample.files.clone();
        files.remove(name);
        let last = sample.files.keys().rfind(|name| name.ends_with(".log")) == Some(name);
        let outcome = sample.judge(&files, &format!("{name} is missing"));
        assert_eq!(outcome, Outcome::Refused, "{name}, the last: {last}");
    }
}

#[test]
fn an_index_that_is_missing_or_another_s_is_built_anew() {
    let sample = sample(4096, 60, true);
    let indexes: Vec<&String> = sample.files.keys().filter(|name| name.ends_with(".idx")).collect();
    for (n, name) in indexes.iter().enumerate() {
        let mut files = sample.files.clone();
        files.remove(*name);
        assert_eq!(sample.judge(&files, &format!("{name} is missing")), Outcome::Whole);
        files.insert((*name).clone(), sample.files[indexes[(n + 1) % indexes.len()]].clone());
        assert_eq!(sample.judge(&files, &format!("{name} is another one's")), Outcome::Whole);
    }
}

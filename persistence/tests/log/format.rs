//! Can journals of every version so far be read, and is the format still the one that is described?
//!
//! `tests/fixtures/journal-1` is the story below, as version 1 wrote it. A new version gets a folder of its own; no file there is ever changed.
//! `OMNITRON_WRITE_FIXTURES=1 cargo test -p omnitron-persistence --test log format` writes those that are missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use omnitron_persistence::backend::{Delete, JournalBackend};
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::snapshot::{Snapshot, SnapshotStore};
use omnitron_persistence::{NewEvent, Sequence};

use crate::support::{Journal, id, options};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-1")
}

fn event(number: u64) -> NewEvent {
    let mut event = NewEvent::new("fixture.happened", vec![u8::try_from(number).unwrap(); 40]);
    (event.version, event.timestamp_ms) = (3, 1_700_000_000_000 + number);
    event.metadata = b"meta".to_vec().into();
    if number.is_multiple_of(2) { event.tag("even").tag("ä") } else { event }
}

fn snapshot() -> Snapshot {
    Snapshot {
        id: id("account-ä"),
        sequence: Sequence::new(30),
        timestamp_ms: 1_700_000_000_030,
        name: "account".to_owned(),
        version: 2,
        state: b"the state".to_vec().into(),
    }
}

/// Two ids, a few segments, a deletion that was followed by giving space back, a snapshot, a journal closed in good order.
fn story() -> BTreeMap<String, Vec<u8>> {
    let disk = Sim::new(1);
    let mut journal = Journal::open(&disk, options()).unwrap();
    let (a, b) = (id("account-ä"), id("other"));
    let mut epochs = Vec::new();
    for slice in journal.log.slices().iter() {
        epochs.push(journal.claim(slice).unwrap());
    }
    for number in 0..60 {
        let id = if number % 2 == 0 { &a } else { &b };
        let epoch = epochs[journal.slice(id).get() as usize];
        journal.append(epoch, id, number / 2, vec![event(number)]).unwrap();
    }
    for (id, to) in [(&a, 25), (&b, 20)] {
        let slice = journal.slice(id);
        let delete =
            Delete { slice, epoch: epochs[slice.get() as usize], id: id.clone(), to: Sequence::new(to) };
        let deleted = journal.log.delete_to(delete);
        journal.settle();
        deleted.now_or_never().unwrap().unwrap();
    }
    assert!(journal.log.compact().now_or_never().unwrap().unwrap().segments > 0);
    journal.log.snapshots().save(snapshot()).now_or_never().unwrap().unwrap();
    journal.close();
    let mut files = disk.contents();
    files.remove("lock");
    files
}

fn fixture() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("the fixture is checked in") {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn a_journal_of_version_1_is_read() {
    let disk = Sim::with(1, &fixture());
    let mut journal = Journal::open(&disk, options()).unwrap();
    assert_eq!(journal.log.torn_end(), None);
    for (id, first, offset) in [(id("account-ä"), 26, 0), (id("other"), 21, 1)] {
        let events = journal.read(&id).unwrap();
        let found: Vec<_> = events.into_iter().map(|event| (event.sequence.get(), event.event)).collect();
        let expected: Vec<_> = (first..=30).map(|n| (n, event((n - 1) * 2 + offset))).collect();
        assert_eq!(found, expected);
        assert_eq!(journal.highest(&id).unwrap(), 30);
        let slice = journal.slice(&id);
        let epoch = journal.claim(slice).unwrap();
        journal.append(epoch, &id, 30, vec![event(60)]).expect("it goes on");
    }
    let loaded =
        journal.log.snapshots().load(&id("account-ä"), Sequence::MAX).now_or_never().unwrap().unwrap();
    assert_eq!(loaded.snapshot, Some(snapshot()));
}

#[test]
fn what_is_written_today_is_version_1_byte_by_byte() {
    let files = story();
    if std::env::var_os("OMNITRON_WRITE_FIXTURES").is_some() && !folder().exists() {
        for (name, bytes) in &files {
            let path = folder().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let fixture = fixture();
    assert_eq!(files.keys().collect::<Vec<_>>(), fixture.keys().collect::<Vec<_>>());
    for (name, bytes) in &files {
        assert!(
            fixture[name] == *bytes,
            "`{name}` is written differently: raise the version and describe it"
        );
    }
}

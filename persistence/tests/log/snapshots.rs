//! Are snapshots whole or not there, and is a damaged one noticed?

use futures_util::FutureExt;
use omnitron_persistence::Sequence;
use omnitron_persistence::conformance::snapshots::the_newest_intact_one_is_found;
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::snapshot::{Snapshot, SnapshotStore};

use crate::support::{Journal, id, options};

fn snapshot(sequence: u64) -> Snapshot {
    Snapshot {
        id: id("a"),
        sequence: Sequence::new(sequence),
        timestamp_ms: 1,
        name: "state".to_owned(),
        version: 1,
        state: sequence.to_le_bytes().repeat(300).into(),
    }
}

fn newest(disk: &Sim) -> (Option<Snapshot>, usize) {
    let journal = Journal::open(disk, options()).unwrap();
    let loaded = journal.log.snapshots().load(&id("a"), Sequence::MAX);
    let loaded = loaded.now_or_never().expect("it reads on this thread").unwrap();
    (loaded.snapshot, loaded.damaged.len())
}

#[tokio::test]
async fn the_store_keeps_the_contract() {
    for kept in [2, 3] {
        let journal = Journal::open(&Sim::new(1), options().snapshots(kept)).unwrap();
        the_newest_intact_one_is_found(&journal.log.snapshots(), kept.into()).await;
    }
}

#[test]
fn a_power_cut_leaves_the_old_one_or_the_new_one() {
    let mut seen = [0, 0];
    for seed in 0..60 {
        let disk = Sim::new(seed);
        let journal = Journal::open(&disk, options()).unwrap();
        let store = journal.log.snapshots();
        store.save(snapshot(1)).now_or_never().unwrap().unwrap();
        store.save(snapshot(2)).now_or_never().unwrap().unwrap();
        disk.power_cut_after(u32::try_from(seed % 6).unwrap());
        let saved = store.save(snapshot(3)).now_or_never().unwrap().is_ok();
        disk.power_cut();
        let (found, damaged) = newest(&disk);
        let found = found.expect("two were durable");
        assert_eq!((found.clone(), damaged), (snapshot(found.sequence.get()), 0), "seed {seed}");
        assert!(!saved || found.sequence.get() == 3, "seed {seed}");
        seen[usize::from(found.sequence.get() == 3)] += 1;
    }
    assert!(seen[0] > 10 && seen[1] > 10, "{seen:?}");
}

#[test]
fn a_damaged_one_is_reported_and_the_one_before_is_found() {
    let disk = Sim::new(1);
    let journal = Journal::open(&disk, options()).unwrap();
    let store = journal.log.snapshots();
    store.save(snapshot(1)).now_or_never().unwrap().unwrap();
    store.save(snapshot(2)).now_or_never().unwrap().unwrap();
    journal.close();
    let files = disk.contents();
    // One of a newer format is not read, and not to be deleted either.
    let disk = Sim::with(1, &files);
    let latest = files.keys().rfind(|name| name.starts_with("snapshots/")).expect("there are two");
    disk.flip(latest, 8, 1);
    let loaded = Journal::open(&disk, options()).unwrap().log.snapshots().load(&id("a"), Sequence::MAX);
    let loaded = loaded.now_or_never().expect("it reads on this thread").unwrap();
    assert_eq!(loaded.snapshot, Some(snapshot(1)));
    let said = loaded.damaged[0].fault().to_string();
    assert!(said.contains("format version 3") && said.contains("or with a newer one"), "{said}");
    let newer = files
        .iter()
        .find(|(_, bytes)| bytes.ends_with(&files.values().last().unwrap()[2000..]))
        .map(|(name, _)| name);
    let newer = newer.expect("the newer one is the second slot").clone();
    for byte in 0..files[&newer].len() {
        let disk = Sim::with(1, &files);
        disk.flip(&newer, byte, 3);
        assert_eq!(newest(&disk), (Some(snapshot(1)), 1), "byte {byte}");
        let disk = Sim::with(1, &files);
        disk.cut(&newer, byte);
        assert_eq!(newest(&disk), (Some(snapshot(1)), 1), "cut to {byte}");
    }
}

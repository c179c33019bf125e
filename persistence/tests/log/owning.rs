//! Whose folder is it: does a journal touch what is not its own, or is not its own any more, and does trouble in one place stay there?

use std::sync::Arc;

use futures_util::FutureExt;
use omnitron_persistence::Sequence;
use omnitron_persistence::backend::log::OpenError;
use omnitron_persistence::backend::{Delete, JournalBackend, ReadError};
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::disk::{Disk, DiskFile};
use omnitron_persistence::snapshot::{Snapshot, SnapshotStore};
use omnitron_persistence::{Epoch, PersistenceId};

use crate::support::{Journal, event, id, options};

fn owner(disk: &Sim) -> (Journal, Epoch) {
    let mut journal = Journal::open(disk, options()).unwrap();
    let slice = journal.slice(&id("a"));
    let epoch = journal.claim(slice).unwrap();
    (journal, epoch)
}

fn append(journal: &mut Journal, epoch: Epoch, of: &PersistenceId, numbers: std::ops::Range<u64>) {
    for number in numbers {
        journal.append(epoch, of, number, vec![event(number)]).unwrap();
    }
}

fn delete(journal: &mut Journal, epoch: Epoch, to: u64) {
    let (id, slice) = (id("a"), journal.slice(&id("a")));
    let deleted = journal.log.delete_to(Delete { slice, epoch, id, to: Sequence::new(to) });
    journal.settle();
    deleted.now_or_never().unwrap().unwrap();
}

fn segments(disk: &Sim) -> usize {
    disk.contents().keys().filter(|name| name.starts_with("000") && name.ends_with(".log")).count()
}

#[test]
fn who_closed_a_journal_changes_nothing_in_the_folder_of_the_next_owner() {
    let disk = Sim::new(1);
    let (mut first, epoch) = owner(&disk);
    append(&mut first, epoch, &id("a"), 0..300);
    delete(&mut first, epoch, 60);
    let stale = first.log.clone();
    first.close();
    let (mut second, epoch) = owner(&disk);
    delete(&mut second, epoch, 200);
    assert!(second.log.compact().now_or_never().unwrap().unwrap().segments > 0);
    let before = disk.contents();
    for error in
        [stale.compact().now_or_never().unwrap().map(drop), stale.erase().now_or_never().unwrap().map(drop)]
    {
        assert!(matches!(error, Err(ReadError::Unavailable(_))), "{error:?}");
    }
    let snapshot = Snapshot {
        id: id("a"),
        sequence: Sequence::new(1),
        timestamp_ms: 0,
        name: "state".to_owned(),
        version: 1,
        state: vec![1].into(),
    };
    stale.snapshots().save(snapshot).now_or_never().unwrap().unwrap_err();
    assert_eq!(disk.contents(), before);
    second.close();
    owner(&disk);
}

#[test]
fn other_people_s_files_stay_beside_a_journal_and_in_a_folder_that_is_none() {
    let disk =
        Sim::with(1, &[("important.new".to_owned(), vec![1]), ("other.txt".to_owned(), vec![1])].into());
    let before = disk.contents();
    assert!(matches!(Journal::open(&disk, options()), Err(OpenError::Foreign(_))));
    assert_eq!(disk.contents(), before);
    let disk = Sim::new(1);
    let (mut journal, epoch) = owner(&disk);
    append(&mut journal, epoch, &id("a"), 0..10);
    journal.close();
    let strange = ["1.log", "+1.log", "00000000001.log", "notes.new", "1.log.new"];
    for name in strange {
        let mut files = disk.contents();
        files.insert(name.to_owned(), b"somebody's".to_vec());
        let disk = Sim::with(1, &files);
        for _ in 0..2 {
            let (journal, _) = owner(&disk);
            assert_eq!(journal.read(&id("a")).unwrap().len(), 10);
            journal.close();
        }
        assert_eq!(disk.contents()[name], b"somebody's", "{name}");
    }
}

/// A process that is killed between the rename of its second segment and the sync of the folder.
struct KilledAtRename(Sim);

impl Disk for KilledAtRename {
    fn open(&self, name: &str) -> std::io::Result<Arc<dyn DiskFile>> {
        self.0.open(name)
    }

    fn create(&self, name: &str) -> std::io::Result<Arc<dyn DiskFile>> {
        self.0.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.0.rename(from, to)?;
        if to == "0000000002.log" {
            self.0.kill();
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.0.remove(name)
    }

    fn list(&self, folder: &str) -> std::io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn create_folder(&self, folder: &str) -> std::io::Result<()> {
        self.0.create_folder(folder)
    }

    fn sync_folder(&self, folder: &str) -> std::io::Result<()> {
        self.0.sync_folder(folder)
    }

    fn lock(&self, name: &str) -> std::io::Result<Box<dyn Send + Sync>> {
        self.0.lock(name)
    }

    fn place(&self, name: &str) -> String {
        self.0.place(name)
    }
}

#[test]
fn a_segment_whose_name_was_not_synced_before_a_kill_is_durable_when_it_is_written_to() {
    for seed in 0..40 {
        let disk = Sim::new(seed);
        let (log, writer) =
            omnitron_persistence::backend::log::open_driven(KilledAtRename(disk.boot()), options()).unwrap();
        let mut journal = Journal { log, writer };
        let slice = journal.slice(&id("a"));
        let epoch = journal.claim(slice).unwrap();
        let mut number = 0;
        while journal.append(epoch, &id("a"), number, vec![event(number)]).is_ok() {
            number += 1;
        }
        drop(journal);
        let (mut journal, epoch) = owner(&disk);
        let there = journal.highest(&id("a")).unwrap();
        append(&mut journal, epoch, &id("a"), there..there + 5);
        drop(journal);
        disk.power_cut();
        let (journal, _) = owner(&disk);
        assert_eq!(journal.highest(&id("a")).unwrap(), there + 5, "seed {seed}");
    }
}

#[test]
fn one_damaged_segment_does_not_keep_the_space_of_all_others() {
    let disk = Sim::new(1);
    let (mut journal, epoch) = owner(&disk);
    append(&mut journal, epoch, &id("a"), 0..100);
    let size = disk.contents()["0000000001.log"].len();
    disk.flip("0000000001.log", size / 2, 1);
    for round in 1..=8 {
        append(&mut journal, epoch, &id("a"), round * 100..round * 100 + 100);
        delete(&mut journal, epoch, round * 100 + 100);
        let compacted = journal.log.compact().now_or_never().unwrap();
        assert!(matches!(compacted, Err(ReadError::Corrupt(_))), "it is said: {compacted:?}");
    }
    assert!(segments(&disk) < 20, "{}", segments(&disk));
}

#[test]
fn a_rewriting_that_finds_no_room_leaves_none_of_it() {
    let disk = Sim::new(1);
    let (mut journal, epoch) = owner(&disk);
    let keep =
        (0..100).map(|n| id(&format!("keep-{n}"))).find(|it| journal.slice(it) == journal.slice(&id("a")));
    let keep = keep.unwrap();
    for number in 0..200 {
        append(&mut journal, epoch, &id("a"), number..number + 1);
        append(&mut journal, epoch, &keep, number..number + 1);
    }
    disk.limit(Some(disk.used()));
    let before: Vec<String> = disk.contents().into_keys().collect();
    // What is written into what was allocated needs no room.
    delete(&mut journal, epoch, 190);
    journal.log.compact().now_or_never().unwrap().unwrap_err();
    assert_eq!(disk.contents().into_keys().collect::<Vec<_>>(), before);
}

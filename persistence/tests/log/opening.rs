//! Whose folder is it, who may open it, and what does a journal say that it cannot?

use std::path::PathBuf;

use futures_util::FutureExt;
use omnitron_persistence::backend::log::{self, OpenError, Options};
use omnitron_persistence::backend::{JournalBackend, WriteError};
use omnitron_persistence::disk::Disk;
use omnitron_persistence::disk::real::Real;
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::{Slice, Slices};

use crate::support::{Journal, event, id, options};

fn refusal(disk: &Sim) -> OpenError {
    Journal::open(disk, options()).map(drop).expect_err("it must not open")
}

#[test]
fn a_second_owner_is_refused_until_the_first_has_closed() {
    let disk = Sim::new(1);
    let first = Journal::open(&disk, options()).unwrap();
    let refused = refusal(&disk);
    assert!(matches!(refused, OpenError::Locked(_)), "{refused}");
    assert!(refused.fault().place().ends_with("lock"));
    first.close();
    Journal::open(&disk, options()).unwrap();
}

#[tokio::test]
async fn in_a_folder_of_the_machine_too() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("lock-{}", std::process::id()));
    let open = || log::open(Real::new(&folder).unwrap(), Options::default());
    let first = open().unwrap();
    assert!(matches!(open().map(drop), Err(OpenError::Locked(_))));
    first.close().await;
    let second = open().unwrap();
    second.close().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let disk = Sim::with(1, &[("holiday.jpg".to_owned(), vec![1])].into());
    let refused = refusal(&disk);
    assert!(matches!(refused, OpenError::Foreign(_)), "{refused}");
    assert!(refused.fault().to_string().contains("holiday.jpg"), "{}", refused.fault());
    assert_eq!(disk.contents().keys().collect::<Vec<_>>(), ["holiday.jpg"]);
}

#[test]
fn a_newer_format_is_named_and_not_touched() {
    let disk = Sim::new(1);
    Journal::open(&disk, options()).unwrap().close();
    let files = disk.contents();
    for name in ["journal", "0000000001.log", "checkpoint"] {
        let mut newer = files.clone();
        newer.get_mut(name).unwrap()[8] = 2;
        let disk = Sim::with(1, &newer);
        let refused = refusal(&disk);
        assert!(matches!(refused, OpenError::Newer(_)), "{name}: {refused}");
        assert!(refused.fault().to_string().contains(name), "{}", refused.fault());
        assert!(refused.fault().what().contains("version 2"), "{}", refused.fault());
        assert_eq!(disk.contents(), newer);
    }
}

#[test]
fn a_read_only_folder_is_refused_with_what_to_do() {
    let disk = Sim::new(1);
    Journal::open(&disk, options()).unwrap().close();
    disk.read_only(true);
    let refused = refusal(&disk);
    assert!(matches!(refused, OpenError::Unavailable(_)), "{refused}");
    assert!(refused.fault().advice().contains("right"), "{}", refused.fault());
    disk.read_only(false);
    Journal::open(&disk, options()).unwrap();
}

#[test]
fn the_files_of_another_journal_are_refused() {
    let (ours, other) = (Sim::new(1), Sim::new(1));
    Journal::open(&ours, options()).unwrap().close();
    Journal::open(&other, options().identity(7)).unwrap().close();
    let mut files = ours.contents();
    files.insert("0000000001.log".to_owned(), other.contents()["0000000001.log"].clone());
    let refused = refusal(&Sim::with(1, &files));
    assert!(matches!(refused, OpenError::Foreign(_)), "{refused}");
}

#[test]
fn a_crash_while_it_is_created_leaves_nothing_that_is_in_the_way() {
    for changes in 0..20 {
        for seed in 0..5 {
            let disk = Sim::new(seed);
            disk.power_cut_after(changes);
            let _ = Journal::open(&disk, options());
            disk.power_cut();
            let opened = Journal::open(&disk, options());
            assert!(opened.is_ok(), "after {changes} changes: {}", opened.err().unwrap().fault());
        }
    }
}

#[test]
fn the_number_of_slices_is_that_of_the_day_it_was_created() {
    let disk = Sim::new(1);
    Journal::open(&disk, options()).unwrap().close();
    let journal = Journal::open(&disk, options().slices(Slices::new(99).unwrap())).unwrap();
    assert_eq!(journal.log.slices().get(), 2);
}

#[test]
fn a_torn_end_is_cut_and_said() {
    let disk = Sim::new(1);
    let a = id("a");
    let mut journal = Journal::open(&disk, options()).unwrap();
    let slice = journal.slice(&a);
    let epoch = journal.claim(slice).unwrap();
    journal.append(epoch, &a, 0, vec![event(1)]).unwrap();
    let bytes = &disk.contents()["0000000001.log"];
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() / 8 * 8 + 8;
    drop(journal);
    disk.flip("0000000001.log", end + 100, 0); // a part of a batch that did not arrive otherwise
    let mut journal = Journal::open(&disk, options()).unwrap();
    let torn = journal.log.torn_end().expect("it was torn").clone();
    assert_eq!((torn.file.as_str(), torn.offset, torn.bytes), ("sim:0000000001.log", end as u64, 101));
    journal.append(epoch, &a, 1, vec![event(2)]).unwrap();
    drop(journal);
    let journal = Journal::open(&disk, options()).unwrap();
    assert_eq!(journal.log.torn_end(), None, "it was cut");
    assert_eq!(journal.read(&a).unwrap().len(), 2);
}

#[test]
fn a_full_disk_refuses_and_forgets_nothing() {
    let disk = Sim::new(1);
    let a = id("a");
    let mut journal = Journal::open(&disk, options().segment_bytes(1 << 20)).unwrap();
    let slice = journal.slice(&a);
    let epoch = journal.claim(slice).unwrap();
    disk.limit(Some(disk.used()));
    let mut there = 0;
    let refused = loop {
        match journal.append(epoch, &a, there, vec![event(there)]) {
            Ok(_) => there += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&refused, WriteError::Unavailable(_)), "{refused}");
    assert!(there > 100, "what was allocated was used: {there}");
    assert_eq!(journal.read(&a).unwrap().len() as u64, there);
    disk.limit(None);
    journal.append(epoch, &a, there, vec![event(there)]).expect("there is room again");
    assert_eq!(journal.highest(&a).unwrap(), there + 1);
}

#[test]
fn a_failed_sync_gives_up_the_file_and_goes_on_in_the_next() {
    let disk = Sim::new(1);
    let a = id("a");
    let mut journal = Journal::open(&disk, options().segment_bytes(1 << 20)).unwrap();
    let slice = journal.slice(&a);
    let epoch = journal.claim(slice).unwrap();
    disk.fail_syncs(1);
    let refused = journal.append(epoch, &a, 0, vec![event(1)]);
    assert!(
        matches!(refused, Err(WriteError::Unavailable(_))),
        "the next segment says that it is not there: {refused:?}"
    );
    journal.append(epoch, &a, 0, vec![event(2)]).unwrap();
    assert!(disk.contents().contains_key("0000000002.log"));
    disk.fail_syncs(2); // of the batch, and of the next segment
    let refused = journal.append(epoch, &a, 1, vec![event(3)]);
    assert!(matches!(refused, Err(WriteError::Unknown(_))), "nobody knows: {refused:?}");
    journal.append(epoch, &a, 1, vec![event(4)]).unwrap();
    assert_eq!(journal.read(&a).unwrap().len(), 2);
}

#[tokio::test]
async fn what_waits_during_one_sync_becomes_the_next_batch() {
    let disk = Sim::new(1);
    let log = log::open(disk.clone(), options().segment_bytes(1 << 20)).unwrap();
    let a = id("a");
    let slice = a.slice(log.slices());
    let epoch = log.claim(slice).await.unwrap();
    disk.hold_syncs();
    let before = disk.syncs();
    let append = |n: u64| {
        let events = vec![event(n)];
        let expected = omnitron_persistence::Sequence::new(n);
        log.append(omnitron_persistence::backend::Append { slice, epoch, id: a.clone(), expected, events })
    };
    let first = append(0);
    while disk.syncs() == before {
        tokio::task::yield_now().await; // until the writer is in its sync
    }
    let rest: Vec<_> = (1..500).map(append).collect();
    disk.release_syncs();
    first.await.unwrap();
    for appended in rest {
        appended.await.unwrap();
    }
    assert_eq!(disk.syncs() - before, 2);
    log.close().await;
}

#[test]
fn files_that_are_deleted_while_it_runs_are_read_on_and_missed_at_the_next_start() {
    let disk = Sim::new(1);
    let a = id("a");
    let mut journal = Journal::open(&disk, options()).unwrap();
    let slice = journal.slice(&a);
    let epoch = journal.claim(slice).unwrap();
    for n in 0..100 {
        journal.append(epoch, &a, n, vec![event(n)]).unwrap();
    }
    let names: Vec<String> = disk.contents().into_keys().filter(|name| name.starts_with("000")).collect();
    assert!(names.len() > 8, "{names:?}");
    for name in &names {
        disk.remove(name).unwrap();
    }
    assert_eq!(journal.read(&a).unwrap().len(), 100);
    journal.append(epoch, &a, 100, vec![event(100)]).unwrap();
    journal.close();
    let refused = refusal(&disk);
    assert!(matches!(refused, OpenError::Corrupt(_)), "{refused}");
    assert!(refused.fault().to_string().contains("0000000001.log"), "{}", refused.fault());
}

#[test]
fn a_journal_that_was_closed_says_so() {
    let disk = Sim::new(1);
    let journal = Journal::open(&disk, options()).unwrap();
    let log = journal.log.clone();
    journal.close();
    let refused = log.claim(Slice::new(0)).now_or_never().expect("it is known at once");
    assert!(matches!(refused, Err(WriteError::Unavailable(_))), "{refused:?}");
}

//! Does the doctor find all damage, say where, lose nothing more, and leave the patient alone?

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use omnitron_persistence::backend::log::inspect::{Finding, Kind, Lost, Report};
use omnitron_persistence::backend::log::{Repaired, inspect};
use omnitron_persistence::backend::{Delete, JournalBackend};
use omnitron_persistence::disk::Disk;
use omnitron_persistence::disk::real::Real;
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::snapshot::{Snapshot, SnapshotStore};
use omnitron_persistence::{Epoch, Sequence, Slice};
use omnitron_runtime::{LeaseRecord, LeaseStore};

use crate::support::{Journal, event, id, number, options};

type Files = BTreeMap<String, Vec<u8>>;

/// A journal of several segments with events of four ids, some deleted, and snapshots. Closed in good order.
fn sample() -> Files {
    let disk = Sim::new(1);
    let mut journal = Journal::open(&disk, options()).unwrap();
    let epochs = [0, 1].map(|slice| journal.claim(Slice::new(slice)).unwrap());
    for n in 0..80 {
        let id = id(&format!("id-{}", n % 4));
        let slice = journal.slice(&id);
        journal.append(epochs[slice.get() as usize], &id, n / 4, vec![event(n)]).unwrap();
        if n == 41 {
            let epoch = epochs[slice.get() as usize];
            let deleted = journal.log.delete_to(Delete { slice, epoch, id, to: Sequence::new(5) });
            journal.settle();
            deleted.now_or_never().unwrap().unwrap();
        }
    }
    let snapshots = journal.log.snapshots();
    for n in [3, 19] {
        let (sequence, state) = (Sequence::new(n), vec![1; 20].into());
        let (name, version) = ("state".to_owned(), 1);
        let snapshot = Snapshot { id: id("id-2"), sequence, timestamp_ms: 0, name, version, state };
        snapshots.save(snapshot).now_or_never().unwrap().unwrap();
    }
    let record = LeaseRecord {
        holder: "node".to_owned(),
        epoch: Epoch::new(1),
        beat: 0,
        term: Duration::from_secs(15),
    };
    journal.log.leases().replace("leader", None, record).now_or_never().unwrap().unwrap();
    journal.close();
    // What lies far behind the end is zeros, and every bit of it is as good as any other.
    let mut files = disk.contents();
    for (_, bytes) in files.iter_mut().filter(|(name, _)| name.ends_with(".log")) {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(used.next_multiple_of(8));
    }
    files
}

fn check(files: &Files) -> Report {
    let disk = Sim::with(1, files);
    let report = inspect(disk.clone()).unwrap().check();
    assert_eq!(disk.contents(), *files, "the original is as it was");
    for finding in &report.findings {
        assert!(!finding.fault.advice().is_empty(), "{}", finding.fault);
    }
    report
}

/// Repairs it, and gives what was said and the numbers of the events in the copy.
fn repair(files: &Files, what: &str) -> (Repaired, BTreeMap<String, Vec<u64>>) {
    let (disk, copy) = (Sim::with(1, files), Sim::new(2));
    let repaired = inspect(disk.clone()).unwrap().repair(&copy);
    assert_eq!(disk.contents(), *files, "{what}: the original is as it was");
    let repaired = repaired.unwrap_or_else(|fault| panic!("{what}: {fault}"));
    let report = inspect(copy.boot()).unwrap().check();
    assert!(report.findings.is_empty(), "{what}: {:?}", report.findings);
    let mut journal =
        Journal::open(&copy, options()).unwrap_or_else(|error| panic!("{what}: {}", error.fault()));
    let mut numbers = BTreeMap::new();
    for n in 0..4 {
        let id = id(&format!("id-{n}"));
        let events = journal.read(&id).unwrap_or_else(|error| panic!("{what}: {}", error.fault()));
        for event in &events {
            assert_eq!(number(event), (event.sequence.get() - 1) * 4 + n, "{what}");
        }
        numbers.insert(id.to_string(), events.iter().map(number).collect());
        let (slice, highest) = (journal.slice(&id), journal.highest(&id).unwrap());
        let epoch = journal.claim(slice).unwrap();
        journal.append(epoch, &id, highest, vec![event(7)]).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    journal.close();
    assert!(inspect(copy.boot()).unwrap().check().is_healthy(), "{what}: as it goes on");
    (repaired, numbers)
}

fn damaged(files: &Files, name: &str, damage: impl FnOnce(&mut Vec<u8>)) -> Files {
    let mut files = files.clone();
    damage(files.get_mut(name).unwrap());
    files
}

#[test]
fn a_healthy_journal_is_healthy_and_its_streams_are_told() {
    let files = sample();
    let report = check(&files);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.segments > 3, "{report:?}");
    assert_eq!(report.snapshots, 2);
    let told = |n: &str| {
        let stream = &report.streams[&id(n)];
        (stream.highest, stream.events, stream.deleted, stream.lost.len())
    };
    assert_eq!((told("id-0"), told("id-1")), ((20, 20, 0, 0), (20, 15, 5, 0)));
    let inspection = inspect(Sim::with(1, &files)).unwrap();
    assert_eq!(inspection.events().flatten().count(), 80);
    let (repaired, numbers) = repair(&files, "nothing is wrong");
    assert_eq!((repaired.events, repaired.snapshots, repaired.left_out), (80, 2, vec![]));
    assert_eq!(numbers["id-1"].len(), 15, "what is deleted stays deleted");
}

#[test]
fn every_flipped_byte_is_found_in_its_file_and_costs_no_more_than_it_must() {
    let files = sample();
    let whole = repair(&files, "nothing is wrong").1;
    for (name, bytes) in &files {
        for byte in (0..bytes.len()).step_by(41) {
            let what = format!("{name}, byte {byte}");
            let files = damaged(&files, name, |bytes| bytes[byte] ^= 1 << (byte % 8));
            let report = check(&files);
            assert!(!report.is_healthy(), "{what}: {:?}", report.findings);
            let named = |finding: &&Finding| finding.fault.place().ends_with(name.as_str());
            let finding = report.findings.iter().find(named);
            let finding = finding.unwrap_or_else(|| panic!("{what}: {:?}", report.findings));
            assert!(finding.fault.offset().is_some_and(|at| at <= byte as u64), "{what}: {}", finding.fault);
            // Where a file is not what it was, no copy is better than a guess.
            if name == "journal" || report.findings.iter().any(|finding| finding.kind == Kind::Newer) {
                let copy = Sim::new(2);
                inspect(Sim::with(1, &files)).unwrap().repair(&copy).expect_err(&what);
                assert!(!copy.contents().contains_key("journal"), "{what}");
                continue;
            }
            if byte % 2 == 0 {
                let (repaired, numbers) = repair(&files, &what);
                // Indexes are not copied, so nothing is said of them.
                assert!(name.ends_with(".idx") || !repaired.findings.is_empty(), "{what}");
                let lost =
                    whole.iter().filter(|(id, numbers_before)| numbers[*id] != **numbers_before).count();
                assert!(lost <= if name.ends_with(".log") { 4 } else { 0 }, "{what}");
            }
        }
    }
}

#[test]
fn one_damaged_record_costs_the_history_of_one_id() {
    let files = sample();
    let inspection = inspect(Sim::with(1, &files)).unwrap();
    let victim =
        inspection.events().flatten().find(|event| event.recorded.sequence == Sequence::new(8)).unwrap();
    let (name, of) = (victim.file.trim_start_matches("sim:"), victim.recorded.id.clone());
    let byte = usize::try_from(victim.offset).unwrap() + 70;
    let files = damaged(&files, name, |bytes| bytes[byte] ^= 1);
    let (repaired, numbers) = repair(&files, "one record");
    let missing = Lost { from: 8, to: 8, intact: false };
    let behind = Lost { from: 9, to: 20, intact: true };
    assert_eq!(repaired.left_out, [(of.clone(), missing), (of.clone(), behind)]);
    assert_eq!(numbers[of.as_str()].len(), 7);
    assert!(numbers.iter().all(|(id, numbers)| id == of.as_str() || numbers.len() >= 15), "{numbers:?}");
    let faults: Vec<_> = repaired.findings.iter().map(|finding| finding.fault.clone()).collect();
    assert!(faults.iter().any(|fault| fault.offset() == Some(victim.offset)), "{faults:?}");
}

#[test]
fn every_cut_file_is_found_and_repaired() {
    let files = sample();
    for (name, bytes) in files.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        for size in (0..bytes.len()).step_by(97) {
            let what = format!("{name}, cut to {size}");
            let files = damaged(&files, name, |bytes| bytes.truncate(size));
            assert!(!check(&files).is_healthy(), "{what}");
            if name != "journal" {
                repair(&files, &what);
            }
        }
    }
}

#[test]
fn every_zeroed_page_is_found_and_repaired() {
    let files = sample();
    for (name, bytes) in &files {
        for from in (0..bytes.len()).step_by(4096) {
            let what = format!("{name}, zeroed from {from}");
            let files = damaged(&files, name, |bytes| {
                let to = bytes.len().min(from + 4096);
                bytes[from..to].fill(0);
            });
            assert!(!check(&files).is_healthy(), "{what}");
            if name != "journal" {
                repair(&files, &what);
            }
        }
    }
}

#[test]
fn segments_that_were_rewritten_are_looked_at_and_copied_as_well() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journal-1");
    let (mut files, real) = (Files::new(), Real::read_only(folder).unwrap());
    for name in real.list("").unwrap() {
        let file = real.open(&name).unwrap();
        let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        files.insert(name, bytes);
    }
    assert!(check(&files).findings.is_empty());
    let segments: Vec<String> = files.keys().filter(|name| name.ends_with(".log")).cloned().collect();
    for (name, byte) in
        segments.iter().flat_map(|name| (0..files[name].len()).step_by(29).map(move |n| (name, n)))
    {
        let what = format!("{name}, byte {byte}");
        let files = damaged(&files, name, |bytes| bytes[byte] ^= 16);
        let report = check(&files);
        // Behind the end there are zeros only, and what stands there was never acknowledged.
        assert!(!report.findings.is_empty() || files[name][byte] == 16, "{what}");
        if report.findings.iter().any(|finding| finding.kind == Kind::Newer) {
            continue;
        }
        let copy = Sim::new(2);
        let repaired = inspect(Sim::with(1, &files)).unwrap().repair(&copy);
        repaired.unwrap_or_else(|fault| panic!("{what}: {fault}"));
        let copied = inspect(copy.boot()).unwrap().check();
        assert!(copied.findings.is_empty(), "{what}: {:?}", copied.findings);
        for (id, stream) in copied.streams {
            let before = &report.streams[&id];
            assert_eq!((stream.highest, stream.events), (before.highest, before.events), "{what}: {id}");
        }
        let opened = Journal::open(&copy, options());
        opened.unwrap_or_else(|error| panic!("{what}: {}", error.fault())).close();
        assert!(inspect(copy.boot()).unwrap().check().is_healthy(), "{what}");
    }
}

#[test]
fn a_missing_segment_is_named_and_the_rest_is_copied() {
    let files = sample();
    for name in files.keys().filter(|name| name.ends_with(".log") || *name == "journal") {
        let mut files = files.clone();
        files.remove(name);
        let report = check(&files);
        assert!(!report.is_healthy());
        assert!(
            report.findings.iter().any(|finding| finding.fault.place().ends_with(name.as_str())),
            "{name}"
        );
        if name != "journal" {
            repair(&files, &format!("{name} is missing"));
        }
    }
}

#[test]
fn what_is_not_the_journal_s_is_noted_and_a_newer_version_is_named() {
    let mut files = sample();
    files.insert("holiday.jpg".to_owned(), vec![1, 2, 3]);
    files.insert("0000000002.idx.new".to_owned(), vec![]);
    let report = check(&files);
    assert!(report.is_healthy());
    assert_eq!(report.findings.len(), 2, "{:?}", report.findings);
    assert!(report.findings.iter().all(|finding| finding.kind == Kind::Note));
    for name in ["journal", "0000000002.log", "checkpoint"] {
        let files = damaged(&files, name, |bytes| bytes[8] = 2);
        let report = check(&files);
        let newer = report.findings.iter().find(|finding| finding.kind == Kind::Newer).unwrap();
        assert!(
            newer.fault.place().ends_with(name) && newer.fault.what().contains("version 2"),
            "{}",
            newer.fault
        );
    }
    let nothing = inspect(Sim::with(1, &[("holiday.jpg".to_owned(), vec![1])].into()));
    assert!(nothing.is_err(), "there is no journal");
}

#[test]
fn a_torn_end_is_no_damage_and_a_live_journal_is_looked_at_without_its_lock() {
    let disk = Sim::new(1);
    let mut journal = Journal::open(&disk, options()).unwrap();
    let slice = journal.slice(&id("id-0"));
    let epoch = journal.claim(slice).unwrap();
    journal.append(epoch, &id("id-0"), 0, vec![event(0)]).unwrap();
    let live = inspect(disk.clone()).unwrap();
    assert!(live.is_live());
    assert!(live.check().findings.is_empty(), "what is allocated is not torn");
    drop(live);
    let used = disk.contents()["0000000001.log"].iter().rposition(|byte| *byte != 0).unwrap();
    drop(journal);
    disk.flip("0000000001.log", used + 100, 0);
    let inspection = inspect(disk.boot()).unwrap();
    assert!(!inspection.is_live());
    let report = inspection.check();
    assert!(report.is_healthy());
    assert!(report.findings[0].fault.what().contains("torn"), "{:?}", report.findings);
    drop(inspection);
    Journal::open(&disk, options()).expect("the lock is free again");
}

#[test]
fn a_folder_without_the_right_to_write_is_enough() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("inspect-{}", std::process::id()));
    let copy = folder.join("copy");
    let real = Real::new(folder.join("original")).unwrap();
    for (name, bytes) in sample() {
        real.create_folder(name.rsplit_once('/').map_or("", |(folder, _)| folder)).unwrap();
        real.create(&name).unwrap().write_at(&bytes, 0).unwrap();
    }
    let look = Real::read_only(folder.join("original")).unwrap();
    assert!(
        look.create("a").is_err() && look.remove("journal").is_err() && look.rename("journal", "a").is_err()
    );
    assert!(look.open("journal").unwrap().write_at(&[1], 0).is_err(), "the files cannot be written either");
    let inspection = inspect(look).unwrap();
    assert!(inspection.check().findings.is_empty());
    let repaired = inspection.repair(&Real::new(&copy).unwrap()).unwrap();
    assert_eq!(repaired.events, 80);
    assert!(inspect(Real::read_only(&copy).unwrap()).unwrap().check().findings.is_empty());
    assert!(inspection.repair(&Real::new(&copy).unwrap()).is_err(), "the copy is not empty");
    std::fs::remove_dir_all(folder).unwrap();
}

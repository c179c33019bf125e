//! Leases beside a log: what outlives power cuts, what a closed or damaged one says.

use futures_util::FutureExt;
use omnitron_persistence::Epoch;
use omnitron_persistence::backend::log::inspect;
use omnitron_persistence::disk::Disk;
use omnitron_persistence::disk::sim::Sim;
use omnitron_runtime::{LeaseFault, LeaseRecord, LeaseStore, LeaseVersion};
use std::time::Duration;

use crate::support::{Journal, event, id, options};

fn record(holder: &str, epoch: u64, beat: u64) -> LeaseRecord {
    LeaseRecord { holder: holder.to_owned(), epoch: Epoch::new(epoch), beat, term: Duration::from_secs(15) }
}

fn replace(journal: &Journal, expected: Option<LeaseVersion>, record: LeaseRecord) -> Result<(), LeaseFault> {
    journal.log.leases().replace("x", expected, record).now_or_never().expect("it writes on this thread")
}

fn read(journal: &Journal) -> Result<Option<LeaseRecord>, LeaseFault> {
    journal.log.leases().read("x").now_or_never().expect("it reads on this thread")
}

#[test]
fn after_a_power_cut_at_any_change_a_lease_is_that_of_the_last_holder_who_was_told_so_or_a_later_one() {
    let mut cuts = 0;
    for changes in 0..40 {
        let disk = Sim::new(u64::from(changes));
        let journal = Journal::open(&disk, options()).unwrap();
        disk.power_cut_after(changes);
        let (mut expected, mut told) = (None, 0);
        for epoch in 1..=5 {
            let record = record(&format!("holder {epoch}"), epoch, 0);
            let version = record.version();
            match replace(&journal, expected, record) {
                Ok(()) => (expected, told) = (Some(version), epoch),
                Err(LeaseFault::Unknown(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        cuts += u32::from(told < 5);
        drop(journal);
        disk.power_cut_after(u32::MAX);
        let journal = Journal::open(&disk, options()).unwrap();
        let there = read(&journal).unwrap();
        let epoch = there.as_ref().map_or(0, |record| record.epoch.get());
        assert!((told..=told + 1).contains(&epoch), "cut after {changes}: {there:?}, told {told}");
        let holder = there.map_or_else(String::new, |record| record.holder);
        assert!(epoch == 0 || holder == format!("holder {epoch}"), "cut after {changes}: {holder}");
    }
    assert!(cuts > 10, "{cuts}");
}

#[test]
fn a_renewal_writes_nothing() {
    let disk = Sim::new(1);
    let journal = Journal::open(&disk, options()).unwrap();
    replace(&journal, None, record("a", 1, 0)).unwrap();
    disk.power_cut_after(0);
    for beat in 0..9 {
        replace(&journal, Some((Epoch::new(1), beat)), record("a", 1, beat + 1)).unwrap();
    }
    assert_eq!(read(&journal), Ok(Some(record("a", 1, 9))));
    assert!(!disk.boot().is_down());
}

#[test]
fn a_holder_whose_store_failed_is_not_believed() {
    let disk = Sim::new(1);
    let journal = Journal::open(&disk, options()).unwrap();
    disk.fail_syncs(1);
    let error = replace(&journal, None, record("a", 1, 0)).unwrap_err();
    assert!(matches!(error, LeaseFault::Unknown(_)), "{error}");
    assert_eq!(read(&journal), Ok(None));
    assert_eq!(replace(&journal, None, record("b", 1, 0)), Ok(()));
}

#[test]
fn a_closed_journal_grants_nothing_and_the_next_one_knows_the_holder() {
    let disk = Sim::new(1);
    let journal = Journal::open(&disk, options()).unwrap();
    replace(&journal, None, record("a", 1, 0)).unwrap();
    let leases = journal.log.leases();
    journal.close();
    let renewed = leases.replace("x", Some((Epoch::new(1), 0)), record("a", 1, 1)).now_or_never().unwrap();
    assert_eq!(
        renewed.unwrap_err().to_string(),
        "the store of leases is not available: the journal was closed. Open it again"
    );
    assert_eq!(read(&Journal::open(&disk, options()).unwrap()), Ok(Some(record("a", 1, 0))));
}

#[test]
fn a_damaged_file_of_leases_is_named_and_events_are_not_concerned() {
    let disk = Sim::new(1);
    let mut journal = Journal::open(&disk, options()).unwrap();
    replace(&journal, None, record("a", 1, 0)).unwrap();
    let (one, slice) = (id("one"), journal.slice(&id("one")));
    let epoch = journal.claim(slice).unwrap();
    journal.append(epoch, &one, 0, vec![event(1)]).unwrap();
    journal.close();
    disk.flip("leases", 40, 1);
    let mut journal = Journal::open(&disk, options()).unwrap();
    assert_eq!(journal.read(&one).unwrap().len(), 1);
    let epoch = journal.claim(slice).unwrap();
    journal.append(epoch, &one, 1, vec![event(2)]).unwrap();
    for error in [read(&journal).unwrap_err(), replace(&journal, None, record("a", 1, 0)).unwrap_err()] {
        let text = error.to_string();
        assert!(
            text.contains("leases: its checksum does not match its bytes. Stop all who use leases"),
            "{text}"
        );
    }
    journal.close();
    disk.boot().remove("leases").unwrap();
    assert_eq!(read(&Journal::open(&disk, options()).unwrap()), Ok(None));
}

#[test]
fn no_flipped_byte_and_no_cut_of_the_file_makes_another_holder() {
    let disk = Sim::new(1);
    let journal = Journal::open(&disk, options()).unwrap();
    replace(&journal, None, record("a", 7, 0)).unwrap();
    journal.close();
    let files = disk.contents();
    for byte in 0..files["leases"].len() {
        let (flipped, cut) = (Sim::with(1, &files), Sim::with(1, &files));
        flipped.flip("leases", byte, u32::try_from(byte % 8).unwrap());
        cut.cut("leases", byte);
        for (disk, what) in [(flipped, "flipped"), (cut, "cut")] {
            let error = read(&Journal::open(&disk, options()).unwrap()).expect_err("it is noticed");
            assert!(error.to_string().contains("sim:leases: "), "byte {byte} {what}: {error}");
        }
    }
    let newer = Sim::with(1, &files);
    newer.flip("leases", 8, 1); // version 3 of a format that has 1
    let error = read(&Journal::open(&newer, options()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("format version 3") && error.contains("or with a newer one"), "{error}");
}

#[test]
fn there_are_no_more_than_so_many_names() {
    let disk = Sim::new(1);
    let journal = Journal::open(&disk, options()).unwrap();
    let leases = journal.log.leases();
    let get = |n: u32| leases.replace(&format!("n{n}"), None, record("", 1, 0)).now_or_never().unwrap();
    // The file is replaced each time, so one holder is given to it in one go.
    for n in 0..1_024 {
        assert_eq!(get(n), Ok(()));
    }
    let error = get(1_024).unwrap_err().to_string();
    assert!(error.contains("there are 1024 leases already, which is the most. Use fewer names"), "{error}");
}

#[test]
fn a_repaired_copy_knows_the_holders() {
    let (disk, copy) = (Sim::new(1), Sim::new(2));
    let journal = Journal::open(&disk, options()).unwrap();
    replace(&journal, None, record("a", 7, 0)).unwrap();
    journal.close();
    let report = inspect(disk.boot()).unwrap().check();
    assert!(report.is_healthy() && report.findings.is_empty(), "{:?}", report.findings);
    inspect(disk.boot()).unwrap().repair(&copy.boot()).unwrap();
    assert_eq!(read(&Journal::open(&copy, options()).unwrap()), Ok(Some(record("a", 7, 0))));
    disk.flip("leases", 40, 1);
    let found = inspect(disk.boot()).unwrap().check();
    assert!(
        !found.is_healthy() && found.findings[0].fault.place().contains("leases"),
        "{:?}",
        found.findings
    );
}

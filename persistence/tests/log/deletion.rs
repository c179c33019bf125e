//! Is the space of deleted events given back, and nothing else?

use futures_util::FutureExt;
use omnitron_persistence::Sequence;
use omnitron_persistence::backend::{Delete, IdQuery, JournalBackend};
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::{Epoch, PersistenceId};

use crate::support::{Journal, event, id, number, options};

fn delete(journal: &mut Journal, epochs: &[Epoch], id: &PersistenceId, to: u64) {
    let slice = journal.slice(id);
    let delete = Delete { slice, epoch: epochs[slice.get() as usize], id: id.clone(), to: Sequence::new(to) };
    let deleted = journal.log.delete_to(delete);
    journal.settle();
    deleted.now_or_never().expect("it is settled").expect("a healthy journal deletes");
}

fn claims(journal: &mut Journal) -> Vec<Epoch> {
    let slices: Vec<_> = journal.log.slices().iter().collect();
    slices.into_iter().map(|slice| journal.claim(slice).unwrap()).collect()
}

fn log_bytes(disk: &Sim) -> usize {
    disk.contents().iter().filter(|(name, _)| name.ends_with(".log")).map(|(_, bytes)| bytes.len()).sum()
}

/// Appends events to `a`, `b` and `c` in turn.
fn fill(journal: &mut Journal, epochs: &[Epoch], events: u64) {
    for n in 0..events {
        let id = id(["a", "b", "c"][n as usize % 3]);
        let epoch = epochs[journal.slice(&id).get() as usize];
        let last = journal.highest(&id).unwrap();
        journal.append(epoch, &id, last, vec![event(last + 1)]).unwrap();
    }
}

fn expect(journal: &Journal, id: &PersistenceId, first: u64, last: u64) {
    let events = journal.read(id).unwrap();
    let found: Vec<(u64, u64)> = events.iter().map(|event| (event.sequence.get(), number(event))).collect();
    assert_eq!(found, (first..=last).map(|n| (n, n)).collect::<Vec<_>>(), "`{id}`");
    assert_eq!(journal.highest(id).unwrap(), last, "`{id}`");
}

#[test]
fn space_comes_back_and_the_highest_sequence_stays() {
    let disk = Sim::new(1);
    let mut journal = Journal::open(&disk, options()).unwrap();
    let epochs = claims(&mut journal);
    fill(&mut journal, &epochs, 600);
    let last = journal.read(&id("a")).unwrap().pop().unwrap().ordinal;
    let before = log_bytes(&disk);
    for id in [id("a"), id("b"), id("c")] {
        delete(&mut journal, &epochs, &id, 190);
    }
    delete(&mut journal, &epochs, &id("c"), u64::MAX);
    delete(&mut journal, &epochs, &id("c"), 3); // says less than the one before
    journal.log.compact().now_or_never().unwrap().unwrap();
    assert!(log_bytes(&disk) * 4 < before, "{before} bytes became {}", log_bytes(&disk));
    for round in 0..2 {
        expect(&journal, &id("a"), 191, 200);
        expect(&journal, &id("b"), 191, 200);
        expect(&journal, &id("c"), 201, 200);
        if round == 0 {
            journal.close();
            journal = Journal::open(&disk, options()).unwrap();
        }
    }
    let query = IdQuery { prefix: String::new(), after: None, limit: 9 };
    assert_eq!(journal.log.ids(query).now_or_never().unwrap().unwrap(), [id("a"), id("b"), id("c")]);
    let old = journal.append(epochs[journal.slice(&id("a")).get() as usize], &id("a"), 200, vec![event(201)]);
    let new = old.expect("epochs outlive it too");
    assert!(new.ordinal > last, "ordinals are not used again");
    expect(&journal, &id("a"), 191, 201);
}

#[test]
fn the_journal_gives_space_back_by_itself() {
    let disk = Sim::new(1);
    let mut journal = Journal::open(&disk, options()).unwrap();
    let epochs = claims(&mut journal);
    for _ in 0..20 {
        fill(&mut journal, &epochs, 150);
        for id in [id("a"), id("b"), id("c")] {
            let last = journal.highest(&id).unwrap();
            delete(&mut journal, &epochs, &id, last - 5);
        }
    }
    let files = disk.contents().len();
    assert!(
        log_bytes(&disk) < 120_000,
        "3000 events were written, 15 are left, and they take {}",
        log_bytes(&disk)
    );
    assert!(files < 30, "{files} files");
    for id in [id("a"), id("b"), id("c")] {
        expect(&journal, &id, 996, 1000);
    }
}

#[test]
fn a_reader_is_not_disturbed() {
    let disk = Sim::new(1);
    let mut journal = Journal::open(&disk, options()).unwrap();
    let epochs = claims(&mut journal);
    fill(&mut journal, &epochs, 900);
    let mut reading = journal.log.read(&id("a"), Sequence::ZERO, Sequence::MAX);
    let next = |reading: &mut futures_util::stream::BoxStream<'static, Result<_, _>>| {
        futures_util::StreamExt::next(reading).now_or_never().expect("it reads on this thread")
    };
    let first = next(&mut reading).unwrap().unwrap();
    assert_eq!(number(&first), 1);
    delete(&mut journal, &epochs, &id("a"), 299);
    delete(&mut journal, &epochs, &id("b"), 299);
    delete(&mut journal, &epochs, &id("c"), 299);
    assert!(journal.log.compact().now_or_never().unwrap().unwrap().segments > 5);
    let mut n = 2;
    while let Some(event) = next(&mut reading) {
        assert_eq!(number(&event.unwrap()), n);
        n += 1;
    }
    assert_eq!(n, 301);
}

#[test]
fn a_power_cut_while_space_is_given_back_loses_nothing() {
    for changes in 0..40 {
        let disk = Sim::new(changes.into());
        let mut journal = Journal::open(&disk, options()).unwrap();
        let epochs = claims(&mut journal);
        fill(&mut journal, &epochs, 240);
        delete(&mut journal, &epochs, &id("a"), 75);
        delete(&mut journal, &epochs, &id("b"), 80);
        delete(&mut journal, &epochs, &id("c"), 78);
        disk.power_cut_after(changes);
        let _ = journal.log.compact().now_or_never().unwrap();
        disk.power_cut();
        let journal = Journal::open(&disk, options());
        let journal = journal.unwrap_or_else(|error| panic!("after {changes} changes: {}", error.fault()));
        expect(&journal, &id("a"), 76, 80);
        expect(&journal, &id("b"), 81, 80);
        expect(&journal, &id("c"), 79, 80);
    }
}

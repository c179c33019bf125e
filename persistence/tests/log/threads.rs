//! Writers, readers, deletions and the giving back of space, all at once on threads: does each see a history without gaps?

#![expect(clippy::disallowed_methods, reason = "real threads are what this is about")]

use futures_util::TryStreamExt;
use omnitron_persistence::backend::log::{self, Log};
use omnitron_persistence::backend::{Append, Delete, JournalBackend, SliceQuery};
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::{Ordinal, Sequence};

use crate::support::{event, id, number, options};

const EVENTS: u64 = 600;

/// Appends events, and deletes all but the last few now and then.
async fn write(log: Log, name: &str) {
    let id = id(name);
    let slice = id.slice(log.slices());
    let epoch = omnitron_persistence::Epoch::new(1);
    for n in 0..EVENTS / 3 {
        let append = |n: u64| Append {
            slice,
            epoch,
            id: id.clone(),
            expected: Sequence::new(n),
            events: vec![event(n)],
        };
        let waiting = [append(3 * n), append(3 * n + 1), append(3 * n + 2)].map(|append| log.append(append));
        for appended in waiting {
            appended.await.unwrap();
        }
        if n % 20 == 19 {
            let to = Sequence::new(3 * n - 10);
            log.delete_to(Delete { slice, epoch, id: id.clone(), to }).await.unwrap();
        }
    }
}

/// Reads an id and its slice until everything was written.
async fn read(log: Log, name: &str) -> usize {
    let (id, mut reads) = (id(name), 0);
    let slice = id.slice(log.slices());
    loop {
        let events: Vec<_> = log.read(&id, Sequence::ZERO, Sequence::MAX).try_collect().await.unwrap();
        let found: Vec<u64> = events.iter().map(number).collect();
        assert!(found.is_sorted_by(|a, b| a + 1 == *b), "`{name}` has a gap: {found:?}");
        let query = SliceQuery { slice, tag: None, after: Ordinal::ZERO };
        let events: Vec<_> = log.read_slice(query).try_collect().await.unwrap();
        assert!(events.is_sorted_by(|a, b| a.ordinal < b.ordinal), "{slice} is out of order");
        reads += 1;
        if log.highest(&id).await.unwrap().get() == EVENTS {
            return reads;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_at_once_nobody_sees_a_gap() {
    let disk = Sim::new(1);
    let log = log::open(disk.clone(), options().recent_ids(2).readers(2)).unwrap();
    for slice in log.slices().iter() {
        log.claim(slice).await.unwrap();
    }
    let names = ["a", "b", "c", "d"];
    let writers = names.map(|name| tokio::spawn(write(log.clone(), name)));
    let readers = names.map(|name| tokio::spawn(read(log.clone(), name)));
    for _ in 0..3 {
        log.compact().await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    log.compact().await.unwrap();
    log.close().await;
    let left: usize = disk.contents().values().map(Vec::len).sum();
    assert!(left < 300_000, "most was deleted, and {left} bytes are left");
}

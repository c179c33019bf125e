//! Does a feed give every event of a journal once, and then each that comes, and does it say when it cannot?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use omnitron_persistence::backend::memory::{Controls, Memory};
use omnitron_persistence::backend::{
    Append, Appended, Delete, IdQuery, JournalBackend, ReadError, SliceQuery, WriteError, log,
};
use omnitron_persistence::disk::real::Real;
use omnitron_persistence::snapshot::memory::MemorySnapshots;
use omnitron_persistence::{
    Epoch, EventFeed, FeedError, Follow, Journal, NewEvent, Offset, Ordinal, PersistenceId, Recorded,
    Sequence, Slice, Slices,
};
use omnitron_runtime::Env;
use omnitron_runtime::testkit::Sim;

#[expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]
mod world {
    use super::*;

    /// Somebody who writes to one id.
    pub(crate) struct Pen {
        pub(crate) backend: Arc<dyn JournalBackend>,
        pub(crate) id: PersistenceId,
        pub(crate) epoch: Epoch,
        pub(crate) written: u64,
    }

    impl Pen {
        pub(crate) async fn new(backend: impl JournalBackend, id: &str) -> Self {
            let (backend, id) = (Arc::new(backend), PersistenceId::new(id).unwrap());
            let epoch = backend.claim(id.slice(backend.slices())).await.unwrap();
            Self { backend, id, epoch, written: 0 }
        }

        pub(crate) fn slice(&self) -> Slice {
            self.id.slice(self.backend.slices())
        }

        pub(crate) fn submit(&mut self, events: usize) -> BoxFuture<'static, Result<Appended, WriteError>> {
            let numbers = self.written + 1..=self.written + events as u64;
            let events = numbers.map(|n| NewEvent::new("e", n.to_le_bytes().to_vec())).collect::<Vec<_>>();
            let expected = Sequence::new(self.written);
            self.written += events.len() as u64;
            let (slice, epoch, id) = (self.slice(), self.epoch, self.id.clone());
            self.backend.append(Append { slice, epoch, id, expected, events })
        }

        pub(crate) async fn write(&mut self, events: usize) {
            self.submit(events).await.unwrap();
        }

        pub(crate) async fn delete_to(&self, to: u64) {
            let (slice, epoch, id) = (self.slice(), self.epoch, self.id.clone());
            self.backend.delete_to(Delete { slice, epoch, id, to: Sequence::new(to) }).await.unwrap();
        }
    }

    pub(crate) fn memory(slices: u32) -> (Memory, Controls, Journal) {
        let (backend, controls) = Memory::new(Slices::new(slices).unwrap());
        (backend.clone(), controls, Journal::with(backend, MemorySnapshots::new()))
    }

    /// What there is without waiting: sequences by id.
    pub(crate) fn now(feed: &mut EventFeed, most: usize) -> Vec<u64> {
        let events = feed.next(most).now_or_never();
        events.map_or_else(Vec::new, |events| sequences(&events.unwrap()))
    }

    pub(crate) fn sequences(events: &[Recorded]) -> Vec<u64> {
        events.iter().map(|event| event.sequence.get()).collect()
    }

    /// A journal that does not tell anybody.
    pub(crate) struct Silent(pub(crate) Memory);

    impl JournalBackend for Silent {
        fn slices(&self) -> Slices {
            self.0.slices()
        }
        fn claim(&self, slice: Slice) -> BoxFuture<'static, Result<Epoch, WriteError>> {
            self.0.claim(slice)
        }
        fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, WriteError>> {
            self.0.append(append)
        }
        fn read(
            &self,
            id: &PersistenceId,
            from: Sequence,
            to: Sequence,
        ) -> BoxStream<'static, Result<Recorded, ReadError>> {
            self.0.read(id, from, to)
        }
        fn read_slice(&self, query: SliceQuery) -> BoxStream<'static, Result<Recorded, ReadError>> {
            self.0.read_slice(query)
        }
        fn highest(&self, id: &PersistenceId) -> BoxFuture<'static, Result<Sequence, ReadError>> {
            self.0.highest(id)
        }
        fn delete_to(&self, delete: Delete) -> BoxFuture<'static, Result<(), WriteError>> {
            self.0.delete_to(delete)
        }
        fn ids(&self, query: IdQuery) -> BoxFuture<'static, Result<Vec<PersistenceId>, ReadError>> {
            self.0.ids(query)
        }
    }
}

use world::{Pen, Silent, memory, now, sequences};

#[tokio::test]
async fn a_feed_reads_what_there_is_and_then_what_comes() {
    let env = Env::tokio().unwrap();
    let (backend, controls, journal) = memory(4);
    let mut pen = Pen::new(backend, "a").await;
    pen.write(3).await;
    let mut feed = journal.follow(&env, Follow::all()).await.unwrap();
    assert_eq!(now(&mut feed, 2), [1, 2], "at most two");
    assert_eq!(now(&mut feed, 9), [3]);
    assert_eq!(now(&mut feed, 9), [] as [u64; 0]);
    pen.write(2).await;
    controls.unreadable(true);
    assert_eq!(now(&mut feed, 9), [4, 5], "from memory: nobody reads the journal for this");
    let offset = feed.offset();
    pen.write(1).await;
    controls.unreadable(false);
    let mut other = journal.follow(&env, Follow::all().after(offset)).await.unwrap();
    assert_eq!((now(&mut feed, 9), now(&mut other, 9)), (vec![6], vec![6]));
}

#[tokio::test]
async fn what_becomes_durable_while_the_journal_is_read_comes_once() {
    let env = Env::tokio().unwrap();
    let (backend, _, journal) = memory(1);
    let mut pen = Pen::new(backend, "a").await;
    pen.write(100).await;
    let mut feed = journal.follow(&env, Follow::all()).await.unwrap();
    let mut all = now(&mut feed, 10);
    for _ in 0..50 {
        pen.write(3).await;
        all.extend(now(&mut feed, 4));
    }
    while feed.offset().of(pen.slice()).get() < pen.written {
        all.extend(sequences(&feed.next(7).await.unwrap()));
    }
    assert!(all.iter().copied().eq(1..=250), "{all:?}");
}

#[tokio::test]
async fn a_reader_who_is_too_slow_for_the_tail_reads_the_journal_again() {
    let env = Env::tokio().unwrap();
    let (backend, controls, journal) = memory(1);
    let mut pen = Pen::new(backend, "a").await;
    let mut feed = journal.follow(&env, Follow::all()).await.unwrap();
    assert!(feed.next(1).now_or_never().is_none());
    for _ in 0..9 {
        pen.write(5_000).await;
    }
    controls.unreadable(true);
    let error = feed.next(1).now_or_never().unwrap().unwrap_err();
    assert!(error.passes(), "what is not kept in memory is read, and that fails here: {error}");
    controls.unreadable(false);
    let mut next = 1;
    while next <= pen.written {
        for sequence in sequences(&feed.next(1_000).await.unwrap()) {
            assert_eq!(sequence, next);
            next += 1;
        }
    }
}

#[tokio::test]
async fn a_feed_reads_the_slices_it_was_told_to_and_all_parts_read_everything() {
    let env = Env::tokio().unwrap();
    let (backend, _, journal) = memory(7);
    let mut pens = Vec::new();
    for n in 0..20 {
        pens.push(Pen::new(backend.clone(), &format!("id-{n}")).await);
    }
    // Claims of later ones fence those before in the same slice, so each writes with the newest epoch.
    let epochs: BTreeMap<Slice, Epoch> = pens.iter().map(|pen| (pen.slice(), pen.epoch)).collect();
    for pen in &mut pens {
        pen.epoch = epochs[&pen.slice()];
        pen.write(2).await;
    }
    let parts = journal.parts(3).unwrap();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 3]);
    let mut found = BTreeMap::new();
    for slices in parts {
        let mut feed = journal.follow(&env, Follow::all().slices(slices.clone())).await.unwrap();
        while let Some(events) = feed.next(100).now_or_never() {
            for event in events.unwrap() {
                assert!(slices.contains(&event.slice));
                *found.entry(event.id).or_insert(0) += 1;
            }
        }
    }
    assert_eq!((found.len(), found.values().all(|count| *count == 2)), (20, true));
}

#[tokio::test]
async fn an_offset_of_another_journal_is_refused() {
    let env = Env::tokio().unwrap();
    let ((_, _, one), (_, _, other)) = (memory(1), memory(1));
    let offset = one.start().unwrap();
    let refused = other.follow(&env, Follow::all().after(offset.clone())).await.unwrap_err();
    assert!(matches!(refused, FeedError::OtherJournal { .. }), "{refused}");
    assert!(one.follow(&env, Follow::all().after(offset)).await.is_ok());
}

#[tokio::test]
async fn an_offset_that_the_journal_does_not_reach_is_refused() {
    let env = Env::tokio().unwrap();
    let (backend, _, journal) = memory(1);
    let mut pen = Pen::new(backend, "a").await;
    pen.write(2).await;
    let offset = |ordinal| {
        let mut offset = journal.start().unwrap();
        offset.advance(Slice::new(0), Ordinal::new(ordinal));
        Follow::all().after(offset)
    };
    assert!(journal.follow(&env, offset(2)).await.is_ok());
    let refused = journal.follow(&env, offset(3)).await.unwrap_err();
    assert!(matches!(refused, FeedError::Ahead { .. }), "{refused}");
    let mut strange = journal.start().unwrap();
    strange.advance(Slice::new(9), Ordinal::new(1));
    let refused = journal.follow(&env, Follow::all().after(strange)).await.unwrap_err();
    assert!(matches!(refused, FeedError::NoSuchSlice { .. }), "{refused}");
}

#[tokio::test]
async fn events_that_were_deleted_before_they_were_read_are_an_error_and_not_silence() {
    let env = Env::tokio().unwrap();
    for (deleted, written_later) in [(2, 1), (3, 0)] {
        let (backend, _, journal) = memory(1);
        let mut pen = Pen::new(backend, "a").await;
        pen.write(3).await;
        pen.delete_to(deleted).await;
        let mut feed = journal.follow(&env, Follow::all()).await.unwrap();
        pen.write(written_later).await;
        for _ in 0..2 {
            let error = feed.next(9).now_or_never().unwrap().unwrap_err();
            assert!(matches!(error, FeedError::Deleted { after: Ordinal::ZERO, .. }), "{error}");
            assert!(!error.passes());
        }
        let mut lenient = journal.follow(&env, Follow::all().despite_deletions()).await.unwrap();
        let left: Vec<u64> = (deleted + 1..=pen.written).collect();
        assert_eq!(now(&mut lenient, 9), left);
    }
}

#[tokio::test]
async fn events_that_are_deleted_while_a_feed_is_live_do_not_disturb_it() {
    let env = Env::tokio().unwrap();
    let (backend, _, journal) = memory(1);
    let mut pen = Pen::new(backend, "a").await;
    pen.write(3).await;
    let mut feed = journal.follow(&env, Follow::all()).await.unwrap();
    assert_eq!(now(&mut feed, 9), [1, 2, 3]);
    pen.delete_to(3).await;
    pen.write(1).await;
    assert_eq!(now(&mut feed, 9), [4]);
}

#[test]
fn a_journal_that_tells_nobody_is_looked_at_again() {
    let sim = Sim::new(1);
    let env = sim.env();
    sim.block_on(async move {
        let (backend, _) = Memory::new(Slices::new(2).unwrap());
        let journal = Journal::with(Silent(backend.clone()), MemorySnapshots::new());
        let mut pen = Pen::new(backend, "a").await;
        pen.write(2).await;
        let mut feed = journal.follow(&env, Follow::all()).await.unwrap();
        assert_eq!(sequences(&feed.next(9).await.unwrap()), [1, 2]);
        let begun = env.now();
        let sleep = env.sleep(Duration::from_secs(1));
        let write = async {
            sleep.await;
            pen.write(1).await;
        };
        let (events, ()) = futures_util::future::join(feed.next(9), write).await;
        assert_eq!(sequences(&events.unwrap()), [3]);
        assert!(env.now() - begun <= Duration::from_millis(1_050));
    });
}

/// A log whose writer has a thread of its own, and readers who come and go while it writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_of_a_log_read_everything_once_while_it_is_written() {
    const EVENTS: u64 = 3_000;
    let dir = std::env::temp_dir().join(format!("omnitron-feeds-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let options = log::Options::default().slices(Slices::new(2).unwrap()).identity(7).segment_bytes(16 << 10);
    let log = log::open(Real::new(&dir).unwrap(), options).unwrap();
    let env = Env::tokio().unwrap();
    let journal = Journal::with(log.clone(), log.snapshots());
    let mut pen = Pen::new(log.clone(), "a").await;
    let slice = pen.slice();
    let mut readers = Vec::new();
    for most in [1, 7, 1_000] {
        let mut feed = journal.follow(&env, Follow::all()).await.unwrap();
        let (done, end) = tokio::sync::oneshot::channel();
        let (journal, inner) = (journal.clone(), env.clone());
        env.spawn(|| "reader".to_owned(), async move {
            let mut all: Vec<u64> = Vec::new();
            while (all.len() as u64) < EVENTS {
                all.extend(sequences(&feed.next(most).await.unwrap()));
                if all.len().is_multiple_of(13) {
                    // One that begins again where the other one is.
                    let follow = Follow::all().after(feed.offset());
                    feed = journal.follow(&inner, follow).await.unwrap();
                }
            }
            let _ = done.send(all);
        });
        readers.push(end);
    }
    for part in 0..EVENTS / 3 {
        let written = pen.submit(3);
        if part % 8 == 0 {
            written.await.unwrap();
        }
    }
    for reader in readers {
        assert!(reader.await.unwrap().into_iter().eq(1..=EVENTS));
    }
    assert_eq!(journal.end().await.unwrap().of(slice), Ordinal::new(EVENTS));
    assert_ne!(journal.start(), Some(Offset::start(0)));
    log.close().await;
    let _ = std::fs::remove_dir_all(&dir);
}

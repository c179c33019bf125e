//! Bad input, damaged histories, and journals that go away.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use omnitron_persistence::backend::memory::Memory;
use omnitron_persistence::backend::{
    Append, Appended, Delete, IdQuery, JournalBackend, ReadError, SliceQuery, WriteError,
};
use omnitron_persistence::timeline::{Origin, TimeTravel, TimelineError};
use omnitron_persistence::{
    Epoch, Journal, NewEvent, PersistenceId, Persistent, Recorded, Sequence, Slice, Slices, WithJournal,
};
use omnitron_runtime::{ActorSystem, Env};

use crate::world::{Account, Ask, Balance, Pen, at, deposited, folder};

#[tokio::test]
async fn an_id_that_has_no_events_and_one_that_cannot_be_are_errors() {
    let pen = Pen::with([deposited(1)]);
    let env = Env::tokio().unwrap();
    let error = pen.journal.timeline::<Account>(&env, "nobody").await.unwrap_err();
    assert!(matches!(error, TimelineError::UnknownId { .. }), "{error}");
    assert!(error.to_string().contains("`nobody` has no events in this journal"), "{error}");
    let error = pen.journal.timeline::<Account>(&env, "").await.unwrap_err();
    assert!(matches!(error, TimelineError::IllegalId { .. }), "{error}");
}

#[tokio::test]
async fn without_an_open_journal_there_is_no_timeline() {
    let system = ActorSystem::start("no-journal").await.unwrap();
    let error = system.timeline::<Account>("a").await.unwrap_err();
    assert!(matches!(error, TimelineError::NoJournal { .. }), "{error}");
    let journal = Journal::embedded("/nowhere");
    let error = journal.timeline::<Account>(system.env(), "a").await.unwrap_err();
    assert!(matches!(error, TimelineError::NoJournal { .. }), "{error}");
    system.shutdown().await;
}

#[tokio::test]
async fn in_front_of_an_event_that_cannot_be_applied_it_stops_with_a_whole_state() {
    let pen = Pen::with([1, 2, 13, 4].map(deposited));
    let mut past = pen.open().await.unwrap();
    let error = past.to_end().await.unwrap_err();
    let text = "`apply` panicked over event 3 of `account-42`, `account.deposited` version 1";
    assert!(error.to_string().starts_with(text), "{error}");
    assert_eq!(past.state(), &Balance { cents: 3, events: 2, note: String::new() });
    assert_eq!((past.sequence().get(), past.event()), (2, Some(&deposited(2))));
    assert!(!past.diff().is_empty());
    assert!(past.step_forward().await.is_err());
    assert_eq!(past.sequence().get(), 2);
    past.step_back().await.unwrap();
    assert_eq!(past.state().cents, 1);
}

#[tokio::test]
async fn in_front_of_an_event_that_cannot_be_read_it_stops() {
    let mut pen = Pen::with([1, 2].map(deposited));
    pen.write_raw(NewEvent::new("account.closed", vec![1, 2, 3]));
    let mut past = pen.open().await.unwrap();
    let error = past.to_end().await.unwrap_err();
    assert!(
        matches!(error, TimelineError::Undecodable { sequence, .. } if sequence == Sequence::new(3)),
        "{error}"
    );
    assert_eq!((past.sequence().get(), past.state().cents), (2, 3));
}

#[tokio::test]
async fn where_events_were_deleted_it_begins_with_a_snapshot_and_says_from_where_it_is_known() {
    let pen = Pen::with((1..=9).map(deposited));
    let state = |n: u64| Balance { cents: n * (n + 1) / 2, events: n, note: String::new() };
    for n in [3, 5, 7] {
        pen.snapshot(&state(n), n);
    }
    pen.delete_to(4);
    let error = pen.opening::<Account>().clones().await.unwrap_err();
    assert!(error.to_string().contains("no events before 5 any more"), "{error}");
    assert!(error.to_string().contains(".snapshots()"), "{error}");
    let mut past = pen.opening::<Account>().snapshots().await.unwrap();
    assert_eq!(past.origin(), Origin::Snapshot { sequence: Sequence::new(5), taken: at(5_010) });
    assert_eq!((past.sequence().get(), past.state()), (5, &state(5)));
    past.to_end().await.unwrap();
    assert_eq!(past.state(), &state(9));
    let error = past.rewind_to(4).await.unwrap_err();
    assert!(error.to_string().contains("known from event 5 on"), "{error}");
    let error = past.rewind_to(at(5_009)).await.unwrap_err();
    assert!(
        matches!(&error, TimelineError::BeforeFirst { known_from, .. } if *known_from == at(5_010)),
        "{error}"
    );
    past.rewind_to(at(5_010)).await.unwrap();
    assert_eq!(past.state(), &state(5));
    assert!(!past.step_back().await.unwrap());
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_gives_way_to_a_newer_one_and_else_is_named() {
    let pen = Pen::with((1..=9).map(deposited));
    pen.snapshot_of("balance", vec![1; 3], 5);
    pen.delete_to(5);
    let error = pen.opening::<Account>().snapshots().await.unwrap_err();
    assert!(error.to_string().contains("the one of event 5 cannot be read"), "{error}");
    let state = Balance { cents: 28, events: 7, note: String::new() };
    pen.snapshot(&state, 7);
    let past = pen.opening::<Account>().snapshots().await.unwrap();
    assert_eq!((past.sequence().get(), past.state()), (7, &state));
}

#[tokio::test]
async fn events_that_are_deleted_meanwhile_are_an_error() {
    let pen = Pen::with((1..=9).map(deposited));
    let mut past = pen.open().await.unwrap();
    past.rewind_to(2).await.unwrap();
    pen.delete_to(5);
    let error = past.to_end().await.unwrap_err();
    assert!(error.to_string().contains("the events 3 to 5 of `account-42` are missing"), "{error}");
    assert_eq!((past.sequence().get(), past.state().cents), (2, 3));
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_an_error_and_the_timeline_can_go_on_later() {
    let pen = Pen::with((1..=9).map(deposited));
    let mut past = pen.open().await.unwrap();
    past.rewind_to(4).await.unwrap();
    pen.controls.unreadable(true);
    let error = past.to_end().await.unwrap_err();
    assert!(matches!(error, TimelineError::Unread { .. }), "{error}");
    assert!(past.refresh().await.is_err());
    pen.controls.unreadable(false);
    past.to_end().await.unwrap();
    assert_eq!((past.sequence().get(), past.state().cents), (9, 45));
    assert!(!past.diff().is_empty());
}

/// A journal that may be read, and nothing else.
struct OnlyRead(Memory);

impl JournalBackend for OnlyRead {
    fn slices(&self) -> Slices {
        self.0.slices()
    }

    fn claim(&self, slice: Slice) -> BoxFuture<'static, Result<Epoch, WriteError>> {
        panic!("{slice} was claimed")
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, WriteError>> {
        panic!("something was appended: {append:?}")
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
        panic!("something was deleted: {delete:?}")
    }

    fn ids(&self, query: IdQuery) -> BoxFuture<'static, Result<Vec<PersistenceId>, ReadError>> {
        self.0.ids(query)
    }
}

#[tokio::test]
async fn it_claims_nothing_and_writes_nothing() {
    let mut pen = Pen::with((20..40).map(deposited));
    let journal = Journal::with(OnlyRead(pen.backend.clone()), pen.snapshots.clone());
    let opening = journal.timeline::<Account>(&Env::tokio().unwrap(), "account-42").snapshots();
    let mut past = opening.await.unwrap();
    past.to_end().await.unwrap();
    // Whoever owns the slice goes on writing.
    pen.write(&deposited(1), 99_000);
    assert_eq!(past.refresh().await.unwrap(), 1);
    past.to_end().await.unwrap();
    past.rewind_to(3).await.unwrap();
    past.causes().await.unwrap();
    past.replay_with(|event| event).await.unwrap();
    assert_eq!(pen.snapshots.sequences(&pen.id), []);
}

#[tokio::test]
async fn a_timeline_outlives_its_system_and_reads_what_is_in_the_files() {
    let folder = folder("closed");
    let system = ActorSystem::builder("closed").journal(Journal::embedded(&folder)).start().await.unwrap();
    let entity = system.spawn("a", Persistent::new(Account)).unwrap();
    for _ in 0..3 {
        entity.ask(Ask::Deposit).await.unwrap();
    }
    let mut past = system.timeline::<Account>("a").clones().await.unwrap();
    past.step_forward().await.unwrap();
    system.shutdown().await;
    past.to_end().await.unwrap();
    assert_eq!((past.sequence().get(), past.state().events), (3, 3));
    assert_eq!(past.refresh().await.unwrap(), 0);
    std::fs::remove_dir_all(folder).unwrap();
}

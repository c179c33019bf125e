//! Does a backend keep the contract of [`JournalBackend`]?
//!
//! [`check`] tries to break every point of it, on storage that the backend's own tests provide as a [`Storage`]; each function of
//! [`appends`], [`fencing`], [`reads`], [`deletions`], [`following`] and [`faults`] is one story and can be run on its own. A broken contract
//! is a panic that says which.
//!
//! ```
//! use std::sync::Arc;
//!
//! use futures_util::FutureExt;
//! use futures_util::future::BoxFuture;
//! use omnitron_persistence::backend::JournalBackend;
//! use omnitron_persistence::backend::memory::Memory;
//! use omnitron_persistence::conformance::{self, Storage};
//!
//! /// What outlives the journal: here the memory itself, elsewhere files or a server.
//! struct Lasting(Memory);
//!
//! impl Storage for Lasting {
//!     fn open(&mut self) -> BoxFuture<'_, Arc<dyn JournalBackend>> {
//!         let journal: Arc<dyn JournalBackend> = Arc::new(self.0.clone());
//!         std::future::ready(journal).boxed()
//!     }
//!
//!     fn close(&mut self) -> BoxFuture<'_, ()> {
//!         std::future::ready(()).boxed()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let skipped = conformance::check(|slices| Lasting(Memory::new(slices).0)).await;
//! assert_eq!(skipped.len(), 2, "this storage says of itself that it can neither crash nor fail");
//! # }
//! ```

pub mod appends;
pub mod deletions;
pub mod faults;
pub mod fencing;
pub mod following;
pub mod leases;
pub mod reads;
pub mod snapshots;

use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;

use crate::backend::{Append, Appended, JournalBackend, SliceQuery, WriteError};
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice, Slices};
use crate::recorded::{NewEvent, Recorded};

/// Where a journal lies during a check: it outlives the journal, as files do.
pub trait Storage: Send {
    /// Opens the journal. It is created by the first call.
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn JournalBackend>>;

    /// Closes the journal in good order.
    fn close(&mut self) -> BoxFuture<'_, ()>;

    /// Takes the journal's machine down with everything that is not durable. The next call is [`open`](Self::open). `false`: this storage cannot.
    fn crash(&mut self) -> bool {
        false
    }

    /// Lets the device fail while the next append is written. `false`: this storage cannot.
    fn fail_next_write(&mut self) -> bool {
        false
    }
}

/// Runs everything. `create` gives fresh storage for a journal of so many slices.
///
/// Returns the stories that were skipped, because the storage cannot crash or fail, or the backend keeps no leases.
pub async fn check<S: Storage>(create: impl Fn(Slices) -> S) -> Vec<&'static str> {
    appends::positions_have_no_gaps(&create).await;
    appends::what_was_appended_is_read_back_exactly(&create).await;
    appends::an_unexpected_sequence_is_refused(&create).await;
    appends::what_is_submitted_without_waiting_arrives_in_order(&create).await;
    appends::one_failure_fails_what_follows_and_nothing_else(&create).await;
    appends::an_empty_append_stores_nothing_and_checks(&create).await;
    appends::what_breaks_a_limit_is_refused(&create).await;
    appends::more_than_fits_is_refused_not_lost(&create).await;
    appends::a_dropped_future_takes_nothing_back(&create).await;
    fencing::each_claim_is_higher_and_fences_those_before(&create).await;
    fencing::epochs_outlive_a_restart(&create).await;
    fencing::of_two_owners_one_writes(&create).await;
    reads::a_range_has_both_its_ends(&create).await;
    reads::a_slice_is_read_in_order_and_by_tag(&create).await;
    reads::several_slices_are_read_at_once(&create).await;
    reads::a_long_history_comes_whole_and_in_order(&create).await;
    reads::ids_are_listed_in_pages(&create).await;
    deletions::what_is_deleted_is_gone_and_its_sequences_stay_used(&create).await;
    deletions::deleting_beyond_the_end_deletes_all_there_is(&create).await;
    following::it_has_an_identity_that_stays(&create).await;
    following::slices_end_at_their_last_event(&create).await;
    following::whoever_follows_learns_of_what_is_new(&create).await;
    faults::everything_outlives_a_restart(&create).await;
    let mut skipped = Vec::new();
    if !faults::a_crash_loses_nothing_acknowledged(&create).await {
        skipped.push("a crash loses nothing acknowledged");
    }
    if !faults::a_failing_device_is_answered_honestly(&create).await {
        skipped.push("a failing device is answered honestly");
    }
    if !leases::epochs_of_leases_outlive_everything(&create).await {
        skipped.push("epochs of leases outlive everything");
    }
    skipped
}

/// A journal under check, and what the stories do to it.
pub(crate) struct Subject {
    pub(crate) journal: Arc<dyn JournalBackend>,
}

impl Subject {
    pub(crate) async fn open(storage: &mut impl Storage) -> Self {
        Self { journal: storage.open().await }
    }

    pub(crate) fn slice(&self, id: &PersistenceId) -> Slice {
        id.slice(self.journal.slices())
    }

    pub(crate) async fn claim(&self, id: &PersistenceId) -> Epoch {
        self.journal.claim(self.slice(id)).await.expect("a claim on a healthy journal succeeds")
    }

    pub(crate) fn append(
        &self,
        epoch: Epoch,
        id: &PersistenceId,
        expected: u64,
        events: Vec<NewEvent>,
    ) -> BoxFuture<'static, Result<Appended, WriteError>> {
        let (slice, id, expected) = (self.slice(id), id.clone(), Sequence::new(expected));
        self.journal.append(Append { slice, epoch, id, expected, events })
    }

    /// Appends one event for each of the payloads.
    pub(crate) async fn fill(
        &self,
        epoch: Epoch,
        id: &PersistenceId,
        payloads: impl IntoIterator<Item = u64>,
    ) {
        let mut last = self.highest(id).await;
        for payload in payloads {
            let appended = self.append(epoch, id, last, vec![event(payload)]).await;
            last = appended.expect("an append on a healthy journal succeeds").sequence.get();
        }
    }

    pub(crate) async fn events(&self, id: &PersistenceId) -> Vec<Recorded> {
        self.range(id, 0, u64::MAX).await
    }

    pub(crate) async fn range(&self, id: &PersistenceId, from: u64, to: u64) -> Vec<Recorded> {
        let events = self.journal.read(id, Sequence::new(from), Sequence::new(to));
        events.try_collect().await.expect("a healthy journal can be read")
    }

    pub(crate) async fn slice_events(
        &self,
        slice: Slice,
        tag: Option<&str>,
        after: Ordinal,
    ) -> Vec<Recorded> {
        let query = SliceQuery { slice, tag: tag.map(str::to_owned), after };
        self.journal.read_slice(query).try_collect().await.expect("a healthy journal can be read")
    }

    pub(crate) async fn highest(&self, id: &PersistenceId) -> u64 {
        self.journal.highest(id).await.expect("a healthy journal can be read").get()
    }

    /// That `id` has exactly events with these payloads, numbered from `first` on.
    pub(crate) async fn expect(&self, id: &PersistenceId, first: u64, payloads: &[u64]) {
        let events = self.events(id).await;
        let expected: Vec<(u64, NewEvent)> = (first..).zip(payloads.iter().copied().map(event)).collect();
        let found: Vec<(u64, NewEvent)> =
            events.into_iter().map(|event| (event.sequence.get(), event.event)).collect();
        assert_eq!(found, expected, "the events of `{id}`");
    }
}

/// An event that says which it is.
pub(crate) fn event(number: u64) -> NewEvent {
    let mut event = NewEvent::new("conformance.event", number.to_le_bytes().to_vec());
    event.timestamp_ms = number;
    event
}

pub(crate) fn id(text: &str) -> PersistenceId {
    PersistenceId::new(text).expect("the ids of the suite are valid")
}

pub(crate) fn slices(count: u32) -> Slices {
    Slices::new(count).expect("the numbers of slices of the suite are valid")
}

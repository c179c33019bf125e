//! What must a journal be able to do, and what may those who use it rely on?
//!
//! [`JournalBackend`] is the contract, [`conformance`](crate::conformance) its test. [`memory`] is for
//! tests, [`log`] keeps events in files, and `postgres` (a feature) on servers. [`tail`] is how a backend tells its readers of what is new.

mod error;

pub mod log;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use omnitron_runtime::LeaseStore;

use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice, Slices};
use crate::recorded::{NewEvent, Recorded};
use tail::Tail;

pub use crate::id::{MAX_ID_BYTES, MAX_SLICES};
pub use crate::recorded::{MAX_LABEL_BYTES, MAX_METADATA_BYTES, MAX_PAYLOAD_BYTES, MAX_TAGS};
pub use error::{Fault, ReadError, WriteError};

/// The most events of one [`Append`].
pub const MAX_APPEND_EVENTS: usize = 10_000;
/// The most bytes of one [`Append`], as [`Append::size_bytes`] counts them: 32 MiB.
pub const MAX_APPEND_BYTES: usize = 32 << 20;

/// Events to be appended to one id, all of them or none.
#[derive(Clone, Debug)]
pub struct Append {
    /// The slice of `id`.
    pub slice: Slice,
    /// The epoch which the caller claimed for the slice.
    pub epoch: Epoch,
    /// Whose events they are.
    pub id: PersistenceId,
    /// The sequence of the event before these: [`Sequence::ZERO`] for the first ones of an id.
    pub expected: Sequence,
    /// The events, in order. None at all checks epoch and sequence, and that everything before is durable.
    pub events: Vec<NewEvent>,
}

impl Append {
    /// About how much room it takes: payloads, metadata, labels and 128 bytes per event.
    pub fn size_bytes(&self) -> usize {
        let event = |event: &NewEvent| {
            let tags: usize = event.tags.iter().map(|tag| tag.len() + 2).sum();
            128 + self.id.as_str().len()
                + event.name.len()
                + tags
                + event.payload.len()
                + event.metadata.len()
        };
        self.events.iter().map(event).sum()
    }

    /// # Errors
    ///
    /// [`WriteError::TooLarge`] or [`WriteError::WrongSlice`] when no journal of `slices` slices would take it.
    pub(crate) fn check(&self, slices: Slices) -> Result<(), WriteError> {
        self.check_of(slices, self.size_bytes())
    }

    /// As [`check`](Self::check), of an append that has so many bytes.
    pub(crate) fn check_of(&self, slices: Slices, bytes: usize) -> Result<(), WriteError> {
        check_slice(&self.id, self.slice, slices)?;
        let all = [
            ("the number of events of an append", self.events.len(), MAX_APPEND_EVENTS),
            ("an append", bytes, MAX_APPEND_BYTES),
        ];
        let whole = all.into_iter().find(|(_, size, limit)| size > limit);
        match self.events.iter().find_map(NewEvent::excess).or(whole) {
            Some((what, size, limit)) => Err(WriteError::TooLarge { what, size, limit }),
            None => Ok(()),
        }
    }
}

/// # Errors
///
/// [`WriteError::WrongSlice`] when `id` does not lie in `slice`.
pub(crate) fn check_slice(id: &PersistenceId, slice: Slice, slices: Slices) -> Result<(), WriteError> {
    let actual = id.slice(slices);
    if actual == slice {
        return Ok(());
    }
    Err(WriteError::WrongSlice { id: id.clone(), given: slice, actual })
}

/// Where an append ended up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    /// The sequence of its last event; of an empty append, the one it expected.
    pub sequence: Sequence,
    /// The ordinal of its last event; of an empty append, the last one of the slice.
    pub ordinal: Ordinal,
}

/// Events of one id that nobody needs any more.
#[derive(Clone, Debug)]
pub struct Delete {
    /// The slice of `id`.
    pub slice: Slice,
    /// The epoch which the caller claimed for the slice.
    pub epoch: Epoch,
    /// Whose events they are.
    pub id: PersistenceId,
    /// The last one to go. What lies behind the last event there is counts as the last event.
    pub to: Sequence,
}

/// Which events of a slice to read.
#[derive(Clone, Debug)]
pub struct SliceQuery {
    /// The slice.
    pub slice: Slice,
    /// Those with this tag only.
    pub tag: Option<String>,
    /// Those behind this ordinal only.
    pub after: Ordinal,
}

/// Which events of several slices to read.
#[derive(Clone, Debug)]
pub struct SlicesQuery {
    /// The slices, and behind which ordinal of each.
    pub after: BTreeMap<Slice, Ordinal>,
    /// Those with this tag only.
    pub tag: Option<String>,
}

/// A page of ids.
#[derive(Clone, Debug)]
pub struct IdQuery {
    /// Those that start with this. Empty: all.
    pub prefix: String,
    /// Those that come behind this one, in the order of their bytes.
    pub after: Option<PersistenceId>,
    /// The most ids to return.
    pub limit: usize,
}

/// Keeps the events of persistent things, in order and for good.
///
/// # Contract
///
/// 1. **Atomic**: an append stores all of its events or none.
/// 2. **Durable**: what was answered with `Ok` survives a crash of the process and of the machine. Nothing is read that is not
///    durable.
///    What was answered with an error is not in the journal and never will be, unless that error is
///    [`Unknown`](WriteError::Unknown): then it is there already, or never will be, for as long as this journal is open. A backend whose storage may still carry it out
///    later must wait, or fence it off, before it answers.
/// 3. **Submitted in the order of the calls**: the call itself hands the operation over; the future only waits. A caller need
///    not await one append before it calls the next. A future that is dropped takes nothing back.
/// 4. **One failure fails what follows**: an append expects the last sequence of its id, so those submitted behind one that
///    failed, in the belief that it would succeed, are refused.
/// 5. **Fenced**: a claim gives an epoch higher than any before. From then on what carries a lower epoch of that slice is refused,
///    even if it was submitted before and waits.
/// 6. **Ordered**: sequences of an id have no gaps. Ordinals of a slice rise in the order in which its appends were submitted, and a
///    reader of the slice never finds one that is lower than one it could have read before.
/// 7. **Nothing corrupt is returned**: what was damaged is an error that says where.
/// 8. **Bounded**: what waits is bounded, and what finds no room is refused with [`WriteError::Full`]. A stream holds
///    a bounded number of events, however long it is.
///
/// [`conformance`](crate::conformance) tries to break all of this; run it in the tests of a backend.
pub trait JournalBackend: Send + Sync + 'static {
    /// How many slices the journal has. It never changes.
    fn slices(&self) -> Slices;

    /// A random number that tells this journal from all others, and outlives a restart: an [`Offset`](crate::Offset) holds it. It never changes. Unless the
    /// backend knows better, 0: then an offset of another journal is not noticed.
    fn identity(&self) -> u64 {
        0
    }

    /// Whether the ordinals of a slice are 1, 2, 3 and so on, so that one that is missing was deleted. Unless the backend knows better, no: then those who read
    /// slices cannot tell what was deleted from what never was.
    fn is_gapless(&self) -> bool {
        false
    }

    /// Whether another process may write to it while this one does. Then an actor asks once in 10 s, before it answers a command that persists nothing, whether it is
    /// still the owner of its slice: it may have been paused for long, and replaced. Default: yes. One that is locked for as long as it is open says no.
    fn is_shared(&self) -> bool {
        true
    }

    /// Where those who follow the journal learn of what is new. Unless the backend has one, they look again every
    /// 50 ms.
    fn tail(&self) -> Option<&Tail> {
        None
    }

    /// The last ordinal of each slice that has one, also where its event was deleted. Unless the backend knows better, nothing: then it is not
    /// noticed when somebody has read further than the journal reaches.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn ends(&self) -> BoxFuture<'static, Result<BTreeMap<Slice, Ordinal>, ReadError>> {
        std::future::ready(Ok(BTreeMap::new())).boxed()
    }

    /// Takes over a slice: the answer is an epoch of its own, durable, and fences all lower ones.
    ///
    /// # Errors
    ///
    /// [`WriteError::Full`], [`WriteError::Unavailable`]: nothing happened. [`WriteError::Unknown`]: the slice **may** have a new epoch.
    /// [`WriteError::NoSuchSlice`].
    fn claim(&self, slice: Slice) -> BoxFuture<'static, Result<Epoch, WriteError>>;

    /// Appends events to an id.
    ///
    /// # Errors
    ///
    /// In all cases but [`WriteError::Unknown`] nothing was appended.
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, WriteError>>;

    /// The events of `id` from `from` to `to`, both included, that were durable when they were looked for. Those deleted are not
    /// among them: a history whose beginning was deleted starts later.
    ///
    /// # Errors
    ///
    /// The stream ends with the first [`ReadError`].
    fn read(
        &self,
        id: &PersistenceId,
        from: Sequence,
        to: Sequence,
    ) -> BoxStream<'static, Result<Recorded, ReadError>>;

    /// The events of a slice in the order of their ordinals, up to the last one that is durable. An event that was
    /// deleted **may** still be among them, until its space is given back.
    ///
    /// # Errors
    ///
    /// The stream ends with the first [`ReadError`].
    fn read_slice(&self, query: SliceQuery) -> BoxStream<'static, Result<Recorded, ReadError>>;

    /// The events of several slices, each in the order of its ordinals, up to the last one that is durable; how they are mixed is not
    /// said. For those who read everything: a log is read once from one end to the other, and not once for each slice.
    ///
    /// Unless the backend knows better, one slice is read after the other.
    ///
    /// # Errors
    ///
    /// The stream ends with the first [`ReadError`].
    fn read_slices(&self, query: SlicesQuery) -> BoxStream<'static, Result<Recorded, ReadError>> {
        let SlicesQuery { after, tag } = query;
        let query = |(slice, after)| SliceQuery { slice, tag: tag.clone(), after };
        let slices: Vec<_> = after.into_iter().map(|from| self.read_slice(query(from))).collect();
        let mut failed = false;
        let all = stream::iter(slices).flatten();
        // The first error is the last thing that comes.
        all.take_while(move |event| {
            let go_on = !failed;
            failed = event.is_err();
            std::future::ready(go_on)
        })
        .boxed()
    }

    /// The sequence of the last durable event of `id`, also when it was deleted; [`Sequence::ZERO`] when there never was one.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn highest(&self, id: &PersistenceId) -> BoxFuture<'static, Result<Sequence, ReadError>>;

    /// Deletes the events of an id up to a sequence. Sequences are not used again.
    ///
    /// # Errors
    ///
    /// In all cases but [`WriteError::Unknown`] nothing was deleted.
    fn delete_to(&self, delete: Delete) -> BoxFuture<'static, Result<(), WriteError>>;

    /// Takes the bytes of what is deleted out of where they lie, as far as that is in the hands of the backend. Default: it does nothing.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: some may be left.
    fn erase(&self) -> BoxFuture<'static, Result<(), ReadError>> {
        std::future::ready(Ok(())).boxed()
    }

    /// Where leases are kept, if this backend keeps any. Default: none.
    fn leases(&self) -> Option<Arc<dyn LeaseStore>> {
        None
    }

    /// Every id that ever had a durable event, deleted or not, in the order of their bytes, a page at a time.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    fn ids(&self, query: IdQuery) -> BoxFuture<'static, Result<Vec<PersistenceId>, ReadError>>;
}

//! How is an id deleted for good, and what goes because it is old?
//!
//! An id that is forgotten gets one more event, the *mark*, named [`MARK`]: from then on it has no state, whatever still lies in files, and read models learn
//! of it in the order of all events. Then the events before the mark and all snapshots go. The mark stays: an id is not used up, and what comes behind it is a new
//! history, whose sequences go on.
//!
//! # Invariants
//!
//! * What a mark has ended never comes back: a recovery begins anew there.
//! * The mark is durable before anything goes, and nothing goes that a registered reader has not passed.
//! * Behind a crash, the same call again does what is left to do.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{StreamExt, TryStreamExt};
use omnitron_runtime::Env;

use crate::backend::{Append, Delete, IdQuery, ReadError, WriteError};
use crate::id::{Ordinal, PersistenceId, Sequence, Slice};
use crate::journal::{Journal, Open};
use crate::post;
use crate::recorded::{NewEvent, Recorded};
use crate::retention::Snapshots;
use crate::timestamp::{millis, whole_millis};

/// The name of the mark. No event of a program has it.
pub(crate) const MARK: &str = "omnitron.forgotten";
/// How long one who writes the id, and readers that are behind, are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked whether the readers have gone on.
const LOOK: Duration = Duration::from_millis(20);
/// How many ids are listed at a time.
const PAGE: usize = 256;

/// Whether it is the mark of an id that was forgotten.
pub(crate) fn is_mark(recorded: &Recorded) -> bool {
    recorded.event.name == MARK
}

/// What was done for one id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Forgotten {
    /// There was something, and it is gone.
    Gone,
    /// There never was an event of it, or it was forgotten before. Snapshots that may have been left are gone.
    NothingThere,
}

/// What a sweep over many ids has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Swept {
    /// Ids that were looked at.
    pub ids: u64,
    /// Ids that were forgotten, or lost events.
    pub changed: u64,
    /// Ids that were left alone because they were in use all the time, or a reader was behind. The next sweep comes to them again.
    pub left: u64,
}

/// Why an id was not forgotten, or not wholly: the same call again goes on where this one ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// The journal is not open.
    #[error("the journal is not open: start the system that it belongs to")]
    NotOpen,
    /// An actor of this process writes it.
    #[error("`{id}` is in use: stop its actor first, or let its gateway passivate it, then try again")]
    InUse {
        /// Whose events they are.
        id: PersistenceId,
    },
    /// Some reader would miss events.
    #[error(
        "`{id}` has no state any more, and its events are still kept for a reader that is behind, at {at} of {slice}: let the projection \
         or outbox catch up, or stop the projection, then call this again"
    )]
    ReaderBehind {
        /// Whose events they are.
        id: PersistenceId,
        /// Where the reader reads.
        slice: Slice,
        /// How far the slowest reader is.
        at: Ordinal,
    },
    /// The journal could not be written.
    #[error("`{id}` cannot be forgotten now")]
    Write {
        /// Whose events they are.
        id: PersistenceId,
        /// Why.
        #[source]
        reason: WriteError,
    },
    /// The journal could not be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
}

impl ForgetError {
    /// Whether another id is not concerned.
    fn concerns_one(&self) -> bool {
        matches!(self, Self::InUse { .. } | Self::ReaderBehind { .. })
    }
}

impl Journal {
    /// Forgets an id for good: its state, its events, its snapshots. Read models are told by [`Batch::forgotten`](crate::projection::Batch::forgotten).
    ///
    /// The id is waited for until no actor of this process writes it, and so are projections that are behind: 10 s each. Its bytes leave the files
    /// when their space is given back, or at once with [`erase`](Self::erase). The id itself stays in the journal, with the number of its last event. Somebody
    /// who uses it again begins without a state.
    ///
    /// # Errors
    ///
    /// [`ForgetError`]. Call it again: it goes on where it ended.
    ///
    /// # Cancel safety
    ///
    /// As an error: what was done stays done.
    pub async fn forget(&self, env: &Env, id: &PersistenceId) -> Result<Forgotten, ForgetError> {
        self.forget_within(env, id, PATIENCE).await
    }

    async fn forget_within(
        &self,
        env: &Env,
        id: &PersistenceId,
        patience: Duration,
    ) -> Result<Forgotten, ForgetError> {
        let open = self.get().ok_or(ForgetError::NotOpen)?;
        let write = |reason| ForgetError::Write { id: id.clone(), reason };
        let _place = match select(pin!(self.place(id)), env.sleep(patience)).await {
            Either::Left((place, _)) => place,
            Either::Right(_) => return Err(ForgetError::InUse { id: id.clone() }),
        };
        let slice = id.slice(open.backend.slices());
        let epoch = self.epoch(open, slice).await.map_err(write)?;
        let highest = open.backend.highest(id).await?;
        if highest == Sequence::ZERO {
            open.snapshots.delete_to(id, Sequence::MAX).await.map_err(write)?;
            return Ok(Forgotten::NothingThere);
        }
        let mark = last_event(open, id, highest).await?.filter(is_mark);
        let before = mark.is_some();
        let (mark, ordinal) = if let Some(mark) = mark {
            (mark.sequence, mark.ordinal)
        } else {
            let mut event = NewEvent::new(MARK, Vec::new());
            event.timestamp_ms = millis(env.wall());
            let append = Append { slice, epoch, id: id.clone(), expected: highest, events: vec![event] };
            let appended = open.backend.append(append).await.map_err(write)?;
            (appended.sequence, appended.ordinal)
        };
        open.snapshots.delete_to(id, Sequence::MAX).await.map_err(write)?;
        let has_posts = has_posts(open, id).await?;
        self.readers_pass(env, patience, id, (slice, ordinal), has_posts).await?;
        let to = Sequence::new(mark.get() - 1);
        open.backend.delete_to(Delete { slice, epoch, id: id.clone(), to }).await.map_err(write)?;
        Ok(if before { Forgotten::NothingThere } else { Forgotten::Gone })
    }

    /// Forgets each id that begins with `prefix` and whose last event is older than `age`. One that is in use is left alone, for the next time.
    ///
    /// # Errors
    ///
    /// [`ForgetError`], of the first id that failed otherwise.
    pub async fn forget_unused(&self, env: &Env, prefix: &str, age: Duration) -> Result<Swept, ForgetError> {
        let before = millis(env.wall()).saturating_sub(whole_millis(age));
        self.sweep(prefix, async |open, id| {
            let highest = open.backend.highest(id).await?;
            let last = last_event(open, id, highest).await?;
            if last.is_none_or(|last| is_mark(&last) || last.event.timestamp_ms >= before) {
                return Ok(false);
            }
            self.forget_within(env, id, Duration::ZERO).await.map(|_| true)
        })
        .await
    }

    /// Deletes the events of each id that begins with `prefix` which are older than `age` and lie behind the oldest snapshot that is kept: no state is
    /// lost. None that a registered [reader](Self::reader) has not passed goes.
    ///
    /// # Errors
    ///
    /// [`ForgetError`], of the first id that failed.
    pub async fn delete_older(&self, env: &Env, prefix: &str, age: Duration) -> Result<Swept, ForgetError> {
        let before = millis(env.wall()).saturating_sub(whole_millis(age));
        self.sweep(prefix, async |open, id| {
            let Some(kept) = oldest_snapshot(open, id).await? else { return Ok(false) };
            let slice = id.slice(open.backend.slices());
            let mut to = None;
            let mut events = open.backend.read(id, Sequence::ZERO, kept);
            while let Some(recorded) = events.try_next().await? {
                let readers = self.slowest_reader(slice, recorded.event.name == post::POSTED);
                let passed = readers.is_none_or(|readers| recorded.ordinal <= readers);
                if recorded.event.timestamp_ms >= before || !passed {
                    break;
                }
                to = Some(recorded.sequence);
            }
            let Some(to) = to else { return Ok(false) };
            let write = |reason| ForgetError::Write { id: id.clone(), reason };
            let epoch = self.epoch(open, slice).await.map_err(write)?;
            open.backend.delete_to(Delete { slice, epoch, id: id.clone(), to }).await.map_err(write)?;
            Ok(true)
        })
        .await
    }

    /// Takes the bytes of everything that is deleted out of the files, at the price of writing anew what lies beside it. Without this it happens when enough
    /// is deleted to be worth it.
    ///
    /// # Errors
    ///
    /// [`ForgetError`]: some may be left. Call it again.
    pub async fn erase(&self) -> Result<(), ForgetError> {
        let open = self.get().ok_or(ForgetError::NotOpen)?;
        Ok(open.backend.erase().await?)
    }

    /// Does `act` to every id, and counts.
    async fn sweep(
        &self,
        prefix: &str,
        act: impl AsyncFn(&Open, &PersistenceId) -> Result<bool, ForgetError>,
    ) -> Result<Swept, ForgetError> {
        let open = self.get().ok_or(ForgetError::NotOpen)?;
        let (mut swept, mut after) = (Swept::default(), None);
        loop {
            let query = IdQuery { prefix: prefix.to_owned(), after: after.take(), limit: PAGE };
            let page = open.backend.ids(query).await?;
            for id in &page {
                swept.ids += 1;
                match act(open, id).await {
                    Ok(changed) => swept.changed += u64::from(changed),
                    Err(error) if error.concerns_one() => swept.left += 1,
                    Err(error) => return Err(error),
                }
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => return Ok(swept),
            }
        }
    }

    /// Waits until every reader has passed a place.
    async fn readers_pass(
        &self,
        env: &Env,
        patience: Duration,
        id: &PersistenceId,
        (slice, ordinal): (Slice, Ordinal),
        has_posts: bool,
    ) -> Result<(), ForgetError> {
        let until = env.now() + patience;
        while let Some(at) = self.slowest_reader(slice, has_posts).filter(|at| *at < ordinal) {
            if env.now() >= until {
                return Err(ForgetError::ReaderBehind { id: id.clone(), slice, at });
            }
            env.sleep(LOOK).await;
        }
        Ok(())
    }
}

async fn last_event(
    open: &Open,
    id: &PersistenceId,
    highest: Sequence,
) -> Result<Option<Recorded>, ReadError> {
    open.backend.read(id, highest, highest).next().await.transpose()
}

/// Whether it has posted something, which may still be on its way.
async fn has_posts(open: &Open, id: &PersistenceId) -> Result<bool, ReadError> {
    let mut events = open.backend.read(id, Sequence::ZERO, Sequence::MAX);
    while let Some(recorded) = events.try_next().await? {
        if recorded.event.name == post::POSTED {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The sequence of the oldest snapshot that is kept.
async fn oldest_snapshot(open: &Open, id: &PersistenceId) -> Result<Option<Sequence>, ReadError> {
    let (mut oldest, mut to) = (None, Sequence::MAX);
    for _ in 0..Snapshots::MAX_KEPT {
        let Some(snapshot) = open.snapshots.load(id, to).await?.snapshot else { break };
        oldest = Some(snapshot.sequence);
        to = Sequence::new(snapshot.sequence.get().saturating_sub(1));
    }
    Ok(oldest)
}

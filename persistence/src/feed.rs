//! How does somebody read everything that a journal holds, and then what it gets, without end?
//!
//! The driver of `join`: an [`EventFeed`] reads the journal from an offset on, and then follows its [tail](crate::backend::tail). One that is too slow for the
//! tail reads the journal again, so it holds a bounded number of events however far behind it is.
//!
//! # Invariants
//!
//! * Per slice, every event behind the offset comes once, in the order of ordinals; how slices are mixed is not said.
//! * Events that it has not [passed](EventFeed::passed) are not deleted by snapshots while it lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use omnitron_runtime::Env;

use crate::backend::tail::{Follower, Found};
use crate::backend::{JournalBackend, ReadError, SlicesQuery};
use crate::id::{Ordinal, Slice};
use crate::join::{Join, Phase, Verdict};
use crate::journal::{Journal, Reader};
use crate::offset::{Offset, Position};
use crate::recorded::Recorded;

/// How long one waits who is told of nothing, before he looks again.
const POLL: Duration = Duration::from_millis(50);

/// What a feed reads.
#[derive(Clone, Debug, Default)]
#[must_use = "it says what to read, and reads nothing"]
pub struct Follow {
    after: Option<Offset>,
    slices: Option<BTreeSet<Slice>>,
    despite_deletions: bool,
}

impl Follow {
    /// Everything, from the beginning.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only what comes behind `offset`. Default: everything.
    pub fn after(mut self, offset: Offset) -> Self {
        self.after = Some(offset);
        self
    }

    /// Only these slices. Default: all.
    pub fn slices(mut self, slices: impl IntoIterator<Item = Slice>) -> Self {
        self.slices = Some(slices.into_iter().collect());
        self
    }

    /// Passes over events that were deleted before they were read. Default: they are an error, [`FeedError::Deleted`].
    pub fn despite_deletions(mut self) -> Self {
        self.despite_deletions = true;
        self
    }
}

/// Why there are no events.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The journal has to be open first: start its system.
    #[error("the journal is not open: start the system it belongs to, or open it")]
    NotOpen,
    /// The offset says nothing about this journal.
    #[error(
        "the offset is of journal {given:016x} and this is journal {actual:016x}: open the journal that the read model was made of, or build the read model anew"
    )]
    OtherJournal {
        /// The journal of the offset.
        given: u64,
        /// The one to be read.
        actual: u64,
    },
    /// The journal has fewer slices.
    #[error("there is no {slice}: the journal has {slices}, counted from 0")]
    NoSuchSlice {
        /// The slice.
        slice: Slice,
        /// How many there are.
        slices: u32,
    },
    /// More was read than there is: the journal is an older copy.
    #[error(
        "{slice} was read up to {read}, and the journal ends at {end}: the journal is older than the read model; build the read model anew"
    )]
    Ahead {
        /// The slice.
        slice: Slice,
        /// Up to where the offset says that it was read.
        read: Ordinal,
        /// Where it ends.
        end: Ordinal,
    },
    /// Events were deleted before they were read.
    #[error(
        "events of {slice} behind {after} were deleted before they were read: restore the read model from a newer copy, or read what is left with `despite_deletions`"
    )]
    Deleted {
        /// The slice.
        slice: Slice,
        /// Up to where it was read.
        after: Ordinal,
    },
    /// The journal could not be read. The next call tries again.
    #[error("the journal cannot be read on")]
    Read(#[source] ReadError),
}

impl FeedError {
    /// Whether trying again may succeed.
    pub fn passes(&self) -> bool {
        matches!(self, Self::NotOpen | Self::Read(ReadError::Unavailable(_)))
    }
}

/// The events of a journal, and then those that come. Made by [`Journal::follow`].
#[must_use = "it reads nothing until `next` is awaited"]
pub struct EventFeed {
    backend: Arc<dyn JournalBackend>,
    env: Env,
    reader: Arc<Reader>,
    join: Join,
    source: Source,
    /// Where slices ended when the feed was made, until the journal was read that far.
    ends: BTreeMap<Slice, Ordinal>,
    /// Whether no events are given out once when it has become live.
    pub(crate) tells_live: bool,
}

#[derive(Default)]
struct Source {
    follower: Option<Follower>,
    stream: Option<BoxStream<'static, Result<Recorded, ReadError>>>,
    /// Events of the tail that were taken from there and not looked at yet, the last one first.
    taken: Vec<Recorded>,
}

impl Journal {
    /// Reads events as `follow` says, and then those that come.
    ///
    /// The feed is a registered [reader](Self::reader): events behind `follow`'s offset stay until it has [passed](EventFeed::passed) them.
    ///
    /// # Errors
    ///
    /// [`FeedError`]: all but [`Read`](FeedError::Read) and [`NotOpen`](FeedError::NotOpen) come again on each attempt.
    pub async fn follow(&self, env: &Env, follow: Follow) -> Result<EventFeed, FeedError> {
        self.follow_as(env, follow, None).await
    }

    /// [`follow`](Self::follow), for one who is registered already.
    pub(crate) async fn follow_as(
        &self,
        env: &Env,
        follow: Follow,
        reader: Option<&Arc<Reader>>,
    ) -> Result<EventFeed, FeedError> {
        let backend = Arc::clone(&self.get().ok_or(FeedError::NotOpen)?.backend);
        let (given, actual) = (follow.after.as_ref().map(Offset::journal), backend.identity());
        let slices = backend.slices();
        if let Some(given) = given.filter(|given| *given != actual) {
            return Err(FeedError::OtherJournal { given, actual });
        }
        let from = follow.after.unwrap_or_else(|| Offset::start(actual));
        let wanted: BTreeSet<Slice> = follow.slices.unwrap_or_else(|| slices.iter().collect());
        let named = wanted.iter().copied().chain(from.iter().map(|(slice, _)| slice));
        if let Some(slice) = named.into_iter().find(|slice| slice.get() >= slices.get()) {
            return Err(FeedError::NoSuchSlice { slice, slices: slices.get() });
        }
        // First this: what is there now stays.
        let reader = reader.map_or_else(|| Arc::new(self.reader_of(&wanted, &from)), Arc::clone);
        let ends = backend.ends().await.map_err(FeedError::Read)?;
        for slice in wanted.iter().filter(|_| !ends.is_empty()) {
            let (read, end) = (from.of(*slice), ends.get(slice).copied().unwrap_or_default());
            if read > end {
                return Err(FeedError::Ahead { slice: *slice, read, end });
            }
        }
        let join = Join::new(wanted, &from, backend.is_gapless(), follow.despite_deletions);
        Ok(EventFeed {
            backend,
            env: env.clone(),
            reader,
            join,
            source: Source::default(),
            ends,
            tells_live: false,
        })
    }

    /// An offset before the first event; `None`: the journal is not open.
    pub fn start(&self) -> Option<Offset> {
        Some(Offset::start(self.get()?.backend.identity()))
    }

    /// The slices of this journal, divided into `parts` of about the same size (0 counts as 1); `None`: it is not open.
    pub fn parts(&self, parts: usize) -> Option<Vec<Vec<Slice>>> {
        let slices: Vec<Slice> = self.get()?.backend.slices().iter().collect();
        let parts = parts.clamp(1, slices.len());
        let edge = |part: usize| part * slices.len() / parts;
        Some((0..parts).map(|part| slices[edge(part)..edge(part + 1)].to_vec()).collect())
    }

    /// Where each slice of an open journal ends.
    ///
    /// # Errors
    ///
    /// [`FeedError::NotOpen`], [`FeedError::Read`].
    pub async fn end(&self) -> Result<Offset, FeedError> {
        let backend = &self.get().ok_or(FeedError::NotOpen)?.backend;
        let mut offset = Offset::start(backend.identity());
        let ends = backend.ends().await.map_err(FeedError::Read)?;
        for (slice, end) in ends {
            offset.advance(slice, end);
        }
        Ok(offset)
    }
}

impl EventFeed {
    /// The next events, at least one and at most `most` (0 counts as 1). Waits while there are none.
    ///
    /// # Errors
    ///
    /// [`FeedError`]: no event was lost, and the next call goes on where the feed is.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has taken nothing.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Recorded>, FeedError> {
        let most = most.max(1);
        let mut events = Vec::new();
        loop {
            match self.join.phase() {
                Phase::Behind => self.open(),
                Phase::Reading => self.read(most, &mut events).await?,
                Phase::Live => self.take(most, &mut events)?,
            }
            if !events.is_empty() {
                return Ok(events);
            }
            if self.join.phase() == Phase::Live {
                if std::mem::take(&mut self.tells_live) {
                    return Ok(events);
                }
                self.wait().await;
            }
        }
    }

    /// How far everything was given out.
    pub fn offset(&self) -> Offset {
        let mut offset = Offset::start(self.backend.identity());
        self.join.at().for_each(|(slice, ordinal)| offset.advance(slice, ordinal));
        offset
    }

    /// Whether the event at `position` was given out, or is of a slice that is not read.
    pub fn is_behind(&self, position: Position) -> bool {
        let at = self.join.at().find(|(slice, _)| *slice == position.slice);
        at.is_none_or(|(_, at)| at >= position.ordinal)
    }

    /// Whether it has read the journal to its end, and follows its tail.
    pub fn is_live(&self) -> bool {
        self.join.phase() == Phase::Live
    }

    /// Everything up to `offset` is not needed any more, also after a crash.
    pub fn passed(&self, offset: &Offset) {
        offset.iter().for_each(|(slice, ordinal)| self.reader.passed(slice, ordinal));
    }

    /// For one who lets another one read, and knows himself what is not needed any more.
    pub(crate) fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    /// Follows the tail from here on, then opens the journal.
    fn open(&mut self) {
        let Source { follower, stream, taken } = &mut self.source;
        taken.clear();
        match follower {
            Some(follower) => follower.go_to_end(),
            None => *follower = self.backend.tail().map(crate::backend::tail::Tail::follow),
        }
        let after = self.join.at().collect();
        *stream = Some(self.backend.read_slices(SlicesQuery { after, tag: None }));
        self.join.opened();
    }

    /// Reads what the journal has. Waits for the first event only, so that nothing is in hand when the future is dropped.
    async fn read(&mut self, most: usize, events: &mut Vec<Recorded>) -> Result<(), FeedError> {
        let Some(stream) = &mut self.source.stream else {
            self.join.lost();
            return Ok(());
        };
        while events.len() < most {
            let next = if events.is_empty() {
                stream.next().await
            } else {
                let Some(next) = stream.next().now_or_never() else { return Ok(()) };
                next
            };
            match next {
                Some(Ok(event)) => match self.join.offer(event.slice, event.ordinal) {
                    Verdict::Take => events.push(event),
                    Verdict::Drop | Verdict::Missing => {}
                    Verdict::Deleted { after } => {
                        let slice = event.slice;
                        return self.failed(FeedError::Deleted { slice, after }, events);
                    }
                },
                Some(Err(error)) => return self.failed(FeedError::Read(error), events),
                None => {
                    self.source.stream = None;
                    let missing = self.join.read_all(std::mem::take(&mut self.ends));
                    if let Some((slice, after)) = missing {
                        return self.failed(FeedError::Deleted { slice, after }, events);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What was read before comes first; the error comes again when the journal is opened again behind it.
    fn failed(&mut self, error: FeedError, events: &[Recorded]) -> Result<(), FeedError> {
        self.source.stream = None;
        self.join.lost();
        if let FeedError::Deleted { slice, after } = &error {
            self.ends.insert(*slice, after.plus(1));
        }
        if events.is_empty() { Err(error) } else { Ok(()) }
    }

    /// Takes what the tail has.
    fn take(&mut self, most: usize, events: &mut Vec<Recorded>) -> Result<(), FeedError> {
        let Source { follower, taken, .. } = &mut self.source;
        while events.len() < most && self.join.phase() == Phase::Live {
            if let Some(event) = taken.pop() {
                match self.join.offer(event.slice, event.ordinal) {
                    Verdict::Take => events.push(event),
                    Verdict::Drop | Verdict::Missing => {}
                    Verdict::Deleted { after } => {
                        self.join.lost();
                        return Err(FeedError::Deleted { slice: event.slice, after });
                    }
                }
                continue;
            }
            match follower.as_mut().map(Follower::take) {
                Some(Found::Batch(batch)) => {
                    taken.extend(batch.iter().flat_map(crate::backend::tail::Durable::events));
                    taken.reverse();
                }
                Some(Found::Lost) => self.join.lost(),
                Some(Found::Nothing) | None => break,
            }
        }
        Ok(())
    }

    /// Waits until there may be more.
    async fn wait(&mut self) {
        if let Some(follower) = &mut self.source.follower {
            follower.told().await;
        } else {
            self.env.sleep(POLL).await;
            self.join.lost();
        }
    }
}

impl fmt::Debug for EventFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFeed").field("is_live", &self.is_live()).finish_non_exhaustive()
    }
}

//! How is a timeline opened, and what may it keep?

use std::fmt::{self, Debug};
use std::future::IntoFuture;
use std::marker::PhantomData;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use omnitron_runtime::{ActorSystem, Env};

use super::error::TimelineError;
use super::keeping::{Base, Keeping};
use super::marks::Marks;
use super::{Timeline, highest};
use crate::active::Codec;
use crate::event::Event;
use crate::event_sourced::EventSourced;
use crate::id::PersistenceId;
use crate::journal::Journal;
use crate::stored;
use crate::timestamp::Timestamp;

/// Looks at the past of the entities of a system.
pub trait TimeTravel {
    /// The history of the entity `id` of the [journal](crate::WithJournal::journal) of this system. Await the answer.
    fn timeline<E: EventSourced<State: Debug>>(&self, id: impl AsRef<str>) -> Opening<E>;
}

impl TimeTravel for ActorSystem {
    fn timeline<E: EventSourced<State: Debug>>(&self, id: impl AsRef<str>) -> Opening<E> {
        let journal = self.extension::<Journal>().map(|journal| (*journal).clone());
        Opening::new(journal, self.env(), id.as_ref())
    }
}

impl Journal {
    /// The history of the entity `id`. Await the answer. The journal must be [open](Self::open).
    pub fn timeline<E: EventSourced<State: Debug>>(&self, env: &Env, id: impl AsRef<str>) -> Opening<E> {
        Opening::new(Some(self.clone()), env, id.as_ref())
    }
}

/// A timeline that is to be opened: await it.
#[must_use = "a timeline is opened when this is awaited"]
pub struct Opening<E: EventSourced> {
    journal: Option<Journal>,
    env: Env,
    id: String,
    keeping: Keeping<E::State>,
    most: usize,
    of: PhantomData<fn() -> E>,
}

/// How many states are kept, unless something else is said.
const KEPT: usize = 64;

impl<E: EventSourced<State: Debug>> Opening<E> {
    fn new(journal: Option<Journal>, env: &Env, id: &str) -> Self {
        let (env, id) = (env.clone(), id.to_owned());
        Self { journal, env, id, keeping: Keeping::default(), most: KEPT, of: PhantomData }
    }

    /// Uses the snapshots of the entity where its first events were deleted, and keeps states on the way as it does, so that a step back is short. Needs the
    /// type of the state to be an [`Event`], as [`Persistent::snapshots`](crate::Persistent::snapshots) does.
    pub fn snapshots(mut self) -> Self
    where
        E::State: Event,
    {
        self.keeping.codec =
            Some(Codec { encode: stored::snapshot::<E::State>, decode: stored::read_snapshot::<E::State> });
        self
    }

    /// Keeps clones of the state on the way, so that a step back is short. Without this and without [`snapshots`](Self::snapshots), every way back begins at the
    /// origin.
    pub fn clones(mut self) -> Self
    where
        E::State: Clone,
    {
        self.keeping.clone = Some(E::State::clone);
        self
    }

    /// How many states are kept at most: half of them along the whole way, half of them just behind the place. Default: 64.
    pub fn kept(mut self, states: usize) -> Self {
        self.most = states;
        self
    }

    async fn open(self) -> Result<Timeline<E>, TimelineError> {
        let Self { journal, env, id: text, keeping, most, .. } = self;
        let Some(journal) = journal else { return Err(TimelineError::NoJournal { id: text }) };
        let id = PersistenceId::new(&text).map_err(|reason| TimelineError::IllegalId { text, reason })?;
        let Some(open) = journal.get() else { return Err(TimelineError::NoJournal { id: id.to_string() }) };
        let end = highest(open, &id, crate::Sequence::ZERO).await?;
        if end == crate::Sequence::ZERO {
            return Err(TimelineError::UnknownId { id });
        }
        let base = Base::find::<E>(open, &id, end, &keeping).await?;
        let (at, origin) = (base.at, base.origin.sequence());
        let mut timeline = Timeline {
            env,
            journal,
            id,
            state: base.state(&keeping),
            keeping,
            end,
            marks: Marks::new(most.div_ceil(2), at),
            near: Marks::new(most / 2, at),
            at,
            latest: Timestamp::default(),
            here: None,
            base,
        };
        timeline.reset();
        if origin > at {
            timeline.go(origin).await?;
        }
        Ok(timeline)
    }
}

impl<E: EventSourced<State: Debug>> IntoFuture for Opening<E> {
    type Output = Result<Timeline<E>, TimelineError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.open().boxed()
    }
}

impl<E: EventSourced> Debug for Opening<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("id", &self.id).finish_non_exhaustive()
    }
}

//! How is a read model kept up to date with the events of a journal?
//!
//! A [`Projection`] is one or more supervised actors, each of which reads some slices and puts their events into a [`ReadModel`].
//!
//! | file | answers |
//! |---|---|
//! | `model` | what does a user write? |
//! | `part`, `hand`, `opening` | who puts events into the read model? |
//! | `guard` | what if the read model panics? |
//! | `attempt` | what is tried next? |
//! | `reading` | who reads and decodes meanwhile? |
//! | `ledger` | what was left out, which generation is live? |
//! | `status`, `gauge` | what can others see? |
//! | `handle`, `query` | what can others do? |
//! | `generation`, `rebuild` | which parts build one read model, and how does the next one take over? |
//! | `keyed` | what if the store has no transactions? |

mod attempt;
mod gauge;
mod generation;
mod guard;
mod hand;
mod handle;
mod keyed;
mod ledger;
mod model;
mod opening;
mod part;
mod query;
mod reading;
mod rebuild;
mod status;

use std::borrow::Cow;
use std::fmt;

use omnitron_runtime::{ActorSystem, AskError, Dispatcher, Failure, SpawnError};

pub use attempt::Poison;
pub use handle::{Lag, ProjectionRef};
pub use keyed::AtLeastOnce;
pub use ledger::Skipped;
pub use model::{Batch, CommitError, Effects, Projected, ReadModel, Readable};
pub use query::{Query, QueryError};
pub use rebuild::RebuildError;
pub use status::{Doing, PartStatus};

pub(crate) use model::chain;

use crate::journal::Journal;

/// The most parts of a projection.
pub const MAX_PARTS: u32 = 64;

type Factory<R> = dyn Fn(&Target) -> Result<R, Failure> + Send + Sync;

/// For what a read model is opened.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The name of the projection.
    pub projection: String,
    /// Which generation of the read model: 0, and one more with each [rebuild](ProjectionRef::rebuild). What generations store has to lie apart from each
    /// other: in files or tables that carry this number.
    pub generation: u64,
    /// Which part, counted from 0. All parts of a generation store into the same read model, each its own offset.
    pub part: u32,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.g{}.{}", self.projection, self.generation, self.part)
    }
}

/// A read model that is to be kept up to date, with the options for that.
///
/// # Example
///
/// ```
/// # extern crate omnitron_persistence as omnitron;
/// use omnitron::projection::{Batch, CommitError};
/// use omnitron::{Effect, Event, EventSourced, Journal, Persistent, Projection, ReadModel, Scope, WithJournal};
/// use omnitron_runtime::{ActorSystem, Failure};
///
/// #[derive(Event)]
/// #[event(name = "sold")]
/// struct Sold { cents: u64 }
///
/// /// In memory, so it begins anew with each start.
/// #[derive(Default)]
/// struct Revenue { cents: u64 }
///
/// impl ReadModel for Revenue {
///     type Event = Sold;
///
///     async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
///         Ok(Vec::new())
///     }
///
///     async fn commit(&mut self, batch: &Batch<'_, Sold>) -> Result<(), CommitError> {
///         self.cents += batch.events().iter().map(|sold| sold.event.cents).sum::<u64>();
///         Ok(())
///     }
/// }
/// # struct Shop;
/// # impl EventSourced for Shop {
/// #     type Command = u64;
/// #     type Event = Sold;
/// #     type State = u64;
/// #     fn handle(&self, _: &u64, cents: u64, _: &Scope<Self>) -> Effect<Self> { Effect::persist(Sold { cents }) }
/// #     fn apply(state: &mut u64, sold: &Sold) { *state += sold.cents }
/// # }
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
///
/// let system = ActorSystem::builder("shop").journal(Journal::memory()).start().await?;
/// let revenue = Projection::new("revenue", |_| Ok(Revenue::default())).start(&system).await?;
/// let shop = system.spawn("shop", Persistent::new(Shop))?;
/// shop.tell(250)?;
/// shop.drain().await;
/// revenue.caught_up().await?;
/// assert_eq!(revenue.query(|revenue| revenue.cents).await?, 250);
/// system.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "a projection does nothing until it is started"]
pub struct Projection<R: ReadModel> {
    settings: Settings<R>,
}

/// What a projection was started with.
pub(crate) struct Settings<R: ReadModel> {
    name: String,
    factory: Box<Factory<R>>,
    parts: u32,
    tag: Option<Cow<'static, str>>,
    batch: usize,
    poison: Poison,
    despite_deletions: bool,
    dispatcher: Dispatcher,
    journal: Option<Journal>,
}

/// Why a projection was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// There is no journal to read.
    #[error("the projection {name:?} has no journal: start its system with one, or give it one that is open")]
    NoJournal {
        /// The name of the projection.
        name: String,
    },
    /// An actor of it could not be spawned; most often its name is taken.
    #[error("the projection {name:?} was not started")]
    Spawn {
        /// The name of the projection.
        name: String,
        /// Why.
        #[source]
        reason: SpawnError,
    },
    /// What it remembers could not be read from the journal.
    #[error("the projection {name:?} cannot read what it remembers: look whether the journal is available")]
    Ledger {
        /// The name of the projection.
        name: String,
        /// Why.
        #[source]
        reason: AskError,
    },
}

impl<R: ReadModel> Projection<R> {
    /// A projection called `name`, with all defaults. `factory` opens the read model, or fails when its store is not available; it is called again
    /// after a failure, and once for each part.
    ///
    /// The name is legal for an actor, and stays: what was left out is remembered under it.
    pub fn new(
        name: impl Into<String>,
        factory: impl Fn(&Target) -> Result<R, Failure> + Send + Sync + 'static,
    ) -> Self {
        let settings = Settings {
            name: name.into(),
            factory: Box::new(factory),
            parts: 1,
            tag: None,
            batch: 1_000,
            poison: Poison::Stop,
            despite_deletions: false,
            dispatcher: Dispatcher::shared(),
            journal: None,
        };
        Self { settings }
    }

    /// Into how many parts the slices are divided, each with an actor and a read model of its own. From 1 to [`MAX_PARTS`] and to the number of slices; what
    /// lies outside counts as the nearest. It may change with each start. Default: 1.
    pub fn parts(mut self, parts: u32) -> Self {
        self.settings.parts = parts.clamp(1, MAX_PARTS);
        self
    }

    /// Only events with this tag. Default: all that are a [`ReadModel::Event`] by their name.
    pub fn tag(mut self, tag: impl Into<Cow<'static, str>>) -> Self {
        self.settings.tag = Some(tag.into());
        self
    }

    /// The most events that are committed at once (0 counts as 1). Those that are there are not made to wait for more. Default: 1000.
    pub fn batch(mut self, events: usize) -> Self {
        self.settings.batch = events.max(1);
        self
    }

    /// What becomes of an event that cannot be taken. Default: [`Poison::Stop`].
    pub fn poison(mut self, poison: Poison) -> Self {
        self.settings.poison = poison;
        self
    }

    /// Passes over events that were deleted before they were read. Default: they are an error, because the read model would lack them silently.
    pub fn despite_deletions(mut self) -> Self {
        self.settings.despite_deletions = true;
        self
    }

    /// Which threads run it. Default: [`Dispatcher::shared`]; a store that blocks its thread wants [`Dispatcher::pinned`].
    pub fn dispatcher(mut self, dispatcher: Dispatcher) -> Self {
        self.settings.dispatcher = dispatcher;
        self
    }

    /// Which journal it reads. Default: the [one of its system](crate::WithJournal::journal).
    pub fn journal(mut self, journal: &Journal) -> Self {
        self.settings.journal = Some(journal.clone());
        self
    }

    /// Starts it. It runs until it is [stopped](ProjectionRef::stop) or the system is.
    ///
    /// Start projections before the entities: from here on, events that it has not read are not deleted behind snapshots.
    ///
    /// # Errors
    ///
    /// [`ProjectionError`]: nothing runs. A read model that is not available is no error: the projection is suspended, and tries again.
    pub async fn start(self, system: &ActorSystem) -> Result<ProjectionRef<R>, ProjectionError> {
        handle::start(self.settings, system).await
    }
}

impl<R: ReadModel> fmt::Debug for Projection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projection")
            .field("name", &self.settings.name)
            .field("parts", &self.settings.parts)
            .finish_non_exhaustive()
    }
}

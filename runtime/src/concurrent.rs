//! What if an actor's state can be shared, and one message at a time is too slow?
//!
//! A *concurrent actor* handles up to so many messages at once, each with `&self`. It is an ordinary actor in front of
//! a crew: it takes a message when there is a place in the crew, and hands it to a task of its own. So mailbox,
//! supervision, asks, names, stop and drain are those of every actor; while the crew is full, messages wait in the
//! mailbox, and the senders of a full mailbox wait as ever.
//!
//! # Invariants
//!
//! * At most `at_once` handlers run, those of an incarnation that was replaced included.
//! * A handler that fails fails the actor, and costs its own message alone: the others run on to their end. Each failure
//!   counts, also one of a handler that began before the last restart.
//! * Handlers that still run after half of the grace of a stop are cancelled at their await points; at once if the actor
//!   ends while it starts again.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::cell::{AnyCell, Cell, Control, Envelope};
use crate::context::{Context, Doing};
use crate::dead_letters::Reason;
use crate::env::Env;
use crate::failure::{Crash, Failure};
use crate::mailbox::Mailbox;
use crate::spawn::{IntoSpawn, Limits, Spawn};
use crate::supervision::Supervision;
use crate::system::ActorSystem;

/// State that several handlers use at once, under supervision. Spawn it with [`Concurrent`].
///
/// # Contract
///
/// 1. **Shared**: hooks get `&self`; what changes needs a lock or an atomic, and no lock may be held across an await.
/// 2. **No order**: messages begin in the order of the mailbox, and end in any.
/// 3. **Failure is contained**: a handler that returns an error or panics is a failure of the actor, which costs that
///    message alone. A restart makes a fresh state; handlers that run keep the old one until they are done.
///
/// A handler runs beside the actor, so an ask in it is not part of a [chain](crate::AskError::Cycle): one that asks its own
/// actor is answered if the crew has a place, and runs into its deadline if not.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use omnitron_runtime::{ActorSystem, Concurrent, ConcurrentActor, ConcurrentContext, Failure, ReplyTo};
///
/// #[derive(Default)]
/// struct Tickets { sold: AtomicU64 }
///
/// impl ConcurrentActor for Tickets {
///     type Msg = ReplyTo<u64>;
///     async fn receive(&self, reply: ReplyTo<u64>, _: &ConcurrentContext<Self>) -> Result<(), Failure> {
///         reply.send(self.sold.fetch_add(1, Ordering::Relaxed));
///         Ok(())
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = ActorSystem::start("demo").await?;
/// let eight = NonZeroUsize::new(8).expect("8 is not 0");
/// let tickets = system.spawn("tickets", Concurrent::new(eight, Tickets::default))?;
/// assert_eq!(tickets.ask(|reply| reply).await?, 0);
/// # system.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a concurrent actor",
    note = "implement `ConcurrentActor` for it: `type Msg` and `async fn receive(&self, ..)`; it is `Send + Sync + 'static`"
)]
pub trait ConcurrentActor: Sized + Send + Sync + 'static {
    /// What this actor accepts.
    type Msg: Send + 'static;

    /// Handles one message, while others may be handled.
    ///
    /// # Errors
    ///
    /// Any error is a failure of the actor: its supervision decides.
    fn receive(
        &self,
        msg: Self::Msg,
        ctx: &ConcurrentContext<Self>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Runs once before the first message, on the first start and after every restart. Default: nothing.
    ///
    /// # Errors
    ///
    /// An error is a failure while starting.
    fn started(&self, ctx: &ConcurrentContext<Self>) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// Runs on the failed state before it is replaced; handlers may still use it. Default: nothing.
    ///
    /// # Errors
    ///
    /// An error is reported and counted; the restart goes on.
    fn pre_restart(&self, crash: &Crash) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = crash;
        async { Ok(()) }
    }

    /// Runs when the actor stops, after its handlers have ended. Default: nothing.
    ///
    /// # Errors
    ///
    /// An error is reported and counted; the stop goes on.
    fn stopped(&self) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Ok(()) }
    }
}

/// What the handlers of a concurrent actor can reach.
pub struct ConcurrentContext<C: ConcurrentActor> {
    myself: ActorRef<C::Msg>,
}

impl<C: ConcurrentActor> ConcurrentContext<C> {
    /// The actor itself.
    pub fn myself(&self) -> &ActorRef<C::Msg> {
        &self.myself
    }

    /// Its system.
    pub fn system(&self) -> ActorSystem {
        ActorSystem::of(self.myself.cell.head().core.clone())
    }

    /// The door to time and randomness.
    pub fn env(&self) -> &Env {
        &self.myself.cell.head().core.env
    }
}

/// A concurrent actor to be spawned: how it is made, how many messages it handles at once, and its options.
#[must_use = "options change nothing until an actor is spawned with them"]
pub struct Concurrent<C: ConcurrentActor> {
    factory: Box<dyn FnMut() -> C + Send>,
    at_once: NonZeroUsize,
    handler_limit: Option<Duration>,
    stop_grace: Duration,
    mailbox: Mailbox<C::Msg>,
    supervision: Supervision,
}

impl<C: ConcurrentActor> Concurrent<C> {
    /// State that `factory` makes, and makes again for each restart, whose actor handles up to `at_once` messages at
    /// once.
    pub fn new(at_once: NonZeroUsize, factory: impl FnMut() -> C + Send + 'static) -> Self {
        Self {
            factory: Box::new(factory),
            at_once,
            handler_limit: None,
            stop_grace: Limits::DEFAULT.stop_grace,
            mailbox: Mailbox::default(),
            supervision: Supervision::default(),
        }
    }

    /// Which mailbox it has. Default: [`Mailbox::bounded`] of 1024. Messages that are being handled do not count
    /// against the capacity.
    pub fn mailbox(mut self, mailbox: Mailbox<C::Msg>) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// What happens when a handler fails. Default: [`Supervision::restart`].
    pub fn supervision(mut self, supervision: Supervision) -> Self {
        self.supervision = supervision;
        self
    }

    /// The longest that one handler may take. Default: no limit. One that is over it is cancelled at its await point,
    /// and the actor fails.
    pub fn handler_limit(mut self, limit: Duration) -> Self {
        self.handler_limit = Some(limit);
        self
    }

    /// Time that handlers have to finish after a stop request, half of it, and then `stopped`. Default: 5 s.
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = grace;
        self
    }
}

impl<C: ConcurrentActor> IntoSpawn for Concurrent<C> {
    type Actor = Crew<C>;

    fn into_spawn(self) -> Spawn<Crew<C>> {
        let Self { mut factory, at_once, handler_limit, stop_grace, mailbox, supervision } = self;
        let places = u32::try_from(at_once.get()).unwrap_or(u32::MAX);
        let free = Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(usize::MAX)));
        let crew = move || Crew {
            state: Arc::new(factory()),
            places,
            // Of all incarnations: what runs on keeps its place.
            free: free.clone(),
            handler_limit,
            stop_grace,
        };
        Spawn::new(crew).mailbox(mailbox).supervision(supervision).stop_grace(stop_grace)
    }
}

/// The actor in front of a [`ConcurrentActor`].
pub struct Crew<C: ConcurrentActor> {
    state: Arc<C>,
    places: u32,
    free: Arc<Semaphore>,
    handler_limit: Option<Duration>,
    stop_grace: Duration,
}

impl<C: ConcurrentActor> Actor for Crew<C> {
    type Msg = C::Msg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let inner = ConcurrentContext { myself: ctx.myself().clone() };
        self.state.started(&inner).await
    }

    async fn receive(&mut self, msg: C::Msg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let mut waiting = Waiting { message: Some(msg), cell: ctx.cell().clone() };
        let place = self.free.clone().acquire_owned().await?;
        let Some(msg) = waiting.message.take() else { return Ok(()) };
        if waiting.cell.inbox.wants_control() {
            // A handler may have failed meanwhile: first that, then this message.
            ctx.put_back(msg);
            return Ok(());
        }
        let (state, limit) = (self.state.clone(), self.handler_limit);
        let inner = ConcurrentContext { myself: ctx.myself().clone() };
        let handler = async move {
            let hook = std::pin::pin!(state.receive(msg, &inner));
            let Some(limit) = limit else { return hook.await };
            match select(hook, inner.env().sleep(limit)).await {
                Either::Left((result, _)) => result,
                Either::Right(_) => Err(Failure::over_limit(limit)),
            }
        };
        let cell = ctx.cell().clone();
        cell.inbox.begin_beside();
        let beside = Beside { place: Some(place), cell };
        ctx.run_beside("handler", handler, move |outcome| {
            // First the failure, then the place: the next message meets what supervision decided.
            if let Err(failure) = outcome.flatten() {
                beside.cell.control(Control::FailedBeside(Doing::Running, failure));
            }
            drop(beside);
        });
        Ok(())
    }

    async fn pre_restart(&mut self, crash: &Crash, _: &mut Context<Self>) -> Result<(), Failure> {
        self.state.pre_restart(crash).await
    }

    async fn stopped(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let grace = ctx.env().sleep(self.stop_grace / 2);
        let mut all = std::pin::pin!(self.free.acquire_many(self.places));
        if let Either::Right(_) = select(all.as_mut(), grace).await {
            ctx.abort_beside();
            drop(all.await?);
        }
        self.state.stopped().await
    }
}

/// A message that waits for a place. One whose wait is cancelled is a dead letter.
struct Waiting<M: Send + 'static> {
    message: Option<M>,
    cell: Arc<Cell<M>>,
}

impl<M: Send + 'static> Drop for Waiting<M> {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.cell.bury(Envelope { message, ticket: None }, Reason::Stopped);
        }
    }
}

/// One handler that runs.
struct Beside<M: Send + 'static> {
    place: Option<OwnedSemaphorePermit>,
    cell: Arc<Cell<M>>,
}

impl<M: Send + 'static> Drop for Beside<M> {
    fn drop(&mut self) {
        drop(self.place.take());
        self.cell.inbox.end_beside();
    }
}

impl<C: ConcurrentActor> fmt::Debug for ConcurrentContext<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrentContext").field("path", self.myself.path()).finish_non_exhaustive()
    }
}

impl<C: ConcurrentActor> fmt::Debug for Concurrent<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concurrent").field("at_once", &self.at_once).finish_non_exhaustive()
    }
}

impl<C: ConcurrentActor> fmt::Debug for Crew<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("places", &self.places).finish_non_exhaustive()
    }
}

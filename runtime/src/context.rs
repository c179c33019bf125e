//! What can an actor do while it handles a message?

use std::any::type_name;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable};

use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::baggage::{self, Baggage};
use crate::cell::{AnyCell, Cell, Control, Envelope, Watcher};
use crate::dead_letters::Reason;
use crate::env::Env;
use crate::error::{Refusal, SpawnError, StashFull};
use crate::failure::{During, Failure, catch, catch_future, drop_quietly};
use crate::health::{CheckResult, Health, HealthError};
use crate::mailbox::ring::Ring;
use crate::path::ActorPath;
use crate::reply::{ReplyTo, Unanswered, drop_unanswered};
use crate::runner::HOT_ACTIVATIONS;
use crate::spawn::{IntoSpawn, Limits, MsgOf};
use crate::system::ActorSystem;
use crate::timers::{TimerSet, Timers};
use crate::trace::{self, TraceContext};

/// What an actor can reach from its hooks: itself, its children, its timers, its stash.
///
/// It is `Send` but not `Sync`: an `async` helper that awaits takes it as `&mut Context<Self>`.
pub struct Context<A: Actor> {
    pub(crate) myself: ActorRef<A::Msg>,
    /// Taken from the mailbox, not yet handled. Outlives a failure.
    pub(crate) batch: Ring<Envelope<A::Msg>>,
    pub(crate) rare: Option<Box<Rare<A::Msg>>>,
    /// Messages handled, and not yet told to the cell.
    pub(crate) untold: u32,
    /// Under which this actor is in its family.
    pub(crate) key: u32,
    pub(crate) doing: Doing,
    /// The actor asked to stop itself.
    pub(crate) stopping: bool,
    /// Whether this incarnation has started.
    pub(crate) begun: bool,
    /// How often it was woken, as far as that matters.
    activations: u8,
    /// Whether it may spawn: not while it stops or restarts, or the child would outlive it.
    pub(crate) takes_children: bool,
}

/// What most actors never need.
pub(crate) struct Rare<M> {
    pub(crate) timers: TimerSet<M>,
    pub(crate) stash: VecDeque<M>,
    stash_limit: usize,
    pub(crate) watching: BTreeMap<u64, Arc<dyn AnyCell>>,
    /// Notices that came while the actor could not handle any. Whether one counts is seen when it is handled.
    pub(crate) notices: VecDeque<Control>,
    /// What runs beside the actor: piped futures, handlers of concurrent actors.
    beside: Vec<AbortHandle>,
    pub(crate) restarts: u64,
    pub(crate) failures: u64,
}

impl<M> Default for Rare<M> {
    fn default() -> Self {
        Self {
            timers: TimerSet::default(),
            stash: VecDeque::new(),
            stash_limit: Limits::DEFAULT.stash,
            watching: BTreeMap::new(),
            notices: VecDeque::new(),
            beside: Vec::new(),
            restarts: 0,
            failures: 0,
        }
    }
}

/// What an actor is doing; short, because it is noted for every message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Doing {
    /// It has ended.
    Nothing,
    Starting,
    Running,
    Signal,
    Timer,
    Restarting,
    Stopping,
    Piped,
    Fed,
    Supervising,
}

impl Doing {
    pub(crate) fn during(self, message_type: &'static str) -> During {
        match self {
            Self::Starting => During::Starting,
            Self::Running => During::Running { message_type },
            Self::Signal => During::Signal,
            Self::Timer => During::Timer,
            Self::Restarting => During::Restarting,
            Self::Stopping | Self::Nothing => During::Stopping,
            Self::Piped => During::Piped,
            Self::Fed => During::Fed,
            Self::Supervising => During::Supervising,
        }
    }
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(cell: Arc<Cell<A::Msg>>, key: u32, limits: Limits) -> Self {
        let mut ctx = Self {
            myself: ActorRef { cell },
            batch: Ring::default(),
            rare: None,
            untold: 0,
            key,
            doing: Doing::Starting,
            stopping: false,
            begun: false,
            activations: 0,
            takes_children: true,
        };
        if limits.stash != Limits::DEFAULT.stash {
            ctx.rare().stash_limit = limits.stash;
        }
        ctx
    }

    /// One activation more.
    pub(crate) fn wake_up(&mut self) {
        self.activations = self.activations.saturating_add(1);
    }

    /// Whether this actor is woken so often that it keeps its future while it sleeps.
    pub(crate) fn is_hot(&self) -> bool {
        self.activations >= HOT_ACTIVATIONS
    }

    pub(crate) fn cell(&self) -> &Arc<Cell<A::Msg>> {
        &self.myself.cell
    }

    pub(crate) fn any_cell(&self) -> Arc<dyn AnyCell> {
        self.myself.cell.clone()
    }

    pub(crate) fn rare(&mut self) -> &mut Rare<A::Msg> {
        self.rare.get_or_insert_default()
    }

    /// The reference of this actor.
    pub fn myself(&self) -> &ActorRef<A::Msg> {
        &self.myself
    }

    /// Where this actor lives.
    pub fn path(&self) -> &ActorPath {
        &self.cell().head().path
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path().name()
    }

    /// The system this actor lives in.
    pub fn system(&self) -> ActorSystem {
        ActorSystem::of(self.cell().head().core.clone())
    }

    /// The door to time and randomness. In a simulation they are the simulation's.
    pub fn env(&self) -> &Env {
        &self.cell().head().core.env
    }

    /// Now. In a simulation, its virtual time.
    pub fn now(&self) -> Instant {
        self.env().now()
    }

    /// A random number. In a simulation, drawn from its seed.
    pub fn random_u64(&self) -> u64 {
        self.env().random_u64()
    }

    /// How many times this actor has been restarted.
    pub fn restarts(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.restarts)
    }

    /// Starts a child. It stops when this actor stops, and before this actor restarts (unless
    /// [kept](crate::Supervision::keep_children)).
    ///
    /// # Errors
    ///
    /// [`SpawnError`] says what is wrong with the name or the options, or that no more children are taken.
    pub fn spawn<S: IntoSpawn>(&mut self, name: &str, child: S) -> Result<ActorRef<MsgOf<S>>, SpawnError> {
        if !self.takes_children {
            return Err(SpawnError::ParentStopped { parent: self.path().clone() });
        }
        child.into_spawn().launch(&self.any_cell(), name)
    }

    /// The living child of this name, if it takes messages of type `M`.
    pub fn child<M: Send + 'static>(&self, name: &str) -> Option<ActorRef<M>> {
        let path = self.path().child(name).ok()?;
        self.cell().head().core.registry.find(&path)?.into_any().downcast().ok().map(|cell| ActorRef { cell })
    }

    /// The paths of the living children, in the order of their spawns.
    pub fn children(&self) -> Vec<ActorPath> {
        self.cell().head().family.children().iter().map(|cell| cell.head().path.clone()).collect()
    }

    /// Stops this actor after the current message. In `started`, nothing is handled at all. What is queued becomes
    /// dead letters.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Asks for a [`Signal::Terminated`](crate::Signal::Terminated) when `other` ends; at once if it has ended already. Twice is once.
    pub fn watch<M: Send + 'static>(&mut self, other: &ActorRef<M>) {
        let me = self.any_cell();
        let other = other.target();
        let head = other.head();
        let (id, path) = (head.id, head.path.clone());
        if self.rare().watching.insert(id, other.clone()).is_none()
            && head.watchers.add(me.head().id, Watcher::Actor(me.clone())).is_err()
        {
            me.control(Control::Terminated { id, path });
        }
    }

    /// No longer watches `other`: no [`Signal::Terminated`](crate::Signal::Terminated) of it comes after this call.
    pub fn unwatch<M: Send + 'static>(&mut self, other: &ActorRef<M>) {
        let other = other.target();
        let head = other.head();
        if self.rare().watching.remove(&head.id).is_some() {
            head.watchers.remove(self.cell().head().id);
        }
    }

    /// Registers a health check of this actor, with a deadline of [1 s](Health::DEFAULT_DEADLINE); see [`Health::check`].
    /// The place for it is `started`. It stays when the actor ends, and is unhealthy then; an actor that ends for good
    /// removes it in `stopped`.
    ///
    /// # Errors
    ///
    /// As [`Health::check`].
    pub fn health(
        &mut self,
        name: &str,
        make: impl Fn(ReplyTo<CheckResult>) -> A::Msg + Send + Sync + 'static,
    ) -> Result<(), HealthError> {
        self.system().health().check(name, self.myself(), make, Health::DEFAULT_DEADLINE)
    }

    /// The timers of this actor. They end with this incarnation of it.
    pub fn timers(&mut self) -> Timers<'_, A::Msg> {
        let Self { myself, rare, .. } = self;
        Timers { set: &mut rare.get_or_insert_default().timers, env: &myself.cell.head().core.env }
    }

    /// Drops a message which this actor cannot handle now, because something that it needs is not available: a dead letter
    /// ([`Reason::Unavailable`]). Whoever asks learns [`AskError::Unavailable`](crate::AskError::Unavailable).
    pub fn give_up(&mut self, message: A::Msg) {
        let head = self.cell().head();
        head.core.dead_letters().record(&head.path, type_name::<A::Msg>(), Reason::Unavailable);
        drop_unanswered(message, Unanswered::Unavailable);
    }

    /// Puts a message aside, to be handled after [`unstash_all`](Self::unstash_all). Stashed messages outlive a
    /// restart: the fresh actor finds them at the head of its mailbox.
    ///
    /// # Errors
    ///
    /// [`StashFull`] gives the message back when the [stash](crate::Spawn::stash) is full.
    pub fn stash(&mut self, message: A::Msg) -> Result<(), StashFull<A::Msg>> {
        let Rare { stash, stash_limit: capacity, .. } = self.rare();
        let capacity = *capacity;
        if stash.len() >= capacity {
            return Err(StashFull { message, capacity });
        }
        stash.push_back(message);
        Ok(())
    }

    /// Puts everything stashed at the head of the mailbox, in the order in which it was stashed. Returns how many
    /// messages that were.
    pub fn unstash_all(&mut self) -> usize {
        let core = self.cell().head().core.clone();
        let Some(rare) = &mut self.rare else { return 0 };
        let count = rare.stash.len();
        for message in rare.stash.drain(..).rev() {
            // Part of what the handler is part of that takes it up again.
            self.batch.push_front(Envelope { message, ticket: None }.with_trace(&core));
        }
        count
    }

    /// Puts the message in hand back: it is the next one.
    pub(crate) fn put_back(&mut self, message: A::Msg) {
        let envelope = Envelope { message, ticket: None }.with_trace(&self.cell().head().core);
        self.batch.push_front(envelope);
        self.untold = self.untold.saturating_sub(1);
    }

    /// Runs `future` beside this actor and sends its output, as a message made by `map`, to this actor. Room in the
    /// mailbox is reserved now, so the message is never refused later. A panic in either is a failure of this actor.
    /// When the actor stops, the future is dropped; a restart does not touch it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the mailbox has no room now; the future is dropped without having run.
    pub fn pipe_to_self<F, T>(
        &mut self,
        future: F,
        map: impl FnOnce(T) -> A::Msg + Send + 'static,
    ) -> Result<(), Refusal>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let cell = self.cell().clone();
        if let Some(displaced) = cell.inbox.reserve()? {
            cell.bury(displaced, Reason::Overflowed);
        }
        let room = Room { cell: Some(cell) };
        self.run_beside("pipe", future.map(map), |output| match output {
            Ok(message) => room.fill(message),
            Err(failure) => room.fail(failure),
        });
        Ok(())
    }

    /// Runs `future` as a task of its own, which ends with this actor at the latest. `done` gets its output or its
    /// panic, and is dropped when the actor ended before.
    pub(crate) fn run_beside<T>(
        &mut self,
        what: &'static str,
        future: impl Future<Output = T> + Send + 'static,
        done: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) {
        let (handle, registration) = AbortHandle::new_pair();
        let beside = &mut self.rare().beside;
        beside.push(handle.clone());
        if beside.len() == beside.capacity() {
            // Before it grows: those that are done need not be remembered.
            beside.retain(|handle| !handle.is_aborted());
        }
        let cell = self.cell().clone();
        let env = cell.head().core.env.clone();
        let (trace, baggage) = (TraceContext::current(), Baggage::current());
        let mut work = Box::pin(trace::carried(trace, future));
        env.spawn(|| format!("{} {what}", self.path()), async move {
            let ended = {
                let polled = pin!(catch_future(work.as_mut()));
                Abortable::new(polled, registration).await
            };
            match ended {
                Ok(output) => baggage::scope(baggage.as_ref(), || trace::scope(trace, || done(output))),
                Err(_) => drop(done),
            }
            // Marks it as done, so that the actor forgets it.
            handle.abort();
            if let Err(failure) = drop_quietly(work) {
                tracing::warn!(path = %cell.head().path, %failure, "what ran beside an actor panicked on drop");
            }
        });
    }

    /// Drops what runs beside the actor: it has stopped.
    pub(crate) fn abort_beside(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.beside.drain(..).for_each(|handle| handle.abort());
        }
    }
}

/// Room that is reserved in a mailbox, until it is filled or dropped.
struct Room<M: Send + 'static> {
    cell: Option<Arc<Cell<M>>>,
}

impl<M: Send + 'static> Room<M> {
    fn fill(mut self, message: M) {
        let Some(cell) = &self.cell else { return };
        // While the room is still held: a ranking that panics is to give it back.
        let rank = match catch(|| cell.rank(&message)) {
            Ok(rank) => rank,
            Err(failure) => {
                let _ = drop_quietly(message); // one failure is enough
                return self.fail(failure);
            }
        };
        let Some(cell) = self.cell.take() else { return };
        let envelope = Envelope { message, ticket: None }.loaded(&cell.head().core);
        if let Err(envelope) = cell.inbox.fulfil(rank, envelope, true) {
            cell.bury(envelope, Reason::Piped);
        }
    }

    fn fail(self, failure: Failure) {
        if let Some(cell) = &self.cell {
            cell.control(Control::FailedBeside(Doing::Piped, failure));
        }
    }
}

impl<M: Send + 'static> Drop for Room<M> {
    fn drop(&mut self) {
        if let Some(cell) = &self.cell {
            cell.inbox.release();
        }
    }
}

impl<A: Actor> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("path", self.path()).finish_non_exhaustive()
    }
}

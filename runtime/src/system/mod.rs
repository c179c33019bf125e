//! What holds the actors of one program together?
//!
//! An [`ActorSystem`]: the door to all of it. What its parts share is the [`core`].

mod builder;
mod core;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::body::Body;
use crate::cell::AnyCell;
use crate::dead_letters::DeadLetters;
use crate::env::Env;
use crate::error::{LookupError, SpawnError, StartError};
use crate::event_bus::EventBus;
use crate::extension::Extension;
use crate::health::Health;
use crate::inspection::Inspection;
use crate::output::{Output, OutputStream};
use crate::path::ActorPath;
use crate::shutdown::ShutdownReport;
use crate::spawn::{IntoSpawn, MsgOf, Spawn};

pub use self::builder::SystemBuilder;
pub(crate) use self::core::{Core, Gate, ID_BITS, Trouble};

/// A tree of actors that start, work and stop together. Cheap to clone; every clone is the same system.
///
/// A system lives until it is [shut down](Self::shutdown); dropping the last handle does not stop its actors.
#[derive(Clone)]
pub struct ActorSystem {
    core: Arc<Core>,
}

/// The name of the parent of what the system spawns.
const USER: &str = "user";

impl ActorSystem {
    /// Starts a system with all defaults.
    ///
    /// # Errors
    ///
    /// As [`SystemBuilder::start`].
    pub async fn start(name: &str) -> Result<Self, StartError> {
        Self::builder(name).start().await
    }

    /// Chooses how a system runs, then starts it.
    pub fn builder(name: &str) -> SystemBuilder {
        SystemBuilder::new(name)
    }

    pub(crate) fn of(core: Arc<Core>) -> Self {
        Self { core }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// The name of the system.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Starts an actor at `/user/{name}`. Its factory runs in the actor's own task, after this has returned.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] says what is wrong with the name or the options, or that the system shuts down.
    pub fn spawn<S: IntoSpawn>(&self, name: &str, actor: S) -> Result<ActorRef<MsgOf<S>>, SpawnError> {
        actor.into_spawn().launch(&self.top(name)?, name)
    }

    /// An actor without a task, for tests that step it.
    pub(crate) fn embody<A: Actor>(&self, name: &str, actor: Spawn<A>) -> Result<Box<Body<A>>, SpawnError> {
        actor.embody(&self.top(name)?, name)
    }

    /// The parent of what the system spawns.
    fn top(&self, name: &str) -> Result<Arc<dyn AnyCell>, SpawnError> {
        if let Some(guardian) = self.core.guardian() {
            return Ok(guardian);
        }
        let parent = ActorPath::root().child(USER).unwrap_or_else(|_| ActorPath::root());
        Err(match parent.child(name) {
            Ok(path) => SpawnError::ShuttingDown { path },
            Err(reason) => SpawnError::IllegalName { parent, reason },
        })
    }

    /// Finds a living actor by its path, such as `/user/fleet/N14228`.
    ///
    /// # Errors
    ///
    /// [`LookupError`] tells an illegal path, a path where nobody lives, and an actor that takes other messages; the
    /// last one names both types.
    pub fn lookup<M: Send + 'static>(&self, path: &str) -> Result<ActorRef<M>, LookupError> {
        let path = ActorPath::parse(path).map_err(LookupError::IllegalPath)?;
        let Some(cell) = self.core.registry.find(&path) else { return Err(LookupError::NotFound { path }) };
        let actual = cell.message_type();
        match cell.into_any().downcast() {
            Ok(cell) => Ok(ActorRef { cell }),
            Err(_) => Err(LookupError::WrongType { path, requested: std::any::type_name::<M>(), actual }),
        }
    }

    /// The messages that could not be delivered.
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.core.dead_letters
    }

    /// Whether the system is live and ready, and the checks that say so.
    pub fn health(&self) -> Health {
        Health::of(self.core.clone())
    }

    /// The events of this system: publish and subscribe by type.
    pub fn events(&self) -> EventBus {
        EventBus::of(self.core.clone())
    }

    /// An output with room for `capacity` values (at least 1: zero counts as 1), and the stream of what is emitted.
    pub fn output<T: Send + 'static>(&self, capacity: usize) -> (Output<T>, OutputStream<T>) {
        Output::new(capacity, self.core.clone())
    }

    /// The door to time and randomness.
    pub fn env(&self) -> &Env {
        &self.core.env
    }

    /// The extension of this type, if the system was started with one.
    pub fn extension<E: Extension>(&self) -> Option<Arc<E>> {
        self.core.extensions().iter().find_map(|extension| {
            let any: Arc<dyn Any + Send + Sync> = extension.clone();
            any.downcast::<E>().ok()
        })
    }

    /// Looks at every actor: what it does, what waits for it, what went wrong with it. Actors are not disturbed; it
    /// takes some time for many of them, and is not meant for every second.
    pub fn inspect(&self) -> Inspection {
        Inspection::of(&self.core)
    }

    /// Figures of the whole system. They are gathered actor by actor: exact when nothing runs, otherwise near.
    pub fn stats(&self) -> SystemStats {
        let mut stats = SystemStats::of_the_past(&self.core);
        for cell in self.core.registry.all() {
            stats.count(cell.head().processed(), cell.figures().deepest);
        }
        stats
    }

    /// Shuts the system down: stops accepting from outside, lets the actors work off what is queued, then stops them,
    /// children before parents, all within the [budget](SystemBuilder::shutdown_budget). The request is made at once
    /// when this is first polled; a second call waits for the same shutdown.
    ///
    /// Awaited inside a handler it can only end when that handler is cancelled; use `begin_shutdown` there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once begun, the shutdown goes on.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.core.begin_shutdown();
        self.terminated().await
    }

    /// Begins to [shut down](Self::shutdown), and does not wait for it.
    pub fn begin_shutdown(&self) {
        self.core.begin_shutdown();
    }

    /// Makes a shutdown wait for nobody any more: handlers are cancelled at their await points.
    pub fn force_shutdown(&self) {
        self.core.forced.send_replace(true);
        self.core.begin_shutdown();
        if let Some(guardian) = self.core.guardian() {
            guardian.wake();
        }
    }

    /// Waits until the system has shut down, whoever began it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn terminated(&self) -> ShutdownReport {
        let mut reports = self.core.report.subscribe();
        match reports.wait_for(Option::is_some).await.map(|report| report.clone()) {
            Ok(Some(report)) => report,
            // The sender lives in the core, which `self` keeps.
            Ok(None) | Err(_) => unreachable!("the report is awaited until it is there"),
        }
    }

    /// Shuts down on SIGTERM or ctrl-c; a second signal [forces](Self::force_shutdown). Resolves when the system has
    /// shut down, for whatever reason. Call it once, in `main`.
    ///
    /// # Errors
    ///
    /// The signals cannot be listened to: an error of the operating system.
    pub async fn shutdown_on_signal(&self) -> std::io::Result<ShutdownReport> {
        let mut signals = crate::signals::Signals::listen()?;
        let mut terminated = std::pin::pin!(self.terminated());
        for count in 0u32.. {
            let signal = std::pin::pin!(signals.recv());
            match futures_util::future::select(terminated.as_mut(), signal).await {
                futures_util::future::Either::Left((report, _)) => return Ok(report),
                futures_util::future::Either::Right(_) if count == 0 => self.begin_shutdown(),
                futures_util::future::Either::Right(_) => self.force_shutdown(),
            }
        }
        Ok(terminated.await)
    }
}

impl fmt::Debug for ActorSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorSystem").field("name", &self.core.name).finish_non_exhaustive()
    }
}

/// Figures of a system.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SystemStats {
    /// Actors that live.
    pub actors: usize,
    /// Actors that were ever spawned.
    pub spawned: u64,
    /// Messages handled.
    pub messages: u64,
    /// Failures of actors: errors, panics, exceeded limits.
    pub failures: u64,
    /// Restarts of actors.
    pub restarts: u64,
    /// Times that a handler held a thread of the shared dispatcher for longer than the
    /// [limit](SystemBuilder::thread_hold_limit).
    pub held_threads: u64,
    /// Messages that could not be delivered.
    pub dead_letters: u64,
    /// The most messages that ever were in one mailbox.
    pub deepest_mailbox: usize,
}

impl SystemStats {
    /// Without those who live. They are to be [counted](Self::count) after this, in this order: see [`Core::depart`].
    pub(crate) fn of_the_past(core: &Core) -> Self {
        let counts = &core.counts;
        Self {
            actors: 0,
            spawned: counts.spawned.load(Ordering::Relaxed),
            messages: counts.ended_messages.load(Ordering::Acquire),
            failures: counts.failures.load(Ordering::Relaxed),
            restarts: counts.restarts.load(Ordering::Relaxed),
            held_threads: counts.held_threads.load(Ordering::Relaxed),
            dead_letters: core.dead_letters.total(),
            deepest_mailbox: counts.ended_deepest.load(Ordering::Relaxed),
        }
    }

    /// Counts an actor that lives, which has handled so many messages, and whose mailbox was once so deep.
    pub(crate) fn count(&mut self, messages: u64, deepest: usize) {
        self.actors += 1;
        self.messages += messages;
        self.deepest_mailbox = self.deepest_mailbox.max(deepest);
    }
}

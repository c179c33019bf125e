//! What holds the actors of one program together?
//!
//! An [`ActorSystem`]: the names, the clock, the counts, the dead letters, and the way down.
//!
//! # Invariants
//!
//! * The gate only ever closes further: open, closing (nothing new from outside), stopping, stopped.
//! * A shutdown happens once; everybody who asks for it or waits for it gets the same report.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::body::Body;
use crate::cell::{AnyCell, Head};
use crate::dead_letters::DeadLetters;
use crate::deadlines::Deadlines;
use crate::env::{Env, Hashers};
use crate::error::{LookupError, Refusal, SpawnError, StartError};
use crate::event_bus::{EventBus, Topics};
use crate::extension::{Extension, contained};
use crate::failure::{Crash, install_panic_hook};
use crate::guardian::Guardian;
use crate::health::{Checks, Health};
use crate::inspection::Inspection;
use crate::output::{Output, OutputStream};
use crate::path::ActorPath;
use crate::registry::Registry;
use crate::shutdown::ShutdownReport;
use crate::spawn::{IntoSpawn, MsgOf, Spawn};
use crate::watchdog::{self, Leash};
use crate::{chain, closing};

/// A tree of actors that start, work and stop together. Cheap to clone; every clone is the same system.
///
/// A system lives until it is [shut down](Self::shutdown); dropping the last handle does not stop its actors.
#[derive(Clone)]
pub struct ActorSystem {
    core: Arc<Core>,
}

/// The name of the parent of what the system spawns.
const USER: &str = "user";

/// How far a system has closed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Gate {
    Open,
    /// Only actors may send and spawn.
    Closing,
    /// Nobody may spawn.
    Stopping,
    Stopped,
}

/// What all parts of a system share.
pub(crate) struct Core {
    gate: AtomicU8,
    /// Beats so far; beside the gate, because both are read on the way of messages.
    pulse: AtomicU32,
    /// When the first beat was.
    start: Instant,
    /// Actors that have failed, by id.
    troubles: DashMap<u64, Trouble, Hashers>,
    pub(crate) env: Env,
    pub(crate) name: String,
    pub(crate) ask_timeout: Duration,
    pub(crate) shutdown_budget: Duration,
    pub(crate) registry: Registry,
    pub(crate) deadlines: Arc<Deadlines>,
    dead_letters: DeadLetters,
    pub(crate) health: Checks,
    pub(crate) topics: Topics,
    extensions: OnceLock<Vec<Arc<dyn Extension>>>,
    guardian: Mutex<Option<Arc<Guardian>>>,
    cause: OnceLock<Crash>,
    report: watch::Sender<Option<ShutdownReport>>,
    /// The shutdown is not to wait for anybody any more.
    forced: watch::Sender<bool>,
    /// Keeps the watchdog looking.
    leash: Mutex<Option<Leash>>,
    /// Apart from what is read for every message: these are written.
    pub(crate) counts: Box<Counts>,
}

/// Bits of an id that count within a system. The number of the system stands above them, so that actors of two
/// systems in one process, which may well talk to each other, are never taken for each other.
pub(crate) const ID_BITS: u32 = 40;

/// The first id of the next system of this process.
fn first_id() -> u64 {
    static SYSTEMS: AtomicU64 = AtomicU64::new(0);
    SYSTEMS.fetch_add(1, Ordering::Relaxed) << ID_BITS
}

/// What happened in a system so far.
#[derive(Default)]
pub(crate) struct Counts {
    ids: AtomicU64,
    spawned: AtomicU64,
    failures: AtomicU64,
    restarts: AtomicU64,
    held_threads: AtomicU64,
    ended_messages: AtomicU64,
    ended_deepest: AtomicUsize,
}

impl Counts {
    pub(crate) fn spawned(&self) {
        self.spawned.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// A handler held its thread for too long.
    pub(crate) fn held(&self) {
        self.held_threads.fetch_add(1, Ordering::Relaxed);
    }

    /// An actor has ended that had handled so many messages, and whose mailbox was once so deep.
    pub(crate) fn ended(&self, messages: u64, deepest: usize) {
        self.ended_messages.fetch_add(messages, Ordering::Relaxed);
        self.ended_deepest.fetch_max(deepest, Ordering::Relaxed);
    }
}

/// What went wrong with one actor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) failures: u64,
    pub(crate) restarts: u64,
}

impl Core {
    /// The unit of [coarse time](crate::mailbox::inbox::Pulse).
    pub(crate) const BEAT: Duration = Duration::from_millis(10);

    /// Coarse time: beats since the system started, which wrap after 497 days. As late as the watchdog looked, and
    /// exact in a simulation.
    pub(crate) fn beats(&self) -> u32 {
        if self.env.is_simulated() { self.beats_now() } else { self.pulse.load(Ordering::Relaxed) }
    }

    /// Moves the coarse time on.
    pub(crate) fn beat(&self) {
        self.pulse.store(self.beats_now(), Ordering::Relaxed);
    }

    fn beats_now(&self) -> u32 {
        let elapsed = self.env.now().saturating_duration_since(self.start);
        let beats = (elapsed.as_millis() / Self::BEAT.as_millis()) % (1 << u32::BITS);
        u32::try_from(beats).unwrap_or_default()
    }

    /// The time since that beat. None at all since one that is yet to come: another thread may have seen a later one.
    pub(crate) fn since_beat(&self, beat: u32) -> Duration {
        let beats = self.beats().wrapping_sub(beat);
        if beats > u32::MAX / 2 { Duration::ZERO } else { Self::BEAT * beats }
    }

    /// What went wrong with the actor of this id so far.
    pub(crate) fn trouble(&self, id: u64) -> Trouble {
        self.troubles.get(&id).map(|trouble| *trouble).unwrap_or_default()
    }

    /// Notes what goes wrong with an actor. Rare: healthy actors have no entry.
    pub(crate) fn note_trouble(&self, id: u64, note: impl FnOnce(&mut Trouble)) {
        note(&mut self.troubles.entry(id).or_default());
    }

    /// The actor of this id has ended.
    pub(crate) fn forget_trouble(&self, id: u64) {
        self.troubles.remove(&id);
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.counts.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// The number of this system within the process: it stands above all ids of its actors.
    pub(crate) fn number(&self) -> u64 {
        self.counts.ids.load(Ordering::Relaxed) >> ID_BITS
    }

    /// Whether an actor of this system runs on this thread.
    fn is_inside(&self) -> bool {
        chain::current_actor().is_some_and(|actor| actor >> ID_BITS == self.number())
    }

    pub(crate) fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    pub(crate) fn extensions(&self) -> &[Arc<dyn Extension>] {
        self.extensions.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn guardian(&self) -> Option<Arc<Guardian>> {
        self.guardian.lock().clone()
    }

    pub(crate) fn closed_to(&self) -> Gate {
        match self.gate.load(Ordering::Acquire) {
            0 => Gate::Open,
            1 => Gate::Closing,
            2 => Gate::Stopping,
            _ => Gate::Stopped,
        }
    }

    /// Whether everybody may send.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == Gate::Open as u8
    }

    /// Whether a message may be sent from here, now.
    pub(crate) fn admits(&self) -> Result<(), Refusal> {
        if self.is_open() { Ok(()) } else { self.admits_late() }
    }

    #[cold]
    fn admits_late(&self) -> Result<(), Refusal> {
        match self.closed_to() {
            Gate::Stopped => Err(Refusal::SystemStopped),
            Gate::Closing | Gate::Stopping if !self.is_inside() => Err(Refusal::ShuttingDown),
            Gate::Open | Gate::Closing | Gate::Stopping => Ok(()),
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.closed_to() >= Gate::Stopping
    }

    /// The same refusal, with the fate of the system taken into account.
    pub(crate) fn refine(&self, reason: Refusal) -> Refusal {
        match reason {
            Refusal::Stopped if self.closed_to() == Gate::Stopped => Refusal::SystemStopped,
            reason => reason,
        }
    }

    pub(crate) fn gate(&self, gate: Gate) {
        self.gate.fetch_max(gate as u8, Ordering::AcqRel);
    }

    pub(crate) fn cause(&self) -> Option<Crash> {
        self.cause.get().cloned()
    }

    /// A failure that nobody could deal with stops the system.
    pub(crate) fn stop_because(self: &Arc<Self>, crash: Crash) {
        tracing::error!(system = %self.name, cause = %crash, "escalated to the top: the system stops");
        // Only the first cause counts.
        let _ = self.cause.set(crash);
        self.begin_shutdown();
    }

    fn begin_shutdown(self: &Arc<Self>) {
        let open = Gate::Open as u8;
        if self.gate.compare_exchange(open, Gate::Closing as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
        {
            self.env.spawn(|| "shutdown".to_owned(), closing::close(self.clone()));
        }
    }

    pub(crate) fn is_forced(&self) -> bool {
        *self.forced.borrow()
    }

    /// Waits until the shutdown is forced.
    pub(crate) async fn forced(&self) {
        // The sender lives in the core, so this cannot fail.
        drop(self.forced.subscribe().wait_for(|forced| *forced).await);
    }

    /// The end: everybody who waits gets the report.
    pub(crate) fn publish(&self, report: ShutdownReport) {
        // The guardian and the health checks hold the core: this ends both circles.
        drop(self.guardian.lock().take());
        drop(self.leash.lock().take());
        self.health.end();
        self.dead_letters.end();
        self.topics.end();
        tracing::info!(system = %self.name, %report, "system stopped");
        self.report.send_replace(Some(report));
    }
}

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
        SystemBuilder {
            name: name.to_owned(),
            ask_timeout: SystemBuilder::DEFAULT_ASK_TIMEOUT,
            shutdown_budget: SystemBuilder::DEFAULT_SHUTDOWN_BUDGET,
            thread_hold_limit: SystemBuilder::DEFAULT_THREAD_HOLD_LIMIT,
            extensions: Vec::new(),
            env: None,
        }
    }

    pub(crate) fn of(core: Arc<Core>) -> Self {
        Self { core }
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
        let counts = &self.core.counts;
        let mut stats = SystemStats {
            actors: self.core.registry.len(),
            spawned: counts.spawned.load(Ordering::Relaxed),
            messages: counts.ended_messages.load(Ordering::Relaxed),
            failures: counts.failures.load(Ordering::Relaxed),
            restarts: counts.restarts.load(Ordering::Relaxed),
            held_threads: counts.held_threads.load(Ordering::Relaxed),
            dead_letters: self.core.dead_letters.total(),
            deepest_mailbox: counts.ended_deepest.load(Ordering::Relaxed),
        };
        for cell in self.core.registry.all() {
            stats.messages += cell.head().processed.load(Ordering::Relaxed);
            stats.deepest_mailbox = stats.deepest_mailbox.max(cell.figures().deepest);
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

/// How a system runs; see [`ActorSystem::builder`].
#[must_use = "a builder does nothing until `start` is awaited"]
pub struct SystemBuilder {
    name: String,
    ask_timeout: Duration,
    shutdown_budget: Duration,
    thread_hold_limit: Duration,
    extensions: Vec<Arc<dyn Extension>>,
    env: Option<Env>,
}

impl SystemBuilder {
    /// Long enough for a busy target, short enough for a person who waits.
    pub const DEFAULT_ASK_TIMEOUT: Duration = Duration::from_secs(5);
    /// Well below the 30 s that container platforms give a process between SIGTERM and SIGKILL.
    pub const DEFAULT_SHUTDOWN_BUDGET: Duration = Duration::from_secs(10);
    /// Far more than a handler that awaits what it waits for ever takes, and what a person begins to notice.
    pub const DEFAULT_THREAD_HOLD_LIMIT: Duration = Duration::from_millis(100);

    /// The time an ask has unless it says [`within`](crate::Ask::within), and a `send` inside a handler.
    /// Default: 5 s.
    pub fn ask_timeout(mut self, timeout: Duration) -> Self {
        self.ask_timeout = timeout;
        self
    }

    /// The time a shutdown has, from the request to the report. Default: 10 s. Half of it at most is spent on working
    /// off what is queued. With zero everything is cancelled at once.
    pub fn shutdown_budget(mut self, budget: Duration) -> Self {
        self.shutdown_budget = budget;
        self
    }

    /// The time that handlers may hold a thread of the [shared dispatcher](crate::Dispatcher::shared) without awaiting
    /// before the log names the actor, its message type and how long it took. Default: 100 ms. [`Duration::MAX`] tells
    /// nothing; in a simulation nothing is told.
    ///
    /// It is measured from outside, by a thread that looks a few times within the limit, and covers up to 128 messages
    /// in a row that do not await.
    pub fn thread_hold_limit(mut self, limit: Duration) -> Self {
        self.thread_hold_limit = limit;
        self
    }

    /// Adds a part that starts and stops with the system.
    pub fn extension(mut self, extension: impl Extension) -> Self {
        self.extensions.push(Arc::new(extension));
        self
    }

    /// Runs in this environment. Default: the tokio runtime around [`start`](Self::start). A test passes that of its
    /// [simulation](crate::testkit::Sim).
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Starts the system.
    ///
    /// # Errors
    ///
    /// [`StartError`] says what is wrong with the name, that there is no tokio runtime, that panics abort the process,
    /// or which extension failed and why.
    pub async fn start(self) -> Result<ActorSystem, StartError> {
        if cfg!(panic = "abort") {
            return Err(StartError::PanicAborts);
        }
        ActorPath::root().child(&self.name).map_err(StartError::IllegalName)?;
        let env = match self.env {
            Some(env) => env,
            None => Env::tokio()?,
        };
        install_panic_hook();
        let dead_letters = DeadLetters::new(env.clone());
        let core = Arc::new(Core {
            gate: AtomicU8::new(Gate::Open as u8),
            pulse: AtomicU32::new(0),
            start: env.now(),
            troubles: DashMap::with_hasher(env.hasher()),
            name: self.name,
            ask_timeout: self.ask_timeout,
            shutdown_budget: self.shutdown_budget,
            registry: Registry::new(env.hasher()),
            deadlines: Deadlines::new(env.clone(), dead_letters.clone()),
            dead_letters,
            health: Checks::new(),
            topics: Topics::new(),
            extensions: OnceLock::new(),
            guardian: Mutex::new(None),
            cause: OnceLock::new(),
            report: watch::Sender::new(None),
            forced: watch::Sender::new(false),
            leash: Mutex::new(None),
            counts: Box::new(Counts { ids: AtomicU64::new(first_id()), ..Counts::default() }),
            env,
        });
        *core.leash.lock() = watchdog::start(&core, self.thread_hold_limit);
        let user = ActorPath::root().child(USER).map_err(StartError::IllegalName)?;
        let system = ActorSystem { core };
        for (index, extension) in self.extensions.iter().enumerate() {
            let started = contained(async { extension.start(&system).await }).await;
            if let Err(failure) = started.flatten() {
                let name = extension.name().to_owned();
                let started = self.extensions.into_iter().take(index).collect();
                let _ = system.core.extensions.set(started);
                system.shutdown().await;
                return Err(StartError::Extension { name, reason: failure.to_string() });
            }
        }
        let _ = system.core.extensions.set(self.extensions);
        let head = Head::new(user, system.core.clone(), None);
        *system.core.guardian.lock() = Some(Arc::new(Guardian::new(head)));
        Ok(system)
    }
}

impl fmt::Debug for SystemBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemBuilder")
            .field("name", &self.name)
            .field("ask_timeout", &self.ask_timeout)
            .field("shutdown_budget", &self.shutdown_budget)
            .field("thread_hold_limit", &self.thread_hold_limit)
            .field(
                "extensions",
                &self.extensions.iter().map(|extension| extension.name()).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

//! How is a system put together, and how does it start?

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::core::{Core, Counts, Gate, OPEN_WITH_CARE, first_id};
use super::{ActorSystem, USER};
use crate::cell::Head;
use crate::dead_letters::DeadLetters;
use crate::deadlines::Deadlines;
use crate::env::Env;
use crate::error::StartError;
use crate::event_bus::Topics;
use crate::extension::{Extension, contained};
use crate::failure::install_panic_hook;
use crate::guardian::Guardian;
use crate::health::Checks;
use crate::path::ActorPath;
use crate::registry::Registry;
use crate::{orphans, watchdog};

/// How a system runs; see [`ActorSystem::builder`].
#[must_use = "a builder does nothing until `start` is awaited"]
pub struct SystemBuilder {
    name: String,
    ask_timeout: Duration,
    shutdown_budget: Duration,
    thread_hold_limit: Duration,
    trace_messages: bool,
    inline_asks: bool,
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

    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ask_timeout: Self::DEFAULT_ASK_TIMEOUT,
            shutdown_budget: Self::DEFAULT_SHUTDOWN_BUDGET,
            thread_hold_limit: Self::DEFAULT_THREAD_HOLD_LIMIT,
            trace_messages: false,
            inline_asks: true,
            extensions: Vec::new(),
            env: None,
        }
    }

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
    /// in a row that do not await: one hold, told once.
    pub fn thread_hold_limit(mut self, limit: Duration) -> Self {
        self.thread_hold_limit = limit;
        self
    }

    /// Whether every message takes a [`TraceContext`](crate::TraceContext) along, and is handled in a `tracing` span
    /// `message` (level INFO) with the fields `actor`, `message_type`, `trace_id`, `span_id` and `parent_id`, so that the log
    /// lines of a handler name what they belong to. Default: no; then nothing of it costs anything. With it, a `tell`
    /// allocates.
    pub fn trace_messages(mut self, trace: bool) -> Self {
        self.trace_messages = trace;
        self
    }

    /// Whether an ask may run its target on the spot, in the poll of the one who asks: when the target sleeps, runs on the
    /// [shared dispatcher](crate::Dispatcher::shared), and its handlers were quick so far. Nothing else changes: messages
    /// are handled one at a time and in order, panics are failures of the target, and a handler that awaits goes on
    /// elsewhere. Who asks inside of a `tracing` span never does it. Default: yes, because it saves two switches of
    /// tasks. Say no where handlers look at a `tokio::task_local!`, which may be the asker's then; where they
    /// `block_in_place`, and are asked from inside a tokio `LocalSet`, which forbids that; and where an asker must not be held
    /// up by a handler that holds its thread, which one in 240 asks to a slow actor may be.
    pub fn inline_asks(mut self, inline: bool) -> Self {
        self.inline_asks = inline;
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
            gate: AtomicU8::new(if self.trace_messages { OPEN_WITH_CARE } else { Gate::Open as u8 }),
            traces: self.trace_messages,
            inline_asks: self.inline_asks,
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
            #[cfg(feature = "metrics")]
            ledger: OnceLock::new(),
            extensions: OnceLock::new(),
            guardian: Mutex::new(None),
            cause: OnceLock::new(),
            report: watch::Sender::new(None),
            forced: watch::Sender::new(false),
            counts: Box::new(Counts { ids: AtomicU64::new(first_id()), ..Counts::default() }),
            env,
        });
        watchdog::start(&core, self.thread_hold_limit, core.report.subscribe());
        orphans::watch_over(&core);
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
            .field("trace_messages", &self.trace_messages)
            .field("inline_asks", &self.inline_asks)
            .field(
                "extensions",
                &self.extensions.iter().map(|extension| extension.name()).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

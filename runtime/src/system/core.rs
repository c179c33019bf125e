//! What do all parts of a system share?
//!
//! The *core*: the gate, the names, the clock, the counts, and the way down.
//!
//! # Invariants
//!
//! * The gate only ever closes further: open, closing (nothing new from outside), stopping, stopped.
//! * A shutdown happens once; everybody who asks for it or waits for it gets the same report.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cell::Head;
use crate::dead_letters::DeadLetters;
use crate::deadlines::Deadlines;
use crate::env::{Env, Hashers};
use crate::error::Refusal;
use crate::event_bus::Topics;
use crate::extension::Extension;
use crate::failure::Crash;
use crate::guardian::Guardian;
use crate::health::Checks;
#[cfg(feature = "metrics")]
use crate::metrics::{Done, Ledger};
use crate::registry::Registry;
use crate::shutdown::ShutdownReport;
use crate::trace::TraceContext;
use crate::{chain, closing};

/// The gate of a system whose messages take their trace along: as open as [`Gate::Open`], but nobody takes the short way
/// that carries nothing.
pub(super) const OPEN_WITH_CARE: u8 = 1;

/// How far a system has closed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Gate {
    Open = 0,
    /// Only actors may send and spawn.
    Closing = 2,
    /// Nobody may spawn.
    Stopping,
    Stopped,
}

/// What all parts of a system share.
pub(crate) struct Core {
    pub(super) gate: AtomicU8,
    /// Beats so far; beside the gate, because both are read on the way of messages.
    pub(super) pulse: AtomicU32,
    /// When the first beat was.
    pub(super) start: Instant,
    /// Actors that have failed, by id.
    pub(super) troubles: DashMap<u64, Trouble, Hashers>,
    pub(crate) env: Env,
    pub(crate) name: String,
    /// Whether messages take their trace along.
    pub(crate) traces: bool,
    /// Whether asks may run their targets on the spot.
    pub(crate) inline_asks: bool,
    pub(crate) ask_timeout: Duration,
    pub(crate) shutdown_budget: Duration,
    pub(crate) registry: Registry,
    pub(crate) deadlines: Arc<Deadlines>,
    pub(super) dead_letters: DeadLetters,
    pub(crate) health: Checks,
    pub(crate) topics: Topics,
    /// The figures of those who ended, by group; only where somebody reads them.
    #[cfg(feature = "metrics")]
    pub(crate) ledger: OnceLock<Mutex<Ledger>>,
    pub(super) extensions: OnceLock<Vec<Arc<dyn Extension>>>,
    pub(super) guardian: Mutex<Option<Arc<Guardian>>>,
    pub(super) cause: OnceLock<Crash>,
    pub(super) report: watch::Sender<Option<ShutdownReport>>,
    /// The shutdown is not to wait for anybody any more.
    pub(super) forced: watch::Sender<bool>,
    /// Apart from what is read for every message: these are written.
    pub(crate) counts: Box<Counts>,
}

/// Bits of an id that count within a system. The number of the system stands above them, so that actors of two
/// systems in one process, which may well talk to each other, are never taken for each other.
pub(crate) const ID_BITS: u32 = 40;

/// The first id of the next system of this process.
pub(super) fn first_id() -> u64 {
    static SYSTEMS: AtomicU64 = AtomicU64::new(0);
    SYSTEMS.fetch_add(1, Ordering::Relaxed) << ID_BITS
}

/// What happened in a system so far.
#[derive(Default)]
pub(crate) struct Counts {
    pub(super) ids: AtomicU64,
    pub(super) spawned: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) restarts: AtomicU64,
    pub(super) held_threads: AtomicU64,
    pub(super) ended_messages: AtomicU64,
    pub(super) ended_deepest: AtomicUsize,
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
    fn ended(&self, messages: u64, deepest: usize) {
        self.ended_messages.fetch_add(messages, Ordering::Release);
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

    /// What a message takes along that is sent now.
    pub(crate) fn trace_for_message(&self) -> Option<TraceContext> {
        self.traces.then(|| TraceContext::for_message(&self.env))
    }

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

    /// An actor has ended, whose mailbox was once so deep: its name is free, and its figures become those of the past.
    ///
    /// In this order: who reads the past first and the living then may miss an actor that is just leaving, and never
    /// counts one twice. What was missed is there the next time; what was too much would have to be taken back.
    pub(crate) fn depart(&self, head: &Head, deepest: usize) {
        #[cfg(feature = "metrics")]
        let failures = self.ledger.get().map(|ledger| (ledger, self.trouble(head.id).failures));
        self.registry.leave(&head.path);
        self.troubles.remove(&head.id);
        let messages = head.processed();
        self.counts.ended(messages, deepest);
        #[cfg(feature = "metrics")]
        if let Some((ledger, failures)) = failures {
            ledger.lock().ended(&head.path, Done { messages, failures });
        }
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
            0..=OPEN_WITH_CARE => Gate::Open,
            2 => Gate::Closing,
            3 => Gate::Stopping,
            _ => Gate::Stopped,
        }
    }

    /// Whether everybody may send, and nothing else is to be done.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == Gate::Open as u8
    }

    /// Whether a message may be sent from here, now.
    pub(crate) fn admits(&self) -> Result<(), Refusal> {
        if self.gate.load(Ordering::Relaxed) <= OPEN_WITH_CARE { Ok(()) } else { self.admits_late() }
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

    pub(super) fn begin_shutdown(self: &Arc<Self>) {
        if self.gate.fetch_max(Gate::Closing as u8, Ordering::AcqRel) < Gate::Closing as u8 {
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
        self.health.end();
        self.dead_letters.end();
        self.topics.end();
        tracing::info!(system = %self.name, %report, "system stopped");
        self.report.send_replace(Some(report));
    }
}

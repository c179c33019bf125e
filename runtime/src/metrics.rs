//! How do the figures of a system reach whoever stores and shows metrics?
//!
//! They are pulled, not pushed: every so often a task looks at the actors and hands what it finds to the recorder that
//! the program installed with the crate [`metrics`](https://docs.rs/metrics). Nothing is done per message, and nothing per
//! actor but at its end, where its figures are added to those of its group.
//!
//! # Invariants
//!
//! * A counter is never handed a smaller value than before.
//! * One task takes all readings, one after the other; the last one after all actors have ended.
//! * The recorder is code of a user: it runs under no lock of ours, and a panic in it costs that one value of that one
//!   reading.

mod ledger;
mod names;
mod reading;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use metrics::{Label, SharedString};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::dead_letters::Reason;
use crate::extension::{Extension, ExtensionFuture};
use crate::failure::{Failure, catch};
use crate::inspection::ActorState;
use crate::log_limit::{LogLimit, Verdict};
use crate::shutdown::Phase;
use crate::system::ActorSystem;

pub(crate) use self::ledger::{Done, Ledger};
use self::names::{Kind, Metric};
use self::reading::Reading;

/// A recorder that panics does so again: one line about it within this time.
const LOG_WINDOW: Duration = Duration::from_mins(1);

/// An extension that hands the figures of a system to the recorder of the crate [`metrics`](https://docs.rs/metrics).
/// Needs the feature `metrics`.
///
/// Which metrics there are, and with which labels, is the table in `docs/metrics.md`. The first reading is taken when
/// the system starts, the last one when all of its actors have ended. Each looks at every actor once. Where no recorder is
/// installed the readings go nowhere, and nothing says so: install one first, or later; it gets the totals in any case.
///
/// ```
/// # use omnitron_runtime::{ActorSystem, Metrics, testkit::Sim};
/// # use std::time::Duration;
/// # let sim = Sim::new(1);
/// # sim.block_on(async {
/// let system = ActorSystem::builder("shop")
///     .extension(Metrics::every(Duration::from_secs(15)).groups(100))
/// #   .env(sim.env())
///     .start()
///     .await?;
/// # system.shutdown().await;
/// # Ok::<(), omnitron_runtime::StartError>(())
/// # }).unwrap();
/// ```
#[must_use = "it does nothing until a system is started with it"]
pub struct Metrics {
    every: Duration,
    groups: usize,
    panics: Arc<AtomicU64>,
    /// Asks the task for its last reading.
    end: Mutex<Option<oneshot::Sender<LastReading>>>,
}

/// Dropped when the last reading has been taken.
type LastReading = oneshot::Sender<()>;

impl Metrics {
    /// Often enough for those who look every 10 or 15 s, which is what scrapers do.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
    /// Less than this between two readings counts as this.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
    /// More than most programs have, and few enough to store.
    pub const DEFAULT_GROUPS: usize = 64;

    /// With this time between two readings; at least [`SHORTEST_INTERVAL`](Self::SHORTEST_INTERVAL).
    /// [`default`](Self::default) is every 5 s. With [`Duration::MAX`] there are only the first and the last one.
    pub fn every(interval: Duration) -> Self {
        Self {
            every: interval.max(Self::SHORTEST_INTERVAL),
            groups: Self::DEFAULT_GROUPS,
            panics: Arc::default(),
            end: Mutex::new(None),
        }
    }

    /// The most groups of actors that are told apart, by the first name below `/user`. Those that are seen later are
    /// together the group `other`, so that names which come and go make no metrics without end. Default: 64.
    pub fn groups(mut self, most: usize) -> Self {
        self.groups = most;
        self
    }

    /// How often the recorder panicked. Each time, one value of one reading was lost.
    pub fn recorder_panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}

impl Default for Metrics {
    /// Every 5 s, 64 groups.
    fn default() -> Self {
        Self::every(Self::DEFAULT_INTERVAL)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("every", &self.every)
            .field("groups", &self.groups)
            .field("recorder_panics", &self.recorder_panics())
            .finish_non_exhaustive()
    }
}

impl Extension for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn start<'a>(&'a self, system: &'a ActorSystem) -> ExtensionFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            if system.core().ledger.set(Mutex::new(Ledger::new(self.groups))).is_err() {
                return Err(Failure::msg("the system has an extension `Metrics` already: add one"));
            }
            let (end, ended) = oneshot::channel();
            *self.end.lock() = Some(end);
            let meter = Meter {
                system: system.clone(),
                recorder: Recorder {
                    system: system.name().to_owned().into(),
                    highest: BTreeMap::new(),
                    failure: None,
                    panics: self.panics.clone(),
                },
                log: LogLimit::new(1, LOG_WINDOW),
            };
            system.env().spawn(|| "metrics".to_owned(), meter.run(self.every, ended));
            Ok(())
        })
    }

    fn stop<'a>(&'a self, phase: Phase, _system: &'a ActorSystem) -> ExtensionFuture<'a, ()> {
        Box::pin(async move {
            if phase != Phase::Close {
                return;
            }
            let end = self.end.lock().take();
            let (done, is_done) = oneshot::channel();
            if end.is_some_and(|end| end.send(done).is_ok()) {
                // An error is the answer: the sender was dropped, by the task that is done or with it.
                let _ = is_done.await;
            }
        })
    }
}

/// The task that takes the readings of a system.
struct Meter {
    system: ActorSystem,
    recorder: Recorder,
    log: LogLimit,
}

impl Meter {
    async fn run(mut self, every: Duration, mut end: oneshot::Receiver<LastReading>) {
        loop {
            self.read().await;
            // Counted from the end of a reading: readings that take long do not pile up.
            match select(self.system.env().sleep(every), &mut end).await {
                Either::Left(_) => {}
                Either::Right((last, _)) => {
                    self.read().await;
                    drop(last);
                    return;
                }
            }
        }
    }

    async fn read(&mut self) {
        let core = self.system.core();
        let Some(ledger) = core.ledger.get() else { return };
        let reading = Reading::take(core, ledger).await;
        // With every reading: a recorder may be installed later than the system starts.
        for metric in names::ALL {
            self.recorder.describe(metric);
        }
        self.recorder.system(&reading);
        for reason in Reason::ALL {
            let count = self.system.dead_letters().count(reason);
            self.recorder.counter(&names::DEAD_LETTERS, reason.word(), count);
        }
        self.recorder.groups(&reading);
        let Some(failure) = self.recorder.failure.take() else { return };
        if let Verdict::Log { suppressed } = self.log.allow(self.system.env().now()) {
            let (system, place) = (self.system.name(), failure.place());
            tracing::error!(system, %failure, place, suppressed, "the recorder of metrics panicked: a reading is incomplete");
        }
    }
}

/// Hands values to the recorder of the program.
struct Recorder {
    system: SharedString,
    /// The highest value of each counter so far, by name and label.
    highest: BTreeMap<(&'static str, String), u64>,
    /// Of the first panic in this reading.
    failure: Option<Failure>,
    panics: Arc<AtomicU64>,
}

impl Recorder {
    fn describe(&mut self, metric: &Metric) {
        let (name, unit, help) = (metric.name, metric.unit, metric.help);
        self.survive(|| match metric.kind {
            Kind::Counter => metrics::describe_counter!(name, unit, help),
            Kind::Gauge => metrics::describe_gauge!(name, unit, help),
        });
    }

    fn system(&mut self, reading: &Reading) {
        let stats = &reading.stats;
        self.gauge(&names::ACTORS, "", figure(stats.actors));
        for (state, &actors) in ActorState::ALL.iter().zip(&reading.states) {
            self.gauge(&names::ACTORS_BY_STATE, state.word(), figure(actors));
        }
        self.counter(&names::SPAWNED, "", stats.spawned);
        self.counter(&names::MESSAGES, "", stats.messages);
        self.counter(&names::FAILURES, "", stats.failures);
        self.counter(&names::RESTARTS, "", stats.restarts);
        self.counter(&names::HELD_THREADS, "", stats.held_threads);
        self.gauge(&names::DEPTH, "", figure(reading.depth));
        self.gauge(&names::DEEPEST, "", figure(stats.deepest_mailbox));
        self.gauge(&names::OLDEST, "", reading.oldest.as_secs_f64());
    }

    fn groups(&mut self, reading: &Reading) {
        for group in &reading.groups {
            let (name, figures) = (&group.name, &group.figures);
            self.gauge(&names::GROUP_ACTORS, name, figure(figures.actors));
            self.gauge(&names::GROUP_DEPTH, name, figure(figures.depth));
            self.counter(&names::GROUP_MESSAGES, name, figures.done.messages);
            self.counter(&names::GROUP_FAILURES, name, figures.done.failures);
        }
    }

    /// A reading may miss an actor that is just leaving. A counter that fell would be taken for one that began anew, and
    /// all of it be added again.
    fn counter(&mut self, metric: &Metric, label: &str, value: u64) {
        let highest = self.highest.entry((metric.name, label.to_owned())).or_default();
        *highest = value.max(*highest);
        let (value, labels) = (*highest, self.labels(metric, label));
        self.survive(|| metrics::counter!(metric.name, labels).absolute(value));
    }

    fn gauge(&mut self, metric: &Metric, label: &str, value: f64) {
        let labels = self.labels(metric, label);
        self.survive(|| metrics::gauge!(metric.name, labels).set(value));
    }

    fn labels(&self, metric: &Metric, label: &str) -> Vec<Label> {
        let system = Label::new(names::SYSTEM, self.system.clone());
        let own = metric.label.map(|name| Label::new(name, label.to_owned()));
        std::iter::once(system).chain(own).collect()
    }

    fn survive(&mut self, call: impl FnOnce()) {
        if let Err(failure) = catch(call) {
            self.panics.fetch_add(1, Ordering::Relaxed);
            self.failure.get_or_insert(failure);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2⁵³ actors or messages at once")]
fn figure(count: usize) -> f64 {
    count as f64
}

//! Which metrics are there?
//!
//! One list, which `docs/metrics.md` shows as a table. `tests/metrics` compares that table with what a recorder gets.
//!
//! # Invariants
//!
//! * Names, kinds and labels are an interface: what reads them is out of sight. A name may come; one that goes or changes
//!   is a breaking change.

use metrics::Unit;

/// The label that all of them have: the name of the system.
pub(super) const SYSTEM: &str = "system";

/// One metric.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    /// The label beside [`SYSTEM`], if it has one.
    pub(super) label: Option<&'static str>,
    pub(super) help: &'static str,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// It only ever rises.
    Counter,
    Gauge,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, label: None, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: Unit::Count, label: None, help }
}

impl Metric {
    const fn by(self, label: &'static str) -> Self {
        Self { label: Some(label), ..self }
    }

    const fn in_seconds(self) -> Self {
        Self { unit: Unit::Seconds, ..self }
    }
}

pub(super) const ACTORS: Metric = gauge("omnitron_actors", "Actors that live");
pub(super) const ACTORS_BY_STATE: Metric =
    gauge("omnitron_actors_by_state", "Actors that live, by what they do").by("state");
pub(super) const SPAWNED: Metric = counter("omnitron_actors_spawned_total", "Actors that were ever spawned");
pub(super) const MESSAGES: Metric = counter("omnitron_messages_total", "Messages handled");
pub(super) const FAILURES: Metric =
    counter("omnitron_failures_total", "Failures of actors: errors, panics, exceeded limits");
pub(super) const RESTARTS: Metric = counter("omnitron_restarts_total", "Restarts of actors");
pub(super) const HELD_THREADS: Metric =
    counter("omnitron_held_threads_total", "Times that a handler held a shared thread for too long");
pub(super) const DEAD_LETTERS: Metric =
    counter("omnitron_dead_letters_total", "Messages that could not be delivered, by why").by("reason");
pub(super) const DEPTH: Metric =
    gauge("omnitron_mailbox_depth", "Messages that wait in mailboxes or were taken and not handled yet");
pub(super) const DEEPEST: Metric =
    gauge("omnitron_mailbox_deepest", "The most messages that ever were in one mailbox");
pub(super) const OLDEST: Metric = gauge(
    "omnitron_mailbox_oldest_seconds",
    "The age of the oldest message in any mailbox, zero without one",
)
.in_seconds();
pub(super) const GROUP_ACTORS: Metric =
    gauge("omnitron_group_actors", "Actors of a group that live").by("group");
pub(super) const GROUP_DEPTH: Metric =
    gauge("omnitron_group_depth", "Messages in the mailboxes of a group").by("group");
pub(super) const GROUP_MESSAGES: Metric =
    counter("omnitron_group_messages_total", "Messages that actors of a group handled").by("group");
pub(super) const GROUP_FAILURES: Metric =
    counter("omnitron_group_failures_total", "Failures of actors of a group").by("group");

pub(super) const ALL: [&Metric; 15] = [
    &ACTORS,
    &ACTORS_BY_STATE,
    &SPAWNED,
    &MESSAGES,
    &FAILURES,
    &RESTARTS,
    &HELD_THREADS,
    &DEAD_LETTERS,
    &DEPTH,
    &DEEPEST,
    &OLDEST,
    &GROUP_ACTORS,
    &GROUP_DEPTH,
    &GROUP_MESSAGES,
    &GROUP_FAILURES,
];

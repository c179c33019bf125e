//! What can others see of a projection while it runs?

use std::sync::atomic::{AtomicU64, Ordering};

use omnitron_runtime::CheckResult;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::id::{PersistenceId, Sequence};
use crate::offset::{Offset, Position};

/// What a part of a projection does.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Doing {
    /// It reads what is there, or waits for more.
    Runs,
    /// Somebody [paused](super::ProjectionRef::pause) it.
    Paused,
    /// It cannot go on now, and tries again by itself.
    Suspended {
        /// How many attempts have failed in a row.
        attempts: u32,
        /// Why.
        reason: String,
    },
    /// It cannot take an event: [retry](super::ProjectionRef::retry) or [skip](super::ProjectionRef::skip) it.
    Halted {
        /// Whose event it is.
        id: PersistenceId,
        /// Which of its events.
        sequence: Sequence,
        /// Why it cannot be taken.
        reason: String,
    },
    /// It cannot read, and trying again does not help: another journal, a damaged offset, events that were deleted.
    Unreadable {
        /// Why, and what to do.
        reason: String,
    },
    /// It has ended.
    Ended,
}

impl Doing {
    pub(crate) fn check(&self) -> CheckResult {
        match self {
            Self::Runs => CheckResult::Healthy,
            Self::Paused => CheckResult::Degraded("it is paused".to_owned()),
            Self::Suspended { attempts, reason } => {
                CheckResult::Degraded(format!("suspended after {attempts} attempts: {reason}"))
            }
            Self::Halted { id, sequence, reason } => {
                CheckResult::Unhealthy(format!("halted at event {sequence} of `{id}`: {reason}"))
            }
            Self::Unreadable { reason } => CheckResult::Unhealthy(reason.clone()),
            Self::Ended => CheckResult::Unhealthy("it has ended".to_owned()),
        }
    }
}

/// A part as it is now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartStatus {
    /// What it does.
    pub doing: Doing,
    /// How far it is: everything up to here is in the read model.
    pub offset: Offset,
    /// How many events it has put into the read model since it was started.
    pub events: u64,
    /// Whether it has read the journal to its end since it was started, or was further.
    pub is_live: bool,
}

/// The status of a part, and who waits for it to change.
pub(crate) struct Board {
    status: Mutex<PartStatus>,
    changed: watch::Sender<()>,
    opened: AtomicU64,
}

impl Board {
    pub(crate) fn new(journal: u64) -> Self {
        let status =
            PartStatus { doing: Doing::Runs, offset: Offset::start(journal), events: 0, is_live: false };
        Self { status: Mutex::new(status), changed: watch::Sender::new(()), opened: AtomicU64::new(0) }
    }

    /// A read model was opened. How many were before.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn get(&self) -> PartStatus {
        self.status.lock().clone()
    }

    pub(crate) fn covers(&self, position: Position) -> bool {
        self.status.lock().offset.covers(position)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut PartStatus)) {
        change(&mut self.status.lock());
        self.changed.send_replace(());
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

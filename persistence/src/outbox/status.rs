//! What can others see of an outbox while it runs?

use omnitron_runtime::CheckResult;

use super::item::{Item, Trouble};
use crate::id::{PersistenceId, Sequence};
use crate::post::Receiver;

/// The most receivers that a status lists; all are counted.
pub(super) const LISTED: usize = 100;
/// After so many failures in a row the health of the system shows a receiver.
const NOTICED: u32 = 3;

/// What an outbox does.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Doing {
    /// It delivers what there is, or waits for more.
    Runs,
    /// It cannot read the journal now, and tries again by itself.
    Suspended {
        /// How many attempts have failed in a row.
        attempts: u32,
        /// Why.
        reason: String,
    },
    /// It cannot read, and trying again does not help: another journal, a damaged offset, a post that cannot be read.
    Unreadable {
        /// Why, and what to do.
        reason: String,
    },
}

/// A receiver that does not take a post. What is posted to others is delivered all the same.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Blocked {
    /// The receiver.
    pub receiver: Receiver,
    /// Who posted what it does not take.
    pub from: PersistenceId,
    /// Which of the sender's events it is.
    pub sequence: Sequence,
    /// The stable name of the message.
    pub message: String,
    /// How many attempts have failed in a row.
    pub attempts: u32,
    /// Why the last one failed.
    pub reason: String,
}

/// An outbox as it is now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// What it does.
    pub doing: Doing,
    /// How many posts it has delivered or given up since it began to read, those among them that had been delivered before.
    pub delivered: u64,
    /// How many posts it holds in memory.
    pub waiting: usize,
    /// How many receivers do not take a post now.
    pub blocked_count: usize,
    /// The first 100 of those, in the order of their names.
    pub blocked: Vec<Blocked>,
}

impl OutboxStatus {
    pub(super) fn closed(doing: Doing) -> Self {
        Self { doing, delivered: 0, waiting: 0, blocked_count: 0, blocked: Vec::new() }
    }

    pub(super) fn check(&self) -> CheckResult {
        match &self.doing {
            Doing::Unreadable { reason } => return CheckResult::Unhealthy(reason.clone()),
            Doing::Suspended { attempts, reason } => {
                return CheckResult::Degraded(format!("suspended after {attempts} attempts: {reason}"));
            }
            Doing::Runs => {}
        }
        match self.blocked.iter().find(|blocked| blocked.attempts >= NOTICED) {
            Some(Blocked { receiver, attempts, reason, .. }) => CheckResult::Degraded(format!(
                "`{receiver}` does not take a post after {attempts} attempts: {reason} ({} receivers in all)",
                self.blocked_count
            )),
            None => CheckResult::Healthy,
        }
    }
}

pub(super) fn blocked((item, trouble): (&Item, &Trouble)) -> Blocked {
    Blocked {
        receiver: item.post.receiver().clone(),
        from: item.from.clone(),
        sequence: item.sequence,
        message: item.post.name().to_owned(),
        attempts: trouble.attempts,
        reason: trouble.reason.clone(),
    }
}

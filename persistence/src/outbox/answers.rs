//! How do receivers tell an outbox what became of a delivery?
//!
//! They put it into a list that the outbox takes whole, and wake it once. The list belongs to one incarnation of the outbox: what comes for an earlier one is
//! read by nobody, and does no harm.
//!
//! # Invariants
//!
//! * There are never more answers than deliveries on their way, which are bounded.
//! * Nobody is woken under the lock.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::offset::Position;

/// What became of a delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Said {
    /// It was received, and that is durable.
    Done,
    /// It was not, because of this.
    Failed(String),
    /// It was dropped on the way; it **may** have been received.
    Dropped,
}

/// An answer to one delivery.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) receiver: Arc<str>,
    pub(crate) position: Position,
    pub(crate) attempt: u64,
    pub(crate) said: Said,
}

/// Answers that were not looked at.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    list: Mutex<Vec<Answer>>,
    told: Notify,
}

impl Answers {
    pub(crate) fn put(&self, answer: Answer) {
        let first = {
            let mut list = self.list.lock();
            list.push(answer);
            list.len() == 1
        };
        if first {
            self.told.notify_one();
        }
    }

    pub(super) fn take(&self, hands: &mut Vec<Answer>) {
        std::mem::swap(&mut *self.list.lock(), hands);
    }

    /// Waits until there are some.
    pub(super) async fn told(&self) {
        loop {
            // Before the look: what is put after it leaves a mark.
            let told = self.told.notified();
            if !self.list.lock().is_empty() {
                return;
            }
            told.await;
        }
    }
}

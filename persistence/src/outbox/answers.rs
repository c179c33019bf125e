//! How do receivers tell an outbox what became of a delivery?
//!
//! They put it into a list that the outbox takes whole, and tell it once. The list belongs to one incarnation of the outbox: what comes for an earlier one is
//! read by nobody, and does no harm.
//!
//! # Invariants
//!
//! * There are never more answers than deliveries on their way, which are bounded.
//! * Nobody is told under the lock. Whoever could not be told looks by himself, every second.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

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
pub(crate) struct Answers {
    list: Mutex<Vec<Answer>>,
    /// Somebody was told, and has not looked since.
    is_told: AtomicBool,
    tell: Box<dyn Fn() + Send + Sync>,
}

impl Answers {
    /// A list; `tell` is to tell its reader that there is something in it.
    pub(super) fn new(tell: impl Fn() + Send + Sync + 'static) -> Self {
        Self { list: Mutex::default(), is_told: AtomicBool::new(false), tell: Box::new(tell) }
    }

    pub(crate) fn put(&self, answer: Answer) {
        self.list.lock().push(answer);
        if !self.is_told.swap(true, Ordering::AcqRel) {
            (self.tell)();
        }
    }

    /// The reader was told: whoever comes from now on tells again. Before the look, so that none is overlooked.
    pub(super) fn told(&self) {
        self.is_told.store(false, Ordering::Release);
    }

    pub(super) fn take(&self, hands: &mut Vec<Answer>) {
        std::mem::swap(&mut *self.list.lock(), hands);
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("count", &self.list.lock().len()).finish_non_exhaustive()
    }
}

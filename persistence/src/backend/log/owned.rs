//! Who still writes to the folder, and when is it free for others?
//!
//! The lock is held by the writer and by whatever else writes, for as long as it does: a rewrite, an index, a snapshot, a lease. So a journal is closed when the last of them is done,
//! and what comes later is refused.
//!
//! # Invariants
//!
//! * Nothing is written to the folder by one who does not hold it.
//! * The lock is given up before anybody learns that the journal is closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::watch;

use crate::backend::Fault;

/// The lock, while somebody writes.
pub(crate) struct Held {
    lock: Option<Box<dyn Send + Sync>>,
    ended: AtomicBool,
    closed: watch::Sender<bool>,
}

impl Held {
    pub(crate) fn new(lock: Box<dyn Send + Sync>) -> Arc<Self> {
        let (closed, _) = watch::channel(false);
        Arc::new(Self { lock: Some(lock), ended: AtomicBool::new(false), closed })
    }

    /// Nobody begins anything from now on, and what runs for long gives up.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether what runs for long is to give up.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Learns when the folder is free.
    pub(crate) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.lock.take());
        self.closed.send_replace(true);
    }
}

/// A way to the lock for those who write now and then.
#[derive(Clone)]
pub(crate) struct Owned(Weak<Held>);

impl Owned {
    pub(crate) fn by(held: &Arc<Held>) -> Self {
        Self(Arc::downgrade(held))
    }

    /// The lock, to be kept while something is written.
    ///
    /// # Errors
    ///
    /// The journal was closed.
    pub(crate) fn hold(&self) -> Result<Arc<Held>, Fault> {
        self.0.upgrade().filter(|held| !held.has_ended()).ok_or_else(gone)
    }
}

/// What is said of a journal that was closed.
pub(crate) fn gone() -> Fault {
    Fault::new("it was closed, or its writer has ended", "the journal", "Open it again")
}

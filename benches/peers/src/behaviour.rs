//! What does an actor do, whoever runs it?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The state of an actor and its synchronous handler, the same for every contestant.
pub trait Behaviour: Send + Unpin + 'static {
    /// What it can be told.
    type Msg: Send + 'static;

    /// Handles one message.
    fn receive(&mut self, message: Self::Msg);

    /// The answer to an ask.
    fn value(&self) -> u64;
}

/// Opens when it has been counted down to zero; one waits for it.
#[derive(Debug)]
pub struct Latch {
    left: AtomicUsize,
    open: Notify,
}

impl Latch {
    /// Opens after `count` steps.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(count), open: Notify::new() })
    }

    /// One step.
    pub fn count_down(&self) {
        match self.left.fetch_sub(1, Ordering::AcqRel) {
            0 => panic!("more steps than were expected: something happened twice"),
            1 => self.open.notify_one(),
            _ => {}
        }
    }

    /// Waits until it is open. A step that is lost is found by the time limit of the [run](crate::child).
    pub async fn wait(&self) {
        self.open.notified().await;
    }
}

/// Adds up, and opens its latch when the sum is complete.
#[derive(Debug)]
pub struct Counter {
    sum: u64,
    total: u64,
    done: Arc<Latch>,
}

impl Counter {
    /// Counts `done` down once the sum is `total`.
    pub fn new(total: u64, done: Arc<Latch>) -> Self {
        Self { sum: 0, total, done }
    }
}

impl Behaviour for Counter {
    type Msg = u64;

    fn receive(&mut self, message: u64) {
        self.sum += message;
        if self.sum == self.total {
            self.done.count_down();
        }
    }

    fn value(&self) -> u64 {
        self.sum
    }
}

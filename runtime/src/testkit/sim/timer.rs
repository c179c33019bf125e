//! A wait for a point of virtual time.
//!
//! # Invariants
//!
//! * A timer is registered from its first poll before its deadline until it fires or is dropped, and at no
//!   other time: a dropped wait leaves nothing behind that could wake a task or move the time.
//! * Its place among the timers of the same instant is the one it got first: a new waker does not change it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::Executor;

/// Ends at its deadline. At once, if that has passed.
pub(crate) struct Timer {
    executor: Arc<Executor>,
    deadline: Instant,
    /// The number under which the executor knows this timer, once it does.
    registered: Option<u64>,
}

impl Timer {
    pub(crate) fn new(executor: Arc<Executor>, deadline: Instant) -> Timer {
        Timer { executor, deadline, registered: None }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.executor.poll_timer(self.deadline, &mut self.registered, context.waker())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(number) = self.registered {
            self.executor.forget_timer(self.deadline, number);
        }
    }
}

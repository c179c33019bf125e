//! What does a task of tokio do that runs actors?
//!
//! It takes from its own queue, then from the queue of all, then from those of the others; gives way to tokio every so
//! often; and sleeps when there is nothing. A *spare* driver has come because all others are held up by handlers that
//! block, and ends when there is nothing.
//!
//! # Invariants
//!
//! * While a driver is polled, its queue lies with the thread, where those look for it who wake actors.
//! * That a driver is dropped is the end of the runtime, unless nobody needs drivers any more or it is a spare one.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use async_task::Runnable;
use crossbeam_deque::Worker;
use tokio::task::coop;

use super::{HERE, Local, Shared};
use crate::failure::catch;

/// What a driver runs before it gives way to tokio: long enough to pay for that, short enough that sockets and timers,
/// which tokio looks at after 61 tasks, do not wait long.
const SLICE: u32 = 64;
/// What an actor counts that gave way: it has handled a whole budget of messages, or waits a moment for more.
const FULL_TURN: u32 = 16;

/// How often a driver has run an actor: whoever sees that stand still knows that the driver is held up, or sleeps. Apart
/// from all else, because its driver writes it every time.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Turns(AtomicU32);

impl Turns {
    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn next(&self) {
        self.0.store(self.count().wrapping_add(1), Ordering::Relaxed);
    }
}

/// A task of tokio that runs actors.
pub(super) struct Driver {
    shared: Arc<Shared>,
    /// `None` for a spare one, which has no queue of its own: nobody would find what lies there.
    number: Option<usize>,
    /// Lies with the thread while this is polled.
    queue: Option<Worker<Runnable>>,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, number: usize, queue: Worker<Runnable>) -> Self {
        Self { shared, number: Some(number), queue: Some(queue) }
    }

    pub(super) fn spare(shared: Arc<Shared>) -> Self {
        Self { shared, number: None, queue: None }
    }
}

/// What a driver does after it has run actors for a while.
enum Then {
    GoOn,
    Sleep,
    End,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let shared = this.shared.clone();
        let local = this.queue.take().map(|queue| Local { shared, queue, gave_way: false, called: false });
        // A driver may be polled inside of another's poll, by a `block_on` in a handler.
        let outer = HERE.with(|here| here.local.replace(local));
        let then = this.work(cx);
        let local = HERE.with(|here| here.local.replace(outer));
        this.queue = local.map(|local| local.queue);
        match then {
            Then::GoOn => cx.waker().wake_by_ref(),
            Then::Sleep => {}
            Then::End => return Poll::Ready(()),
        }
        Poll::Pending
    }
}

impl Driver {
    /// Runs actors for a while.
    fn work(&self, cx: &Context<'_>) -> Then {
        let shared = &*self.shared;
        if self.number.is_none() {
            shared.spare_comes.store(false, Ordering::Relaxed);
        }
        let turns = shared.turns(self.number);
        let mut left = SLICE;
        // Those from elsewhere first: a queue of one's own may never be empty.
        let mut next = HERE.with(|here| shared.injected(&here.local.borrow().as_ref()?.queue));
        while left > 0 && coop::has_budget_remaining() {
            let Some(runnable) = next.take().or_else(|| self.next()) else {
                let Some(number) = self.number else { return Then::End };
                if shared.over.load(Ordering::Relaxed) {
                    return Then::End;
                }
                if shared.sleepers.sleep(number, cx.waker().clone(), || shared.has_news()) {
                    return Then::Sleep;
                }
                continue;
            };
            turns.next();
            // Actors turn the panics of their users into failures themselves; a bug of ours ends its task, not this one.
            let _ = catch(|| runnable.run());
            left = left.saturating_sub(cost());
        }
        Then::GoOn
    }

    /// The next to run.
    fn next(&self) -> Option<Runnable> {
        let Some(number) = self.number else { return self.shared.find_one() };
        HERE.with(|here| {
            let mut local = here.local.borrow_mut();
            let Local { queue, called, .. } = local.as_mut()?;
            let next = queue.pop().or_else(|| self.shared.find(number, queue));
            if next.is_some() && !queue.is_empty() {
                *called |= self.shared.sleepers.call_another();
            }
            next
        })
    }
}

/// What the actor that just ran on this thread takes off a slice.
fn cost() -> u32 {
    HERE.with(|here| {
        let mut local = here.local.borrow_mut();
        let Some(Local { gave_way, called, .. }) = &mut *local else { return 1 };
        match (mem::take(called), mem::take(gave_way)) {
            // Whoever was called runs when this one gives way.
            (true, _) => SLICE,
            (false, true) => FULL_TURN,
            (false, false) => 1,
        }
    })
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.number.is_none() || self.shared.over.load(Ordering::Relaxed) {
            return;
        }
        for runnable in self.queue.iter().flat_map(|queue| std::iter::from_fn(|| queue.pop())) {
            self.shared.injected.lock().push_back(runnable);
        }
        self.shared.close();
    }
}

//! What can end a hook before it is done?
//!
//! A hook that is ready at once pays nothing here. Only one that awaits is looked after: its time limit runs, waiting
//! senders are let in, and a request to stop gives it its grace and then cancels it.
//!
//! # Invariants
//!
//! * A hook is only ever cancelled at an await point, by the drop of its future.
//! * A `Drain` never cancels: what is queued is to be handled.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::cell::Cell;
use crate::env::Sleep;
use crate::failure::Failure;
use crate::mailbox::inbox::Urge;
use crate::spawn::Limits;

/// How a hook ended.
pub(crate) enum Ended {
    Done(Result<(), Failure>),
    OverLimit(Duration),
    /// The actor is to stop, and its grace is over.
    Cancelled,
}

/// A hook that is looked after.
pub(crate) struct Guarded<'a, M, F> {
    hook: Pin<&'a mut F>,
    cell: &'a Cell<M>,
    limits: &'a Limits,
    /// Messages that are taken and not handled: those that wait behind this hook, and the one it handles, if any.
    left: usize,
    /// The cell knows that the hook awaits.
    noted: bool,
    /// The hook was polled already in this activation.
    is_pending: bool,
    alarms: Option<Box<Alarms>>,
}

#[derive(Default)]
struct Alarms {
    limit: Option<Sleep>,
    grace: Option<Sleep>,
}

impl<'a, M, F> Guarded<'a, M, F>
where
    M: Send + 'static,
    F: Future<Output = Result<(), Failure>>,
{
    pub(crate) fn new(cell: &'a Cell<M>, limits: &'a Limits, left: usize, hook: Pin<&'a mut F>) -> Self {
        Self { hook, cell, limits, left, noted: false, is_pending: false, alarms: None }
    }

    /// A hook that was polled, with the waker of this task, and awaits.
    pub(crate) fn pending(cell: &'a Cell<M>, limits: &'a Limits, left: usize, hook: Pin<&'a mut F>) -> Self {
        Self { hook, cell, limits, left, noted: false, is_pending: true, alarms: None }
    }

    #[cold]
    fn look_after(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let env = &self.cell.head().core.env;
        if !std::mem::replace(&mut self.noted, true) {
            self.cell.inbox.note_pause();
        }
        let urge = self.cell.inbox.pause(self.left, cx);
        if urge == Some(Urge::Kill) {
            return Poll::Ready(Ended::Cancelled);
        }
        let stopping = urge == Some(Urge::Stop);
        if self.limits.handler.is_none() && !stopping {
            return Poll::Pending;
        }
        let alarms = self.alarms.get_or_insert_default();
        if let Some(limit) = self.limits.handler {
            let alarm = alarms.limit.get_or_insert_with(|| env.sleep(limit));
            if Pin::new(alarm).poll(cx).is_ready() {
                return Poll::Ready(Ended::OverLimit(limit));
            }
        }
        if stopping {
            let grace = self.limits.stop_grace;
            let alarm = alarms.grace.get_or_insert_with(|| env.sleep(grace));
            if Pin::new(alarm).poll(cx).is_ready() {
                return Poll::Ready(Ended::Cancelled);
            }
        }
        Poll::Pending
    }
}

impl<M, F> Future for Guarded<'_, M, F>
where
    M: Send + 'static,
    F: Future<Output = Result<(), Failure>>,
{
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        if std::mem::take(&mut self.is_pending) {
            return self.look_after(cx);
        }
        match self.hook.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Ended::Done(result)),
            Poll::Pending => self.look_after(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use crate::actor::Actor;
    use crate::context::Context;
    use crate::error::Refusal;
    use crate::failure::Failure;
    use crate::mailbox::Mailbox;
    use crate::spawn::Spawn;
    use crate::system::ActorSystem;
    use crate::testkit::Sim;

    struct Stuck;

    impl Actor for Stuck {
        type Msg = u32;

        async fn receive(&mut self, _: u32, _: &mut Context<Self>) -> Result<(), Failure> {
            pending().await
        }
    }

    #[test]
    fn a_message_counts_against_the_capacity_until_its_handler_is_done() {
        let sim = Sim::new(1);
        let (system, stuck) = sim.block_on(async {
            let system = ActorSystem::builder("test").env(sim.env()).start().await.unwrap();
            let stuck = system.spawn("stuck", Spawn::new(|| Stuck).mailbox(Mailbox::bounded(2))).unwrap();
            stuck.tell(1).unwrap();
            (system, stuck)
        });
        sim.run_until_idle();
        assert_eq!(stuck.depth(), 1);
        stuck.tell(2).unwrap();
        assert_eq!(stuck.tell(3).unwrap_err().reason, Refusal::Full { capacity: 2 });
        system.force_shutdown();
        sim.block_on(system.terminated());
    }
}

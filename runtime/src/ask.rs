//! What happens between a question and its answer, on the side of the one who asks?
//!
//! # Invariants
//!
//! * An ask always ends: by the reply, by the loss of it, or by its deadline; and says whether the target acted.
//! * One deadline covers the wait for room and the wait for the reply.
//! * An ask that is done gives its slot back to the thread's pool, if nobody else can reach it any more; so a steady
//!   stream of asks allocates nothing.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::coop;

use crate::actor_ref::ActorRef;
use crate::cell::{Cell, Envelope};
use crate::chain;
use crate::deadlines::Deadlines;
use crate::error::{AskError, Refusal};
use crate::foreign::Foreign;
use crate::pace::Inline;
use crate::path::ActorPath;
use crate::pool;
use crate::reply::{Answer, Loss, ReplyTo, Slot};
use crate::run_queue::{self, Caught};
use crate::sync::{Arc, Ordering};
use crate::system::Core;

/// Slots kept per thread and type of reply. More than this many asks at once allocate.
const POOL_LIMIT: usize = 1024;

/// A question on its way; see [`ActorRef::ask`]. Await it.
#[must_use = "a question is asked when this is awaited"]
pub struct Ask<M: Send + 'static, T: Send + 'static, F> {
    to: ActorRef<M>,
    make: Option<F>,
    within: Option<Duration>,
    slot: Option<Arc<Slot<T>>>,
    /// The number under which the message waits for room.
    waits: Option<u64>,
}

impl<M: Send + 'static, T: Send + 'static, F> Ask<M, T, F> {
    pub(crate) fn new(to: ActorRef<M>, make: F) -> Self {
        Self { to, make: Some(make), within: None, slot: None, waits: None }
    }

    /// Ends the ask when this much time has passed since it was first polled, rounded up to the next 10 ms tick; it
    /// ends up to two ticks later. A target that is run [on the spot](crate::SystemBuilder::inline_asks) and holds its thread
    /// holds up the ask, too, and the time begins after that. Default: the system's [ask time-out](crate::SystemBuilder::ask_timeout).
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    fn limit(&self) -> Duration {
        self.within.unwrap_or(self.to.cell.head().core.ask_timeout)
    }

    /// Why there is no reply.
    fn lost(&self, loss: Loss) -> AskError {
        match loss {
            Loss::Unhandled => AskError::Unhandled,
            Loss::Abandoned => AskError::Abandoned,
            Loss::Crashed => AskError::Crashed,
            Loss::Unavailable => AskError::Unavailable,
            Loss::Unconfirmed => AskError::Unconfirmed,
            Loss::TimedOut => AskError::TimedOut { after: self.limit() },
            Loss::Expired => AskError::Expired { after: self.limit() },
        }
    }

    /// Puts the question into the mailbox, or in line for it.
    fn begin(&mut self, cx: &mut Context<'_>) -> Result<(), AskError>
    where
        F: FnOnce(ReplyTo<T>) -> M,
    {
        let Some(make) = self.make.take() else { panic!("an ask was polled after it was ready") };
        let cell = &self.to.cell;
        let head = cell.head();
        let chain = chain::for_question_to(head.id).map_err(|chain| cycle(&head.core, &chain, &head.path))?;
        let deadlines = &head.core.deadlines;
        let slot = take_slot::<T>(deadlines);
        slot.open(chain);
        let envelope =
            Envelope { ticket: Some(slot.ticket().clone()), message: make(ReplyTo::new(slot.clone())) };
        self.slot = Some(slot);
        let delivered =
            if head.core.inline_asks { inline(cell, envelope, cx) } else { cell.deliver_now(envelope) };
        let offered = match delivered {
            Ok(()) => Ok(None),
            Err(envelope) => cell.offer(envelope, cx),
        };
        match offered {
            Ok(number) => {
                self.waits = number;
                Ok(())
            }
            Err(reason) => Err(AskError::Refused(reason)),
        }
    }

    fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, AskError>>
    where
        F: FnOnce(ReplyTo<T>) -> M,
    {
        if self.slot.is_none()
            && let Err(error) = self.begin(cx)
        {
            return Poll::Ready(Err(error));
        }
        let cell = &self.to.cell;
        if let Some(number) = self.waits {
            match cell.poll_question(number, cx) {
                Poll::Ready(Ok(())) => self.waits = None,
                Poll::Ready(Err(reason)) => {
                    self.waits = None;
                    return Poll::Ready(Err(AskError::Refused(reason)));
                }
                Poll::Pending => {}
            }
        }
        let Some(slot) = &self.slot else { return Poll::Pending };
        match std::task::ready!(slot.poll_within(self.limit(), cx)) {
            Answer::Reply(reply) => Poll::Ready(Ok(reply)),
            Answer::Lost(loss) => {
                if self.waits.take().is_some_and(|number| cell.withdraw(number)) {
                    let capacity = cell.inbox.capacity();
                    return Poll::Ready(Err(AskError::Refused(Refusal::Full { capacity })));
                }
                Poll::Ready(Err(self.lost(loss)))
            }
        }
    }
}

/// Delivers a question, and runs an actor on the spot that slept.
fn inline<M: Send + 'static>(
    cell: &Cell<M>,
    envelope: Envelope<M>,
    cx: &mut Context<'_>,
) -> Result<(), Envelope<M>> {
    let mark = |mark| cell.inbox.inline.store(mark, Ordering::Relaxed);
    let (inline, next) = Inline::decide(cell.inbox.inline.load(Ordering::Relaxed));
    // One who asks on and on without ever having to wait gives way to other tasks as tokio would have it.
    let (Inline::Yes | Inline::Measured, Poll::Ready(coop)) = (inline, coop::poll_proceed(cx)) else {
        mark(next);
        return cell.deliver_now(envelope);
    };
    let (delivered, caught) = run_queue::catching(|| cell.deliver_now(envelope));
    match caught {
        Some(Caught::Runnable(runnable)) => {
            let env = &cell.head().core.env;
            let start = (inline == Inline::Measured).then(|| env.now());
            run_queue::run_caught(runnable);
            coop.made_progress();
            if env.is_over() {
                // Whoever woke all actors then found this one awake.
                cell.inbox.wake_up();
            }
            mark(start.map_or(next, |start| Inline::learn(env.now().saturating_duration_since(start))));
        }
        Some(_) if cell.inbox.has_begun() => mark(Inline::CONTENDED),
        Some(_) | None => {}
    }
    delivered
}

/// The chain, by names, closed by the target. All of them live: they wait inside their handlers.
fn cycle(core: &Core, chain: &[u64], target: &ActorPath) -> AskError {
    let living = core.registry.all();
    let name =
        |id: &u64| living.iter().find(|cell| cell.head().id == *id).map(|cell| cell.head().path.clone());
    let chain = chain.iter().filter_map(name).chain([target.clone()]).collect();
    AskError::Cycle { chain }
}

impl<M: Send + 'static, T: Send + 'static, F> Unpin for Ask<M, T, F> {}

impl<M, T, F> Future for Ask<M, T, F>
where
    M: Send + 'static,
    T: Send + 'static,
    F: FnOnce(ReplyTo<T>) -> M,
{
    type Output = Result<T, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = std::task::ready!(self.poll_result(cx));
        if result.is_ok() {
            // The question is settled and its value taken: there is nothing to leave.
            self.slot.take().into_iter().for_each(keep_slot);
        } else {
            self.finish();
        }
        Poll::Ready(result)
    }
}

impl<M: Send + 'static, T: Send + 'static, F> Ask<M, T, F> {
    /// The ask is over, one way or another.
    fn finish(&mut self) {
        if let Some(number) = self.waits.take() {
            self.to.cell.withdraw(number);
        }
        if let Some(slot) = self.slot.take() {
            slot.leave();
            keep_slot(slot);
        }
    }
}

impl<M: Send + 'static, T: Send + 'static, F> Drop for Ask<M, T, F> {
    fn drop(&mut self) {
        self.finish();
    }
}

impl<M: Send + 'static, T: Send + 'static, F> fmt::Debug for Ask<M, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("to", self.to.path()).finish_non_exhaustive()
    }
}

/// A question whose reply is a result; see [`ActorRef::try_ask`]. Await it.
#[must_use = "a question is asked when this is awaited"]
pub struct TryAsk<M: Send + 'static, T: Send + 'static, E: Send + 'static, F> {
    ask: Ask<M, Result<T, E>, F>,
}

impl<M: Send + 'static, T: Send + 'static, E: Send + 'static, F> TryAsk<M, T, E, F> {
    pub(crate) fn new(ask: Ask<M, Result<T, E>, F>) -> Self {
        Self { ask }
    }

    /// As [`Ask::within`].
    pub fn within(mut self, limit: Duration) -> Self {
        self.ask = self.ask.within(limit);
        self
    }
}

impl<M, T, E, F> Future for TryAsk<M, T, E, F>
where
    M: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
    F: FnOnce(ReplyTo<Result<T, E>>) -> M,
{
    type Output = Result<T, AskError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match std::task::ready!(Pin::new(&mut self.ask).poll(cx)) {
            Ok(reply) => reply.map_err(AskError::Failed),
            Err(error) => Err(error.widen()),
        })
    }
}

impl<M: Send + 'static, T: Send + 'static, E: Send + 'static, F> fmt::Debug for TryAsk<M, T, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ask.fmt(f)
    }
}

fn take_slot<T: Send + 'static>(deadlines: &std::sync::Arc<Deadlines>) -> Arc<Slot<T>> {
    match pool::take::<Arc<Slot<T>>>() {
        // One from another system has that system's wheel.
        Some(slot) if slot.belongs_to(deadlines) => slot,
        _ => Arc::new(Slot::new(deadlines.clone())),
    }
}

fn keep_slot<T: Send + 'static>(slot: Arc<Slot<T>>) {
    if Slot::is_unreachable(&slot) {
        pool::give(slot, POOL_LIMIT);
    }
}

//! How does one actor run?
//!
//! Each actor is a task: this loop. It takes controls, timers and messages, one at a time, and calls the user's hooks.
//! It is the only caller of `receive`, `signal`, `started` and `post_restart`; what happens when one of them fails is in
//! [`recovery`](crate::recovery), how an actor ends in [`ending`](crate::ending).
//!
//! # Invariants
//!
//! * The state of the actor and what is left of its batch lie outside of the future that may panic: they outlive it.
//! * Controls are looked at between any two messages.
//! * One activation handles at most [`BUDGET_MESSAGES`], then gives way to other tasks.
//! * However this task ends, also when it is dropped half-way, the actor ends: see [`Body::drop`].

use std::any::type_name;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as Poller, Poll};

use crate::actor::{Actor, Signal};
use crate::cell::{Cell, Control, Envelope, Verdict};
use crate::chain::{self, Frame};
use crate::context::{Context, Doing};
use crate::dead_letters::Reason;
use crate::failure::{Crash, Failure};
use crate::guard::{Ended, Guarded};
use crate::mailbox::inbox::{Next, Urge};
use crate::reply::Claim;
use crate::spawn::{Factory, Limits};
use crate::supervision::Supervision;
use crate::supervision::budget::RestartBudget;

/// Messages that one activation handles before it gives way: long enough to pay for the switch, short enough that
/// other tasks of the thread do not notice a busy actor.
const BUDGET_MESSAGES: u32 = 128;
/// A timer that is due waits for at most so many messages.
const TIMER_LOOK_MESSAGES: u32 = 32;

/// Everything an actor consists of, besides its cell.
pub(crate) struct Body<A: Actor> {
    pub(crate) actor: Option<A>,
    pub(crate) ctx: Context<A>,
    pub(crate) factory: Factory<A>,
    pub(crate) supervised: Option<Box<Supervised>>,
    pub(crate) start: Start,
    pub(crate) frame: Frame,
    key: usize,
    pub(crate) ended: bool,
}

/// What is only needed by an actor with a choice of its own, or that has failed.
pub(crate) struct Supervised {
    pub(crate) supervision: Supervision,
    pub(crate) budget: RestartBudget,
    /// Restarts within the window, the last one included.
    pub(crate) recent: u32,
}

/// How the next incarnation begins.
pub(crate) enum Start {
    /// For the first time.
    First,
    /// After this failure; the siblings wait for it, or do not.
    Again { crash: Crash, in_group: bool },
    /// It runs.
    Done,
}

/// Why the loop was left.
pub(crate) enum Exit {
    Stop,
    Failed(Failure),
    /// A sibling's failure restarts this actor as well.
    Halt(Crash),
}

impl<A: Actor> Body<A> {
    pub(crate) fn new(
        cell: Arc<Cell<A::Msg>>,
        key: usize,
        factory: Factory<A>,
        supervision: Option<Box<Supervision>>,
        limits: Option<Box<Limits>>,
    ) -> Self {
        let frame = Frame::of(cell.clone());
        Self {
            actor: None,
            ctx: Context::new(cell, limits),
            factory,
            supervised: supervision.map(|supervision| {
                let budget = supervision.budget();
                Box::new(Supervised { supervision: *supervision, budget, recent: 0 })
            }),
            start: Start::First,
            frame,
            key,
            ended: false,
        }
    }

    pub(crate) fn cell(&self) -> &Arc<Cell<A::Msg>> {
        self.ctx.cell()
    }

    pub(crate) fn key(&self) -> usize {
        self.key
    }
}

/// The life of an actor, from its first start to its end.
pub(crate) async fn live<A: Actor>(mut body: Body<A>) {
    loop {
        let exit = {
            let Body { actor, ctx, factory, start, frame, .. } = &mut body;
            caught(frame, pin!(work(actor, ctx, factory, start))).await.unwrap_or_else(Exit::Failed)
        };
        // The rare ways are boxed: most actors never need their room.
        let goes_on = match exit {
            Exit::Stop => false,
            Exit::Failed(failure) => Box::pin(body.recover(failure)).await,
            Exit::Halt(crash) => Box::pin(body.halt(crash)).await,
        };
        if !goes_on {
            return Box::pin(body.end()).await;
        }
    }
}

/// Polls user code inside the frame of its actor, and turns a panic into a failure.
pub(crate) async fn caught<F: Future>(frame: &mut Frame, mut future: Pin<&mut F>) -> Result<F::Output, Failure> {
    poll_fn(|cx| {
        chain::exchange(frame);
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        chain::exchange(frame);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(Failure::panicked(panic))),
        }
    })
    .await
}

/// Starts the actor if need be, then handles what comes until there is a reason to leave.
async fn work<A: Actor>(
    actor: &mut Option<A>,
    ctx: &mut Context<A>,
    factory: &mut Factory<A>,
    start: &mut Start,
) -> Exit {
    let cell = ctx.cell().clone();
    let actor = match actor {
        Some(actor) => actor,
        None => {
            ctx.doing = if matches!(start, Start::First) { Doing::Starting } else { Doing::Restarting };
            actor.insert(factory())
        }
    };
    if !matches!(start, Start::Done)
        && let Err(exit) = Box::pin(begin(actor, ctx, start)).await
    {
        return exit;
    }
    let limits = ctx.limits();
    let mut since_yield = 0;
    let mut since_told = 0;
    let mut since_timers = TIMER_LOOK_MESSAGES;
    loop {
        if ctx.stopping {
            return Exit::Stop;
        }
        if cell.inbox.wants_control() || ctx.rare.as_ref().is_some_and(|rare| !rare.signals.is_empty()) {
            match next_signal(ctx) {
                Ok(Some(signal)) => {
                    if let Err(exit) = Box::pin(handle_signal(actor, ctx, signal)).await {
                        return exit;
                    }
                    continue;
                }
                Ok(None) => {}
                Err(exit) => return exit,
            }
        }
        let queued = if since_timers < TIMER_LOOK_MESSAGES { ctx.batch.pop_front() } else { None };
        let envelope = match queued {
            Some(envelope) => envelope,
            None => match poll_fn(|cx| next_work(&cell, ctx, &mut since_timers, cx)).await {
                Work::Message(envelope) => envelope,
                Work::Look => continue,
                Work::Drained => return Exit::Stop,
            },
        };
        since_timers += u32::from(ctx.rare.is_some());
        let Envelope { message, ticket } = envelope;
        let above = match ticket.map(|ticket| ticket.claim()) {
            None => None,
            Some(Claim::Granted(above)) => above,
            Some(Claim::Expired) => {
                cell.bury(Envelope { message, ticket: None }, Reason::Expired);
                continue;
            }
        };
        chain::handle_for(above);
        ctx.doing = Doing::Running;
        cell.head().core.env.note(|| format!("{} handles {}", cell.head().path, type_name::<A::Msg>()));
        let left = ctx.batch.len();
        let ended = Guarded::new(&cell, limits, left, pin!(actor.receive(message, ctx))).await;
        ctx.processed += 1;
        cell.inbox.handled(ctx.batch.len(), &mut since_told);
        if let Some(exit) = ended.into_exit() {
            return exit;
        }
        since_yield += 1;
        if since_yield >= BUDGET_MESSAGES {
            since_yield = 0;
            yield_once().await;
        }
    }
}

/// What the loop does next.
pub(crate) enum Work<M> {
    Message(Envelope<M>),
    /// Something else wants attention: look again.
    Look,
    Drained,
}

/// A timer that is due, the next of the batch, or what the mailbox has.
pub(crate) fn next_work<A: Actor>(
    cell: &Cell<A::Msg>,
    ctx: &mut Context<A>,
    since_timers: &mut u32,
    cx: &mut Poller<'_>,
) -> Poll<Work<A::Msg>> {
    *since_timers = 0;
    cell.head().processed.store(ctx.processed, Ordering::Relaxed);
    if let Some(rare) = &mut ctx.rare {
        let env = &cell.head().core.env;
        if rare.timers.poll_due(env, cx).is_ready()
            && let Some((key, mut make)) = rare.timers.take_due(env.now())
        {
            cell.inbox.rouse();
            ctx.doing = Doing::Timer;
            env.note(|| format!("{} timer {key}", cell.head().path));
            let message = make();
            rare.timers.put_back(&key, make);
            return Poll::Ready(Work::Message(Envelope { message, ticket: None }));
        }
    }
    if let Some(envelope) = ctx.batch.pop_front() {
        return Poll::Ready(Work::Message(envelope));
    }
    cell.inbox.poll_next(&mut ctx.batch, cx).map(|next| match next {
        Next::Message(envelope) => Work::Message(envelope),
        Next::Controls => Work::Look,
        Next::Drained => Work::Drained,
    })
}

/// Runs `started` or `post_restart`. A failure leaves `start` as it was.
async fn begin<A: Actor>(actor: &mut A, ctx: &mut Context<A>, start: &mut Start) -> Result<(), Exit> {
    chain::handle_for(None);
    let cell = ctx.cell().clone();
    let limits = Limits { handler: None, ..ctx.limits() };
    let left = ctx.batch.len();
    let ended = match start {
        Start::First => {
            ctx.doing = Doing::Starting;
            Guarded::new(&cell, limits, left, pin!(actor.started(ctx))).await
        }
        Start::Again { crash, .. } => {
            ctx.doing = Doing::Restarting;
            Guarded::new(&cell, limits, left, pin!(actor.post_restart(crash, ctx))).await
        }
        Start::Done => return Ok(()),
    };
    if let Some(exit) = ended.into_exit() {
        return Err(exit);
    }
    start.announce(ctx);
    Ok(())
}

impl Start {
    /// The actor runs: those who wait for it are told.
    pub(crate) fn announce<A: Actor>(&mut self, ctx: &Context<A>) {
        let head = ctx.cell().head();
        head.core.env.note(|| format!("{} started", head.path));
        if let (Self::Again { in_group, .. }, Some(parent)) = (std::mem::replace(self, Self::Done), &head.parent) {
            parent.control(Control::ChildRestarted { path: head.path.clone(), attempt: ctx.restarts() });
            if in_group {
                parent.head().family.started(head.id);
            }
        }
    }
}

/// Runs `signal`.
async fn handle_signal<A: Actor>(actor: &mut A, ctx: &mut Context<A>, signal: Signal) -> Result<(), Exit> {
    chain::handle_for(None);
    ctx.doing = Doing::Signal;
    let cell = ctx.cell().clone();
    cell.head().core.env.note(|| format!("{} signal {signal:?}", cell.head().path));
    let (limits, left) = (ctx.limits(), ctx.batch.len());
    let ended = Guarded::new(&cell, limits, left, pin!(actor.signal(signal, ctx))).await;
    ended.into_exit().map_or(Ok(()), Err)
}

impl Ended {
    /// Why the loop is to be left, if it is.
    fn into_exit(self) -> Option<Exit> {
        match self {
            Self::Done(Ok(())) => None,
            Self::Done(Err(failure)) => Some(Exit::Failed(failure)),
            Self::OverLimit(limit) => Some(Exit::Failed(Failure::over_limit(limit))),
            Self::Cancelled => Some(Exit::Stop),
        }
    }
}

/// Acts on urges and controls, up to the next one that the user's `signal` is to see.
fn next_signal<A: Actor>(ctx: &mut Context<A>) -> Result<Option<Signal>, Exit> {
    match ctx.cell().inbox.urged() {
        Some(Urge::Stop | Urge::Kill) => return Err(Exit::Stop),
        Some(Urge::Drain) => ctx.cell().inbox.close(),
        None => {}
    }
    if let Some(signal) = ctx.rare.as_mut().and_then(|rare| rare.signals.pop_front()) {
        return Ok(Some(signal));
    }
    while let Some(control) = ctx.cell().inbox.next_control() {
        match control {
            Control::Halt(crash) => return Err(Exit::Halt(crash)),
            Control::PipeFailed(failure) => {
                ctx.doing = Doing::Piped;
                return Err(Exit::Failed(failure));
            }
            // Its parent may have restarted since, and the child with it.
            Control::Escalated { child, .. } if child.head().watchers.has_ended() => {}
            Control::Escalated { child, failure, .. } => {
                ctx.doing = Doing::Supervising;
                return Err(Exit::Failed(Failure::escalated(child.head().path.clone(), failure)));
            }
            // Those who wait for these look for themselves.
            Control::Childless | Control::Start | Control::Verdict(Verdict::Resume | Verdict::Restart) => {}
            notice => {
                if let Some(signal) = ctx.signal_of(notice) {
                    return Ok(Some(signal));
                }
            }
        }
    }
    Ok(None)
}

impl<A: Actor> Context<A> {
    /// The signal that a notice is for the user; `None` when it no longer counts.
    pub(crate) fn signal_of(&mut self, notice: Control) -> Option<Signal> {
        match notice {
            Control::Terminated { id, path } => {
                self.rare.as_mut()?.watching.remove(&id).map(|_| Signal::Terminated(path))
            }
            Control::ChildFailed(crash) => Some(Signal::ChildFailed(crash)),
            Control::ChildRestarted { path, attempt } => Some(Signal::ChildRestarted { path, attempt }),
            _ => None,
        }
    }
}

/// Gives way to other tasks once.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<A: Actor> Drop for Body<A> {
    /// A task that is dropped before its actor has ended (its tokio runtime goes) ends the actor all the same: asks
    /// in its mailbox are answered, watchers are told, the name is free. Hooks cannot run any more.
    fn drop(&mut self) {
        if !self.ended {
            self.finish();
        }
    }
}

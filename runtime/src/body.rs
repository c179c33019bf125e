//! How does one actor run?
//!
//! One activation at a time, by this loop. It takes controls, timers and messages, one at a time, and calls the user's hooks.
//! It is the only caller of `receive`, `signal`, `started` and `post_restart`; what happens when one of them fails is in
//! [`recovery`](crate::recovery), how an actor ends in [`ending`](crate::ending).
//!
//! # Invariants
//!
//! * The state of the actor and what is left of its batch lie outside of the future that may panic: they outlive it.
//! * Controls are looked at between any two messages.
//! * One activation handles at most [`BUDGET_MESSAGES`](crate::pace), then gives way to other tasks.
//! * However this task ends, also when it is dropped half-way, the actor ends: see [`Body::drop`].

use std::any::type_name;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as Poller, Poll};

use crate::actor::Actor;
use crate::cell::{Cell, Control, Envelope};
use crate::chain::{self, Frame, Link};
use crate::context::{Context, Doing};
use crate::dead_letters::Reason;
use crate::failure::{Crash, Failure};
use crate::guard::{Ended, Guarded};
use crate::mailbox::inbox::Next;
use crate::notices::{handle_signal, next_signal};
use crate::pace::{Doze, Linger, Pace};
use crate::reply::Claim;
use crate::runner::{give_way, sleep_once};
use crate::spawn::{Factory, Limits};
use crate::supervision::Supervision;
use crate::supervision::budget::RestartBudget;
use crate::trace::{self, Handling};

/// Everything an actor consists of, besides its cell.
pub(crate) struct Body<A: Actor> {
    pub(crate) cell: Arc<Cell<A::Msg>>,
    pub(crate) actor: Option<A>,
    pub(crate) ctx: Context<A>,
    pub(crate) factory: Factory<A>,
    pub(crate) choices: Option<Box<Choices>>,
    /// The restart that is under way.
    pub(crate) again: Option<Box<Again>>,
    /// How this actor stands in a chain of asks at whose top it is; made when it first asks.
    pub(crate) link: Option<Arc<Link>>,
}

/// What is only needed by an actor with options of its own, or that has failed.
pub(crate) struct Choices {
    pub(crate) limits: Limits,
    pub(crate) supervision: Supervision,
    pub(crate) budget: RestartBudget,
    /// Restarts within the window, the last one included.
    pub(crate) recent: u32,
}

/// A restart that is under way.
pub(crate) struct Again {
    pub(crate) crash: Crash,
    /// Whether siblings wait for it.
    pub(crate) in_group: bool,
}

/// Why the loop was left.
pub(crate) enum Exit {
    /// Nothing to do: it sleeps until it is woken.
    Idle,
    Stop,
    Failed(Failure),
    /// A sibling's failure restarts this actor as well.
    Halt(Crash),
}

impl Choices {
    pub(crate) fn new(supervision: Supervision, limits: Limits) -> Self {
        let budget = supervision.budget();
        Self { limits, supervision, budget, recent: 0 }
    }
}

impl<A: Actor> Body<A> {
    pub(crate) fn new(
        cell: Arc<Cell<A::Msg>>,
        key: u32,
        factory: Factory<A>,
        supervision: Option<Box<Supervision>>,
        limits: Limits,
    ) -> Self {
        Self {
            actor: None,
            ctx: Context::new(cell.clone(), key, limits),
            cell,
            factory,
            choices: (supervision.is_some() || limits != Limits::DEFAULT)
                .then(|| Box::new(Choices::new(supervision.map(|it| *it).unwrap_or_default(), limits))),
            again: None,
            link: None,
        }
    }

    pub(crate) fn cell(&self) -> &Arc<Cell<A::Msg>> {
        self.ctx.cell()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.choices.as_ref().map_or(Limits::DEFAULT, |choices| choices.limits)
    }
}

/// One activation: handles what there is, until there is nothing more or a reason to leave.
pub(crate) async fn turn<A: Actor>(mut body: Box<Body<A>>) -> (Box<Body<A>>, Exit) {
    let exit = {
        let Body { cell, actor, ctx, factory, again, link, choices } = &mut *body;
        let limits = choices.as_ref().map_or(&Limits::DEFAULT, |choices| &choices.limits);
        let id = cell.head().id;
        let mut frame = Frame::at_the_top(link);
        let exit = caught(id, &mut frame, pin!(work(cell, actor, ctx, factory, again, limits))).await;
        *link = frame.into_link();
        exit.unwrap_or_else(Exit::Failed)
    };
    (body, exit)
}

/// Polls user code inside the frame of its actor, and turns a panic into a failure.
pub(crate) async fn caught<F: Future>(
    actor: u64,
    frame: &mut Frame,
    mut future: Pin<&mut F>,
) -> Result<F::Output, Failure> {
    poll_fn(|cx| match frame.enter(actor, || future.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(failure) => Poll::Ready(Err(failure)),
    })
    .await
}

/// Starts the actor if need be, then handles what comes until there is a reason to leave.
async fn work<A: Actor>(
    cell: &Cell<A::Msg>,
    actor: &mut Option<A>,
    ctx: &mut Context<A>,
    factory: &mut Factory<A>,
    again: &mut Option<Box<Again>>,
    limits: &Limits,
) -> Exit {
    let actor = if let Some(actor) = actor {
        actor
    } else {
        ctx.doing = if again.is_none() { Doing::Starting } else { Doing::Restarting };
        actor.insert(factory())
    };
    if !ctx.begun
        && let Err(exit) = Box::pin(begin(actor, ctx, again, limits)).await
    {
        return exit;
    }
    chain::handle_for(None);
    let env = &cell.head().core.env;
    let is_simulated = env.is_simulated();
    let mut chained = false;
    let mut pace = Pace::default();
    let mut since_told = 0;
    let mut linger = Linger::default();
    let mut doze = Doze::default();
    let mut dozes = false;
    loop {
        if ctx.stopping {
            return Exit::Stop;
        }
        if std::mem::take(&mut dozes) && ctx.rare.is_none() && cell.inbox.doze() {
            ctx.tell_processed();
            doze.dozed();
            pace = Pace::default();
            sleep_once().await;
            continue;
        }
        if cell.inbox.wants_control() || ctx.rare.as_ref().is_some_and(|rare| !rare.notices.is_empty()) {
            if pace.spend(1) {
                give_way().await;
            }
            match next_signal(ctx) {
                Ok(Some(signal)) => {
                    if let Err(exit) = Box::pin(handle_signal(actor, ctx, signal, limits)).await {
                        return exit;
                    }
                    continue;
                }
                Ok(None) => {}
                Err(exit) => return exit,
            }
        }
        // One place for the message until it is the handler's: each copy on its way costs more than the rest of the loop.
        let mut next = if pace.goes_on() { ctx.batch.pop_front() } else { None };
        if next.is_none() {
            cell.inbox.handled(ctx.batch.len(), pace.handled(), &mut since_told);
            if pace.look_up(cell.inbox.portion()) {
                give_way().await;
            }
            match poll_fn(|cx| next_or_idle(cell, ctx, &mut next, &mut linger, &mut doze, &mut dozes, cx))
                .await
            {
                Some(Work::Message) => {}
                Some(Work::Look) => continue,
                Some(Work::Drained) => return Exit::Stop,
                None => return Exit::Idle,
            }
        }
        let Some(envelope) = &mut next else { continue };
        pace.step();
        let carried = envelope.ticket.as_ref().and_then(|ticket| ticket.carried());
        if envelope.ticket.is_some() || chained {
            match envelope.ticket.take().map_or(Claim::Granted(None), |ticket| ticket.claim()) {
                Claim::Granted(above) => {
                    chained = above.is_some();
                    chain::handle_for(above);
                }
                Claim::Denied => {
                    if let Some(envelope) = next {
                        cell.bury(envelope, Reason::Expired);
                    }
                    continue;
                }
            }
        }
        ctx.doing = Doing::Running;
        ctx.untold += 1;
        if is_simulated {
            env.note(|| format!("{} handles {}", cell.head().path, type_name::<A::Msg>()));
        }
        // The one in hand as well: while its handler awaits it still counts against the capacity.
        let left = ctx.batch.len() + 1;
        let Some(Envelope { message, .. }) = next else { continue };
        let exit = match carried {
            None => run(cell, limits, left, &mut dozes, pin!(actor.receive(message, ctx))).await,
            // Boxed, so that it takes no room where nothing is traced.
            Some(carried) => {
                let handling = Handling::new(*carried, env, cell.head(), type_name::<A::Msg>());
                let mut hook = Box::pin(handling.around(actor.receive(message, ctx)));
                run(cell, limits, left, &mut dozes, hook.as_mut()).await
            }
        };
        if let Some(exit) = exit {
            return exit;
        }
    }
}

/// Runs a handler to its end. Most are ready at once, and need nobody who looks after them.
#[inline]
async fn run<M, F>(
    cell: &Cell<M>,
    limits: &Limits,
    left: usize,
    dozes: &mut bool,
    mut hook: Pin<&mut F>,
) -> Option<Exit>
where
    M: Send + 'static,
    F: Future<Output = Result<(), Failure>>,
{
    match poll_fn(|cx| Poll::Ready(hook.as_mut().poll(cx))).await {
        Poll::Ready(Ok(())) => None,
        Poll::Ready(Err(failure)) => Some(Exit::Failed(failure)),
        Poll::Pending => {
            // Its waker is for controls now.
            *dozes = false;
            Guarded::pending(cell, limits, left, hook).await.into_exit()
        }
    }
}

/// What the loop does next.
pub(crate) enum Work {
    /// A message is at hand.
    Message,
    /// Something else wants attention: look again.
    Look,
    Drained,
}

/// What there is to do. When there is nothing, a hot actor waits here, and another is ready with nothing.
fn next_or_idle<A: Actor>(
    cell: &Cell<A::Msg>,
    ctx: &mut Context<A>,
    next: &mut Option<Envelope<A::Msg>>,
    linger: &mut Linger,
    doze: &mut Doze,
    dozes: &mut bool,
    cx: &mut Poller<'_>,
) -> Poll<Option<Work>> {
    let looks = ctx.batch.is_empty();
    if looks && !cell.inbox.wants_control() && linger.goes_on(|| cell.head().core.env.now()) {
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    *dozes = looks && doze.may() && ctx.rare.is_none();
    match next_work(cell, ctx, next, dozes, cx) {
        Poll::Ready(work) => {
            if looks {
                linger.plan(ctx.batch.len());
            }
            match work {
                Work::Message => doze.took(ctx.batch.len()),
                Work::Look | Work::Drained => *dozes = false,
            }
            Poll::Ready(Some(work))
        }
        Poll::Pending if ctx.is_hot() => {
            doze.slept();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    }
}

/// A timer that is due, the next of the batch, or what the mailbox has.
pub(crate) fn next_work<A: Actor>(
    cell: &Cell<A::Msg>,
    ctx: &mut Context<A>,
    next: &mut Option<Envelope<A::Msg>>,
    dozes: &mut bool,
    cx: &mut Poller<'_>,
) -> Poll<Work> {
    ctx.tell_processed();
    let mut due = false;
    if let Some(rare) = &mut ctx.rare {
        due = rare.timers.poll_due(&cell.head().core.env, cx).is_ready();
        // They take turns, or a timer that sets itself anew with no delay would keep all messages waiting.
        if due
            && !rare.timers.ran_last
            && let Some(envelope) = next_tick(cell, ctx)
        {
            *next = Some(envelope);
            return Poll::Ready(Work::Message);
        }
    }
    if let Some(rare) = &mut ctx.rare {
        rare.timers.ran_last = false;
    }
    *next = ctx.batch.pop_front();
    if next.is_some() {
        return Poll::Ready(Work::Message);
    }
    match cell.inbox.poll_into(next, &mut ctx.batch, dozes, cx) {
        Poll::Ready(Next::Message(())) => Poll::Ready(Work::Message),
        Poll::Ready(Next::Controls) => Poll::Ready(Work::Look),
        Poll::Ready(Next::Drained) => Poll::Ready(Work::Drained),
        Poll::Pending if due => {
            *next = next_tick(cell, ctx);
            if next.is_some() {
                return Poll::Ready(Work::Message);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Pending,
    }
}

/// The message of the timer that is due first, if one is. One that panics here is gone.
fn next_tick<A: Actor>(cell: &Cell<A::Msg>, ctx: &mut Context<A>) -> Option<Envelope<A::Msg>> {
    let env = &cell.head().core.env;
    let now = env.now();
    let Context { rare: Some(rare), doing, .. } = ctx else { return None };
    let (key, mut timer) = rare.timers.take_due(now)?;
    rare.timers.ran_last = true;
    cell.inbox.rouse();
    *doing = Doing::Timer;
    env.note(|| format!("{} timer {key}", cell.head().path));
    let trace = timer.trace;
    let message = (timer.make)();
    rare.timers.put_back(key, timer, now);
    let envelope = Envelope { message, ticket: None };
    Some(trace::scope(trace, || envelope.with_trace(&cell.head().core)))
}

/// Runs `started` or `post_restart`. A failure leaves it to be done.
async fn begin<A: Actor>(
    actor: &mut A,
    ctx: &mut Context<A>,
    again: &mut Option<Box<Again>>,
    limits: &Limits,
) -> Result<(), Exit> {
    chain::handle_for(None);
    let cell = ctx.cell().clone();
    let limits = &Limits { handler: None, ..*limits };
    let left = ctx.batch.len();
    let ended = match again {
        None => {
            ctx.doing = Doing::Starting;
            Guarded::new(&cell, limits, left, pin!(actor.started(ctx))).await
        }
        Some(again) => {
            ctx.doing = Doing::Restarting;
            Guarded::new(&cell, limits, left, pin!(actor.post_restart(&again.crash, ctx))).await
        }
    };
    if let Some(exit) = ended.into_exit() {
        return Err(exit);
    }
    ctx.announce(again.take());
    Ok(())
}

impl Ended {
    /// Why the loop is to be left, if it is.
    pub(crate) fn into_exit(self) -> Option<Exit> {
        match self {
            Self::Done(Ok(())) => None,
            Self::Done(Err(failure)) => Some(Exit::Failed(failure)),
            Self::OverLimit(limit) => Some(Exit::Failed(Failure::over_limit(limit))),
            Self::Cancelled => Some(Exit::Stop),
        }
    }
}

impl<A: Actor> Context<A> {
    /// The actor runs: those who wait for it are told.
    pub(crate) fn announce(&mut self, again: Option<Box<Again>>) {
        self.begun = true;
        self.cell().inbox.note_begun(true);
        let head = self.cell().head();
        head.core.env.note(|| format!("{} started", head.path));
        if let (Some(again), Some(parent)) = (again, &head.parent) {
            parent.control(Control::ChildRestarted { path: head.path.clone(), attempt: self.restarts() });
            if again.in_group {
                parent.head().family.started(head.id);
            }
        }
    }

    /// Tells the cell how many messages were handled since the last time.
    pub(crate) fn tell_processed(&mut self) {
        let processed = &self.cell().head().processed;
        processed.store(processed.load(Ordering::Relaxed) + u64::from(self.untold), Ordering::Relaxed);
        self.untold = 0;
    }
}

impl<A: Actor> Drop for Body<A> {
    /// A task that is dropped before its actor has ended (its tokio runtime goes) ends the actor all the same: asks
    /// in its mailbox are answered, watchers are told, the name is free. Hooks cannot run any more.
    fn drop(&mut self) {
        if self.ctx.doing != Doing::Nothing {
            self.finish();
        }
    }
}

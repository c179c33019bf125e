//! What does an actor do after a failure?
//!
//! It reports the failure, asks its decider, and obeys: resumes, restarts, stops, or waits for its parent's verdict.
//! Restarts of several siblings are paced by the parent's [group](crate::supervision::strategy).
//!
//! # Invariants
//!
//! * Each failure is counted and told to the parent once, before anything is done about it.
//! * The mailbox, what was taken from it, the stash and the watches outlive a restart; timers and state do not.
//! * Whatever an actor waits for here, a request to stop ends the wait.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::actor::Actor;
use crate::body::{Again, Body, Choices, caught};
use crate::cell::{AnyCell, Control, Verdict};
use crate::chain::Frame;
use crate::context::Doing;
use crate::failure::{Crash, Failure};
use crate::guard::{Ended, Guarded};
use crate::mailbox::inbox::Urge;
use crate::spawn::Limits;
use crate::supervision::{Backoff, Directive, Scope, Supervision};

/// What ended a wait.
enum Event {
    /// The actor is to stop.
    Stop,
    /// The time is over.
    Time,
    Start,
    Halt(Crash),
    Verdict(Verdict),
    /// Something else: look at what you wait for.
    Look,
}

/// Who decided in the end.
enum Settled {
    By(Directive, Crash),
    /// A sibling's failure restarts this actor as well.
    ByGroup(Crash),
    /// The actor is to stop.
    ByStop,
}

impl<A: Actor> Body<A> {
    /// Deals with a failure. Says whether the actor goes on.
    pub(crate) async fn recover(&mut self, failure: Failure) -> bool {
        let crash = self.report(&failure);
        self.cell().inbox.note_begun(false);
        if self.ctx.stopping {
            // It asked to stop after this message: what became of the message does not change that.
            return false;
        }
        let directive = self.decide(&failure);
        let child = failure.escalated_from().and_then(|path| self.cell().head().core.registry.find(path));
        let (directive, crash) = match self.settle(directive, failure, crash).await {
            Settled::By(directive, crash) => (directive, crash),
            Settled::ByGroup(crash) => {
                tell_verdict(child.filter(|_| self.keeps_children()), Verdict::Restart);
                return self.halt(crash).await;
            }
            Settled::ByStop => return false,
        };
        match directive {
            Directive::Resume => {
                tell_verdict(child, Verdict::Resume);
                if !self.ctx.begun {
                    self.ctx.announce(self.again.take());
                }
                self.cell().inbox.note_begun(true);
                true
            }
            Directive::Restart => {
                tell_verdict(child.filter(|_| self.keeps_children()), Verdict::Restart);
                self.restart(crash).await
            }
            Directive::Stop | Directive::Escalate => {
                let (head, scope) = (self.cell().head(), self.scope());
                if let Some(parent) = &head.parent {
                    for sibling in parent.head().family.concerned(head.id, scope) {
                        sibling.urge(Urge::Stop);
                    }
                }
                false
            }
        }
    }

    /// A sibling's failure restarts this actor as well. Says whether it goes on.
    pub(crate) async fn halt(&mut self, crash: Crash) -> bool {
        self.cell().inbox.note_begun(false);
        self.cease(&crash).await;
        self.restart_in_group(crash).await
    }

    /// Counts a failure, logs it, tells the parent.
    pub(crate) fn report(&mut self, failure: &Failure) -> Crash {
        let cell = self.cell().clone();
        let head = cell.head();
        cell.inbox.tell_left(self.ctx.batch.len());
        let rare = self.ctx.rare();
        rare.failures += 1;
        let attempt = rare.failures;
        head.core.note_trouble(head.id, |trouble| trouble.failures = attempt);
        let during = self.ctx.doing.during(cell.message_type());
        let crash = Crash::new(head.path.clone(), during, failure, attempt);
        head.core.counts.failed();
        head.core.env.note(|| crash.to_string());
        tracing::warn!(path = %head.path, %during, reason = crash.reason(), place = crash.place(), attempt, "actor failed");
        if let Some(parent) = &head.parent {
            parent.control(Control::ChildFailed(crash.clone()));
        }
        crash
    }

    fn choices(&mut self) -> &mut Choices {
        self.choices.get_or_insert_with(|| Box::new(Choices::new(Supervision::default(), Limits::DEFAULT)))
    }

    fn scope(&self) -> Scope {
        self.choices.as_ref().map_or(Scope::One, |choices| choices.supervision.scope())
    }

    fn keeps_children(&mut self) -> bool {
        self.choices().supervision.keeps_children()
    }

    /// Asks the decider. One that panics escalates.
    fn decide(&mut self, failure: &Failure) -> Directive {
        self.choices();
        let id = self.cell().head().id;
        let Some(choices) = &mut self.choices else { return Directive::Restart };
        Frame::default().enter(id, || choices.supervision.directive(failure)).unwrap_or_else(|panic| {
            tracing::error!(path = %self.cell().head().path, reason = %panic, place = panic.place(), "decider panicked: escalating");
            Directive::Escalate
        })
    }

    /// Turns a directive into one that can be obeyed here: pays for restarts, and waits for the verdict over what is
    /// escalated.
    async fn settle(&mut self, mut directive: Directive, failure: Failure, crash: Crash) -> Settled {
        if directive == Directive::Resume && self.actor.is_none() {
            // The factory failed: there is nothing to go on with.
            directive = Directive::Restart;
        }
        if directive == Directive::Restart && !self.pay() {
            directive = self.choices().supervision.spent();
            tracing::error!(path = %self.cell().head().path, ?directive, "restarts are used up");
        }
        if directive != Directive::Escalate {
            return Settled::By(directive, crash);
        }
        let child = self.ctx.any_cell();
        if let Some(parent) = &self.cell().head().parent {
            parent.control(Control::Escalated { child, failure, crash: crash.clone() });
        }
        loop {
            match self.wait(None, true).await {
                Event::Stop => return Settled::ByStop,
                Event::Halt(crash) => return Settled::ByGroup(crash),
                Event::Verdict(Verdict::Resume) if self.actor.is_some() => {
                    return Settled::By(Directive::Resume, crash);
                }
                Event::Verdict(_) => return Settled::By(Directive::Restart, crash),
                Event::Start | Event::Time | Event::Look => {}
            }
        }
    }

    /// Takes one restart out of the budget, if there is one left.
    fn pay(&mut self) -> bool {
        let now = self.ctx.now();
        let choices = self.choices();
        match choices.budget.spend(now) {
            Ok(recent) => {
                choices.recent = u32::try_from(recent).unwrap_or(u32::MAX);
                true
            }
            Err(_) => false,
        }
    }

    /// Replaces the actor by a fresh one, with all whom this concerns. Says whether it goes on.
    async fn restart(&mut self, crash: Crash) -> bool {
        let scope = self.scope();
        let cell = self.cell().clone();
        let head = cell.head();
        let in_group = self.again.as_ref().is_some_and(|again| again.in_group);
        if let (true, Some(parent)) = (scope != Scope::One, &head.parent) {
            parent.head().family.halt_with(head.id, scope, &crash);
        }
        if let Some(crash) = self.cease(&crash).await {
            return self.restart_in_group(crash).await;
        }
        let delay = self.delay();
        if !delay.is_zero() {
            match self.pause(delay).await {
                Event::Stop => return false,
                Event::Halt(crash) => return self.restart_in_group(crash).await,
                _ => {}
            }
        }
        if scope != Scope::One {
            return self.restart_in_group(crash).await;
        }
        self.begin_again(crash, in_group);
        true
    }

    /// The time to wait before this restart.
    fn delay(&mut self) -> Duration {
        let choices = self.choices();
        if *choices.supervision.delays() == Backoff::none() {
            return Duration::ZERO;
        }
        let random = self.ctx.env().random_unit();
        let choices = self.choices();
        choices.supervision.delays().delay(choices.recent.max(1), random)
    }

    /// Reports that it has halted, and waits for its turn to start. Says whether it goes on.
    async fn restart_in_group(&mut self, crash: Crash) -> bool {
        let cell = self.cell().clone();
        if let Some(parent) = &cell.head().parent {
            parent.head().family.halted(cell.head().id);
        }
        loop {
            match self.wait(None, true).await {
                Event::Stop => return false,
                Event::Start => break,
                // It has halted already.
                Event::Halt(_) | Event::Time | Event::Verdict(_) | Event::Look => {}
            }
        }
        self.begin_again(crash, true);
        true
    }

    fn begin_again(&mut self, crash: Crash, in_group: bool) {
        self.ctx.rare().restarts += 1;
        let head = self.cell().head();
        head.core.counts.restarted();
        head.core.note_trouble(head.id, |trouble| trouble.restarts += 1);
        self.ctx.takes_children = true;
        self.ctx.begun = false;
        self.again = Some(Box::new(Again { crash, in_group }));
    }

    /// Ends this incarnation: `pre_restart`, children, state, timers. A crash is returned when a sibling's failure
    /// restarts this actor as well, and was told meanwhile.
    async fn cease(&mut self, crash: &Crash) -> Option<Crash> {
        let mut halted = None;
        self.ctx.takes_children = false;
        if self.actor.is_some() {
            self.ctx.doing = Doing::Restarting;
            if let Err(failure) = self.run_pre_restart(crash).await {
                self.report(&failure);
            }
        }
        if !self.keeps_children() {
            halted = self.stop_children().await;
            self.cell().head().family.open();
        }
        self.drop_actor();
        self.ctx.unstash_all();
        let timers = std::mem::take(&mut self.ctx.rare().timers);
        self.drop_of_user(timers);
        self.ctx.stopping = false;
        halted
    }

    async fn run_pre_restart(&mut self, crash: &Crash) -> Result<(), Failure> {
        let cell = self.cell().clone();
        let limits = self.limits();
        let Self { actor: Some(actor), ctx, .. } = self else { return Ok(()) };
        let limits = &Limits { handler: Some(limits.stop_grace), ..limits };
        let left = ctx.batch.len();
        let hook = async { Guarded::new(&cell, limits, left, pin!(actor.pre_restart(crash, ctx))).await };
        caught(cell.head().id, &mut Frame::default(), pin!(hook)).await?.into_result(limits)
    }

    /// Drops the state; a panic in that is a failure as well.
    pub(crate) fn drop_actor(&mut self) {
        if let Some(actor) = self.actor.take() {
            self.drop_of_user(actor);
        }
    }

    fn drop_of_user<T>(&mut self, value: T) {
        let id = self.cell().head().id;
        let dropped = Frame::default().enter(id, || drop(value));
        if let Err(failure) = dropped {
            self.report(&failure);
        }
    }

    /// Stops all children, and waits until they have ended. The family stays closed. Returns what would have halted
    /// this actor meanwhile.
    pub(crate) async fn stop_children(&mut self) -> Option<Crash> {
        let mut halted = None;
        let cell = self.cell().clone();
        let family = &cell.head().family;
        if family.is_empty() {
            return halted;
        }
        let children = family.close();
        let mut killed = cell.inbox.urged() == Some(Urge::Kill);
        let urge = if killed { Urge::Kill } else { Urge::Stop };
        for child in children {
            child.urge(urge);
        }
        while !family.is_empty() {
            if !killed && cell.inbox.urged() == Some(Urge::Kill) {
                killed = true;
                family.close().iter().for_each(|child| child.urge(Urge::Kill));
            }
            if let Event::Halt(crash) = self.wait(None, false).await {
                halted = Some(crash);
            }
        }
        halted
    }

    /// Waits for some time, or until there is a reason not to.
    async fn pause(&mut self, delay: Duration) -> Event {
        let until = self.ctx.now().checked_add(delay);
        loop {
            match self.wait(until, true).await {
                Event::Start | Event::Verdict(_) | Event::Look => {}
                event => return event,
            }
        }
    }

    /// Waits for the next thing that concerns an actor which handles no messages now. What its user is to see later
    /// is kept.
    ///
    /// `heed_stop`: whether a request to stop ends the wait, also one that was made before.
    async fn wait(&mut self, until: Option<Instant>, heed_stop: bool) -> Event {
        let cell = self.cell().clone();
        let stop = || matches!(cell.inbox.urged(), Some(Urge::Stop | Urge::Kill));
        if heed_stop && stop() {
            return Event::Stop;
        }
        let mut alarm = until.map(|until| self.ctx.env().sleep_until(until));
        poll_fn(|cx| {
            if let Some(alarm) = &mut alarm
                && Pin::new(alarm).poll(cx).is_ready()
            {
                return Poll::Ready(());
            }
            cell.inbox.poll_control(cx)
        })
        .await;
        // Before all else: what came after the request to stop no longer counts.
        if heed_stop && stop() {
            return Event::Stop;
        }
        let Ok(control) = cell.inbox.next_control() else {
            // Nobody else looks at it when there are no more controls.
            if cell.inbox.urged() == Some(Urge::Drain) {
                cell.inbox.close();
            }
            let over = until.is_some_and(|until| self.ctx.now() >= until);
            return if over { Event::Time } else { Event::Look };
        };
        match control {
            Control::Start => Event::Start,
            Control::Halt(crash) => Event::Halt(crash),
            Control::Verdict(verdict) => Event::Verdict(verdict),
            Control::Escalated { child, .. } => {
                // A child that was kept is told to start afresh together with its parent.
                child.control(Control::Verdict(Verdict::Restart));
                Event::Look
            }
            Control::Childless => Event::Look,
            Control::FailedBeside(beside, failure) => {
                let doing = std::mem::replace(&mut self.ctx.doing, beside);
                self.report(&failure);
                self.ctx.doing = doing;
                Event::Look
            }
            notice => {
                self.ctx.rare().notices.push_back(notice);
                Event::Look
            }
        }
    }
}

impl Ended {
    /// For a hook whose end is all that matters.
    pub(crate) fn into_result(self, limits: &Limits) -> Result<(), Failure> {
        match self {
            Self::Done(result) => result,
            Self::OverLimit(limit) => Err(Failure::over_limit(limit)),
            Self::Cancelled => Err(Failure::over_limit(limits.stop_grace)),
        }
    }
}

fn tell_verdict(child: Option<std::sync::Arc<dyn AnyCell>>, verdict: Verdict) {
    if let Some(child) = child {
        child.control(Control::Verdict(verdict));
    }
}

//! How does one actor behave, step by step, with nothing running beside it?
//!
//! A [`Single`] is an actor without a task: the test hands it message by message, sees what each returns, and looks
//! at the state in between. No supervision takes part: a failure is returned. What the actor spawns, and time, belong
//! to a [simulation](crate::testkit::Sim) of its own.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use crate::actor::{Actor, Signal};
use crate::actor_ref::ActorRef;
use crate::body::{Body, Exit, Work, caught, next_work};
use crate::cell::Envelope;
use crate::chain::Frame;
use crate::context::Context;
use crate::dead_letters::Reason;
use crate::error::AskError;
use crate::failure::Failure;
use crate::notices::next_signal;
use crate::reply::{Claim, ReplyTo};
use crate::spawn::IntoSpawn;
use crate::system::ActorSystem;
use crate::testkit::Sim;

/// What a hook returns, boxed.
type HookFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// One actor, stepped by hand.
///
/// # Example
///
/// ```
/// use omnitron_runtime::testkit::Single;
/// # use omnitron_runtime::{Actor, Context, Failure};
/// # #[derive(Default)]
/// # struct Counter { value: u64 }
/// # impl Actor for Counter {
/// #     type Msg = u64;
/// #     async fn receive(&mut self, n: u64, _: &mut Context<Self>) -> Result<(), Failure> { self.value += n; Ok(()) }
/// # }
/// let mut counter = Single::new(Counter::default);
/// counter.handle(5).unwrap();
/// assert_eq!(counter.actor().value, 5);
/// ```
pub struct Single<A: Actor> {
    body: Box<Body<A>>,
    system: ActorSystem,
    sim: Sim,
}

impl<A: Actor> Single<A> {
    /// Makes the actor and runs its `started`.
    ///
    /// # Panics
    ///
    /// When the factory or `started` fails: a test of that uses [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new<S: IntoSpawn<Actor = A>>(actor: S) -> Self {
        match Self::try_new(actor) {
            Ok(single) => single,
            Err(failure) => panic!("the actor did not start: {failure}"),
        }
    }

    /// Makes the actor and runs its `started`.
    ///
    /// # Errors
    ///
    /// The failure of the factory or of `started`, or what is wrong with the options.
    pub fn try_new<S: IntoSpawn<Actor = A>>(actor: S) -> Result<Self, Failure> {
        let sim = Sim::new(0);
        let system = sim.block_on(ActorSystem::builder("single").env(sim.env()).start())?;
        let mut body = system.embody("single", actor.into_spawn())?;
        let made = catch_unwind(AssertUnwindSafe(|| (body.factory)()));
        body.actor = Some(made.map_err(Failure::panicked)?);
        let mut single = Self { body, system, sim };
        single.hook(|actor, ctx| Box::pin(actor.started(ctx)))?;
        Ok(single)
    }

    /// Lets the actor handle one message, to its end; virtual time passes as it must.
    ///
    /// # Errors
    ///
    /// The failure of the handler. The actor keeps its state, as after [`Directive::Resume`](crate::Directive).
    pub fn handle(&mut self, message: A::Msg) -> Result<(), Failure> {
        self.hook(|actor, ctx| Box::pin(actor.receive(message, ctx)))
    }

    /// Lets the actor handle one signal.
    ///
    /// # Errors
    ///
    /// The failure of the handler.
    pub fn signal(&mut self, signal: Signal) -> Result<(), Failure> {
        self.hook(|actor, ctx| Box::pin(actor.signal(signal, ctx)))
    }

    /// Lets the actor handle the next message in its mailbox, the next signal, or the message of a timer that is due.
    /// `None` when there is nothing, or when the actor was asked to stop: then [`is_stopping`](Self::is_stopping).
    pub fn step(&mut self) -> Option<Result<(), Failure>> {
        self.sim.run_until_idle();
        loop {
            let Self { body, sim, .. } = self;
            let cell = body.cell().clone();
            let ctx = &mut body.ctx;
            let mut next = None;
            let look = poll_fn(|cx| Poll::Ready(next_work(&cell, ctx, &mut next, &mut false, cx)));
            match sim.block_on(look) {
                Poll::Ready(Work::Message) => {
                    let Some(Envelope { message, ticket }) = next else { continue };
                    if let Some(Claim::Denied) = ticket.map(|ticket| ticket.claim()) {
                        cell.bury(Envelope { message, ticket: None }, Reason::Expired);
                        continue;
                    }
                    let result = self.handle(message);
                    cell.inbox.tell_left(self.body.ctx.batch.len());
                    return Some(result);
                }
                Poll::Ready(Work::Look) => match next_signal(ctx) {
                    Ok(Some(signal)) => return Some(self.signal(signal)),
                    Ok(None) => {}
                    Err(Exit::Failed(failure)) => return Some(Err(failure)),
                    Err(_) => ctx.stopping = true,
                },
                Poll::Ready(Work::Drained) | Poll::Pending => return None,
            }
            if self.body.ctx.stopping {
                return None;
            }
        }
    }

    /// Asks the actor, and steps it until it has answered.
    ///
    /// # Errors
    ///
    /// As [`ActorRef::ask`]; a failing handler shows as [`AskError::Abandoned`] or [`AskError::Crashed`].
    pub fn ask<T: Send + 'static>(&mut self, make: impl FnOnce(ReplyTo<T>) -> A::Msg) -> Result<T, AskError> {
        let actor = self.myself().clone();
        let mut ask = pin!(actor.ask(make));
        loop {
            let polled = self.sim.block_on(poll_fn(|cx| Poll::Ready(ask.as_mut().poll(cx))));
            if let Poll::Ready(result) = polled {
                return result;
            }
            if self.step().is_none() {
                return self.sim.block_on(ask);
            }
        }
    }

    /// Lets virtual time pass, then handles all that is due. Returns how many messages that were.
    ///
    /// # Errors
    ///
    /// The first failure of a handler; what comes after it waits for the next call.
    pub fn advance(&mut self, time: Duration) -> Result<usize, Failure> {
        self.sim.advance(time);
        let mut handled = 0;
        while let Some(result) = self.step() {
            result?;
            handled += 1;
        }
        Ok(handled)
    }

    /// The state.
    pub fn actor(&self) -> &A {
        self.body.actor.as_ref().expect("only the end of a `Single` takes its actor out")
    }

    /// The reference of the actor. What it is sent waits for [`step`](Self::step).
    pub fn myself(&self) -> &ActorRef<A::Msg> {
        self.body.ctx.myself()
    }

    /// Whether the actor has asked to stop, or was asked to.
    pub fn is_stopping(&self) -> bool {
        self.body.ctx.stopping
    }

    /// The system around the actor, with what it spawned.
    pub fn system(&self) -> &ActorSystem {
        &self.system
    }

    /// The simulation around the actor.
    pub fn sim(&self) -> &Sim {
        &self.sim
    }

    fn hook(
        &mut self,
        hook: impl for<'a> FnOnce(&'a mut A, &'a mut Context<A>) -> HookFuture<'a>,
    ) -> Result<(), Failure> {
        let Body { actor: Some(actor), ctx, .. } = &mut *self.body else { return Ok(()) };
        let id = ctx.cell().head().id;
        self.sim.block_on(caught(id, &mut Frame::default(), pin!(hook(actor, ctx)))).flatten()
    }
}

impl<A: Actor> fmt::Debug for Single<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single").field("actor", &self.body.ctx.path()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Counter {
        value: u64,
        ended: usize,
    }

    enum Msg {
        Add(u64),
        Get(ReplyTo<u64>),
        Watch(ActorRef<Msg>),
    }

    impl Actor for Counter {
        type Msg = Msg;

        async fn receive(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Failure> {
            match msg {
                Msg::Add(n) => self.value += n,
                Msg::Get(reply) => reply.send(self.value),
                Msg::Watch(other) => ctx.watch(&other),
            }
            Ok(())
        }

        async fn signal(&mut self, _: Signal, _: &mut Context<Self>) -> Result<(), Failure> {
            self.ended += 1;
            Ok(())
        }
    }

    #[test]
    fn batches_and_signals_are_stepped_one_by_one_and_asks_are_answered_behind_them() {
        let mut single = Single::new(Counter::default);
        let myself = single.myself().clone();
        for n in 1..=3 {
            myself.tell(Msg::Add(n)).expect("room");
        }
        let other = single.system().spawn("other", Counter::default).expect("another");
        single.handle(Msg::Watch(other.clone())).expect("watched");
        single.sim().block_on(other.stop());
        assert_eq!(single.ask(Msg::Get).expect("an answer"), 6);
        assert_eq!((single.actor().ended, myself.depth()), (1, 0));
        assert!(single.step().is_none());
    }

    #[test]
    fn a_question_that_expired_is_not_handled() {
        let mut single = Single::new(Counter::default);
        let myself = single.myself().clone();
        let ask = myself.ask(Msg::Get).within(Duration::from_millis(50));
        assert!(matches!(single.sim().block_on(ask), Err(AskError::Expired { .. })));
        assert!(single.step().is_none());
        assert_eq!(single.system().dead_letters().total(), 1);
    }
}

//! What does a user write to make an actor?

use std::future::Future;

use crate::context::Context;
use crate::failure::{Crash, Failure};
use crate::path::ActorPath;

/// State with a mailbox: handles one message at a time, under supervision.
///
/// # Contract
///
/// 1. **One at a time**: no two hooks of one actor ever run at once, so the state needs no lock.
/// 2. **In order**: messages of one sender to one mailbox are handled in the order in which they were sent (a
///    [priority](crate::Mailbox::priority) mailbox orders by rank first).
/// 3. **Failure is contained**: a hook that returns an error or panics is a failure of this actor alone. The message
///    it had is lost; what happens next is decided by its [`Supervision`](crate::Supervision).
///
/// Hooks are `async fn`s. While one awaits, the actor handles nothing else. A hook may be *cancelled*, at an await
/// point, when it exceeds the [handler limit](crate::Spawn::handler_limit), or the
/// [stop grace](crate::Spawn::stop_grace) while its actor is asked to stop: its future is dropped, and the state stays
/// as the code before that await left it. Change state between awaits only in steps that leave it whole.
///
/// # Example
///
/// ```
/// use omnitron_runtime::{Actor, ActorSystem, Context, Failure, ReplyTo};
///
/// #[derive(Default)]
/// struct Counter { value: u64 }
///
/// enum CounterMsg { Add(u64), Get(ReplyTo<u64>) }
///
/// impl Actor for Counter {
///     type Msg = CounterMsg;
///     async fn receive(&mut self, msg: CounterMsg, _ctx: &mut Context<Self>) -> Result<(), Failure> {
///         match msg {
///             CounterMsg::Add(n) => self.value += n,
///             CounterMsg::Get(reply) => reply.send(self.value),
///         }
///         Ok(())
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = ActorSystem::start("demo").await?;
/// let counter = system.spawn("counter", Counter::default)?;
/// counter.tell(CounterMsg::Add(5))?;
/// assert_eq!(counter.ask(CounterMsg::Get).await?, 5);
/// system.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an actor",
    note = "implement `Actor` for it: `type Msg` and `async fn receive`; an actor is `Send + 'static`"
)]
pub trait Actor: Sized + Send + 'static {
    /// What this actor accepts, normally an enum.
    type Msg: Send + 'static;

    /// Handles one message.
    ///
    /// # Errors
    ///
    /// Any error is a failure of the actor: its supervision decides. An error that is the sender's belongs into the
    /// reply instead.
    fn receive(
        &mut self,
        msg: Self::Msg,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Runs once before the first message, on the first start. Default: nothing.
    ///
    /// # Errors
    ///
    /// An error is a failure while starting; messages wait for what is decided.
    fn started(&mut self, ctx: &mut Context<Self>) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// Handles a notice of the runtime. They come between messages, ahead of all that are queued, and do not count
    /// against the mailbox. Default: nothing.
    ///
    /// # Errors
    ///
    /// An error is a failure like one of `receive`. `signal` may return it on purpose when a watched actor it cannot
    /// work without has [ended](Signal::Terminated).
    fn signal(
        &mut self,
        signal: Signal,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (signal, ctx);
        async { Ok(()) }
    }

    /// Runs on the failed actor before it is replaced, also after a panic: the last chance to save what a fresh one
    /// shall find. (After a panic the state is as the panic left it.) Default: nothing.
    ///
    /// # Errors
    ///
    /// An error is reported and counted; the restart goes on.
    fn pre_restart(
        &mut self,
        crash: &Crash,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (crash, ctx);
        async { Ok(()) }
    }

    /// Runs once before the next message, on the fresh actor after a restart. Default: [`started`](Self::started).
    ///
    /// # Errors
    ///
    /// An error is a failure while restarting.
    fn post_restart(
        &mut self,
        crash: &Crash,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = crash;
        self.started(ctx)
    }

    /// Runs when the actor stops, also because of a failure, after its children have ended, and before its state is
    /// dropped. It has no more time than the [stop grace](crate::Spawn::stop_grace). Not called on an actor that a
    /// restart replaces ([`pre_restart`](Self::pre_restart) is), nor on one whose start was not completed. Default:
    /// nothing.
    ///
    /// # Errors
    ///
    /// An error is reported and counted; the stop goes on.
    fn stopped(&mut self, ctx: &mut Context<Self>) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }
}

/// A notice of the runtime to an actor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Signal {
    /// An actor that was watched has ended. Comes exactly once per [`watch`](Context::watch), also when the actor had
    /// ended before.
    Terminated(ActorPath),
    /// A child failed; its supervision decides, or has decided. [`Crash::attempt`] counts its failures.
    ChildFailed(Crash),
    /// A child was started afresh.
    ChildRestarted {
        /// The child.
        path: ActorPath,
        /// How many times it was restarted, this time included.
        attempt: u64,
    },
}

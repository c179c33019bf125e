//! What can be chosen when an actor is spawned?

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::body::Body;
use crate::cell::{AnyCell, Cell, Head};
use crate::dispatcher::Dispatcher;
use crate::error::SpawnError;
use crate::mailbox::Mailbox;
use crate::path::DEPTH_LIMIT;
use crate::runner;
use crate::supervision::Supervision;

/// Makes the actor, and makes it again for every restart.
pub(crate) type Factory<A> = Box<dyn FnMut() -> A + Send>;

/// An actor to be spawned: how it is made, and its options.
#[must_use = "options change nothing until an actor is spawned with them"]
pub struct Spawn<A: Actor> {
    factory: Factory<A>,
    mailbox: Mailbox<A::Msg>,
    supervision: Option<Box<Supervision>>,
    limits: Limits,
    dispatcher: Dispatcher,
}

/// How long the hooks of an actor may take, and how much it may put aside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    pub(crate) handler: Option<Duration>,
    pub(crate) stop_grace: Duration,
    pub(crate) stash: usize,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self { handler: None, stop_grace: Duration::from_secs(5), stash: 1_000 };
}

impl<A: Actor> Spawn<A> {
    /// An actor that `factory` makes, with all defaults. Supervision calls the factory again for each restart, so what
    /// it captures is what survives.
    ///
    /// The factory runs in the actor's own task, after `spawn` has returned; a panic in it is a failure while starting.
    pub fn new(factory: impl FnMut() -> A + Send + 'static) -> Self {
        Self {
            factory: Box::new(factory),
            mailbox: Mailbox::default(),
            supervision: None,
            limits: Limits::DEFAULT,
            dispatcher: Dispatcher::shared(),
        }
    }

    /// Which mailbox it has. Default: [`Mailbox::bounded`] of 1024 that refuses what is too much.
    pub fn mailbox(mut self, mailbox: Mailbox<A::Msg>) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// What happens when it fails. Default: [`Supervision::restart`].
    pub fn supervision(mut self, supervision: Supervision) -> Self {
        self.supervision = Some(Box::new(supervision));
        self
    }

    /// The longest that `receive` or `signal` may await over one message. Default: no limit.
    ///
    /// A handler over its limit is cancelled at its await point and the actor fails. What the handler changed before
    /// that await stays changed; supervision decides whether that state goes on (`Resume`) or is replaced. A handler
    /// that blocks its thread without awaiting cannot be cancelled.
    pub fn handler_limit(mut self, limit: Duration) -> Self {
        self.limits.handler = Some(limit);
        self
    }

    /// Time a running hook has to finish after a stop request, and then `stopped` again. Default: 5 s. Zero cancels a
    /// hook at its next await point, in the middle of a message if need be.
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.limits.stop_grace = grace;
        self
    }

    /// Which threads run it. Default: [`Dispatcher::shared`], the threads of the tokio runtime.
    pub fn dispatcher(mut self, dispatcher: Dispatcher) -> Self {
        self.dispatcher = dispatcher;
        self
    }

    /// Messages the actor may [stash](crate::Context::stash). Default: 1000.
    pub fn stash(mut self, messages: usize) -> Self {
        self.limits.stash = messages;
        self
    }

    /// Starts the actor under `parent`.
    pub(crate) fn launch(
        self,
        parent: &Arc<dyn AnyCell>,
        name: &str,
    ) -> Result<ActorRef<A::Msg>, SpawnError> {
        let env = parent.head().core.env.clone();
        let lane = self.dispatcher.open(&env, name);
        let lane = lane.map_err(|reason| SpawnError::NoThread {
            parent: parent.head().path.clone(),
            name: name.to_owned(),
            reason,
        })?;
        let body = self.embody(parent, name)?;
        let cell = body.cell().clone();
        lane.spawn(&env, || cell.head().path.to_string(), runner::live(body));
        Ok(ActorRef { cell })
    }

    /// Gives the actor its place under `parent`, but no task.
    pub(crate) fn embody(self, parent: &Arc<dyn AnyCell>, name: &str) -> Result<Box<Body<A>>, SpawnError> {
        let head = parent.head();
        let core = &head.core;
        let path = head
            .path
            .child(name)
            .map_err(|reason| SpawnError::IllegalName { parent: head.path.clone(), reason })?;
        if path.depth() > DEPTH_LIMIT {
            return Err(SpawnError::TooDeep { parent: head.path.clone(), limit: DEPTH_LIMIT });
        }
        if self.mailbox.capacity == Some(0) {
            return Err(SpawnError::ZeroCapacity { path });
        }
        if core.is_stopping() || core.admits().is_err() {
            return Err(SpawnError::ShuttingDown { path });
        }
        let head = Head::new(path.clone(), core.clone(), Some(parent.clone()));
        let cell = Arc::new(Cell::new(head, self.mailbox));
        if !core.registry.enter(cell.clone()) {
            return Err(SpawnError::NameTaken { path });
        }
        let Some(key) = parent.head().family.adopt(cell.clone()) else {
            core.registry.leave(&path);
            // Somebody may have looked it up meanwhile.
            cell.discard();
            return Err(SpawnError::ShuttingDown { path });
        };
        core.counts.spawned();
        Ok(Box::new(Body::new(cell, key, self.factory, self.supervision, self.limits)))
    }
}

impl<A: Actor> fmt::Debug for Spawn<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn")
            .field("actor", &std::any::type_name::<A>())
            .field("mailbox", &self.mailbox)
            .field("supervision", &self.supervision)
            .field("limits", &self.limits)
            .field("dispatcher", &self.dispatcher)
            .finish_non_exhaustive()
    }
}

/// What can be spawned: a [`Spawn`], or a plain factory (a closure or a function such as `Counter::default`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be spawned",
    note = "pass a factory such as `Counter::default` or `move || Counter::new(..)`, not a finished actor: supervision makes it again after a crash"
)]
pub trait IntoSpawn {
    /// The actor it makes.
    type Actor: Actor;

    /// The same with its options.
    fn into_spawn(self) -> Spawn<Self::Actor>;
}

impl<A: Actor> IntoSpawn for Spawn<A> {
    type Actor = A;

    fn into_spawn(self) -> Self {
        self
    }
}

impl<A: Actor, F: FnMut() -> A + Send + 'static> IntoSpawn for F {
    type Actor = A;

    fn into_spawn(self) -> Spawn<A> {
        Spawn::new(self)
    }
}

/// The message type of what is spawned.
pub type MsgOf<S> = <<S as IntoSpawn>::Actor as Actor>::Msg;

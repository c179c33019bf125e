//! What can be chosen for a pool, and how does one change its size?

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::ControlError;
use super::SIZE_LIMIT;
use super::front::Front;
use super::keeper::{Children, Keep, Plan, WarmUp, WhenEnded};
use super::members::Link;
use super::resize::Resize;
use super::routing::{Route, Routing};
use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::cell::AnyCell;
use crate::failure::Failure;
use crate::mailbox::Mailbox;
use crate::spawn::{IntoSpawn, Spawn};

/// Makes one routee, ready to be spawned.
type Routee<A> = Arc<dyn Fn() -> Spawn<A> + Send + Sync>;

/// A router with routees of its own, to be spawned; see [`Router::pool`](crate::Router::pool).
///
/// The routees live at `{pool}/routees/0`, `1`, …, and stop with the pool, after their current message, also when the
/// pool is drained: its own mailbox is handled then, and not theirs. A failure of a routee is its own, and one that
/// restarts keeps its place and what is in its mailbox. One that ends is replaced ([`when_ended`](Self::when_ended)).
#[must_use = "a pool does nothing until it is spawned"]
pub struct Pool<A: Actor, R: Route<A::Msg> = Routing<<A as Actor>::Msg>> {
    route: R,
    routee: Routee<A>,
    mailbox: Mailbox<R::Msg>,
    link: Arc<Link<A::Msg>>,
    size: usize,
    weight: Box<dyn Fn(usize) -> u32 + Send>,
    when_ended: WhenEnded,
    warm_up: Option<(Duration, WarmUp<A::Msg>)>,
    resize: Option<(Duration, Box<dyn Resize>)>,
}

impl<A: Actor, R: Route<A::Msg>> Pool<A, R> {
    pub(crate) fn new(size: usize, route: R, factory: impl Fn() -> A + Send + Sync + 'static) -> Self {
        let factory = Arc::new(factory);
        Self {
            route,
            routee: Arc::new(move || {
                let factory = factory.clone();
                Spawn::new(move || factory())
            }),
            mailbox: Mailbox::default(),
            link: Link::new(),
            size: size.clamp(1, SIZE_LIMIT),
            weight: Box::new(|_| 1),
            when_ended: WhenEnded::default(),
            warm_up: None,
            resize: None,
        }
    }

    /// The options of every routee: takes the one with all defaults. Default: no change.
    pub fn routee(mut self, options: impl Fn(Spawn<A>) -> Spawn<A> + Send + Sync + 'static) -> Self {
        let plain = self.routee;
        self.routee = Arc::new(move || options(plain()));
        self
    }

    /// The mailbox of the pool itself. Default: [`Mailbox::bounded`] of 1024.
    pub fn mailbox(mut self, mailbox: Mailbox<R::Msg>) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// The part of the keys that the routee of this number (from 0) owns, beside the others. Default: 1 for each. 0
    /// counts as 1, more than 100 as 100. Means nothing where keys do not decide.
    pub fn weight(mut self, weight: impl Fn(usize) -> u32 + Send + 'static) -> Self {
        self.weight = Box::new(weight);
        self
    }

    /// What happens when a routee ends. Default: [`WhenEnded::Replace`].
    pub fn when_ended(mut self, then: WhenEnded) -> Self {
        self.when_ended = then;
        self
    }

    /// Runs `hook` with each new routee before it gets messages from the pool: to load what it needs, to open its
    /// connections, or to ask it something, so that its `started` is done. Default: none.
    ///
    /// A routee that is not warm `within` this time, or whose hook fails or panics, is a failure that is reported; it
    /// is stopped, and tried again as one that has ended. The messages of a new pool wait until the hooks of its first
    /// routees are over. A restart of a routee runs no hook.
    pub fn warm_up<W>(
        mut self,
        within: Duration,
        hook: impl Fn(ActorRef<A::Msg>) -> W + Send + Sync + 'static,
    ) -> Self
    where
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.warm_up = Some((within, Arc::new(move |routee| Box::pin(hook(routee)))));
        self
    }

    /// Asks `policy` for the size of the pool, `every` so often (a millisecond at least). Default: the size stays.
    ///
    /// A panic in it is a failure that is reported, and changes nothing.
    pub fn resize(mut self, every: Duration, policy: impl Resize) -> Self {
        self.resize = Some((every, Box::new(policy)));
        self
    }

    /// A handle to the pool, for after it has been spawned.
    pub fn control(&self) -> PoolControl<A::Msg> {
        PoolControl { link: self.link.clone() }
    }
}

impl<A: Actor, R: Route<A::Msg>> IntoSpawn for Pool<A, R> {
    type Actor = Front<A::Msg, R>;

    fn into_spawn(self) -> Spawn<Self::Actor> {
        let Self { route, routee, mailbox, link, size, weight, when_ended, warm_up, resize } = self;
        let spawn = move |parent: &Arc<dyn AnyCell>, name: &str| routee().launch(parent, name);
        let children = Children { size, spawn: Box::new(spawn), weight, when_ended, warm_up, resize };
        let plan = Plan { with_ring: route.uses_keys(), children: Some(children), others: Vec::new() };
        Front::spawn(link, plan, route, mailbox)
    }
}

impl<A: Actor, R: Route<A::Msg> + fmt::Debug> fmt::Debug for Pool<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("size", &self.size).field("route", &self.route).finish_non_exhaustive()
    }
}

/// Changes a pool while it runs; see [`Pool::control`]. Cheap to clone. Does not keep the pool alive.
pub struct PoolControl<M> {
    link: Arc<Link<M>>,
}

impl<M: Send + 'static> PoolControl<M> {
    /// Changes the number of routees. Ready when the new number is in force: those removed (such as have no routee at work first, then the highest numbers) get no
    /// more messages from the pool, handle what they have, and stop; those added get messages once they are
    /// [warm](Pool::warm_up). No message is lost.
    ///
    /// A [policy](Pool::resize), if there is one, goes on from there.
    ///
    /// # Errors
    ///
    /// [`ControlError::NoRoutees`] for 0, [`TooMany`](ControlError::TooMany) for more than 10,000; [`NotRunning`](ControlError::NotRunning) before the pool is spawned and after
    /// it has stopped; [`NotSpawned`](ControlError::NotSpawned) when a routee cannot be spawned: the pool then has as
    /// many as it came to.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the change is made or not.
    pub async fn resize(&self, routees: usize) -> Result<(), ControlError> {
        if routees == 0 {
            return Err(ControlError::NoRoutees);
        }
        if routees > SIZE_LIMIT {
            return Err(ControlError::TooMany { wanted: routees, limit: SIZE_LIMIT });
        }
        let keeper = self.link.keeper().await.ok_or(ControlError::NotRunning)?;
        keeper.ask(|reply| Keep::Resize(routees, reply)).await.map_err(ControlError::unanswered)?
    }

    /// The routees that get messages now, in the order of their numbers.
    pub fn routees(&self) -> Vec<ActorRef<M>> {
        self.link.routees()
    }
}

impl<M> Clone for PoolControl<M> {
    fn clone(&self) -> Self {
        Self { link: self.link.clone() }
    }
}

impl<M: Send + 'static> fmt::Debug for PoolControl<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolControl").field("routees", &self.routees().len()).finish_non_exhaustive()
    }
}

//! What can be chosen for a group, and how do actors come and go?

use std::fmt;
use std::sync::Arc;

use super::ControlError;
use super::front::Front;
use super::keeper::{Keep, Plan};
use super::members::Link;
use super::routing::{Route, Routing};
use crate::actor_ref::ActorRef;
use crate::mailbox::Mailbox;
use crate::spawn::{IntoSpawn, Spawn};

/// A router in front of actors that others have spawned, to be spawned; see [`Router::group`](crate::Router::group).
///
/// Routees are watched, and one that ends leaves the group. They outlive it. Where keys decide, a routee owns the keys
/// of its number: the lowest that was free when it came.
#[must_use = "a group does nothing until it is spawned"]
pub struct Group<M: Send + 'static, R: Route<M> = Routing<M>> {
    route: R,
    mailbox: Mailbox<R::Msg>,
    link: Arc<Link<M>>,
    routees: Vec<(ActorRef<M>, u32)>,
}

impl<M: Send + 'static, R: Route<M>> Group<M, R> {
    pub(crate) fn new(route: R) -> Self {
        Self { route, mailbox: Mailbox::default(), link: Link::new(), routees: Vec::new() }
    }

    /// One more routee, of weight 1.
    pub fn routee(self, routee: &ActorRef<M>) -> Self {
        self.weighted(routee, 1)
    }

    /// One more routee, and the part of the keys that it owns beside the others. 0 counts as 1, more than 100 as 100.
    /// Means nothing where keys do not decide. The same actor a second time gets the new weight.
    pub fn weighted(mut self, routee: &ActorRef<M>, weight: u32) -> Self {
        self.routees.push((routee.clone(), weight));
        self
    }

    /// The mailbox of the group itself. Default: [`Mailbox::bounded`] of 1024.
    pub fn mailbox(mut self, mailbox: Mailbox<R::Msg>) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// A handle to the group, for after it has been spawned.
    pub fn control(&self) -> GroupControl<M> {
        GroupControl { link: self.link.clone() }
    }
}

impl<M: Send + 'static, R: Route<M>> IntoSpawn for Group<M, R> {
    type Actor = Front<M, R>;

    fn into_spawn(self) -> Spawn<Self::Actor> {
        let Self { route, mailbox, link, routees } = self;
        let plan = Plan { with_ring: route.uses_keys(), children: None, others: routees };
        Front::spawn(link, plan, route, mailbox)
    }
}

impl<M: Send + 'static, R: Route<M> + fmt::Debug> fmt::Debug for Group<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("routees", &self.routees.len())
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

/// Changes a group while it runs; see [`Group::control`]. Cheap to clone. Does not keep the group alive.
pub struct GroupControl<M> {
    link: Arc<Link<M>>,
}

impl<M: Send + 'static> GroupControl<M> {
    /// Adds a routee of weight 1. Ready when it gets messages. One that is in the group already stays there; one that
    /// has ended leaves it again.
    ///
    /// # Errors
    ///
    /// [`ControlError::Itself`] for the group's own reference; [`NotRunning`](ControlError::NotRunning) before the group
    /// is spawned and after it has stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the routee is added or not.
    pub async fn add(&self, routee: &ActorRef<M>) -> Result<(), ControlError> {
        self.add_weighted(routee, 1).await
    }

    /// As [`add`](Self::add), with a [weight](Group::weighted).
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    ///
    /// As [`add`](Self::add).
    pub async fn add_weighted(&self, routee: &ActorRef<M>, weight: u32) -> Result<(), ControlError> {
        let (keeper, routee) = (self.keeper().await?, routee.clone());
        keeper.ask(move |reply| Keep::Add(routee, weight, reply)).await.map_err(ControlError::unanswered)?
    }

    /// Removes a routee, and says whether it was there. Ready when it gets no more messages from the group; it handles
    /// those it has.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotRunning`] before the group is spawned and after it has stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the routee is removed or not.
    pub async fn remove(&self, routee: &ActorRef<M>) -> Result<bool, ControlError> {
        let (keeper, routee) = (self.keeper().await?, routee.clone());
        keeper.ask(move |reply| Keep::Remove(routee, reply)).await.map_err(ControlError::unanswered)
    }

    /// The routees that get messages now, in the order of their numbers.
    pub fn routees(&self) -> Vec<ActorRef<M>> {
        self.link.routees()
    }

    async fn keeper(&self) -> Result<ActorRef<Keep<M>>, ControlError> {
        self.link.keeper().await.ok_or(ControlError::NotRunning)
    }
}

impl<M> Clone for GroupControl<M> {
    fn clone(&self) -> Self {
        Self { link: self.link.clone() }
    }
}

impl<M: Send + 'static> fmt::Debug for GroupControl<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupControl").field("routees", &self.routees().len()).finish_non_exhaustive()
    }
}

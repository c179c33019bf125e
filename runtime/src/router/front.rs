//! What runs under the name of a router?
//!
//! An actor that hands on what it gets, as its [`Route`] says, to the routees that its [keeper](super::keeper) has
//! published. The keeper is its child; the routees of a pool are the keeper's.
//!
//! # Invariants
//!
//! * A message that it took is handed to a routee, becomes a dead letter, or is lost with a failure that is reported.
//! * A failure resumes it: the routees are kept.

use std::fmt;
use std::sync::Arc;

use super::keeper::{Keeper, Plan};
use super::members::{Life, Link, Members};
use super::routing::{Route, Unrouted};
use crate::actor::Actor;
use crate::cell::Envelope;
use crate::context::Context;
use crate::dead_letters::Reason;
use crate::failure::Failure;
use crate::mailbox::Mailbox;
use crate::spawn::Spawn;
use crate::supervision::Supervision;

/// The name of the keeper under its router: a routee of a pool lives at `{router}/routees/{number}`.
const KEEPER: &str = "routees";

/// The actor in front of the routees of a [`Pool`](crate::Pool) or a [`Group`](crate::Group).
pub struct Front<M, R> {
    link: Arc<Link<M>>,
    members: Option<Members<M>>,
    route: R,
}

/// Marks the end of a router for those who hold a control of it: dropped with the factory.
struct Ends<M>(Arc<Link<M>>);

impl<M> Drop for Ends<M> {
    fn drop(&mut self) {
        self.0.life.send_replace(Life::Ended);
        self.0.give_up();
    }
}

impl<M: Send + 'static, R: Route<M>> Front<M, R> {
    /// The router, to be spawned.
    pub(crate) fn spawn(
        link: Arc<Link<M>>,
        plan: Plan<M>,
        route: R,
        mailbox: Mailbox<R::Msg>,
    ) -> Spawn<Self> {
        link.life.send_replace(Life::Starting);
        *link.plan.lock() = Some(plan);
        let ends = Ends(link);
        Spawn::new(move || Self { link: ends.0.clone(), members: None, route: route.clone() })
            .mailbox(mailbox)
            .supervision(Supervision::resume().keep_children())
    }
}

impl<M: Send + 'static, R: Route<M>> Actor for Front<M, R> {
    type Msg = R::Msg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        // It is there already if this is a restart, which kept the keeper.
        let Some(plan) = self.link.plan.lock().take() else { return Ok(()) };
        let (link, mut plan) = (self.link.clone(), Some(plan));
        let keeper = Spawn::new(move || match plan.take() {
            Some(plan) => Keeper::new(link.clone(), plan),
            None => unreachable!("a keeper resumes after a failure, and its factory does not fail"),
        });
        let keeper = keeper.mailbox(Mailbox::unbounded()).supervision(Supervision::resume().keep_children());
        if let Err(error) = ctx.spawn(KEEPER, keeper) {
            self.link.give_up();
            self.link.life.send_replace(Life::Ended);
            return Err(error.into());
        }
        Ok(())
    }

    async fn receive(&mut self, message: R::Msg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let members = self.members.get_or_insert_with(|| Members::new(&self.link, ctx.any_cell()));
        match self.route.route(message, members).await {
            Ok(()) => Ok(()),
            Err(Unrouted::NoRoutee(message)) => {
                ctx.cell().bury(Envelope { message, ticket: None }, Reason::NoRoutee);
                Ok(())
            }
            Err(Unrouted::Failed(failure)) => Err(failure),
        }
    }
}

impl<M, R: fmt::Debug> fmt::Debug for Front<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("route", &self.route).finish_non_exhaustive()
    }
}

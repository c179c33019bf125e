//! How does one name stand for several actors?
//!
//! A router is an actor that hands each message to one of its *routees*, or to all of them. Those of a *pool* are its own;
//! those of a *group* are actors that others have spawned. The way of a message is short: [`front`] takes it, [`routing`]
//! (or [`first_reply`]) hands it over, as [`pick`] and [`hash_ring`] decide. Who the routees are is the business of the
//! [`keeper`], beside it; [`resize`] decides how many. [`members`] is what the two have in common.
//!
//! # Invariants
//!
//! * A router that has chosen a routee waits for room in it: back-pressure passes through the router.
//! * Who leaves is drained, and who has no room or has ended gives the message back: a change of the routees loses none.

mod first_reply;
mod front;
mod group;
mod hash_ring;
mod keeper;
mod map;
mod members;
mod pick;
mod pool;
mod resize;
mod routing;

use std::hash::Hash;

pub use self::first_reply::{FirstReply, Scatter};
pub use self::front::Front;
pub use self::group::{Group, GroupControl};
pub use self::keeper::WhenEnded;
pub use self::map::Mapping;
pub use self::pool::{Pool, PoolControl};
pub use self::resize::{Forecast, PoolLoad, Pressure, Resize, Schedule};
pub use self::routing::{Route, Routing};
use crate::actor::Actor;
use crate::error::AskError;

/// The most routees of a pool: far more than are of use, and few enough to be spawned at one go.
pub(crate) const SIZE_LIMIT: usize = 10_000;

/// Several actors behind one reference: a [pool](Self::pool) of its own children, or a [group](Self::group) of others.
///
/// A router is spawned as any actor, and its reference is used as any other. It is an actor of its own, with a mailbox
/// and a place in the order of things:
///
/// | what happens | what becomes of the message |
/// |---|---|
/// | the chosen routee has no room | the router waits with it, and takes no other meanwhile |
/// | the chosen routee has ended | it goes to another, or waits for the replacement |
/// | there are no routees (an empty group; a pool whose routees cannot be spawned) | a dead letter ([`Reason::NoRoutee`](crate::Reason::NoRoutee)); an ask ends at once with [`Abandoned`](crate::AskError::Abandoned) |
/// | the key function, or the `clone` of a message, panics | lost; a failure of the router is reported, which goes on, with all its routees |
///
/// An ask through a router ends by its deadline as ever. While its message waits in the mailbox of the router it is
/// skipped when that has passed; once it was handed on, the routee handles it all the same.
#[derive(Debug)]
pub struct Router;

impl Router {
    /// A pool of `routees` actors (0 counts as 1, and more than 10,000 as 10,000), with messages handed over as `route` says. `factory` makes each
    /// routee, and makes it again when it restarts or is replaced.
    ///
    /// ```
    /// # use omnitron_runtime::{Actor, ActorSystem, Context, Failure, Router, Routing};
    /// # #[derive(Default)] struct Worker;
    /// # impl Actor for Worker {
    /// #     type Msg = u32;
    /// #     async fn receive(&mut self, _: u32, _: &mut Context<Self>) -> Result<(), Failure> { Ok(()) }
    /// # }
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let system = ActorSystem::start("demo").await?;
    /// let pool = Router::pool(4, Routing::least_loaded(), Worker::default);
    /// let control = pool.control();
    /// let pool = system.spawn("workers", pool)?;
    /// pool.tell(7)?;
    /// control.resize(8).await?;
    /// assert_eq!(control.routees().len(), 8);
    /// # system.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pool<A, R, F>(routees: usize, route: R, factory: F) -> Pool<A, R>
    where
        A: Actor,
        R: Route<A::Msg>,
        F: Fn() -> A + Send + Sync + 'static,
    {
        Pool::new(routees, route, factory)
    }

    /// A group without routees yet: add them with [`routee`](Group::routee), and later through its
    /// [control](Group::control).
    pub fn group<M: Send + 'static, R: Route<M>>(route: R) -> Group<M, R> {
        Group::new(route)
    }

    /// A [pool](Self::pool) that routes by [consistent hash](Routing::consistent_hash): messages with equal keys meet
    /// the same routee.
    pub fn consistent_hash<A, K, F>(
        routees: usize,
        key: impl Fn(&A::Msg) -> K + Send + Sync + 'static,
        factory: F,
    ) -> Pool<A>
    where
        A: Actor,
        K: Hash,
        F: Fn() -> A + Send + Sync + 'static,
    {
        Self::pool(routees, Routing::consistent_hash(key), factory)
    }
}

/// Why a router was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// A pool was to be resized to nothing. It was not changed.
    #[error("a pool cannot be resized to 0 routees: stop it instead")]
    NoRoutees,
    /// A pool was to be resized to more than it may have. It was not changed.
    #[error("a pool cannot be resized to {wanted} routees: {limit} is the most")]
    TooMany {
        /// The size that was asked for.
        wanted: usize,
        /// The most routees of a pool.
        limit: usize,
    },
    /// The router has not been spawned, or has stopped. Nothing was changed.
    #[error("the router does not run: it has not been spawned, or has stopped")]
    NotRunning,
    /// A routee could not be spawned. The pool has as many as it came to, and goes on with them.
    #[error("a routee could not be spawned, so the pool has {size} now: {reason}")]
    NotSpawned {
        /// The size of the pool now.
        size: usize,
        /// Why there is not one more.
        reason: String,
    },
    /// A group cannot be a routee of its own. It was not changed.
    #[error("a group cannot be a routee of its own")]
    Itself,
    /// The router did not say whether it was changed.
    #[error("no answer from the router")]
    Unanswered(#[source] AskError),
}

impl ControlError {
    fn unanswered(error: AskError) -> Self {
        match error {
            AskError::Refused(_) | AskError::Unhandled => Self::NotRunning,
            error => Self::Unanswered(error),
        }
    }
}

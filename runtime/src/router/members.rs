//! Which routees are there, and how do those who need them learn of it?
//!
//! The [keeper](super::keeper) is the one who knows. It publishes *tables*; the router reads the newest one before each
//! message, and is woken by a new one while it waits.
//!
//! # Invariants
//!
//! * A table never changes. Whoever looks at one sees a moment that was.
//! * A routee that has ended is in no table for long: the keeper is told of its end, and publishes. So a router that is
//!   refused by one waits for the next table, and not in vain.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::hash_ring::HashRing;
use super::keeper::{Keep, Plan};
use crate::actor_ref::ActorRef;
use crate::cell::AnyCell;
use crate::env::{Env, Hashers};
use crate::error::{Refusal, Undelivered};
use crate::failure::Failure;

/// The routees at one moment.
pub(crate) struct Table<M> {
    /// Whether the first routees have come, or have failed to. Before that, messages wait for them.
    pub(crate) opened: bool,
    /// In the order of their numbers. `None` is a place that is kept for a replacement which is on its way.
    pub(crate) seats: Box<[Option<ActorRef<M>>]>,
    /// Over the positions of the seats. Empty where no key decides.
    pub(crate) ring: HashRing,
}

impl<M> Default for Table<M> {
    fn default() -> Self {
        Self { opened: false, seats: Box::default(), ring: HashRing::default() }
    }
}

impl<M> Table<M> {
    pub(crate) fn routees(&self) -> impl Iterator<Item = &ActorRef<M>> {
        self.seats.iter().flatten()
    }
}

/// How far a router has come.
pub(crate) enum Life<M> {
    /// Its spawn has not even begun.
    Planned,
    Starting,
    Running(ActorRef<Keep<M>>),
    Ended,
}

/// What the parts of one router share: the actor in front, its keeper, and the controls in the hands of users.
pub(crate) struct Link<M> {
    pub(crate) table: watch::Sender<Arc<Table<M>>>,
    pub(crate) life: watch::Sender<Life<M>>,
    /// What the keeper begins with.
    pub(crate) plan: Mutex<Option<Plan<M>>>,
}

impl<M> Link<M> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            table: watch::Sender::new(Arc::default()),
            life: watch::Sender::new(Life::Planned),
            plan: Mutex::new(None),
        })
    }

    /// There is nobody any more who could bring routees: nothing is to be waited for, and none are kept in mind.
    pub(crate) fn give_up(&self) {
        self.table.send_replace(Arc::new(Table { opened: true, ..Table::default() }));
    }

    pub(crate) fn routees(&self) -> Vec<ActorRef<M>> {
        self.table.borrow().routees().cloned().collect()
    }

    /// The keeper, once there is one. `None` before the router is spawned, and after it has ended.
    pub(crate) async fn keeper(&self) -> Option<ActorRef<Keep<M>>> {
        let mut lives = self.life.subscribe();
        let life = lives.wait_for(|life| !matches!(life, Life::Starting)).await.ok()?;
        if let Life::Running(keeper) = &*life { Some(keeper.clone()) } else { None }
    }
}

/// The routees as the actor in front sees them.
#[expect(unnameable_types, reason = "in the signature of a trait that is closed")]
pub struct Members<M> {
    tables: watch::Receiver<Arc<Table<M>>>,
    table: Arc<Table<M>>,
    /// The actor in front.
    pub(crate) front: Arc<dyn AnyCell>,
    pub(crate) hashers: Hashers,
}

impl<M: Send + 'static> Members<M> {
    pub(crate) fn new(link: &Link<M>, front: Arc<dyn AnyCell>) -> Self {
        let hashers = front.head().core.env.hasher();
        Self { tables: link.table.subscribe(), table: link.table.borrow().clone(), front, hashers }
    }

    pub(crate) fn env(&self) -> &Env {
        &self.front.head().core.env
    }

    /// Sees to it that the [table](Self::table) is the newest one, and waits for the first.
    pub(crate) async fn look(&mut self) {
        // One look at an atomic number, nearly always.
        if self.tables.has_changed().unwrap_or(false) {
            self.renew();
        }
        while !self.table.opened {
            self.changed().await;
        }
    }

    /// The table at the last look.
    pub(crate) fn table(&self) -> &Arc<Table<M>> {
        &self.table
    }

    fn renew(&mut self) {
        self.table = self.tables.borrow_and_update().clone();
    }

    /// Waits until the table is another one.
    pub(crate) async fn changed(&mut self) {
        // The other end is in the link, which the actor in front keeps.
        let _ = self.tables.changed().await;
        self.renew();
    }

    /// Sends to a routee that has no room, until it has, until the table is another one, or as long as `patience`
    /// lasts: perhaps there is somebody with more room. Gives the message back if it was not taken.
    pub(crate) async fn wait_for_room(
        &mut self,
        routee: &ActorRef<M>,
        message: M,
        patience: Option<Duration>,
    ) -> Result<Option<M>, Failure> {
        let mut sending = routee.send(message);
        let patience = self.env().sleep(patience.unwrap_or(Duration::MAX));
        let settled = {
            let changed = pin!(self.tables.changed());
            match select(&mut sending, select(changed, patience)).await {
                Either::Left((settled, _)) => Some(settled),
                Either::Right(_) => None,
            }
        };
        match settled {
            None => {
                self.renew();
                Ok(sending.take_back())
            }
            Some(Ok(())) => Ok(None),
            Some(Err(Undelivered { message, reason })) if is_passing(reason) => Ok(Some(message)),
            Some(Err(undelivered)) => Err(undelivered.into()),
        }
    }
}

/// Whether another routee, or another try, can help.
pub(crate) const fn is_passing(reason: Refusal) -> bool {
    // Room comes when it comes: meanwhile the senders of the router wait as well.
    matches!(reason, Refusal::Full { .. } | Refusal::TimedOut { .. }) || has_gone(reason)
}

/// Whether the routee has ended, or is about to.
pub(crate) const fn has_gone(reason: Refusal) -> bool {
    matches!(reason, Refusal::Stopped | Refusal::ShuttingDown | Refusal::SystemStopped)
}

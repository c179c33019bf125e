//! Which actors belong together under a key?
//!
//! # Invariants
//!
//! * A group has at least one member: with the last one its key goes as well.
//! * An actor is in a group at most once, and not after it has ended.
//! * Messages are told, and members dropped, under no lock. Only what keys bring along runs under one.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::actor_ref::ActorRef;
use crate::cell::Farewell;
use crate::env::{Env, Hashers};
use crate::error::Undelivered;
use crate::roster::Roster;

/// Actors by key: those who want to hear of one order, one room, one customer. Cheap to clone; every clone is the same
/// groups, for use by many actors and tasks at once.
///
/// A member that ends leaves all its groups by itself; a restart changes nothing. Keys may be anything that can be
/// compared; their `Hash`, `Eq`, `Clone` and `Drop` may run under a lock and must not use the same groups.
///
/// ```
/// # use omnitron_runtime::{ActorSystem, Groups, testkit::{Probe, Sim}};
/// # let sim = Sim::new(1);
/// # sim.block_on(async {
/// # let system = ActorSystem::builder("doc").env(sim.env()).start().await.unwrap();
/// # let probe = Probe::<&str>::new(&system, "ann").unwrap();
/// # let ann = probe.actor();
/// let rooms = Groups::new(system.env());
/// rooms.join(&"lobby", ann);
/// let told = rooms.tell_all(&"lobby", "hello");
/// assert_eq!((told.taken, told.refused.len()), (1, 0));
/// # });
/// ```
pub struct Groups<K: Eq + Hash, M: Send + 'static> {
    by_key: Arc<ByKey<K, M>>,
}

type Members<M> = Roster<Arc<Member<M>>>;
type ByKey<K, M> = DashMap<K, Members<M>, Hashers>;

/// The farewell goes with the membership: who leaves is not waited for.
struct Member<M: Send + 'static> {
    actor: ActorRef<M>,
    farewell: Farewell,
}

/// What became of a message to a group.
#[derive(Debug)]
#[must_use = "who refused the message got nothing"]
pub struct Told<M> {
    /// Members whose mailboxes took the message.
    pub taken: usize,
    /// The others, in the order of their spawns, each with its copy of the message and the reason.
    pub refused: Vec<(ActorRef<M>, Undelivered<M>)>,
}

impl<K, M> Groups<K, M>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    M: Send + 'static,
{
    /// No groups yet.
    pub fn new(env: &Env) -> Self {
        Self { by_key: Arc::new(DashMap::with_hasher(env.hasher())) }
    }

    /// Makes `actor` a member of the group of `key`. Says whether that is new: not when it is one already, or has ended.
    pub fn join(&self, key: &K, actor: &ActorRef<M>) -> bool {
        let id = actor.cell.head().id;
        let (groups, left) = (Arc::downgrade(&self.by_key), key.clone());
        let farewell = Farewell::new(actor.cell.clone(), move || {
            if let Some(by_key) = groups.upgrade() {
                drop(take(&by_key, &left, id));
            }
        });
        let member = Arc::new(Member { actor: actor.clone(), farewell });
        let known = self.by_key.entry(key.clone()).or_default().enter(id, member.clone());
        if known.is_err() {
            return false;
        }
        // An end that came before the entry found nothing to take out.
        let ended = member.farewell.is_over();
        if ended {
            drop(take(&self.by_key, key, id));
        }
        !ended
    }

    /// Takes `actor` out of the group of `key`. Says whether it was in. Nothing is told to it through this group after
    /// that, except by a [`tell_all`](Self::tell_all) that has begun.
    pub fn leave(&self, key: &K, actor: &ActorRef<M>) -> bool {
        take(&self.by_key, key, actor.cell.head().id).is_some()
    }

    /// The members of the group of `key`, in the order of their spawns. None where there is no such group.
    pub fn members(&self, key: &K) -> Vec<ActorRef<M>> {
        self.list(key).iter().map(|member| member.actor.clone()).collect()
    }

    /// Tells every member of the group of `key`, and never waits. What a full mailbox does is its
    /// [choice](crate::Mailbox). Each but the last gets a clone; one that panics does so here, after some have been told.
    pub fn tell_all(&self, key: &K, message: M) -> Told<M>
    where
        M: Clone,
    {
        let members = self.list(key);
        let mut told = Told { taken: 0, refused: Vec::new() };
        let mut tell = |member: &Member<M>, message| match member.actor.tell(message) {
            Ok(()) => told.taken += 1,
            Err(undelivered) => told.refused.push((member.actor.clone(), undelivered)),
        };
        if let Some((last, others)) = members.split_last() {
            for member in others {
                tell(member, message.clone());
            }
            tell(last, message);
        }
        told
    }

    /// How many groups have members.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no group has a member.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    fn list(&self, key: &K) -> Arc<[Arc<Member<M>>]> {
        self.by_key.get_mut(key).map(|mut members| members.list()).unwrap_or_default()
    }
}

/// Takes a member out, and with the last one the group. The member is returned, to be dropped under no lock.
fn take<K, M>(by_key: &ByKey<K, M>, key: &K, id: u64) -> Option<Arc<Member<M>>>
where
    K: Clone + Eq + Hash,
    M: Send + 'static,
{
    let Entry::Occupied(mut group) = by_key.entry(key.clone()) else { return None };
    let member = group.get_mut().leave(id)?;
    if group.get().is_empty() {
        drop(group.remove_entry());
    }
    Some(member)
}

impl<K: Eq + Hash, M: Send + 'static> Clone for Groups<K, M> {
    fn clone(&self) -> Self {
        Self { by_key: self.by_key.clone() }
    }
}

impl<K: Eq + Hash, M: Send + 'static> fmt::Debug for Groups<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("len", &self.by_key.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(omnitron_loom)))]
mod tests {
    use super::*;
    use crate::system::ActorSystem;
    use crate::testkit::{Probe, Sim};

    #[test]
    fn who_has_left_and_groups_that_are_dropped_leave_nothing_with_the_actor() {
        let sim = Sim::new(1);
        sim.block_on(async {
            let system = ActorSystem::builder("test").env(sim.env()).start().await.unwrap();
            let probe = Probe::<()>::new(&system, "probe").unwrap();
            let watchers = || probe.actor().cell.head().watchers.len();
            let groups = Groups::new(system.env());
            for _ in 0..3 {
                assert!(groups.join(&1, probe.actor()) && !groups.join(&1, probe.actor()));
                assert_eq!(watchers(), 1);
                assert!(groups.leave(&1, probe.actor()));
                assert_eq!(watchers(), 0);
            }
            groups.join(&1, probe.actor());
            drop(groups);
            assert_eq!(watchers(), 0);
        });
    }
}

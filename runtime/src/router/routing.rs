//! How does a message reach one routee, or all of them?
//!
//! [`pick`] and [`hash_ring`](super::hash_ring) say who comes first; here the message is handed over.
//!
//! # Invariants
//!
//! * A message is handed to one routee (broadcast: once to each), or the router is told that there is none.
//! * Handing over allocates nothing, as long as somebody has room.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::members::{Members, Table, has_gone};
use super::pick::{self, Rotation};
use crate::actor_ref::ActorRef;
use crate::env::Hashers;
use crate::error::{Refusal, Undelivered};
use crate::failure::Failure;

/// The wait for one full routee before the others are looked at again: one that is stuck does not hold up the router.
/// Long enough for a busy routee to make room for many messages, which then find it without a wait.
const PATIENCE: Duration = Duration::from_millis(10);

/// How a router treats its messages: a [`Routing`] or a [`FirstReply`](crate::FirstReply). Closed: others cannot
/// implement it.
pub trait Route<M: Send + 'static>: Clone + sealed::Sealed + Send + 'static {
    /// What the router takes. `M` is what its routees take.
    type Msg: Send + 'static;

    /// Whether keys decide.
    #[doc(hidden)]
    fn uses_keys(&self) -> bool;

    #[doc(hidden)]
    fn route(
        &mut self,
        message: Self::Msg,
        members: &mut Members<M>,
    ) -> impl Future<Output = Result<(), Unrouted<Self::Msg>>> + Send;
}

pub(super) mod sealed {
    #[expect(unnameable_types, reason = "who cannot name it cannot implement it")]
    pub trait Sealed {}
}

/// Why a message was not handed over.
#[expect(unnameable_types, reason = "in the signature of a trait that is closed")]
pub enum Unrouted<M> {
    /// There are no routees.
    NoRoutee(M),
    /// Nobody will ever take it.
    Failed(Failure),
}

impl<M> From<Failure> for Unrouted<M> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Which routee gets a message.
///
/// A routee whose mailbox is full is passed over by the first three, as long as another has room (one whose mailbox
/// [drops](crate::Overflow) always has). When none has, the router waits for the one whose turn it is, and looks at the
/// others again every 10 ms and when routees come or go; meanwhile its own mailbox fills, and its senders wait or are
/// refused in turn.
#[must_use = "a routing does nothing until a router has it"]
pub struct Routing<M> {
    kind: Kind<M>,
    rotation: Rotation,
}

/// The hash of a message's key.
type KeyHash<M> = Arc<dyn Fn(&M, &Hashers) -> u64 + Send + Sync>;

enum Kind<M> {
    RoundRobin,
    Random,
    LeastLoaded,
    Broadcast(fn(&M) -> M),
    ConsistentHash(KeyHash<M>),
}

impl<M> Routing<M> {
    /// One after the other.
    pub const fn round_robin() -> Self {
        Self::of(Kind::RoundRobin)
    }

    /// Any, each as likely as the others. The numbers come from the [`Env`](crate::Env).
    pub const fn random() -> Self {
        Self::of(Kind::Random)
    }

    /// The one with the fewest messages, waiting and in hand; of several, one after the other. Looks at every mailbox
    /// for every message: a lock each.
    pub const fn least_loaded() -> Self {
        Self::of(Kind::LeastLoaded)
    }

    /// All of them: each gets a copy. The router waits for those who have no room, one after the other, so the slowest
    /// sets the pace. A panic in `clone` is a failure of the router alone: those who had their copy keep it.
    pub const fn broadcast() -> Self
    where
        M: Clone,
    {
        Self::of(Kind::Broadcast(M::clone))
    }

    /// The one that owns the key of the message: equal keys meet the same routee, also across its restarts and
    /// [replacements](crate::WhenEnded::Replace).
    ///
    /// A key belongs to a routee by its hash, on a ring on which every routee owns 64 points per unit of its weight:
    ///
    /// * **Balance.** Of up to 256 routees of one weight, none owns more than 1.43 times its fair part of all hashes;
    ///   with weights, and with gaps where routees have left, none (of up to 32) owns more than twice its fair part.
    ///   How evenly *messages* spread depends on the keys besides.
    /// * **What moves.** When a routee comes, keys move to it, and none between the others. When one leaves, its keys
    ///   move, and no others.
    ///
    /// A key that moves has messages with its old routee still, which handles them while the new one begins: they are
    /// in no order. The router waits for the owner of the key alone, so one routee without room holds it up.
    ///
    /// A panic in `key` is a failure of the router alone: the message is lost, the routees are kept.
    pub fn consistent_hash<K: Hash>(key: impl Fn(&M) -> K + Send + Sync + 'static) -> Self {
        Self::of(Kind::ConsistentHash(Arc::new(move |message, hashers| hashers.hash_one(key(message)))))
    }

    const fn of(kind: Kind<M>) -> Self {
        Self { kind, rotation: Rotation::ZERO }
    }
}

/// What came of one round over the routees.
enum Offered<M> {
    Taken,
    NoRoutee(M),
    /// Nobody has room; this one is to be waited for.
    Full(M, ActorRef<M>),
    /// All have ended or are being replaced: the next table will be another.
    Gone(M),
}

impl<M: Send + 'static> Routing<M> {
    /// Offers a message to the routees whose turn it can be, and never waits.
    fn offer(
        &mut self,
        table: &Table<M>,
        message: M,
        hash: Option<u64>,
        number: impl FnOnce() -> u64,
    ) -> Result<Offered<M>, Failure> {
        let among = table.seats.len();
        if among == 0 {
            return Ok(Offered::NoRoutee(message));
        }
        let turn = self.rotation.first(among);
        let depth = |position: usize| table.seats[position].as_ref().map(ActorRef::depth);
        let first = match (&self.kind, hash) {
            (_, Some(hash)) => table.ring.pick(hash).unwrap_or(turn),
            (Kind::Random, _) => pick::random(number(), among),
            (Kind::LeastLoaded, _) => pick::least(turn, among, depth).unwrap_or(turn),
            _ => turn,
        };
        // The owner of a key has nobody who stands in for it.
        let candidates = if hash.is_some() { 1 } else { among };
        let (mut message, mut full) = (message, None);
        for position in pick::in_turn(first, among).take(candidates) {
            let Some(routee) = &table.seats[position] else { continue };
            match routee.tell(message) {
                Ok(()) => {
                    self.rotation.after(position);
                    return Ok(Offered::Taken);
                }
                Err(Undelivered { message: back, reason }) => match reason {
                    Refusal::Full { .. } => {
                        full.get_or_insert(position);
                        message = back;
                    }
                    reason if has_gone(reason) => message = back,
                    reason => return Err(Undelivered { message: back, reason }.into()),
                },
            }
        }
        Ok(match full.and_then(|position| table.seats[position].clone()) {
            Some(routee) => Offered::Full(message, routee),
            None => Offered::Gone(message),
        })
    }
}

impl<M> sealed::Sealed for Routing<M> {}

impl<M: Send + 'static> Route<M> for Routing<M> {
    type Msg = M;

    fn uses_keys(&self) -> bool {
        matches!(self.kind, Kind::ConsistentHash(_))
    }

    async fn route(&mut self, mut message: M, members: &mut Members<M>) -> Result<(), Unrouted<M>> {
        let hash = match &self.kind {
            Kind::Broadcast(copy) => return broadcast(*copy, message, members).await,
            Kind::ConsistentHash(key) => Some(key(&message, &members.hashers)),
            _ => None,
        };
        let patience = hash.is_none().then_some(PATIENCE);
        loop {
            members.look().await;
            let number = || members.env().random_u64();
            message = match self.offer(members.table(), message, hash, number)? {
                Offered::Taken => return Ok(()),
                Offered::NoRoutee(message) => return Err(Unrouted::NoRoutee(message)),
                Offered::Full(message, routee) => {
                    match members.wait_for_room(&routee, message, patience).await? {
                        None => return Ok(()),
                        Some(message) => message,
                    }
                }
                Offered::Gone(message) => {
                    members.changed().await;
                    message
                }
            };
        }
    }
}

/// Hands a copy to each routee of this moment that does not end meanwhile.
async fn broadcast<M: Send + 'static>(
    copy: fn(&M) -> M,
    message: M,
    members: &mut Members<M>,
) -> Result<(), Unrouted<M>> {
    loop {
        members.look().await;
        let table = members.table().clone();
        if table.seats.is_empty() {
            return Err(Unrouted::NoRoutee(message));
        }
        let mut taken = false;
        for routee in table.routees() {
            taken |= send_to(routee, copy(&message)).await?;
        }
        if taken {
            return Ok(());
        }
        // All have ended: their replacements get it, or there will be nobody.
        members.changed().await;
    }
}

/// Sends, however long it takes. Whether it was taken: not if the routee has ended.
async fn send_to<M: Send + 'static>(routee: &ActorRef<M>, mut message: M) -> Result<bool, Failure> {
    loop {
        match routee.send(message).await {
            Ok(()) => return Ok(true),
            Err(Undelivered { message: back, reason: Refusal::TimedOut { .. } }) => message = back,
            Err(Undelivered { reason, .. }) if has_gone(reason) => return Ok(false),
            Err(undelivered) => return Err(undelivered.into()),
        }
    }
}

impl<M> Clone for Routing<M> {
    fn clone(&self) -> Self {
        let kind = match &self.kind {
            Kind::RoundRobin => Kind::RoundRobin,
            Kind::Random => Kind::Random,
            Kind::LeastLoaded => Kind::LeastLoaded,
            Kind::Broadcast(copy) => Kind::Broadcast(*copy),
            Kind::ConsistentHash(key) => Kind::ConsistentHash(key.clone()),
        };
        Self { kind, rotation: self.rotation }
    }
}

impl<M> fmt::Debug for Routing<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::RoundRobin => "Routing(round robin)",
            Kind::Random => "Routing(random)",
            Kind::LeastLoaded => "Routing(least loaded)",
            Kind::Broadcast(_) => "Routing(broadcast)",
            Kind::ConsistentHash(_) => "Routing(consistent hash)",
        })
    }
}

//! How does one name stand for several actors?
//!
//! A *pool* is an actor that spawns its routees as children and hands each message to one of them. This first one
//! chooses by consistent hash, so that messages with equal keys meet the same routee.
//!
//! # Invariants
//!
//! * Equal keys go to the same routee as long as the pool lives, also across restarts of the routee.
//! * The pool waits for room in the routee it has chosen: back-pressure passes through it, and one full routee holds
//!   up the pool.

mod hash_ring;

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use self::hash_ring::HashRing;
use crate::actor::{Actor, Signal};
use crate::actor_ref::ActorRef;
use crate::context::Context;
use crate::env::Hashers;
use crate::error::{Refusal, Undelivered};
use crate::failure::Failure;
use crate::mailbox::Mailbox;
use crate::spawn::{IntoSpawn, Spawn};

/// Pools of actors behind one reference.
#[derive(Debug)]
pub struct Router;

impl Router {
    /// A pool of `routees` actors (0 counts as 1) at the children `0`, `1`, …; messages with equal keys meet the same
    /// one. `factory` makes each routee, and makes it again when it restarts; one that stops is spawned afresh.
    ///
    /// A panic in `key` is a failure of the pool: the message is lost, the routees are kept.
    pub fn consistent_hash<A, K, F>(
        routees: usize,
        key: impl Fn(&A::Msg) -> K + Send + Sync + 'static,
        factory: F,
    ) -> ConsistentHash<A>
    where
        A: Actor,
        K: Hash,
        F: Fn() -> A + Send + Sync + 'static,
    {
        let factory = Arc::new(factory);
        ConsistentHash {
            routees: routees.max(1),
            key: Arc::new(move |message, hashers| hashers.hash_one(key(message))),
            routee: Arc::new(move || {
                let factory = factory.clone();
                Spawn::new(move || factory())
            }),
            mailbox: Mailbox::default(),
        }
    }
}

/// The hash of a message's key.
type KeyHash<M> = Arc<dyn Fn(&M, &Hashers) -> u64 + Send + Sync>;
/// Makes one routee, ready to be spawned.
type Routee<A> = Arc<dyn Fn() -> Spawn<A> + Send + Sync>;

/// A pool that is to be spawned; see [`Router::consistent_hash`].
#[must_use = "a pool does nothing until it is spawned"]
pub struct ConsistentHash<A: Actor> {
    routees: usize,
    key: KeyHash<A::Msg>,
    routee: Routee<A>,
    mailbox: Mailbox<A::Msg>,
}

impl<A: Actor> ConsistentHash<A> {
    /// The options of every routee: takes the one with all defaults. Default: no change.
    pub fn routee(mut self, options: impl Fn(Spawn<A>) -> Spawn<A> + Send + Sync + 'static) -> Self {
        let plain = self.routee;
        self.routee = Arc::new(move || options(plain()));
        self
    }

    /// The mailbox of the pool itself. Default: [`Mailbox::bounded`] of 1024.
    pub fn mailbox(mut self, mailbox: Mailbox<A::Msg>) -> Self {
        self.mailbox = mailbox;
        self
    }
}

impl<A: Actor> IntoSpawn for ConsistentHash<A> {
    type Actor = Pool<A>;

    fn into_spawn(self) -> Spawn<Pool<A>> {
        let Self { routees, key, routee, mailbox } = self;
        let factory = move || Pool {
            ring: HashRing::new(routees),
            size: routees,
            key: key.clone(),
            routee: routee.clone(),
            members: Vec::new(),
            hashers: None,
        };
        Spawn::new(factory)
            .mailbox(mailbox)
            .supervision(crate::supervision::Supervision::resume().keep_children())
    }
}

impl<A: Actor> fmt::Debug for ConsistentHash<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsistentHash").field("routees", &self.routees).finish_non_exhaustive()
    }
}

/// The actor in front of a pool.
pub struct Pool<A: Actor> {
    ring: HashRing,
    size: usize,
    key: KeyHash<A::Msg>,
    routee: Routee<A>,
    members: Vec<ActorRef<A::Msg>>,
    hashers: Option<Hashers>,
}

impl<A: Actor> Pool<A> {
    fn populate(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.members = (0..self.size).map(|index| self.member(index, ctx)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Spawns the routee of this number, unless it lives.
    fn member(&self, index: usize, ctx: &mut Context<Self>) -> Result<ActorRef<A::Msg>, Failure> {
        let name = index.to_string();
        let member = match ctx.child(&name) {
            Some(member) => member,
            None => ctx.spawn(&name, (self.routee)())?,
        };
        ctx.watch(&member);
        Ok(member)
    }
}

impl<A: Actor> Actor for Pool<A> {
    type Msg = A::Msg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.hashers = Some(ctx.env().hasher());
        self.populate(ctx)
    }

    async fn receive(&mut self, mut message: A::Msg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let hashers = self.hashers.get_or_insert_with(|| ctx.env().hasher());
        let hash = (self.key)(&message, hashers);
        let Some(index) = self.ring.pick(hash) else { return Err(Failure::msg("a pool without routees")) };
        if self.members.is_empty() {
            // It could not start: every message says so, until it can.
            self.populate(ctx)?;
        }
        while let Some(member) = self.members.get(index).cloned() {
            match member.send(message).await {
                Ok(()) => break,
                Err(Undelivered { message: back, reason: Refusal::Stopped }) => {
                    message = back;
                    member.stopped().await;
                    self.members[index] = self.member(index, ctx)?;
                }
                // Room comes when it comes: meanwhile the senders of the pool wait as well.
                Err(Undelivered { message: back, reason: Refusal::TimedOut { .. } }) => message = back,
                Err(undelivered) => return Err(undelivered.into()),
            }
        }
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, ctx: &mut Context<Self>) -> Result<(), Failure> {
        if let Signal::Terminated(path) = signal
            && let Ok(index) = path.name().parse::<usize>()
            && index < self.members.len()
        {
            self.members[index] = self.member(index, ctx)?;
        }
        Ok(())
    }
}

impl<A: Actor> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("routees", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::ActorSystem;
    use crate::testkit::Sim;

    struct Idle;

    impl Actor for Idle {
        type Msg = u8;

        async fn receive(&mut self, _: u8, _: &mut Context<Self>) -> Result<(), Failure> {
            Ok(())
        }
    }

    #[test]
    fn a_pool_whose_routees_cannot_be_spawned_fails_with_every_message() {
        let sim = Sim::new(1);
        sim.block_on(async {
            let system = ActorSystem::builder("pool").env(sim.env()).start().await.expect("a system");
            let pool = Router::consistent_hash(2, |key: &u8| *key, || Idle)
                .routee(|routee| routee.mailbox(Mailbox::bounded(0)));
            let pool = system.spawn("pool", pool).expect("a pool");
            for key in 0..3 {
                pool.tell(key).expect("room");
            }
            pool.drain().await;
            // One for the start, and one for each message.
            assert_eq!(system.stats().failures, 4);
        });
    }
}

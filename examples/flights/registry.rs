//! Who supervises the counting actors, and how do they keep their counts through a restart?
//!
//! The same two actors serve three times: `/user/fleet` has an actor per aircraft, `/user/airports` one per airport,
//! `/user/carriers` one per carrier. They differ in what they count (`tally.rs`).
//!
//! # Invariants
//!
//! * A name has at most one actor, spawned by the first request for it. The registry itself remembers nothing: it asks
//!   its context which children it has, so it may be restarted at any time (its children live on).
//! * A restart of a counting actor loses no counts: the incarnation that failed puts them into a drawer, from which
//!   the next one takes them. They are whole, because a message fails before it changes anything.

use std::marker::PhantomData;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use omnitron::prelude::*;

use crate::faults::{self, Coin, Faults};
use crate::tally::{Counts, Tally};

/// Finds or spawns the actors that count one kind of thing.
pub(crate) struct Registry<T> {
    name: &'static str,
    faults: Faults,
    coin: Coin,
    counts: PhantomData<fn() -> T>,
}

/// What a registry is asked.
pub(crate) enum RegistryMsg<T: Tally> {
    /// Which actor has this name? The first request spawns it.
    Find {
        /// The last part of its path.
        name: String,
        /// Takes the reference, or why there cannot be one of this name.
        reply: ReplyTo<Result<ActorRef<CounterMsg<T>>, SpawnError>>,
    },
    /// Which actors are there?
    All(ReplyTo<Vec<Member<T>>>),
}

/// An actor and its name.
pub(crate) type Member<T> = (String, ActorRef<CounterMsg<T>>);

/// Spawns the registry of this name under `/user`.
///
/// # Errors
///
/// [`SpawnError`] when the name is taken or the system shuts down.
pub(crate) fn spawn<T: Tally>(
    system: &ActorSystem,
    name: &'static str,
    faults: Faults,
) -> Result<ActorRef<RegistryMsg<T>>, SpawnError> {
    let mut incarnation = 0;
    let fresh = move || {
        incarnation += 1;
        Registry::<T> { name, faults, coin: faults.coin(name, incarnation), counts: PhantomData }
    };
    system.spawn(name, Spawn::new(fresh).supervision(faults::supervision().keep_children()))
}

impl<T: Tally> Actor for Registry<T> {
    type Msg = RegistryMsg<T>;

    async fn receive(&mut self, msg: RegistryMsg<T>, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.coin.toss()?;
        match msg {
            RegistryMsg::Find { name, reply } => reply.send(match ctx.child(&name) {
                Some(counter) => Ok(counter),
                None => self.spawn_counter(&name, ctx),
            }),
            RegistryMsg::All(reply) => {
                let names = ctx.children();
                let members = names.iter().map(|path| path.name().to_owned());
                reply.send(
                    members.filter_map(|name| ctx.child(&name).map(|counter| (name, counter))).collect(),
                );
            }
        }
        Ok(())
    }
}

impl<T: Tally> Registry<T> {
    fn spawn_counter(
        &self,
        name: &str,
        ctx: &mut Context<Self>,
    ) -> Result<ActorRef<CounterMsg<T>>, SpawnError> {
        let drawer = Drawer::default();
        let faults = self.faults;
        let place = format!("{}/{name}", self.name);
        let mut incarnation = 0;
        let fresh = move || {
            incarnation += 1;
            Counter::<T> {
                counts: drawer.take(),
                drawer: drawer.clone(),
                coin: faults.coin(&place, incarnation),
            }
        };
        ctx.spawn(name, Spawn::new(fresh).supervision(faults::supervision()))
    }
}

/// Counts for one aircraft, airport or carrier.
struct Counter<T: Tally> {
    counts: Counts<T>,
    drawer: Drawer<T>,
    coin: Coin,
}

/// What a counting actor is told.
pub(crate) enum CounterMsg<T: Tally> {
    /// Count this, unless it is counted.
    Count {
        /// What to count.
        entry: T::Entry,
        /// Is told when it is counted, now or before.
        reply: ReplyTo<()>,
    },
    /// What is the count?
    Read(ReplyTo<T>),
}

impl<T: Tally> Actor for Counter<T> {
    type Msg = CounterMsg<T>;

    async fn receive(&mut self, msg: CounterMsg<T>, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.coin.toss()?;
        match msg {
            CounterMsg::Count { entry, reply } => {
                self.counts.count(entry);
                reply.send(());
            }
            CounterMsg::Read(reply) => reply.send(self.counts.tally().clone()),
        }
        Ok(())
    }

    async fn pre_restart(&mut self, _crash: &Crash, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.drawer.put(mem::take(&mut self.counts));
        Ok(())
    }
}

/// Where counts lie between two incarnations of their actor. It lasts as long as the process: what must outlive that
/// has to be written to a disk.
struct Drawer<T: Tally>(Arc<Mutex<Option<Counts<T>>>>);

// By hand, because the derives would ask the same of `T`.
impl<T: Tally> Clone for Drawer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Tally> Default for Drawer<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Tally> Drawer<T> {
    fn put(&self, counts: Counts<T>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(counts);
    }

    fn take(&self) -> Counts<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

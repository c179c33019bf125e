//! Who supervises the counting actors, and how do they keep their counts through a restart?
//!
//! The same two actors serve four times: `/user/fleet` has an actor per aircraft, `/user/airports` one per airport,
//! `/user/carriers` one per carrier, `/user/partitions` one per partition of the file. They differ in what they count
//! (`tally.rs`). Counting actors are event-sourced: what they count lies in the journal, and their state is its sum.
//!
//! # Invariants
//!
//! * A name has at most one actor, spawned by the first request for it. The registry itself remembers nothing: it asks
//!   its context which children it has, so it may be restarted at any time (its children live on).
//! * Who is told that something was counted can rely on it: it is durable, as far as the journal is.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use omnitron::prelude::*;

use crate::faults::{self, Coin, Faults};
use crate::tally::Tally;

/// Events of an actor between two snapshots of its state. Those with fewer are recovered from their events alone.
const EVENTS_PER_SNAPSHOT: u64 = 500;

/// Finds or spawns the actors that count one kind of thing.
pub(crate) struct Registry<T> {
    name: &'static str,
    faults: Faults,
    coin: Coin,
    counts: PhantomData<fn() -> T>,
}

/// What a registry is asked: which actor has this name? The first request spawns it.
pub(crate) struct Find<T: Tally> {
    /// The last part of its path.
    pub(crate) name: String,
    /// Takes the reference, or why there cannot be one of this name.
    pub(crate) reply: ReplyTo<Result<ActorRef<CounterMsg<T>>, SpawnError>>,
}

/// Spawns the registry of this name under `/user`.
///
/// # Errors
///
/// [`SpawnError`] when the name is taken or the system shuts down.
pub(crate) fn spawn<T: Tally>(
    system: &ActorSystem,
    name: &'static str,
    faults: Faults,
) -> Result<ActorRef<Find<T>>, SpawnError> {
    let mut incarnation = 0;
    let fresh = move || {
        incarnation += 1;
        Registry::<T> { name, faults, coin: faults.coin(name, incarnation), counts: PhantomData }
    };
    system.spawn(name, Spawn::new(fresh).supervision(faults::supervision().keep_children()))
}

impl<T: Tally> Actor for Registry<T> {
    type Msg = Find<T>;

    async fn receive(
        &mut self,
        Find { name, reply }: Find<T>,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        self.coin.toss()?;
        reply.send(match ctx.child(&name) {
            Some(counter) => Ok(counter),
            None => self.spawn_counter(&name, ctx),
        });
        Ok(())
    }
}

impl<T: Tally> Registry<T> {
    fn spawn_counter(
        &self,
        name: &str,
        ctx: &mut Context<Self>,
    ) -> Result<ActorRef<CounterMsg<T>>, SpawnError> {
        let coin = Mutex::new(self.faults.coin(&format!("{}/{name}", self.name), 1));
        let counter = Persistent::new(Counter::<T> { coin, counts: PhantomData })
            .snapshots(Snapshots::every(EVENTS_PER_SNAPSHOT))
            .supervision(faults::supervision());
        ctx.spawn(name, counter)
    }
}

/// Counts for one aircraft, airport, carrier or partition.
struct Counter<T> {
    /// All incarnations of one actor share the coin: its tosses go on where the failure was.
    coin: Mutex<Coin>,
    counts: PhantomData<fn() -> T>,
}

/// What a counting actor is told.
pub(crate) enum CounterMsg<T: Tally> {
    /// Count these, but those that are counted.
    Count {
        /// What to count, in the order of the lines, and of each line everything.
        entries: Arc<[T::Entry]>,
        /// Is told when they are counted, now or before, for good.
        reply: ReplyTo<()>,
    },
    /// What is the count?
    Read(ReplyTo<T>),
}

impl<T: Tally> EventSourced for Counter<T> {
    type Command = CounterMsg<T>;
    type Event = T::Entry;
    type State = T;

    fn handle(&self, state: &T, command: CounterMsg<T>, _cx: &Scope<Self>) -> Effect<Self> {
        if let Err(injected) = self.coin.lock().unwrap_or_else(PoisonError::into_inner).toss() {
            return Effect::fail(injected);
        }
        match command {
            CounterMsg::Count { entries, reply } => {
                let new = entries.iter().filter(|entry| !state.marks().cover(T::place(entry)));
                Effect::persist_all(new.cloned()).then_reply(reply, |_: &T| ())
            }
            CounterMsg::Read(reply) => Effect::reply(reply, state.clone()),
        }
    }

    fn apply(state: &mut T, entry: &T::Entry) {
        state.count(entry);
    }
}

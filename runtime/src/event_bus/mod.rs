//! Who hears of what happens, without being known to those who tell it?
//!
//! Subscribers of a type of events, in one *topic* per type: actors, which get each event as a message, and
//! [streams](Events), which plain tasks read. Who publishes hands one clone to each, in the order of subscription, and
//! knows none of them.
//!
//! # Invariants
//!
//! * No code of a user runs under a lock: publishing goes through a list that was taken before.
//! * A subscriber that has ended is taken out by its own end, or by the first event it refuses.
//! * What a subscriber missed is counted for it, and what an actor's mailbox refused is a dead letter as well.
//! * A topic outlives its subscribers: there are at most as many as the program has types of events.

mod queue;
mod topic;

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use parking_lot::RwLock;

pub use self::queue::{Events, EventsEnd, WhenFull};
use self::queue::{Queue, Reader};
use self::topic::{Actor, AnyTopic, Subscriber, Topic};
use crate::actor_ref::ActorRef;
use crate::cell::Farewell;
use crate::chain;
use crate::error::Undelivered;
use crate::system::Core;

/// The events of one system: publish a value, and everybody who subscribed to its type gets a clone of it. Cheap to
/// clone.
///
/// An event is any type that is `Clone`, `Send` and `'static`. Each subscriber but the last gets a clone, so large events are
/// best published as `Arc<E>`, which is a type of its own: who wants them subscribes to `Arc<E>`.
///
/// What one task or handler publishes, one after the other, reaches each subscriber in that order. There is no order between
/// publishers. A subscriber hears of what is published after its subscription has returned.
///
/// When a subscriber has no room:
///
/// | subscriber | [`publish`](Self::publish) | [`publish_waiting`](Self::publish_waiting) |
/// |---|---|---|
/// | actor | what its [mailbox](crate::Mailbox) does with a `tell`; an event it refuses is missed, and a dead letter | what its mailbox does with a `send` |
/// | stream, `DropNewest` | this event is missed | waits for room |
/// | stream, `DropOldest` | the oldest event that waits is missed | waits for room |
/// | stream, `End` | this event is missed and the stream ends after what waits | waits for room |
///
/// The system's own dead letters have a [stream](crate::DeadLetters::subscribe) of their own and are not published here.
///
/// ```
/// # use omnitron_runtime::{ActorSystem, WhenFull, testkit::Sim};
/// #[derive(Clone, Debug, PartialEq)]
/// struct Landed(&'static str);
///
/// # let sim = Sim::new(1);
/// # sim.block_on(async {
/// # let system = ActorSystem::builder("doc").env(sim.env()).start().await.unwrap();
/// let mut landings = system.events().stream::<Landed>(16, WhenFull::DropOldest);
/// system.events().publish(Landed("N14228")).unwrap();
/// assert_eq!(landings.recv().await, Some(Landed("N14228")));
/// # });
/// ```
#[derive(Clone)]
pub struct EventBus {
    core: Arc<Core>,
}

impl EventBus {
    pub(crate) fn of(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Sends each `E` that is published to `actor`. As [`subscribe_with`](Self::subscribe_with) with no function.
    pub fn subscribe<E: Clone + Send + 'static>(&self, actor: &ActorRef<E>) -> Subscription {
        self.subscribe_with(actor, |event| event)
    }

    /// Sends each `E` that is published to `actor`, as a message made by `map`, until the [`Subscription`] is dropped or
    /// the actor ends, whichever comes first. An actor that subscribes in `started` and keeps the subscription in its
    /// state subscribes anew when it restarts; meanwhile it hears nothing.
    ///
    /// Subscribing twice gives two subscriptions: each event comes twice. To an actor that has ended, and on a system
    /// that has stopped, the subscription has [ended](Subscription::is_active) as well.
    ///
    /// `map` runs in the publisher. A panic in it is a [failure](crate::During::Fed) of `actor`, which misses the event.
    pub fn subscribe_with<E, M>(
        &self,
        actor: &ActorRef<M>,
        map: impl Fn(E) -> M + Send + Sync + 'static,
    ) -> Subscription
    where
        E: Clone + Send + 'static,
        M: Send + 'static,
    {
        let missed = Arc::new(AtomicU64::new(0));
        let Some(topic) = self.core.topics.topic::<E>() else { return Subscription::ended(missed) };
        let number = self.core.next_id();
        let weak = Arc::downgrade(&topic);
        let farewell = Farewell::new(actor.cell.clone(), move || {
            if let Some(topic) = weak.upgrade() {
                topic.leave(number);
            }
        });
        let subscriber = Arc::new(Actor::new(actor.clone(), map, missed.clone(), farewell));
        topic.enter(number, subscriber.clone());
        // An end that came before the entry found nothing to take out.
        if subscriber.is_over() {
            topic.leave(number);
        }
        Subscription { seat: Some((topic, number)), missed }
    }

    /// The `E`s that are published from now on, as a stream. Up to `capacity` (at least 1: zero counts as 1) wait in it
    /// for a reader that is slow; `when_full` says what happens to one more. The stream ends when the system has stopped.
    pub fn stream<E: Clone + Send + 'static>(&self, capacity: usize, when_full: WhenFull) -> Events<E> {
        let missed = Arc::new(AtomicU64::new(0));
        let queue = Arc::new(Queue::new(capacity, when_full, missed.clone()));
        let Some(topic) = self.core.topics.topic::<E>() else {
            queue.close(EventsEnd::SystemStopped);
            return Events::new(Reader(queue), Subscription::ended(missed));
        };
        let number = self.core.next_id();
        topic.enter(number, queue.clone());
        Events::new(Reader(queue), Subscription { seat: Some((topic, number)), missed })
    }

    /// Hands `event` to all who subscribed to its type, and never waits. Returns how many took it: none is fine, and
    /// costs a look into a map.
    ///
    /// A clone of the event that panics does so here, after some have got theirs.
    ///
    /// # Errors
    ///
    /// [`Undelivered`] gives the event back, and nobody has got it, when the system has stopped, or is shutting down and
    /// this is no handler of an actor.
    pub fn publish<E: Clone + Send + 'static>(&self, event: E) -> Result<usize, Undelivered<E>> {
        let mut taken = 0;
        self.hand_out(event, |topic: &Arc<Topic<E>>, number, subscriber, event| {
            taken += usize::from(topic.settle(number, subscriber.offer(event)));
        })?;
        Ok(taken)
    }

    /// Like [`publish`](Self::publish), and waits until every subscriber has room, for all of them at the same time. One
    /// that never reads makes this wait for as long as it stays.
    ///
    /// Inside a handler the wait for each ends after the system's
    /// [ask time-out](crate::SystemBuilder::ask_timeout), and at once for the full mailbox of the handler's own actor;
    /// then it is as with `publish`.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped while it waits has handed the event to those who had room, and to no other.
    pub async fn publish_waiting<E: Clone + Send + 'static>(
        &self,
        event: E,
    ) -> Result<usize, Undelivered<E>> {
        let limit = chain::current_actor().map(|_| self.core.ask_timeout);
        let mut waits = Vec::new();
        self.hand_out(event, |topic: &Arc<Topic<E>>, number, subscriber, event| {
            let (topic, subscriber) = (topic.clone(), subscriber.clone());
            let alarm = limit.map(|limit| self.core.env.sleep(limit));
            waits.push(async move { topic.settle(number, subscriber.wait(event, alarm).await) });
        })?;
        Ok(join_all(waits).await.into_iter().filter(|&taken| taken).count())
    }

    /// How many subscribers the events of this type have.
    pub fn subscribers<E: Clone + Send + 'static>(&self) -> usize {
        self.core.topics.find::<E>().map_or(0, |topic| topic.len())
    }

    /// Gives an event to each subscriber there is, one after the other, under no lock.
    fn hand_out<E: Clone + Send + 'static>(
        &self,
        event: E,
        mut hand: impl FnMut(&Arc<Topic<E>>, u64, &Arc<dyn Subscriber<E>>, E),
    ) -> Result<(), Undelivered<E>> {
        if let Err(reason) = self.core.admits() {
            return Err(Undelivered { message: event, reason });
        }
        let Some(topic) = self.core.topics.find::<E>() else { return Ok(()) };
        let subscribers = topic.list();
        let Some(((number, last), others)) = subscribers.split_last() else { return Ok(()) };
        for (number, subscriber) in others {
            hand(&topic, *number, subscriber, event.clone());
        }
        hand(&topic, *number, last, event);
        Ok(())
    }
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBus").field("system", &self.core.name).finish_non_exhaustive()
    }
}

/// A subscription of an actor to the events of one type. Its drop ends it; [`keep`](Self::keep) lets it last as long as
/// the actor.
///
/// When it is dropped, no event that is published later comes any more. What is in the mailbox stays there.
#[must_use = "dropping it ends the subscription: store it, or call `keep`"]
pub struct Subscription {
    seat: Option<(Arc<dyn AnyTopic>, u64)>,
    missed: Arc<AtomicU64>,
}

impl Subscription {
    /// One that never began.
    fn ended(missed: Arc<AtomicU64>) -> Self {
        Self { seat: None, missed }
    }

    /// Lets the subscription last until the actor ends, or the system does.
    pub fn keep(mut self) {
        self.seat = None;
    }

    /// Ends the subscription, as its drop does.
    pub fn unsubscribe(self) {
        drop(self);
    }

    /// Whether events still come: not when the actor or the system has ended.
    pub fn is_active(&self) -> bool {
        self.seat.as_ref().is_some_and(|(topic, number)| topic.contains(*number))
    }

    /// How many events the subscriber missed, because there was no room or its function panicked. What a mailbox dropped
    /// by its own policy is not in here: those are dead letters only.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some((topic, number)) = self.seat.take() {
            topic.leave(number);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("is_active", &self.is_active())
            .field("missed", &self.missed())
            .finish()
    }
}

/// The topics of one system, by type. Sorted, so that their end comes in the same order in every run of a seed.
pub(crate) struct Topics {
    /// `None` once the system has stopped.
    by_type: RwLock<Option<BTreeMap<TypeId, Arc<dyn AnyTopic>>>>,
}

impl Topics {
    pub(crate) fn new() -> Self {
        Self { by_type: RwLock::new(Some(BTreeMap::new())) }
    }

    fn find<E: Clone + Send + 'static>(&self) -> Option<Arc<Topic<E>>> {
        let topic = self.by_type.read().as_ref()?.get(&TypeId::of::<E>())?.clone();
        typed(topic)
    }

    /// The topic of a type, made where there is none. `None` once the system has stopped.
    fn topic<E: Clone + Send + 'static>(&self) -> Option<Arc<Topic<E>>> {
        let mut by_type = self.by_type.write();
        let topic = by_type.as_mut()?.entry(TypeId::of::<E>());
        typed(topic.or_insert_with(|| Arc::new(Topic::<E>::default())).clone())
    }

    /// The system has stopped: streams give what waits in them, and then the end.
    pub(crate) fn end(&self) {
        let topics = self.by_type.write().take();
        for topic in topics.into_iter().flat_map(BTreeMap::into_values) {
            topic.end();
        }
    }
}

fn typed<E: Clone + Send + 'static>(topic: Arc<dyn AnyTopic>) -> Option<Arc<Topic<E>>> {
    let any: Arc<dyn Any + Send + Sync> = topic;
    any.downcast().ok()
}

#[cfg(all(test, not(omnitron_loom)))]
mod tests {
    use crate::system::ActorSystem;
    use crate::testkit::{Probe, Sim};

    #[test]
    fn a_subscription_that_has_ended_leaves_nothing_with_its_actor() {
        let sim = Sim::new(1);
        sim.block_on(async {
            let system = ActorSystem::builder("test").env(sim.env()).start().await.unwrap();
            let probe = Probe::<u8>::new(&system, "probe").unwrap();
            let watchers = || probe.actor().cell.head().watchers.len();
            for _ in 0..3 {
                let subscription = system.events().subscribe(probe.actor());
                assert_eq!(watchers(), 1);
                drop(subscription);
                assert_eq!(watchers(), 0);
            }
        });
    }
}

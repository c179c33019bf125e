//! How does one event reach one subscriber, and what becomes of it when there is no room?

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::actor_ref::ActorRef;
use crate::cell::{AnyCell, Control, Envelope, Farewell};
use crate::context::Doing;
use crate::dead_letters::Reason;
use crate::env::Sleep;
use crate::error::{Refusal, Undelivered};
use crate::failure::{Failure, catch, catch_future, drop_quietly};
use crate::roster::Roster;

/// What a subscriber did with an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taken {
    Yes,
    Missed,
    /// It is no subscriber any more.
    Gone,
}

/// One who gets the events of one type.
pub(crate) trait Subscriber<E>: Send + Sync {
    /// Takes an event, without waiting. Does not panic.
    fn offer(&self, event: E) -> Taken;
    /// Takes an event, and waits for room; until `alarm`, if there is one.
    fn wait(&self, event: E, alarm: Option<Sleep>) -> BoxFuture<'_, Taken>;
    /// The system has stopped.
    fn end(&self);
}

/// The subscribers of one type, each with its number; `None` once the system has stopped.
pub(crate) struct Topic<E> {
    subscribers: Mutex<Option<Roster<Seated<E>>>>,
}

type Seated<E> = (u64, Arc<dyn Subscriber<E>>);

/// A topic whose type is not known.
pub(crate) trait AnyTopic: Any + Send + Sync {
    fn leave(&self, number: u64);
    fn contains(&self, number: u64) -> bool;
    fn end(&self);
}

impl<E> Default for Topic<E> {
    fn default() -> Self {
        Self { subscribers: Mutex::new(Some(Roster::default())) }
    }
}

impl<E> Topic<E> {
    pub(crate) fn enter(&self, number: u64, subscriber: Arc<dyn Subscriber<E>>) {
        if let Some(roster) = self.subscribers.lock().as_mut() {
            // Numbers are given out once.
            let _ = roster.enter(number, (number, subscriber));
            return;
        }
        subscriber.end();
    }

    pub(crate) fn list(&self) -> Arc<[Seated<E>]> {
        self.subscribers.lock().as_mut().map(Roster::list).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.subscribers.lock().as_ref().map_or(0, Roster::len)
    }

    /// Takes out a subscriber that has gone. Says whether the event was taken.
    pub(crate) fn settle(&self, number: u64, taken: Taken) -> bool
    where
        E: Send + 'static,
    {
        if taken == Taken::Gone {
            self.leave(number);
        }
        taken == Taken::Yes
    }
}

impl<E: Send + 'static> AnyTopic for Topic<E> {
    fn leave(&self, number: u64) {
        let left = self.subscribers.lock().as_mut().and_then(|roster| roster.leave(number));
        // Outside of the lock: the function of a subscriber is the user's, and so is its drop.
        drop(left);
    }

    fn contains(&self, number: u64) -> bool {
        self.subscribers.lock().as_ref().is_some_and(|roster| roster.contains(number))
    }

    fn end(&self) {
        let Some(mut roster) = self.subscribers.lock().take() else { return };
        for (_, subscriber) in &*roster.list() {
            subscriber.end();
        }
    }
}

/// An actor that gets events as messages.
pub(crate) struct Actor<M: Send + 'static, F> {
    to: ActorRef<M>,
    /// Only ever missing while it is dropped.
    map: Option<F>,
    missed: Arc<AtomicU64>,
    /// Takes the subscription out when the actor has ended.
    farewell: Farewell,
}

impl<M: Send + 'static, F> Drop for Actor<M, F> {
    /// Whoever holds it last, perhaps a publisher, is not to blame for the drop of the function.
    fn drop(&mut self) {
        if let Err(failure) = drop_quietly(self.map.take()) {
            tracing::warn!(path = %self.to.path(), %failure, "the function of a subscription panicked on drop");
        }
    }
}

impl<M: Send + 'static, F> Actor<M, F> {
    pub(crate) fn new(to: ActorRef<M>, map: F, missed: Arc<AtomicU64>, farewell: Farewell) -> Self {
        Self { to, map: Some(map), missed, farewell }
    }

    /// Whether the actor has ended, or is just taking the subscription out.
    pub(crate) fn is_over(&self) -> bool {
        self.farewell.is_over()
    }

    /// What became of an event. A panic of the function, or of the mailbox's ranking, is a failure of the actor.
    fn settle(&self, sent: Result<Result<(), Undelivered<M>>, Failure>) -> Taken {
        let (message, reason) = match sent {
            Ok(Ok(())) => return Taken::Yes,
            Ok(Err(Undelivered { message, reason })) => (message, reason),
            Err(failure) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
                self.to.cell.control(Control::FailedBeside(Doing::Fed, failure));
                return Taken::Missed;
            }
        };
        // The drop of a message is the user's code. What a subscriber that has gone refuses was not meant for it.
        if let Refusal::Stopped | Refusal::SystemStopped = reason {
            let _ = drop_quietly(message);
            return Taken::Gone;
        }
        self.missed.fetch_add(1, Ordering::Relaxed);
        let reason = if reason == Refusal::ShuttingDown { Reason::Stopped } else { Reason::Overflowed };
        self.to.cell.bury(Envelope { message, ticket: None }, reason);
        Taken::Missed
    }
}

impl<E, M, F> Subscriber<E> for Actor<M, F>
where
    E: Send + 'static,
    M: Send + 'static,
    F: Fn(E) -> M + Send + Sync,
{
    fn offer(&self, event: E) -> Taken {
        let Some(map) = &self.map else { return Taken::Gone };
        self.settle(catch(|| self.to.tell(map(event))))
    }

    /// A `send` brings its own limit inside a handler.
    fn wait(&self, event: E, _: Option<Sleep>) -> BoxFuture<'_, Taken> {
        async move {
            let Some(map) = &self.map else { return Taken::Gone };
            let sent = async { self.to.send(map(event)).await };
            self.settle(catch_future(pin!(sent)).await)
        }
        .boxed()
    }

    fn end(&self) {}
}

//! What waits between those who publish and the reader of a stream?
//!
//! A bounded queue. A semaphore counts its room, so that those who wait for room are served in order and none is
//! overtaken; a lock holds the events.
//!
//! # Invariants
//!
//! * Every event in the queue holds one permit of the semaphore, which the reader gives back: the queue never holds more
//!   than its capacity.
//! * Once it has ended the queue takes nothing more.
//! * Wakers are woken, and events dropped, outside of the lock.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::future::{BoxFuture, Either, select};
use futures_util::{FutureExt, Stream};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, TryAcquireError};

use super::Subscription;
use super::topic::{Subscriber, Taken};
use crate::env::Sleep;
use crate::failure::drop_quietly;

/// What becomes of an event that a full stream has no room for; see [`EventBus::stream`](crate::EventBus::stream).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is missed, and counted: the reader goes on with what it has. For events that are of use while they are old.
    DropNewest,
    /// The oldest event that waits is missed, and counted: the reader sees the latest. While all room is reserved for those
    /// who wait for it, this event is missed instead.
    DropOldest,
    /// The stream ends after what waits, with [`EventsEnd::Lagged`]. For readers who would rather begin anew than
    /// miss one.
    End,
}

/// Why a stream of events has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EventsEnd {
    /// It was full, and chose to [end](WhenFull::End) then. Subscribe again.
    Lagged {
        /// The most events it held.
        capacity: usize,
    },
    /// The system has stopped. There will be no more events.
    SystemStopped,
}

/// The events of one type since [`stream`](crate::EventBus::stream) was called, in the order in which they were published.
/// A [`Stream`]; its drop unsubscribes.
#[must_use = "dropping it unsubscribes"]
pub struct Events<E: Send + 'static> {
    reader: Reader<E>,
    /// After the reader, so that a drop of the stream ends the queue before it leaves the topic.
    subscription: Subscription,
}

impl<E: Send + 'static> Events<E> {
    pub(super) fn new(reader: Reader<E>, subscription: Subscription) -> Self {
        Self { reader, subscription }
    }

    /// The next event; waits for one. `None` when the stream has [ended](Self::ended) and all were read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future has taken nothing.
    pub async fn recv(&mut self) -> Option<E> {
        poll_fn(|cx| self.reader.0.poll_next(cx)).await
    }

    /// The next event, if one waits.
    pub fn try_recv(&mut self) -> Option<E> {
        self.reader.0.pop()
    }

    /// Why no more events come, beyond those that wait. `None` while they do.
    pub fn ended(&self) -> Option<EventsEnd> {
        self.reader.0.state.lock().end
    }

    /// How many events this stream missed, because its reader was slow.
    pub fn missed(&self) -> u64 {
        self.subscription.missed()
    }
}

impl<E: Send + 'static> Stream for Events<E> {
    type Item = E;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<E>> {
        self.reader.0.poll_next(cx)
    }
}

impl<E: Send + 'static> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("ended", &self.ended())
            .field("missed", &self.missed())
            .finish_non_exhaustive()
    }
}

/// The one who reads a queue. Its drop ends the queue, and releases those who wait for room.
pub(super) struct Reader<E>(pub(super) Arc<Queue<E>>);

impl<E> Drop for Reader<E> {
    fn drop(&mut self) {
        // Nobody is left who could ask why.
        self.0.close(EventsEnd::SystemStopped);
        let left = std::mem::take(&mut self.0.state.lock().events);
        // One by one: two that panic in the drop of all of them would end the process.
        for event in left {
            if let Err(failure) = drop_quietly(event) {
                tracing::warn!(%failure, "an event panicked on drop");
            }
        }
    }
}

/// Events on their way to one reader.
pub(super) struct Queue<E> {
    capacity: usize,
    when_full: WhenFull,
    room: Semaphore,
    missed: Arc<AtomicU64>,
    state: Mutex<State<E>>,
}

struct State<E> {
    events: VecDeque<E>,
    reader: Option<Waker>,
    end: Option<EventsEnd>,
}

impl<E> Queue<E> {
    pub(super) fn new(capacity: usize, when_full: WhenFull, missed: Arc<AtomicU64>) -> Self {
        let capacity = capacity.clamp(1, Semaphore::MAX_PERMITS);
        let state = State { events: VecDeque::new(), reader: None, end: None };
        Self { capacity, when_full, room: Semaphore::new(capacity), missed, state: Mutex::new(state) }
    }

    /// Takes nothing more. The first reason stays.
    pub(super) fn close(&self, why: EventsEnd) {
        let reader = {
            let mut state = self.state.lock();
            state.end.get_or_insert(why);
            state.reader.take()
        };
        self.room.close();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Puts in an event for which there is room.
    fn push(&self, event: E) -> Taken {
        let reader = {
            let mut state = self.state.lock();
            if state.end.is_some() {
                drop(state);
                return gone(event);
            }
            state.events.push_back(event);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        Taken::Yes
    }

    /// Puts in an event in the place of the oldest. Gives back the one of them that has no place.
    fn displace(&self, event: E) -> (Taken, E) {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return (Taken::Gone, event);
        }
        match state.events.pop_front() {
            Some(oldest) => {
                state.events.push_back(event);
                (Taken::Yes, oldest)
            }
            None => (Taken::Missed, event),
        }
    }

    fn pop(&self) -> Option<E> {
        let event = self.state.lock().events.pop_front()?;
        self.room.add_permits(1);
        Some(event)
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<E>> {
        if let Some(event) = self.pop() {
            return Poll::Ready(Some(event));
        }
        let waker = cx.waker().clone();
        let mut state = self.state.lock();
        if state.events.is_empty() && state.end.is_none() {
            let before = state.reader.replace(waker);
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        drop(state);
        // Something came in between; only the reader takes anything out, apart from what is displaced by another event.
        Poll::Ready(self.pop())
    }

    fn missed(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }
}

/// The event of a reader that is gone: dropped, which is the user's code.
fn gone<E>(event: E) -> Taken {
    let _ = drop_quietly(event);
    Taken::Gone
}

impl<E: Send + 'static> Subscriber<E> for Queue<E> {
    fn offer(&self, event: E) -> Taken {
        match self.room.try_acquire() {
            Ok(permit) => {
                permit.forget();
                return self.push(event);
            }
            Err(TryAcquireError::Closed) => return gone(event),
            Err(TryAcquireError::NoPermits) => {}
        }
        let (taken, left) = match self.when_full {
            WhenFull::DropNewest => (Taken::Missed, event),
            WhenFull::DropOldest => self.displace(event),
            WhenFull::End => {
                self.close(EventsEnd::Lagged { capacity: self.capacity });
                self.missed();
                return gone(event);
            }
        };
        if taken != Taken::Gone {
            self.missed();
        }
        let _ = drop_quietly(left);
        taken
    }

    fn wait(&self, event: E, alarm: Option<Sleep>) -> BoxFuture<'_, Taken> {
        async move {
            let room = pin!(self.room.acquire());
            let permit = match alarm {
                None => room.await,
                Some(alarm) => match select(room, alarm).await {
                    Either::Left((permit, _)) => permit,
                    Either::Right(_) => return self.offer(event),
                },
            };
            match permit {
                Ok(permit) => {
                    permit.forget();
                    self.push(event)
                }
                Err(_) => gone(event),
            }
        }
        .boxed()
    }

    fn end(&self) {
        self.close(EventsEnd::SystemStopped);
    }
}

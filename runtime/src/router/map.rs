//! How does one put many questions to a router, and keep the answers in order?
//!
//! # Invariants
//!
//! * Answers come in the order of the items, one for each, whatever fails.
//! * No more questions than the limit are open at once.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::actor_ref::ActorRef;
use crate::error::AskError;
use crate::reply::ReplyTo;

/// Questions, one per item, on their way to a router; see [`ActorRef::map`]. Await it.
#[must_use = "nothing is asked until this is awaited"]
pub struct Mapping<M, T, I, F> {
    to: ActorRef<M>,
    items: I,
    make: F,
    in_flight: usize,
    within: Option<Duration>,
    reply: PhantomData<fn() -> T>,
}

impl<M: Send + 'static> ActorRef<M> {
    /// Asks one question per item, several at once, and collects the answers in the order of the items: over a
    /// [pool](crate::Router::pool) of workers, a parallel map. `make` builds the message around an item and its
    /// [`ReplyTo`].
    ///
    /// Each item has an answer or an error of its own. A panic in `make` or in the iterator is the caller's.
    ///
    /// ```
    /// # use omnitron_runtime::{ActorRef, AskError, ReplyTo};
    /// enum WorkerMsg { Square(u64, ReplyTo<u64>) }
    ///
    /// async fn squares(workers: &ActorRef<WorkerMsg>) -> Vec<Result<u64, AskError>> {
    ///     workers.map(1..=100, WorkerMsg::Square).in_flight(16).await
    /// }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask), for each question that is open; those after them are not asked.
    pub fn map<T, I, F>(&self, items: I, make: F) -> Mapping<M, T, I::IntoIter, F>
    where
        I: IntoIterator,
        F: Fn(I::Item, ReplyTo<T>) -> M,
    {
        Mapping {
            to: self.clone(),
            items: items.into_iter(),
            make,
            in_flight: Mapping::<M, T, I, F>::DEFAULT_IN_FLIGHT,
            within: None,
            reply: PhantomData,
        }
    }
}

impl<M, T, I, F> Mapping<M, T, I, F> {
    /// Questions that are open at once, unless [`in_flight`](Self::in_flight) says otherwise.
    pub const DEFAULT_IN_FLIGHT: usize = 64;

    /// Questions that are open at once. Default: 64. 0 counts as 1.
    pub fn in_flight(mut self, questions: usize) -> Self {
        self.in_flight = questions.max(1);
        self
    }

    /// The time each question has, as [`Ask::within`](crate::Ask::within). Default: the system's
    /// [ask time-out](crate::SystemBuilder::ask_timeout).
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }
}

impl<M, T, I, F> IntoFuture for Mapping<M, T, I, F>
where
    M: Send + 'static,
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
    T: Send + 'static,
    F: Fn(I::Item, ReplyTo<T>) -> M + Send + Sync + 'static,
{
    type Output = Vec<Result<T, AskError>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { to, items, make, in_flight, within, .. } = self;
        let make = Arc::new(make);
        let asks = items.map(move |item| {
            let make = make.clone();
            let ask = to.ask(move |reply| make(item, reply));
            match within {
                Some(limit) => ask.within(limit),
                None => ask,
            }
        });
        Box::pin(stream::iter(asks).buffered(in_flight).collect())
    }
}

impl<M, T, I, F> fmt::Debug for Mapping<M, T, I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("to", &self.to)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

//! How does one question go to several routees, and the first reply back?
//!
//! Every question is asked by a task of its own, so that the router goes on with the next one. It ends with the first
//! reply, with the last failure, or when its time is over.
//!
//! # Invariants
//!
//! * An asker gets one reply at most: the first. What comes later is dropped with the ask it belongs to.
//! * No more questions than the limit are open at once; the router waits with the next one.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use super::members::Members;
use super::pick;
use super::routing::{Route, Unrouted, sealed};
use crate::actor_ref::ActorRef;
use crate::body::caught;
use crate::cell::Control;
use crate::chain::Frame;
use crate::context::Doing;
use crate::env::{Env, Sleep};
use crate::error::AskError;
use crate::reply::ReplyTo;
use crate::trace::{self, TraceContext};

/// A question for a router that asks several routees; see [`FirstReply`].
#[derive(Debug)]
pub struct Scatter<Q, T> {
    /// What is asked; every routee that is asked gets a copy.
    pub question: Q,
    /// Gets the first reply. If there is none in time, it is dropped: the ask ends with
    /// [`Abandoned`](crate::AskError::Abandoned), unless its own deadline comes first.
    pub reply: ReplyTo<T>,
}

/// Makes the message that asks one routee.
type Make<Q, T, M> = Arc<dyn Fn(Q, ReplyTo<T>) -> M + Send + Sync>;

/// Asks several routees the same question, and the first reply wins: for a shorter wait, at the price of work that is
/// done more than once.
///
/// The router takes [`Scatter`]s; `make` builds the routee's message around the question and the `ReplyTo`, as for
/// [`ask`](crate::ActorRef::ask). A routee that fails or refuses is no reply. Those who lose handle the question all the
/// same, and see that [nobody waits](crate::ReplyTo::is_abandoned).
///
/// ```
/// # use std::time::Duration;
/// # use omnitron_runtime::{ActorRef, AskError, FirstReply, ReplyTo, Scatter};
/// #[derive(Clone)]
/// struct Key(u64);
/// enum ReplicaMsg { Get(Key, ReplyTo<String>) }
///
/// let routing = FirstReply::scatter_gather(Duration::from_millis(200), ReplicaMsg::Get);
/// # let _ = routing;
/// // let replicas = system.spawn("replicas", Router::pool(3, routing, Replica::new))?;
/// async fn get(replicas: &ActorRef<Scatter<Key, String>>, key: Key) -> Result<String, AskError> {
///     replicas.ask(|reply| Scatter { question: key, reply }).await
/// }
/// ```
///
/// A panic in `make`, or in the `clone` of a question, is a failure of the router alone: that question is lost, its
/// asker gets [`Crashed`](crate::AskError::Crashed) or [`Abandoned`](crate::AskError::Abandoned).
#[must_use = "a routing does nothing until a router has it"]
pub struct FirstReply<Q, T, M> {
    make: Make<Q, T, M>,
    within: Duration,
    /// The time after which one more routee is asked. `None`: all at once.
    every: Option<Duration>,
    open: Arc<Semaphore>,
}

impl<Q, T, M> FirstReply<Q, T, M> {
    /// Questions that are open at once, unless [`in_flight`](Self::in_flight) says otherwise.
    pub const DEFAULT_IN_FLIGHT: usize = 256;

    /// Scatter-gather: asks all routees at once. A question without a reply ends after `within`.
    pub fn scatter_gather(
        within: Duration,
        make: impl Fn(Q, ReplyTo<T>) -> M + Send + Sync + 'static,
    ) -> Self {
        Self::new(within, None, make)
    }

    /// Tail chopping: asks a random routee, and one more after every `interval` without a reply, or at once when one
    /// fails, until all have been asked. A question without a reply ends after `within`.
    ///
    /// Choose an interval that nine of ten replies need less than: then one question in ten is asked twice, and the slow
    /// tenth is cut short.
    pub fn tail_chopping(
        within: Duration,
        interval: Duration,
        make: impl Fn(Q, ReplyTo<T>) -> M + Send + Sync + 'static,
    ) -> Self {
        Self::new(within, Some(interval), make)
    }

    /// Questions that are open at once; the router waits with those beyond. Default: 256. 0 counts as 1. Clones of this
    /// value have one limit together.
    pub fn in_flight(mut self, questions: usize) -> Self {
        self.open = Arc::new(Semaphore::new(questions.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    fn new(
        within: Duration,
        every: Option<Duration>,
        make: impl Fn(Q, ReplyTo<T>) -> M + Send + Sync + 'static,
    ) -> Self {
        Self { make: Arc::new(make), within, every, open: Arc::new(Semaphore::new(Self::DEFAULT_IN_FLIGHT)) }
    }
}

impl<Q, T, M> sealed::Sealed for FirstReply<Q, T, M> {}

impl<Q, T, M> Route<M> for FirstReply<Q, T, M>
where
    Q: Clone + Send + Sync + 'static,
    T: Send + 'static,
    M: Send + 'static,
{
    type Msg = Scatter<Q, T>;

    fn uses_keys(&self) -> bool {
        false
    }

    async fn route(
        &mut self,
        message: Scatter<Q, T>,
        members: &mut Members<M>,
    ) -> Result<(), Unrouted<Scatter<Q, T>>> {
        // Nobody closes it.
        let place = self.open.clone().acquire_owned().await.ok();
        members.look().await;
        while members.table().routees().next().is_none() {
            if members.table().seats.is_empty() {
                return Err(Unrouted::NoRoutee(message));
            }
            members.changed().await; // replacements are on their way
        }
        let routees = self.in_order(members);
        let front = members.front.clone();
        let core = front.head().core.clone();
        let asking = Asking {
            make: self.make.clone(),
            env: core.env.clone(),
            within: self.within,
            next: self.every.map(|every| core.env.sleep(every)),
            every: self.every,
            over: core.env.sleep(self.within),
            routees: routees.into_iter(),
            asked: FuturesUnordered::new(),
        };
        // Asks as an actor does, so that a system which drains lets them through; but under a number of its own, because
        // the router waits for nobody.
        let number = core.next_id();
        let path = front.head().path.clone();
        let question = trace::carried(TraceContext::current(), async move {
            let mut frame = Frame::default();
            if let Err(failure) = caught(number, &mut frame, pin!(asking.run(message))).await {
                front.control(Control::FailedBeside(Doing::Piped, failure));
            }
            drop(place);
        });
        core.env.spawn(move || format!("{path} question"), question);
        Ok(())
    }
}

impl<Q, T, M: Send + 'static> FirstReply<Q, T, M> {
    /// All routees, in the order in which they are to be asked.
    fn in_order(&self, members: &Members<M>) -> Vec<ActorRef<M>> {
        let mut routees: Vec<_> = members.table().routees().cloned().collect();
        if self.every.is_some() {
            // Not one after the other: a slow one would always leave its work to the same neighbour.
            for left in (2..=routees.len()).rev() {
                routees.swap(left - 1, pick::random(members.env().random_u64(), left));
            }
        }
        routees
    }
}

/// A routee that is being asked.
type Asked<T> = Pin<Box<dyn Future<Output = Result<T, AskError>> + Send>>;

/// One question on its way.
struct Asking<Q, T, M> {
    make: Make<Q, T, M>,
    env: Env,
    within: Duration,
    every: Option<Duration>,
    over: Sleep,
    next: Option<Sleep>,
    /// Those who have not been asked.
    routees: std::vec::IntoIter<ActorRef<M>>,
    asked: FuturesUnordered<Asked<T>>,
}

/// What an open question waits for.
enum Event<T> {
    Answer(Result<T, AskError>),
    /// It is time to ask one more.
    Next,
    Over,
}

impl<Q, T, M> Asking<Q, T, M>
where
    Q: Clone + Send + 'static,
    T: Send + 'static,
    M: Send + 'static,
{
    async fn run(mut self, Scatter { question, reply }: Scatter<Q, T>) {
        self.ask_one(&question);
        if self.every.is_none() {
            while self.ask_one(&question) {}
        }
        loop {
            match poll_fn(|cx| self.poll_event(cx)).await {
                Event::Answer(Ok(answer)) => return reply.send(answer),
                Event::Answer(Err(_)) => {
                    if !self.ask_one(&question) && self.asked.is_empty() {
                        return; // the drop of the reply says so
                    }
                }
                Event::Next => {
                    self.ask_one(&question);
                }
                Event::Over => return,
            }
        }
    }

    /// Whether there was one more.
    fn ask_one(&mut self, question: &Q) -> bool {
        let Some(routee) = self.routees.next() else { return false };
        let (make, question) = (self.make.clone(), question.clone());
        let ask = routee.ask(move |reply| make(question, reply)).within(self.within);
        self.asked.push(Box::pin(ask));
        self.next = self.every.map(|every| self.env.sleep(every));
        true
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event<T>> {
        if let Poll::Ready(Some(answer)) = self.asked.poll_next_unpin(cx) {
            return Poll::Ready(Event::Answer(answer));
        }
        if Pin::new(&mut self.over).poll(cx).is_ready() {
            return Poll::Ready(Event::Over);
        }
        if let Some(next) = &mut self.next
            && Pin::new(next).poll(cx).is_ready()
        {
            self.next = None; // until somebody is asked
            return Poll::Ready(Event::Next);
        }
        Poll::Pending
    }
}

impl<Q, T, M> Clone for FirstReply<Q, T, M> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone(), within: self.within, every: self.every, open: self.open.clone() }
    }
}

impl<Q, T, M> fmt::Debug for FirstReply<Q, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstReply")
            .field("within", &self.within)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

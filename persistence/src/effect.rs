//! What does a command lead to?
//!
//! An [`Effect`] is a value: which events, then which replies and side effects, in which order. Nothing has happened yet when it
//! is made, so a test can look at it. The actor carries it out.

use std::fmt;

use omnitron_runtime::{ActorRef, Baggage, Failure, ReplyTo, Unanswered, drop_unanswered};

use crate::cause::Cause;
use crate::event::Event;
use crate::event_sourced::EventSourced;
use crate::offset::Position;
use crate::pipeline::Verdict;
use crate::post::{self, Draft, Post, Receiver};

/// Leaves the actor, or not, as the verdict says; with the position of the last durable event of the id, if one became durable since the actor
/// was started.
pub(crate) type Release = Box<dyn FnOnce(Verdict, Option<Position>) + Send>;

/// Makes what is to leave of the state. What it sends takes the baggage along.
type Make<S> = Box<dyn FnOnce(&S, Option<&Baggage>) -> Release + Send>;

/// What a command of `E` leads to. Equal are those with equal events and posts and the same steps behind them; what the steps say is seen
/// when they are carried out, by a [`TestKit`](crate::testkit::TestKit).
#[must_use = "an effect does nothing unless `handle` returns it"]
#[expect(clippy::struct_excessive_bools, reason = "wishes that do not depend on each other")]
pub struct Effect<E: EventSourced> {
    pub(crate) events: Vec<E::Event>,
    pub(crate) posts: Vec<Draft>,
    pub(crate) steps: Vec<Step<E>>,
    pub(crate) confirmed: bool,
    pub(crate) snapshot: bool,
    pub(crate) unstash: bool,
    pub(crate) stash: Option<E::Command>,
    pub(crate) stop: bool,
    pub(crate) failure: Option<Failure>,
    pub(crate) cause: Option<Cause>,
}

/// An answer, and where in the journal the state was that it was made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Positioned<T> {
    /// The answer.
    pub value: T,
    /// Where the events of the effect are, or something behind them; of an effect without events, the last ones of this actor. `None`: it had none since it
    /// was started.
    pub position: Option<Position>,
}

/// A reply or side effect: its kind, and what makes it of the state.
pub(crate) struct Step<E: EventSourced> {
    kind: Kind,
    pub(crate) make: Make<E::State>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Reply,
    Tell,
    Run,
}

impl<E: EventSourced> Effect<E> {
    /// Nothing at all. A reply in the command is dropped.
    pub fn none() -> Self {
        Self {
            events: Vec::new(),
            posts: Vec::new(),
            steps: Vec::new(),
            confirmed: false,
            snapshot: false,
            unstash: false,
            stash: None,
            stop: false,
            failure: None,
            cause: None,
        }
    }

    /// One event happened.
    pub fn persist(event: E::Event) -> Self {
        Self::persist_all([event])
    }

    /// These events happened, in this order: all of them are stored, or none. None at all is [`none`](Self::none).
    pub fn persist_all(events: impl IntoIterator<Item = E::Event>) -> Self {
        Self { events: events.into_iter().collect(), ..Self::none() }
    }

    /// Nothing happened, and this is the answer. It leaves when all that the state holds is durable.
    pub fn reply<T: Send + 'static>(reply: ReplyTo<T>, value: T) -> Self {
        Self::none().then_reply(reply, |_| value)
    }

    /// The actor fails with this error, and its supervision decides. Nothing is stored.
    pub fn fail(error: impl Into<Failure>) -> Self {
        Self { failure: Some(error.into()), ..Self::none() }
    }

    /// The actor stops, when everything that it holds back has left.
    pub fn stop() -> Self {
        Self::none().then_stop()
    }

    /// Takes a snapshot of the state, if the actor has [snapshots](crate::Persistent::snapshots) and none is just being saved.
    pub fn snapshot() -> Self {
        Self::none().then_snapshot()
    }

    /// Puts the command aside, to be handled after [`then_unstash`](Self::then_unstash). What finds the
    /// [stash](crate::Persistent::stash) full is dropped, and its asker learns [`Unavailable`](omnitron_runtime::AskError::Unavailable).
    pub fn stash(command: E::Command) -> Self {
        Self { stash: Some(command), ..Self::none() }
    }

    /// Then answers with what `value` makes of the state behind the events of this effect. `value` runs at once; the answer leaves
    /// when that state is durable.
    ///
    /// The compiler wants to be told the type of the state, because it sees only later whose effect this is: `|state: &Balance| state.cents`.
    pub fn then_reply<T: Send + 'static>(
        self,
        reply: ReplyTo<T>,
        value: impl FnOnce(&E::State) -> T + Send + 'static,
    ) -> Self {
        self.then(Kind::Reply, move |state, _| {
            let value = value(state);
            Box::new(move |verdict, _| match verdict {
                Verdict::Durable => reply.send(value),
                Verdict::Refused => drop_unanswered(reply, Unanswered::Unavailable),
                Verdict::Unknown => drop_unanswered(reply, Unanswered::Unconfirmed),
            })
        })
    }

    /// As [`then_reply`](Self::then_reply), with the position of the events in the journal beside the value: whoever has it can
    /// ask a projection for [what comes after](crate::projection::Query::after) it, and sees his own write.
    pub fn then_reply_positioned<T: Send + 'static>(
        self,
        reply: ReplyTo<Positioned<T>>,
        value: impl FnOnce(&E::State) -> T + Send + 'static,
    ) -> Self {
        self.then(Kind::Reply, move |state, _| {
            let value = value(state);
            Box::new(move |verdict, position| match verdict {
                Verdict::Durable => reply.send(Positioned { value, position }),
                Verdict::Refused => drop_unanswered(reply, Unanswered::Unavailable),
                Verdict::Unknown => drop_unanswered(reply, Unanswered::Unconfirmed),
            })
        })
    }

    /// Then tells another actor what `message` makes of the state. `message` runs at once; it is told when that state is durable, at
    /// most once: not again after a recovery. One that is refused is logged.
    pub fn then_tell<M: Send + 'static>(
        self,
        actor: &ActorRef<M>,
        message: impl FnOnce(&E::State) -> M + Send + 'static,
    ) -> Self {
        let actor = actor.clone();
        self.then(Kind::Tell, move |state, baggage| {
            let (message, baggage) = (message(state), baggage.cloned());
            Box::new(move |verdict, _| {
                if verdict == Verdict::Durable
                    && let Err(undelivered) = with(baggage.as_ref(), || actor.tell(message))
                {
                    tracing::warn!(path = %actor.path(), reason = %undelivered.reason, "an effect was not delivered");
                }
            })
        })
    }

    /// Then runs what `effect` makes of the state. `effect` runs at once; what it returns runs when that state is durable, at most
    /// once, and must neither block nor take long: replies wait for it. A panic in it is logged.
    pub fn then_run<F: FnOnce() + Send + 'static>(
        self,
        effect: impl FnOnce(&E::State) -> F + Send + 'static,
    ) -> Self {
        self.then(Kind::Run, move |state, baggage| {
            let (effect, baggage) = (effect(state), baggage.cloned());
            Box::new(move |verdict, _| {
                if verdict == Verdict::Durable {
                    with(baggage.as_ref(), effect);
                }
            })
        })
    }

    /// Then posts a message to an entity: `.then_post(("account", "42"), Deposit { cents })` to the entity `42` of the gateway `account`.
    ///
    /// The post is stored in the same append as the events, so it is as certain as they are, and an [`Outbox`](crate::Outbox) delivers it. What
    /// it leads to at the receiver happens **once**: the receiver records that it was received in the same append as the events that it caused. Posts of one
    /// sender to one receiver arrive in the order in which they were posted.
    ///
    /// A message that cannot be encoded, or a receiver that cannot be, is a failure of the actor, and nothing of the effect is stored. The state of a
    /// [`DurableState`](crate::DurableState) cannot post: that does not compile.
    #[expect(clippy::needless_pass_by_value, reason = "it is given away, like an event")]
    pub fn then_post<P: Event>(mut self, receiver: impl Into<Receiver>, message: P) -> Self {
        const {
            assert!(
                !E::LAST_ONLY,
                "an actor of which only the latest value is kept cannot post: make it event-sourced"
            );
        };
        self.posts.push(Post::new(receiver, &message));
        self
    }

    /// Then takes a snapshot: see [`snapshot`](Self::snapshot).
    pub fn then_snapshot(mut self) -> Self {
        self.snapshot = true;
        self
    }

    /// Then puts what was stashed at the head of the mailbox.
    pub fn then_unstash(mut self) -> Self {
        self.unstash = true;
        self
    }

    /// Then stops the actor, when everything that it holds back has left.
    pub fn then_stop(mut self) -> Self {
        self.stop = true;
        self
    }

    /// Checks in the journal, before anything of this effect leaves, that this actor is still the only writer of its id and that
    /// its state is the newest. Costs a trip to the journal for effects that persist nothing; those that do are checked in any case.
    pub fn confirmed(mut self) -> Self {
        self.confirmed = true;
        self
    }

    /// The events were caused by this one, and not by the event that the command [brought along](crate::Scope::cause) as its cause. For commands that come from elsewhere
    /// and say in their own words what caused them.
    pub fn caused_by(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The events, in order.
    pub fn events(&self) -> &[E::Event] {
        &self.events
    }

    /// What is posted, in order. What cannot be posted is not among it.
    pub fn posts(&self) -> impl Iterator<Item = &Post> {
        self.posts.iter().flatten()
    }

    fn then(
        mut self,
        kind: Kind,
        make: impl FnOnce(&E::State, Option<&Baggage>) -> Release + Send + 'static,
    ) -> Self {
        self.steps.push(Step { kind, make: Box::new(make) });
        self
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.steps.iter().map(|step| step.kind)
    }

    fn flags(&self) -> [bool; 6] {
        let (stash, failure) = (self.stash.is_some(), self.failure.is_some());
        [self.confirmed, self.snapshot, self.unstash, stash, self.stop, failure]
    }
}

impl<E: EventSourced> Step<E> {
    /// Whether it may send messages.
    pub(crate) fn sends(&self) -> bool {
        self.kind != Kind::Reply
    }
}

/// Runs `code` with the baggage, if there is one.
fn with<R>(baggage: Option<&Baggage>, code: impl FnOnce() -> R) -> R {
    match baggage {
        Some(baggage) => baggage.scope(code),
        None => code(),
    }
}

impl<E: EventSourced<Event: PartialEq>> PartialEq for Effect<E> {
    fn eq(&self, other: &Self) -> bool {
        let same_posts = self.posts.len() == other.posts.len()
            && self.posts.iter().zip(&other.posts).all(|(one, other)| post::same(one, other));
        self.events == other.events
            && same_posts
            && self.kinds().eq(other.kinds())
            && self.flags() == other.flags()
    }
}

impl<E: EventSourced<Event: fmt::Debug>> fmt::Debug for Effect<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = self.flags();
        let names = ["confirmed", "snapshot", "unstash", "stash", "stop", "fail"];
        let set: Vec<_> = names.into_iter().zip(flags).filter_map(|(name, is)| is.then_some(name)).collect();
        let mut effect = f.debug_struct("Effect");
        effect.field("events", &self.events);
        if !self.posts.is_empty() {
            effect.field("posts", &self.posts);
        }
        effect.field("then", &self.kinds().collect::<Vec<_>>()).field("and", &set).finish_non_exhaustive()
    }
}

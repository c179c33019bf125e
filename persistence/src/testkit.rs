//! How is an event-sourced behaviour tested: given these events, when this command comes, which events, which reply, which state?
//!
//! A [`TestKit`] runs the actor itself, over a journal in memory, in a simulation of its own: what it shows was encoded, stored
//! and read back.

mod gate;

use std::fmt;

pub use self::gate::{GateError, GateFailures, Passed, ReplayGate};

use futures_util::{FutureExt, StreamExt};
use omnitron_runtime::testkit::Single;
use omnitron_runtime::{AskError, Failure, ReplyTo};

use crate::backend::memory::Memory;
use crate::backend::{Append, JournalBackend};
use crate::cause::Because;
use crate::entity::Entity;
use crate::event_sourced::{EventSourced, Scope};
use crate::id::{PersistenceId, Sequence, Slices};
use crate::journal::Journal;
use crate::persistent::Persistent;
use crate::post::{self, Post, Posted};
use crate::snapshot::memory::MemorySnapshots;
use crate::stored;

/// One event-sourced behaviour under test. Nothing waits: each call runs to its end.
///
/// # Example
///
/// ```
/// # extern crate omnitron_persistence as omnitron;
/// # use omnitron::{Effect, Event, EventSourced, Scope};
/// # use omnitron_runtime::ReplyTo;
/// use omnitron::testkit::TestKit;
/// # struct Counter;
/// # enum CounterCommand { Add(u64, ReplyTo<u64>) }
/// # #[derive(Debug, Event, PartialEq)]
/// # enum CounterEvent { Added(u64) }
/// # impl EventSourced for Counter {
/// #     type Command = CounterCommand;
/// #     type Event = CounterEvent;
/// #     type State = u64;
/// #     fn handle(&self, _: &u64, command: CounterCommand, _: &Scope<Self>) -> Effect<Self> {
/// #         let CounterCommand::Add(n, reply) = command;
/// #         Effect::persist(CounterEvent::Added(n)).then_reply(reply, |state: &u64| *state)
/// #     }
/// #     fn apply(state: &mut u64, event: &CounterEvent) {
/// #         let CounterEvent::Added(n) = event;
/// #         *state += n;
/// #     }
/// # }
///
/// let mut counter = TestKit::given(Counter, [CounterEvent::Added(2), CounterEvent::Added(3)]);
/// let outcome = counter.ask(|reply| CounterCommand::Add(4, reply));
/// assert_eq!(outcome.events, [CounterEvent::Added(4)]);
/// assert_eq!(outcome.reply.unwrap(), 9);
/// assert_eq!(counter.state(), &9);
/// ```
pub struct TestKit<E: EventSourced> {
    single: Single<Entity<E>>,
    backend: Memory,
    id: PersistenceId,
    seen: Sequence,
    posts: Vec<Post>,
}

/// What a command that asks has led to.
#[derive(Debug)]
pub struct Outcome<E: EventSourced, T> {
    /// What it persisted, in order.
    pub events: Vec<E::Event>,
    /// What it answered.
    pub reply: Result<T, AskError>,
}

/// The id that the actor under test has.
const ID: &str = "single";

impl<E: EventSourced> TestKit<E> {
    /// A behaviour without a past.
    pub fn new(behaviour: E) -> Self {
        Self::given(behaviour, [])
    }

    /// A behaviour whose past are these events.
    ///
    /// # Panics
    ///
    /// When the events cannot be stored, or the state cannot be recovered from them.
    pub fn given(behaviour: E, events: impl IntoIterator<Item = E::Event>) -> Self {
        let (backend, _) = Memory::new(Slices::default());
        let id = PersistenceId::new(ID).expect("it is short and legal");
        let events = events
            .into_iter()
            .map(|event| stored::event(&event, E::tags(&event), 0, &Because::default(), &mut None));
        let events = events.collect::<Result<Vec<_>, _>>().unwrap_or_else(|error| panic!("{error}"));
        let seen = Sequence::new(events.len() as u64);
        let slice = id.slice(backend.slices());
        let epoch = now(backend.claim(slice)).unwrap_or_else(|error| panic!("{error}"));
        let append = Append { slice, epoch, id: id.clone(), expected: Sequence::ZERO, events };
        now(backend.append(append)).unwrap_or_else(|error| panic!("{error}"));
        let journal = Journal::with(backend.clone(), MemorySnapshots::new());
        let single = Single::new(Persistent::new(behaviour).id(ID).journal(&journal));
        Self { single, backend, id, seen, posts: Vec::new() }
    }

    /// Lets it handle a command. Returns what that persisted, in order.
    ///
    /// # Errors
    ///
    /// The failure that the command led to.
    ///
    /// # Panics
    ///
    /// When an event that was stored cannot be read back.
    pub fn when(&mut self, command: E::Command) -> Result<Vec<E::Event>, Failure> {
        self.posts.clear();
        self.single.handle(command)?;
        self.single.sim().run_until_idle();
        Ok(self.new_events())
    }

    /// Lets it handle a command that asks. What is answered with an `Err` is a reply like any other.
    ///
    /// # Panics
    ///
    /// When an event that was stored cannot be read back.
    pub fn ask<T: Send + 'static>(
        &mut self,
        command: impl FnOnce(ReplyTo<T>) -> E::Command,
    ) -> Outcome<E, T> {
        let reply = self.single.ask(command);
        self.single.sim().run_until_idle();
        Outcome { events: self.new_events(), reply }
    }

    /// What the last command [posted](crate::Effect::then_post), in order.
    pub fn posts(&self) -> &[Post] {
        &self.posts
    }

    /// The state.
    ///
    /// # Panics
    ///
    /// When the last command failed: then there is none, until the next command recovers it.
    pub fn state(&self) -> &E::State {
        self.single.actor().state().expect("the last command failed: the next one recovers the state")
    }

    /// Whether it has asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.single.is_stopping()
    }

    /// The scope of a command, for a test that calls `handle` by itself to compare effects.
    pub fn scope(&self) -> Scope<E> {
        let now = self.single.sim().env().wall().into();
        Scope {
            id: self.id.clone(),
            myself: self.single.myself().clone(),
            now,
            sequence: self.seen,
            cause: None,
        }
    }

    fn new_events(&mut self) -> Vec<E::Event> {
        let read = self.backend.read(&self.id, self.seen.plus(1), Sequence::MAX);
        let read = now(read.collect::<Vec<_>>());
        let events: Vec<_> =
            read.into_iter().map(|event| event.expect("a journal in memory can be read")).collect();
        self.seen = events.last().map_or(self.seen, |event| event.sequence);
        let posted = events.iter().filter(|event| event.event.name == post::POSTED);
        let posted = posted.map(|event| stored::read_event::<Posted>(event).map(Post::from));
        self.posts = posted.collect::<Result<_, _>>().expect("what was posted can be read back");
        let events = events.iter().filter(|event| !post::is_bookkeeping(&event.event.name));
        events
            .map(stored::read_event)
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("an event cannot be read back: {error}"))
    }
}

/// What a journal in memory answers at once.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("a journal in memory answers at once")
}

impl<E: EventSourced> fmt::Debug for TestKit<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestKit").field("id", &self.id).field("events", &self.seen).finish_non_exhaustive()
    }
}

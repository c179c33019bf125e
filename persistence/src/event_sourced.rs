//! What does a user write to make an actor that survives?

use std::borrow::Cow;
use std::fmt;

use omnitron_runtime::{ActorPath, ActorRef};

use crate::cause::Cause;
use crate::effect::Effect;
use crate::event::Event;
use crate::id::{PersistenceId, Sequence};
use crate::timestamp::Timestamp;

/// State that is the sum of its events, which lie in a journal. Spawn it with [`Persistent`](crate::Persistent).
///
/// # Contract
///
/// 1. **State changes in [`apply`](Self::apply) alone.** It must do the same for the same event always: it runs when the event is
///    made, and again in every recovery.
/// 2. **Nothing leaves before it is durable.** A command is handled as soon as the one before it has been, without waiting for the
///    journal; replies and side effects are made at once, of the state behind the command's own events, and leave when all the
///    events which that state holds are durable. So do those of commands that persist nothing.
/// 3. **Replies leave in the order of the commands.**
/// 4. **One failure fails all that follow.** When events could not be stored, whoever waits for a reply to them or to a later
///    command learns [`Unavailable`](omnitron_runtime::AskError::Unavailable) (it did certainly not happen) or
///    [`Unconfirmed`](omnitron_runtime::AskError::Unconfirmed) (it **may** be durable), and the state is recovered from the journal before
///    the next command is handled. That is no failure of the actor.
/// 5. **A failure submits nothing**: a panic in `handle`, in `apply`, or in a function of the effect is a failure of the actor, none of the
///    events of that command are stored, and the restart recovers the state from the journal.
///
/// # Example
///
/// ```
/// # extern crate omnitron_persistence as omnitron;
/// use omnitron::{Effect, Event, EventSourced, Journal, Persistent, Scope, WithJournal};
/// use omnitron_runtime::{ActorSystem, ReplyTo};
///
/// struct Counter;
///
/// enum CounterCommand { Add(u64), Get(ReplyTo<u64>) }
///
/// #[derive(Event)]
/// enum CounterEvent { Added(u64) }
///
/// impl EventSourced for Counter {
///     type Command = CounterCommand;
///     type Event = CounterEvent;
///     type State = u64;
///
///     fn handle(&self, state: &u64, command: CounterCommand, _cx: &Scope<Self>) -> Effect<Self> {
///         match command {
///             CounterCommand::Add(n) => Effect::persist(CounterEvent::Added(n)),
///             CounterCommand::Get(reply) => Effect::reply(reply, *state),
///         }
///     }
///
///     fn apply(state: &mut u64, event: &CounterEvent) {
///         let CounterEvent::Added(n) = event;
///         *state += n;
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = ActorSystem::builder("demo").journal(Journal::memory()).start().await?;
/// let counter = system.spawn("counter", Persistent::new(Counter))?;
/// counter.tell(CounterCommand::Add(5))?;
/// assert_eq!(counter.ask(CounterCommand::Get).await?, 5);
/// system.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not event-sourced",
    note = "implement `EventSourced` for it: `Command`, `Event`, `State`, `handle` and `apply`"
)]
pub trait EventSourced: Sized + Send + Sync + 'static {
    /// What this actor accepts, normally an enum.
    type Command: Send + 'static;
    /// What happens to it: `#[derive(Event)]`.
    type Event: Event;
    /// What it is before the first event (its default) and after each.
    type State: Default + Send + 'static;

    /// Decides what a command leads to. It changes nothing by itself, and waits for nothing.
    fn handle(&self, state: &Self::State, command: Self::Command, cx: &Scope<Self>) -> Effect<Self>;

    /// Changes the state: the only place where it does. For one event it must do the same always, and it must not panic.
    fn apply(state: &mut Self::State, event: &Self::Event);

    /// By which tags readers of the journal find an event. Default: none.
    fn tags(event: &Self::Event) -> Vec<Cow<'static, str>> {
        let _ = event;
        Vec::new()
    }

    /// Whether each event holds the whole state, so that only the last one counts.
    #[doc(hidden)]
    const LAST_ONLY: bool = false;
}

/// What [`handle`](EventSourced::handle) may know besides state and command. It cannot send: what leaves an event-sourced actor leaves
/// through its [`Effect`].
pub struct Scope<E: EventSourced> {
    pub(crate) id: PersistenceId,
    pub(crate) myself: ActorRef<E::Command>,
    pub(crate) now: Timestamp,
    pub(crate) sequence: Sequence,
    pub(crate) cause: Option<Cause>,
}

impl<E: EventSourced> Scope<E> {
    /// The id under which the events lie in the journal.
    pub fn id(&self) -> &PersistenceId {
        &self.id
    }

    /// When the command came to be handled, by the wall clock. In a simulation, its virtual one. An event that needs the time takes it
    /// from here, because `apply` cannot ask.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The last event that the state holds; [`Sequence::ZERO`] before the first.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The event that caused the command, if one did: of another entity whose effect sent it, directly or through other actors. The events that the command leads to
    /// hold it.
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// The actor itself, to be handed to others.
    pub fn myself(&self) -> &ActorRef<E::Command> {
        &self.myself
    }

    /// Where the actor lives.
    pub fn path(&self) -> &ActorPath {
        self.myself.path()
    }
}

impl<E: EventSourced> fmt::Debug for Scope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("id", &self.id)
            .field("now", &self.now)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

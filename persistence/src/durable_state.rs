//! What if only the latest value matters, and not how it came about?
//!
//! The same machinery, with one kind of event: "the state is now this". Only the last one is read in a recovery, and old ones are deleted
//! now and then. So a value costs its whole size with each change; what is large and changes a little at a time is better
//! [event-sourced](crate::EventSourced).

use crate::effect::Effect;
use crate::event::Event;
use crate::event_sourced::{EventSourced, Scope};
use crate::persistent::Persistent;

/// A value that survives. Spawn it with [`Persistent::latest`]; an effect that [persists](Effect::persist) a value makes it the new one.
///
/// What [`EventSourced`] promises holds here, too: nothing leaves before the value it was made of is durable, and replies leave in the order
/// of the commands.
///
/// # Example
///
/// ```
/// # extern crate omnitron_persistence as omnitron;
/// use omnitron::{Durable, DurableState, Effect, Event, Journal, Persistent, Scope, WithJournal};
/// use omnitron_runtime::{ActorSystem, ReplyTo};
///
/// struct Profile;
///
/// #[derive(Clone, Default, Event)]
/// struct Name { text: String }
///
/// enum ProfileCommand { Rename(String), Get(ReplyTo<String>) }
///
/// impl DurableState for Profile {
///     type Command = ProfileCommand;
///     type State = Name;
///
///     fn handle(&self, name: &Name, command: ProfileCommand, _: &Scope<Durable<Self>>) -> Effect<Durable<Self>> {
///         match command {
///             ProfileCommand::Rename(text) => Effect::persist(Name { text }),
///             ProfileCommand::Get(reply) => Effect::reply(reply, name.text.clone()),
///         }
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = ActorSystem::builder("demo").journal(Journal::memory()).start().await?;
/// let profile = system.spawn("profile-7", Persistent::latest(Profile))?;
/// profile.tell(ProfileCommand::Rename("Ada".to_owned()))?;
/// assert_eq!(profile.ask(ProfileCommand::Get).await?, "Ada");
/// # system.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub trait DurableState: Sized + Send + Sync + 'static {
    /// What this actor accepts.
    type Command: Send + 'static;
    /// The value: `#[derive(Event)]`, because it is stored as an event is. Its default is what it is in the beginning.
    type State: Event + Default + Clone;

    /// Decides what a command leads to. It changes nothing by itself, and waits for nothing.
    fn handle(
        &self,
        state: &Self::State,
        command: Self::Command,
        cx: &Scope<Durable<Self>>,
    ) -> Effect<Durable<Self>>;
}

/// A [`DurableState`] as an event-sourced behaviour whose events are its values.
#[derive(Debug)]
pub struct Durable<D>(D);

impl<D: DurableState> EventSourced for Durable<D> {
    type Command = D::Command;
    type Event = D::State;
    type State = D::State;

    fn handle(&self, state: &D::State, command: D::Command, cx: &Scope<Self>) -> Effect<Self> {
        self.0.handle(state, command, cx)
    }

    fn apply(state: &mut D::State, event: &D::State) {
        state.clone_from(event);
    }

    const LAST_ONLY: bool = true;
}

impl<D: DurableState> Persistent<Durable<D>> {
    /// An actor of which only the latest value matters, with all defaults. Values before the last are deleted after every 100 changes, but for
    /// those that a registered [reader](crate::Journal::reader) has not passed. It has no use for snapshots, and takes none.
    pub fn latest(behaviour: D) -> Self {
        Self::new(Durable(behaviour))
    }
}

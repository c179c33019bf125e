//! The journal through actors: the whole way from a command to the reply that is let go when its event is durable.

use std::path::Path;

use omnitron::prelude::*;

use super::callers::{Caller, EVENT_BYTES};

/// Counts what was written, and keeps nothing of it.
pub(crate) struct Account;

pub(crate) enum Command {
    /// This many events at once, and then the answer.
    Write(usize, ReplyTo<u64>),
    Count(ReplyTo<u64>),
}

#[derive(Event)]
pub(crate) enum AccountEvent {
    Written(Vec<u8>),
}

impl EventSourced for Account {
    type Command = Command;
    type Event = AccountEvent;
    type State = u64;

    fn handle(&self, state: &u64, command: Command, _: &Scope<Self>) -> Effect<Self> {
        match command {
            Command::Write(1, reply) => Effect::persist(written()).then_reply(reply, |state: &u64| *state),
            Command::Write(events, reply) => {
                Effect::persist_all((0..events).map(|_| written())).then_reply(reply, |state: &u64| *state)
            }
            Command::Count(reply) => Effect::reply(reply, *state),
        }
    }

    fn apply(state: &mut u64, event: &AccountEvent) {
        let AccountEvent::Written(bytes) = event;
        *state += u64::from(!bytes.is_empty());
    }
}

/// An event that has `EVENT_BYTES` when it is encoded: eight of them say where the list is.
fn written() -> AccountEvent {
    AccountEvent::Written(vec![7; EVENT_BYTES - 8])
}

/// One who asks an actor to write.
pub(crate) struct Asker {
    actor: ActorRef<Command>,
}

impl Caller for Asker {
    async fn append(&mut self) {
        self.actor.ask(|reply| Command::Write(1, reply)).await.expect("the event is durable");
    }
}

/// A system with the journal in `folder`.
pub(crate) async fn system(folder: &Path) -> ActorSystem {
    let system = ActorSystem::builder("bench").journal(Journal::embedded(folder));
    system.start().await.expect("a journal that is whole")
}

pub(crate) fn spawn(system: &ActorSystem, n: usize) -> ActorRef<Command> {
    system.spawn(&format!("account-{n}"), Persistent::new(Account)).expect("a free name")
}

/// Callers of `actors` actors, in turn. All actors have started.
pub(crate) async fn callers(callers: usize, actors: usize, folder: &Path) -> (ActorSystem, Vec<Asker>) {
    let system = system(folder).await;
    let actors: Vec<_> = (0..actors).map(|n| spawn(&system, n)).collect();
    for actor in &actors {
        actor.ask(Command::Count).await.expect("it has recovered");
    }
    let askers = actors.iter().cycle().take(callers).map(|actor| Asker { actor: actor.clone() });
    (system, askers.collect())
}

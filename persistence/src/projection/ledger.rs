//! What does a projection remember, whatever its read model is: what was left out, and which generation is the live one?
//!
//! It is event-sourced, under the id `projection/NAME`, so it is as durable as the events themselves. An event is recorded as left out *before* the read
//! model goes past it; recorded twice, because a crash came in between, it counts once.

use omnitron_runtime::{ActorRef, AskError, ReplyTo};

use crate::effect::Effect;
use crate::event_sourced::{EventSourced, Scope};
use crate::id::{PersistenceId, Sequence};
use crate::{Event, Timestamp};

/// The most that are listed; all are counted, and all are in the journal.
pub(crate) const LISTED: usize = 10_000;

/// An event that was left out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Skipped {
    /// Whose event it is.
    pub id: PersistenceId,
    /// Which of its events.
    pub sequence: Sequence,
    /// Why the read model could not take it.
    pub reason: String,
    /// When it was left out.
    pub at: Timestamp,
    /// Of which generation of the read model; see [`rebuild`](super::ProjectionRef::rebuild).
    pub generation: u64,
}

pub(crate) struct Ledger;

#[derive(Event)]
#[event(crate = crate)]
pub(crate) enum LedgerEvent {
    #[event(name = "projection.skipped")]
    Skipped { id: String, sequence: u64, reason: String, at: Timestamp, generation: u64 },
    #[event(name = "projection.switched")]
    Switched { generation: u64 },
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) generation: u64,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) count: u64,
}

pub(crate) enum Entry {
    Skip { id: PersistenceId, sequence: Sequence, reason: String, generation: u64, reply: ReplyTo<()> },
    Switch { generation: u64, reply: ReplyTo<()> },
    Generation(ReplyTo<u64>),
    Has { id: PersistenceId, sequence: Sequence, generation: u64, reply: ReplyTo<bool> },
    Skipped(ReplyTo<(u64, Vec<Skipped>)>),
}

impl State {
    fn has(&self, id: &PersistenceId, sequence: Sequence, generation: u64) -> bool {
        let same = |it: &Skipped| (&it.id, it.sequence, it.generation) == (id, sequence, generation);
        self.skipped.iter().rev().any(same)
    }
}

impl EventSourced for Ledger {
    type Command = Entry;
    type Event = LedgerEvent;
    type State = State;

    fn handle(&self, state: &State, entry: Entry, cx: &Scope<Self>) -> Effect<Self> {
        match entry {
            Entry::Skip { id, sequence, generation, reply, .. } if state.has(&id, sequence, generation) => {
                Effect::reply(reply, ())
            }
            Entry::Skip { id, sequence, reason, generation, reply } => {
                let (id, sequence, at) = (id.as_str().to_owned(), sequence.get(), cx.now());
                Effect::persist(LedgerEvent::Skipped { id, sequence, reason, at, generation })
                    .then_reply(reply, |_| ())
            }
            Entry::Switch { generation, reply } => {
                Effect::persist(LedgerEvent::Switched { generation }).then_reply(reply, |_| ())
            }
            Entry::Has { id, sequence, generation, reply } => {
                Effect::reply(reply, state.has(&id, sequence, generation))
            }
            Entry::Generation(reply) => Effect::reply(reply, state.generation),
            Entry::Skipped(reply) => Effect::reply(reply, (state.count, state.skipped.clone())),
        }
    }

    fn apply(state: &mut State, event: &LedgerEvent) {
        match event {
            LedgerEvent::Switched { generation } => state.generation = *generation,
            LedgerEvent::Skipped { id, sequence, reason, at, generation } => {
                state.count += 1;
                // Only ids that were valid are recorded.
                let Ok(id) = PersistenceId::new(id) else { return };
                if state.skipped.len() == LISTED {
                    state.skipped.remove(0);
                }
                state.skipped.push(Skipped {
                    id,
                    sequence: Sequence::new(*sequence),
                    reason: reason.clone(),
                    at: *at,
                    generation: *generation,
                });
            }
        }
    }
}

/// Whether somebody decided so before a crash.
pub(super) async fn was_left_out(
    ledger: &ActorRef<Entry>,
    id: PersistenceId,
    sequence: Sequence,
    generation: u64,
) -> Result<bool, AskError> {
    ledger.ask(|reply| Entry::Has { id, sequence, generation, reply }).await
}

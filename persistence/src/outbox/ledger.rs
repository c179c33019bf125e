//! What does an outbox remember: how far everything is delivered, and what was given up?
//!
//! It is event-sourced, under the id `outbox/NAME`, in the journal whose posts it delivers. A post is recorded as given up *before* the outbox goes past it.

use omnitron_runtime::ReplyTo;

use crate::effect::Effect;
use crate::event_sourced::{EventSourced, Scope};
use crate::id::{Ordinal, PersistenceId, Sequence, Slice};
use crate::offset::{Offset, Position};
use crate::post::Receiver;
use crate::{Event, Schema, Timestamp};

/// The most that are listed; all are counted, and those that the offset does not cover are kept in any case.
const LISTED: usize = 1_000;

/// A post that was given up.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Skipped {
    /// To whom it was to go.
    pub receiver: Receiver,
    /// Who posted it.
    pub from: PersistenceId,
    /// Which of the sender's events it is.
    pub sequence: Sequence,
    /// The stable name of the message.
    pub message: String,
    /// Why it was not taken.
    pub reason: String,
    /// When it was given up.
    pub at: Timestamp,
}

pub(super) struct Ledger;

/// What is recorded of a post that is given up.
#[derive(Clone, Debug, Schema)]
#[schema(crate = crate)]
pub(super) struct Entry {
    pub(super) receiver: String,
    pub(super) from: String,
    pub(super) sequence: u64,
    pub(super) slice: u32,
    pub(super) ordinal: u64,
    pub(super) message: String,
    pub(super) reason: String,
    pub(super) at: Timestamp,
}

impl Entry {
    pub(super) fn position(&self) -> Position {
        Position { slice: Slice::new(self.slice), ordinal: Ordinal::new(self.ordinal) }
    }

    pub(super) fn skipped(&self) -> Option<Skipped> {
        let Self { receiver, from, sequence, message, reason, at, .. } = self.clone();
        // Only ids that were valid are recorded.
        let (receiver, from) = (PersistenceId::new(receiver).ok()?, PersistenceId::new(from).ok()?);
        let (receiver, sequence) = (Receiver::from(&receiver), Sequence::new(sequence));
        Some(Skipped { receiver, from, sequence, message, reason, at })
    }
}

#[derive(Event)]
#[event(crate = crate)]
pub(super) enum LedgerEvent {
    /// Everything up to this offset is delivered or given up.
    #[event(name = "outbox.passed")]
    Passed { offset: Vec<u8> },
    #[event(name = "outbox.skipped")]
    Skipped(Entry),
}

#[derive(Clone, Debug, Default, Event)]
#[event(name = "outbox.state", crate = crate)]
pub(super) struct Memory {
    /// The bytes of an offset, or nothing.
    pub(super) offset: Vec<u8>,
    pub(super) skipped: Vec<Entry>,
    pub(super) count: u64,
}

pub(super) enum Note {
    Pass { offset: Vec<u8>, reply: ReplyTo<()> },
    Skip { entry: Box<Entry>, reply: ReplyTo<Entry> },
    Recall(ReplyTo<Memory>),
}

impl EventSourced for Ledger {
    type Command = Note;
    type Event = LedgerEvent;
    type State = Memory;

    fn handle(&self, state: &Memory, note: Note, cx: &Scope<Self>) -> Effect<Self> {
        match note {
            Note::Pass { offset, reply } => {
                Effect::persist(LedgerEvent::Passed { offset }).then_reply(reply, |_| ())
            }
            Note::Skip { entry, reply } => {
                let known = state.skipped.iter().rev().find(|known| known.position() == entry.position());
                if let Some(known) = known {
                    return Effect::reply(reply, known.clone());
                }
                let entry = Entry { at: cx.now(), ..*entry };
                let answer = entry.clone();
                Effect::persist(LedgerEvent::Skipped(entry)).then_reply(reply, |_| answer)
            }
            Note::Recall(reply) => Effect::reply(reply, state.clone()),
        }
    }

    fn apply(state: &mut Memory, event: &LedgerEvent) {
        match event {
            LedgerEvent::Passed { offset } => state.offset.clone_from(offset),
            LedgerEvent::Skipped(entry) => {
                state.count += 1;
                state.skipped.push(entry.clone());
            }
        }
        if state.skipped.len() > LISTED
            && let Ok(offset) = Offset::from_bytes(&state.offset)
            && offset.covers(state.skipped[0].position())
        {
            state.skipped.remove(0);
        }
    }
}

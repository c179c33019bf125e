//! What caused an event?
//!
//! An event that is caused by another one holds that in its metadata. Nobody has to say so: what leaves an entity through its effect takes along as its
//! [baggage](Baggage) which event it leaves for, from one actor to the next, until an entity makes events of it.
//!
//! # Invariants
//!
//! * What [`Because::write`] wrote, [`Because::read`] reads. Bytes that nobody wrote are no cause, and no error.

use std::fmt;

use omnitron_runtime::{Baggage, TraceContext};

use crate::id::{PersistenceId, Sequence};
use crate::recorded::Recorded;

/// An event that caused something: by its id and its place among the events of that id.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cause {
    /// Whose event it is.
    pub id: PersistenceId,
    /// Which of them.
    pub sequence: Sequence,
}

impl Cause {
    /// The event that was read, as a cause of what is done about it.
    pub fn of(recorded: &Recorded) -> Self {
        Self { id: recorded.id.clone(), sequence: recorded.sequence }
    }

    /// The event that caused the message which is handled on this thread, or that of the [`scope`](Self::scope) around the caller. An event-sourced actor
    /// asks its [`Scope`](crate::Scope::cause).
    pub fn current() -> Option<Self> {
        Baggage::current().and_then(|baggage| baggage.get::<Self>().cloned())
    }

    /// Runs `code`: what it sends is caused by this event.
    pub fn scope<R>(self, code: impl FnOnce() -> R) -> R {
        self.into_baggage().scope(code)
    }

    /// Makes a future one whose messages are caused by this event.
    pub fn wrap<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        self.into_baggage().wrap(future)
    }

    pub(crate) fn into_baggage(self) -> Baggage {
        Baggage::new(self)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} of {}", self.sequence, self.id)
    }
}

/// What lies beside an event about where it came from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Because {
    /// The event whose handling sent the command.
    pub(crate) cause: Option<Cause>,
    /// The handling of the command, in a system that traces its messages.
    pub(crate) trace: Option<TraceContext>,
}

/// The kinds of parts.
const CAUSE: u8 = 1;
const TRACE: u8 = 2;
/// The bytes of a trace: its number, that of the span, and whether it is recorded.
const TRACE_BYTES: usize = 16 + 8 + 1;

impl Because {
    pub(crate) fn is_empty(&self) -> bool {
        self.cause.is_none() && self.trace.is_none()
    }

    /// Writes each part as its kind (1 byte), its length (2 bytes, the lowest first) and its content.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut part = |kind: u8, parts: &[&[u8]]| {
            // An id and a number are far below 64 KiB.
            let length: usize = parts.iter().map(|part| part.len()).sum();
            let Ok(length) = u16::try_from(length) else { return };
            out.push(kind);
            out.extend_from_slice(&length.to_le_bytes());
            for part in parts {
                out.extend_from_slice(part);
            }
        };
        if let Some(Cause { id, sequence }) = &self.cause {
            part(CAUSE, &[&sequence.get().to_le_bytes(), id.as_str().as_bytes()]);
        }
        if let Some(trace) = &self.trace {
            let flags = [u8::from(trace.is_sampled())];
            part(TRACE, &[&trace.trace_id().to_le_bytes(), &trace.span_id().to_le_bytes(), &flags]);
        }
    }

    /// Reads the parts that it knows.
    pub(crate) fn read(mut bytes: &[u8]) -> Self {
        let mut because = Self::default();
        while let Some((head, rest)) = bytes.split_first_chunk::<3>() {
            let length = usize::from(u16::from_le_bytes([head[1], head[2]]));
            let Some((content, rest)) = rest.split_at_checked(length) else { break };
            match head[0] {
                CAUSE => because.cause = cause(content),
                TRACE => because.trace = trace(content),
                _ => {}
            }
            bytes = rest;
        }
        because
    }
}

fn cause(bytes: &[u8]) -> Option<Cause> {
    let (sequence, id) = bytes.split_first_chunk()?;
    let id = PersistenceId::new(std::str::from_utf8(id).ok()?).ok()?;
    Some(Cause { id, sequence: Sequence::new(u64::from_le_bytes(*sequence)) })
}

fn trace(bytes: &[u8]) -> Option<TraceContext> {
    let bytes: &[u8; TRACE_BYTES] = bytes.try_into().ok()?;
    let (trace, rest) = bytes.split_first_chunk()?;
    let (span, flags) = rest.split_first_chunk()?;
    let (trace, span) = (u128::from_le_bytes(*trace), u64::from_le_bytes(*span));
    format!("00-{trace:032x}-{span:016x}-{:02x}", flags.first()?).parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(id in "[a-zä/]{1,99}", sequence: u64, trace in 1..u128::MAX, span in 1..u64::MAX, which in 0..4_u8) {
            let id = PersistenceId::new(id).unwrap();
            let context = format!("00-{trace:032x}-{span:016x}-01").parse().unwrap();
            let because = Because {
                cause: (which & 1 > 0).then_some(Cause { id, sequence: Sequence::new(sequence) }),
                trace: (which & 2 > 0).then_some(context),
            };
            let mut bytes = Vec::new();
            because.write(&mut bytes);
            prop_assert_eq!(Because::read(&bytes), because.clone());
            // A part of a kind that comes one day is passed over.
            bytes.splice(0..0, [9, 2, 0, 7, 7]);
            prop_assert_eq!(Because::read(&bytes), because);
        }

        #[test]
        fn any_bytes_are_a_cause_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            drop(Because::read(&bytes));
        }
    }
}

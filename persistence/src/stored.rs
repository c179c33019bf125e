//! How does an event lie in a journal, and a state in a snapshot?
//!
//! A journal keeps name, version, payload and metadata. The payload is the content of the event; the metadata begins with one byte, 1, and the
//! fingerprint in eight bytes, the lowest first. Behind it may follow where the event [came from](crate::cause); what is not known there is passed over.
//! A snapshot has no metadata, so the fingerprint comes before the state.

use std::borrow::Cow;

use bytes::Bytes;

use crate::cause::Because;
use crate::event::{DecodeError, EncodeError, Encoded, Event, Fingerprint, Stored};
use crate::id::{PersistenceId, Sequence};
use crate::recorded::{NewEvent, Recorded};
use crate::snapshot::Snapshot;

/// The first byte of the metadata.
const FORM: u8 = 1;
const FINGERPRINT_BYTES: usize = 8;

/// The metadata of the event before: the next one often has the same.
pub(crate) type LastMetadata = Option<(Fingerprint, Bytes)>;

/// The event as it is appended.
pub(crate) fn event<E: Event>(
    event: &E,
    tags: Vec<Cow<'static, str>>,
    timestamp_ms: u64,
    because: &Because,
    last: &mut LastMetadata,
) -> Result<NewEvent, EncodeError> {
    let Encoded { name, version, fingerprint, bytes } = event.encode()?;
    let metadata = match last {
        Some((of, metadata)) if *of == fingerprint && because.is_empty() => metadata.clone(),
        _ => {
            let mut metadata = Vec::with_capacity(1 + FINGERPRINT_BYTES);
            metadata.push(FORM);
            metadata.extend_from_slice(&fingerprint.as_u64().to_le_bytes());
            if because.is_empty() {
                last.insert((fingerprint, metadata.into())).1.clone()
            } else {
                because.write(&mut metadata);
                metadata.into()
            }
        }
    };
    let payload = Bytes::from(bytes);
    Ok(NewEvent { name: name.into(), version, timestamp_ms, tags, payload, metadata })
}

/// The event that was read. Without metadata, which others may have written, only its bytes are checked.
pub(crate) fn read_event<E: Event>(recorded: &Recorded) -> Result<E, DecodeError> {
    let NewEvent { name, version, payload, .. } = &recorded.event;
    E::decode(Stored { name, version: *version, fingerprint: fingerprint_of(recorded), bytes: payload })
}

/// The fingerprint of the event that was read, if it has one.
pub(crate) fn fingerprint_of(recorded: &Recorded) -> Option<Fingerprint> {
    match recorded.event.metadata.split_first() {
        Some((&FORM, rest)) => fingerprint(rest).map(|(fingerprint, _)| fingerprint),
        _ => None,
    }
}

/// Where the event came from that was read.
pub(crate) fn because(recorded: &Recorded) -> Because {
    match recorded.event.metadata.split_first() {
        Some((&FORM, rest)) => fingerprint(rest).map(|(_, rest)| Because::read(rest)).unwrap_or_default(),
        _ => Because::default(),
    }
}

/// The state as a snapshot keeps it.
pub(crate) fn snapshot<S: Event>(
    state: &S,
    id: &PersistenceId,
    sequence: Sequence,
    timestamp_ms: u64,
) -> Result<Snapshot, EncodeError> {
    let Encoded { name, version, fingerprint, bytes } = state.encode()?;
    let mut stored = Vec::with_capacity(FINGERPRINT_BYTES + bytes.len());
    stored.extend_from_slice(&fingerprint.as_u64().to_le_bytes());
    stored.extend_from_slice(&bytes);
    let (id, state) = (id.clone(), stored.into());
    Ok(Snapshot { id, sequence, timestamp_ms, name: name.to_owned(), version, state })
}

/// The state that a snapshot holds.
pub(crate) fn read_snapshot<S: Event>(snapshot: &Snapshot) -> Result<S, DecodeError> {
    let Snapshot { name, version, state, .. } = snapshot;
    let (fingerprint, bytes) = match fingerprint(state) {
        Some((fingerprint, bytes)) => (Some(fingerprint), bytes),
        None => (None, &**state),
    };
    S::decode(Stored { name, version: *version, fingerprint, bytes })
}

fn fingerprint(bytes: &[u8]) -> Option<(Fingerprint, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<FINGERPRINT_BYTES>()?;
    Some((Fingerprint::from_u64(u64::from_le_bytes(*number)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Cause;
    use crate::id::{Ordinal, Slice};

    #[derive(Debug, crate::Event, PartialEq)]
    #[event(crate = crate, name = "thing")]
    enum Thing {
        Done,
    }

    fn stored(because: &Because) -> Recorded {
        let event = event(&Thing::Done, Vec::new(), 7, because, &mut None).unwrap();
        let id = PersistenceId::new("a").unwrap();
        let (slice, sequence, ordinal) = (Slice::new(0), Sequence::new(1), Ordinal::new(1));
        Recorded { id, slice, sequence, ordinal, event }
    }

    #[test]
    fn an_event_without_a_cause_has_the_metadata_it_always_had() {
        let recorded = stored(&Because::default());
        let fingerprint = Thing::Done.event_type().fingerprint.as_u64().to_le_bytes();
        assert_eq!(recorded.event.metadata, [&[1][..], &fingerprint].concat());
        assert_eq!(because(&recorded), Because::default());
    }

    #[test]
    fn a_cause_stands_behind_the_fingerprint_and_the_event_is_read_all_the_same() {
        let cause = Cause { id: PersistenceId::new("order-7").unwrap(), sequence: Sequence::new(3) };
        let of = Because { cause: Some(cause), trace: None };
        let recorded = stored(&of);
        assert_eq!(recorded.event.metadata.len(), 9 + 3 + 8 + "order-7".len());
        assert_eq!(because(&recorded), of);
        assert_eq!(read_event::<Thing>(&recorded).unwrap(), Thing::Done);
    }

    #[test]
    fn an_event_with_a_cause_does_not_lend_it_to_the_next() {
        let cause = Cause { id: PersistenceId::new("b").unwrap(), sequence: Sequence::new(1) };
        let (mut last, none) = (None, Because::default());
        let mut write = |because: &Because| event(&Thing::Done, Vec::new(), 0, because, &mut last).unwrap();
        let plain = write(&none).metadata;
        assert_ne!(write(&Because { cause: Some(cause), trace: None }).metadata, plain);
        assert_eq!(write(&none).metadata, plain);
    }
}

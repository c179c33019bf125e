//! How does an event lie in a journal, and a state in a snapshot?
//!
//! A journal keeps name, version, payload and metadata. The payload is the content of the event; the metadata begins with one byte, 1, and the
//! fingerprint in eight bytes, the lowest first. Behind it may follow where the event [came from](crate::cause); what is not known there is passed over.
//! A snapshot has no metadata, so the fingerprint comes before the state.
//!
//! A state with marks is stored under the name `omnitron.snapshot`: the length of a head in four bytes, the lowest first, the head, which is an event with the
//! name of the state's type and the marks, and then what would have been stored without marks.

use std::borrow::Cow;

use bytes::Bytes;

use crate::Event;
use crate::cause::Because;
use crate::event::{DecodeError, EncodeError, Encoded, Fingerprint, Stored};
use crate::id::{Ordinal, PersistenceId, Sequence, Slice};
use crate::marks::{Marks, Origin};
use crate::offset::Position;
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

/// What stands before a state with marks.
#[derive(Event)]
#[event(name = "omnitron.snapshot", crate = crate)]
struct Head {
    name: String,
    version: u32,
    /// Source, slice and ordinal of each.
    marks: Vec<(u64, u32, u64)>,
    has_posted: bool,
}

/// The snapshot, with the marks in it, if there are any.
pub(crate) fn with_marks(snapshot: Snapshot, marks: &Marks) -> Snapshot {
    if marks.is_empty() {
        return snapshot;
    }
    let Snapshot { id, sequence, timestamp_ms, name, version, state } = snapshot;
    let numbers =
        |Origin { source, position: Position { slice, ordinal }, .. }| (source, slice.get(), ordinal.get());
    let (has_posted, marks) = (marks.has_posted, marks.iter().map(numbers).collect());
    let head = Head { name, version, marks, has_posted };
    let encoded =
        head.encode().expect("there is one mark per slice, which is far below the limit of an event");
    let Encoded { name, version, bytes, .. } = encoded;
    let length = u32::try_from(bytes.len()).expect("an event has at most 16 MiB");
    let mut stored = Vec::with_capacity(size_of::<u32>() + bytes.len() + state.len());
    stored.extend_from_slice(&length.to_le_bytes());
    stored.extend_from_slice(&bytes);
    stored.extend_from_slice(&state);
    Snapshot { id, sequence, timestamp_ms, name: name.to_owned(), version, state: stored.into() }
}

/// The snapshot without marks, and the marks.
pub(crate) fn split_marks(snapshot: Snapshot) -> Result<(Snapshot, Marks), DecodeError> {
    let head = Head::types()[0].name;
    if snapshot.name != head {
        return Ok((snapshot, Marks::default()));
    }
    // What is cut short is no head, and decoding it says so.
    let (length, rest) = snapshot
        .state
        .split_first_chunk()
        .map_or((u32::MAX, &[][..]), |(length, rest)| (u32::from_le_bytes(*length), rest));
    let bytes = rest.get(..length as usize).unwrap_or_default();
    let Head { name, version, marks, has_posted } =
        Head::decode(Stored { name: head, version: snapshot.version, fingerprint: None, bytes })?;
    let mut known = Marks::default();
    known.has_posted = has_posted;
    for (source, slice, ordinal) in marks {
        let position = Position { slice: Slice::new(slice), ordinal: Ordinal::new(ordinal) };
        known.received(Origin { source, position, after: Ordinal::ZERO });
    }
    let state = snapshot.state.slice(size_of::<u32>() + bytes.len()..);
    Ok((Snapshot { name, version, state, ..snapshot }, known))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::cause::Cause;

    fn snapshot(state: &'static [u8]) -> Snapshot {
        let id = PersistenceId::new("a").unwrap();
        Snapshot {
            id,
            sequence: Sequence::new(7),
            timestamp_ms: 1,
            name: "n".to_owned(),
            version: 3,
            state: Bytes::from_static(state),
        }
    }

    #[test]
    fn marks_come_back_from_a_snapshot_and_one_without_marks_is_as_it_was() {
        let mut marks = Marks::default();
        assert_eq!(with_marks(snapshot(b"state"), &marks), snapshot(b"state"));
        let position = Position { slice: Slice::new(4), ordinal: Ordinal::new(5) };
        marks.received(Origin { source: 9, position, after: Ordinal::ZERO });
        marks.has_posted = true;
        let stored = with_marks(snapshot(b"state"), &marks);
        assert_eq!(stored.name, "omnitron.snapshot");
        assert_eq!(split_marks(stored).unwrap(), (snapshot(b"state"), marks));
    }

    #[test]
    fn a_head_that_is_cut_short_is_an_error() {
        let mut marks = Marks::default();
        marks.has_posted = true;
        let whole = with_marks(snapshot(b""), &marks);
        for length in 0..whole.state.len() {
            let cut = Snapshot { state: whole.state.slice(..length), ..whole.clone() };
            assert!(split_marks(cut).is_err(), "{length}");
        }
    }

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

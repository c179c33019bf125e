//! Which bytes is an event, a claim or a deletion in a batch?
//!
//! `docs/formats/journal.md` describes them one by one.
//!
//! # Invariants
//!
//! * What `encode` wrote, `decode` reads, and nothing that differs in any bit.
//! * Lengths are checked before anything is read or reserved.

use bytes::Bytes;
use crc32c::crc32c;

use super::format::{Damage, u16_at, u32_at, u64_at};
use super::names;
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice};
use crate::recorded::{NewEvent, Recorded};

/// The bytes that every record has: checksum, length, kind, nothing.
const PREFIX: usize = 10;
/// The bytes of an event before its id.
pub(crate) const EVENT_BYTES: usize = 68;
const CLAIM_BYTES: usize = 32;
const DELETION_BYTES: usize = 40;
/// The most bytes of a record. A length beyond it is damage.
const MAX_RECORD_BYTES: usize = 17 << 20;

const EVENT: u8 = 1;
const CLAIM: u8 = 2;
const DELETION: u8 = 3;

/// What stands in a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Record {
    /// Something happened.
    Event {
        recorded: Recorded,
        /// Who wrote it.
        epoch: Epoch,
        /// Where the event before of the same id starts in this segment; 0 when it is not in this segment.
        back: u32,
    },
    /// A slice has a new owner; in a segment that was rewritten, the state of the slice at its end.
    Claim { slice: Slice, epoch: Epoch, ordinal: Ordinal },
    /// The events of an id up to `to` are deleted; `highest` is its last one, deleted or not.
    Deletion { slice: Slice, epoch: Epoch, id: PersistenceId, to: Sequence, highest: Sequence },
}

/// Where an event stands, for [`encode_event`].
pub(crate) struct Place<'a> {
    pub(crate) id: &'a PersistenceId,
    pub(crate) slice: Slice,
    pub(crate) epoch: Epoch,
    pub(crate) sequence: Sequence,
    pub(crate) ordinal: Ordinal,
    pub(crate) back: u32,
}

/// Appends an event to `out`. The limits of [`NewEvent`] are kept: they are checked when it is submitted.
pub(crate) fn encode_event(out: &mut Vec<u8>, place: &Place<'_>, event: &NewEvent) {
    let start = begin(out, EVENT);
    out.extend_from_slice(&short(place.id.as_str().len()));
    out.extend_from_slice(&short(event.name.len()));
    out.extend_from_slice(&short(event.tags.len()));
    out.extend_from_slice(&place.slice.get().to_le_bytes());
    out.extend_from_slice(&event.version.to_le_bytes());
    out.extend_from_slice(&place.epoch.get().to_le_bytes());
    out.extend_from_slice(&place.sequence.get().to_le_bytes());
    out.extend_from_slice(&place.ordinal.get().to_le_bytes());
    out.extend_from_slice(&event.timestamp_ms.to_le_bytes());
    out.extend_from_slice(&place.back.to_le_bytes());
    out.extend_from_slice(&long(event.metadata.len()));
    out.extend_from_slice(&long(event.payload.len()));
    out.extend_from_slice(place.id.as_str().as_bytes());
    out.extend_from_slice(event.name.as_bytes());
    for tag in &event.tags {
        out.push(short(tag.len())[0]);
        out.extend_from_slice(tag.as_bytes());
    }
    out.extend_from_slice(&event.metadata);
    out.extend_from_slice(&event.payload);
    end(out, start);
}

/// Appends a claim to `out`.
pub(crate) fn encode_claim(out: &mut Vec<u8>, slice: Slice, epoch: Epoch, ordinal: Ordinal) {
    let start = begin(out, CLAIM);
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&slice.get().to_le_bytes());
    out.extend_from_slice(&epoch.get().to_le_bytes());
    out.extend_from_slice(&ordinal.get().to_le_bytes());
    end(out, start);
}

/// Appends a deletion to `out`.
pub(crate) fn encode_deletion(
    out: &mut Vec<u8>,
    (slice, epoch): (Slice, Epoch),
    id: &PersistenceId,
    to: Sequence,
    highest: Sequence,
) {
    let start = begin(out, DELETION);
    out.extend_from_slice(&short(id.as_str().len()));
    out.extend_from_slice(&slice.get().to_le_bytes());
    out.extend_from_slice(&epoch.get().to_le_bytes());
    out.extend_from_slice(&to.get().to_le_bytes());
    out.extend_from_slice(&highest.get().to_le_bytes());
    out.extend_from_slice(id.as_str().as_bytes());
    end(out, start);
}

/// The length of the record that starts with `bytes`, of which 8 are enough.
pub(crate) fn length(bytes: &[u8]) -> Result<usize, Damage> {
    if bytes.len() < 8 {
        return Err(Damage::Short);
    }
    let length = u32_at(bytes, 4) as usize;
    if (PREFIX..=MAX_RECORD_BYTES).contains(&length) {
        Ok(length)
    } else {
        Err(Damage::Field("the length of the record is impossible"))
    }
}

/// The record that `bytes` start with, without what follows it.
fn intact(bytes: &[u8]) -> Result<&[u8], Damage> {
    let bytes = bytes.get(..length(bytes)?).ok_or(Damage::Short)?;
    if crc32c(&bytes[4..]) != u32_at(bytes, 0) {
        return Err(Damage::Checksum);
    }
    Ok(bytes)
}

/// Whether the record that starts with `bytes` is an event or a deletion of `id`.
pub(crate) fn is_of(bytes: &[u8], id: &PersistenceId) -> Result<bool, Damage> {
    let bytes = intact(bytes)?;
    let start = match bytes[8] {
        EVENT => EVENT_BYTES,
        DELETION => DELETION_BYTES,
        _ => return Ok(false),
    };
    let text = id.as_str().as_bytes();
    let is_it = bytes.len() >= start && usize::from(u16_at(bytes, 10)) == text.len();
    Ok(is_it && bytes[start..].starts_with(text))
}

/// The record that starts with `bytes`, and its length. What follows it does not matter.
pub(crate) fn decode(bytes: &Bytes) -> Result<(Record, usize), Damage> {
    decode_behind(bytes, 0, None)
}

/// The record that starts at `at`, and its length, where the one read before may have the same id and name: then they share them.
pub(crate) fn decode_behind(
    bytes: &Bytes,
    at: usize,
    before: Option<&Recorded>,
) -> Result<(Record, usize), Damage> {
    let record = intact(bytes.get(at..).ok_or(Damage::Short)?)?;
    let length = record.len();
    let decoded = match record[8] {
        EVENT if length >= EVENT_BYTES => event(bytes, at, record, before)?,
        CLAIM if length == CLAIM_BYTES => Record::Claim {
            slice: Slice::new(u32_at(record, 12)),
            epoch: Epoch::new(u64_at(record, 16)),
            ordinal: Ordinal::new(u64_at(record, 24)),
        },
        DELETION if length >= DELETION_BYTES => Record::Deletion {
            slice: Slice::new(u32_at(record, 12)),
            epoch: Epoch::new(u64_at(record, 16)),
            to: Sequence::new(u64_at(record, 24)),
            highest: Sequence::new(u64_at(record, 32)),
            id: Parts(&record[DELETION_BYTES..]).id(u16_at(record, 10).into(), before)?,
        },
        _ => return Err(Damage::Field("it is no kind of record that this program knows")),
    };
    Ok((decoded, length))
}

/// The event in `record`, which stands at `at` of `bytes`.
fn event(bytes: &Bytes, at: usize, record: &[u8], before: Option<&Recorded>) -> Result<Record, Damage> {
    let mut rest = Parts(&record[EVENT_BYTES..]);
    let id = rest.id(u16_at(record, 10).into(), before)?;
    let name = names::name(rest.text(u16_at(record, 12).into())?, before.map(|before| &before.event.name));
    let mut tags = Vec::new();
    for _ in 0..u16_at(record, 14) {
        let size = rest.take(1)?[0];
        tags.push(rest.text(size.into())?.to_owned().into());
    }
    let metadata = rest.take(u32_at(record, 60) as usize)?.len();
    let payload = rest.take(u32_at(record, 64) as usize)?.len();
    if !rest.0.is_empty() {
        return Err(Damage::Field("the record is longer than its parts"));
    }
    // They come last, so where they stand follows from the end.
    let end = at + record.len();
    let event = NewEvent {
        name,
        version: u32_at(record, 20),
        timestamp_ms: u64_at(record, 48),
        tags,
        payload: bytes.slice(end - payload..end),
        metadata: bytes.slice(end - payload - metadata..end - payload),
    };
    let recorded = Recorded {
        id,
        slice: Slice::new(u32_at(record, 16)),
        sequence: Sequence::new(u64_at(record, 32)),
        ordinal: Ordinal::new(u64_at(record, 40)),
        event,
    };
    Ok(Record::Event { recorded, epoch: Epoch::new(u64_at(record, 24)), back: u32_at(record, 56) })
}

/// The parts of a record that have no fixed place, taken from the front.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, size: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) =
            self.0.split_at_checked(size).ok_or(Damage::Field("the record is shorter than its parts"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn text(&mut self, size: usize) -> Result<&'a str, Damage> {
        std::str::from_utf8(self.take(size)?).map_err(|_| Damage::Field("a text in the record is no UTF-8"))
    }

    fn id(&mut self, size: usize, before: Option<&Recorded>) -> Result<PersistenceId, Damage> {
        let text = self.text(size)?;
        if let Some(same) = before.filter(|before| before.id.as_str() == text) {
            return Ok(same.id.clone());
        }
        PersistenceId::new(text).map_err(|_| Damage::Field("the id in the record cannot be one"))
    }
}

fn begin(out: &mut Vec<u8>, kind: u8) -> usize {
    out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, kind, 0]);
    out.len() - PREFIX
}

fn end(out: &mut [u8], start: usize) {
    let length = long(out.len() - start);
    out[start + 4..start + 8].copy_from_slice(&length);
    let checksum = crc32c(&out[start + 4..]).to_le_bytes();
    out[start..start + 4].copy_from_slice(&checksum);
}

fn short(size: usize) -> [u8; 2] {
    u16::try_from(size).expect("what is submitted is within the limits").to_le_bytes()
}

fn long(size: usize) -> [u8; 4] {
    u32::try_from(size).expect("what is submitted is within the limits").to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events() -> impl Strategy<Value = Record> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
        let numbers = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
        let tags = proptest::collection::vec("[a-zä]{0,9}", 0..4);
        ("[a-zäß漢]{1,9}", "[a-z.]{0,9}", tags, bytes(), bytes(), numbers).prop_map(
            |(id, name, tags, payload, metadata, (slice, back, epoch, sequence, ordinal, time))| {
                let event = NewEvent {
                    name: name.into(),
                    version: back ^ slice,
                    timestamp_ms: time,
                    tags: tags.into_iter().map(Into::into).collect(),
                    payload: payload.into(),
                    metadata: metadata.into(),
                };
                let recorded = Recorded {
                    id: PersistenceId::new(id).unwrap(),
                    slice: Slice::new(slice),
                    sequence: Sequence::new(sequence),
                    ordinal: Ordinal::new(ordinal),
                    event,
                };
                Record::Event { recorded, epoch: Epoch::new(epoch), back }
            },
        )
    }

    fn others() -> impl Strategy<Value = Record> {
        ("[a-zä]{1,9}", any::<u32>(), any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
            |(id, slice, a, b, claim)| {
                let (slice, epoch) = (Slice::new(slice), Epoch::new(a));
                if claim {
                    return Record::Claim { slice, epoch, ordinal: Ordinal::new(b) };
                }
                let id = PersistenceId::new(id).unwrap();
                Record::Deletion { slice, epoch, id, to: Sequence::new(b), highest: Sequence::new(a ^ b) }
            },
        )
    }

    fn encode(record: &Record) -> Bytes {
        let mut out = Vec::new();
        match record {
            Record::Event { recorded, epoch, back } => {
                let Recorded { id, slice, sequence, ordinal, event } = recorded;
                let place = Place {
                    id,
                    slice: *slice,
                    epoch: *epoch,
                    sequence: *sequence,
                    ordinal: *ordinal,
                    back: *back,
                };
                encode_event(&mut out, &place, event);
            }
            Record::Claim { slice, epoch, ordinal } => encode_claim(&mut out, *slice, *epoch, *ordinal),
            Record::Deletion { slice, epoch, id, to, highest } => {
                encode_deletion(&mut out, (*slice, *epoch), id, *to, *highest);
            }
        }
        out.into()
    }

    proptest! {
        #[test]
        fn a_record_comes_back_whatever_follows_it(
            record in prop_oneof![events(), others()],
            after in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let bytes = encode(&record);
            let followed: Bytes = [&bytes[..], &after].concat().into();
            prop_assert_eq!(decode(&followed), Ok((record, bytes.len())));
        }

        #[test]
        fn no_flipped_bit_and_no_missing_byte_is_believed(
            record in prop_oneof![events(), others()],
            at in any::<prop::sample::Index>(),
        ) {
            let bytes = encode(&record);
            let bit = at.index(bytes.len() * 8);
            let mut broken = bytes.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&broken.into()).is_err());
            prop_assert!(decode(&bytes.slice(..at.index(bytes.len()))).is_err());
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes.into()); // no panic
        }
    }
}

//! How does an event lie in the columns of a table, and is what comes back what was stored?
//!
//! Numbers of 64 bits go into `int8` bit by bit where every value can occur, as do versions into `int4`. Tags are one column, each with a byte of length before
//! it, so that they come back in their order. A checksum covers everything that has a meaning.
//!
//! # Invariants
//!
//! * What was changed behind the journal's back is [`None`], and no event.

use std::borrow::Cow;

use bytes::Bytes;

use super::memory::Lane;
use super::plan::{Plan, Verdict};
use crate::backend::Append;
use crate::id::{Ordinal, PersistenceId, Sequence, Slice};
use crate::recorded::{NewEvent, Recorded};

/// What a batch puts into the tables, column by column.
#[derive(Debug, Default)]
pub(crate) struct Columns<'a> {
    pub(crate) lanes: (Vec<i32>, Vec<i64>),
    pub(crate) new: (Vec<String>, Vec<i32>),
    pub(crate) tag: (Vec<i32>, Vec<&'a [u8]>, Vec<i64>),
    pub(crate) slices: Vec<i32>,
    pub(crate) ordinals: Vec<i64>,
    pub(crate) ids: Vec<&'a str>,
    pub(crate) sequences: Vec<i64>,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) versions: Vec<i32>,
    pub(crate) checksums: Vec<i32>,
    pub(crate) names: Vec<&'a [u8]>,
    pub(crate) tags: Vec<Option<Vec<u8>>>,
    pub(crate) metadata: Vec<Option<&'a [u8]>>,
    pub(crate) payloads: Vec<&'a [u8]>,
}

/// The columns of those appends of a batch that are to be stored.
pub(crate) fn columns<'a>(appends: impl Iterator<Item = &'a Append>, plan: &Plan) -> Columns<'a> {
    let mut columns = Columns::default();
    for (&slice, Lane { epoch, .. }) in &plan.lanes {
        columns.lanes.0.push(slice.cast_signed());
        columns.lanes.1.push(epoch.cast_signed());
    }
    for (id, slice) in &plan.new {
        columns.new.0.push(id.to_string());
        columns.new.1.push(slice.cast_signed());
    }
    for (append, verdict) in appends.zip(&plan.verdicts) {
        let Verdict::Stored { sequence, ordinal } = *verdict else { continue };
        for (event, n) in append.events.iter().zip(1_u64..) {
            columns.push(append, event, sequence + n, ordinal + n);
        }
    }
    columns
}

impl<'a> Columns<'a> {
    fn push(&mut self, append: &'a Append, event: &'a NewEvent, sequence: u64, ordinal: u64) {
        let slice = append.slice.get().cast_signed();
        self.slices.push(slice);
        self.ordinals.push(ordinal.cast_signed());
        self.ids.push(append.id.as_str());
        self.sequences.push(sequence.cast_signed());
        self.timestamps.push(event.timestamp_ms.cast_signed());
        self.versions.push(event.version.cast_signed());
        self.names.push(event.name.as_bytes());
        let mut tags: Vec<&[u8]> = event.tags.iter().map(|tag| tag.as_bytes()).collect();
        let encoded = (!tags.is_empty()).then(|| encode_tags(&tags));
        self.checksums.push(checksum(append.id.as_str(), sequence, ordinal, event, encoded.as_deref()));
        self.tags.push(encoded);
        self.metadata.push(Some(&event.metadata[..]).filter(|bytes| !bytes.is_empty()));
        self.payloads.push(&event.payload);
        // One that stands there twice is found once.
        tags.sort_unstable();
        tags.dedup();
        for tag in tags {
            self.tag.0.push(slice);
            self.tag.1.push(tag);
            self.tag.2.push(ordinal.cast_signed());
        }
    }
}

fn encode_tags(tags: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tags.iter().map(|tag| tag.len() + 1).sum());
    for tag in tags {
        bytes.push(u8::try_from(tag.len()).expect("a tag has at most 255 bytes: that was checked before"));
        bytes.extend_from_slice(tag);
    }
    bytes
}

/// The tags in a column. `None`: it is damaged.
pub(crate) fn decode_tags(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut tags = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (tag, behind) = rest.split_at_checked(usize::from(length))?;
        tags.push(tag);
        bytes = behind;
    }
    Some(tags)
}

fn checksum(id: &str, sequence: u64, ordinal: u64, event: &NewEvent, tags: Option<&[u8]>) -> i32 {
    let parts = [
        id.as_bytes(),
        &sequence.to_le_bytes(),
        &ordinal.to_le_bytes(),
        &event.timestamp_ms.to_le_bytes(),
        &event.version.to_le_bytes(),
        event.name.as_bytes(),
        tags.unwrap_or_default(),
        &event.metadata,
        &event.payload,
    ];
    checksum_of(&parts)
}

/// A checksum of parts, each with its length, so that no byte can go from one to its neighbour.
pub(crate) fn checksum_of(parts: &[&[u8]]) -> i32 {
    let add = |sum, part: &&[u8]| {
        let sum = crc32c::crc32c_append(sum, &(part.len() as u64).to_le_bytes());
        crc32c::crc32c_append(sum, part)
    };
    parts.iter().fold(0, add).cast_signed()
}

/// A row of the table of events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) slice: i32,
    pub(crate) ordinal: i64,
    pub(crate) id: &'a str,
    pub(crate) sequence: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) version: i32,
    pub(crate) checksum: i32,
    pub(crate) name: &'a [u8],
    pub(crate) tags: Option<&'a [u8]>,
    pub(crate) metadata: Option<&'a [u8]>,
    pub(crate) payload: &'a [u8],
}

/// The event in a row. `None`: it is not what was stored.
pub(crate) fn decode(raw: Raw<'_>) -> Option<Recorded> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok().map(Cow::Owned);
    let tags = decode_tags(raw.tags.unwrap_or_default())?;
    let event = NewEvent {
        name: text(raw.name)?,
        version: raw.version.cast_unsigned(),
        timestamp_ms: raw.timestamp_ms.cast_unsigned(),
        tags: tags.into_iter().map(text).collect::<Option<_>>()?,
        payload: Bytes::copy_from_slice(raw.payload),
        metadata: Bytes::copy_from_slice(raw.metadata.unwrap_or_default()),
    };
    let (sequence, ordinal) = (raw.sequence.cast_unsigned(), raw.ordinal.cast_unsigned());
    if checksum(raw.id, sequence, ordinal, &event, raw.tags) != raw.checksum {
        return None;
    }
    Some(Recorded {
        id: PersistenceId::new(raw.id).ok()?,
        slice: Slice::new(raw.slice.cast_unsigned()),
        sequence: Sequence::new(sequence),
        ordinal: Ordinal::new(ordinal),
        event,
    })
}

/// The first text behind all that begin with `prefix`, in the order of bytes. `None`: there is none.
pub(crate) fn behind(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // Behind the last one before them come those that are no characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::memory::Memory;
    use super::super::plan::plan;
    use super::*;
    use crate::id::Epoch;

    fn append(events: Vec<NewEvent>) -> Append {
        let id = PersistenceId::new("ä").unwrap();
        Append { slice: Slice::new(3), epoch: Epoch::new(1), id, expected: Sequence::ZERO, events }
    }

    fn planned(append: &Append) -> Plan {
        let mut memory = Memory::new(10);
        memory.hold(3, 1, 7);
        plan(std::iter::once(append), &memory, &BTreeMap::new())
    }

    fn row<'a>(columns: &'a Columns<'_>, n: usize) -> Raw<'a> {
        Raw {
            slice: columns.slices[n],
            ordinal: columns.ordinals[n],
            id: columns.ids[n],
            sequence: columns.sequences[n],
            timestamp_ms: columns.timestamps[n],
            version: columns.versions[n],
            checksum: columns.checksums[n],
            name: columns.names[n],
            tags: columns.tags[n].as_deref(),
            metadata: columns.metadata[n],
            payload: columns.payloads[n],
        }
    }

    proptest! {
        #[test]
        fn an_event_comes_back_as_it_was_and_a_changed_one_does_not(
            name in ".{0,8}", version: u32, timestamp_ms: u64, tags in prop::collection::vec(".{0,4}", 0..4),
            payload in prop::collection::vec(any::<u8>(), 0..20), metadata in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let event = NewEvent {
                name: name.into(), version, timestamp_ms, tags: tags.into_iter().map(Into::into).collect(),
                payload: payload.into(), metadata: metadata.into(),
            };
            let append = append(vec![event.clone(), event.clone()]);
            let plan = planned(&append);
            let columns = columns(std::iter::once(&append), &plan);
            for n in 0..2 {
                let raw = row(&columns, n);
                let found = decode(raw).unwrap();
                prop_assert_eq!(&found.event, &event);
                prop_assert_eq!((found.sequence.get(), found.ordinal.get()), (n as u64 + 1, n as u64 + 8));
                let longer = [raw.payload, &[0]].concat();
                for broken in [
                    Raw { ordinal: raw.ordinal + 1, ..raw },
                    Raw { id: "a", ..raw },
                    Raw { sequence: raw.sequence + 1, ..raw },
                    Raw { timestamp_ms: raw.timestamp_ms ^ 1, ..raw },
                    Raw { version: raw.version ^ 1, ..raw },
                    Raw { checksum: raw.checksum ^ 1, ..raw },
                    Raw { name: b"\xff", ..raw },
                    Raw { tags: Some(b"\x05ab"), ..raw },
                    Raw { tags: Some(b"\x06abcdef"), ..raw },
                    Raw { metadata: Some(&longer), ..raw },
                    Raw { payload: &longer, ..raw },
                ] {
                    prop_assert_eq!(decode(broken), None);
                }
            }
        }

        #[test]
        fn what_lies_behind_a_prefix_lies_behind_all_that_begin_with_it(prefix in ".{0,3}", rest in ".{0,3}", other in ".{0,3}") {
            let text = format!("{prefix}{rest}");
            if let Some(behind) = behind(&prefix) {
                prop_assert!(text < behind);
                prop_assert!(other >= behind || other < prefix || other.starts_with(&prefix));
            }
        }
    }

    #[test]
    fn behind_a_prefix_are_no_surrogates_and_behind_the_last_character_is_nothing() {
        assert_eq!(behind("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(behind("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!((behind(""), behind("\u{10ffff}")), (None, None));
    }

    #[test]
    fn a_tag_that_stands_twice_on_an_event_is_one_row() {
        let append = append(vec![NewEvent::new("e", "").tag("b").tag("a").tag("b")]);
        let plan = planned(&append);
        let columns = columns(std::iter::once(&append), &plan);
        assert_eq!(columns.tag, (vec![3, 3], vec![&b"a"[..], &b"b"[..]], vec![8, 8]));
    }
}

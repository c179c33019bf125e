//! Which of what waits becomes a batch, and what is refused?
//!
//! Operations are checked one after the other against the journal as it will be when the batch is durable. What is refused leaves no trace in the
//! batch, so it fails nothing but what builds on it.
//!
//! # Invariants
//!
//! * `heads` and `lanes` hold what the batch changes, and nothing else: dropping the form undoes it.
//! * The records of one append stand in one batch.

use crc32c::crc32c;
use foldhash::quality::FixedState;

use super::format::{ALIGNMENT, BATCH_BYTES, BatchHeader};
use super::record::{self, Place};
use super::table::{Entry, Map};
use crate::backend::{Append, Appended, Delete, WriteError};
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice};

/// Where a slice stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lane {
    pub(crate) epoch: Epoch,
    pub(crate) last: Ordinal,
}

/// Where the slices stand.
pub(crate) type Lanes = Map<Slice, Lane>;

/// A batch that is being put together.
pub(crate) struct Form {
    /// Where the batch will start in its segment.
    start: u64,
    bytes: Vec<u8>,
    records: u32,
    /// The last sequence of each id that the batch changes, and where its last event stands.
    heads: Map<PersistenceId, (u64, u32)>,
    pub(crate) lanes: Lanes,
    pub(crate) entries: Vec<(u32, Entry)>,
}

impl Form {
    /// An empty one that starts at `start`. Its maps are in an order that follows from `seed`.
    pub(crate) fn new(start: u64, seed: u64) -> Self {
        Self {
            start,
            bytes: vec![0; BATCH_BYTES],
            records: 0,
            heads: Map::with_hasher(FixedState::with_seed(seed)),
            lanes: Lanes::default(),
            entries: Vec::new(),
        }
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> usize {
        self.records as usize
    }

    /// How many bytes there are.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The last sequence of `id`, when the batch changes it.
    pub(crate) fn head(&self, id: &PersistenceId) -> Option<u64> {
        self.heads.get(id).map(|(head, _)| *head)
    }

    /// The last sequence of every id which the batch changes.
    pub(crate) fn into_heads(self) -> impl Iterator<Item = (PersistenceId, u64)> {
        self.heads.into_iter().map(|(id, (head, _))| (id, head))
    }

    /// Takes over a slice.
    pub(crate) fn claim(&mut self, lanes: &Lanes, slice: Slice) -> Epoch {
        let lane = self.lane(lanes, slice);
        lane.epoch = lane.epoch.plus(1);
        let Lane { epoch, last } = *lane;
        let offset = self.offset();
        record::encode_claim(&mut self.bytes, slice, epoch, last);
        self.records += 1;
        self.entries.push((offset, Entry::Claim { slice, epoch, ordinal: last }));
        epoch
    }

    /// Appends events to an id that ends at `head`, whose last event stands at `back` of this segment, or at 0.
    ///
    /// # Errors
    ///
    /// [`WriteError::StaleEpoch`], [`WriteError::UnexpectedSequence`]: the form is unchanged.
    pub(crate) fn append(
        &mut self,
        lanes: &Lanes,
        append: &Append,
        head: u64,
        back: u32,
    ) -> Result<Appended, WriteError> {
        let Append { slice, epoch, id, expected, events } = append;
        let mut last = self.fence(lanes, *slice, *epoch)?;
        if expected.get() != head {
            let (id, expected, actual) = (id.clone(), *expected, Sequence::new(head));
            return Err(WriteError::UnexpectedSequence { id, expected, actual });
        }
        let (mut sequence, mut back) = (*expected, self.heads.get(id).map_or(back, |(_, back)| *back));
        for event in events {
            sequence = sequence.plus(1);
            last = last.plus(1);
            let offset = self.offset();
            let place = Place { id, slice: *slice, epoch: *epoch, sequence, ordinal: last, back };
            record::encode_event(&mut self.bytes, &place, event);
            let entry = Entry::Event { id: id.clone(), slice: *slice, sequence, ordinal: last };
            self.entries.push((offset, entry));
            self.records += 1;
            back = offset;
        }
        if !events.is_empty() {
            self.heads.insert(id.clone(), (sequence.get(), back));
            self.lane(lanes, *slice).last = last;
        }
        Ok(Appended { sequence, ordinal: last })
    }

    /// Deletes events of an id that ends at `head`.
    ///
    /// # Errors
    ///
    /// [`WriteError::StaleEpoch`]: the form is unchanged.
    pub(crate) fn delete(&mut self, lanes: &Lanes, delete: &Delete, head: u64) -> Result<(), WriteError> {
        let Delete { slice, epoch, id, to } = delete;
        self.fence(lanes, *slice, *epoch)?;
        let highest = Sequence::new(head);
        let to = (*to).min(highest);
        if to > Sequence::ZERO {
            let offset = self.offset();
            record::encode_deletion(&mut self.bytes, (*slice, *epoch), id, to, highest);
            self.records += 1;
            self.entries.push((offset, Entry::Deletion { id: id.clone(), to, highest }));
        }
        Ok(())
    }

    /// The bytes of the batch, and what the next one links to.
    pub(crate) fn seal(&mut self, journal: u64, segment: u32, number: u64, previous: u32) -> (&[u8], u32) {
        let body = (self.bytes.len() - BATCH_BYTES).next_multiple_of(ALIGNMENT);
        self.bytes.resize(BATCH_BYTES + body, 0);
        let header = BatchHeader {
            body: u32::try_from(body).expect("a batch is far smaller than 4 GiB"),
            number,
            segment,
            records: self.records,
            previous,
            checksum: crc32c(&self.bytes[BATCH_BYTES..]),
        };
        self.bytes[..BATCH_BYTES].copy_from_slice(&header.encode(journal));
        (&self.bytes, header.chain(journal))
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.start + self.bytes.len() as u64).expect("a segment is smaller than 4 GiB")
    }

    /// The last ordinal of the slice, when it belongs to `given`.
    fn fence(&self, lanes: &Lanes, slice: Slice, given: Epoch) -> Result<Ordinal, WriteError> {
        let lane = self.lanes.get(&slice).or_else(|| lanes.get(&slice)).copied().unwrap_or_default();
        // Epoch 0 is nobody, also where nobody claimed anything yet.
        if given == lane.epoch && given != Epoch::ZERO {
            return Ok(lane.last);
        }
        Err(WriteError::StaleEpoch { slice, given, current: lane.epoch })
    }

    fn lane(&mut self, lanes: &Lanes, slice: Slice) -> &mut Lane {
        let before = lanes.get(&slice).copied().unwrap_or_default();
        self.lanes.entry(slice).or_insert(before)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::recorded::NewEvent;

    fn id(n: u8) -> PersistenceId {
        PersistenceId::new(format!("id-{n}")).unwrap()
    }

    fn append(n: u8, epoch: u64, expected: u64, events: usize) -> Append {
        Append {
            slice: Slice::new(0),
            epoch: Epoch::new(epoch),
            id: id(n),
            expected: Sequence::new(expected),
            events: vec![NewEvent::new("e", vec![n; 30]); events],
        }
    }

    #[test]
    fn a_claim_fences_what_comes_behind_it_in_the_same_batch() {
        let lanes = Lanes::from_iter([(Slice::new(0), Lane { epoch: Epoch::new(4), last: Ordinal::new(9) })]);
        let mut form = Form::new(80, 1);
        assert!(form.append(&lanes, &append(1, 4, 0, 1), 0, 0).is_ok());
        assert_eq!(form.claim(&lanes, Slice::new(0)), Epoch::new(5));
        let stale = form.append(&lanes, &append(1, 4, 1, 1), 1, 0);
        assert!(matches!(stale, Err(WriteError::StaleEpoch { current, .. }) if current == Epoch::new(5)));
        let appended = form.append(&lanes, &append(1, 5, 1, 2), 1, 0).unwrap();
        assert_eq!((appended.sequence.get(), appended.ordinal.get()), (3, 12));
        assert_eq!(form.head(&id(1)), Some(3));
        assert_eq!(lanes[&Slice::new(0)].last, Ordinal::new(9), "nothing is true before it is durable");
    }

    #[test]
    fn nobody_has_epoch_0() {
        let mut form = Form::new(80, 1);
        let refused = form.append(&Lanes::default(), &append(1, 0, 0, 1), 0, 0);
        assert!(matches!(refused, Err(WriteError::StaleEpoch { .. })));
    }

    proptest! {
        #[test]
        fn what_is_admitted_stands_in_the_batch_and_nothing_else(
            appends in proptest::collection::vec((0..4_u8, 0..6_u64, 0..3_usize), 0..40),
        ) {
            let lanes = Lanes::from_iter([(Slice::new(0), Lane { epoch: Epoch::new(1), last: Ordinal::ZERO })]);
            let (mut form, mut admitted) = (Form::new(1000, 1), Vec::new());
            for (n, expected, events) in appends {
                let head = form.head(&id(n)).unwrap_or(0);
                let result = form.append(&lanes, &append(n, 1, expected, events), head, 0);
                prop_assert_eq!(result.is_ok(), expected == head);
                if result.is_ok() {
                    admitted.extend((1..=events as u64).map(|i| (id(n), head + i)));
                }
            }
            let records = form.records();
            let offsets: Vec<u32> = form.entries.iter().map(|(offset, _)| *offset).collect();
            let (bytes, _) = form.seal(1, 1, 1, 0);
            prop_assert_eq!(bytes.len() % ALIGNMENT, 0);
            let bytes = Bytes::copy_from_slice(bytes);
            let (mut at, mut found, mut backs) = (BATCH_BYTES, Vec::new(), BTreeMap::new());
            for (n, offset) in offsets.iter().enumerate() {
                prop_assert_eq!(*offset as usize, at + 1000);
                let (record, length) = record::decode(&bytes.slice(at..)).unwrap();
                let record::Record::Event { recorded, back, .. } = record else { panic!("only events") };
                prop_assert_eq!(recorded.ordinal.get(), n as u64 + 1);
                prop_assert_eq!(backs.insert(recorded.id.clone(), *offset).unwrap_or(0), back);
                found.push((recorded.id, recorded.sequence.get()));
                at += length;
            }
            prop_assert_eq!(records, found.len());
            prop_assert_eq!(found, admitted);
            prop_assert!(bytes[at..].iter().all(|byte| *byte == 0) && bytes.len() - at < ALIGNMENT);
        }
    }
}

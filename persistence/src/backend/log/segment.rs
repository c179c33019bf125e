//! How is one segment read: by place, by id, by slice, and from end to end?
//!
//! # Invariants
//!
//! * What a segment returns was checked against its checksum, and the answer to "what of this id" against the id in the record.
//! * An index that is missing or damaged is built anew from the segment; the segment is the truth.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use super::format::{Damage, SegmentHeader};
use super::index::{self, IndexFile, Subject};
use super::record::{self, Record};
use super::scan::Scan;
use super::store::Context;
use super::table::{Entry, Table};
use super::walk::{scan, unreadable, walk};
use crate::backend::{Fault, IdQuery, ReadError};
use crate::disk::DiskFile;
use crate::id::{PersistenceId, Slice};
use crate::recorded::Recorded;

/// How many bytes are read ahead of what is known to be needed.
const AHEAD: usize = 4096;
/// How many bytes of a record are read first when only its id matters.
const GLANCE: usize = 512;
/// How many bytes are read at a time when records stand close together.
const WINDOW: u64 = 256 << 10;

pub(crate) const RESTORE: &str =
    "Restore the file from a copy, or repair a copy of the journal; nothing was changed";
pub(crate) const DEVICE: &str = "Look for errors of the device and for missing rights, then try again";

/// A segment: its file, and what stands where in it.
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn DiskFile>,
    context: Arc<Context>,
    place: String,
    index: RwLock<Index>,
    /// Where it ends, once nothing more is written to it.
    sealed: RwLock<Option<Subject>>,
    /// About how many of its events are deleted.
    dead: AtomicU64,
}

enum Index {
    Table(Table),
    File(IndexFile),
}

/// The events of an id in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) first: u64,
    pub(crate) count: usize,
    pub(crate) floor: u64,
}

/// The events of a slice in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneHeld {
    pub(crate) last: u64,
    pub(crate) count: usize,
}

/// The name of the file of a segment, and of its index.
pub(crate) fn file_name(first: u32) -> String {
    format!("{first:010}.log")
}

pub(crate) fn index_name(first: u32) -> String {
    format!("{first:010}.idx")
}

impl Segment {
    /// A segment whose records are in `table`.
    pub(crate) fn with_table(
        context: Arc<Context>,
        header: SegmentHeader,
        file: Arc<dyn DiskFile>,
        table: Table,
    ) -> Self {
        let place = context.disk.place(&file_name(header.first));
        Self {
            header,
            file,
            context,
            place,
            index: RwLock::new(Index::Table(table)),
            sealed: RwLock::new(None),
            dead: AtomicU64::new(0),
        }
    }

    /// A segment that is full, with its index from the file or, if need be, built anew.
    pub(crate) fn sealed(
        context: Arc<Context>,
        header: SegmentHeader,
        file: Arc<dyn DiskFile>,
        end: u64,
        chain: u32,
    ) -> Result<Self, ReadError> {
        let segment = Self::with_table(context, header, file, Table::new(header.journal));
        segment.seal(end, chain);
        let opened = segment.open_index();
        match opened {
            Ok(index) => *segment.index.write() = Index::File(index),
            Err(_) => segment.rebuild()?,
        }
        Ok(segment)
    }

    /// Nothing more is written to it: it ends at `end`.
    pub(crate) fn seal(&self, end: u64, chain: u32) {
        let SegmentHeader { journal, first, last, .. } = self.header;
        *self.sealed.write() = Some(Subject { journal, first, last, end, chain });
    }

    /// Where it ends, if nothing more is written to it.
    pub(crate) fn subject(&self) -> Option<Subject> {
        *self.sealed.read()
    }

    /// Adds what was written to it and is durable.
    pub(crate) fn publish(&self, entries: impl IntoIterator<Item = (u32, Entry)>) {
        if let Index::Table(table) = &mut *self.index.write() {
            for (offset, entry) in entries {
                let added = table.add(offset, entry);
                debug_assert_eq!(added, Ok(()), "the writer checks what it writes");
            }
        }
    }

    /// Where the last event of `id` stands; 0 when it has none here, or when that is not in memory.
    pub(crate) fn last_of(&self, id: &PersistenceId) -> u32 {
        match &*self.index.read() {
            Index::Table(table) => {
                table.ids.get(id).and_then(|run| run.offsets.last()).copied().unwrap_or_default()
            }
            Index::File(_) => 0,
        }
    }

    /// About how many of its events are deleted.
    pub(crate) fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }

    pub(crate) fn count_dead(&self, events: u64) {
        self.dead.store(events, Ordering::Relaxed);
    }

    /// How many events it holds.
    pub(crate) fn events(&self) -> Result<u64, ReadError> {
        self.ask(|index| match index {
            Index::Table(table) => Ok(table.slices.values().map(|lane| lane.events.len() as u64).sum()),
            Index::File(index) => Ok(index.count()),
        })
    }

    /// The name of its file, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Writes the index of a segment that is full and forgets the table. When that fails, the table stays.
    pub(crate) fn write_index(&self) {
        let Some(subject) = self.subject() else { return };
        // Of a journal that was closed, the folder may be somebody else's.
        let Ok(_held) = self.context.owned.hold() else { return };
        let bytes = match &*self.index.read() {
            Index::Table(table) => index::encode(table, &subject),
            Index::File(_) => return,
        };
        let _alone = self.context.indexing.lock();
        if self.store_index(&bytes).is_ok()
            && let Ok(index) = self.open_index()
        {
            *self.index.write() = Index::File(index);
        }
    }

    fn store_index(&self, bytes: &[u8]) -> io::Result<()> {
        let name = index_name(self.header.first);
        // Beside its place first, so that whoever reads the old one is not disturbed. Not synced: a torn one is found and built anew.
        let beside = format!("{name}.new");
        self.context.disk.create(&beside)?.write_at(bytes, 0)?;
        self.context.disk.rename(&beside, &name)
    }

    fn open_index(&self) -> io::Result<IndexFile> {
        let subject = self.subject().ok_or(io::ErrorKind::NotFound)?;
        let mut index = IndexFile::open(&*self.context.disk, &index_name(self.header.first), &subject)?;
        self.context.keep_filter(&mut index)?;
        Ok(index)
    }

    /// Reads the whole segment and makes its table and its index anew.
    fn rebuild(&self) -> Result<(), ReadError> {
        let end = self.subject().map(|subject| subject.end);
        let scanned = scan(&self.context, &self.file, &self.header, end)?;
        self.check_end(&scanned.scan, scanned.broken)?;
        *self.index.write() = Index::Table(scanned.table);
        self.write_index();
        Ok(())
    }

    /// Whether a walk through a segment that is full came to its end. The end is no torn one there: the next segment says where it is.
    fn check_end(&self, scan: &Scan, broken: Option<Damage>) -> Result<(), ReadError> {
        if self.subject().is_none_or(|subject| (scan.at, scan.chain) == (subject.end, subject.chain)) {
            return Ok(());
        }
        let what = broken.map_or_else(
            || "the segment ends before the next one begins".to_owned(),
            |damage| format!("a batch in the middle of the journal is damaged: {damage}"),
        );
        Err(self.corrupt(what, scan.at))
    }

    /// Asks the index, and asks again when it had to be built anew.
    fn ask<T>(&self, question: impl Fn(&Index) -> io::Result<T>) -> Result<T, ReadError> {
        let answer = question(&self.index.read());
        let answer = match answer {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.rebuild()?;
                question(&self.index.read())
            }
            answer => answer,
        };
        answer.map_err(|error| {
            let name = self.context.disk.place(&index_name(self.header.first));
            ReadError::Unavailable(Fault::new(error, name, DEVICE))
        })
    }

    /// What it holds of `id`.
    pub(crate) fn held(&self, id: &PersistenceId) -> Result<Option<Held>, ReadError> {
        self.held_with(id, id.hash64())
    }

    /// The same for one who knows the [hash](PersistenceId::hash64).
    pub(crate) fn held_with(&self, id: &PersistenceId, hash: u64) -> Result<Option<Held>, ReadError> {
        self.found((id, hash), 0, 0).map(|found| found.map(|(held, _)| held))
    }

    /// Where the events of `id` stand, from the `from`th in this segment on, at most `count`.
    pub(crate) fn offsets(
        &self,
        id: &PersistenceId,
        from: usize,
        count: usize,
    ) -> Result<Vec<u32>, ReadError> {
        Ok(self.found((id, id.hash64()), from, count)?.map(|(_, offsets)| offsets).unwrap_or_default())
    }

    fn found(
        &self,
        (id, hash): (&PersistenceId, u64),
        from: usize,
        count: usize,
    ) -> Result<Option<(Held, Vec<u32>)>, ReadError> {
        // The file knows hashes only; which of those found is the id, the records say.
        let candidates = self.ask(|index| match index {
            Index::Table(table) => Ok(Vec::from_iter(table.ids.get(id).map(|run| {
                let held = Held { first: run.first, count: run.offsets.len(), floor: run.floor };
                (held, run.offsets.iter().skip(from).take(count).copied().collect(), None)
            }))),
            Index::File(index) => {
                let found = index.find(hash)?.into_iter().map(|found| {
                    let held = Held { first: found.first, count: found.count as usize, floor: found.floor };
                    Ok((held, index.offsets(&found, from, count)?, Some(index.witness(&found)?)))
                });
                found.collect()
            }
        })?;
        for (held, offsets, witness) in candidates {
            let is_it = match witness {
                None => true,
                Some(offset) => self.is_of(offset, id)?,
            };
            if is_it {
                return Ok(Some((held, offsets)));
            }
        }
        Ok(None)
    }

    /// What it holds of a slice.
    pub(crate) fn lane(&self, slice: Slice) -> Result<Option<LaneHeld>, ReadError> {
        self.ask(|index| match index {
            Index::Table(table) => Ok(table
                .slices
                .get(&slice)
                .map(|lane| LaneHeld { last: lane.last, count: lane.events.len() })),
            Index::File(index) => {
                Ok(index.slice(slice)?.map(|lane| LaneHeld { last: lane.last, count: lane.count }))
            }
        })
    }

    /// What it holds of every slice.
    pub(crate) fn lanes(&self) -> Result<Vec<(Slice, u64, u64)>, ReadError> {
        self.ask(|index| match index {
            Index::Table(table) => {
                Ok(table.slices.iter().map(|(slice, lane)| (*slice, lane.epoch, lane.last)).collect())
            }
            Index::File(index) => {
                Ok(index.slices()?.into_iter().map(|lane| (lane.slice, lane.epoch, lane.last)).collect())
            }
        })
    }

    /// Events of a slice from the `from`th in this segment on, at most `count`: ordinals and places.
    pub(crate) fn lane_events(
        &self,
        slice: Slice,
        from: usize,
        count: usize,
    ) -> Result<Vec<(u64, u32)>, ReadError> {
        self.ask(|index| match index {
            Index::Table(table) => {
                let events = table.slices.get(&slice).map(|lane| lane.events.iter());
                Ok(events.into_iter().flatten().skip(from).take(count).copied().collect())
            }
            Index::File(index) => match index.slice(slice)? {
                Some(lane) => index.events(&lane, from, count),
                None => Ok(Vec::new()),
            },
        })
    }

    /// How many of the first `count` events of a slice have an ordinal of at most `after`.
    pub(crate) fn lane_position(&self, slice: Slice, after: u64, count: usize) -> Result<usize, ReadError> {
        // Ordinals begin with 1, and whoever reads on is in the middle of one segment and before all of the next ones.
        let behind = |event: Option<&(u64, u32)>| event.is_none_or(|(ordinal, _)| *ordinal > after);
        if after == 0 || behind(self.lane_events(slice, 0, 1)?.first()) {
            return Ok(0);
        }
        let (mut from, mut to) = (0, count);
        while from < to {
            let middle = usize::midpoint(from, to);
            let event = self.lane_events(slice, middle, 1)?;
            if event.first().is_some_and(|(ordinal, _)| *ordinal <= after) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from)
    }

    /// Some of the ids that are named in it.
    pub(crate) fn named(&self, query: &IdQuery) -> Result<Vec<PersistenceId>, ReadError> {
        if let Index::Table(table) = &mut *self.index.write() {
            return Ok(table.named(query));
        }
        self.ask(|index| match index {
            Index::Table(table) => Ok(table.named_again(query)), // the file was damaged: a table took its place just now
            Index::File(index) => index.named(query),
        })
    }

    /// Whether the record at `offset` is one of `id`.
    fn is_of(&self, offset: u32, id: &PersistenceId) -> Result<bool, ReadError> {
        let damaged = |damage| self.corrupt(format!("a record is damaged: {damage}"), offset.into());
        let mut bytes = self.bytes(offset.into(), GLANCE)?;
        let length = record::length(&bytes).map_err(damaged)?;
        if length > bytes.len() {
            bytes = self.bytes(offset.into(), length)?;
        }
        record::is_of(&bytes, id).map_err(damaged)
    }

    /// The records at `offsets`, which rise: all of them, or fewer once they have `budget` bytes together; at least one.
    pub(crate) fn records(&self, offsets: &[u32], budget: usize) -> Result<Vec<Record>, ReadError> {
        let (mut records, mut total) = (Vec::with_capacity(offsets.len()), 0);
        let mut rest = offsets;
        while let Some(first) = rest.first() {
            let start = u64::from(*first);
            let near = |pair: &&[u32]| u64::from(pair[1] - pair[0]) < AHEAD as u64 * 4;
            let close = 1 + rest.windows(2).take_while(near).count();
            let close = rest[..close].partition_point(|offset| u64::from(*offset) - start < WINDOW);
            let (group, others) = rest.split_at(close.max(1));
            rest = others;
            let span = (group[group.len() - 1] - first) as usize + AHEAD;
            let bytes: Bytes = self.bytes(start, span)?.into();
            for offset in group {
                let before = records.last().and_then(|record| match record {
                    Record::Event { recorded, .. } => Some(recorded),
                    _ => None,
                });
                let (record, length) = self.decode(&bytes, (offset - first) as usize, *offset, before)?;
                records.push(record);
                total += length;
                if total >= budget {
                    return Ok(records);
                }
            }
        }
        Ok(records)
    }

    /// The record at `at` of `bytes`, of which more are read when they are too few.
    fn decode(
        &self,
        bytes: &Bytes,
        at: usize,
        offset: u32,
        before: Option<&Recorded>,
    ) -> Result<(Record, usize), ReadError> {
        let damaged = |damage| self.corrupt(format!("a record is damaged: {damage}"), offset.into());
        let there = bytes.get(at..).unwrap_or_default();
        let length = record::length(there).map_err(damaged)?;
        if length <= there.len() {
            return record::decode_behind(bytes, at, before).map_err(damaged);
        }
        let bytes = self.bytes(offset.into(), length)?.into();
        record::decode_behind(&bytes, 0, before).map_err(damaged)
    }

    fn bytes(&self, offset: u64, size: usize) -> Result<Vec<u8>, ReadError> {
        self.file.bytes(offset, size).map_err(|error| unreadable(&self.place, offset, &error))
    }

    /// Something in it is not what it should be.
    pub(crate) fn corrupt(&self, what: impl std::fmt::Display, offset: u64) -> ReadError {
        ReadError::Corrupt(Fault::new(what, &self.place, RESTORE).at(offset))
    }

    /// Reads it from end to end and gives each record to `each`. `Ok` says that it was whole.
    pub(crate) fn walk(
        &self,
        mut each: impl FnMut(u32, Record) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let end = self.subject().map(|subject| subject.end);
        let walked = walk(&self.context, &self.file, &self.header, end, &mut each)?;
        self.check_end(&walked.scan, walked.broken)
    }
}

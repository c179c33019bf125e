//! How is the space of deleted events given back?
//!
//! What `compact` chose is written anew beside its place, without what was deleted, synced, and renamed over the first of the old
//! files; then the others are removed. A crash leaves the old files or the new one, and perhaps old ones that the new one stands for, which
//! the next start removes. Readers keep the old files until they are done.
//!
//! # Invariants
//!
//! * The newest deletion of each id stays, so that its highest sequence is never forgotten, and so does the state of each slice.
//! * Sequences and ordinals stay as they are, and so does their order.

use std::collections::BTreeSet;
use std::sync::Arc;

use crc32c::crc32c;
use foldhash::quality::FixedState;

use super::compact::{self, Weight};
use super::format::{ALIGNMENT, BATCH_BYTES, BatchHeader, Rewritten, SEGMENT_BYTES, SegmentHeader};
use super::owned::{Held, gone};
use super::record::{self, Place, Record};
use super::segment::{Segment, file_name, index_name};
use super::store::Store;
use super::table::{Entry, Map, Table};
use crate::backend::{Fault, ReadError};
use crate::disk::DiskFile;
use crate::id::{Epoch, Ordinal, PersistenceId};

/// About how many bytes a batch of a segment that is rewritten has.
const BATCH: usize = 1 << 20;
const LATER: &str = "Nothing is lost; the space is given back when the cause is gone";

/// What was given back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Compacted {
    /// How many segments were rewritten.
    pub segments: usize,
    /// How many bytes they took less afterwards.
    pub bytes: u64,
}

/// Rewrites what is worth it. `measure`: counts first what is deleted, instead of relying on what was seen since the journal was opened.
///
/// A segment that is damaged is left alone, and the others are not: the error comes when everything else is done.
pub(crate) fn compact(store: &Store, segment_bytes: u64, measure: bool) -> Result<Compacted, ReadError> {
    let _one_at_a_time = store.compacting.lock();
    let held = store.context.owned.hold().map_err(ReadError::Unavailable)?;
    let (mut done, mut damaged) = (Compacted::default(), Damaged::default());
    if measure {
        let segments = store.segments();
        for segment in &segments[..segments.len() - 1] {
            if let Some(dead) = damaged.notes(dead(store, segment, &held))? {
                segment.count_dead(dead);
            }
        }
    }
    loop {
        let segments = store.segments();
        let full = &segments[..segments.len() - 1];
        let mut weights = Vec::with_capacity(full.len());
        for segment in full {
            let is_left_alone = damaged.places.contains(segment.place());
            let weight = if is_left_alone { None } else { damaged.notes(weight(segment))? };
            weights.push(weight.unwrap_or(LEFT_ALONE));
        }
        let Some(chosen) = compact::choose(&weights, segment_bytes) else { return damaged.end(done) };
        let before: u64 = weights[chosen.clone()].iter().map(|weight| weight.bytes).sum();
        let next = segments[chosen.end].header;
        let before_this = damaged.places.len();
        let Some(after) = damaged.notes(rewrite(store, &full[chosen.clone()], &next, &held))? else {
            if damaged.places.len() == before_this {
                return damaged.end(done); // the damage is elsewhere, and would be met again
            }
            continue;
        };
        done.segments += chosen.len();
        done.bytes += before.saturating_sub(after);
        if after >= before && chosen.len() == 1 {
            return damaged.end(done); // nothing came of it, and nothing would
        }
    }
}

/// Rewrites every full segment in which something is deleted, worth it or not: what was deleted is in no file any more.
pub(crate) fn erase(store: &Store) -> Result<Compacted, ReadError> {
    let _one_at_a_time = store.compacting.lock();
    let held = store.context.owned.hold().map_err(ReadError::Unavailable)?;
    let (mut done, mut from, mut damaged) = (Compacted::default(), 0, Damaged::default());
    loop {
        let segments = store.segments();
        let at = segments.partition_point(|segment| segment.header.first < from);
        let (Some(segment), Some(next)) = (segments.get(at), segments.get(at + 1)) else {
            return damaged.end(done);
        };
        from = next.header.first;
        if damaged.notes(dead(store, segment, &held))?.is_some_and(|dead| dead > 0) {
            let before = segment.subject().map_or(0, |subject| subject.end);
            let rewritten = rewrite(store, std::slice::from_ref(segment), &next.header, &held);
            let Some(after) = damaged.notes(rewritten)? else { continue };
            done.segments += 1;
            done.bytes += before.saturating_sub(after);
        }
    }
}

/// What a segment weighs that is not to be chosen.
const LEFT_ALONE: Weight = Weight { bytes: u64::MAX / 4, events: 1, dead: 0 };

/// What was found damaged on the way.
#[derive(Default)]
struct Damaged {
    places: BTreeSet<String>,
    first: Option<ReadError>,
}

impl Damaged {
    /// What came of something, or nothing, if a segment is damaged.
    fn notes<T>(&mut self, result: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(ReadError::Corrupt(fault)) => {
                self.places.insert(fault.place().to_owned());
                self.first.get_or_insert(ReadError::Corrupt(fault));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn end(self, done: Compacted) -> Result<Compacted, ReadError> {
        self.first.map_or(Ok(done), Err)
    }
}

fn weight(segment: &Segment) -> Result<Weight, ReadError> {
    let bytes = segment.subject().map_or(0, |subject| subject.end);
    Ok(Weight { bytes, events: segment.events()?, dead: segment.dead() })
}

/// How many events of a segment are deleted.
fn dead(store: &Store, segment: &Segment, held: &Held) -> Result<u64, ReadError> {
    let (mut floors, mut dead) = (Floors::new(store), 0);
    segment.walk(|_, record| {
        go_on(held)?;
        if let Record::Event { recorded, .. } = record {
            dead += u64::from(recorded.sequence.get() <= floors.of(&recorded.id)?);
        }
        Ok(())
    })?;
    Ok(dead)
}

/// Up to where ids are deleted, each looked up once.
struct Floors<'a> {
    store: &'a Store,
    known: Map<PersistenceId, u64>,
}

impl<'a> Floors<'a> {
    fn new(store: &'a Store) -> Self {
        let seed = FixedState::with_seed(store.context.journal);
        Self { store, known: Map::with_hasher(seed) }
    }

    fn of(&mut self, id: &PersistenceId) -> Result<u64, ReadError> {
        if let Some(floor) = self.known.get(id) {
            return Ok(*floor);
        }
        let floor = Store::floor(&self.store.segments(), id)?;
        self.known.insert(id.clone(), floor);
        Ok(floor)
    }
}

/// A journal that is to be closed does not wait for all of this.
fn go_on(held: &Held) -> Result<(), ReadError> {
    if held.has_ended() { Err(ReadError::Unavailable(gone())) } else { Ok(()) }
}

/// Writes `old`, which `next` follows, as one segment. How many bytes it has. Nothing is left of one that fails.
fn rewrite(store: &Store, old: &[Arc<Segment>], next: &SegmentHeader, held: &Held) -> Result<u64, ReadError> {
    let rewritten = write_anew(store, old, next, held);
    if rewritten.is_err() {
        // Gone already, if it was renamed.
        let _ = store.context.disk.remove(&format!("{}.new", file_name(old[0].header.first)));
    }
    rewritten
}

fn write_anew(
    store: &Store,
    old: &[Arc<Segment>],
    next: &SegmentHeader,
    held: &Held,
) -> Result<u64, ReadError> {
    let context = &store.context;
    let (first, last) = (&old[0], &old[old.len() - 1]);
    let subject = last.subject().expect("only full segments are rewritten");
    let original_chain = last.header.rewritten.map_or(subject.chain, |rewritten| rewritten.original_chain);
    let name = file_name(first.header.first);
    let beside = format!("{name}.new");
    let place = context.disk.place(&beside);
    let failed = |error: std::io::Error| ReadError::Unavailable(Fault::new(error, &place, LATER));

    let marks = newest_marks(store, old)?;
    let mut floors = Floors::new(store);
    let file = context.disk.create(&beside).map_err(failed)?;
    let mut out = Out {
        file: &file,
        journal: context.journal,
        segment: first.header.first,
        at: SEGMENT_BYTES as u64,
        number: first.header.batch,
        chain: first.header.previous_chain,
        bytes: vec![0; BATCH_BYTES],
        records: 0,
        table: Table::new(context.journal),
    };
    for segment in old {
        segment.walk(|offset, record| {
            go_on(held)?;
            let keep = match &record {
                Record::Event { recorded, .. } => recorded.sequence.get() > floors.of(&recorded.id)?,
                Record::Deletion { id, .. } => marks.get(id) == Some(&(segment.header.first, offset)),
                Record::Claim { .. } => false,
            };
            if keep { out.add(&record).map_err(failed) } else { Ok(()) }
        })?;
    }
    let mut lanes = super::form::Lanes::default();
    for segment in old {
        for (slice, epoch, last) in segment.lanes()? {
            super::writer::Writer::note(&mut lanes, slice, epoch, last);
        }
    }
    let mut lanes: Vec<_> = lanes.into_iter().collect();
    lanes.sort_unstable_by_key(|(slice, _)| *slice);
    for (slice, lane) in lanes {
        out.add(&Record::Claim { slice, epoch: lane.epoch, ordinal: lane.last }).map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    let Out { at: end, chain, table, .. } = out;
    let header = SegmentHeader {
        last: last.header.last,
        rewritten: Some(Rewritten { original_chain, end, chain, next_batch: next.batch }),
        ..first.header
    };
    file.write_at(&header.encode(), 0).map_err(failed)?;
    file.sync().map_err(failed)?;
    context.disk.rename(&beside, &name).map_err(failed)?;
    context.disk.sync_folder("").map_err(failed)?;

    let segment = Arc::new(Segment::with_table(Arc::clone(context), header, file, table));
    segment.seal(end, chain);
    store.replace(&segment);
    segment.write_index();
    for gone in &old[1..] {
        // What is left behind is removed at the next start.
        let _ = context.disk.remove(&file_name(gone.header.first));
        let _ = context.disk.remove(&index_name(gone.header.first));
    }
    Ok(end)
}

/// Where in `old` the deletions stand that have to stay: of each id the furthest one, unless a later segment goes as far.
fn newest_marks(store: &Store, old: &[Arc<Segment>]) -> Result<Map<PersistenceId, (u32, u32)>, ReadError> {
    let seed = FixedState::with_seed(store.context.journal);
    let mut furthest: Map<PersistenceId, (u64, (u32, u32))> = Map::with_hasher(seed);
    for segment in old {
        segment.walk(|offset, record| {
            if let Record::Deletion { id, to, .. } = record {
                let mark = furthest.entry(id).or_insert((0, (0, 0)));
                if to.get() >= mark.0 {
                    *mark = (to.get(), (segment.header.first, offset));
                }
            }
            Ok(())
        })?;
    }
    let segments = store.segments();
    let behind = segments.partition_point(|segment| segment.header.first <= old[old.len() - 1].header.first);
    let mut marks = Map::with_hasher(FixedState::with_seed(store.context.journal));
    for (id, (to, place)) in furthest {
        if Store::floor(&segments[behind..], &id)? < to {
            marks.insert(id, place);
        }
    }
    Ok(marks)
}

/// A segment that is being written.
struct Out<'a> {
    file: &'a Arc<dyn DiskFile>,
    journal: u64,
    segment: u32,
    at: u64,
    number: u64,
    chain: u32,
    bytes: Vec<u8>,
    records: u32,
    table: Table,
}

impl Out<'_> {
    fn add(&mut self, record: &Record) -> std::io::Result<()> {
        let offset = u32::try_from(self.at + self.bytes.len() as u64)
            .map_err(|_| std::io::Error::other("the segment would be longer than 4 GiB"))?;
        match record {
            Record::Event { recorded, epoch, .. } => {
                let last = self.table.ids.get(&recorded.id).and_then(|run| run.offsets.last());
                let place = Place {
                    id: &recorded.id,
                    slice: recorded.slice,
                    epoch: *epoch,
                    sequence: recorded.sequence,
                    ordinal: recorded.ordinal,
                    back: last.copied().unwrap_or_default(),
                };
                record::encode_event(&mut self.bytes, &place, &recorded.event);
            }
            Record::Deletion { slice, epoch, id, to, highest } => {
                record::encode_deletion(&mut self.bytes, (*slice, *epoch), id, *to, *highest);
            }
            Record::Claim { slice, epoch, ordinal } => {
                let (epoch, ordinal): (Epoch, Ordinal) = (*epoch, *ordinal);
                record::encode_claim(&mut self.bytes, *slice, epoch, ordinal);
            }
        }
        self.records += 1;
        self.table.add(offset, Entry::from(record)).map_err(std::io::Error::other)?;
        if self.bytes.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        let body = (self.bytes.len() - BATCH_BYTES).next_multiple_of(ALIGNMENT);
        self.bytes.resize(BATCH_BYTES + body, 0);
        let header = BatchHeader {
            body: u32::try_from(body).map_err(std::io::Error::other)?,
            number: self.number,
            segment: self.segment,
            records: self.records,
            previous: self.chain,
            checksum: crc32c(&self.bytes[BATCH_BYTES..]),
        };
        self.bytes[..BATCH_BYTES].copy_from_slice(&header.encode(self.journal));
        self.file.write_at(&self.bytes, self.at)?;
        self.at += self.bytes.len() as u64;
        (self.number, self.chain, self.records) = (self.number + 1, header.chain(self.journal), 0);
        self.bytes.truncate(BATCH_BYTES);
        Ok(())
    }
}

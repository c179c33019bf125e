//! Which segments are there, and what do they hold together?
//!
//! # Invariants
//!
//! * The segments are in order, without gaps; the last one is the one that is written.
//! * Who holds the list or a segment keeps reading the files as they were.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use super::checkpoint::Dead;
use super::index::IndexFile;
use super::owned::Owned;
use super::record::Record;
use super::segment::Segment;
use crate::backend::{IdQuery, ReadError, SlicesQuery};
use crate::disk::Disk;
use crate::id::{Ordinal, PersistenceId, Sequence, Slice, Slices};
use crate::recorded::Recorded;

/// The most events, and about the most bytes, that a reader holds.
const CHUNK_EVENTS: usize = 256;
const CHUNK_BYTES: usize = 1 << 20;
/// How many chunks a reader looks through for a tag before it lets others read.
const CHUNKS_AT_A_TIME: usize = 16;

/// What everything in a journal knows.
pub(crate) struct Context {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) journal: u64,
    pub(crate) slices: Slices,
    /// Whoever writes anything holds it.
    pub(crate) owned: Owned,
    /// Held while an index is written and opened: two would write to one file.
    pub(crate) indexing: Mutex<()>,
    /// How many bytes of filters may still be kept in memory.
    filter_bytes: AtomicUsize,
}

impl Context {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        (journal, slices): (u64, Slices),
        owned: Owned,
        filter_bytes: usize,
    ) -> Self {
        let filter_bytes = AtomicUsize::new(filter_bytes);
        Self { disk, journal, slices, owned, indexing: Mutex::new(()), filter_bytes }
    }

    /// Takes the filter of an index into memory while there is room for filters.
    pub(crate) fn keep_filter(&self, index: &mut IndexFile) -> io::Result<()> {
        if self.filter_bytes.load(Ordering::Relaxed) > 0 {
            let bytes = index.keep_filter()?;
            let less = |left: usize| Some(left.saturating_sub(bytes));
            // The closure always returns something.
            let _ = self.filter_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        Ok(())
    }
}

/// The segments in order.
pub(crate) type Segments = Arc<Vec<Arc<Segment>>>;

/// The segments of a journal.
pub(crate) struct Store {
    pub(crate) context: Arc<Context>,
    segments: RwLock<Segments>,
    /// Held while segments are rewritten.
    pub(crate) compacting: Mutex<()>,
}

impl Store {
    pub(crate) fn new(context: Arc<Context>, segments: Vec<Arc<Segment>>) -> Self {
        Self { context, segments: RwLock::new(Arc::new(segments)), compacting: Mutex::new(()) }
    }

    pub(crate) fn segments(&self) -> Segments {
        Arc::clone(&self.segments.read())
    }

    /// Adds the segment that is written from now on.
    pub(crate) fn push(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write();
        let mut longer = Vec::clone(&segments);
        longer.push(segment);
        *segments = Arc::new(longer);
    }

    /// Puts `segment` in the place of those it stands for.
    pub(crate) fn replace(&self, segment: &Arc<Segment>) {
        let mut segments = self.segments.write();
        let stands_for = segment.header.first..=segment.header.last;
        let at = segments.iter().take_while(|other| other.header.first < segment.header.first).count();
        let mut shorter: Vec<_> =
            segments.iter().filter(|other| !stands_for.contains(&other.header.first)).cloned().collect();
        shorter.insert(at, Arc::clone(segment));
        *segments = Arc::new(shorter);
    }

    /// The last sequence of `id`.
    pub(crate) fn highest(&self, id: &PersistenceId) -> Result<u64, ReadError> {
        let hash = id.hash64();
        for segment in self.segments().iter().rev() {
            if let Some(held) = segment.held_with(id, hash)? {
                return Ok(held.first + held.count as u64 - 1);
            }
        }
        Ok(0)
    }

    /// The last ordinal of each slice that has one.
    pub(crate) fn ends(&self) -> Result<BTreeMap<Slice, Ordinal>, ReadError> {
        let mut ends = BTreeMap::new();
        for segment in self.segments().iter() {
            for (slice, _, last) in segment.lanes()? {
                if last > 0 {
                    let end = ends.entry(slice).or_insert(Ordinal::ZERO);
                    *end = (*end).max(Ordinal::new(last));
                }
            }
        }
        Ok(ends)
    }

    /// Up to where the events of `id` are deleted, as `segments` say.
    pub(crate) fn floor(segments: &[Arc<Segment>], id: &PersistenceId) -> Result<u64, ReadError> {
        let mut floor = 0;
        for segment in segments {
            floor = floor.max(segment.held(id)?.map_or(0, |held| held.floor));
        }
        Ok(floor)
    }

    /// How many events of full segments are deleted.
    pub(crate) fn dead(&self) -> Vec<Dead> {
        let segments = self.segments();
        let counted = segments.iter().filter_map(|segment| {
            let subject = segment.subject()?;
            Some(Dead { segment: subject.first, chain: subject.chain, events: segment.dead() })
        });
        counted.filter(|dead| dead.events > 0).collect()
    }

    /// Takes over what was counted before the journal was opened, and counts what `marks` delete: ids, and up to where.
    pub(crate) fn recount(&self, before: &[Dead], marks: &[(PersistenceId, u64)]) -> Result<(), ReadError> {
        let segments = self.segments();
        for dead in before {
            let same = |segment: &&Arc<Segment>| {
                segment.subject().is_some_and(|it| (it.first, it.chain) == (dead.segment, dead.chain))
            };
            if let Some(segment) = segments.iter().find(same) {
                segment.count_dead(dead.events);
            }
        }
        for (id, to) in marks {
            let floor = Self::floor(&segments[..segments.len() - 1], id)?;
            self.count_dead(id, floor, *to)?;
        }
        Ok(())
    }

    /// Counts the events of `id` behind `from` up to `to` as dead in the segments where they stand.
    pub(crate) fn count_dead(&self, id: &PersistenceId, from: u64, to: u64) -> Result<(), ReadError> {
        for segment in self.segments().iter() {
            if let Some(held) = segment.held(id)? {
                let first = held.first.max(from + 1);
                let end = (held.first + held.count as u64).min(to.saturating_add(1));
                segment.count_dead(segment.dead() + end.saturating_sub(first));
            }
        }
        Ok(())
    }

    /// Some ids.
    pub(crate) fn ids(&self, query: &IdQuery) -> Result<Vec<PersistenceId>, ReadError> {
        let mut found = BTreeSet::new();
        for segment in self.segments().iter() {
            found.extend(segment.named(query)?);
            while found.len() > query.limit {
                found.pop_last();
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Where the events of `id` between two sequences are.
    pub(crate) fn plan(&self, id: &PersistenceId, from: Sequence, to: Sequence) -> Result<Plan, ReadError> {
        let (mut parts, mut from, mut covered) = (Vec::new(), from.get().max(1), None);
        for segment in self.segments().iter().rev() {
            let Some(held) = segment.held(id)? else { continue };
            from = from.max(held.floor + 1);
            let end = held.first + held.count as u64;
            if covered.is_some_and(|first| first != end) && covered.is_some_and(|first| first > from) {
                let what = format!("events of `{id}` are missing before sequence {}", covered.unwrap_or(0));
                return Err(segment.corrupt(what, 0));
            }
            covered = Some(held.first);
            if held.count > 0 && end > from {
                parts.push(Part { segment: Arc::clone(segment), first: held.first, count: held.count });
            }
            if held.first <= from {
                break;
            }
        }
        if let Some(first) = covered.filter(|first| *first > from)
            && let Some(part) = parts.last()
        {
            let what = format!("the events of `{id}` from {from} to {} are missing", first - 1);
            return Err(part.segment.corrupt(what, 0));
        }
        Ok(Plan { id: id.clone(), parts, next: from, to: to.get() })
    }
}

struct Part {
    segment: Arc<Segment>,
    first: u64,
    count: usize,
}

/// What of an id is still to be read.
pub(crate) struct Plan {
    id: PersistenceId,
    /// The newest first.
    parts: Vec<Part>,
    next: u64,
    to: u64,
}

impl Plan {
    /// Whether everything was read.
    pub(crate) fn is_done(&self) -> bool {
        let is_behind = |part: &Part| self.next >= part.first + part.count as u64;
        self.next > self.to || self.parts.iter().all(is_behind)
    }

    /// The next events; none at the end.
    pub(crate) fn chunk(&mut self) -> Result<Vec<Recorded>, ReadError> {
        while let Some(part) = self.parts.last() {
            let end = part.first + part.count as u64;
            if self.next > self.to {
                break;
            }
            if self.next >= end {
                self.parts.pop();
                continue;
            }
            let left = (end - self.next).min((self.to - self.next).saturating_add(1));
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_EVENTS);
            let nth = usize::try_from(self.next - part.first).unwrap_or(usize::MAX);
            let offsets = part.segment.offsets(&self.id, nth, count)?;
            let mut events = Vec::with_capacity(offsets.len());
            for (record, offset) in part.segment.records(&offsets, CHUNK_BYTES)?.into_iter().zip(&offsets) {
                match record {
                    Record::Event { recorded, .. }
                        if recorded.id == self.id && recorded.sequence.get() == self.next =>
                    {
                        events.push(recorded);
                        self.next += 1;
                    }
                    _ => {
                        let what = format!("event {} of `{}` is not where it should be", self.next, self.id);
                        return Err(part.segment.corrupt(what, (*offset).into()));
                    }
                }
            }
            if events.is_empty() {
                let what = format!("event {} of `{}` is not in its segment", self.next, self.id);
                return Err(part.segment.corrupt(what, 0));
            }
            return Ok(events);
        }
        Ok(Vec::new())
    }
}

/// What of some slices is still to be read.
pub(crate) struct LanePlan {
    query: SlicesQuery,
    segments: Segments,
    /// The segment that is read, and what is wanted in it, once it was looked at.
    at: usize,
    within: Option<std::vec::IntoIter<Wanted>>,
}

/// Where an event stands, and which it should be. In the order of places.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Wanted {
    offset: u32,
    slice: Slice,
    ordinal: u64,
}

impl LanePlan {
    pub(crate) fn new(store: &Store, query: SlicesQuery) -> Self {
        Self { query, segments: store.segments(), at: 0, within: None }
    }

    /// The next events, and whether there may be more.
    pub(crate) fn chunk(&mut self) -> Result<(Vec<Recorded>, bool), ReadError> {
        for _ in 0..CHUNKS_AT_A_TIME {
            let Some(segment) = self.segments.get(self.at) else { return Ok((Vec::new(), false)) };
            let Some(wanted) = &mut self.within else {
                self.within = Some(wanted(segment, &self.query)?.into_iter());
                continue;
            };
            let next = &wanted.as_slice()[..wanted.len().min(CHUNK_EVENTS)];
            if next.is_empty() {
                (self.at, self.within) = (self.at + 1, None);
                continue;
            }
            let offsets: Vec<u32> = next.iter().map(|wanted| wanted.offset).collect();
            let records = segment.records(&offsets, CHUNK_BYTES)?;
            let mut found = Vec::with_capacity(records.len());
            for (record, Wanted { offset, slice, ordinal }) in records.into_iter().zip(wanted) {
                match record {
                    Record::Event { recorded, .. }
                        if recorded.slice == slice && recorded.ordinal.get() == ordinal =>
                    {
                        found.push(recorded);
                    }
                    _ => {
                        let what = format!("event {ordinal} of {slice} is not where it should be");
                        return Err(segment.corrupt(what, offset.into()));
                    }
                }
            }
            if let Some(tag) = &self.query.tag {
                found.retain(|recorded| recorded.event.tags.iter().any(|other| other == tag));
            }
            if !found.is_empty() {
                return Ok((found, true));
            }
        }
        Ok((Vec::new(), true))
    }
}

/// What is wanted in a segment: at most as much as its index holds.
fn wanted(segment: &Segment, query: &SlicesQuery) -> Result<Vec<Wanted>, ReadError> {
    let mut wanted = Vec::new();
    for (&slice, after) in &query.after {
        let after = after.get();
        let Some(lane) = segment.lane(slice)?.filter(|lane| lane.last > after) else { continue };
        let from = segment.lane_position(slice, after, lane.count)?;
        let events = segment.lane_events(slice, from, lane.count - from)?;
        wanted.extend(events.into_iter().map(|(ordinal, offset)| Wanted { offset, slice, ordinal }));
    }
    wanted.sort_unstable();
    Ok(wanted)
}

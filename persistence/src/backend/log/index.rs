//! Where does a segment that is full say what stands where?
//!
//! In a file beside it, which holds what its [`Table`] held, ordered so that a few reads find an id, a slice or a page of names. It is
//! written once, never synced for durability, and built anew from the segment when it is missing or damaged.
//! `docs/formats/journal.md` describes its bytes.
//!
//! # Invariants
//!
//! * Every page carries a checksum of itself and its place: what was read was written there.

use std::io;
use std::sync::Arc;

use super::filter;
use super::format::{Damage, VERSION, seal, u16_at, u32_at, u64_at, unsealed, versioned};
use super::table::{Run, Table};
use crate::backend::IdQuery;
use crate::disk::{Disk, DiskFile};
use crate::id::{PersistenceId, Slice};

const MAGIC: [u8; 8] = *b"OMNITRNI";
const PAGE: usize = 4096;
/// What fits into a page beside its checksum.
const DATA: usize = PAGE - 4;
const HEAD: usize = 72;
const ENTRY: usize = 32;
const SLICE: usize = 40;
const PER_BUCKET: usize = 32;

/// Which segment an index belongs to, as of which end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Subject {
    pub(crate) journal: u64,
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) end: u64,
    pub(crate) chain: u32,
}

/// An index in its file.
pub(crate) struct IndexFile {
    file: Arc<dyn DiskFile>,
    journal: u64,
    sections: Sections,
    /// The filter, when there was room for it in memory.
    filter: Option<Vec<u8>>,
}

/// How many of each there are; where each section starts follows from that.
#[derive(Clone, Copy, Debug)]
struct Sections {
    blocks: usize,
    buckets: usize,
    ids: usize,
    offsets: usize,
    slices: usize,
    events: usize,
    names: usize,
    name_bytes: usize,
}

/// What the index says of an id with a hash; whether it is the right id, the segment has to tell.
pub(crate) struct Found {
    pub(crate) first: u64,
    pub(crate) floor: u64,
    pub(crate) count: u32,
    at: u32,
}

/// What an index says of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneFound {
    pub(crate) slice: Slice,
    pub(crate) epoch: u64,
    pub(crate) last: u64,
    pub(crate) count: usize,
    start: usize,
}

impl LaneFound {
    fn decode(bytes: &[u8]) -> Self {
        Self {
            slice: Slice::new(u32_at(bytes, 0)),
            count: u32_at(bytes, 4) as usize,
            epoch: u64_at(bytes, 8),
            last: u64_at(bytes, 16),
            start: usize::try_from(u64_at(bytes, 24)).unwrap_or(usize::MAX),
        }
    }
}

impl Sections {
    /// Where the sections start, one after the other, and where the last one ends.
    fn starts(&self) -> [u64; 9] {
        let sizes = [
            self.blocks * filter::BLOCK,
            (self.buckets + 1) * 4,
            self.ids * ENTRY,
            self.offsets * 4,
            self.slices * SLICE,
            self.events * 12,
            (self.names + 1) * 4,
            self.name_bytes,
        ];
        let mut starts = [HEAD as u64; 9];
        for (n, size) in sizes.into_iter().enumerate() {
            starts[n + 1] = starts[n] + size as u64;
        }
        starts
    }

    fn encode(&self) -> Vec<u8> {
        let Self { blocks, buckets, ids, offsets, slices, events, names, name_bytes } = *self;
        let sizes = [blocks, buckets, ids, offsets, slices, events, names, name_bytes];
        sizes.into_iter().flat_map(|size| small(size).to_le_bytes()).collect()
    }

    fn decode(bytes: &[u8]) -> Self {
        let size = |n: usize| u32_at(bytes, n * 4) as usize;
        Self {
            blocks: size(0),
            buckets: size(1),
            ids: size(2),
            offsets: size(3),
            slices: size(4),
            events: size(5),
            names: size(6),
            name_bytes: size(7),
        }
    }
}

/// The bytes of the index of a table.
pub(crate) fn encode(table: &Table, subject: &Subject) -> Vec<u8> {
    let mut ids: Vec<(u64, &PersistenceId, &Run)> =
        table.ids.iter().map(|(id, run)| (id.hash64(), id, run)).collect();
    ids.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let hashes: Vec<u64> = ids.iter().map(|(hash, ..)| *hash).collect();
    let filter = filter::build(&hashes);
    let buckets = hashes.len().div_ceil(PER_BUCKET).max(1);
    let sections = Sections {
        blocks: filter.len() / filter::BLOCK,
        buckets,
        ids: ids.len(),
        offsets: ids.iter().map(|(.., run)| run.offsets.len()).filter(|count| *count > 1).sum(),
        slices: table.slices.len(),
        events: table.slices.values().map(|lane| lane.events.len()).sum(),
        names: table.named.len(),
        name_bytes: table.named.iter().map(|id| id.as_str().len()).sum(),
    };
    let size = usize::try_from(sections.starts()[8]).expect("an index is smaller than memory");
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&subject.first.to_le_bytes());
    out.extend_from_slice(&subject.last.to_le_bytes());
    out.extend_from_slice(&subject.chain.to_le_bytes());
    out.extend_from_slice(&subject.end.to_le_bytes());
    out.extend_from_slice(&sections.encode());
    out.extend_from_slice(&[0; 4]);
    seal(&mut out, 0);
    debug_assert_eq!(out.len(), HEAD);
    out.extend_from_slice(&filter);
    let mut filled = 0;
    for bucket in 0..=buckets {
        filled += hashes[filled..].iter().take_while(|hash| filter::block(**hash, buckets) < bucket).count();
        out.extend_from_slice(&small(filled).to_le_bytes());
    }
    let mut next = 0;
    for (hash, _, run) in &ids {
        let at = match run.offsets.as_slice() {
            [] => run.mark,
            [offset] => *offset,
            offsets => {
                next += offsets.len();
                small(next - offsets.len())
            }
        };
        out.extend_from_slice(&hash.to_le_bytes());
        out.extend_from_slice(&run.first.to_le_bytes());
        out.extend_from_slice(&run.floor.to_le_bytes());
        out.extend_from_slice(&small(run.offsets.len()).to_le_bytes());
        out.extend_from_slice(&at.to_le_bytes());
    }
    let long = ids.iter().map(|(.., run)| &run.offsets).filter(|offsets| offsets.len() > 1);
    long.flatten().for_each(|offset| out.extend_from_slice(&offset.to_le_bytes()));
    let mut start = 0;
    for (slice, lane) in &table.slices {
        out.extend_from_slice(&slice.get().to_le_bytes());
        out.extend_from_slice(&small(lane.events.len()).to_le_bytes());
        out.extend_from_slice(&lane.epoch.to_le_bytes());
        out.extend_from_slice(&lane.last.to_le_bytes());
        out.extend_from_slice(&(start as u64).to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        start += lane.events.len();
    }
    for (ordinal, offset) in table.slices.values().flat_map(|lane| &lane.events) {
        out.extend_from_slice(&ordinal.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
    }
    let mut start = 0;
    for size in std::iter::once(0).chain(table.named.iter().map(|id| id.as_str().len())) {
        start += size;
        out.extend_from_slice(&small(start).to_le_bytes());
    }
    table.named.iter().for_each(|id| out.extend_from_slice(id.as_str().as_bytes()));
    debug_assert_eq!(out.len(), size);
    pages(&out, subject.journal)
}

fn pages(bytes: &[u8], journal: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(DATA) * PAGE);
    for (page, data) in (0_u64..).zip(bytes.chunks(DATA)) {
        let mut full = data.to_vec();
        full.resize(DATA, 0);
        seal(&mut full, journal ^ page);
        out.extend_from_slice(&full);
    }
    out
}

impl IndexFile {
    /// Opens the index in the file `name`, when it is there and belongs to `subject`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] when it does not, or is damaged; [`io::ErrorKind::NotFound`].
    pub(crate) fn open(disk: &dyn Disk, name: &str, subject: &Subject) -> io::Result<Self> {
        let file = disk.open(name)?;
        let nothing = Sections::decode(&[0; 32]);
        let mut index = Self { file, journal: subject.journal, sections: nothing, filter: None };
        let head = index.read(0, HEAD)?;
        let head = versioned(&head, MAGIC, HEAD).map_err(invalid)?;
        let belongs = u32_at(head, 12) == subject.first
            && u32_at(head, 16) == subject.last
            && u32_at(head, 20) == subject.chain
            && u64_at(head, 24) == subject.end;
        if !belongs || u16_at(head, 8) != VERSION {
            return Err(invalid(Damage::Field("it belongs to another segment")));
        }
        index.sections = Sections::decode(&head[32..64]);
        let size = index.sections.starts()[8].div_ceil(DATA as u64) * PAGE as u64;
        if index.file.size()? == size { Ok(index) } else { Err(invalid(Damage::Short)) }
    }

    /// Takes the filter into memory. How many bytes that are.
    pub(crate) fn keep_filter(&mut self) -> io::Result<usize> {
        let filter = self.read(self.sections.starts()[0], self.sections.blocks * filter::BLOCK)?;
        Ok(self.filter.insert(filter).len())
    }

    /// How many events the segment holds.
    pub(crate) fn count(&self) -> u64 {
        self.sections.events as u64
    }

    /// What there is with the hash of `id`.
    pub(crate) fn find(&self, id: &PersistenceId) -> io::Result<Vec<Found>> {
        let hash = id.hash64();
        let [filter, buckets, entries, ..] = self.sections.starts();
        let block = filter::block(hash, self.sections.blocks) * filter::BLOCK;
        let may = match &self.filter {
            Some(filter) => filter::may_hold(&filter[block..block + filter::BLOCK], hash),
            None => filter::may_hold(&self.read(filter + block as u64, filter::BLOCK)?, hash),
        };
        if !may {
            return Ok(Vec::new());
        }
        let bucket = filter::block(hash, self.sections.buckets);
        let bounds = self.read(buckets + bucket as u64 * 4, 8)?;
        let (from, to) = (u32_at(&bounds, 0) as usize, u32_at(&bounds, 4) as usize);
        if from > to || to > self.sections.ids {
            return Err(invalid(Damage::Field("a bucket is impossible")));
        }
        let bytes = self.read(entries + (from * ENTRY) as u64, (to - from) * ENTRY)?;
        let same = bytes.chunks_exact(ENTRY).filter(|entry| u64_at(entry, 0) == hash);
        Ok(same
            .map(|entry| Found {
                first: u64_at(entry, 8),
                floor: u64_at(entry, 16),
                count: u32_at(entry, 24),
                at: u32_at(entry, 28),
            })
            .collect())
    }

    /// Where the events of `found` stand, from the `from`th on, at most `count`.
    pub(crate) fn offsets(&self, found: &Found, from: usize, count: usize) -> io::Result<Vec<u32>> {
        let count = count.min((found.count as usize).saturating_sub(from));
        if count == 0 || found.count == 1 {
            return Ok(vec![found.at; count]);
        }
        let first = found.at as usize + from;
        if first + count > self.sections.offsets {
            return Err(invalid(Damage::Field("an entry leads nowhere")));
        }
        let bytes = self.read(self.sections.starts()[3] + (first * 4) as u64, count * 4)?;
        Ok(bytes.chunks_exact(4).map(|bytes| u32_at(bytes, 0)).collect())
    }

    /// Where a record of the id of `found` stands: its first event, or else its deletion.
    pub(crate) fn witness(&self, found: &Found) -> io::Result<u32> {
        match found.count {
            0 => Ok(found.at),
            _ => Ok(self.offsets(found, 0, 1)?[0]),
        }
    }

    /// Every slice of which the segment says something, in order.
    pub(crate) fn slices(&self) -> io::Result<Vec<LaneFound>> {
        let bytes = self.read(self.sections.starts()[4], self.sections.slices * SLICE)?;
        Ok(bytes.chunks_exact(SLICE).map(LaneFound::decode).collect())
    }

    /// What the segment says of a slice.
    pub(crate) fn slice(&self, slice: Slice) -> io::Result<Option<LaneFound>> {
        let (mut from, mut to) = (0, self.sections.slices);
        while from < to {
            let middle = usize::midpoint(from, to);
            let bytes = self.read(self.sections.starts()[4] + (middle * SLICE) as u64, SLICE)?;
            let found = LaneFound::decode(&bytes);
            match found.slice.cmp(&slice) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Equal => return Ok(Some(found)),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        Ok(None)
    }

    /// Events of a slice from the `from`th on, at most `count`: ordinals and where they stand.
    pub(crate) fn events(&self, lane: &LaneFound, from: usize, count: usize) -> io::Result<Vec<(u64, u32)>> {
        let count = count.min(lane.count.saturating_sub(from));
        let first = lane.start.saturating_add(from);
        if first.saturating_add(count) > self.sections.events {
            return Err(invalid(Damage::Field("a slice leads nowhere")));
        }
        let bytes = self.read(self.sections.starts()[5] + (first * 12) as u64, count * 12)?;
        Ok(bytes.chunks_exact(12).map(|bytes| (u64_at(bytes, 0), u32_at(bytes, 8))).collect())
    }

    /// Some of the named ids.
    pub(crate) fn named(&self, query: &IdQuery) -> io::Result<Vec<PersistenceId>> {
        let (mut from, mut to) = (0, self.sections.names);
        while from < to {
            let middle = usize::midpoint(from, to);
            let name = self.name(middle)?;
            let before = name.as_str() < query.prefix.as_str()
                || query.after.as_ref().is_some_and(|after| name <= *after);
            if before { from = middle + 1 } else { to = middle }
        }
        let mut found = Vec::new();
        while found.len() < query.limit && from < self.sections.names {
            let name = self.name(from)?;
            if !name.as_str().starts_with(&query.prefix) {
                break;
            }
            found.push(name);
            from += 1;
        }
        Ok(found)
    }

    fn name(&self, n: usize) -> io::Result<PersistenceId> {
        let [.., bounds, names, end] = self.sections.starts();
        let bounds = self.read(bounds + n as u64 * 4, 8)?;
        let (from, to) = (u32_at(&bounds, 0), u32_at(&bounds, 4));
        if from > to || names + u64::from(to) > end {
            return Err(invalid(Damage::Field("a name leads nowhere")));
        }
        let bytes = self.read(names + u64::from(from), (to - from) as usize)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| invalid(Damage::Field("a name is no UTF-8")))?;
        PersistenceId::new(text).map_err(|_| invalid(Damage::Field("a name is no id")))
    }

    /// The `size` bytes at `at`, as if there were no pages.
    fn read(&self, at: u64, size: usize) -> io::Result<Vec<u8>> {
        if size == 0 {
            return Ok(Vec::new());
        }
        let (first, last) = (at / DATA as u64, (at + size as u64 - 1) / DATA as u64);
        let pages = usize::try_from(last - first + 1).map_err(|_| invalid(Damage::Short))?;
        let bytes = self.file.bytes(first * PAGE as u64, pages * PAGE)?;
        if bytes.len() != pages * PAGE {
            return Err(invalid(Damage::Short));
        }
        let mut data = Vec::with_capacity(pages * DATA);
        for (page, bytes) in (first..).zip(bytes.chunks_exact(PAGE)) {
            unsealed(bytes, self.journal ^ page).map_err(invalid)?;
            data.extend_from_slice(&bytes[..DATA]);
        }
        let start = usize::try_from(at - first * DATA as u64).map_err(|_| invalid(Damage::Short))?;
        data.drain(..start);
        data.truncate(size);
        Ok(data)
    }
}

fn small(size: usize) -> u32 {
    u32::try_from(size).expect("a segment is smaller than 4 GiB, so nothing in it is counted beyond")
}

fn invalid(damage: Damage) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, damage.to_string())
}

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
/// The bytes which say what it is an index of.
pub(crate) const SUBJECT_BYTES: usize = 32;
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
    /// When there was room for it in memory.
    kept: Option<Kept>,
}

/// What decides whether and where an id is looked for.
struct Kept {
    filter: Vec<u8>,
    buckets: Vec<u8>,
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
    let named = table.all_named();
    let sections = Sections {
        blocks: filter.len() / filter::BLOCK,
        buckets,
        ids: ids.len(),
        offsets: ids.iter().map(|(.., run)| run.offsets.len()).filter(|count| *count > 1).sum(),
        slices: table.slices.len(),
        events: table.slices.values().map(|lane| lane.events.len()).sum(),
        names: named.len(),
        name_bytes: named.iter().map(|id| id.as_str().len()).sum(),
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
        let at = match &*run.offsets {
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
    long.flat_map(|offsets| offsets.iter()).for_each(|offset| out.extend_from_slice(&offset.to_le_bytes()));
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
    for size in std::iter::once(0).chain(named.iter().map(|id| id.as_str().len())) {
        start += size;
        out.extend_from_slice(&small(start).to_le_bytes());
    }
    for id in named {
        out.extend_from_slice(id.as_str().as_bytes());
    }
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

/// Where the first page stands that is not as it was written, if there is one.
pub(crate) fn damaged_page(bytes: &[u8], journal: u64) -> Option<(usize, Damage)> {
    let pages = (0_u64..).zip(bytes.chunks(PAGE));
    let mut damaged = pages.map(|(page, bytes)| match bytes.len() {
        PAGE => unsealed(bytes, journal ^ page),
        _ => Err(Damage::Short),
    });
    let page = damaged.by_ref().position(|page| page.is_err())?;
    Some((page * PAGE, Damage::Checksum))
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
        let mut index = Self { file, journal: subject.journal, sections: nothing, kept: None };
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

    /// Takes filter and buckets into memory. How many bytes that are.
    pub(crate) fn keep_filter(&mut self) -> io::Result<usize> {
        let [filter, buckets, entries, ..] = self.sections.starts();
        let filter = self.read(filter, self.sections.blocks * filter::BLOCK)?;
        let buckets = self.read(buckets, usize::try_from(entries - buckets).map_err(io::Error::other)?)?;
        let Kept { filter, buckets } = self.kept.insert(Kept { filter, buckets });
        Ok(filter.len() + buckets.len())
    }

    /// How many events the segment holds.
    pub(crate) fn count(&self) -> u64 {
        self.sections.events as u64
    }

    /// What there is with the hash of an id.
    pub(crate) fn find(&self, hash: u64) -> io::Result<Vec<Found>> {
        let [filter, buckets, entries, ..] = self.sections.starts();
        let block = filter::block(hash, self.sections.blocks) * filter::BLOCK;
        let may = match &self.kept {
            Some(Kept { filter, .. }) => filter::may_hold(&filter[block..block + filter::BLOCK], hash),
            None => filter::may_hold(&self.read(filter + block as u64, filter::BLOCK)?, hash),
        };
        if !may {
            return Ok(Vec::new());
        }
        let bucket = filter::block(hash, self.sections.buckets);
        let bounds = |bytes: &[u8], at: usize| (u32_at(bytes, at) as usize, u32_at(bytes, at + 4) as usize);
        let (from, to) = match &self.kept {
            Some(Kept { buckets, .. }) => bounds(buckets, bucket * 4),
            None => bounds(&self.read(buckets + bucket as u64 * 4, 8)?, 0),
        };
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
        let mut data = self.file.bytes(first * PAGE as u64, pages * PAGE)?;
        if data.len() != pages * PAGE {
            return Err(invalid(Damage::Short));
        }
        for (n, page) in (first..=last).enumerate() {
            unsealed(&data[n * PAGE..(n + 1) * PAGE], self.journal ^ page).map_err(invalid)?;
            data.copy_within(n * PAGE..n * PAGE + DATA, n * DATA);
        }
        let start = usize::try_from(at - first * DATA as u64).map_err(|_| invalid(Damage::Short))?;
        data.truncate(start + size);
        data.drain(..start);
        Ok(data)
    }
}

fn small(size: usize) -> u32 {
    u32::try_from(size).expect("a segment is smaller than 4 GiB, so nothing in it is counted beyond")
}

fn invalid(damage: Damage) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, damage.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::table::Entry;
    use super::*;
    use crate::disk::sim::Sim;
    use crate::id::{Epoch, Ordinal, Sequence};

    const SUBJECT: Subject = Subject { journal: 9, first: 1, last: 1, end: 1 << 20, chain: 3 };

    fn id(n: u16) -> PersistenceId {
        PersistenceId::new(format!("id-{n}")).unwrap()
    }

    /// A table of such events (id, slice) and deletions (id).
    fn table(deeds: &[(u16, u32, u8)]) -> Table {
        let mut table = Table::new(7);
        let (mut heads, mut ordinals) = (BTreeMap::<u16, u64>::new(), BTreeMap::<u32, u64>::new());
        for (n, (of, slice, kind)) in deeds.iter().enumerate() {
            let head = heads.entry(*of).or_insert_with(|| u64::from(*of) % 3 * 10);
            let ordinal = ordinals.entry(*slice).or_default();
            let entry = match kind {
                0 if *head > 0 => Entry::Deletion {
                    id: id(*of),
                    to: Sequence::new(*head / 2 + 1),
                    highest: Sequence::new(*head),
                },
                1 => Entry::Claim {
                    slice: Slice::new(*slice),
                    epoch: Epoch::new(n as u64),
                    ordinal: Ordinal::new(*ordinal),
                },
                _ => {
                    (*head, *ordinal) = (*head + 1, *ordinal + 1 + u64::from(*kind));
                    let (sequence, ordinal) = (Sequence::new(*head), Ordinal::new(*ordinal));
                    Entry::Event { id: id(*of), slice: Slice::new(*slice), sequence, ordinal }
                }
            };
            table.add(u32::try_from(n * 100 + 80).unwrap(), entry).unwrap();
        }
        table
    }

    fn stored(table: &Table) -> (Sim, IndexFile) {
        let disk = Sim::new(1);
        disk.create("a").unwrap().write_at(&encode(table, &SUBJECT), 0).unwrap();
        let index = IndexFile::open(&disk, "a", &SUBJECT).unwrap();
        (disk, index)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn the_file_says_what_the_table_says(
            deeds in proptest::collection::vec((0..300_u16, 0..9_u32, 0..20_u8), 0..1500),
            kept in any::<bool>(),
            prefix in "(id-[0-9]{0,2})?",
            after in 0..300_u16,
            limit in 0..40_usize,
        ) {
            let mut table = table(&deeds);
            let (_disk, mut index) = stored(&table);
            if kept {
                index.keep_filter().unwrap();
            }
            for n in 0..310 {
                let found = index.find(id(n).hash64()).unwrap();
                let Some(run) = table.ids.get(&id(n)) else {
                    prop_assert!(found.is_empty(), "the hashes of these ids differ");
                    continue;
                };
                let found = &found[0];
                prop_assert_eq!((found.first, found.floor, found.count as usize), (run.first, run.floor, run.offsets.len()));
                prop_assert_eq!(&index.offsets(found, 0, usize::MAX).unwrap()[..], &run.offsets[..]);
                let some: Vec<u32> = run.offsets.iter().skip(1).take(2).copied().collect();
                prop_assert_eq!(index.offsets(found, 1, 2).unwrap(), some);
                let first = run.offsets.first().copied().unwrap_or(run.mark);
                prop_assert_eq!(index.witness(found).unwrap(), first);
            }
            prop_assert_eq!(index.slices().unwrap().len(), table.slices.len());
            for slice in (0..10).map(Slice::new) {
                let found = index.slice(slice).unwrap();
                let lane = table.slices.get(&slice);
                prop_assert_eq!(found.map(|found| (found.epoch, found.last)), lane.map(|lane| (lane.epoch, lane.last)));
                if let (Some(found), Some(lane)) = (found, lane) {
                    prop_assert_eq!(&index.events(&found, 0, usize::MAX).unwrap(), &lane.events);
                }
            }
            for after in [None, Some(id(after))] {
                let query = IdQuery { prefix: prefix.clone(), after, limit };
                prop_assert_eq!(index.named(&query).unwrap(), table.named_again(&query));
                prop_assert_eq!(table.named(&query), table.named_again(&query));
            }
        }
    }

    #[test]
    fn no_flipped_bit_is_believed_where_it_is_read() {
        let deeds: Vec<_> = (0..200).map(|n| (n % 40, u32::from(n % 3), 9)).collect();
        let table = table(&deeds);
        let (disk, _) = stored(&table);
        for byte in (0..disk.contents()["a"].len()).step_by(7) {
            let (disk, _) = stored(&table);
            disk.flip("a", byte, 4);
            let answers = IndexFile::open(&disk, "a", &SUBJECT).and_then(|index| {
                let mut all = Vec::new();
                for n in 0..40 {
                    let found = index.find(id(n).hash64())?;
                    all.push(found.first().map(|found| (found.first, found.count)));
                }
                index.slices()?;
                Ok(all)
            });
            match answers {
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData, "byte {byte}"),
                Ok(answers) => assert!(
                    answers.iter().all(|found| *found == Some((1, 5)) || found.is_some()),
                    "byte {byte}"
                ),
            }
        }
        let other = Subject { chain: 4, ..SUBJECT };
        assert!(IndexFile::open(&disk, "a", &other).is_err(), "it belongs to another segment");
    }
}

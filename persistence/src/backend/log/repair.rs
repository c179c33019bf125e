//! How is what is intact copied into a journal of its own?
//!
//! In two walks: the first sees what is left of each id, the second writes it, batch for batch and segment for segment, with the sequences, ordinals and epochs it had. The
//! copy is the same journal without what is left out, so its indexes are built when it is opened.
//!
//! # Invariants
//!
//! * The copy is a journal that opens: each history is without gaps, ordinals rise, and each slice ends with the highest epoch and ordinal that were seen, so that
//!   neither is used again.
//! * The file `journal` is written last: a copy that was not finished is not taken for one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crc32c::crc32c;

use super::check::{Ids, see};
use super::format::{ALIGNMENT, BATCH_BYTES, BatchHeader, Identity, SEGMENT_BYTES, SegmentHeader};
use super::inspect::{Finding, Inspection, Kind, Lost, Stream};
use super::leases;
use super::open::IDENTITY;
use super::record::{self, Place, Record};
use super::remains::Seen;
use super::segment::file_name;
use crate::backend::Fault;
use crate::disk::{Disk, DiskFile};
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice};

const AGAIN: &str =
    "Make room or look for errors of the device, remove what is there of the copy, then try again";

/// What [`Inspection::repair`] did.
#[derive(Clone, Debug)]
pub struct Repaired {
    /// How many events were copied.
    pub events: u64,
    /// How many snapshots were copied.
    pub snapshots: usize,
    /// What is damaged in the original, and therefore not in the copy.
    pub findings: Vec<Finding>,
    /// What of which id was left out or is missing.
    pub left_out: Vec<(PersistenceId, Lost)>,
}

impl Inspection {
    /// Copies everything that is intact into a new journal in the folder `copy`, which has to be empty. Of each id these are its events up to the
    /// first one that is missing; what was deleted stays deleted. An append whose batch was damaged may be there in part.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when `copy` is not empty or cannot be written, when the number of slices is not known, or when the original was written by a newer version. What is in `copy`
    /// then is no journal. The original is not changed in any case.
    pub fn repair(&self, copy: &impl Disk) -> Result<Repaired, Fault> {
        let copy: &dyn Disk = copy;
        let failed = |error: io::Error| Fault::new(error, copy.place(""), AGAIN);
        if let Some(name) = copy.list("").map_err(failed)?.first() {
            let what = "the folder of the copy is not empty";
            return Err(Fault::new(what, copy.place(name), "Name a folder that does not exist"));
        }
        if let Some(newer) = self.findings.iter().find(|finding| finding.kind == Kind::Newer) {
            return Err(newer.fault.clone());
        }
        let Some(slices) = self.slices else {
            let what = "the file which says how many slices the journal has is missing or damaged";
            let advice = "Restore this file from a copy; it never changes after the journal was created";
            return Err(Fault::new(what, self.disk.place(IDENTITY), advice));
        };
        let (mut ids, mut findings) = (Ids::new(), self.findings.clone());
        for (_, found) in self.walk() {
            match found {
                Ok(piece) => drop(see(&mut ids, &piece.record)),
                Err(finding) => findings.push(finding),
            }
        }
        let mut out = Copy::new(copy, self.journal);
        out.copy(self, &ids).map_err(failed)?;
        let mut snapshots = 0;
        for found in self.snapshots() {
            match found {
                Ok((name, snapshot, bytes)) => {
                    if let Some(finding) = self.ahead(&name, &snapshot, &ids) {
                        findings.push(finding);
                        continue;
                    }
                    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                    copy.create_folder(folder).map_err(failed)?;
                    copy.replace(folder, &name, &bytes).map_err(failed)?;
                    snapshots += 1;
                }
                Err(finding) => findings.push(finding),
            }
        }
        if snapshots > 0 {
            copy.sync_folder("snapshots").map_err(failed)?;
        }
        if let Some(leases) = &self.leases {
            copy.replace("", leases::NAME, leases).map_err(failed)?;
        }
        let identity = Identity { journal: self.journal, slices: slices.get() };
        copy.replace("", IDENTITY, &identity.encode()).map_err(failed)?;
        let lost = |(id, seen): (&PersistenceId, &Seen)| {
            let lost = Stream::from(seen).lost.into_iter();
            lost.map(|lost| (id.clone(), lost)).collect::<Vec<_>>()
        };
        let mut left_out: Vec<_> = ids.iter().flat_map(lost).collect();
        left_out.extend(out.refused);
        Ok(Repaired { events: out.events, snapshots, findings, left_out })
    }
}

/// A journal that is being written.
struct Copy<'a> {
    disk: &'a dyn Disk,
    journal: u64,
    file: Option<Arc<dyn DiskFile>>,
    segment: u32,
    /// Where the next batch starts, its number, and what it links to.
    at: u64,
    number: u64,
    chain: u32,
    bytes: Vec<u8>,
    records: u32,
    /// Where the last event of an id stands in this segment.
    backs: BTreeMap<PersistenceId, u32>,
    /// The epoch and the last ordinal of each slice.
    lanes: BTreeMap<Slice, (Epoch, Ordinal)>,
    heads: BTreeMap<PersistenceId, u64>,
    events: u64,
    /// What did not fit though it belongs to a history.
    refused: Vec<(PersistenceId, Lost)>,
    cut: BTreeSet<PersistenceId>,
}

impl<'a> Copy<'a> {
    fn new(disk: &'a dyn Disk, journal: u64) -> Self {
        Self {
            disk,
            journal,
            file: None,
            segment: 0,
            at: 0,
            number: 1,
            chain: 0,
            bytes: vec![0; BATCH_BYTES],
            records: 0,
            backs: BTreeMap::new(),
            lanes: BTreeMap::new(),
            heads: BTreeMap::new(),
            events: 0,
            refused: Vec::new(),
            cut: BTreeSet::new(),
        }
    }

    fn copy(&mut self, from: &Inspection, ids: &Ids) -> io::Result<()> {
        let (mut again, mut place) = (Ids::new(), None);
        self.next_segment()?;
        for (part, found) in from.walk() {
            let Ok(piece) = found else { continue };
            let run = see(&mut again, &piece.record);
            let before = place.replace((part, piece.batch));
            if before.is_some_and(|before| before != (part, piece.batch)) {
                self.flush()?;
            }
            if before.is_some_and(|(before, _)| before != part) && self.at > SEGMENT_BYTES as u64 {
                self.next_segment()?;
            }
            self.add(&piece.record, run, ids);
        }
        self.flush()?;
        for (slice, (epoch, ordinal)) in std::mem::take(&mut self.lanes) {
            record::encode_claim(&mut self.bytes, slice, epoch, ordinal);
            self.records += 1;
        }
        self.flush()?;
        self.close()?;
        self.disk.sync_folder("")
    }

    /// Adds a record, if it is to be in the copy.
    fn add(&mut self, found: &Record, run: usize, ids: &Ids) {
        match found {
            Record::Claim { slice, epoch, ordinal } => {
                let last = self.saw(*slice, *epoch, *ordinal);
                record::encode_claim(&mut self.bytes, *slice, *epoch, last.max(*ordinal));
                self.records += 1;
            }
            Record::Deletion { slice, epoch, id, to, .. } => {
                self.saw(*slice, *epoch, Ordinal::ZERO);
                // The newest of them says it all.
                if ids.get(id).is_some_and(|seen| seen.floor == to.get()) {
                    let highest = self.heads.get(id).map_or(*to, |head| Sequence::new(*head));
                    record::encode_deletion(&mut self.bytes, (*slice, *epoch), id, *to, highest);
                    self.records += 1;
                }
            }
            Record::Event { recorded, epoch, .. } => {
                let (id, slice, ordinal) = (&recorded.id, recorded.slice, recorded.ordinal);
                let last = self.saw(slice, *epoch, ordinal);
                let sequence = recorded.sequence.get();
                let wanted =
                    ids.get(id).is_some_and(|seen| seen.chosen() == Some(run) && sequence <= seen.head());
                if !wanted {
                    return;
                }
                if ordinal <= last || self.cut.contains(id) {
                    self.cut.insert(id.clone());
                    self.refused.push((id.clone(), Lost { from: sequence, to: sequence, intact: true }));
                    return;
                }
                // It fits: a segment of the copy is no longer than the one it is copied from.
                let offset = u32::try_from(self.at + self.bytes.len() as u64).unwrap_or(u32::MAX);
                let back = self.backs.insert(id.clone(), offset).unwrap_or_default();
                let place = Place { id, slice, epoch: *epoch, sequence: recorded.sequence, ordinal, back };
                record::encode_event(&mut self.bytes, &place, &recorded.event);
                self.heads.insert(id.clone(), sequence);
                self.records += 1;
                self.events += 1;
            }
        }
    }

    /// Notes where a slice stands. Its last ordinal before.
    fn saw(&mut self, slice: Slice, epoch: Epoch, ordinal: Ordinal) -> Ordinal {
        let lane = self.lanes.entry(slice).or_default();
        let last = lane.1;
        *lane = (lane.0.max(epoch), lane.1.max(ordinal));
        last
    }

    /// Writes the batch.
    fn flush(&mut self) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.records > 0) else { return Ok(()) };
        let body = (self.bytes.len() - BATCH_BYTES).next_multiple_of(ALIGNMENT);
        self.bytes.resize(BATCH_BYTES + body, 0);
        let header = BatchHeader {
            body: u32::try_from(body).map_err(|_| io::ErrorKind::FileTooLarge)?,
            number: self.number,
            segment: self.segment,
            records: self.records,
            previous: self.chain,
            checksum: crc32c(&self.bytes[BATCH_BYTES..]),
        };
        self.bytes[..BATCH_BYTES].copy_from_slice(&header.encode(self.journal));
        file.write_at(&self.bytes, self.at)?;
        self.at += self.bytes.len() as u64;
        self.number += 1;
        self.chain = header.chain(self.journal);
        (self.bytes, self.records) = (vec![0; BATCH_BYTES], 0);
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.file.take().map_or(Ok(()), |file| file.sync())
    }

    /// Begins the next segment.
    fn next_segment(&mut self) -> io::Result<()> {
        self.close()?;
        self.segment += 1;
        let header = SegmentHeader {
            journal: self.journal,
            first: self.segment,
            last: self.segment,
            batch: self.number,
            previous_end: self.at,
            previous_chain: self.chain,
            rewritten: None,
        };
        let file = self.disk.create(&file_name(self.segment))?;
        file.write_at(&header.encode(), 0)?;
        (self.file, self.at) = (Some(file), SEGMENT_BYTES as u64);
        self.backs.clear();
        Ok(())
    }
}

//! Is every byte of a journal as it was written?
//!
//! The segments from end to end, then what stands beside them: an index has to say byte for byte what the records of its segment say, and a
//! snapshot has to lie under its name and not ahead of the events.

use std::collections::BTreeMap;

use super::format::Damage;
use super::index::{self, Subject};
use super::inspect::{Finding, Inspection, Kind, Report, Stream};
use super::record::Record;
use super::remains::Seen;
use super::segment::{DEVICE, RESTORE, index_name};
use super::snapshots;
use super::table::{Entry, Table};
use crate::backend::Fault;
use crate::id::PersistenceId;
use crate::snapshot::Snapshot;

const REBUILT: &str = "Delete the file: it is built anew from its segment when the journal is opened";
const IGNORED: &str = "Delete the file: older snapshots and the events are used, and nothing is lost";
const AHEAD: &str =
    "Delete the file, or restore the events: nothing can be recovered from a snapshot ahead of them";

/// What was seen of each id.
pub(crate) type Ids = BTreeMap<PersistenceId, Seen>;

/// Adds a record to what was seen. Of an event: the number of its run.
pub(crate) fn see(ids: &mut Ids, record: &Record) -> usize {
    match record {
        Record::Event { recorded, .. } => {
            let bytes = recorded.event.payload.len() as u64;
            ids.entry(recorded.id.clone()).or_default().event(recorded.sequence.get(), bytes)
        }
        Record::Deletion { id, to, highest, .. } => {
            ids.entry(id.clone()).or_default().deletion(to.get(), highest.get());
            0
        }
        Record::Claim { .. } => 0,
    }
}

impl Inspection {
    /// Verifies every byte of every file. Holds in memory what one segment says and a little about each id.
    pub fn check(&self) -> Report {
        let mut findings = self.findings.clone();
        let mut ids = Ids::new();
        let mut table = Table::new(self.journal);
        let (mut at, mut whole) = (0, true);
        for (part, found) in self.walk() {
            while at < part {
                findings.extend(self.index(at, whole.then_some(&table)));
                (at, whole, table) = (at + 1, true, Table::new(self.journal));
            }
            match found {
                Ok(piece) => {
                    see(&mut ids, &piece.record);
                    let offset = u32::try_from(piece.offset).map_err(|_| "it stands too far back");
                    let added = offset.and_then(|offset| table.add(offset, Entry::from(&piece.record)));
                    if let Err(what) = added
                        && whole
                    {
                        let what = format!("a record does not fit: {what}");
                        let place = self.disk.place(&self.parts[at].name);
                        let fault = Fault::new(what, place, RESTORE).at(piece.offset);
                        findings.push(Finding { kind: Kind::Damage, fault });
                        whole = false;
                    }
                }
                Err(finding) => {
                    whole = false;
                    findings.push(finding);
                }
            }
        }
        for part in at..self.parts.len() {
            findings.extend(self.index(part, (whole && part == at).then_some(&table)));
        }
        let mut snapshots = 0;
        for found in self.snapshots() {
            match found {
                Ok((name, snapshot, _)) => {
                    snapshots += 1;
                    findings.extend(self.ahead(&name, &snapshot, &ids));
                }
                Err(finding) => findings.push(finding),
            }
        }
        let streams = ids.iter().map(|(id, seen)| (id.clone(), Stream::from(seen))).collect();
        Report { findings, streams, segments: self.parts.len(), snapshots }
    }

    /// What is wrong with the index of a segment, of which `table` says what stands where if it is whole.
    fn index(&self, part: usize, table: Option<&Table>) -> Option<Finding> {
        let part = &self.parts[part];
        let name = index_name(part.number);
        let bytes = match self.disk.whole(&name) {
            Ok(bytes) => bytes?,
            Err(error) => return Some(self.finding(Kind::Damage, &name, error, DEVICE)),
        };
        let damaged = |what: String, offset: usize| {
            let Finding { fault, .. } = self.finding(Kind::Damage, &name, what, REBUILT);
            Some(Finding { kind: Kind::Damage, fault: fault.at(offset as u64) })
        };
        if let Some((offset, damage)) = index::damaged_page(&bytes, self.journal) {
            return damaged(format!("a page of the index is damaged: {damage}"), offset);
        }
        let (header, end, table) = (part.header?, part.end?, table?);
        let (first, last) = (header.first, header.last);
        let subject = Subject { journal: self.journal, first, last, end: end.at, chain: end.chain };
        let expected = index::encode(table, &subject);
        let head = index::SUBJECT_BYTES;
        if bytes.len() >= head && bytes[..head] != expected[..head] {
            let what = "it belongs to what the segment was before";
            return Some(self.finding(Kind::Note, &name, what, REBUILT));
        }
        let shorter = expected.len().min(bytes.len());
        let differs = expected.iter().zip(&bytes).position(|(a, b)| a != b);
        let offset = differs.or_else(|| (expected.len() != bytes.len()).then_some(shorter))?;
        damaged("the index does not say what its segment says".to_owned(), offset)
    }

    /// Every snapshot with its name and its bytes, or what is wrong with it.
    pub(crate) fn snapshots(
        &self,
    ) -> impl Iterator<Item = Result<(String, Snapshot, bytes::Bytes), Finding>> {
        let folders = (0..=255_u8).map(|folder| format!("snapshots/{folder:02x}"));
        folders.flat_map(move |folder| {
            // One that is not there holds nothing.
            let names = self.disk.list(&folder).unwrap_or_default();
            names.into_iter().map(move |name| self.snapshot(format!("{folder}/{name}")))
        })
    }

    fn snapshot(&self, name: String) -> Result<(String, Snapshot, bytes::Bytes), Finding> {
        if name.strip_suffix(".snap").is_none() {
            let what = "the file is no snapshot, or one that was not finished";
            return Err(self.finding(Kind::Note, &name, what, IGNORED));
        }
        let bytes = match self.disk.whole(&name) {
            Ok(bytes) => bytes::Bytes::from(bytes.unwrap_or_default()),
            Err(error) => return Err(self.finding(Kind::Damage, &name, error, DEVICE)),
        };
        let decoded = snapshots::decode(&bytes);
        let named = decoded.and_then(|snapshot| {
            let named = snapshots::is_named_after(&name, &snapshot.id);
            if named { Ok(snapshot) } else { Err(Damage::Field("it has the name of another id")) }
        });
        match named {
            Ok(snapshot) => Ok((name, snapshot, bytes)),
            Err(damage) => {
                let kind = if matches!(damage, Damage::Newer(_)) { Kind::Newer } else { Kind::Damage };
                let finding = self.finding(kind, &name, format!("a snapshot is damaged: {damage}"), IGNORED);
                Err(Finding { kind, fault: finding.fault.at(0) })
            }
        }
    }

    /// Whether a snapshot is of an event that is not there. In a journal that is being written it may just be younger than what was read.
    pub(crate) fn ahead(&self, name: &str, snapshot: &Snapshot, ids: &Ids) -> Option<Finding> {
        let (sequence, head) = (snapshot.sequence.get(), ids.get(&snapshot.id).map_or(0, Seen::head));
        let what =
            format!("a snapshot of `{}` is of event {sequence}, and the events end at {head}", snapshot.id);
        let kind = if self.live { Kind::Note } else { Kind::Damage };
        (sequence > head).then(|| self.finding(kind, name, what, AHEAD))
    }
}

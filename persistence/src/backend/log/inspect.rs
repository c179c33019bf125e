//! Is a journal whole, and if not, what of it is, and what is to be done?
//!
//! For people who look at the files of a journal, whatever happened to them. [`inspect()`] opens a journal to look at it and changes nothing:
//! it holds the lock when it is free, and does without when somebody has the journal open. [`Inspection::check`] verifies every byte;
//! [`Inspection::events`] gives what is intact; [`repair`](Inspection::repair) copies that.
//!
//! # Invariants
//!
//! * No file is written, created, renamed or removed in the folder that is looked at.
//! * Nothing is given out that does not match its checksum.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::checkpoint::{self, Checkpoint};
use super::format::{Damage, Identity, NEWER, SegmentHeader};
use super::leases;
use super::open::{IDENTITY, LOCK};
use super::record::Record;
use super::remains::Seen;
use super::salvage::{End, Part, Walk};
use super::segment::{DEVICE, RESTORE, file_name};
use super::walk;
use crate::backend::Fault;
use crate::disk::Disk;
use crate::id::{PersistenceId, Slices};
use crate::recorded::Recorded;

const WITNESS: &str = "Delete the file: it is written anew, and only says how far the journal was durable";
const LEFTOVER: &str = "Nothing: it is removed when the journal is opened";
const STRANGE: &str = "Move it elsewhere, or leave it: no journal reads it";

/// How much a [`Finding`] weighs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Worth knowing, and nothing is lost: what a crash leaves behind, or a file that is not the journal's.
    Note,
    /// Bytes are not as they were written, or missing.
    Damage,
    /// Written by a newer version, and not looked at.
    Newer,
}

/// Something that was found: what, in which file, at which byte, and what to do.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How much it weighs.
    pub kind: Kind,
    /// What it is.
    pub fault: Fault,
}

/// An event that is intact, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Located {
    /// The event.
    pub recorded: Recorded,
    /// The file.
    pub file: String,
    /// The byte of the file where its record starts.
    pub offset: u64,
}

/// The events of one id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stream {
    /// The sequence of the last event of its history, deleted or not.
    pub highest: u64,
    /// How many events can be read: those that are not deleted, up to the first one that is missing.
    pub events: u64,
    /// Up to which sequence events are deleted; 0 when none are.
    pub deleted: u64,
    /// How many bytes the payloads of all its events have that are in the files.
    pub bytes: u64,
    /// What cannot be read though it was written.
    pub lost: Vec<Lost>,
}

/// Events that do not belong to the history of an id any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lost {
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
    /// Whether they are intact themselves, but events before them are missing: a history has no gaps.
    pub intact: bool,
}

/// What [`Inspection::check`] found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Everything that is not as it should be, or worth knowing.
    pub findings: Vec<Finding>,
    /// Every id of which anything is left.
    pub streams: BTreeMap<PersistenceId, Stream>,
    /// How many segments there are.
    pub segments: usize,
    /// How many snapshots are intact.
    pub snapshots: usize,
}

impl Report {
    /// Whether every byte is as it was written: there may be notes, but no damage and nothing of a newer version.
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.kind == Kind::Note)
    }
}

/// A journal that is looked at. See [the module](self).
pub struct Inspection {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) journal: u64,
    pub(crate) slices: Option<Slices>,
    pub(crate) parts: Vec<Part>,
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The file of the leases, if it is intact.
    pub(crate) leases: Option<Vec<u8>>,
    pub(crate) live: bool,
    /// What opening it found.
    pub(crate) findings: Vec<Finding>,
    _lock: Option<Box<dyn Send + Sync>>,
}

/// Opens the journal in the folder `disk` to look at it, for instance a [`Real::read_only`](crate::disk::real::Real::read_only). Blocks while it reads.
///
/// The lock is held until the inspection is dropped, so that nobody writes meanwhile; when somebody has it already, it is done without, and
/// [`is_live`](Inspection::is_live) says so.
///
/// # Errors
///
/// A [`Fault`] when the folder cannot be read or holds nothing of a journal.
pub fn inspect(disk: impl Disk) -> Result<Inspection, Fault> {
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let failed = |error: io::Error| Fault::new(error, disk.place(""), DEVICE);
    // Who has no right to lock a file, or finds none, looks all the same.
    let (lock, live) = match disk.lock(LOCK) {
        Ok(lock) => (Some(lock), false),
        Err(error) => (None, error.kind() == io::ErrorKind::WouldBlock),
    };
    let names = disk.list("").map_err(failed)?;
    let numbers: Vec<u32> = names.iter().filter_map(|name| number(name)).collect();
    if numbers.is_empty() && !names.iter().any(|name| name == IDENTITY) {
        let what = "there is no journal in this folder: no file `journal` and no segment";
        return Err(Fault::new(what, disk.place(""), "Name the folder of a journal"));
    }
    let mut inspection = Inspection {
        disk: Arc::clone(&disk),
        journal: 0,
        slices: None,
        parts: Vec::new(),
        checkpoint: None,
        leases: None,
        live,
        findings: Vec::new(),
        _lock: lock,
    };
    let identity = inspection.identity();
    inspection.heads(&numbers, identity.map(|identity| identity.journal));
    inspection.witness();
    inspection.leases();
    inspection.ends();
    inspection.strangers(&names);
    Ok(inspection)
}

impl Inspection {
    /// Whether somebody has the journal open. Then what is found is a moment's view: the end may look torn, and files may be on their way.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// How many slices the journal has, if the file that says so is intact.
    pub fn slices(&self) -> Option<Slices> {
        self.slices
    }

    /// The events that are intact, in the order in which they stand, with findings where something is damaged. Deleted ones are among them until
    /// their space is given back. At most one batch is held in memory.
    pub fn events(&self) -> impl Iterator<Item = Result<Located, Finding>> {
        self.walk().filter_map(|(part, found)| match found {
            Ok(piece) => match piece.record {
                Record::Event { recorded, .. } => {
                    let file = self.disk.place(&self.parts[part].name);
                    Some(Ok(Located { recorded, file, offset: piece.offset }))
                }
                _ => None,
            },
            Err(finding) => Some(Err(finding)),
        })
    }

    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk::new(self)
    }

    pub(crate) fn finding(
        &self,
        kind: Kind,
        name: &str,
        what: impl std::fmt::Display,
        advice: &'static str,
    ) -> Finding {
        Finding { kind, fault: Fault::new(what, self.disk.place(name), advice) }
    }

    fn note(
        &mut self,
        kind: Kind,
        name: &str,
        what: impl std::fmt::Display,
        offset: u64,
        advice: &'static str,
    ) {
        let Finding { fault, .. } = self.finding(kind, name, what, advice);
        self.findings.push(Finding { kind, fault: fault.at(offset) });
    }

    /// Notes damage, which a newer version is not.
    fn damaged(&mut self, name: &str, damage: Damage, advice: &'static str) {
        match damage {
            Damage::Newer(_) => self.note(Kind::Newer, name, damage, 8, NEWER),
            _ => self.note(Kind::Damage, name, damage, 0, advice),
        }
    }

    fn identity(&mut self) -> Option<Identity> {
        let bytes = match self.disk.whole(IDENTITY) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.note(Kind::Damage, IDENTITY, "the file is missing", 0, RESTORE);
                return None;
            }
            Err(error) => {
                self.note(Kind::Damage, IDENTITY, error, 0, DEVICE);
                return None;
            }
        };
        let slices = |identity: Identity| match Slices::new(identity.slices) {
            Some(slices) => Ok((identity, slices)),
            None => Err(Damage::Field("the number of slices is impossible")),
        };
        match Identity::decode(&bytes).and_then(slices) {
            Ok((identity, slices)) => {
                self.slices = Some(slices);
                Some(identity)
            }
            Err(damage) => {
                self.damaged(IDENTITY, damage, RESTORE);
                None
            }
        }
    }

    /// The heads of all segments. Without the file `journal`, the first segment says which journal it is.
    fn heads(&mut self, numbers: &[u32], mut journal: Option<u64>) {
        let mut next = 1;
        for &number in numbers {
            let name = file_name(number);
            if number < next {
                self.note(
                    Kind::Note,
                    &name,
                    "another segment stands for it since it was rewritten",
                    0,
                    LEFTOVER,
                );
                continue;
            }
            let file = self.disk.open(&name);
            let (file, header) = match file.and_then(|file| Ok((Arc::clone(&file), walk::header(&file)?))) {
                Ok(read) => read,
                Err(error) => {
                    self.note(Kind::Damage, &name, error, 0, DEVICE);
                    continue;
                }
            };
            if number > next {
                self.missing(next, number - 1);
            }
            next = number + 1;
            let header = match header {
                Ok(header) if header.first != number => {
                    let what = Damage::Field("the file has the name of another segment");
                    self.damaged(&name, what, RESTORE);
                    continue;
                }
                Ok(header) if header.journal != *journal.get_or_insert(header.journal) => {
                    let what = Damage::Field("the segment belongs to another journal");
                    self.damaged(&name, what, "Move it elsewhere, and restore the segment that belongs here");
                    continue;
                }
                Ok(header) => Some(header),
                Err(damage) => {
                    self.damaged(&name, damage, RESTORE);
                    if matches!(damage, Damage::Newer(_)) {
                        continue;
                    }
                    None
                }
            };
            next = header.map_or(next, |header| header.last.saturating_add(1));
            self.parts.push(Part { number, name, file, header, end: None, last: false });
        }
        if numbers.is_empty() {
            self.missing(1, 1);
        }
        self.journal = journal.unwrap_or_default();
    }

    fn missing(&mut self, from: u32, to: u32) {
        for number in from..=to {
            self.note(Kind::Damage, &file_name(number), "the segment is missing", 0, RESTORE);
        }
    }

    fn witness(&mut self) {
        match self.disk.whole(checkpoint::NAME) {
            Ok(None) => {}
            Ok(Some(bytes)) => match Checkpoint::decode(&bytes) {
                Ok(checkpoint) if checkpoint.journal == self.journal => self.checkpoint = Some(checkpoint),
                Ok(_) => {
                    self.damaged(checkpoint::NAME, Damage::Field("it belongs to another journal"), WITNESS);
                }
                Err(damage) => self.damaged(checkpoint::NAME, damage, WITNESS),
            },
            Err(error) => self.note(Kind::Damage, checkpoint::NAME, error, 0, DEVICE),
        }
    }

    fn leases(&mut self) {
        match self.disk.whole(leases::NAME) {
            Ok(None) => {}
            Ok(Some(bytes)) => match leases::decode(&bytes) {
                Ok((journal, _)) if journal == self.journal => self.leases = Some(bytes),
                Ok(_) => {
                    let what = Damage::Field("the leases belong to another journal");
                    self.damaged(leases::NAME, what, leases::ADVICE);
                }
                Err(damage) => self.damaged(leases::NAME, damage, leases::ADVICE),
            },
            Err(error) => self.note(Kind::Damage, leases::NAME, error, 0, DEVICE),
        }
    }

    /// Where each segment ends, as the next one says, and whether they follow each other.
    fn ends(&mut self) {
        let Some(last) = self.parts.last_mut() else { return };
        last.last = true;
        let behind = last.header.map_or(last.number, |header| header.last);
        let rewritten = last.header.is_some_and(|header| header.rewritten.is_some());
        let promised = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.segment);
        // What was rewritten was full, so there was one behind it.
        let there_was = promised.max(if rewritten { behind + 1 } else { 0 });
        let heads: Vec<Option<SegmentHeader>> = self.parts.iter().map(|part| part.header).collect();
        let mut broken = Vec::new();
        for (part, next) in self.parts.iter_mut().zip(heads[1..].iter().copied().chain([None])) {
            let Some(header) = part.header else { continue };
            let next = next.filter(|next| next.first == header.last + 1);
            part.end = match header.rewritten {
                Some(own) => Some(End { at: own.end, chain: own.chain }),
                None => next.map(|next| End { at: next.previous_end, chain: next.previous_chain }),
            };
            if let (Some(own), Some(next)) = (header.rewritten, next)
                && (own.original_chain, own.next_batch) != (next.previous_chain, next.batch)
            {
                broken.push(file_name(next.first));
            }
        }
        for name in broken {
            let what = "it does not follow the segment before it";
            self.note(Kind::Damage, &name, what, 20, RESTORE);
        }
        self.missing(behind + 1, there_was);
    }

    /// What is no part of a journal.
    fn strangers(&mut self, names: &[String]) {
        for name in names {
            let index =
                name.strip_suffix(".idx").is_some_and(|stem| number(&format!("{stem}.log")).is_some());
            if name.strip_suffix(".new").is_some() {
                self.note(Kind::Note, name, "the file was not finished", 0, LEFTOVER);
            } else if !index
                && number(name).is_none()
                && ![IDENTITY, LOCK, checkpoint::NAME, leases::NAME].contains(&name.as_str())
            {
                self.note(Kind::Note, name, "the file is no part of a journal", 0, STRANGE);
            }
        }
    }
}

/// The number of a segment's file.
fn number(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".log")?.parse().ok()?;
    (number > 0 && file_name(number) == name).then_some(number)
}

impl From<&Seen> for Stream {
    fn from(seen: &Seen) -> Self {
        let lost = |left: super::remains::Left| Lost { from: left.from, to: left.to, intact: left.intact };
        Self {
            highest: seen.head(),
            events: seen.events(),
            deleted: seen.floor,
            bytes: seen.bytes,
            lost: seen.left().into_iter().map(lost).collect(),
        }
    }
}

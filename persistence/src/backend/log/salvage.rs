//! What in the segments is intact, whatever happened to the rest?
//!
//! The same checks as when a journal is opened, but a break ends nothing: it is noted, and the walk goes on at the next batch whose head is
//! whole. In a batch whose body is damaged each record is checked alone. Nothing is searched for inside a record, where anybody can write anything.
//!
//! # Invariants
//!
//! * What is given out was checked against its checksum.
//! * Between two records that do not follow each other stands a finding.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{BATCH_BYTES, BatchHeader, Damage, SEGMENT_BYTES, SegmentHeader};
use super::inspect::{Finding, Inspection, Kind};
use super::record::{self, Record};
use super::scan::{Next, Scan};
use super::segment::{DEVICE, RESTORE};
use super::walk::{later, records, unreadable};
use crate::backend::{Fault, ReadError};
use crate::disk::DiskFile;

const TORN: &str = "Nothing: it was never acknowledged, and is cut when the journal is opened";

/// A segment as it was found.
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Its header, if that is intact.
    pub(crate) header: Option<SegmentHeader>,
    /// Where it ends, if anybody says so.
    pub(crate) end: Option<End>,
    /// Whether it is the one that is written.
    pub(crate) last: bool,
}

/// Where a segment ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct End {
    pub(crate) at: u64,
    pub(crate) chain: u32,
}

/// A record that is intact.
pub(crate) struct Piece {
    /// The number of its batch.
    pub(crate) batch: u64,
    pub(crate) offset: u64,
    pub(crate) record: Record,
}

/// A walk through all segments.
pub(crate) struct Walk<'a> {
    inspection: &'a Inspection,
    at: usize,
    scan: Option<Scan>,
    out: VecDeque<(usize, Result<Piece, Finding>)>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(inspection: &'a Inspection) -> Self {
        Self { inspection, at: 0, scan: None, out: VecDeque::new() }
    }

    fn found(&mut self, kind: Kind, what: impl std::fmt::Display, offset: u64, advice: &'static str) {
        let place = self.inspection.disk.place(&self.inspection.parts[self.at].name);
        let fault = Fault::new(what, place, advice).at(offset);
        self.out.push_back((self.at, Err(Finding { kind, fault })));
    }

    fn end_part(&mut self) {
        (self.at, self.scan) = (self.at + 1, None);
    }

    /// Reads the next batch, or looks for where it goes on.
    fn step(&mut self, part: &Part, journal: u64) -> io::Result<()> {
        let mut scan = match (self.scan, &part.header) {
            (Some(scan), _) => scan,
            (None, Some(header)) => Scan::new(header),
            // Its head is gone, which is known already: the first whole batch will do.
            (None, None) => return self.resume(part, Scan::new(&unknown(part.number, journal))),
        };
        if let Some(end) = part.end.filter(|end| scan.at >= end.at) {
            if (scan.at, scan.chain) != (end.at, end.chain) {
                self.found(Kind::Damage, "the next segment does not follow its last batch", scan.at, RESTORE);
            }
            self.end_part();
            return Ok(());
        }
        let at = scan.at;
        let next = scan.next(&part.file.bytes(at, BATCH_BYTES)?);
        let damage = match next {
            Next::Batch(batch) => {
                let body: Bytes = part.file.bytes(at + BATCH_BYTES as u64, batch.body as usize)?.into();
                match scan.body(&batch, &body) {
                    Ok(()) => {
                        self.take(&batch, &body, at);
                        self.scan = Some(scan);
                        return Ok(());
                    }
                    Err(damage) if self.torn(part, &scan)? => return self.cut(part, at, Some(damage)),
                    Err(damage) => {
                        let what =
                            format!("a batch is damaged: {damage}; records in it that are intact count");
                        self.found(Kind::Damage, what, at, RESTORE);
                        self.take(&batch, &body, at);
                        let behind = at + (BATCH_BYTES + body.len()) as u64;
                        if part.end.is_some_and(|end| end.at == behind) {
                            self.end_part(); // it was the last one
                            return Ok(());
                        }
                        return self.resume(part, scan);
                    }
                }
            }
            Next::Nothing => None,
            Next::Broken(damage) => Some(damage),
        };
        if self.torn(part, &scan)? {
            return self.cut(part, at, damage);
        }
        let why =
            damage.map_or_else(|| "zeros stand where a batch was".to_owned(), |damage| damage.to_string());
        self.found(Kind::Damage, format!("a batch is damaged: {why}"), at, RESTORE);
        self.resume(part, scan)
    }

    /// Whether a break here is what a crash leaves, and not damage.
    fn torn(&self, part: &Part, scan: &Scan) -> io::Result<bool> {
        let promised = self.inspection.checkpoint.as_ref().is_some_and(|checkpoint| {
            checkpoint.segment == part.number && (checkpoint.end > scan.at || checkpoint.number > scan.number)
        });
        Ok(part.end.is_none() && part.header.is_some() && !promised && find(part, scan)?.is_none())
    }

    /// The end of a segment of which nothing says where it ends.
    fn cut(&mut self, part: &Part, at: u64, damage: Option<Damage>) -> io::Result<()> {
        let bytes = rest(part, at)?;
        if bytes > 0 {
            let why = damage.map_or_else(|| "zeros stand there".to_owned(), |damage| damage.to_string());
            let live = if self.inspection.live { ", or is being written" } else { "" };
            let what = format!("{bytes} bytes behind the last whole batch were torn by a crash{live}: {why}");
            let (kind, advice) = if part.last { (Kind::Note, TORN) } else { (Kind::Damage, RESTORE) };
            self.found(kind, what, at, advice);
        }
        self.end_part();
        Ok(())
    }

    /// Goes on at the next batch whose head is whole.
    fn resume(&mut self, part: &Part, mut scan: Scan) -> io::Result<()> {
        let next = find(part, &scan)?.filter(|(at, _)| part.end.is_none_or(|end| *at < end.at));
        if let Some((at, header)) = next {
            scan.resume(at, &header);
            self.scan = Some(scan);
        } else {
            let what = "no whole batch stands in the segment from here on";
            self.found(Kind::Damage, what, scan.at, RESTORE);
            self.end_part();
        }
        Ok(())
    }

    /// Takes the records of a batch.
    fn take(&mut self, batch: &BatchHeader, body: &Bytes, at: u64) {
        let start = at + BATCH_BYTES as u64;
        let (mut skipped, mut left) = (0, batch.records);
        while left > 0 {
            let mut damaged = None;
            for found in records(&BatchHeader { records: left, ..*batch }, &body.slice(skipped..)) {
                match found {
                    Ok((within, record)) => {
                        let offset = start + (skipped + within) as u64;
                        left -= 1;
                        let piece = Piece { batch: batch.number, offset, record };
                        self.out.push_back((self.at, Ok(piece)));
                    }
                    Err(damage) => {
                        damaged = Some(damage);
                        break;
                    }
                }
            }
            let Some((within, damage)) = damaged else { return };
            let from = skipped + within;
            self.found(Kind::Damage, format!("a record is damaged: {damage}"), start + from as u64, RESTORE);
            left -= 1;
            // Its length may be what is damaged. It is believed when an intact record follows there.
            let length = record::length(&body.slice(from.min(body.len())..)).unwrap_or(usize::MAX);
            skipped = from.saturating_add(length);
            if left > 0 && (skipped >= body.len() || record::decode(&body.slice(skipped..)).is_err()) {
                let what = format!("{left} more records of the batch cannot be told apart");
                return self.found(Kind::Damage, what, start + from as u64, RESTORE);
            }
        }
    }
}

impl Iterator for Walk<'_> {
    /// In which of the parts, and what.
    type Item = (usize, Result<Piece, Finding>);

    fn next(&mut self) -> Option<Self::Item> {
        let inspection = self.inspection;
        loop {
            if let Some(item) = self.out.pop_front() {
                return Some(item);
            }
            let part = inspection.parts.get(self.at)?;
            if let Err(error) = self.step(part, inspection.journal) {
                let at = self.scan.map_or(SEGMENT_BYTES as u64, |scan| scan.at);
                self.found(Kind::Damage, error, at, DEVICE);
                self.end_part();
            }
        }
    }
}

/// A header that says nothing.
fn unknown(first: u32, journal: u64) -> SegmentHeader {
    let (last, batch, previous_end, previous_chain) = (first, 0, 0, 0);
    SegmentHeader { journal, first, last, batch, previous_end, previous_chain, rewritten: None }
}

/// The next batch whose head is whole.
fn find(part: &Part, scan: &Scan) -> io::Result<Option<(u64, BatchHeader)>> {
    let read = |at, size| part.file.bytes(at, size).map_err(|error| unreadable(&part.name, at, &error));
    let found =
        later(scan, &read).map_err(|error: ReadError| io::Error::other(error.fault().what().to_owned()))?;
    let Some(at) = found else { return Ok(None) };
    let header = scan.head(&part.file.bytes(at, BATCH_BYTES)?);
    Ok(header.map(|header| (at, header)))
}

/// How many bytes behind `from` are not zero, counted up to the last of them.
fn rest(part: &Part, from: u64) -> io::Result<u64> {
    let (mut at, mut last) = (from, from);
    loop {
        let window = part.file.bytes(at, 1 << 20)?;
        if let Some(found) = window.iter().rposition(|byte| *byte != 0) {
            last = at + found as u64 + 1;
        }
        if window.is_empty() {
            return Ok(last - from);
        }
        at += window.len() as u64;
    }
}

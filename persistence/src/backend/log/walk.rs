//! What does a segment hold, read from end to end, and where does it end?
//!
//! `scan` decides what is valid; this file reads for it. When the chain breaks, the rest of the file is searched for a batch that is whole:
//! one there says that the middle is damaged.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{BATCH_BYTES, BatchHeader, Damage, SEGMENT_BYTES, SegmentHeader};
use super::record::{self, Record};
use super::scan::{Next, Scan};
use super::segment::{DEVICE, RESTORE, file_name};
use super::store::Context;
use super::table::{Entry, Table};
use crate::backend::{Fault, ReadError};
use crate::disk::DiskFile;

/// How many bytes of the rest of a segment are searched at a time.
const SEARCH: usize = 1 << 20;

/// What was found in a segment read from end to end.
pub(crate) struct Scanned {
    pub(crate) scan: Scan,
    pub(crate) table: Table,
    /// Where the last batch starts.
    pub(crate) last: Option<u64>,
    /// Why it does not go on, when something stands there.
    pub(crate) broken: Option<Damage>,
}

/// Where a walk ended.
pub(crate) struct Walked {
    pub(crate) scan: Scan,
    pub(crate) last: Option<u64>,
    pub(crate) broken: Option<Damage>,
}

/// Reads a segment up to `end`, or to where it breaks.
pub(crate) fn scan(
    context: &Context,
    file: &Arc<dyn DiskFile>,
    header: &SegmentHeader,
    end: Option<u64>,
) -> Result<Scanned, ReadError> {
    let mut table = Table::new(header.journal);
    let place = context.disk.place(&file_name(header.first));
    let Walked { scan, last, broken } = walk(context, file, header, end, &mut |offset, record| {
        table.add(offset, Entry::from(&record)).map_err(|what| {
            ReadError::Corrupt(
                Fault::new(format!("a record does not fit: {what}"), &place, RESTORE).at(offset.into()),
            )
        })
    })?;
    Ok(Scanned { scan, table, last, broken })
}

pub(crate) fn walk(
    context: &Context,
    file: &Arc<dyn DiskFile>,
    header: &SegmentHeader,
    end: Option<u64>,
    each: &mut dyn FnMut(u32, Record) -> Result<(), ReadError>,
) -> Result<Walked, ReadError> {
    let place = context.disk.place(&file_name(header.first));
    let read = |at: u64, size: usize| file.bytes(at, size).map_err(|error| unreadable(&place, at, &error));
    let corrupt = |what: String, at: u64| ReadError::Corrupt(Fault::new(what, &place, RESTORE).at(at));
    let (mut scan, mut last) = (Scan::new(header), None);
    let broken = loop {
        if end.is_some_and(|end| scan.at >= end) {
            return Ok(Walked { scan, last, broken: None });
        }
        let at = scan.at;
        let batch = match scan.next(&read(at, BATCH_BYTES)?) {
            Next::Batch(batch) => batch,
            Next::Nothing => break None,
            Next::Broken(damage) => break Some(damage),
        };
        let body: Bytes = read(at + BATCH_BYTES as u64, batch.body as usize)?.into();
        if let Err(damage) = scan.body(&batch, &body) {
            break Some(damage);
        }
        for record in records(&batch, &body) {
            let start = at + BATCH_BYTES as u64;
            let (within, record) = record.map_err(|(within, damage)| {
                corrupt(format!("a record in a whole batch makes no sense: {damage}"), start + within as u64)
            })?;
            let offset = u32::try_from(start + within as u64)
                .map_err(|_| corrupt("the segment is too long".to_owned(), at))?;
            each(offset, record)?;
        }
        last = Some(at);
    };
    if let Some(later) = later(&scan, &read)? {
        let what = format!("a batch is damaged, and another one stands behind it at byte {later}");
        return Err(corrupt(what, scan.at));
    }
    Ok(Walked { scan, last, broken })
}

/// The records of a batch, each with its place in the body.
pub(crate) fn records(
    batch: &BatchHeader,
    body: &Bytes,
) -> impl Iterator<Item = Result<(usize, Record), (usize, Damage)>> {
    let (body, mut at) = (body.clone(), 0);
    (0..batch.records).map(move |_| {
        let (record, length) = record::decode_behind(&body, at, None).map_err(|damage| (at, damage))?;
        at += length;
        Ok((at - length, record))
    })
}

/// Where a whole batch stands behind the place where the chain breaks.
pub(crate) fn later(
    scan: &Scan,
    read: &dyn Fn(u64, usize) -> Result<Vec<u8>, ReadError>,
) -> Result<Option<u64>, ReadError> {
    let mut at = scan.at;
    loop {
        let window = read(at, SEARCH + BATCH_BYTES)?;
        if let Some(found) = scan.later(&window) {
            return Ok(Some(at + found as u64));
        }
        if window.len() < SEARCH + BATCH_BYTES {
            return Ok(None);
        }
        at += SEARCH as u64;
    }
}

/// How many bytes behind `from` are not zero, counted up to the last of them.
pub(crate) fn rest(
    context: &Context,
    file: &Arc<dyn DiskFile>,
    first: u32,
    from: u64,
) -> Result<u64, ReadError> {
    let place = context.disk.place(&file_name(first));
    let (mut at, mut last) = (from, from);
    loop {
        let window = file.bytes(at, SEARCH).map_err(|error| unreadable(&place, at, &error))?;
        if let Some(found) = window.iter().rposition(|byte| *byte != 0) {
            last = at + found as u64 + 1;
        }
        if window.len() < SEARCH {
            return Ok(last - from);
        }
        at += SEARCH as u64;
    }
}

/// The header of the segment in `file`.
pub(crate) fn header(file: &Arc<dyn DiskFile>) -> io::Result<Result<SegmentHeader, Damage>> {
    Ok(SegmentHeader::decode(&file.bytes(0, SEGMENT_BYTES)?))
}

/// Something could not be read at all.
pub(crate) fn unreadable(place: &str, offset: u64, error: &io::Error) -> ReadError {
    ReadError::Unavailable(Fault::new(error, place, DEVICE).at(offset))
}

//! How does a journal come back, whatever happened to its folder?
//!
//! The lock first. Then the head of every segment says which there are; those before the last one end where the next one says. The last one is
//! checked batch by batch. What was torn at its end is cut, and said; anything else that is damaged is refused with the file, the place and what to do.
//!
//! # Invariants
//!
//! * No segment is changed before everything was checked.
//! * What is handed out as the journal is durable: the last batch, which may never have been synced, is written again and synced.

use std::io;
use std::sync::Arc;

use super::checkpoint::{self, Checkpoint, Dead};
use super::form::Lanes;
use super::format::{Damage, Identity, NEWER, Rewritten, SEGMENT_BYTES, SegmentHeader};
use super::leases;
use super::owned::{Held, Owned};
use super::segment::{RESTORE, Segment, file_name, index_name};
use super::store::{Context, Store};
use super::walk;
use super::writer::{Tail, Writer};
use super::{Options, TornEnd};
use crate::backend::{Fault, ReadError};
use crate::disk::{Disk, DiskFile};
use crate::id::Slices;

pub(crate) const LOCK: &str = "lock";
pub(crate) const IDENTITY: &str = "journal";
const RIGHTS: &str = "Give this process the right to read and write the folder and its files, then try again";
const OWN_FOLDER: &str = "Choose a folder of its own for the journal";

/// Why a journal could not be opened. Nothing that holds events was changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Somebody has it open, in this process or another.
    #[error("the journal is in use")]
    Locked(#[source] Fault),
    /// The folder or the servers hold something else, or not all of this journal.
    #[error("that is not the place of this journal")]
    Foreign(#[source] Fault),
    /// It was written by a newer version.
    #[error("the journal has a newer format")]
    Newer(#[source] Fault),
    /// What was written is damaged, and not at the end alone.
    #[error("the journal is damaged")]
    Corrupt(#[source] Fault),
    /// The folder, a file or a server cannot be read or written.
    #[error("the journal cannot be opened")]
    Unavailable(#[source] Fault),
}

impl OpenError {
    /// What is wrong, where, and what to do.
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Locked(fault)
            | Self::Foreign(fault)
            | Self::Newer(fault)
            | Self::Corrupt(fault)
            | Self::Unavailable(fault) => fault,
        }
    }
}

/// A journal as it was found.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) tail: Tail,
    pub(crate) lanes: Lanes,
    pub(crate) torn: Option<TornEnd>,
    pub(crate) held: Arc<Held>,
    pub(crate) dead: Vec<Dead>,
    /// The last segment is not to be written to: a new one has to say where it ends.
    pub(crate) broken: Option<Fault>,
}

struct Found {
    header: SegmentHeader,
    file: Arc<dyn DiskFile>,
}

/// Opens the journal in `disk`, or creates it.
pub(crate) fn open(disk: Arc<dyn Disk>, options: &Options) -> Result<Opened, OpenError> {
    let lock = disk.lock(LOCK).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked(Fault::new(
            "somebody has this journal open",
            disk.place(LOCK),
            "Stop the other program, or choose another folder",
        )),
        _ => unavailable(&*disk, LOCK, &error),
    })?;
    let held = Held::new(lock);
    let names = disk.list("").map_err(|error| unavailable(&*disk, "", &error))?;
    let identity = match disk.whole(IDENTITY).map_err(|error| unavailable(&*disk, IDENTITY, &error))? {
        Some(bytes) => Identity::decode(&bytes).map_err(|damage| refused(&*disk, IDENTITY, damage, 0))?,
        None => create(&*disk, &names, options)?,
    };
    let slices = Slices::new(identity.slices)
        .ok_or_else(|| refused(&*disk, IDENTITY, Damage::Field("the number of slices is impossible"), 0))?;
    let of = (identity.journal, slices);
    let context = Arc::new(Context::new(disk, of, Owned::by(&held), options.filter_bytes));
    let (found, covered) = find(&context)?;
    let checkpoint = witness(&context)?;
    // A name that the process before made and did not sync would go with the power, and what is written to its file from now on with it.
    context.disk.sync_folder("").map_err(|error| unavailable(&*context.disk, "", &error))?;
    let opened = recover(&context, found, checkpoint, held)?;
    // Files that were never finished carry their name only once they are. Now it is known that they are ours.
    for name in names.iter().filter(|name| unfinished(name)) {
        // What cannot be removed now is removed the next time.
        let _ = context.disk.remove(name);
    }
    for number in covered {
        // What cannot be removed now is removed the next time.
        let _ = context.disk.remove(&file_name(number));
        let _ = context.disk.remove(&index_name(number));
    }
    Ok(opened)
}

/// Creates an empty journal: a segment first, so that a journal without one is known to have lost it.
fn create(disk: &dyn Disk, names: &[String], options: &Options) -> Result<Identity, OpenError> {
    let first = file_name(1);
    let ours = |name: &String| *name == LOCK || *name == first || unfinished(name);
    if let Some(other) = names.iter().find(|name| !ours(name)) {
        let what =
            "the folder holds other things, and no file `journal` which would say that it is a journal";
        return Err(OpenError::Foreign(Fault::new(what, disk.place(other), OWN_FOLDER)));
    }
    // A first segment without a journal is what a crash leaves here, unless there is something in it.
    if let Some(bytes) = disk.whole(&first).map_err(|error| unavailable(disk, &first, &error))?
        && bytes.iter().skip(SEGMENT_BYTES).any(|byte| *byte != 0)
    {
        return Err(refused(disk, IDENTITY, Damage::Field("the file is missing, but there is a segment"), 0));
    }
    let identity = Identity { journal: options.identity, slices: options.slices.get() };
    let header = SegmentHeader {
        journal: identity.journal,
        first: 1,
        last: 1,
        batch: 1,
        previous_end: 0,
        previous_chain: 0,
        rewritten: None,
    };
    let made = disk.replace("", &first, &header.encode());
    made.map_err(|error| unavailable(disk, &first, &error))?;
    let made = disk.replace("", IDENTITY, &identity.encode());
    made.map_err(|error| unavailable(disk, IDENTITY, &error))?;
    Ok(identity)
}

/// Every segment, in order and without gaps, and the numbers of those that another one stands for: they were rewritten, and a crash came before
/// they were removed.
fn find(context: &Context) -> Result<(Vec<Found>, Vec<u32>), OpenError> {
    let disk = &*context.disk;
    let (mut found, mut covered): (Vec<Found>, _) = (Vec::new(), Vec::new());
    let mut next = 1;
    for name in disk.list("").map_err(|error| unavailable(disk, "", &error))? {
        let number = name.strip_suffix(".log").and_then(|number| number.parse::<u32>().ok());
        // Another spelling of a number is somebody else's file.
        let Some(number) = number.filter(|number| file_name(*number) == name) else { continue };
        let file = disk.open(&name).map_err(|error| unavailable(disk, &name, &error))?;
        let header = walk::header(&file).map_err(|error| unavailable(disk, &name, &error))?;
        if number < next {
            // Only what is known to be an old file of this journal goes.
            if header.is_ok_and(|header| header.journal == context.journal && header.first == number) {
                covered.push(number);
            }
            continue;
        }
        let header = header.map_err(|damage| refused(disk, &name, damage, 0))?;
        if header.journal != context.journal {
            let fault = Fault::new("the segment belongs to another journal", disk.place(&name), OWN_FOLDER);
            return Err(OpenError::Foreign(fault));
        }
        if header.first != number {
            return Err(refused(disk, &name, Damage::Field("the file has the name of another segment"), 12));
        }
        if number != next {
            return Err(refused(disk, &file_name(next), Damage::Field("the segment is missing"), 0));
        }
        next = header.last + 1;
        found.push(Found { header, file });
    }
    if found.is_empty() {
        return Err(refused(disk, &file_name(1), Damage::Field("the segment is missing"), 0));
    }
    Ok((found, covered))
}

/// What the checkpoint says, if there is one and it is intact.
fn witness(context: &Context) -> Result<Option<Checkpoint>, OpenError> {
    let bytes = context.disk.whole(checkpoint::NAME);
    let bytes = bytes.map_err(|error| unavailable(&*context.disk, checkpoint::NAME, &error))?;
    let Some(bytes) = bytes else { return Ok(None) };
    match Checkpoint::decode(&bytes) {
        Ok(checkpoint) if checkpoint.journal == context.journal => Ok(Some(checkpoint)),
        Err(damage @ Damage::Newer(_)) => Err(refused(&*context.disk, checkpoint::NAME, damage, 8)),
        // It only ever says more than is known anyway.
        _ => Ok(None),
    }
}

fn recover(
    context: &Arc<Context>,
    mut found: Vec<Found>,
    checkpoint: Option<Checkpoint>,
    held: Arc<Held>,
) -> Result<Opened, OpenError> {
    let disk = Arc::clone(&context.disk);
    let last = found.pop().expect("there is at least one segment");
    let mut lanes = Lanes::default();
    let mut segments = Vec::new();
    let heads: Vec<SegmentHeader> = found.iter().map(|found| found.header).chain([last.header]).collect();
    for (Found { header, file }, next) in found.into_iter().zip(&heads[1..]) {
        let name = file_name(header.first);
        let (end, chain, links) = match header.rewritten {
            None => (next.previous_end, next.previous_chain, true),
            Some(Rewritten { original_chain, end, chain, next_batch }) => {
                (end, chain, original_chain == next.previous_chain && next_batch == next.batch)
            }
        };
        if !links {
            let what = Damage::Field("it does not follow the segment before it");
            return Err(refused(&*disk, &file_name(next.first), what, 20));
        }
        let size = file.size().map_err(|error| unavailable(&*disk, &name, &error))?;
        if size < end {
            return Err(refused(&*disk, &name, Damage::Field("its end is missing"), size));
        }
        let segment = Segment::sealed(Arc::clone(context), header, file, end, chain)?;
        for (slice, epoch, last) in segment.lanes()? {
            Writer::note(&mut lanes, slice, epoch, last);
        }
        segments.push(Arc::new(segment));
    }
    let Found { header, file } = last;
    let name = file_name(header.first);
    let scanned = walk::scan(context, &file, &header, None)?;
    let end = scanned.scan.at;
    if let Some(checkpoint) = &checkpoint {
        let missing = match checkpoint.segment.cmp(&header.first) {
            std::cmp::Ordering::Less => false, // the next segment said where that one ends
            std::cmp::Ordering::Equal => checkpoint.end > end || checkpoint.number > scanned.scan.number,
            std::cmp::Ordering::Greater => true,
        };
        if missing {
            let what = Damage::Field("events that were acknowledged are missing from here on");
            return Err(refused(&*disk, &name, what, end));
        }
    }
    let dropped = walk::rest(context, &file, header.first, end)?;
    let torn = (dropped > 0).then(|| TornEnd { file: disk.place(&name), offset: end, bytes: dropped });
    for (slice, lane) in &scanned.table.slices {
        Writer::note(&mut lanes, *slice, lane.epoch, lane.last);
    }
    let mut allocated = file.size().map_err(|error| unavailable(&*disk, &name, &error))?;
    if let Some(start) = scanned.last {
        // It is whole, but a crash of the process alone may have left it unsynced, and a sync that failed before may have left it looking clean: so it is
        // written again. The bytes are the same, so it cannot be torn by that.
        let bytes = usize::try_from(end - start).map_err(|_| io::ErrorKind::FileTooLarge.into());
        let again = bytes.and_then(|bytes| file.bytes(start, bytes));
        let again = again.and_then(|bytes| file.write_at(&bytes, start)).and_then(|()| file.sync());
        again.map_err(|error| unavailable(&*disk, &name, &error))?;
        allocated = allocated.max(end);
    }
    let deleted = scanned.table.ids.iter().filter(|(_, run)| run.floor > 0);
    let marks: Vec<_> = deleted.map(|(id, run)| (id.clone(), run.floor)).collect();
    let segment = Segment::with_table(Arc::clone(context), header, file, scanned.table);
    let segment = Arc::new(segment);
    segments.push(Arc::clone(&segment));
    let store = Store::new(Arc::clone(context), segments);
    let dead = checkpoint.map(|checkpoint| checkpoint.dead).unwrap_or_default();
    store.recount(&dead, &marks)?;
    let broken = torn.as_ref().map(|torn| Fault::new("its end was torn", &torn.file, RESTORE).at(end));
    let tail = Tail { segment, end, chain: scanned.scan.chain, number: scanned.scan.number, allocated };
    Ok(Opened { store, tail, lanes, torn, held, dead, broken })
}

/// Whether it is a file of a journal that carries its name only once it is finished.
fn unfinished(name: &str) -> bool {
    let Some(name) = name.strip_suffix(".new") else { return false };
    let numbered = |number: &str| number.len() == 10 && number.bytes().all(|byte| byte.is_ascii_digit());
    let segment = || name.strip_suffix(".log").or_else(|| name.strip_suffix(".idx")).is_some_and(numbered);
    [IDENTITY, checkpoint::NAME, leases::NAME].contains(&name) || segment()
}

/// Damage that stands in the way.
fn refused(disk: &dyn Disk, name: &str, damage: Damage, offset: u64) -> OpenError {
    let place = disk.place(name);
    match damage {
        Damage::Newer(_) => OpenError::Newer(Fault::new(damage, place, NEWER).at(8)),
        _ => OpenError::Corrupt(Fault::new(damage, place, RESTORE).at(offset)),
    }
}

fn unavailable(disk: &dyn Disk, name: &str, error: &io::Error) -> OpenError {
    OpenError::Unavailable(Fault::new(error, disk.place(name), RIGHTS))
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt(fault) => Self::Corrupt(fault),
            ReadError::Unavailable(fault) => Self::Unavailable(fault),
        }
    }
}

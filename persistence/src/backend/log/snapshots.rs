//! Where do snapshots lie, and how is one kept whole?
//!
//! Each in a file of its own, in one of a few slots of its id: saving writes beside the slot that holds the oldest one, syncs, and
//! renames. So loading opens a handful of files whose names follow from the id, however many ids there are. `docs/formats/journal.md` describes the bytes.
//!
//! # Invariants
//!
//! * A file is believed only when its checksum matches and the id in it is the one that was asked for.
//! * The newest snapshots are never overwritten before a newer one is durable.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use crc32c::crc32c;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::format::{Damage, VERSION, seal, u16_at, u32_at, u64_at, versioned};
use super::owned::Owned;
use super::read::Pool;
use super::store::Context;
use crate::backend::{Fault, MAX_LABEL_BYTES, ReadError, WriteError};
use crate::disk::Disk;
use crate::id::{PersistenceId, Sequence};
use crate::snapshot::{Loaded, MAX_SNAPSHOT_BYTES, Snapshot, SnapshotStore};

const MAGIC: [u8; 8] = *b"OMNITRNP";
const HEAD: usize = 48;
/// How many saves may wait.
const CAPACITY: usize = 64;
/// How many ids, chosen by their hash, save at the same time.
const STRIPES: usize = 16;
const IGNORED: &str =
    "Nothing is lost: older snapshots and the events are used; delete the file to see no more of this";
const ROOM: &str = "Make room or look for errors of the device, then try again; the events are not concerned";

/// The snapshots beside a log, as [`Log::snapshots`](super::Log::snapshots) gives them. A clone is the same.
#[derive(Clone)]
pub struct Snapshots {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    owned: Owned,
    pool: Pool,
    kept: u32,
    waiting: AtomicUsize,
    stripes: [Mutex<()>; STRIPES],
    /// Which folders are durable.
    folders: [AtomicBool; 256],
}

/// One of those that wait. It counts until it is dropped, with the work or without.
struct Waiting(Arc<Inner>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Snapshots {
    pub(crate) fn new(context: &Context, pool: Pool, kept: u32) -> Self {
        let (disk, owned) = (Arc::clone(&context.disk), context.owned.clone());
        let stripes = std::array::from_fn(|_| Mutex::new(()));
        let folders = std::array::from_fn(|_| AtomicBool::new(false));
        Self {
            inner: Arc::new(Inner {
                disk,
                owned,
                pool,
                kept,
                waiting: AtomicUsize::new(0),
                stripes,
                folders,
            }),
        }
    }
}

impl Inner {
    fn folder(id: &PersistenceId) -> String {
        format!("snapshots/{:02x}", id.hash64() >> 56)
    }

    /// Two checksums of the id, so that two ids hardly ever share a file; if they do, the one that is not asked for is not there.
    fn name(id: &PersistenceId, slot: u32) -> String {
        let (hash, checksum) = (id.hash64(), crc32c(id.as_str().as_bytes()));
        format!("{}/{hash:016x}{checksum:08x}-{slot}.snap", Self::folder(id))
    }

    /// Makes the folder of an id durable, the first time that it is used.
    fn make_folder(&self, id: &PersistenceId) -> io::Result<String> {
        let folder = Self::folder(id);
        let known = &self.folders[usize::try_from(id.hash64() >> 56).expect("a byte")];
        if !known.load(Ordering::Relaxed) {
            self.disk.create_folder(&folder)?;
            self.disk.sync_folder("snapshots")?;
            self.disk.sync_folder("")?;
            known.store(true, Ordering::Relaxed);
        }
        Ok(folder)
    }

    /// What is in a slot: nothing, damage, or a snapshot of `id`.
    fn slot(&self, id: &PersistenceId, slot: u32) -> io::Result<Option<Result<Snapshot, Damage>>> {
        let Some(bytes) = self.disk.whole(&Self::name(id, slot))? else { return Ok(None) };
        match decode(&bytes.into()) {
            Ok(snapshot) if snapshot.id != *id => Ok(None),
            decoded => Ok(Some(decoded)),
        }
    }

    /// The sequence of what is in a slot, by its head alone; nothing when it is not intact or of another id.
    fn sequence(&self, id: &PersistenceId, slot: u32) -> io::Result<Option<Sequence>> {
        let file = match self.disk.open(&Self::name(id, slot)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = file.bytes(0, HEAD + id.as_str().len())?;
        let ours = versioned(&bytes, MAGIC, HEAD).is_ok() && &bytes[HEAD..] == id.as_str().as_bytes();
        Ok(ours.then(|| Sequence::new(u64_at(&bytes, 20))))
    }

    fn save(&self, snapshot: &Snapshot) -> io::Result<()> {
        let id = &snapshot.id;
        let stripe = usize::try_from(id.hash64() % STRIPES as u64).expect("less than the stripes");
        let _alone = self.stripes[stripe].lock();
        let folder = self.make_folder(id)?;
        // Where one of the same sequence is; else where nothing intact is; else where the oldest is.
        let mut chosen = (u64::MAX, 0);
        for slot in 0..self.kept {
            match self.sequence(id, slot)? {
                Some(there) if there == snapshot.sequence => {
                    chosen = (0, slot);
                    break;
                }
                Some(there) => chosen = chosen.min((there.get().saturating_add(1), slot)),
                None => chosen = chosen.min((1, slot)),
            }
        }
        // Older than all that are kept, it is of no use to anybody, and would cost one that is.
        if chosen.0 > 1 && chosen.0 > snapshot.sequence.get().saturating_add(1) {
            return Ok(());
        }
        self.disk.replace(&folder, &Self::name(id, chosen.1), &encode(snapshot))
    }

    fn load(&self, id: &PersistenceId, to: Sequence) -> Result<Loaded, ReadError> {
        let mut loaded = Loaded::default();
        for slot in 0..self.kept {
            let place = self.disk.place(&Self::name(id, slot));
            let found = self.slot(id, slot).map_err(|error| {
                ReadError::Unavailable(Fault::new(error, &place, "Look for missing rights, then try again"))
            })?;
            match found {
                None => {}
                Some(Err(damage)) => {
                    let what = format!("a snapshot is damaged: {damage}");
                    let fault = Fault::new(what, &place, damage.advice(IGNORED));
                    loaded.damaged.push(ReadError::Corrupt(fault.at(0)));
                }
                Some(Ok(snapshot)) => {
                    let newer =
                        loaded.snapshot.as_ref().is_none_or(|other| snapshot.sequence > other.sequence);
                    if snapshot.sequence <= to && newer {
                        loaded.snapshot = Some(snapshot);
                    }
                }
            }
        }
        Ok(loaded)
    }

    fn delete_to(&self, id: &PersistenceId, to: Sequence) -> io::Result<()> {
        for slot in 0..self.kept {
            match self.slot(id, slot)? {
                Some(Ok(snapshot)) if snapshot.sequence > to => {}
                Some(_) => self.disk.remove(&Self::name(id, slot))?,
                None => {}
            }
        }
        let folder = self.make_folder(id)?;
        self.disk.sync_folder(&folder)
    }
}

impl Snapshots {
    fn write(
        &self,
        id: &PersistenceId,
        act: impl FnOnce(&Inner) -> io::Result<()> + Send + 'static,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        let inner = Arc::clone(&self.inner);
        let before = inner.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(&inner));
        if before >= CAPACITY {
            return std::future::ready(Err(WriteError::Full { capacity: CAPACITY })).boxed();
        }
        let place = inner.disk.place(&Inner::folder(id));
        let written = self.inner.pool.run(move || {
            let held = inner.owned.hold().map_err(WriteError::Unavailable)?;
            let result = act(&inner);
            drop((waiting, held));
            result.map_err(|error| WriteError::Unavailable(Fault::new(error, place, ROOM)))
        });
        async move {
            let gone =
                || WriteError::Unavailable(Fault::new("its threads ended", "the snapshots", "Open it again"));
            written.await.unwrap_or_else(|| Err(gone()))
        }
        .boxed()
    }
}

impl SnapshotStore for Snapshots {
    fn save(&self, snapshot: Snapshot) -> BoxFuture<'static, Result<(), WriteError>> {
        let sizes = [
            ("a snapshot", snapshot.state.len(), MAX_SNAPSHOT_BYTES),
            ("the name of a snapshot's type", snapshot.name.len(), MAX_LABEL_BYTES),
        ];
        if let Some((what, size, limit)) = sizes.into_iter().find(|(_, size, limit)| size > limit) {
            return std::future::ready(Err(WriteError::TooLarge { what, size, limit })).boxed();
        }
        let id = snapshot.id.clone();
        self.write(&id, move |inner| inner.save(&snapshot))
    }

    fn load(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<Loaded, ReadError>> {
        let (inner, id) = (Arc::clone(&self.inner), id.clone());
        self.inner.pool.ask(move || inner.load(&id, to))
    }

    fn delete_to(&self, id: &PersistenceId, to: Sequence) -> BoxFuture<'static, Result<(), WriteError>> {
        let of = id.clone();
        self.write(id, move |inner| inner.delete_to(&of, to))
    }
}

fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let Snapshot { id, sequence, timestamp_ms, name, version, state } = snapshot;
    let id = id.as_str();
    let short = |size: usize| u16::try_from(size).expect("labels are short").to_le_bytes();
    let mut bytes = Vec::with_capacity(HEAD + id.len() + name.len() + state.len() + 4);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&short(id.len()));
    bytes.extend_from_slice(&short(name.len()));
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&sequence.get().to_le_bytes());
    bytes.extend_from_slice(&timestamp_ms.to_le_bytes());
    bytes.extend_from_slice(&(state.len() as u64).to_le_bytes());
    seal(&mut bytes, 0);
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(state);
    let checksum = crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Whether a snapshot of `id` lies in `name`, the slot aside.
pub(crate) fn is_named_after(name: &str, id: &PersistenceId) -> bool {
    let of_slot_0 = Inner::name(id, 0);
    let stem = |name: &str| name.rsplit_once('-').map(|(stem, _)| stem.to_owned());
    stem(name).is_some() && stem(name) == stem(&of_slot_0)
}

pub(crate) fn decode(bytes: &Bytes) -> Result<Snapshot, Damage> {
    versioned(bytes, MAGIC, HEAD)?;
    let body = bytes.len().checked_sub(4).filter(|body| *body >= HEAD).ok_or(Damage::Short)?;
    if crc32c(&bytes[..body]) != u32_at(bytes, body) {
        return Err(Damage::Checksum);
    }
    let (id, name) = (usize::from(u16_at(bytes, 12)), usize::from(u16_at(bytes, 14)));
    let state = u64_at(bytes, 36);
    if ((HEAD + id + name) as u64).checked_add(state) != Some(body as u64) {
        return Err(Damage::Field("its parts are not as long as it is"));
    }
    let text = |from: usize, size: usize| {
        std::str::from_utf8(&bytes[from..from + size]).map_err(|_| Damage::Field("a text in it is no UTF-8"))
    };
    let (of, name_of) = (text(HEAD, id)?, text(HEAD + id, name)?);
    Ok(Snapshot {
        id: PersistenceId::new(of).map_err(|_| Damage::Field("the id in it cannot be one"))?,
        sequence: Sequence::new(u64_at(bytes, 20)),
        timestamp_ms: u64_at(bytes, 28),
        name: name_of.to_owned(),
        version: u32_at(bytes, 16),
        state: bytes.slice(HEAD + id + name..body),
    })
}

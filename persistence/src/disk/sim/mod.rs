//! A disk in memory that does to files what power cuts and failing devices do, as its seed says.
//!
//! Every file has what the device holds and what the programs see. A sync carries the one over to the other. A power cut takes
//! of each write since then all, nothing or some sectors, each on its own: so writes are torn, lost and reordered.
//! Of the changes to names a prefix survives, as on a file system with a journal, or any of them.
//!
//! # Invariants
//!
//! * The same seed and the same calls give the same bytes.
//! * What was synced with success changes only by [`flip`](Sim::flip), [`cut`](Sim::cut) and [`zero`](Sim::zero).

mod device;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Disk, DiskFile};
use device::{Change, Contents, State, Write};

#[cfg(test)]
pub(crate) use device::Random;

/// The disk, as one run of a machine sees it. A clone is the same.
#[derive(Clone)]
pub struct Sim {
    shared: Arc<Shared>,
    /// The run: after a power cut or a kill this one sees errors only, and [`boot`](Sim::boot) gives the next.
    life: u64,
}

struct Shared {
    state: Mutex<State>,
    syncs_released: Condvar,
}

impl Sim {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        let state = State::new(seed);
        Self {
            shared: Arc::new(Shared { state: Mutex::new(state), syncs_released: Condvar::new() }),
            life: 0,
        }
    }

    /// The disk as the machine sees it that is started now.
    #[must_use]
    pub fn boot(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), life: self.shared.state.lock().life }
    }

    /// The power goes and comes back: some of what was not synced is gone, whoever used it fails from now on, and every lock
    /// is free.
    pub fn power_cut(&self) {
        self.shared.state.lock().power_cut();
        self.shared.syncs_released.notify_all();
    }

    /// The power goes during the change to a file or a name that comes after `changes` more.
    pub fn power_cut_after(&self, changes: u32) {
        self.shared.state.lock().fuse = Some(changes);
    }

    /// A process is killed: nothing is lost, but whoever used the disk fails from now on, and every lock is free.
    pub fn kill(&self) {
        let mut state = self.shared.state.lock();
        state.life += 1;
        state.locks.clear();
        state.held = false;
        self.shared.syncs_released.notify_all();
    }

    /// The next `syncs` syncs of files fail. What they should have written may be on the device or not, and later syncs do not write it.
    pub fn fail_syncs(&self, syncs: u32) {
        self.shared.state.lock().failing_syncs = syncs;
    }

    /// The next `writes` writes fail after a part of their bytes.
    pub fn fail_writes(&self, writes: u32) {
        self.shared.state.lock().failing_writes = writes;
    }

    /// From now on there is room for `bytes` bytes in all files; without a number, for any.
    pub fn limit(&self, bytes: Option<u64>) {
        self.shared.state.lock().capacity = bytes;
    }

    /// Whether reads return fewer bytes than asked for.
    pub fn short_reads(&self, on: bool) {
        self.shared.state.lock().short_reads = on;
    }

    /// Whether every change is refused.
    pub fn read_only(&self, on: bool) {
        self.shared.state.lock().read_only = on;
    }

    /// Syncs of files wait until [`release_syncs`](Self::release_syncs).
    pub fn hold_syncs(&self) {
        self.shared.state.lock().held = true;
    }

    /// Ends [`hold_syncs`](Self::hold_syncs).
    pub fn release_syncs(&self) {
        self.shared.state.lock().held = false;
        self.shared.syncs_released.notify_all();
    }

    /// How many syncs of files there were.
    pub fn syncs(&self) -> u64 {
        self.shared.state.lock().syncs
    }

    /// The bytes in all files.
    pub fn used(&self) -> u64 {
        self.shared.state.lock().used()
    }

    /// Every file by name, as programs see it.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.shared.state.lock();
        state.names.iter().map(|(name, file)| (name.clone(), state.files[file].seen.clone())).collect()
    }

    /// A disk of its own with these files, all of them durable.
    pub fn with(seed: u64, contents: &BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::new(seed);
        let mut state = disk.shared.state.lock();
        for (name, bytes) in contents {
            let file = state.next_file;
            state.next_file += 1;
            let contents = Contents { seen: bytes.clone(), durable: bytes.clone(), unsynced: Vec::new() };
            state.files.insert(file, contents);
            state.names.insert(name.clone(), file);
            state.durable_names.insert(name.clone(), file);
        }
        drop(state);
        disk
    }

    /// Flips one bit of a file.
    pub fn flip(&self, name: &str, byte: usize, bit: u32) {
        self.damage(name, |bytes| bytes[byte] ^= 1 << (bit % 8));
    }

    /// Cuts a file to its first `bytes` bytes.
    pub fn cut(&self, name: &str, bytes: usize) {
        self.damage(name, |contents| contents.truncate(bytes));
    }

    /// Writes zeros over `bytes` bytes of a file.
    pub fn zero(&self, name: &str, from: usize, bytes: usize) {
        self.damage(name, |contents| {
            let to = (from + bytes).min(contents.len());
            contents[from..to].fill(0);
        });
    }

    fn damage(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut state = self.shared.state.lock();
        let file = state.names[name];
        let contents = state.files.get_mut(&file).expect("a name leads to a file");
        change(&mut contents.seen);
        change(&mut contents.durable);
    }

    fn file(&self, file: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { shared: Arc::clone(&self.shared), life: self.life, file })
    }

    /// The state, unless the machine went down since.
    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.shared.state.lock();
        if state.life == self.life { Ok(state) } else { Err(down()) }
    }

    fn change(&self, change: &mut dyn FnMut(&mut State) -> io::Result<Change>) -> io::Result<()> {
        let mut state = self.alive()?;
        if state.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let change = change(&mut state)?;
        change.apply(&mut state.names);
        state.renames.push(change);
        if state.burnt() { Err(down()) } else { Ok(()) }
    }
}

impl Disk for Sim {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.alive()?;
        let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut made = 0;
        self.change(&mut |state| {
            made = state.next_file;
            state.next_file += 1;
            state.files.insert(made, Contents::default());
            Ok(Change::Set(name.to_owned(), made))
        })?;
        Ok(self.file(made))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(&mut |state| {
            let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
            Ok(Change::Set(to.to_owned(), file))
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(&mut |state| {
            let there = state.names.contains_key(name);
            if there { Ok(Change::Remove(name.to_owned())) } else { Err(io::ErrorKind::NotFound.into()) }
        })
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.alive()?;
        let inside = |name: &String| match name.rsplit_once('/') {
            Some((of, name)) => (of == folder).then(|| name.to_owned()),
            None => folder.is_empty().then(|| name.clone()),
        };
        Ok(state.names.keys().filter_map(inside).collect())
    }

    fn create_folder(&self, _folder: &str) -> io::Result<()> {
        Ok(()) // folders are parts of names here
    }

    fn sync_folder(&self, _folder: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        if state.burnt() {
            return Err(down());
        }
        state.renames.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>> {
        let mut state = self.alive()?;
        if state.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if !state.locks.insert(name.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { shared: Arc::clone(&self.shared), life: state.life, name: name.to_owned() }))
    }

    fn place(&self, name: &str) -> String {
        format!("sim:{name}")
    }
}

fn down() -> io::Error {
    io::Error::other("the machine went down since")
}

struct SimLock {
    shared: Arc<Shared>,
    life: u64,
    name: String,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.name);
        }
    }
}

struct SimFile {
    shared: Arc<Shared>,
    life: u64,
    file: u64,
}

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, u64) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.shared.state.lock();
        if state.life != self.life {
            return Err(down());
        }
        act(&mut state, self.file)
    }

    fn write(&self, write: Write, grows_to: usize) -> io::Result<()> {
        self.with(|state, file| {
            if state.read_only {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            let seen = state.files.get(&file).map_or(0, |contents| contents.seen.len());
            let room = state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used()));
            if grows_to > seen && (grows_to - seen) as u64 > room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let failing = state.failing_writes > 0;
            state.failing_writes = state.failing_writes.saturating_sub(1);
            let write = match (failing, write) {
                (true, Write::Bytes(at, mut bytes)) => {
                    bytes.truncate(state.random.below(bytes.len().max(1)));
                    Write::Bytes(at, bytes)
                }
                (_, write) => write,
            };
            if let Some(contents) = state.files.get_mut(&file) {
                write.apply(&mut contents.seen);
                contents.unsynced.push(write);
            }
            if state.burnt() {
                return Err(down());
            }
            if failing { Err(io::Error::other("the device failed")) } else { Ok(()) }
        })
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        self.with(|state, file| Ok(state.files.get(&file).map_or(0, |contents| contents.seen.len() as u64)))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state, file| {
            let Some(contents) = state.files.get(&file) else { return Ok(0) };
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.seen.len());
            let mut n = buffer.len().min(contents.seen.len() - from);
            if state.short_reads && n > 1 {
                n = 1 + state.random.below(n);
            }
            buffer[..n].copy_from_slice(&contents.seen[from..from + n]);
            Ok(n)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.write(Write::Bytes(at, bytes.to_vec()), at + bytes.len())
    }

    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.write_at(&vec![0; bytes], offset)
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        let size = usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.write(Write::Size(size), size)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.syncs += 1;
        while state.held && state.life == self.life {
            self.shared.syncs_released.wait(&mut state);
        }
        drop(state);
        self.with(|state, file| {
            if state.burnt() {
                return Err(down());
            }
            let failing = state.failing_syncs > 0;
            state.failing_syncs = state.failing_syncs.saturating_sub(1);
            let Some(contents) = state.files.get_mut(&file) else { return Ok(()) };
            for write in std::mem::take(&mut contents.unsynced) {
                if failing {
                    write.partly(&mut contents.durable, &mut state.random);
                } else {
                    write.apply(&mut contents.durable);
                }
            }
            if failing { Err(io::Error::other("the device failed")) } else { Ok(()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::device::SECTOR;
    use super::*;

    fn written(seed: u64) -> (Sim, Arc<dyn DiskFile>) {
        let disk = Sim::new(seed);
        let file = disk.create("a").unwrap();
        disk.sync_folder("").unwrap();
        file.write_at(&[1; 4096], 0).unwrap();
        file.sync().unwrap();
        (disk, file)
    }

    #[test]
    fn what_was_synced_survives_every_power_cut() {
        for seed in 0..50 {
            let (disk, file) = written(seed);
            file.write_at(&[2; 4096], 4096).unwrap();
            disk.power_cut();
            assert_eq!(disk.contents()["a"][..4096], [1; 4096], "seed {seed}");
            assert!(file.size().is_err(), "a file that was open is dead");
        }
    }

    #[test]
    fn what_was_not_synced_is_kept_lost_torn_and_reordered() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..200 {
            let (disk, file) = written(seed);
            file.write_at(&[2; 1024], 0).unwrap();
            file.write_at(&[3; 1024], 1024).unwrap();
            disk.power_cut();
            let contents = disk.contents();
            let sectors: Vec<u8> = contents["a"].chunks(SECTOR).take(4).map(|sector| sector[0]).collect();
            outcomes.insert(sectors);
        }
        for expected in [[2, 2, 3, 3], [1, 1, 1, 1], [2, 2, 1, 1], [1, 1, 3, 3], [1, 2, 1, 1]] {
            assert!(outcomes.contains(expected.as_slice()), "never saw {expected:?}");
        }
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_gone_and_one_that_was_is_not() {
        let kept = (0..20).filter(|seed| {
            let (disk, _) = written(*seed);
            disk.rename("a", "b").unwrap();
            disk.power_cut();
            let names = disk.boot().list("").unwrap();
            assert_eq!(names.len(), 1, "a rename leaves one of the names: {names:?}");
            names == ["b"]
        });
        assert!((1..20).contains(&kept.count()));
    }

    #[test]
    fn after_a_failed_sync_a_second_one_proves_nothing() {
        let lost = (0..50).filter(|seed| {
            let (disk, file) = written(*seed);
            file.write_at(&[2; 4096], 0).unwrap();
            disk.fail_syncs(1);
            assert!(file.sync().is_err());
            assert!(file.sync().is_ok(), "it looks fine");
            disk.power_cut();
            disk.contents()["a"] != [2; 4096]
        });
        assert!(lost.count() > 10);
    }

    #[test]
    fn a_full_disk_takes_no_more_and_still_reads() {
        let (disk, file) = written(1);
        disk.limit(Some(4096));
        assert_eq!(file.write_at(&[9], 4096).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(file.write_at(&[9], 0).is_ok(), "what was allocated can be written");
        assert_eq!(file.bytes(0, 1).unwrap(), [9]);
    }
}

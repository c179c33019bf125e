//! A folder of the machine.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskFile};

/// How many zeros are written at a time.
const ZEROS: usize = 256 << 10;

/// A folder of the machine.
#[derive(Debug)]
pub struct Real {
    folder: PathBuf,
    read_only: bool,
}

impl Real {
    /// The folder `folder`, created if there is none.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new(folder: impl AsRef<Path>) -> io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        let missing = folder.ancestors().take_while(|folder| !folder.exists()).count();
        fs::create_dir_all(&folder)?;
        // A folder is durable when the one around it is synced. Without that, all that is in it could be gone after a power cut.
        for around in folder.ancestors().skip(1).take(missing) {
            File::open(around)?.sync_all()?;
        }
        if missing == 0
            && let Some(around) = folder.parent()
        {
            // A process before may have made it and died before this. Who may not look into the folder around it did not make it either.
            let _ = File::open(around).and_then(|around| around.sync_all());
        }
        Ok(Self { folder, read_only: false })
    }

    /// The folder `folder`, to look at: whatever would change it is refused with [`io::ErrorKind::ReadOnlyFilesystem`], and the right to read is
    /// enough. [`lock`](Disk::lock) works, if the file is there.
    ///
    /// # Errors
    ///
    /// What the system says, if it is no folder or cannot be read.
    pub fn read_only(folder: impl AsRef<Path>) -> io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        fs::read_dir(&folder)?;
        Ok(Self { folder, read_only: true })
    }

    /// # Errors
    ///
    /// When nothing may be changed.
    fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.folder.clone() } else { self.folder.join(name) }
    }
}

impl Disk for Real {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(!self.read_only).open(self.path(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.writable()?;
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        fs::remove_file(self.path(name))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(folder))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                // A name that is no UTF-8 is none of ours.
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_folder(&self, folder: &str) -> io::Result<()> {
        self.writable()?;
        fs::create_dir_all(self.path(folder))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        File::open(self.path(folder))?.sync_all()
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>> {
        let (path, write) = (self.path(name), !self.read_only);
        let file = OpenOptions::new().read(true).write(write).create(write).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    // Zeros that are really written, not a hole: a write into a hole may find the disk full, and its sync has to write the
    // file's map of blocks as well.
    fn allocate(&self, mut offset: u64, bytes: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS];
        let end = offset + bytes;
        while offset < end {
            let n = usize::try_from(end - offset).unwrap_or(ZEROS).min(ZEROS);
            self.0.write_all_at(&zeros[..n], offset)?;
            offset += n as u64;
        }
        Ok(())
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data() // of the size, too: without it the bytes could not be found again
    }
}

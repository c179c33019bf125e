//! What do files have to be able to do, so that a log can stand on them?
//!
//! The calls block: they are made on threads that may. [`real`] is a folder, [`sim`] a disk in memory that tears, reorders, loses, flips
//! and fails as its seed says. Names are relative to the folder, with `/` between parts.

pub mod real;
pub mod sim;

use std::io;
use std::sync::Arc;

/// A folder with files.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    ///
    /// What the system says; [`io::ErrorKind::NotFound`] when it does not exist.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates an empty file, in place of one that exists. Its name is durable after [`sync_folder`](Self::sync_folder).
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, in place of a file that has it: at no time is there none. Durable after
    /// [`sync_folder`](Self::sync_folder).
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Who has it open can still read it.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of the files in a folder, without the folder's, in order. `""` is the folder itself.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Creates a folder and those around it; nothing when it exists.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create_folder(&self, folder: &str) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;

    /// Holds a file against everybody else who asks for the same, in this process and in others, until the answer is
    /// dropped. It ends with the process.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when somebody holds it.
    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>>;

    /// The name as people know it, for messages.
    fn place(&self, name: &str) -> String;
}

/// An open file.
pub trait DiskFile: Send + Sync + 'static {
    /// How many bytes it has.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads some bytes from `offset` on, at most as many as fit. 0 says that the file ends there.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all the bytes at `offset`. Durable after [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// What the system says. Some of them may be written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Writes zeros, so that a later write there needs no more room and a sync no more than the bytes.
    ///
    /// # Errors
    ///
    /// What the system says; [`io::ErrorKind::StorageFull`] when there is no room. Some of them may be written.
    fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()>;

    /// Cuts or extends it. Durable after [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// What the system says.
    fn set_size(&self, bytes: u64) -> io::Result<()>;

    /// Makes durable what was written and the size. After an error nobody knows what is durable, and a second call proves nothing.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync(&self) -> io::Result<()>;
}

impl dyn DiskFile {
    /// Reads until `buffer` is full or the file ends. How many bytes there were.
    pub(crate) fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// The `bytes` bytes from `offset` on; fewer when the file ends before.
    pub(crate) fn bytes(&self, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        let there = self.fill(&mut buffer, offset)?;
        buffer.truncate(there);
        Ok(buffer)
    }
}

impl dyn Disk {
    /// Writes a small file whole or not at all: beside its place, synced, then renamed.
    pub(crate) fn replace(&self, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let beside = format!("{name}.new");
        let written =
            self.create(&beside).and_then(|file| file.write_at(bytes, 0).and_then(|()| file.sync()));
        let renamed = written.and_then(|()| self.rename(&beside, name));
        if renamed.is_err() {
            // On a full disk its space is wanted. What is left of it is replaced the next time.
            let _ = self.remove(&beside);
        }
        renamed?;
        self.sync_folder(folder)
    }

    /// The whole of a small file, or nothing when it does not exist.
    pub(crate) fn whole(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = usize::try_from(file.size()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        file.bytes(0, size).map(Some)
    }
}

//! How does a file come to be whole, or not at all?
//!
//! It is written beside its place, under a name of its own, made durable, and then renamed. Whatever goes wrong before leaves what was under the name.
//!
//! # Invariants
//!
//! * At most [`CHUNK`] bytes and what was added last are in memory.
//! * The calls that block are made on threads that may.

use std::io;
use std::sync::Arc;

use omnitron_runtime::Env;
use tokio::sync::oneshot;

use crate::disk::{Disk, DiskFile};

/// So many bytes are written at once.
const CHUNK: usize = 256 << 10;

/// A file that is being written.
pub(crate) struct Draft {
    env: Env,
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    /// What it is called until it is done.
    unfinished: String,
    name: String,
    buffer: Vec<u8>,
    written: u64,
    done: bool,
}

impl Draft {
    /// Begins a file that will be called `name`.
    pub(crate) async fn create(env: &Env, disk: &Arc<dyn Disk>, name: &str) -> io::Result<Self> {
        let draft = format!("{name}.{:016x}.new", env.random_u64());
        let file = {
            let (disk, draft) = (Arc::clone(disk), draft.clone());
            blocking(env, move || disk.create(&draft)).await?
        };
        let (env, disk, name) = (env.clone(), Arc::clone(disk), name.to_owned());
        Ok(Self { env, disk, file, unfinished: draft, name, buffer: Vec::new(), written: 0, done: false })
    }

    /// Where the next bytes go; [`add`](Self::add) them then.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes what is in the buffer, if it is enough.
    pub(crate) async fn add(&mut self) -> io::Result<()> {
        if self.buffer.len() >= CHUNK { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> io::Result<()> {
        let (file, bytes, at) = (Arc::clone(&self.file), std::mem::take(&mut self.buffer), self.written);
        self.written += bytes.len() as u64;
        self.buffer = blocking(&self.env, move || {
            file.write_at(&bytes, at)?;
            let mut bytes = bytes;
            bytes.clear();
            Ok(bytes)
        })
        .await?;
        Ok(())
    }

    /// The file is whole: it gets its name. How many bytes it has.
    pub(crate) async fn finish(mut self) -> io::Result<u64> {
        self.write().await?;
        let (file, disk) = (Arc::clone(&self.file), Arc::clone(&self.disk));
        let (draft, name) = (self.unfinished.clone(), self.name.clone());
        blocking(&self.env, move || {
            file.sync()?;
            disk.rename(&draft, &name)?;
            disk.sync_folder("")
        })
        .await?;
        self.done = true;
        Ok(self.written)
    }
}

impl Drop for Draft {
    /// What is not whole is of no use to anybody.
    fn drop(&mut self) {
        if !self.done {
            // It may have its name already, or the disk may be away: then it cannot be helped.
            let _ = self.disk.remove(&self.unfinished);
        }
    }
}

/// Runs what blocks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    env: &Env,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, answer) = oneshot::channel();
    env.thread("timeline-export", move || {
        // Whoever does not wait any more has given the file up.
        let _ = done.send(work());
    })?;
    answer.await.map_err(|_| io::Error::other("the thread that does it panicked"))?
}

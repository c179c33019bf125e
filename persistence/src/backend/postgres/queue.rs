//! What waits for the writer of a server, and who is told what came of it?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use crate::backend::{Append, Appended, Delete, Fault, WriteError};
use crate::id::{Epoch, Slice};

pub(crate) type Answer<T> = oneshot::Sender<Result<T, WriteError>>;

/// What waits.
pub(crate) enum Command {
    Claim(Slice, Answer<Epoch>),
    Append(Queued),
    Delete(Delete, Answer<()>),
}

/// An append that waits, with its [size](Append::size_bytes).
pub(crate) struct Queued {
    pub(crate) append: Arc<Append>,
    pub(crate) bytes: usize,
    pub(crate) to: Answer<Appended>,
}

impl Command {
    /// Tells that it did not happen.
    pub(crate) fn refuse(self, fault: &Fault) {
        let error = WriteError::Unavailable(fault.clone());
        // Whoever dropped the future does not want to know.
        match self {
            Self::Claim(_, to) => drop(to.send(Err(error))),
            Self::Append(queued) => drop(queued.to.send(Err(error))),
            Self::Delete(_, to) => drop(to.send(Err(error))),
        }
    }
}

/// The way to the writer of a server.
pub(crate) struct Queue {
    commands: RwLock<Option<mpsc::Sender<Command>>>,
    bytes: Arc<AtomicUsize>,
    capacity: usize,
    capacity_bytes: usize,
}

/// The writer's end.
pub(crate) struct Waiting {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) bytes: Arc<AtomicUsize>,
}

impl Queue {
    pub(crate) fn new(capacity: usize, capacity_bytes: usize) -> (Self, Waiting) {
        let (sender, commands) = mpsc::channel(capacity);
        let bytes = Arc::new(AtomicUsize::new(0));
        let queue =
            Self { commands: RwLock::new(Some(sender)), bytes: Arc::clone(&bytes), capacity, capacity_bytes };
        (queue, Waiting { commands, bytes })
    }

    /// Hands an operation over.
    pub(crate) fn send<T>(
        &self,
        bytes: usize,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Result<oneshot::Receiver<Result<T, WriteError>>, WriteError> {
        let commands = self.commands.read();
        let commands = commands.as_ref().ok_or_else(|| WriteError::Unavailable(closed()))?;
        let queued = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let sent = if queued > 0 && queued + bytes > self.capacity_bytes {
            Err(WriteError::Full { capacity: self.capacity })
        } else {
            commands.try_send(command(answer)).map_err(|unsent| match unsent {
                mpsc::error::TrySendError::Full(_) => WriteError::Full { capacity: self.capacity },
                mpsc::error::TrySendError::Closed(_) => WriteError::Unavailable(closed()),
            })
        };
        if sent.is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        sent.map(|()| answered)
    }

    /// Takes nothing more. What waits is still done.
    pub(crate) fn close(&self) {
        drop(self.commands.write().take());
    }
}

pub(crate) fn closed() -> Fault {
    Fault::new("it was closed, or its writer has ended", "the journal", "Open it again")
}

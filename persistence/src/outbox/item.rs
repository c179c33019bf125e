//! What does the sorting of posts deal with, and within which limits?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::id::{Ordinal, PersistenceId, Sequence, Slice};
use crate::offset::Position;
use crate::post::Post;

/// A post in the journal.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) from: PersistenceId,
    pub(crate) sequence: Sequence,
    pub(crate) position: Position,
    pub(crate) post: Post,
}

/// How much is held and sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Posts of one receiver in memory, and sent and not answered.
    pub(crate) queue: usize,
    pub(crate) window: usize,
    /// Posts of all receivers in memory, their bytes, and those sent and not answered.
    pub(crate) held: usize,
    pub(crate) bytes: usize,
    pub(crate) sent: usize,
    /// Receivers that do not take a post, before nothing more is read.
    pub(crate) blocked: usize,
    /// The first and the longest wait after a failure.
    pub(crate) retry: (Duration, Duration),
    /// After so many failures in a row a receiver keeps one post in memory.
    pub(crate) patience: u32,
    /// How long an answer is waited for.
    pub(crate) deadline: Duration,
}

/// A post to be sent.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) receiver: Arc<str>,
    pub(crate) item: Arc<Item>,
    /// The one before it that is not done.
    pub(crate) after: Ordinal,
    pub(crate) attempt: u64,
}

/// A receiver that does not take a post.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) attempts: u32,
    pub(crate) reason: String,
    pub(crate) since: Instant,
    pub(crate) until: Instant,
}

/// The first and the last post of each slice that has to be read again.
pub(crate) type Ranges = BTreeMap<Slice, (Ordinal, Ordinal)>;

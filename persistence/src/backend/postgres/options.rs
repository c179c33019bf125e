//! How is a journal on servers kept?

use std::time::Duration;

use crate::id::Slices;

/// How a journal on PostgreSQL is kept.
#[derive(Clone, Debug)]
#[must_use = "options change nothing until a journal is opened with them"]
pub struct Options {
    pub(crate) slices: Option<Slices>,
    pub(crate) batch_events: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) queue: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) recent_ids: usize,
    pub(crate) readers: usize,
    pub(crate) snapshots: u32,
    pub(crate) answer_within: Duration,
    pub(crate) patience: Duration,
    pub(crate) poll: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slices: None,
            batch_events: 1000,
            batch_bytes: 1 << 20,
            queue: 8192,
            queue_bytes: 64 << 20,
            recent_ids: 1 << 20,
            readers: 2,
            snapshots: 2,
            answer_within: Duration::from_secs(10),
            patience: Duration::from_secs(15),
            poll: Duration::from_millis(50),
        }
    }
}

impl Options {
    /// How many slices the journal has. One that exists and has another number is refused. Default: what it has, and 256 when it is created.
    pub fn slices(mut self, slices: Slices) -> Self {
        self.slices = Some(slices);
        self
    }

    /// The most events that one statement takes. One append is never split. At least 1. Default: 1000.
    pub fn batch_events(mut self, events: usize) -> Self {
        self.batch_events = events.max(1);
        self
    }

    /// The bytes after which a statement takes nothing more. One append is never split. From 1 byte to 16 MiB; what lies outside counts as the nearest.
    /// Default: 1 MiB.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes.clamp(1, 16 << 20);
        self
    }

    /// The most operations that wait for the writer of each server. At least 1. Default: 8192.
    pub fn queue(mut self, operations: usize) -> Self {
        self.queue = operations.max(1);
        self
    }

    /// The most bytes of events that wait for the writer of each server; one append may always wait. Default: 64 MiB.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Of how many ids of each server, used recently, the last sequence is kept in memory, at about 100 bytes each and the id itself. Default: 1,048,576.
    pub fn recent_ids(mut self, ids: usize) -> Self {
        self.recent_ids = ids;
        self
    }

    /// How many connections to each server read; one more writes, and one looks after the rest. From 1 to 64; what lies outside counts as the nearest.
    /// Default: 2.
    pub fn readers(mut self, connections: usize) -> Self {
        self.readers = connections.clamp(1, 64);
        self
    }

    /// How many snapshots of each id are kept. From 1 to 16; what lies outside counts as the nearest. Default: 2.
    pub fn snapshots(mut self, kept: u32) -> Self {
        self.snapshots = kept.clamp(1, 16);
        self
    }

    /// How long a server has for one statement, and for a connection. One that takes longer is given up, and so is its connection. From 100 ms to one hour; what
    /// lies outside counts as the nearest. Default: 10 s.
    pub fn answer_within(mut self, time: Duration) -> Self {
        self.answer_within = time.clamp(Duration::from_millis(100), Duration::from_hours(1));
        self
    }

    /// How long an operation is tried again while a server cannot be reached, before it is answered as not available, or as unknown when it may have
    /// happened. Up to one hour; more counts as that. Default: 15 s.
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time.min(Duration::from_hours(1));
        self
    }

    /// How often somebody who follows the journal looks for what other processes wrote; while there is nothing, up to four times as seldom. From 1 ms to one
    /// minute; what lies outside counts as the nearest. Default: 50 ms.
    pub fn poll(mut self, time: Duration) -> Self {
        self.poll = time.clamp(Duration::from_millis(1), Duration::from_mins(1));
        self
    }
}

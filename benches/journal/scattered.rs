//! What do five million events in a scattered order over a million ids cost: in time, in memory, and on disk?
//!
//! Most ids were not used for a long time when their next event comes, so each append has to find out where its id stands.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use omnitron::backend::log::Log;
use omnitron::backend::{Append, JournalBackend};
use omnitron::{Epoch, PersistenceId, Sequence};

use super::backend::{self, EVENT_NAME};
use super::callers::{EVENT_BYTES, on_two};
use super::figures::Figures;

pub(crate) const EVENTS: usize = 5_000_000;
pub(crate) const EVENTS_PER_ID: usize = 5;
/// How many appends wait for their answer at once.
const IN_FLIGHT: usize = 4096;
/// What a record has before its id, as `docs/formats/journal.md` says.
const HEADER_BYTES: usize = 68;

/// The order in which ids get their events: each number below `ids` comes up, and none soon again.
pub(crate) struct Order {
    ids: usize,
    n: usize,
}

impl Order {
    pub(crate) fn new(ids: usize) -> Self {
        Self { ids, n: 0 }
    }
}

impl Iterator for Order {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.n += 1;
        // Bits mixed as by SplitMix64, so that the next id has nothing to do with this one.
        let mut bits = (self.n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % self.ids as u64).ok()
    }
}

/// Appends to many ids, without any caller in between.
pub(crate) struct Filler {
    log: Log,
    epochs: Vec<Epoch>,
    sequences: Vec<u64>,
    /// Bytes of events, headers and names that were appended.
    pub(crate) bytes: usize,
}

impl Filler {
    pub(crate) async fn new(log: Log, ids: usize) -> Self {
        let epochs = backend::claim_all(&log).await;
        Self { log, epochs, sequences: vec![0; ids], bytes: 0 }
    }

    /// Appends an event to each of these ids; all are durable when it returns.
    pub(crate) async fn fill(&mut self, ids: impl Iterator<Item = usize>) {
        let mut waiting = VecDeque::with_capacity(IN_FLIGHT);
        for n in ids {
            let id = id(n);
            let slice = id.slice(self.log.slices());
            let (epoch, expected) = (self.epochs[slice.get() as usize], Sequence::new(self.sequences[n]));
            self.sequences[n] += 1;
            self.bytes += HEADER_BYTES + id.as_str().len() + EVENT_NAME.len() + EVENT_BYTES;
            let append = Append { slice, epoch, id, expected, events: vec![backend::event()] };
            if waiting.len() == IN_FLIGHT {
                let oldest = waiting.pop_front().expect("it is full");
                checked(oldest).await;
            }
            waiting.push_back(self.log.append(append));
        }
        for append in waiting {
            checked(append).await;
        }
    }
}

async fn checked<T>(append: impl Future<Output = Result<T, omnitron::backend::WriteError>>) {
    append.await.expect("nobody else writes here");
}

pub(crate) fn id(n: usize) -> PersistenceId {
    PersistenceId::new(format!("account-{n}")).expect("a legal id")
}

pub(crate) fn run(events: usize, folder: &Path) -> Figures {
    on_two(async {
        let ids = (events / EVENTS_PER_ID).max(1);
        let (mut order, quarter) = (Order::new(ids), events / 4);
        let mut filler = Filler::new(backend::open(folder), ids).await;
        // Not a part of the journal, but of this program.
        filler.sequences.fill(1);
        filler.sequences.fill(0);
        let before = resident_bytes();
        let (mut rates, mut most, began) = (Vec::new(), 0, Instant::now());
        for _ in 0..4 {
            let began = Instant::now();
            for _ in 0..10 {
                filler.fill(order.by_ref().take(quarter / 10)).await;
                most = resident_bytes().max(most);
            }
            rates.push((quarter / 10 * 10) as f64 / began.elapsed().as_secs_f64());
        }
        let rate = (quarter / 10 * 40) as f64 / began.elapsed().as_secs_f64();
        filler.log.close().await;
        Figures::new()
            .and("events/s", rate)
            .and("in the first quarter", rates[0])
            .and("in the last quarter", rates[3])
            .and("resident MB", most.saturating_sub(before) as f64 / 1e6)
            .and("bytes on disk per byte", disk_bytes(folder) as f64 / filler.bytes as f64)
    })
}

/// What the process holds in memory, from Linux.
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("resident pages, from Linux") * 4096
}

/// What the files of a folder take on the disk.
pub(crate) fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = std::fs::read_dir(folder).expect("the folder of the journal");
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |file| file.blocks() * 512)).sum()
}

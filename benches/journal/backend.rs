//! The journal in files without any actor: [`JournalBackend::append`] and what reads.

use std::path::Path;

use omnitron::backend::log::{self, Log};
use omnitron::backend::{Append, JournalBackend};
use omnitron::disk::real::Real;
use omnitron::{Epoch, NewEvent, PersistenceId, Sequence, Slice};

use super::callers::{Caller, EVENT_BYTES};

pub(crate) const EVENT_NAME: &str = "written";

/// One who appends to an id of its own.
pub(crate) struct Appender {
    log: Log,
    slice: Slice,
    epoch: Epoch,
    id: PersistenceId,
    sequence: Sequence,
}

impl Caller for Appender {
    async fn append(&mut self) {
        let Self { slice, epoch, sequence: expected, .. } = *self;
        let events = vec![event()];
        let append = Append { slice, epoch, id: self.id.clone(), expected, events };
        self.sequence = self.log.append(append).await.expect("nobody else writes here").sequence;
    }
}

pub(crate) fn event() -> NewEvent {
    NewEvent::new(EVENT_NAME, vec![7; EVENT_BYTES])
}

pub(crate) fn open(folder: &Path) -> Log {
    let disk = Real::new(folder).expect("the folder of the journal");
    log::open(disk, log::Options::default().identity(4711)).expect("a journal that is whole")
}

/// The epochs of all slices, in their order.
pub(crate) async fn claim_all(log: &Log) -> Vec<Epoch> {
    let mut epochs = Vec::new();
    for slice in log.slices().iter() {
        epochs.push(log.claim(slice).await.expect("nobody else claims"));
    }
    epochs
}

pub(crate) async fn callers(callers: usize, folder: &Path) -> Vec<Appender> {
    let log = open(folder);
    let epochs = claim_all(&log).await;
    let caller = |n| {
        let id = PersistenceId::new(format!("account-{n}")).expect("a legal id");
        let slice = id.slice(log.slices());
        let epoch = epochs[slice.get() as usize];
        Appender { log: log.clone(), slice, epoch, id, sequence: Sequence::ZERO }
    };
    (0..callers).map(caller).collect()
}

//! What the stories about the log share.

use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::log::{self, Log, OpenError, Options, Writer};
use omnitron_persistence::backend::{Append, Appended, JournalBackend, ReadError, SliceQuery, WriteError};
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::{Epoch, NewEvent, Ordinal, PersistenceId, Recorded, Sequence, Slice, Slices};

/// A small generator of numbers: the same from the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

pub(crate) fn options() -> Options {
    Options::default()
        .slices(Slices::new(2).unwrap())
        .identity(0xfeed_beef_0123_4567)
        .segment_bytes(4096)
        .readers(0)
}

/// A journal without threads: what is submitted is written by [`settle`](Self::settle).
pub(crate) struct Journal {
    pub(crate) log: Log,
    pub(crate) writer: Writer,
}

impl Journal {
    pub(crate) fn open(disk: &Sim, options: Options) -> Result<Self, OpenError> {
        let (log, writer) = log::open_driven(disk.boot(), options)?;
        Ok(Self { log, writer })
    }

    pub(crate) fn slice(&self, id: &PersistenceId) -> Slice {
        id.slice(self.log.slices())
    }

    pub(crate) fn settle(&mut self) {
        while self.writer.step() {}
    }

    pub(crate) fn claim(&mut self, slice: Slice) -> Result<Epoch, WriteError> {
        let claimed = self.log.claim(slice);
        self.settle();
        claimed.now_or_never().expect("it is settled")
    }

    pub(crate) fn append(
        &mut self,
        epoch: Epoch,
        id: &PersistenceId,
        expected: u64,
        events: Vec<NewEvent>,
    ) -> Result<Appended, WriteError> {
        let append = Append {
            slice: self.slice(id),
            epoch,
            id: id.clone(),
            expected: Sequence::new(expected),
            events,
        };
        let appended = self.log.append(append);
        self.settle();
        appended.now_or_never().expect("it is settled")
    }

    pub(crate) fn read(&self, id: &PersistenceId) -> Result<Vec<Recorded>, ReadError> {
        let events = self.log.read(id, Sequence::ZERO, Sequence::MAX);
        let events = events.collect::<Vec<_>>().now_or_never().expect("it reads on this thread");
        events.into_iter().collect()
    }

    pub(crate) fn read_slice(&self, slice: Slice) -> Result<Vec<Recorded>, ReadError> {
        let events = self.log.read_slice(SliceQuery { slice, tag: None, after: Ordinal::ZERO });
        let events = events.collect::<Vec<_>>().now_or_never().expect("it reads on this thread");
        events.into_iter().collect()
    }

    pub(crate) fn highest(&self, id: &PersistenceId) -> Result<u64, ReadError> {
        self.log.highest(id).now_or_never().expect("it reads on this thread").map(Sequence::get)
    }

    /// Closes it in good order.
    pub(crate) fn close(self) {
        let closed = self.log.close();
        self.writer.run();
        closed.now_or_never().expect("it is closed");
    }
}

pub(crate) fn id(text: &str) -> PersistenceId {
    PersistenceId::new(text).unwrap()
}

/// An event of a size that its number decides.
pub(crate) fn event(number: u64) -> NewEvent {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(8 + usize::try_from(number % 7).unwrap() * 37, number.to_le_bytes()[0]);
    NewEvent::new("log.event", payload)
}

pub(crate) fn number(event: &Recorded) -> u64 {
    let payload = &event.event.payload;
    let number = u64::from_le_bytes(payload[..8].try_into().unwrap());
    assert_eq!(event.event, self::event(number), "an event is as it was appended");
    number
}

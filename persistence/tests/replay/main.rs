//! How much memory does it take to read a history, and to recover from it, however long it is?
//!
//! A program of its own, because everything that it allocates is counted.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

extern crate omnitron_persistence as omnitron;

use allocation_counter::measure;
use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::log::{self, Log, Options, Writer};
use omnitron_persistence::backend::{Append, JournalBackend, SliceQuery};
use omnitron_persistence::disk::sim::Sim as Disk;
use omnitron_persistence::{
    Effect, Event, EventSourced, Journal, NewEvent, Ordinal, PersistenceId, Persistent, Scope, Sequence,
    Slices, WithJournal,
};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorSystem, ReplyTo};

/// One history fits into any buffer, the other into none.
const SHORT: u64 = 1_000;
const LONG: u64 = 100_000;
/// What the longer one may take more: what an index keeps of one whole segment. Its events take 10 MB.
const MORE: u64 = 256 << 10;

#[derive(Event)]
#[event(name = "tally.counted")]
struct Counted {
    text: String,
}

struct Tally;

impl EventSourced for Tally {
    type Command = ReplyTo<u64>;
    type Event = Counted;
    type State = u64;

    fn handle(&self, state: &u64, reply: ReplyTo<u64>, _: &Scope<Self>) -> Effect<Self> {
        Effect::reply(reply, *state)
    }

    fn apply(state: &mut u64, _: &Counted) {
        *state += 1;
    }
}

fn tally() -> PersistenceId {
    PersistenceId::new("tally").unwrap()
}

/// A journal whose only history has so many events, opened anew.
fn journal(events: u64) -> (Log, Writer) {
    let options = Options::default().slices(Slices::new(1).unwrap()).segment_bytes(1 << 20).readers(0);
    let disk = Disk::new(1);
    let (log, mut writer) = log::open_driven(disk.clone(), options.clone()).unwrap();
    let id = tally();
    let slice = id.slice(log.slices());
    let claimed = log.claim(slice);
    writer.step();
    let epoch = claimed.now_or_never().unwrap().unwrap();
    let event =
        Counted { text: "a text that is long enough to be counted, and not to be kept in place".to_owned() };
    let encoded = event.encode().unwrap();
    let mut stored = NewEvent::new(encoded.name, encoded.bytes.clone());
    stored.version = encoded.version;
    for n in 0..events / 500 {
        let expected = Sequence::new(n * 500);
        let append = Append { slice, epoch, id: id.clone(), expected, events: vec![stored.clone(); 500] };
        let appended = log.append(append);
        while writer.step() {}
        appended.now_or_never().unwrap().unwrap();
    }
    let closed = log.close();
    writer.run();
    closed.now_or_never().unwrap();
    log::open_driven(disk.boot(), options).unwrap()
}

/// The most bytes that were alive at once for this.
fn peak(work: impl FnOnce()) -> u64 {
    measure(work).bytes_max
}

#[track_caller]
fn assert_bounded(what: &str, peak_of: impl Fn(u64) -> u64) {
    let (short, long) = (peak_of(SHORT), peak_of(LONG));
    assert!(long < short + MORE, "{what}: {short} bytes for {SHORT} events, {long} for {LONG}");
}

#[test]
fn reading_a_history_takes_no_more_memory_when_it_is_longer() {
    assert_bounded("by id", |events| {
        let (log, _writer) = journal(events);
        peak(|| {
            let read = log.read(&tally(), Sequence::ZERO, Sequence::MAX);
            let count = read.fold(0, |count, event| std::future::ready(count + u64::from(event.is_ok())));
            assert_eq!(count.now_or_never(), Some(events));
        })
    });
    assert_bounded("by slice", |events| {
        let (log, _writer) = journal(events);
        let slice = tally().slice(log.slices());
        peak(|| {
            let read = log.read_slice(SliceQuery { slice, tag: None, after: Ordinal::ZERO });
            let count = read.fold(0, |count, event| std::future::ready(count + u64::from(event.is_ok())));
            assert_eq!(count.now_or_never(), Some(events));
        })
    });
}

#[test]
fn recovering_from_a_history_takes_no_more_memory_when_it_is_longer() {
    assert_bounded("an entity", |events| {
        let (log, mut writer) = journal(events);
        let sim = Sim::new(1);
        let journal = Journal::with(log.clone(), log.snapshots());
        let system =
            sim.block_on(ActorSystem::builder("test").env(sim.env()).journal(journal).start()).unwrap();
        peak(|| {
            let entity = system.spawn("tally", Persistent::new(Tally)).unwrap();
            sim.run_until_idle();
            while writer.step() {
                sim.run_until_idle();
            }
            assert_eq!(sim.block_on(entity.ask(|reply| reply).into_future()).unwrap(), events);
        })
    });
}

//! How fast does a projection catch up, and how far behind is one that keeps up?
//!
//! `cargo bench --bench projections [-- EVENTS]` writes 2 million events (or so many) of 100,000 ids into a journal in files, lets a projection with a read model
//! that only counts catch up with them, three times with events that are decoded and three times with their bytes as they are; then an entity writes 50,000
//! events a second for 5 s, and the time from the command to the read model is measured.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::cast_precision_loss, reason = "rates are printed with a few digits")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use omnitron::backend::Append;
use omnitron::prelude::*;
use omnitron::projection::{Batch, CommitError, Readable};
use omnitron::{NewEvent, PersistenceId, Projection, ReadModel, Recorded, Sequence};

const IDS: usize = 100_000;
const PER_APPEND: usize = 20;
const RATE: u32 = 50_000;
const SECONDS: u32 = 5;

#[derive(Event)]
#[event(name = "measured")]
struct Measured {
    number: u64,
    nanos: u64,
    filling: [u64; 28],
}

/// Counts, and notes how late events come.
struct Count<E> {
    seen: Arc<AtomicU64>,
    late: Option<(Instant, Vec<u64>)>,
    nanos: fn(&E) -> u64,
}

impl<E: Readable> ReadModel for Count<E> {
    type Event = E;

    async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(Vec::new())
    }

    async fn commit(&mut self, batch: &Batch<'_, E>) -> Result<(), CommitError> {
        if let Some((zero, late)) = &mut self.late {
            let now = nanos(zero.elapsed());
            late.extend(batch.events().iter().map(|event| now.saturating_sub((self.nanos)(&event.event))));
        }
        self.seen.fetch_add(batch.events().len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Writes what it is told, at once.
struct Writer;

impl EventSourced for Writer {
    type Command = u64;
    type Event = Measured;
    type State = u64;

    fn handle(&self, state: &u64, nanos: u64, _: &omnitron::Scope<Self>) -> Effect<Self> {
        Effect::persist(Measured { number: state + 1, nanos, filling: [7; 28] })
    }

    fn apply(state: &mut u64, event: &Measured) {
        *state = event.number;
    }
}

async fn start(folder: &Path) -> (ActorSystem, Journal) {
    let journal = Journal::embedded(folder);
    let system = ActorSystem::builder("bench").journal(journal.clone()).start().await;
    (system.expect("the folder can be used"), journal)
}

async fn fill(folder: &Path, events: usize) {
    let (system, journal) = start(folder).await;
    let backend = journal.backend().expect("it is open");
    let bytes = Measured { number: 1, nanos: 1, filling: [7; 28] }.encode().expect("it is small").bytes;
    let event = NewEvent::new("measured", bytes);
    let mut epochs = std::collections::BTreeMap::new();
    for slice in backend.slices().iter() {
        epochs.insert(slice, backend.claim(slice).await.expect("the journal is well"));
    }
    let appends = (0..events / PER_APPEND).map(|n| {
        let id = PersistenceId::new(format!("id-{}", n % IDS)).expect("it is valid");
        let slice = id.slice(backend.slices());
        let events = vec![event.clone(); PER_APPEND];
        let expected = Sequence::new((n / IDS * PER_APPEND) as u64);
        backend.append(Append { slice, epoch: epochs[&slice], id, expected, events })
    });
    let mut appends = futures_util::stream::iter(appends).buffered(1_000);
    while let Some(appended) = appends.next().await {
        appended.expect("the journal is well");
    }
    system.shutdown().await;
}

async fn catch_up<E: Readable>(folder: &Path, events: usize, what: &str, nanos: fn(&E) -> u64) {
    let (system, _) = start(folder).await;
    let seen = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&seen);
    let began = Instant::now();
    let open = move |_: &_| Ok(Count::<E> { seen: Arc::clone(&counted), late: None, nanos });
    let projection = Projection::new("count", open).start(&system).await.expect("it starts");
    projection.caught_up().await.expect("the journal is well");
    let took = began.elapsed().as_secs_f64();
    assert!(seen.load(Ordering::Relaxed) >= events as u64, "all of them");
    println!("catch-up, {what:<8} {:>6.2} M events/s", events as f64 / took / 1e6);
    system.shutdown().await;
}

async fn lag(folder: &Path) {
    let (system, _) = start(folder).await;
    let (zero, seen) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&seen);
    let open = move |_: &_| {
        let late = Some((zero, Vec::new()));
        Ok(Count::<Measured> { seen: Arc::clone(&counted), late, nanos: |event| event.nanos })
    };
    let projection = Projection::new("lag", open).start(&system).await.expect("it starts");
    let writer = Persistent::new(Writer).mailbox(Mailbox::bounded(100_000)).pipeline(100_000, 64 << 20);
    let writer = system.spawn("writer", writer).expect("the name is free");
    let began = Instant::now();
    let mut told = 0;
    while told < RATE * SECONDS {
        let due = began.elapsed().as_micros() * u128::from(RATE) / 1_000_000;
        while u128::from(told) < due.min(u128::from(RATE * SECONDS)) {
            writer.send(nanos(zero.elapsed())).await.expect("it runs");
            told += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    writer.drain().await;
    projection.caught_up().await.expect("the journal is well");
    let query = projection.query(|count| count.late.as_mut().map(|(_, late)| std::mem::take(late)));
    let mut late = query.await.expect("it answers").unwrap_or_default();
    late.sort_unstable();
    let at = |percent: usize| late[(late.len() - 1) * percent / 100] as f64 / 1e6;
    println!(
        "lag of {} events at {RATE}/s: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
        late.len(),
        at(50),
        at(99),
        at(100)
    );
    system.shutdown().await;
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let events = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(2_000_000);
    let written = folder("projections");
    fill(&written, events).await;
    for _ in 0..3 {
        catch_up::<Recorded>(&written, events, "bytes", |_| 0).await;
        catch_up::<Measured>(&written, events, "decoded", |event| event.nanos).await;
    }
    let _ = std::fs::remove_dir_all(&written);
    let live = folder("projections-live");
    lag(&live).await;
    let _ = std::fs::remove_dir_all(&live);
}

//! How fast is the journal on PostgreSQL beside a bare batched insert into the same server?
//!
//! It starts a server of its own, with syncs. Both contestants append events of 256 bytes for C callers, in turns: the *bare* one makes one multi-row insert of C rows into a
//! table like that of the events, of the same ids and slices, on one connection, and nothing else: no fence, no queue, no callers. The journal has C tasks which each wait for their append before the
//! next. Prints events per second, medians of the rounds, and the ratio.
//!
//! `cargo bench --features postgres --bench postgres [-- --rounds 5 --millis 2000 --slices 256]`
#![expect(clippy::disallowed_methods, reason = "a benchmark measures the machine")]
#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../persistence/tests/postgres/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use omnitron::backend::postgres::{self, Options, Postgres};
use omnitron::backend::{Append, JournalBackend};
use omnitron::{Env, Epoch, NewEvent, PersistenceId, Sequence, Slices};
use server::Server;

const CALLERS: [usize; 4] = [1, 16, 256, 1000];
const BYTES: usize = 256;

fn setting(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() {
    let Some(server) = Server::start_with(&["fsync=on", "shared_buffers=512MB", "max_wal_size=4GB"]) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&server));
}

async fn run(server: &Server) {
    let (rounds, time) = (setting("--rounds", 5), Duration::from_millis(setting("--millis", 2_000)));
    let slices = u32::try_from(setting("--slices", 256)).ok().and_then(Slices::new).unwrap();
    let options = Options::default().slices(slices);
    let journal = postgres::open(&Env::tokio().unwrap(), [server.url("public")], options).await.unwrap();
    let mut epochs = Vec::new();
    for slice in journal.slices().iter() {
        epochs.push(journal.claim(slice).await.unwrap());
    }
    let epochs: Arc<[Epoch]> = epochs.into();
    let bare = Bare::new(server, slices).await;
    println!("{:>8} {:>12} {:>12} {:>7}", "callers", "bare/s", "journal/s", "ratio");
    for callers in CALLERS {
        let (mut bares, mut journals) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            bares.push(bare.run(callers, round, time).await);
            journals.push(appends(&journal, &epochs, callers, round, time).await);
        }
        let (bare, journal) = (median(bares), median(journals));
        println!("{callers:>8} {bare:>12.0} {journal:>12.0} {:>7.2}", journal / bare);
    }
    journal.close().await;
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
fn per_second(events: u64, since: Instant) -> f64 {
    events as f64 / since.elapsed().as_secs_f64()
}

/// The journal: `callers` tasks, each with an id of its own.
async fn appends(
    journal: &Postgres,
    epochs: &Arc<[Epoch]>,
    callers: usize,
    round: u64,
    time: Duration,
) -> f64 {
    let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    let start = Instant::now();
    for caller in 0..callers {
        let (journal, epochs) = (journal.clone(), Arc::clone(epochs));
        let (over, count) = (Arc::clone(&over), Arc::clone(&count));
        tasks.push(tokio::spawn(async move {
            let id = PersistenceId::new(format!("account-{callers}-{round}-{caller}")).unwrap();
            let slice = id.slice(journal.slices());
            let mut last = Sequence::ZERO;
            while !over.load(Ordering::Relaxed) {
                let events = vec![NewEvent::new("account.deposited", vec![7; BYTES])];
                let append = Append {
                    slice,
                    epoch: epochs[slice.get() as usize],
                    id: id.clone(),
                    expected: last,
                    events,
                };
                last = journal.append(append).await.unwrap().sequence;
                count.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    per_second(count.load(Ordering::Relaxed), start)
}

/// A table like that of the events, and one insert after the other.
struct Bare {
    client: tokio_postgres::Client,
    insert: tokio_postgres::Statement,
    slices: Slices,
    /// The last ordinals.
    ends: Vec<AtomicI64>,
}

impl Bare {
    async fn new(server: &Server, slices: Slices) -> Self {
        let client = server.client().await;
        client
            .batch_execute(
                "CREATE TABLE bare (slice int4 NOT NULL, ordinal int8 NOT NULL, id text COLLATE \"C\" NOT NULL, sequence int8 NOT NULL,
                 timestamp_ms int8 NOT NULL, version int4 NOT NULL, checksum int4 NOT NULL, name bytea NOT NULL, tags bytea, metadata bytea,
                 payload bytea NOT NULL, PRIMARY KEY (id, sequence), UNIQUE (slice, ordinal))",
            )
            .await
            .unwrap();
        let insert =
            "INSERT INTO bare SELECT slice, ordinal, id, sequence, 0, 1, 0, name, NULL, NULL, payload
            FROM unnest($1::int4[], $2::int8[], $3::text[], $4::int8[], $5::bytea[], $6::bytea[])
            AS e(slice, ordinal, id, sequence, name, payload)";
        let insert = client.prepare(insert).await.unwrap();
        let ends = slices.iter().map(|_| AtomicI64::new(0)).collect();
        Self { client, insert, slices, ends }
    }

    async fn run(&self, callers: usize, round: u64, time: Duration) -> f64 {
        let ids: Vec<String> =
            (0..callers).map(|caller| format!("account-{callers}-{round}-{caller}")).collect();
        let slice = |id: &String| PersistenceId::new(id).unwrap().slice(self.slices).get();
        let slices: Vec<i32> = ids.iter().map(|id| slice(id).cast_signed()).collect();
        let (mut sequence, mut count) = (0_i64, 0);
        let start = Instant::now();
        while start.elapsed() < time {
            sequence += 1;
            let next =
                |slice: &i32| self.ends[usize::try_from(*slice).unwrap()].fetch_add(1, Ordering::Relaxed);
            let ordinals: Vec<i64> = slices.iter().map(next).collect();
            let sequences = vec![sequence; callers];
            let names = vec![&b"account.deposited"[..]; callers];
            let payloads: Vec<Vec<u8>> = (0..callers).map(|_| vec![7; BYTES]).collect();
            self.client
                .execute(&self.insert, &[&slices, &ordinals, &ids, &sequences, &names, &payloads])
                .await
                .unwrap();
            count += callers as u64;
        }
        per_second(count, start)
    }
}

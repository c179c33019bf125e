//! How many transfers from account to account does a journal in files take, each with an effect at two entities that happens once?
//!
//! `cargo bench --bench transfer [-- TRANSFERS]` lets a thousand accounts pay each other 200,000 times (or so many), 2,048 commands at once, three times: a payment is an
//! event and a post in one append, and what it credits an event and a mark in another. The time ends when the last one is credited. Then the same four events per
//! transfer are appended to the same journal by hand, so many at once, with nothing above it: what is printed behind it is the part of that.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::cast_precision_loss, reason = "rates are printed with a few digits")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::{StreamExt, stream};
use omnitron::backend::Append;
use omnitron::prelude::*;
use omnitron::{NewEvent, PersistenceId, Sequence};

const ACCOUNTS: u64 = 1_000;
const AT_ONCE: usize = 2_048;

struct Account;

enum Command {
    Pay(u64, i64, ReplyTo<()>),
    Credit(Deposit),
    Balance(ReplyTo<i64>),
}

#[derive(Event)]
#[event(name = "deposit")]
struct Deposit {
    cents: i64,
}

#[derive(Event)]
enum AccountEvent {
    Paid { cents: i64 },
    Credited { cents: i64 },
}

impl EventSourced for Account {
    type Command = Command;
    type Event = AccountEvent;
    type State = i64;

    fn handle(&self, balance: &i64, command: Command, _: &Scope<Self>) -> Effect<Self> {
        match command {
            Command::Pay(to, cents, reply) => Effect::persist(AccountEvent::Paid { cents })
                .then_post(("account", to.to_string()), Deposit { cents })
                .then_reply(reply, |_| ()),
            Command::Credit(Deposit { cents }) => Effect::persist(AccountEvent::Credited { cents }),
            Command::Balance(reply) => Effect::reply(reply, *balance),
        }
    }

    fn apply(balance: &mut i64, event: &AccountEvent) {
        match event {
            AccountEvent::Paid { cents } => *balance -= cents,
            AccountEvent::Credited { cents } => *balance += cents,
        }
    }
}

fn draw(number: u64, which: u64) -> u64 {
    let mut z = (number * 2 + which).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 31)) % ACCOUNTS
}

async fn start(folder: &Path) -> (ActorSystem, Journal) {
    let journal = Journal::embedded(folder);
    let system = ActorSystem::builder("bench").journal(journal.clone()).start().await;
    (system.expect("the folder can be used"), journal)
}

/// Transfers per second, and how many bytes lie in the folder afterwards.
async fn transfers(folder: &Path, count: u64) -> f64 {
    let (system, _) = start(folder).await;
    let room = NonZeroUsize::new(16_384).expect("it is not zero");
    let accounts = Gateway::new(|_| Persistent::new(Account)).mailbox(room);
    let accounts = accounts.start(&system, "account").expect("the name is free");
    let outbox = Outbox::new("transfers").deliver(&accounts, Command::Credit);
    let outbox = outbox.start(&system).expect("the name is free");
    let began = Instant::now();
    let payments = (0..count).map(|number| {
        let [from, to] = [0, 1].map(|which| draw(number, which));
        let payer = accounts.entity(from.to_string()).expect("the ids are valid");
        async move {
            let paid = payer.ask(|reply| Command::Pay(to, 5, reply)).await;
            paid.expect("the journal is well");
        }
    });
    stream::iter(payments).buffer_unordered(AT_ONCE).collect::<()>().await;
    let paid = began.elapsed().as_secs_f64();
    outbox.caught_up().await.expect("the journal is well");
    let took = began.elapsed().as_secs_f64();
    let mut sum = 0;
    for number in 0..ACCOUNTS {
        let account = accounts.entity(number.to_string()).expect("the ids are valid");
        sum += account.ask(Command::Balance).await.expect("it answers");
    }
    assert_eq!(sum, 0, "nothing is lost or made");
    println!(
        "{:>7.0} transfers/s to the last credit ({:.0} payments/s acknowledged)",
        count as f64 / took,
        count as f64 / paid
    );
    system.shutdown().await;
    count as f64 / took
}

/// The same events with nothing above the journal.
async fn bare(folder: &Path, count: u64) -> f64 {
    let (system, journal) = start(folder).await;
    let backend = journal.backend().expect("it is open");
    let mut epochs = BTreeMap::new();
    for slice in backend.slices().iter() {
        epochs.insert(slice, backend.claim(slice).await.expect("the journal is well"));
    }
    let mut ends = BTreeMap::<u64, u64>::new();
    // About what an event and its post or mark are: see `omnitron::Post`.
    let events = |bytes: usize| {
        vec![NewEvent::new("account.paid", vec![1; 8]), NewEvent::new("omnitron.posted", vec![1; bytes])]
    };
    let began = Instant::now();
    let appends = (0..count * 2).map(|n| {
        let account = draw(n / 2, n % 2);
        let id = PersistenceId::new(format!("account/{account}")).expect("it is valid");
        let slice = id.slice(backend.slices());
        let end = ends.entry(account).or_default();
        let expected = Sequence::new(*end);
        *end += 2;
        backend.append(Append {
            slice,
            epoch: epochs[&slice],
            id,
            expected,
            events: events(if n % 2 == 0 { 80 } else { 24 }),
        })
    });
    let mut appends = stream::iter(appends).buffered(AT_ONCE);
    while let Some(appended) = appends.next().await {
        appended.expect("the journal is well");
    }
    let took = began.elapsed().as_secs_f64();
    system.shutdown().await;
    count as f64 / took
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

fn main() {
    let count = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(200_000);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    runtime.block_on(async {
        for _ in 0..3 {
            let rate = transfers(&folder("transfer"), count).await;
            let bare = bare(&folder("transfer-bare"), count).await;
            println!("{bare:>7.0} transfers/s by hand: {:.2} of it", rate / bare);
        }
    });
    let _ = std::fs::remove_dir_all(folder("transfer"));
    let _ = std::fs::remove_dir_all(folder("transfer-bare"));
}

//! Do entities and projections work on it, through faults and from one system to the next?

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use omnitron_persistence::projection::{Batch, CommitError};
use omnitron_persistence::{
    Effect, Event, EventSourced, Journal, Persistent, Projection, ReadModel, Scope, Snapshots, WithJournal,
};
use omnitron_runtime::{ActorSystem, Failure, ReplyTo, StartError};
use parking_lot::Mutex;

use crate::faults::options;
use crate::proxy::Proxy;
use crate::server::{Server, address, schema, shared};

#[derive(Clone, Debug, Event, PartialEq)]
#[event(name = "account")]
enum Changed {
    Deposited { cents: u64 },
}

#[derive(Clone, Debug, Default, Event, PartialEq)]
#[event(name = "balance")]
struct Balance {
    cents: u64,
}

#[derive(Default)]
struct Account;

enum Command {
    Deposit(u64, ReplyTo<u64>),
    Balance(ReplyTo<u64>),
}

impl EventSourced for Account {
    type Command = Command;
    type Event = Changed;
    type State = Balance;

    fn handle(&self, state: &Balance, command: Command, _: &Scope<Self>) -> Effect<Self> {
        match command {
            Command::Deposit(cents, reply) => {
                Effect::persist(Changed::Deposited { cents }).then_reply(reply, |state: &Balance| state.cents)
            }
            Command::Balance(reply) => Effect::reply(reply, state.cents),
        }
    }

    fn apply(state: &mut Balance, event: &Changed) {
        let Changed::Deposited { cents } = event;
        state.cents += cents;
    }
}

async fn start(addresses: &[String]) -> ActorSystem {
    let journal = Journal::postgres_with(addresses.to_vec(), options());
    ActorSystem::builder("bank").journal(journal).start().await.unwrap()
}

fn account() -> Persistent<Account> {
    Persistent::new(Account).snapshots(Snapshots::every(50).keep(2).delete_events())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_survive_that_their_system_ends() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..]).await;
    for life in 0..3_u64 {
        let system = start(&addresses).await;
        let spawn = |n: u64| system.spawn(&format!("account-{n}"), account()).unwrap();
        let accounts: Vec<_> = (0..8).map(spawn).collect();
        for account in &accounts {
            assert_eq!(account.ask(Command::Balance).await.unwrap(), life * 120);
        }
        let asks =
            (0..120).flat_map(|_| &accounts).map(|account| account.ask(|reply| Command::Deposit(1, reply)));
        let answers = join_all(asks).await;
        assert!(answers.into_iter().all(|answer| answer.is_ok()));
        assert!(system.shutdown().await.unfinished.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_suspended_while_its_server_is_away_and_loses_nothing() {
    let Some(servers) = shared() else { return };
    let schema = schema(&servers[..1]).await;
    let name = schema[0].rsplit("%3D").next().unwrap();
    let proxy = Proxy::to(servers[0].port).await;
    let patience = std::time::Duration::from_millis(100);
    let journal = Journal::postgres_with([address(proxy.port, name)], options().patience(patience));
    let system = ActorSystem::builder("bank").journal(journal.clone()).start().await.unwrap();
    let account = system.spawn("account", account()).unwrap();
    let deposit =
        || account.ask(|reply| Command::Deposit(1, reply)).within(std::time::Duration::from_mins(1));
    assert_eq!(deposit().await.unwrap(), 1);
    let (mut acknowledged, mut sent) = (1, 1);
    for round in 1..=3 {
        proxy.refuse(true);
        // What is on its way when the server goes may be stored; whoever asked is told so.
        let answers = join_all((0..5).map(|_| deposit())).await;
        acknowledged += answers.iter().filter(|answer| answer.is_ok()).count() as u64;
        // What comes while it is away waits.
        let back = async {
            while journal.last_fault().is_none() {
                tokio::task::yield_now().await;
            }
            proxy.refuse(false);
        };
        let (waited, ()) = futures_util::future::join(deposit(), back).await;
        assert!(waited.is_ok(), "round {round}: {waited:?}");
        (acknowledged, sent) = (acknowledged + 1, sent + 6);
    }
    let fault = journal.last_fault().unwrap();
    assert!(fault.place().contains(&proxy.port.to_string()), "{fault}");
    assert!(deposit().await.unwrap() > acknowledged);
    let balance = account.ask(Command::Balance).await.unwrap();
    assert!((acknowledged + 1..=sent + 1).contains(&balance), "{acknowledged} {balance} {sent}");
    system.shutdown().await;
}

/// A read model in memory that counts what every id has.
#[derive(Clone, Default)]
struct Totals {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    totals: BTreeMap<String, u64>,
    offsets: BTreeMap<u32, Vec<u8>>,
}

impl ReadModel for Totals {
    type Event = Changed;

    async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(self.state.lock().offsets.values().cloned().collect())
    }

    async fn commit(&mut self, batch: &Batch<'_, Changed>) -> Result<(), CommitError> {
        let mut state = self.state.lock();
        for event in batch.events() {
            let Changed::Deposited { cents } = event.event;
            *state.totals.entry(event.id.to_string()).or_default() += cents;
        }
        state.offsets.insert(batch.part(), batch.offset());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_reads_all_servers_and_goes_on_where_it_was() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..]).await;
    let totals = Totals::default();
    for life in 1..=2_u64 {
        let system = start(&addresses).await;
        let model = totals.clone();
        let projection =
            Projection::new("totals", move |_: &_| Ok(model.clone())).parts(2).start(&system).await.unwrap();
        let accounts: Vec<_> = (0..8)
            .map(|n| system.spawn(&format!("account-{n}"), Persistent::new(Account)).unwrap())
            .collect();
        let asks =
            (0..25).flat_map(|_| &accounts).map(|account| account.ask(|reply| Command::Deposit(2, reply)));
        join_all(asks).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        while projection.lag().await.unwrap().events > 0 {}
        let expected: BTreeMap<String, u64> = (0..8).map(|n| (format!("account-{n}"), life * 50)).collect();
        assert_eq!(totals.state.lock().totals, expected, "each event once");
        system.shutdown().await;
    }
}

#[tokio::test]
async fn a_system_whose_journal_cannot_be_opened_does_not_start() {
    let Some(server) = Server::start() else { return };
    let address = server.url("public").replace("/postgres?", "/missing?");
    let started = ActorSystem::builder("bank").journal(Journal::postgres([address])).start().await;
    match started {
        Err(StartError::Extension { name, reason }) => {
            assert_eq!(name, "journal");
            assert!(reason.contains("missing") && reason.contains("Create the database"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

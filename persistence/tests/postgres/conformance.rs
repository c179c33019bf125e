//! The suite, on two servers.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use omnitron_persistence::Slices;
use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::backend::postgres::{self, Options, Postgres};
use omnitron_persistence::conformance::{self, Storage};
use omnitron_runtime::Env;

use crate::server::{Server, schema, shared};

struct Place {
    servers: Arc<[Server; 2]>,
    addresses: Vec<String>,
    options: Options,
    open: Option<Postgres>,
}

impl Storage for Place {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn JournalBackend>> {
        async {
            if self.addresses.is_empty() {
                self.addresses = schema(&self.servers[..]).await;
            }
            let env = Env::tokio().unwrap();
            let opened = postgres::open(&env, self.addresses.clone(), self.options.clone()).await;
            let journal = opened.expect("a healthy journal opens");
            self.open = Some(journal.clone());
            let journal: Arc<dyn JournalBackend> = Arc::new(journal);
            journal
        }
        .boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.open.take().expect("it is open").close()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_on_two_servers_keeps_the_contract() {
    let Some(servers) = shared() else { return };
    let create = |slices: Slices| {
        let options = Options::default().slices(slices);
        Place { servers: Arc::clone(&servers), addresses: Vec::new(), options, open: None }
    };
    let skipped = conformance::check(create).await;
    assert_eq!(skipped.len(), 2, "its faults are tests of their own: {skipped:?}");
}

#[tokio::test]
async fn its_snapshots_keep_theirs() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..]).await;
    let journal =
        postgres::open(&Env::tokio().unwrap(), addresses, Options::default().snapshots(3)).await.unwrap();
    conformance::snapshots::the_newest_intact_one_is_found(&journal.snapshots(), 3).await;
}

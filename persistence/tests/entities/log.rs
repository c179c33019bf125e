//! Does it all hold over the journal in files, closed and opened again?

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use omnitron_persistence::{Journal, Persistent, Snapshots, WithJournal};
use omnitron_runtime::{ActorRef, ActorSystem, StartError};

use crate::world::{Account, Command};

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("omnitron-entities-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(folder: &Folder) -> (ActorSystem, ActorRef<Command>) {
    let system = ActorSystem::builder("bank").journal(Journal::embedded(&folder.0)).start().await.unwrap();
    let options = Snapshots::every(100).keep(2).delete_events();
    let account = Persistent::new(Account::default()).snapshots(options);
    let account = system.spawn("account-42", account).unwrap();
    (system, account)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_in_a_folder_survives_that_its_system_ends() {
    let folder = Folder::new();
    for round in 0..3_u64 {
        let (system, account) = start(&folder).await;
        assert_eq!(account.ask(Command::Balance).await.unwrap(), round * 1_000);
        let asks = (0..1_000).map(|_| account.ask(|reply| Command::Deposit(1, reply)));
        let answers = futures_util::future::join_all(asks).await;
        let answers: Vec<u64> = answers.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().copied().eq(round * 1_000 + 1..=round * 1_000 + 1_000), "in order");
        assert!(system.shutdown().await.unfinished.is_empty());
    }
}

#[tokio::test]
async fn a_folder_that_another_system_uses_is_refused_at_the_start() {
    let folder = Folder::new();
    let (system, _account) = start(&folder).await;
    let second = ActorSystem::builder("second").journal(Journal::embedded(&folder.0)).start().await;
    match second {
        Err(StartError::Extension { name, reason }) => {
            assert_eq!(name, "journal");
            assert!(reason.contains("in use") && reason.contains("Stop the other program"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    system.shutdown().await;
    let (system, account) = start(&folder).await;
    assert_eq!(account.ask(Command::Balance).await.unwrap(), 0);
    system.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_accounts_at_once_lose_nothing_over_several_lives() {
    const ACCOUNTS: u64 = 40;
    let folder = Folder::new();
    for life in 0..3_u64 {
        let system =
            ActorSystem::builder("bank").journal(Journal::embedded(&folder.0)).start().await.unwrap();
        let snapshots = || Snapshots::every(7).keep(1).delete_events();
        let persistent = || Persistent::new(Account::default()).snapshots(snapshots()).pipeline(8, 1 << 20);
        let spawn = |n: u64| system.spawn(&format!("account-{n}"), persistent()).unwrap();
        let accounts: Vec<_> = (0..ACCOUNTS).map(spawn).collect();
        let asks = (0..50).flat_map(|_| &accounts).map(|account| {
            let ask = account.ask(|reply| Command::Deposit(1, reply));
            async move { ask.await.unwrap() }
        });
        let answers = futures_util::future::join_all(asks).await;
        assert_eq!(answers.iter().max(), Some(&((life + 1) * 50)));
        // Some crash, and the next question finds them again.
        for account in accounts.iter().step_by(3) {
            account.tell(Command::Panic).unwrap();
        }
        for account in &accounts {
            assert_eq!(account.ask(Command::Balance).await.unwrap(), (life + 1) * 50);
        }
        system.shutdown().await;
    }
}

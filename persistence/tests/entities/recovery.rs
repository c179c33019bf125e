//! What comes out of a recovery when the journal is not as it should be?

use futures_util::FutureExt;
use omnitron_persistence::backend::{Append, Delete, JournalBackend};
use omnitron_persistence::snapshot::{Snapshot, SnapshotStore};
use omnitron_persistence::{NewEvent, PersistenceId, Persistent, Sequence, Snapshots};
use omnitron_runtime::AskError;

use crate::failures::{Crashes, watched};
use crate::world::{Account, Command, World};

const ID: &str = "parent/account";

fn id() -> PersistenceId {
    PersistenceId::new(ID).unwrap()
}

/// Puts what no account would put into its journal, with an epoch of its own.
fn tamper(world: &World, events: Vec<NewEvent>) {
    let slice = id().slice(world.backend.slices());
    let epoch = world.backend.claim(slice).now_or_never().unwrap().unwrap();
    let expected = world.backend.highest(&id()).now_or_never().unwrap().unwrap();
    world
        .backend
        .append(Append { slice, epoch, id: id(), expected, events })
        .now_or_never()
        .unwrap()
        .unwrap();
}

fn delete(world: &World, to: u64) {
    let slice = id().slice(world.backend.slices());
    let epoch = world.backend.claim(slice).now_or_never().unwrap().unwrap();
    let delete = Delete { slice, epoch, id: id(), to: Sequence::new(to) };
    world.backend.delete_to(delete).now_or_never().unwrap().unwrap();
}

fn reason(crashes: &mut Crashes) -> String {
    crashes.try_recv().unwrap().reason().to_owned()
}

#[track_caller]
fn assert_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

/// The account does not come up: it says so once and stops, and commands are refused.
#[track_caller]
fn refused(world: &World, parts: &[&str]) {
    let (account, mut crashes) = watched(world);
    assert_parts(&reason(&mut crashes), parts);
    assert!(crashes.try_recv().is_err(), "no restart changes it, so none is tried");
    assert!(account.is_stopped());
    assert!(matches!(world.deposit(&account, 1).get(), Err(AskError::Refused(_))));
}

#[test]
fn an_event_that_cannot_be_read_names_id_sequence_and_both_types() {
    let world = World::new(1);
    tamper(&world, vec![NewEvent::new("account.renamed", "x")]);
    let sides = ["account.renamed", "AccountEvent", "account.deposited"];
    refused(&world, &[&["`parent/account`", "event 1 cannot be read"], &sides[..]].concat());
}

#[test]
fn a_gap_is_an_error_that_names_what_is_missing() {
    let world = World::new(1);
    let (account, _) = watched(&world);
    for _ in 0..3 {
        world.deposit(&account, 1).get().unwrap();
    }
    delete(&world, 2);
    refused(&world.crash(), &["`parent/account`", "events 1 to 2 are missing", "restore the journal"]);
}

#[test]
fn a_panic_in_apply_during_recovery_names_sequence_and_type_and_what_to_do() {
    let world = World::new(1);
    let (account, _) = watched(&world);
    world.deposit(&account, 12).get().unwrap();
    let mut unlucky = world.events(ID)[0].event.clone();
    let payload = unlucky.payload.iter().map(|byte| if *byte == 12 { 13 } else { *byte }).collect::<Vec<_>>();
    unlucky.payload = payload.into();
    tamper(&world, vec![unlucky]);
    let parts = ["`parent/account`", "event 2", "account.deposited", "an unlucky deposit", "correct `apply`"];
    refused(&world.crash(), &parts);
}

#[test]
fn a_snapshot_newer_than_the_journal_is_refused_and_names_both_ends() {
    let world = World::new(1);
    let account = || Persistent::new(Account::default()).snapshots(Snapshots::every(1));
    let first = world.spawn_with("a", account());
    world.deposit(&first, 1).get().unwrap();
    let saved = world.snapshots.load(&PersistenceId::new("a").unwrap(), Sequence::MAX);
    let saved = saved.now_or_never().unwrap().unwrap().snapshot.unwrap();
    let ahead = Snapshot { sequence: Sequence::new(9), ..saved };
    world.snapshots.save(ahead).now_or_never().unwrap().unwrap();
    let world = world.crash();
    let second = world.spawn_with("a", account());
    assert!(second.is_stopped());
    assert_eq!(world.system.stats().failures, 1);
}

#[test]
fn a_snapshot_that_cannot_be_read_gives_way_to_the_older_one() {
    let world = World::new(1);
    let account = || Persistent::new(Account::default()).snapshots(Snapshots::every(2));
    let first = world.spawn_with("a", account());
    for _ in 0..4 {
        world.deposit(&first, 1).get().unwrap();
    }
    let id = PersistenceId::new("a").unwrap();
    let saved = world.snapshots.load(&id, Sequence::MAX).now_or_never().unwrap().unwrap().snapshot.unwrap();
    assert_eq!(saved.sequence, Sequence::new(4));
    let broken = Snapshot { state: "nonsense".into(), ..saved };
    world.snapshots.save(broken).now_or_never().unwrap().unwrap();
    let world = world.crash();
    let second = world.spawn_with("a", account());
    assert_eq!(world.balance(&second), 4);
}

#[test]
fn more_ids_than_may_recover_at_once_all_recover() {
    let world = World::new(1);
    let accounts: Vec<_> = (0..200).map(|n| world.spawn(&format!("a{n}"))).collect();
    for (n, account) in (100..).zip(&accounts) {
        world.deposit(account, n).get().unwrap();
    }
    let world = world.crash();
    let accounts: Vec<_> = (0..200).map(|n| world.spawn(&format!("a{n}"))).collect();
    for (n, account) in (100..).zip(&accounts) {
        assert_eq!(world.ask(account, Command::Balance).get().unwrap(), n);
    }
}

#[test]
fn a_long_recovery_gives_way_to_others_and_can_be_seen() {
    let world = World::new(1);
    let account = world.spawn("long");
    for _ in 0..3 {
        let asked = world.ask(&account, |reply| Command::DepositAll(vec![1; 10_000], reply));
        asked.get().unwrap();
    }
    let world = world.crash();
    let journal = world.journal.clone();
    let long = world.system.spawn("long", Persistent::new(Account::default())).unwrap();
    let env = world.sim.env();
    let seen = world.sim.block_on(async move {
        loop {
            if let Some(recovering) = journal.recovering().pop() {
                return recovering;
            }
            // Another task has its turn.
            env.sleep(std::time::Duration::ZERO).await;
            futures_util::future::poll_fn({
                let mut gave = false;
                move |cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::replace(&mut gave, true) {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                }
            })
            .await;
        }
    });
    assert_eq!((seen.id.as_str(), seen.end), ("long", Sequence::new(30_000)));
    assert!(seen.at < seen.end);
    world.sim.run_until_idle();
    assert_eq!(world.balance(&long), 30_000);
    assert!(world.journal.recovering().is_empty());
}

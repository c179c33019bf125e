//! Does an id have one writer, over real connections of several processes' worth of journals?

use std::collections::BTreeMap;

use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt};
use omnitron_persistence::backend::postgres::Postgres;
use omnitron_persistence::backend::{Delete, JournalBackend, SliceQuery, WriteError};
use omnitron_persistence::{Epoch, Follow, Journal, Ordinal, Sequence, Slice};
use omnitron_runtime::Env;

use crate::faults::{append, claim_all, event, id, numbers, open, options};
use crate::server::{schema, shared};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_owners_who_claim_and_write_at_once_one_writes_at_a_time() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..]).await;
    let owners = [open(&addresses, options()).await, open(&addresses, options()).await];
    let a = id("contested");
    let slice = a.slice(owners[0].slices());
    let own = async |owner: &Postgres, mark: u64| {
        let mut written = Vec::new();
        for turn in 0..30 {
            let epoch = owner.claim(slice).await.unwrap();
            let epochs: BTreeMap<Slice, Epoch> = [(slice, epoch)].into();
            let mut last = owner.highest(&a).await.unwrap().get();
            for n in 0..5 {
                let number = mark + turn * 10 + n;
                match append(owner, &epochs, &a, last, vec![event(number)]).await {
                    Ok(appended) => {
                        last = appended.sequence.get();
                        written.push((last, number));
                    }
                    // The other one took it over, maybe between the claim and the look at its end.
                    Err(WriteError::StaleEpoch { given, current, .. }) => {
                        assert!(given == epoch && current > epoch);
                        break;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
        written
    };
    let (one, other) = futures_util::future::join(own(&owners[0], 1_000), own(&owners[1], 2_000)).await;
    let mut all: Vec<_> = one.into_iter().chain(other).collect();
    all.sort_unstable();
    let there: Vec<_> = (1..).zip(numbers(&owners[0], &a).await).collect();
    assert_eq!(there, all, "what was acknowledged is what is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_follows_learns_what_another_process_writes() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..]).await;
    let writer = open(&addresses, options()).await;
    let journal = Journal::postgres(addresses);
    let env = Env::tokio().unwrap();
    journal.open(&env).await.unwrap();
    let mut feed = journal.follow(&env, Follow::all()).await.unwrap();
    let epochs = claim_all(&writer).await;
    let ids: Vec<_> = (0..8).map(|n| id(&format!("id-{n}"))).collect();
    for round in 0..5 {
        let appends = ids.iter().map(|id| append(&writer, &epochs, id, round, vec![event(round)]));
        join_all(appends).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        for _ in &ids {
            // Now and then it only says that it has become live.
            let mut events = Vec::new();
            while events.is_empty() {
                events = feed.next(1).await.unwrap();
            }
            assert_eq!((events[0].sequence.get(), events[0].event.timestamp_ms), (round + 1, round));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_is_swept_and_ordinals_go_on() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..1]).await;
    let name = addresses[0].rsplit("%3D").next().unwrap().to_owned();
    let journal = open(&addresses, options()).await;
    let epochs = claim_all(&journal).await;
    let a = id("a");
    let slice = a.slice(journal.slices());
    for n in 0..25 {
        let events = (1..=100).map(|i| event(n * 100 + i).tag("one").tag("two")).collect();
        append(&journal, &epochs, &a, n * 100, events).await.unwrap();
    }
    let delete = Delete { slice, epoch: epochs[&slice], id: a.clone(), to: Sequence::new(2_499) };
    journal.delete_to(delete.clone()).await.unwrap();
    assert_eq!(numbers(&journal, &a).await, [2_500], "at once");
    let client = servers[0].client().await;
    let count = async |table: &str| -> i64 {
        client.query_one(&format!("SELECT count(*) FROM {name}.{table}"), &[]).await.unwrap().get(0)
    };
    while count("omnitron_event").await > 1 {}
    while count("omnitron_id WHERE swept < deleted").await > 0 {}
    assert_eq!(count("omnitron_tag").await, 2);
    journal.delete_to(Delete { to: Sequence::MAX, ..delete }).await.unwrap();
    while count("omnitron_event").await > 0 {}
    journal.close().await;
    let journal = open(&addresses, options()).await;
    let epochs = claim_all(&journal).await;
    assert_eq!(journal.ends().await.unwrap()[&slice], Ordinal::new(2_500));
    let appended = append(&journal, &epochs, &a, 2_500, vec![event(7)]).await.unwrap();
    assert_eq!(appended.ordinal, Ordinal::new(2_501));
    let query = SliceQuery { slice, tag: None, after: Ordinal::ZERO };
    assert_eq!(journal.read_slice(query).try_collect::<Vec<_>>().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_are_read_a_bounded_number_at_a_time() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..1]).await;
    let journal = open(&addresses, options()).await;
    let epochs = claim_all(&journal).await;
    let a = id("a");
    for n in 0..6 {
        let events = (1..=4).map(|i| {
            let mut event = event(n * 4 + i);
            event.payload = vec![7; 600_000].into();
            event
        });
        append(&journal, &epochs, &a, n * 4, events.collect()).await.unwrap();
    }
    let mut events = journal.read(&a, Sequence::ZERO, Sequence::MAX).ready_chunks(1_000);
    let (mut largest, mut all) = (0, 0);
    while let Some(page) = events.next().await {
        largest = largest.max(page.len());
        all += page.len();
    }
    assert_eq!(all, 24);
    assert!(largest <= 2, "a page of 1 MiB has two of them, and not {largest}");
}

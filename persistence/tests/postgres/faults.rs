//! Is everything there that was acknowledged, once, whatever happens to servers and wires?

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt};
use omnitron_persistence::backend::postgres::{self, Options, Postgres};
use omnitron_persistence::backend::{Append, Appended, JournalBackend, ReadError, SlicesQuery, WriteError};
use omnitron_persistence::{Epoch, NewEvent, Ordinal, PersistenceId, Sequence, Slice, Slices};
use omnitron_runtime::Env;

use crate::proxy::Proxy;
use crate::server::{Server, address, schema, shared};

pub(crate) fn id(text: &str) -> PersistenceId {
    PersistenceId::new(text).unwrap()
}

pub(crate) fn event(number: u64) -> NewEvent {
    let mut event = NewEvent::new("counted", number.to_le_bytes().to_vec());
    event.timestamp_ms = number;
    event
}

pub(crate) fn options() -> Options {
    Options::default().slices(Slices::new(4).unwrap())
}

pub(crate) async fn open(addresses: &[String], options: Options) -> Postgres {
    postgres::open(&Env::tokio().unwrap(), addresses.to_vec(), options).await.unwrap()
}

pub(crate) async fn claim_all(journal: &Postgres) -> BTreeMap<Slice, Epoch> {
    let claims = join_all(journal.slices().iter().map(|slice| journal.claim(slice))).await;
    journal.slices().iter().zip(claims.into_iter().map(Result::unwrap)).collect()
}

pub(crate) fn append(
    journal: &Postgres,
    epochs: &BTreeMap<Slice, Epoch>,
    id: &PersistenceId,
    last: u64,
    events: Vec<NewEvent>,
) -> impl Future<Output = Result<Appended, WriteError>> + use<> {
    let slice = id.slice(journal.slices());
    let expected = Sequence::new(last);
    journal.append(Append { slice, epoch: epochs[&slice], id: id.clone(), expected, events })
}

/// The numbers of the events of an id.
pub(crate) async fn numbers(journal: &Postgres, id: &PersistenceId) -> Vec<u64> {
    let events = journal.read(id, Sequence::ZERO, Sequence::MAX).map_ok(|event| event.event.timestamp_ms);
    events.try_collect().await.unwrap()
}

/// The last sequence of an id, once it can be told.
async fn highest(journal: &Postgres, id: &PersistenceId) -> u64 {
    loop {
        if let Ok(highest) = journal.highest(id).await {
            return highest.get();
        }
    }
}

/// A small generator of numbers: the same from the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Counters that are appended to without waiting, through whatever happens, and what was answered.
struct Load {
    ids: Vec<PersistenceId>,
    /// The last number that was acknowledged, and the last that may be there.
    acknowledged: Vec<u64>,
    possible: Vec<u64>,
    unknown: u64,
    refused: u64,
}

impl Load {
    fn new(ids: usize) -> Self {
        let ids: Vec<_> = (0..ids).map(|n| id(&format!("counter-{n}"))).collect();
        let zeros = vec![0; ids.len()];
        Self { ids, acknowledged: zeros.clone(), possible: zeros, unknown: 0, refused: 0 }
    }

    /// Appends `depth` times two events to every counter.
    async fn round(&mut self, journal: &Postgres, epochs: &BTreeMap<Slice, Epoch>, depth: u64) {
        for (n, id) in self.ids.iter().enumerate() {
            // What was not known has to be looked up, as an entity does.
            let highest = journal.highest(id).await;
            let Ok(highest) = highest else { continue };
            let highest = highest.get();
            assert!(
                highest >= self.acknowledged[n],
                "{id} ends at {highest}, and {} was acknowledged",
                self.acknowledged[n]
            );
            assert!(
                highest <= self.possible[n],
                "{id} ends at {highest}, and no more than {} was sent",
                self.possible[n]
            );
            (self.acknowledged[n], self.possible[n]) = (highest, highest);
        }
        let mut waiting = Vec::new();
        for step in 0..depth {
            for (n, id) in self.ids.iter().enumerate() {
                let last = self.possible[n] + 2 * step;
                waiting.push((
                    n,
                    last,
                    append(journal, epochs, id, last, vec![event(last + 1), event(last + 2)]),
                ));
            }
        }
        let answers =
            join_all(waiting.into_iter().map(|(n, last, answer)| async move { (n, last, answer.await) }));
        for (n, last, answer) in answers.await {
            match answer {
                Ok(appended) => {
                    assert_eq!(appended.sequence.get(), last + 2);
                    self.acknowledged[n] = self.acknowledged[n].max(last + 2);
                    self.possible[n] = self.possible[n].max(last + 2);
                }
                Err(WriteError::Unknown(_)) => {
                    self.unknown += 1;
                    self.possible[n] = self.possible[n].max(last + 2);
                }
                Err(WriteError::Unavailable(_) | WriteError::UnexpectedSequence { .. }) => self.refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// That what was acknowledged is there, once, in order, and nothing that was not sent.
    async fn check(&self, journal: &Postgres) {
        let mut total = 0;
        for (n, id) in self.ids.iter().enumerate() {
            let found = numbers(journal, id).await;
            let end = found.len() as u64;
            assert_eq!(found, (1..=end).collect::<Vec<_>>(), "{id}");
            assert!(
                end >= self.acknowledged[n],
                "{id} ends at {end}, and {} was acknowledged",
                self.acknowledged[n]
            );
            assert!(
                end <= self.possible[n],
                "{id} ends at {end}, and no more than {} was sent",
                self.possible[n]
            );
            total += end;
        }
        let after = journal.slices().iter().map(|slice| (slice, Ordinal::ZERO)).collect();
        let all: Vec<_> = journal.read_slices(SlicesQuery { after, tag: None }).try_collect().await.unwrap();
        assert_eq!(all.len() as u64, total);
        let mut ends = BTreeMap::<Slice, u64>::new();
        for event in all {
            let end = ends.entry(event.slice).or_default();
            *end += 1;
            assert_eq!(event.ordinal.get(), *end, "ordinals have no gaps");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_that_is_cut_anywhere_loses_and_doubles_nothing() {
    let Some(servers) = shared() else { return };
    let seed = std::env::var("OMNITRON_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_1234);
    println!("OMNITRON_SEED={seed}");
    let mut random = Random(seed);
    let schema = schema(&servers[..]).await;
    let name = schema[0].rsplit("%3D").next().unwrap();
    let proxies = [Proxy::to(servers[0].port).await, Proxy::to(servers[1].port).await];
    let addresses: Vec<_> = proxies.iter().map(|proxy| address(proxy.port, name)).collect();
    let journal = open(&addresses, options().batch_events(50)).await;
    let epochs = claim_all(&journal).await;
    let mut load = Load::new(12);
    for _ in 0..40 {
        for proxy in &proxies {
            // A batch is some thousand bytes; its answer some dozens.
            proxy.cut_after(random.below(40_000), random.below(1_500));
        }
        load.round(&journal, &epochs, 4).await;
    }
    let cuts: u64 = proxies.iter().map(Proxy::cuts).sum();
    assert!(cuts >= 40, "{cuts}");
    load.round(&journal, &epochs, 0).await;
    load.check(&journal).await;
    assert_eq!(load.unknown, 0, "servers that can be reached tell what they hold");
    journal.close().await;
    load.check(&open(&addresses, options()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_keeps_what_it_acknowledged() {
    let Some(server) = Server::start() else { return };
    let addresses = schema(std::slice::from_ref(&server)).await;
    let journal = open(&addresses, options().batch_events(50)).await;
    let epochs = claim_all(&journal).await;
    let mut load = Load::new(12);
    for round in 0..5 {
        load.round(&journal, &epochs, 3).await;
        // Both at once: the server dies somewhere in the load, and the load goes on through that.
        let (running, killing) = (load.round(&journal, &epochs, 30), async {
            for _ in 0..round * 20 {
                tokio::task::yield_now().await;
            }
            server.kill();
            server.launch(&[]);
        });
        futures_util::future::join(running, killing).await;
    }
    load.round(&journal, &epochs, 1).await;
    load.check(&journal).await;
    server.stop();
    server.launch(&[]);
    load.check(&open(&addresses, options()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_that_takes_over_has_everything() {
    let Some(server) = Server::start() else { return };
    let addresses = schema(std::slice::from_ref(&server)).await;
    let standby = server.standby().await;
    let (one, both) = (server.port.to_string(), format!("{},127.0.0.1:{}", server.port, standby.port));
    let addresses = [addresses[0].replace(&one, &both)];
    let journal = open(&addresses, options().batch_events(50).patience(Duration::from_mins(1))).await;
    let epochs = claim_all(&journal).await;
    let mut load = Load::new(12);
    load.round(&journal, &epochs, 5).await;
    let (running, failing) = (load.round(&journal, &epochs, 60), async {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        server.kill();
        standby.promote();
    });
    futures_util::future::join(running, failing).await;
    load.round(&journal, &epochs, 2).await;
    load.check(&journal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_found_out_in_time_is_unknown_and_readers_wait_for_it() {
    let Some(servers) = shared() else { return };
    let schema = schema(&servers[..1]).await;
    let name = schema[0].rsplit("%3D").next().unwrap();
    let proxy = Proxy::to(servers[0].port).await;
    let addresses = [address(proxy.port, name)];
    let patience = Duration::from_millis(300);
    let journal = open(&addresses, options().patience(patience)).await;
    let epochs = claim_all(&journal).await;
    let a = id("a");
    append(&journal, &epochs, &a, 0, vec![event(1)]).await.unwrap();
    // The statement reaches the server, and its answer does not come back.
    proxy.cut_answer_and_refuse();
    let doubtful = append(&journal, &epochs, &a, 1, vec![event(2)]).await;
    assert!(matches!(doubtful, Err(WriteError::Unknown(_))), "{doubtful:?}");
    assert!(doubtful.unwrap_err().fault().unwrap().place().contains("127.0.0.1"));
    assert!(matches!(journal.highest(&a).await, Err(ReadError::Unavailable(_))), "nobody knows yet");
    assert!(matches!(journal.read(&a, Sequence::ZERO, Sequence::MAX).next().await, Some(Err(_))));
    let refused = append(&journal, &epochs, &a, 1, vec![event(2)]).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))), "it was not sent: {refused:?}");
    proxy.refuse(false);
    assert_eq!(highest(&journal, &a).await, 2, "it was stored all the same");
    append(&journal, &epochs, &a, 2, vec![event(3)]).await.unwrap();
    assert_eq!(numbers(&journal, &a).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_refuses_is_not_stored_and_goes_on_when_the_cause_is_gone() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..1]).await;
    let name = addresses[0].rsplit("%3D").next().unwrap().to_owned();
    let journal = open(&addresses, options().patience(Duration::from_millis(200))).await;
    let epochs = claim_all(&journal).await;
    let (a, b) = (id("a"), id("b"));
    let mut last = 0;
    for (code, advice) in
        [("53100", "Make room on the disk"), ("53200", "more memory"), ("25006", "takes no writes")]
    {
        append(&journal, &epochs, &a, last, vec![event(last + 1)]).await.unwrap();
        servers[0]
            .run(&format!(
                "CREATE FUNCTION {name}.refuse() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$;
                 CREATE TRIGGER refuse BEFORE INSERT ON {name}.omnitron_event EXECUTE FUNCTION {name}.refuse()"
            ))
            .await;
        let both = [
            append(&journal, &epochs, &a, last + 1, vec![event(last + 2)]),
            append(&journal, &epochs, &a, last + 2, vec![event(last + 3)]),
        ];
        let answers = join_all(both).await;
        let Err(WriteError::Unavailable(fault)) = &answers[0] else { panic!("{code}: {answers:?}") };
        assert!(fault.advice().contains(advice), "{code}: {fault}");
        assert!(answers[1].is_err(), "what builds on a failure fails");
        servers[0].run(&format!("DROP FUNCTION {name}.refuse() CASCADE")).await;
        last += 1;
        assert_eq!(journal.highest(&a).await.unwrap().get(), last);
    }
    // Of several appends in one statement, one that is refused for itself takes no other along.
    servers[0].run(&format!("ALTER TABLE {name}.omnitron_event ADD CHECK (timestamp_ms <> 666)")).await;
    let both = [
        append(&journal, &epochs, &a, last, vec![event(last + 1)]),
        append(&journal, &epochs, &b, 0, vec![event(666)]),
        append(&journal, &epochs, &a, last + 1, vec![event(last + 2)]),
    ];
    let good: Vec<bool> = join_all(both).await.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true]);
    assert_eq!(numbers(&journal, &a).await, (1..=last + 2).collect::<Vec<_>>());
    assert_eq!(numbers(&journal, &b).await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_given_up_and_answers_later() {
    let Some(server) = Server::start() else { return };
    let addresses = schema(std::slice::from_ref(&server)).await;
    let (answer, patience) = (Duration::from_secs(3), Duration::from_millis(100));
    let journal = open(&addresses, options().answer_within(answer).patience(patience)).await;
    let epochs = claim_all(&journal).await;
    let a = id("a");
    append(&journal, &epochs, &a, 0, vec![event(1)]).await.unwrap();
    server.pause();
    let doubtful = append(&journal, &epochs, &a, 1, vec![event(2)]).await;
    assert!(matches!(doubtful, Err(WriteError::Unknown(_))), "{doubtful:?}");
    server.resume();
    let last = highest(&journal, &a).await;
    assert!((1..=2).contains(&last));
    append(&journal, &epochs, &a, last, vec![event(last + 1)]).await.unwrap();
    assert_eq!(numbers(&journal, &a).await, (1..=last + 1).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_wait_while_it_is_in_doubt_what_is_stored() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..1]).await;
    let name = addresses[0].rsplit("%3D").next().unwrap().to_owned();
    let (answer, patience) = (Duration::from_secs(3), Duration::from_millis(100));
    let journal = open(&addresses, options().answer_within(answer).patience(patience)).await;
    let epochs = claim_all(&journal).await;
    let a = id("a");
    append(&journal, &epochs, &a, 0, vec![event(1)]).await.unwrap();
    // Nobody can write, and everybody can read.
    let client = servers[0].client().await;
    client
        .batch_execute(&format!("BEGIN; LOCK TABLE {name}.omnitron_fence IN EXCLUSIVE MODE"))
        .await
        .unwrap();
    let doubtful = append(&journal, &epochs, &a, 1, vec![event(2)]).await;
    assert!(matches!(doubtful, Err(WriteError::Unknown(_))), "{doubtful:?}");
    let (highest_now, first) = futures_util::future::join(
        journal.highest(&a),
        journal.read(&a, Sequence::ZERO, Sequence::MAX).into_future(),
    )
    .await;
    assert!(matches!(highest_now, Err(ReadError::Unavailable(_))), "{highest_now:?}");
    assert!(matches!(first.0, Some(Err(ReadError::Unavailable(_)))), "{:?}", first.0);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(highest(&journal, &a).await, 1, "it was not stored, and will not be");
    append(&journal, &epochs, &a, 1, vec![event(3)]).await.unwrap();
    assert_eq!(numbers(&journal, &a).await, [1, 3]);
}

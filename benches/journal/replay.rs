//! How fast do events come back: into one actor, into many, and to one who reads everything?

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use omnitron::ActorRef;
use omnitron::Ordinal;
use omnitron::backend::{JournalBackend, SlicesQuery};

use super::actors::{self, Command};
use super::backend;
use super::callers::on_two;
use super::figures::Figures;
use super::scattered::{Filler, Order};

/// How many events a command persists while a history is made.
const EVENTS_PER_COMMAND: usize = 100;
/// How many actors are asked at once whether they have recovered.
const AT_ONCE: usize = 256;

/// One actor with all of the events.
pub(crate) fn one(events: usize, folder: &Path) -> Figures {
    on_two(async {
        let written = written(1, events, folder).await;
        let took = recovered(1, written, folder).await;
        Figures::new().and("events/s", written as f64 / took.as_secs_f64())
    })
}

/// Actors with a hundred events each.
pub(crate) fn many(ids: usize, folder: &Path) -> Figures {
    on_two(async {
        let written = written(ids, EVENTS_PER_COMMAND, folder).await;
        let took = recovered(ids, written, folder).await;
        Figures::new()
            .and("recoveries/s", ids as f64 / took.as_secs_f64())
            .and("events/s", (written * ids) as f64 / took.as_secs_f64())
    })
}

/// All events of all slices.
pub(crate) fn projection(events: usize, folder: &Path) -> Figures {
    on_two(async {
        let log = backend::open(folder);
        let ids = (events / 5).max(1);
        Filler::new(log.clone(), ids).await.fill(Order::new(ids).take(events)).await;
        log.close().await;
        drop(log);
        let log = backend::open(folder);
        let after = log.slices().iter().map(|slice| (slice, Ordinal::ZERO)).collect();
        let began = Instant::now();
        let mut all = log.read_slices(SlicesQuery { after, tag: None });
        let mut read = 0;
        while let Some(event) = all.next().await {
            event.expect("what was written can be read");
            read += 1;
        }
        let took = began.elapsed();
        assert_eq!(read, events);
        Figures::new().and("events/s", read as f64 / took.as_secs_f64())
    })
}

/// Makes histories. How many events each has.
async fn written(ids: usize, events: usize, folder: &Path) -> usize {
    let system = actors::system(folder).await;
    let commands = (events / EVENTS_PER_COMMAND).max(1);
    let actors: Vec<_> = (0..ids).map(|n| actors::spawn(&system, n)).collect();
    let all = (0..commands).flat_map(|_| actors.iter().cloned());
    let asks = all.map(|actor: ActorRef<Command>| async move {
        actor.ask(|reply| Command::Write(EVENTS_PER_COMMAND, reply)).await.expect("the events are durable");
    });
    futures_util::stream::iter(asks).buffer_unordered(64).for_each(|()| async {}).await;
    system.shutdown().await;
    commands * EVENTS_PER_COMMAND
}

/// How long it takes until all of them have their state back.
async fn recovered(ids: usize, events: usize, folder: &Path) -> Duration {
    let system = actors::system(folder).await;
    let began = Instant::now();
    let asks = (0..ids).map(|n| {
        let actor = actors::spawn(&system, n);
        async move { actor.ask(Command::Count).await.expect("it recovers") }
    });
    let counts = futures_util::stream::iter(asks).buffer_unordered(AT_ONCE);
    counts.for_each(|count| async move { assert_eq!(count, events as u64) }).await;
    let took = began.elapsed();
    system.shutdown().await;
    took
}

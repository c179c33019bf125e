//! Do panics stay where they are on real threads, under load?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use omnitron::prelude::*;

const ACTORS: u64 = 64;
const SENDERS: u64 = 4;
const ROUNDS: u64 = 200;
const FAMILIES: u64 = 8;
const CHILDREN: u64 = 6;

/// Sums up what it is sent; a bad one panics on every tenth message, before it counts it.
struct Adder {
    bad: bool,
    seen: Arc<AtomicU64>,
    sum: Arc<AtomicU64>,
}

enum Msg {
    Add(u64),
    Sum(ReplyTo<u64>),
}

impl Actor for Adder {
    type Msg = Msg;

    async fn receive(&mut self, msg: Msg, _: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            Msg::Add(number) => {
                let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
                assert!(!(self.bad && seen.is_multiple_of(10)), "the tenth is too much");
                self.sum.fetch_add(number, Ordering::Relaxed);
            }
            Msg::Sum(reply) => reply.send(self.sum.load(Ordering::Relaxed)),
        }
        Ok(())
    }
}

fn spawn(system: &ActorSystem, index: u64) -> ActorRef<Msg> {
    let (seen, sum) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let bad = index.is_multiple_of(4);
    let adder = Spawn::new(move || Adder { bad, seen: seen.clone(), sum: sum.clone() })
        .supervision(Supervision::restart().unlimited());
    system.spawn(&index.to_string(), adder).expect("a free name")
}

/// Several tasks at once send to all actors in turn, and wait for room where there is none.
async fn send_to_all(system: &ActorSystem, actors: &[ActorRef<Msg>]) {
    let (done, mut waiting) = tokio::sync::mpsc::unbounded_channel::<()>();
    for _ in 0..SENDERS {
        let (actors, done) = (actors.to_vec(), done.clone());
        system.env().spawn(|| "sender".to_owned(), async move {
            for _ in 0..ROUNDS {
                for actor in &actors {
                    actor.send(Msg::Add(1)).await.expect("it lives");
                }
            }
            drop(done);
        });
    }
    drop(done);
    assert_eq!(waiting.recv().await, None, "all senders are done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn panics_of_some_actors_leave_all_others_running_on_real_threads_under_load() {
    let system = ActorSystem::start("threads").await.expect("it starts");
    let actors: Vec<_> = (0..ACTORS).map(|index| spawn(&system, index)).collect();
    send_to_all(&system, &actors).await;
    let sent = SENDERS * ROUNDS;
    for (actor, index) in actors.iter().zip(0..) {
        let lost = if u64::is_multiple_of(index, 4) { sent / 10 } else { 0 };
        let sum = actor.ask(Msg::Sum).await.expect("every actor answers");
        assert_eq!(sum, sent - lost, "{actor}");
    }
    let stats = system.stats();
    assert_eq!(stats.failures, ACTORS / 4 * (sent / 10));
    assert_eq!(stats.restarts, stats.failures);
    assert_eq!(stats.dead_letters, 0);
    let report = system.shutdown().await;
    assert!(report.cause.is_none() && report.unfinished.is_empty(), "{report}");
}

/// A parent whose children take each other along when they fail.
struct Family(tokio::sync::mpsc::UnboundedSender<ActorRef<Msg>>);

impl Actor for Family {
    type Msg = ();

    async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        for index in 0..CHILDREN {
            let (seen, sum) = (Arc::new(AtomicU64::new(index)), Arc::new(AtomicU64::new(0)));
            let adder = Spawn::new(move || Adder { bad: true, seen: seen.clone(), sum: sum.clone() });
            let supervision = Supervision::restart().unlimited();
            let supervision = match index % 3 {
                0 => supervision.all_for_one(),
                1 => supervision.rest_for_one(),
                _ => supervision,
            };
            let child = ctx.spawn(&index.to_string(), adder.supervision(supervision))?;
            self.0.send(child)?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rounds_of_restarts_that_cross_each_other_on_real_threads_all_end_and_lose_nothing() {
    let system = ActorSystem::start("families").await.expect("it starts");
    let (sender, mut spawned) = tokio::sync::mpsc::unbounded_channel();
    for index in 0..FAMILIES {
        let sender = sender.clone();
        system.spawn(&index.to_string(), move || Family(sender.clone())).expect("a free name");
    }
    let mut children = Vec::new();
    for _ in 0..FAMILIES * CHILDREN {
        children.push(spawned.recv().await.expect("every parent spawns its children"));
    }
    send_to_all(&system, &children).await;
    let mut sum = 0;
    for child in &children {
        sum += child.ask(Msg::Sum).await.expect("every round has ended, and all run");
    }
    let stats = system.stats();
    assert_eq!(sum + stats.failures, SENDERS * ROUNDS * FAMILIES * CHILDREN);
    assert!(stats.failures >= FAMILIES * CHILDREN * (SENDERS * ROUNDS / 10), "{stats:?}");
    assert_eq!(stats.dead_letters, 0);
    let report = system.shutdown().await;
    assert!(report.cause.is_none() && report.unfinished.is_empty(), "{report}");
}

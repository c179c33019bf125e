//! The same work by actors.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use omnitron::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::{BOUND, OUTSIDE, RING};

#[derive(Default)]
struct Counter {
    value: u64,
}

enum CounterMsg {
    Add(u64),
    Get(ReplyTo<u64>),
}

impl Actor for Counter {
    type Msg = CounterMsg;

    async fn receive(&mut self, msg: CounterMsg, _: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            CounterMsg::Add(n) => self.value += n,
            CounterMsg::Get(reply) => reply.send(self.value),
        }
        Ok(())
    }
}

async fn system() -> ActorSystem {
    ActorSystem::start("bench").await.expect("a system")
}

/// Who looks on while messages are told.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Listener {
    Nobody,
    /// Somebody who inspects the system again and again, as often as a busy dashboard would.
    Inspector,
    /// Every message takes its trace along; nobody subscribes to the spans.
    Tracer,
}

const INSPECTION_PAUSE: Duration = Duration::from_millis(10);

pub(crate) async fn tell(count: usize, producers: usize, bounded: bool, listener: Listener) -> Duration {
    let system = ActorSystem::builder("bench").trace_messages(listener == Listener::Tracer);
    let system = system.start().await.expect("a system");
    let (done, over) = std::sync::mpsc::channel::<()>();
    let inspected = system.clone();
    let inspector = (listener == Listener::Inspector).then(|| {
        std::thread::spawn(move || {
            while over.recv_timeout(INSPECTION_PAUSE) == Err(RecvTimeoutError::Timeout) {
                black_box(inspected.inspect());
            }
        })
    });
    let mailbox = if bounded { Mailbox::bounded(BOUND) } else { Mailbox::unbounded() };
    let counter = system.spawn("counter", Spawn::new(Counter::default).mailbox(mailbox)).expect("a counter");
    let start = Instant::now();
    let each = count / producers.max(1);
    if producers == OUTSIDE {
        produce(counter.clone(), each, bounded).await;
    }
    let tasks: Vec<_> =
        (0..producers).map(|_| tokio::spawn(produce(counter.clone(), each, bounded))).collect();
    for task in tasks {
        task.await.expect("a producer");
    }
    let get = counter.ask(CounterMsg::Get).within(Duration::from_mins(1));
    assert_eq!(get.await.expect("a sum"), (each * producers.max(1)) as u64);
    let took = start.elapsed();
    drop(done);
    inspector.map(std::thread::JoinHandle::join);
    system.shutdown().await;
    took
}

async fn produce(counter: ActorRef<CounterMsg>, count: usize, bounded: bool) {
    for _ in 0..count {
        if bounded {
            counter.send(CounterMsg::Add(1)).await.expect("room");
        } else {
            counter.tell(CounterMsg::Add(1)).expect("room");
        }
    }
}

pub(crate) async fn ask(count: usize, callers: usize) -> Duration {
    let system = system().await;
    let counter = system.spawn("counter", Counter::default).expect("a counter");
    let start = Instant::now();
    let tasks = (0..callers).map(|_| {
        let counter = counter.clone();
        tokio::spawn(async move {
            for _ in 0..count / callers {
                black_box(counter.ask(CounterMsg::Get).await.expect("a value"));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a caller");
    }
    let took = start.elapsed();
    system.shutdown().await;
    took
}

struct Link {
    next: Option<ActorRef<Hop>>,
    done: Option<oneshot::Sender<()>>,
}

enum Hop {
    Token(usize),
    Next(ActorRef<Hop>),
}

impl Actor for Link {
    type Msg = Hop;

    async fn receive(&mut self, msg: Hop, _: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            Hop::Next(next) => self.next = Some(next),
            Hop::Token(left) => {
                if left < RING
                    && let Some(done) = self.done.take()
                {
                    let _ = done.send(());
                }
                if let (Some(next), 1..) = (&self.next, left) {
                    next.tell(Hop::Token(left - 1))?;
                }
            }
        }
        Ok(())
    }
}

pub(crate) async fn ring(hops: usize) -> Duration {
    let system = system().await;
    let (done, finished) = oneshot::channel();
    let mut done = Some(done);
    let ring: Vec<ActorRef<Hop>> = (0..RING)
        .map(|index| {
            let mut done = if index == 0 { done.take() } else { None };
            let link = move || Link { next: None, done: done.take() };
            system.spawn(&index.to_string(), link).expect("a link")
        })
        .collect();
    for index in 0..RING {
        ring[index].tell(Hop::Next(ring[(index + 1) % RING].clone())).expect("room");
    }
    let start = Instant::now();
    ring[0].tell(Hop::Token(hops)).expect("room");
    finished.await.expect("the end of the ring");
    let took = start.elapsed();
    system.shutdown().await;
    took
}

/// An actor that counts for all of its kind.
struct One {
    handled: Arc<AtomicUsize>,
    count: usize,
    done: mpsc::UnboundedSender<()>,
}

impl Actor for One {
    type Msg = u64;

    async fn receive(&mut self, _: u64, _: &mut Context<Self>) -> Result<(), Failure> {
        if self.handled.fetch_add(1, Ordering::Relaxed) + 1 == self.count {
            let _ = self.done.send(());
        }
        Ok(())
    }
}

/// Named actors that each handle one message and stay.
pub(crate) async fn spawn(count: usize) -> Duration {
    let system = system().await;
    let handled = Arc::new(AtomicUsize::new(0));
    let (done, mut all_handled) = mpsc::unbounded_channel();
    let start = Instant::now();
    let mut actors = Vec::with_capacity(count);
    for index in 0..count {
        let (handled, done) = (handled.clone(), done.clone());
        let one = move || One { handled: handled.clone(), count, done: done.clone() };
        let actor = system.spawn(&index.to_string(), one).expect("an actor");
        actor.tell(1).expect("room");
        actors.push(actor);
    }
    all_handled.recv().await;
    let took = start.elapsed();
    drop(actors);
    system.shutdown().await;
    took
}

/// Named actors that handle one message and stop.
pub(crate) async fn spawn_stop(count: usize) -> Duration {
    let system = system().await;
    let start = Instant::now();
    for round in 0..count / 100 {
        let ends: Vec<_> = (0..100)
            .map(|index| {
                let actor =
                    system.spawn(&format!("{}", round * 100 + index), Counter::default).expect("an actor");
                actor.tell(CounterMsg::Add(1)).expect("room");
                actor.drain()
            })
            .collect();
        for end in ends {
            end.await;
        }
    }
    let took = start.elapsed();
    system.shutdown().await;
    took
}

/// Named actors that wait for ever.
pub(crate) async fn idle(count: usize) -> impl Sized {
    let system = system().await;
    let actors: Vec<_> = (0..count)
        .map(|index| {
            let actor = system.spawn(&index.to_string(), Counter::default).expect("an actor");
            actor.tell(CounterMsg::Add(1)).expect("room");
            actor
        })
        .collect();
    (system, actors)
}

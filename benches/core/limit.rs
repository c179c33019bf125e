//! What is the least that a mailbox behind one lock can cost? A vector behind a lock, taken whole, and nothing else: no
//! actor, no supervision, no bound, no deadline.

use std::future::poll_fn;
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::OUTSIDE;

enum Msg {
    Add(u64),
    Get(oneshot::Sender<u64>),
}

#[derive(Default)]
struct State {
    waiting: Vec<Msg>,
    waker: Option<Waker>,
}

type Shared = Arc<Mutex<State>>;

/// Turns the consumer gives way before it sleeps, and how long it waits after a small batch: what measured best.
const LINGER_TURNS: u32 = 8;
const SMALL_BATCH: usize = 256;
const WAIT_SPINS: u32 = 200;

pub(crate) async fn tell(count: usize, producers: usize) -> Duration {
    let shared = Shared::default();
    let consumer = tokio::spawn(consume(shared.clone()));
    let start = Instant::now();
    let each = count / producers.max(1);
    if producers == OUTSIDE {
        (0..each).for_each(|_| push(&shared, Msg::Add(1)));
    }
    let produce = |shared: Shared| async move { (0..each).for_each(|_| push(&shared, Msg::Add(1))) };
    let tasks: Vec<_> = (0..producers).map(|_| tokio::spawn(produce(shared.clone()))).collect();
    for task in tasks {
        task.await.expect("a producer");
    }
    let (get, sum) = oneshot::channel();
    push(&shared, Msg::Get(get));
    assert_eq!(sum.await.expect("a sum"), (each * producers.max(1)) as u64);
    let took = start.elapsed();
    consumer.await.expect("a consumer");
    took
}

fn push(shared: &Shared, message: Msg) {
    let mut state = shared.lock();
    state.waiting.push(message);
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Handles messages until it is asked for the sum.
async fn consume(shared: Shared) {
    let (mut value, mut batch, mut turns, mut last) = (0, Vec::new(), 0, SMALL_BATCH);
    poll_fn(|cx| {
        loop {
            if last < SMALL_BATCH {
                (0..WAIT_SPINS).for_each(|_| std::hint::spin_loop());
            }
            let mut state = shared.lock();
            std::mem::swap(&mut state.waiting, &mut batch);
            last = batch.len();
            if last == 0 {
                turns += 1;
                if turns > LINGER_TURNS {
                    turns = 0;
                    state.waker = Some(cx.waker().clone());
                } else {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
            drop(state);
            turns = 0;
            for message in batch.drain(..) {
                match message {
                    Msg::Add(n) => value += black_box(n),
                    Msg::Get(reply) => {
                        let _ = reply.send(value);
                        return Poll::Ready(());
                    }
                }
            }
        }
    })
    .await;
}

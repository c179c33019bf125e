//! The least that could do the work: tokio tasks that read mpsc channels of an enum.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::{OUTSIDE, RING};

enum Msg {
    Add(u64),
    Get(oneshot::Sender<u64>),
}

#[derive(Clone)]
enum Sender {
    Unbounded(mpsc::UnboundedSender<Msg>),
    Bounded(mpsc::Sender<Msg>),
}

pub(crate) async fn tell(count: usize, producers: usize, bound: Option<usize>) -> Duration {
    let (get, sum) = oneshot::channel();
    let (sender, consumer) = match bound {
        None => {
            let (sender, mut messages) = mpsc::unbounded_channel();
            (
                Sender::Unbounded(sender),
                tokio::spawn(async move { count_messages(|cx| messages.poll_recv(cx)).await }),
            )
        }
        Some(bound) => {
            let (sender, mut messages) = mpsc::channel(bound);
            (
                Sender::Bounded(sender),
                tokio::spawn(async move { count_messages(|cx| messages.poll_recv(cx)).await }),
            )
        }
    };
    let start = Instant::now();
    let each = count / producers.max(1);
    if producers == OUTSIDE {
        produce(sender.clone(), each).await;
    }
    let tasks: Vec<_> = (0..producers).map(|_| tokio::spawn(produce(sender.clone(), each))).collect();
    for task in tasks {
        task.await.expect("a producer");
    }
    match sender {
        Sender::Unbounded(sender) => drop(sender.send(Msg::Get(get))),
        Sender::Bounded(sender) => drop(sender.send(Msg::Get(get)).await),
    }
    black_box(sum.await.expect("a sum"));
    let took = start.elapsed();
    consumer.await.expect("a consumer");
    took
}

async fn produce(sender: Sender, count: usize) {
    match sender {
        Sender::Unbounded(sender) => (0..count).for_each(|_| drop(sender.send(Msg::Add(1)))),
        Sender::Bounded(sender) => {
            for _ in 0..count {
                let _ = sender.send(Msg::Add(1)).await;
            }
        }
    }
}

/// Handles messages until there are none any more.
async fn count_messages(mut poll: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Msg>>) {
    let mut value = 0;
    while let Some(message) = std::future::poll_fn(&mut poll).await {
        match message {
            Msg::Add(n) => value += n,
            Msg::Get(reply) => drop(reply.send(value)),
        }
    }
}

pub(crate) async fn ask(count: usize, callers: usize) -> Duration {
    let (sender, mut messages) = mpsc::unbounded_channel();
    tokio::spawn(async move { count_messages(|cx| messages.poll_recv(cx)).await });
    let start = Instant::now();
    let tasks = (0..callers).map(|_| {
        let sender = sender.clone();
        tokio::spawn(async move {
            for _ in 0..count / callers {
                let (reply, value) = oneshot::channel();
                let _ = sender.send(Msg::Get(reply));
                black_box(value.await.expect("a value"));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a caller");
    }
    start.elapsed()
}

pub(crate) async fn ring(hops: usize) -> Duration {
    let (done, finished) = oneshot::channel();
    let mut done = Some(done);
    let (first, mut receiver) = mpsc::unbounded_channel::<usize>();
    for index in 0..RING {
        let (next, next_receiver) = if index + 1 == RING {
            (first.clone(), None)
        } else {
            let (s, r) = mpsc::unbounded_channel();
            (s, Some(r))
        };
        let mut messages =
            std::mem::replace(&mut receiver, next_receiver.unwrap_or_else(|| mpsc::unbounded_channel().1));
        let mut done = if index == 0 { done.take() } else { None };
        tokio::spawn(async move {
            while let Some(left) = messages.recv().await {
                if left < RING {
                    if let Some(done) = done.take() {
                        let _ = done.send(());
                    }
                    if left == 0 {
                        break;
                    }
                }
                let _ = next.send(left - 1);
            }
        });
    }
    let start = Instant::now();
    let _ = first.send(hops);
    finished.await.expect("the end of the ring");
    start.elapsed()
}

/// Tasks that each handle one message and stay.
pub(crate) async fn spawn(count: usize) -> Duration {
    let handled = Arc::new(AtomicUsize::new(0));
    let (done, mut all_handled) = mpsc::unbounded_channel();
    let start = Instant::now();
    let mut senders = Vec::with_capacity(count);
    for _ in 0..count {
        let (sender, mut messages) = mpsc::unbounded_channel::<u64>();
        let (handled, done) = (handled.clone(), done.clone());
        tokio::spawn(async move {
            while messages.recv().await.is_some() {
                if handled.fetch_add(1, Ordering::Relaxed) + 1 == count {
                    let _ = done.send(());
                }
            }
        });
        let _ = sender.send(1);
        senders.push(sender);
    }
    all_handled.recv().await;
    start.elapsed()
}

/// Tasks that handle one message and end.
pub(crate) async fn spawn_stop(count: usize) -> Duration {
    let start = Instant::now();
    for _ in 0..count / 100 {
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (sender, mut messages) = mpsc::unbounded_channel::<u64>();
                let _ = sender.send(1);
                tokio::spawn(async move { while messages.recv().await.is_some() {} })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task");
        }
    }
    start.elapsed()
}

/// Tasks that wait for ever.
pub(crate) fn idle(count: usize) -> impl Sized {
    let senders: Vec<_> = (0..count)
        .map(|_| {
            let (sender, messages) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                let mut messages = messages;
                count_messages(|cx| messages.poll_recv(cx)).await;
            });
            let _ = sender.send(Msg::Add(1));
            sender
        })
        .collect();
    senders
}

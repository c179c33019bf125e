//! How many messages does one actor take in a second?
//!
//! The one producer is the thread outside of the runtime, not a task: a task that never awaits holds what it wakes in
//! its worker's slot, and its consumer would only begin when all is sent. (`counting` is that case.)

use std::time::{Duration, Instant};

use crate::behaviour::{Counter, Latch};
use crate::{Cannot, Contestant, Place};

pub(super) const PRODUCERS: usize = 8;

pub(super) async fn from_outside<C: Contestant>(contestant: &C, count: usize) -> Duration {
    let done = Latch::new(1);
    let arrived = done.clone();
    let counter = contestant.spawn(Place::FIRST, move || Counter::new(count as u64, arrived.clone())).await;
    let start = Instant::now();
    for _ in 0..count {
        C::tell::<Counter>(&counter, 1);
    }
    done.wait().await;
    let took = start.elapsed();
    assert_eq!(C::ask::<Counter>(&counter).await, count as u64);
    took
}

pub(super) async fn with_bound<C: Contestant>(contestant: &C, count: usize) -> Result<Duration, Cannot> {
    let done = Latch::new(1);
    let arrived = done.clone();
    let counter = contestant.spawn_bounded(move || Counter::new(count as u64, arrived.clone()))?;
    let start = Instant::now();
    for _ in 0..count {
        C::send::<Counter>(&counter, 1).await;
    }
    done.wait().await;
    let took = start.elapsed();
    assert_eq!(C::ask::<Counter>(&counter).await, count as u64);
    Ok(took)
}

pub(super) async fn from_tasks<C: Contestant>(contestant: &C, count: usize) -> Duration {
    let done = Latch::new(1);
    let arrived = done.clone();
    let counter = contestant.spawn(Place::FIRST, move || Counter::new(count as u64, arrived.clone())).await;
    let start = Instant::now();
    for _ in 0..PRODUCERS {
        let counter = counter.clone();
        contestant.client(Place::LAST, async move {
            for _ in 0..count / PRODUCERS {
                C::tell::<Counter>(&counter, 1);
            }
        });
    }
    done.wait().await;
    let took = start.elapsed();
    assert_eq!(C::ask::<Counter>(&counter).await, count as u64);
    took
}

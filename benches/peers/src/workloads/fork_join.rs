//! How fast does one thread feed sixty actors in turn, until the last has handled its share? (Savina: fork join
//! throughput.)

use std::time::{Duration, Instant};

use crate::behaviour::{Counter, Latch};
use crate::{Contestant, Place};

pub(super) const WORKERS: usize = 60;

pub(super) async fn fork_join<C: Contestant>(contestant: &C, count: usize) -> Duration {
    let done = Latch::new(WORKERS);
    let each = count / WORKERS;
    let mut workers = Vec::with_capacity(WORKERS);
    for index in 0..WORKERS {
        let done = done.clone();
        let worker = move || Counter::new(each as u64, done.clone());
        workers.push(contestant.spawn(Place::Spread { index, of: WORKERS }, worker).await);
    }
    let start = Instant::now();
    for _ in 0..each {
        for worker in &workers {
            C::tell::<Counter>(worker, 1);
        }
    }
    done.wait().await;
    let took = start.elapsed();
    for worker in &workers {
        assert_eq!(C::ask::<Counter>(worker).await, each as u64);
    }
    took
}

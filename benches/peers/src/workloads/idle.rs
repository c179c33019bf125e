//! What does an actor cost that has handled a message and waits for the next? Resident bytes, one address included.

use std::time::Duration;

use crate::behaviour::{Counter, Latch};
use crate::{Contestant, Place};

pub(super) async fn idle<C: Contestant>(contestant: &C, count: usize) -> f64 {
    let done = Latch::new(count);
    let mut actors = Vec::with_capacity(count);
    let before = resident_bytes();
    for _ in 0..count {
        let done = done.clone();
        let counter = move || Counter::new(1, done.clone());
        let actor = contestant.spawn(Place::Together, counter).await;
        C::tell::<Counter>(&actor, 1);
        actors.push(actor);
    }
    done.wait().await;
    // The last handlers return.
    tokio::time::sleep(Duration::from_millis(500)).await;
    resident_bytes().saturating_sub(before) as f64 / count as f64
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("resident pages, from Linux") * 4096
}

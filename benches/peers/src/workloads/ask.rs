//! How many asks are answered in a second? Callers are tasks, and each waits for an answer before its next ask.

use std::time::{Duration, Instant};

use crate::behaviour::{Behaviour, Latch};
use crate::{Contestant, Place};

pub(super) const MANY: usize = 1000;

/// Knows a number.
struct Oracle(u64);

impl Behaviour for Oracle {
    type Msg = u64;

    fn receive(&mut self, number: u64) {
        self.0 = number;
    }

    fn value(&self) -> u64 {
        self.0
    }
}

pub(super) async fn ask<C: Contestant>(
    contestant: &C,
    count: usize,
    callers: usize,
    actors: usize,
) -> Duration {
    let mut oracles = Vec::with_capacity(actors);
    for index in 0..actors {
        oracles.push(
            contestant.spawn(Place::Spread { index, of: actors }, move || Oracle(index as u64 + 1)).await,
        );
    }
    let done = Latch::new(callers);
    let each = count / callers;
    let start = Instant::now();
    for index in 0..callers {
        let (oracle, done) = (oracles[index % actors].clone(), done.clone());
        contestant.client(Place::Spread { index, of: callers }, async move {
            let mut sum = 0;
            for _ in 0..each {
                sum += C::ask::<Oracle>(&oracle).await;
            }
            assert_eq!(sum, (each * (index % actors + 1)) as u64);
            done.count_down();
        });
    }
    done.wait().await;
    start.elapsed()
}

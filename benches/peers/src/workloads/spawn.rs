//! How many actors start, and how many start and end, in a second? Each handles one message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::behaviour::{Behaviour, Counter, Latch};
use crate::{Contestant, Place};

pub(super) const BATCH: usize = 100;

pub(super) async fn spawn<C: Contestant>(contestant: &C, count: usize) -> Duration {
    let done = Latch::new(count);
    let mut actors = Vec::with_capacity(count);
    let start = Instant::now();
    for _ in 0..count {
        let done = done.clone();
        let counter = move || Counter::new(1, done.clone());
        let actor = contestant.spawn(Place::Together, counter).await;
        C::tell::<Counter>(&actor, 1);
        actors.push(actor);
    }
    done.wait().await;
    start.elapsed()
}

/// Counts when its actor is gone.
struct Mortal {
    handled: u64,
    gone: Arc<Latch>,
}

impl Behaviour for Mortal {
    type Msg = u64;

    fn receive(&mut self, message: u64) {
        self.handled += message;
    }

    fn value(&self) -> u64 {
        self.handled
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        assert_eq!(self.handled, 1, "it ended before or after its message");
        self.gone.count_down();
    }
}

/// A batch at a time.
pub(super) async fn spawn_stop<C: Contestant>(contestant: &C, count: usize) -> Duration {
    let start = Instant::now();
    for _ in 0..count / BATCH {
        let gone = Latch::new(BATCH);
        for _ in 0..BATCH {
            let gone = gone.clone();
            let mortal = move || Mortal { handled: 0, gone: gone.clone() };
            let actor = contestant.spawn(Place::Together, mortal).await;
            C::tell::<Mortal>(&actor, 1);
            contestant.end::<Mortal>(actor).await;
        }
        gone.wait().await;
    }
    start.elapsed()
}

//! How fast does a message go from an actor to another when all are sent in one go? (Savina: counting actor.)

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::behaviour::{Behaviour, Counter, Latch};
use crate::{Contestant, Place};

struct Producer<C: Contestant> {
    counter: Arc<C::Addr<Counter>>,
    sent: u64,
}

impl<C: Contestant> Behaviour for Producer<C> {
    type Msg = u64;

    fn receive(&mut self, count: u64) {
        for _ in 0..count {
            C::tell::<Counter>(&self.counter, 1);
        }
        self.sent += count;
    }

    fn value(&self) -> u64 {
        self.sent
    }
}

pub(super) async fn counting<C: Contestant>(contestant: &C, count: usize) -> Duration {
    let total = count as u64;
    let done = Latch::new(1);
    let arrived = done.clone();
    let counter = move || Counter::new(total, arrived.clone());
    let counter = contestant.spawn(Place::Together, counter).await;
    let shared = Arc::new(counter.clone());
    let producer = move || Producer::<C> { counter: shared.clone(), sent: 0 };
    let producer = contestant.spawn(Place::Together, producer).await;
    let start = Instant::now();
    C::tell::<Producer<C>>(&producer, total);
    done.wait().await;
    let took = start.elapsed();
    assert_eq!(C::ask::<Producer<C>>(&producer).await, total);
    assert_eq!(C::ask::<Counter>(&counter).await, total);
    took
}

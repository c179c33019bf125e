//! How many events become durable per second when each of many callers waits for its own, and how long does each wait?
//!
//! The contestants differ in one thing: what a caller does to append an event.

use std::future::Future;
use std::time::{Duration, Instant};

use super::figures::Figures;

/// What comes before the measured time: caches, files and pools grow.
const WARM_UP: Duration = Duration::from_millis(300);

/// The bytes of an event.
pub(crate) const EVENT_BYTES: usize = 256;

/// Appends one event after the other.
pub(crate) trait Caller: Send + 'static {
    /// Returns when the next event is durable.
    fn append(&mut self) -> impl Future<Output = ()> + Send;
}

/// Lets all of them append for `time`.
pub(crate) async fn appends<C: Caller>(callers: Vec<C>, time: Duration) -> Figures {
    let from = Instant::now() + WARM_UP;
    let until = from + time;
    let callers: Vec<_> =
        callers.into_iter().map(|caller| tokio::spawn(waits(caller, from, until))).collect();
    let mut all = Vec::new();
    for caller in callers {
        all.extend(caller.await.expect("a caller gets its answers"));
    }
    all.sort_unstable();
    let percentile =
        |percent: usize| f64::from(all.get(all.len() * percent / 100).copied().unwrap_or(0)) / 1e3;
    Figures::new()
        .and("events/s", all.len() as f64 / time.as_secs_f64())
        .and("p50 µs", percentile(50))
        .and("p99 µs", percentile(99))
}

/// How many nanoseconds each append took that ended between two moments.
async fn waits(mut caller: impl Caller, from: Instant, until: Instant) -> Vec<u32> {
    let (mut waits, mut before) = (Vec::new(), Instant::now());
    loop {
        caller.append().await;
        let now = Instant::now();
        if now >= until {
            return waits;
        }
        if now >= from {
            waits.push(u32::try_from((now - before).as_nanos()).unwrap_or(u32::MAX));
        }
        before = now;
    }
}

/// Runs on the runtime that every contestant has: tokio's, with 2 workers.
pub(crate) fn on_two<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime with two workers").block_on(future)
}

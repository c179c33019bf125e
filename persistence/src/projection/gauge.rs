//! What does a recorder of metrics get of a projection?
//!
//! Only with the feature `metrics`; without it nothing is measured.

use std::time::Duration;

use super::Target;

/// How often a part is measured, if at all.
pub(super) const PERIOD: Option<Duration> =
    if cfg!(feature = "metrics") { Some(Duration::from_secs(5)) } else { None };

/// How many events of its slices a part is behind, and how many it has put into the read model since it was started.
#[cfg(feature = "metrics")]
pub(super) fn record(system: &str, target: &Target, lag: u64, events: u64) {
    let of = || {
        let part = target.part.to_string();
        [("system", system.to_owned()), ("projection", target.projection.clone()), ("part", part)]
    };
    let generation = || ("generation", target.generation.to_string());
    let record = || {
        let [system, projection, part] = of();
        #[expect(clippy::cast_precision_loss, reason = "a lag of 2^53 events is nothing to be exact about")]
        metrics::gauge!("omnitron_projection_lag", &[system, projection, part, generation()]).set(lag as f64);
        let [system, projection, part] = of();
        metrics::counter!("omnitron_projection_events_total", &[system, projection, part, generation()])
            .absolute(events);
    };
    // A recorder that panics loses the value.
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(record)).is_err() {
        tracing::warn!(projection = %target, "the recorder of metrics panicked");
    }
}

#[cfg(not(feature = "metrics"))]
pub(super) fn record(_: &str, _: &Target, _: u64, _: u64) {}

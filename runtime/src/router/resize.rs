//! How many routees shall a pool have?
//!
//! A policy gets the figures of the pool, with the time among them, and says a size. It is asked at regular intervals;
//! that, and the change of size itself, is the pool's part.
//!
//! # Invariants
//!
//! * A size is within the bounds that were chosen, and at least 1.
//! * [`Pressure`] never shrinks a pool to a size at which it would grow again under the same load.
//! * No figure, however odd, makes a policy panic.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_hours(24);

/// The figures of a pool at one moment, as a [`Resize`] policy gets them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PoolLoad {
    /// When they were taken.
    pub now: Instant,
    /// The time of day when they were taken, since midnight UTC.
    pub time_of_day: Duration,
    /// Routees that the pool is to have now; at least 1, but where all have [left](crate::WhenEnded::Remove).
    pub size: usize,
    /// Messages that wait in the pool and in its routees, those in hand included.
    pub waiting: usize,
    /// Messages that the pool was ever sent.
    pub arrived: u64,
}

/// Says how many routees a pool shall have; see [`Pool::resize`](crate::Pool::resize).
///
/// A policy is a plain value: it takes the time from the figures and does nothing but decide, so it can be tested with
/// a list of them. A closure is one as well.
pub trait Resize: Send + 'static {
    /// The size that the pool shall have now. 0 counts as 1.
    fn size(&mut self, load: &PoolLoad) -> usize;
}

impl<F: FnMut(&PoolLoad) -> usize + Send + 'static> Resize for F {
    fn size(&mut self, load: &PoolLoad) -> usize {
        self(load)
    }
}

/// The least and the greatest size. 0 counts as 1; where the least is greater, it is the only size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Bounds {
    least: usize,
    greatest: usize,
}

impl Bounds {
    fn new(sizes: &RangeInclusive<usize>) -> Self {
        let least = (*sizes.start()).max(1);
        Self { least, greatest: (*sizes.end()).max(least) }
    }

    fn clamp(self, size: usize) -> usize {
        size.clamp(self.least, self.greatest)
    }
}

/// Resizes by what waits: more routees when too many messages wait for each, fewer when too few do.
#[derive(Clone, Debug)]
#[must_use = "a policy changes nothing until a pool has it"]
pub struct Pressure {
    bounds: Bounds,
    depth: (usize, usize),
    step: usize,
    cool_down: Duration,
    changed: Option<Instant>,
}

impl Pressure {
    /// Between these numbers of routees (0 counts as 1; a range without numbers counts as its start).
    pub fn between(sizes: RangeInclusive<usize>) -> Self {
        Self {
            bounds: Bounds::new(&sizes),
            depth: (1, 8),
            step: 1,
            cool_down: Duration::from_secs(10),
            changed: None,
        }
    }

    /// Grows when more than the upper number of messages wait per routee, and shrinks when fewer than the lower one do.
    /// Default: 1 to 8. An upper number of 0 counts as 1; a lower one above the upper counts as the upper.
    pub fn depth(mut self, per_routee: RangeInclusive<usize>) -> Self {
        let upper = (*per_routee.end()).max(1);
        self.depth = ((*per_routee.start()).min(upper), upper);
        self
    }

    /// Routees that come or go at a time. Default: 1. 0 counts as 1.
    pub fn step(mut self, routees: usize) -> Self {
        self.step = routees.max(1);
        self
    }

    /// The time after a change in which there is no other. Default: 10 s.
    pub fn cool_down(mut self, time: Duration) -> Self {
        self.cool_down = time;
        self
    }

    fn wanted(&self, load: &PoolLoad) -> usize {
        let (lower, upper) = self.depth;
        if load.waiting > upper.saturating_mul(load.size) {
            load.size.saturating_add(self.step)
        } else if load.waiting < lower.saturating_mul(load.size) {
            // Not so few that they would be too few for the same load.
            load.size.saturating_sub(self.step).max(load.waiting.div_ceil(upper))
        } else {
            load.size
        }
    }
}

impl Resize for Pressure {
    fn size(&mut self, load: &PoolLoad) -> usize {
        let allowed = self.bounds.clamp(load.size);
        if allowed != load.size {
            return allowed; // resized by hand, or not yet within the bounds
        }
        let cools = |changed: Instant| load.now.saturating_duration_since(changed) < self.cool_down;
        if self.changed.is_some_and(cools) {
            return load.size;
        }
        let size = self.bounds.clamp(self.wanted(load));
        if size != load.size {
            self.changed = Some(load.now);
        }
        size
    }
}

/// Resizes by the time of day: a fixed size from each of its times to the next, around midnight as well.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a policy changes nothing until a pool has it"]
pub struct Schedule {
    sizes: BTreeMap<Duration, usize>,
}

impl Schedule {
    /// From each time of day (since midnight UTC; 24 h and more begin again at midnight) that many routees (0 counts as
    /// 1). Of two entries for one time the later counts. Without entries the size stays as it is.
    pub fn new(sizes: impl IntoIterator<Item = (Duration, usize)>) -> Self {
        let within_day = |time: Duration| Duration::new(time.as_secs() % DAY.as_secs(), time.subsec_nanos());
        Self { sizes: sizes.into_iter().map(|(from, size)| (within_day(from), size.max(1))).collect() }
    }
}

impl Resize for Schedule {
    fn size(&mut self, load: &PoolLoad) -> usize {
        let today = self.sizes.range(..=load.time_of_day).next_back();
        today.or_else(|| self.sizes.last_key_value()).map_or(load.size, |(_, &size)| size)
    }
}

/// Resizes by a forecast of the rate at which messages arrive: enough routees for the rate to be expected in a while.
///
/// The forecast is Holt's linear trend: a smoothed rate, and a smoothed change of it, which is continued up to the
/// horizon (C. C. Holt, *Forecasting seasonals and trends by exponentially weighted moving averages*, 1957; reprinted in
/// International Journal of Forecasting 20, 2004). A trend that ends is noticed late: choose the horizon as long as it
/// takes to have a routee ready, and not much longer.
#[derive(Clone, Debug)]
#[must_use = "a policy changes nothing until a pool has it"]
pub struct Forecast {
    bounds: Bounds,
    per_routee: f64,
    horizon: Duration,
    level_weight: f64,
    trend_weight: f64,
    seen: Option<(Instant, u64)>,
    /// The smoothed rate, and its change per second. In messages per second.
    estimate: Option<(f64, f64)>,
}

impl Forecast {
    /// Between these numbers of routees (0 counts as 1; a range without numbers counts as its start), each of which is
    /// good for `per_routee` messages per second (what is not above zero counts as 1).
    pub fn between(sizes: RangeInclusive<usize>, per_routee: f64) -> Self {
        Self {
            bounds: Bounds::new(&sizes),
            per_routee: if per_routee > 0.0 { per_routee } else { 1.0 },
            horizon: Duration::from_mins(1),
            level_weight: 0.5,
            trend_weight: 0.3,
            seen: None,
            estimate: None,
        }
    }

    /// How far ahead it looks. Default: 60 s.
    pub fn horizon(mut self, ahead: Duration) -> Self {
        self.horizon = ahead;
        self
    }

    /// How much the newest figure counts, for the rate and for its trend: from 0 (not at all) to 1 (alone). Default:
    /// 0.5 and 0.3. Values outside count as the nearer of the two, and NaN counts as 0.
    pub fn smoothing(mut self, rate: f64, trend: f64) -> Self {
        let weight = |weight: f64| if weight.is_nan() { 0.0 } else { weight.clamp(0.0, 1.0) };
        (self.level_weight, self.trend_weight) = (weight(rate), weight(trend));
        self
    }

    /// Takes a new figure in. Two at one moment tell no rate.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate of 2^53 messages between two looks does not happen"
    )]
    fn observe(&mut self, load: &PoolLoad) {
        let Some((then, before)) = self.seen.replace((load.now, load.arrived)) else { return };
        let seconds = load.now.saturating_duration_since(then).as_secs_f64();
        if seconds == 0.0 {
            self.seen = Some((then, before));
            return;
        }
        let rate = load.arrived.saturating_sub(before) as f64 / seconds;
        self.estimate = Some(match self.estimate {
            None => (rate, 0.0),
            Some((level, trend)) => {
                let new = mixed(self.level_weight, rate, level + trend * seconds);
                (new, mixed(self.trend_weight, (new - level) / seconds, trend))
            }
        });
    }
}

/// The weighted mean.
fn mixed(weight: f64, new: f64, old: f64) -> f64 {
    weight * new + (1.0 - weight) * old
}

impl Resize for Forecast {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the conversion saturates, and the bounds come after it"
    )]
    fn size(&mut self, load: &PoolLoad) -> usize {
        self.observe(load);
        let Some((level, trend)) = self.estimate else { return self.bounds.clamp(load.size) };
        let expected = level + trend * self.horizon.as_secs_f64();
        self.bounds.clamp((expected / self.per_routee).ceil() as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::t0;

    const SECOND: Duration = Duration::from_secs(1);

    fn load(size: usize, waiting: usize) -> PoolLoad {
        PoolLoad { now: t0(), time_of_day: Duration::ZERO, size, waiting, arrived: 0 }
    }

    #[test]
    fn pressure_grows_above_its_upper_bound_and_shrinks_below_its_lower_one() {
        let policy = || Pressure::between(1..=10).depth(2..=8).step(2);
        assert_eq!(policy().size(&load(4, 33)), 6);
        assert_eq!(policy().size(&load(4, 32)), 4);
        assert_eq!(policy().size(&load(4, 8)), 4);
        assert_eq!(policy().size(&load(4, 7)), 2);
        assert_eq!(policy().size(&load(9, 1000)), 10);
        assert_eq!(policy().size(&load(2, 0)), 1);
    }

    #[test]
    fn pressure_changes_nothing_until_it_has_cooled_down_to_the_nanosecond() {
        let mut policy = Pressure::between(1..=10).cool_down(SECOND);
        let at = |after: Duration, size| PoolLoad { now: t0() + after, ..load(size, 1000) };
        assert_eq!(policy.size(&at(Duration::ZERO, 1)), 2);
        assert_eq!(policy.size(&at(Duration::from_nanos(999_999_999), 2)), 2);
        assert_eq!(policy.size(&at(SECOND, 2)), 3);
    }

    #[test]
    fn a_size_out_of_bounds_is_brought_back_at_once() {
        let mut policy = Pressure::between(2..=4);
        assert_eq!(policy.size(&load(1, 0)), 2);
        assert_eq!(policy.size(&load(9, 1000)), 4);
    }

    #[test]
    fn a_schedule_holds_from_each_of_its_times_to_the_next_and_around_midnight() {
        let hours = Duration::from_hours;
        let mut policy = Schedule::new([(hours(20), 2), (hours(8), 16), (hours(24 + 12), 0), (hours(12), 8)]);
        let mut at = |time_of_day| policy.size(&PoolLoad { time_of_day, ..load(5, 0) });
        assert_eq!(at(Duration::ZERO), 2);
        assert_eq!(at(hours(8).saturating_sub(Duration::from_nanos(1))), 2);
        assert_eq!(at(hours(8)), 16);
        assert_eq!(at(hours(12)), 8);
        assert_eq!(at(hours(20)), 2);
        assert_eq!(at(DAY.saturating_sub(Duration::from_nanos(1))), 2);
        assert_eq!(Schedule::new([]).size(&load(5, 0)), 5);
    }

    /// The sizes for a series of arrivals per second.
    fn forecast(mut policy: Forecast, arrivals: &[u64]) -> Vec<usize> {
        let (mut now, mut arrived) = (t0(), 0);
        policy.size(&load(1, 0));
        arrivals
            .iter()
            .map(|arrivals| {
                now += SECOND;
                arrived += arrivals;
                policy.size(&PoolLoad { now, arrived, ..load(1, 0) })
            })
            .collect()
    }

    #[test]
    fn a_steady_rate_is_forecast_as_it_is() {
        let sizes = forecast(Forecast::between(1..=100, 10.0), &[45; 20]);
        assert!(sizes.iter().all(|&size| size == 5), "{sizes:?}");
    }

    #[test]
    fn a_rate_that_grows_is_forecast_up_to_the_horizon() {
        // Ten more each second, all weight on the newest figure: 10 s ahead it will be 100 more.
        let policy = Forecast::between(1..=100, 10.0).smoothing(1.0, 1.0).horizon(10 * SECOND);
        assert_eq!(forecast(policy, &[10, 20, 30, 40]), [1, 12, 13, 14]);
    }

    #[test]
    fn holts_recurrence_is_computed_as_published() {
        // By hand, with weights 0.5 and 0.5: level 10, trend 0; then 15 and 2.5; then 23.75 and 5.625. Two ahead: 35.
        let policy = Forecast::between(1..=100, 1.0).smoothing(0.5, 0.5).horizon(2 * SECOND);
        assert_eq!(forecast(policy, &[10, 20, 30]), [10, 20, 35]);
    }

    #[test]
    fn a_fall_is_not_forecast_below_the_least_size() {
        let policy = Forecast::between(2..=100, 10.0).smoothing(1.0, 1.0);
        assert_eq!(forecast(policy, &[1000, 500, 0]), [100, 2, 2]);
    }

    #[test]
    fn a_closure_is_a_policy() {
        let mut policy = |load: &PoolLoad| load.waiting;
        assert_eq!(Resize::size(&mut policy, &load(1, 7)), 7);
    }

    fn any_load() -> impl Strategy<Value = PoolLoad> {
        (0_u64..1 << 40, 0_u64..DAY.as_secs(), 0_usize..100, any::<usize>(), any::<u64>()).prop_map(
            |(millis, seconds, size, waiting, arrived)| PoolLoad {
                now: t0() + Duration::from_millis(millis),
                time_of_day: Duration::from_secs(seconds),
                size,
                waiting,
                arrived,
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_the_figures_a_size_is_within_its_bounds(
            least in 0_usize..20, greatest in 0_usize..20, per_routee: f64, rate: f64, trend: f64,
            horizon in any::<u64>(), loads in prop::collection::vec(any_load(), 1..20),
        ) {
            let bounds = least.max(1)..=greatest.max(least.max(1));
            let mut pressure = Pressure::between(least..=greatest).depth(greatest..=least).step(least);
            let mut forecast = Forecast::between(least..=greatest, per_routee)
                .smoothing(rate, trend)
                .horizon(Duration::from_secs(horizon));
            for load in loads {
                prop_assert!(bounds.contains(&pressure.size(&load)));
                prop_assert!(bounds.contains(&forecast.size(&load)));
            }
        }

        #[test]
        fn pressure_never_shrinks_to_a_size_at_which_it_would_grow_again(
            size in 1_usize..100, waits in any::<prop::sample::Index>(), lower in 1_usize..10, more in 0_usize..10, step in 1_usize..100,
        ) {
            let waiting = waits.index(lower * size); // so few that it may shrink
            let policy = Pressure::between(1..=1000).depth(lower..=lower + more).step(step);
            let smaller = policy.clone().size(&load(size, waiting));
            prop_assert!(smaller <= size);
            prop_assert!(policy.clone().size(&load(smaller, waiting)) <= smaller);
        }

        #[test]
        fn a_schedule_says_only_sizes_that_are_in_it(
            entries in prop::collection::vec((any::<u32>(), 1_usize..50), 1..10), load in any_load(),
        ) {
            let mut policy =
                Schedule::new(entries.iter().map(|&(from, size)| (Duration::from_secs(from.into()), size)));
            let size = policy.size(&load);
            prop_assert!(entries.iter().any(|&(_, listed)| listed == size));
        }
    }
}

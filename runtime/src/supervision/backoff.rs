//! How long a failed child waits before it starts again.
//!
//! The count of recent restarts and one random number go in, a delay comes out. Waiting for that long
//! is the supervisor's business, and whether the child may start at all is the restart budget's.
//!
//! # Invariants
//!
//! * The delay before jitter never shrinks as attempts grow, and never exceeds the maximum.
//! * Jitter moves it by at most its fraction either way, so it is never below zero.
//! * No attempt and no configured duration overflows.

use std::time::Duration;

/// How long to wait before a failed actor starts again. Default: [`none`](Self::none).
///
/// ```
/// use std::time::Duration;
/// # use omnitron_runtime::Backoff;
///
/// // About 0.1 s, 0.2 s, 0.4 s … up to about 30 s, each moved by up to a fifth either way.
/// let backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(30)).jitter(0.2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a back-off changes nothing until it is part of a supervision"]
pub struct Backoff {
    min: Duration,
    max: Duration,
    /// From 0 to 1, never NaN.
    jitter: f64,
}

impl Backoff {
    /// The actor starts again at once, every time.
    pub const fn none() -> Self {
        Self { min: Duration::ZERO, max: Duration::ZERO, jitter: 0.0 }
    }

    /// Waits `min` before the first restart and twice as long before each further one, up to `max`.
    ///
    /// "First" and "further" count the restarts within the window of the restart limit, so an actor
    /// that ran well for that long begins with `min` again. If `min` is greater than `max`, then
    /// `max` wins: every wait is `max`. A `min` of zero never grows: every wait is zero.
    pub const fn exponential(min: Duration, max: Duration) -> Self {
        Self { min, max, jitter: 0.0 }
    }

    /// Moves each delay by a random part of itself, at most `fraction`, up or down. Default: 0.
    ///
    /// It keeps actors that failed together from starting together. With 0.2 a delay of 1 s becomes
    /// anything from 0.8 s to 1.2 s; the longest wait is therefore 1.2 × `max`. Values outside of
    /// 0 to 1 count as the nearer of the two, and NaN counts as 0.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        self
    }

    /// The wait before restart number `attempt` (counted from 1; 0 counts as 1).
    ///
    /// `random` is a number from 0 up to, not including, 1: each value in between is one of the
    /// possible waits, from the shortest to the longest. Without jitter it has no effect.
    #[must_use]
    pub(crate) fn delay(&self, attempt: u32, random: f64) -> Duration {
        let delay = self.before_jitter(attempt);
        if self.jitter == 0.0 {
            return delay; // exact: no detour through floating point
        }
        // Computed as one product of rounded, growing terms, so rounding cannot lift the result above
        // the product with `1 + jitter`.
        let factor = 1.0 + self.jitter * (2.0 * random - 1.0);
        // It fails only where a `max` of billions of years leaves no room for jitter above it; the delay
        // without jitter lies in the allowed range as well.
        Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(delay)
    }

    /// `min × 2^(attempt - 1)`, at most `max`.
    fn before_jitter(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1);
        // Nanoseconds of the longest `Duration` need 94 bits, so 127 doublings of anything but zero are
        // past every maximum and more need not be told apart.
        let factor = 1_u128 << doublings.min(127);
        match self.min.as_nanos().checked_mul(factor) {
            Some(nanos) if nanos < self.max.as_nanos() => Duration::from_nanos_u128(nanos),
            Some(_) | None => self.max,
        }
    }
}

impl Default for Backoff {
    /// Same as [`none`](Self::none).
    fn default() -> Self {
        Self::none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALMOST_ONE: f64 = 1.0 - f64::EPSILON / 2.0;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn none_never_waits() {
        for attempt in [0, 1, 2, 64, u32::MAX] {
            assert_eq!(Backoff::none().delay(attempt, 0.5), Duration::ZERO);
            assert_eq!(Backoff::none().jitter(1.0).delay(attempt, ALMOST_ONE), Duration::ZERO);
        }
        assert_eq!(Backoff::default(), Backoff::none());
    }

    #[test]
    fn the_wait_doubles_from_the_minimum_and_stops_at_the_maximum() {
        let backoff = Backoff::exponential(ms(100), ms(1000));
        let waits: Vec<_> = (1..=6).map(|attempt| backoff.delay(attempt, 0.9)).collect();
        assert_eq!(waits, [ms(100), ms(200), ms(400), ms(800), ms(1000), ms(1000)]);
    }

    #[test]
    fn attempt_zero_counts_as_the_first() {
        assert_eq!(Backoff::exponential(ms(100), ms(1000)).delay(0, 0.0), ms(100));
    }

    #[test]
    fn the_maximum_wins_over_a_greater_minimum() {
        let backoff = Backoff::exponential(ms(5000), ms(1000));
        assert_eq!(backoff.delay(1, 0.0), ms(1000));
        assert_eq!(backoff.delay(9, 0.0), ms(1000));
    }

    #[test]
    fn a_minimum_of_zero_never_grows() {
        let backoff = Backoff::exponential(Duration::ZERO, ms(1000));
        assert_eq!(backoff.delay(1, 0.0), Duration::ZERO);
        assert_eq!(backoff.delay(u32::MAX, 0.0), Duration::ZERO);
    }

    #[test]
    fn the_greatest_durations_and_attempts_do_not_overflow() {
        for min in [Duration::from_nanos(1), Duration::MAX] {
            let backoff = Backoff::exponential(min, Duration::MAX);
            for attempt in [127, 128, 129, 130, u32::MAX - 1, u32::MAX] {
                assert_eq!(backoff.delay(attempt, 0.5), Duration::MAX);
            }
            assert_eq!(backoff.jitter(1.0).delay(u32::MAX, ALMOST_ONE), Duration::MAX);
            assert_eq!(backoff.jitter(1.0).delay(u32::MAX, 0.0), Duration::ZERO);
        }
    }

    #[test]
    fn jitter_reaches_both_ends_of_its_range_and_its_middle_changes_nothing() {
        let backoff = Backoff::exponential(ms(1000), ms(1000)).jitter(0.25);
        assert_eq!(backoff.delay(1, 0.0), ms(750));
        assert_eq!(backoff.delay(1, 0.5), ms(1000));
        assert_eq!(backoff.delay(1, 0.75), ms(1125));
        assert_eq!(backoff.delay(1, ALMOST_ONE), ms(1250));
    }

    #[test]
    fn jitter_outside_of_zero_to_one_is_brought_inside() {
        let plain = Backoff::exponential(ms(1000), ms(1000));
        assert_eq!(plain.jitter(-1.0), plain);
        assert_eq!(plain.jitter(f64::NEG_INFINITY), plain);
        assert_eq!(plain.jitter(f64::NAN), plain);
        assert_eq!(plain.jitter(1.5), plain.jitter(1.0));
        assert_eq!(plain.jitter(f64::INFINITY), plain.jitter(1.0));
        assert_eq!(plain.jitter(1.0).delay(1, 0.0), Duration::ZERO);
    }

    #[test]
    fn without_jitter_the_random_number_has_no_effect() {
        let backoff = Backoff::exponential(Duration::from_nanos(3), Duration::MAX);
        assert_eq!(backoff.delay(60, 0.0), backoff.delay(60, ALMOST_ONE));
        assert_eq!(backoff.delay(60, 0.0), Duration::from_nanos(3 << 59), "exact to the nanosecond");
    }

    prop_compose! {
        fn any_duration()(secs in prop_oneof![0_u64..100, any::<u64>()], nanos in 0_u32..1_000_000_000)
            -> Duration {
            Duration::new(secs, nanos)
        }
    }

    proptest! {
        #[test]
        fn the_wait_before_jitter_never_shrinks_and_never_exceeds_the_maximum(
            min in any_duration(),
            max in any_duration(),
            attempt in prop_oneof![0_u32..200, any::<u32>()],
        ) {
            let backoff = Backoff::exponential(min, max);
            let wait = backoff.delay(attempt, 0.5);
            prop_assert!(wait <= max);
            prop_assert!(wait <= backoff.delay(attempt.saturating_add(1), 0.5));
            prop_assert!(wait >= min.min(max));
        }

        #[test]
        fn jitter_stays_within_its_fraction_of_the_wait(
            min_ms in 0_u64..10_000,
            max_ms in 0_u64..10_000_000,
            attempt in prop_oneof![0_u32..40, any::<u32>()],
            jitter in 0.0_f64..=1.0,
            random in 0.0_f64..1.0,
        ) {
            let plain = Backoff::exponential(ms(min_ms), ms(max_ms));
            let wait = plain.jitter(jitter).delay(attempt, random);
            let middle = plain.delay(attempt, random);
            let rounding = Duration::from_nanos(2);
            prop_assert!(wait + rounding >= middle.mul_f64(1.0 - jitter));
            prop_assert!(wait <= middle.mul_f64(1.0 + jitter));
            prop_assert!(wait <= ms(max_ms).mul_f64(1.0 + jitter));
        }
    }
}

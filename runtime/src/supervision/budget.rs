//! How often a failed child may start again.
//!
//! A supervisor asks one question here: may this child restart *now*? It passes the moment in,
//! so nothing in this module sleeps, spawns or looks at the time, and plain values test every rule.
//! The answer carries how many restarts lie in the window, because the back-off grows with it. What
//! happens once the budget is spent (escalate, stop) is the supervisor's decision.
//!
//! # Invariants
//!
//! * After every call `recent` holds only restarts younger than `window`, oldest first.
//! * `recent.len() <= limit`, and without a limit `<= REMEMBERED`, so the memory is bounded.
//! * A refused restart leaves the count as it was.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most restarts an unlimited budget remembers, and so the most it reports.
///
/// Back-off doubles with each, so that 64 are past every maximum: one nanosecond doubled 63 times
/// is 292 years.
const REMEMBERED: usize = 64;

/// Allows at most `limit` restarts within any span of `window`, or any number and only counts them.
#[derive(Clone, Debug)]
pub(crate) struct RestartBudget {
    /// `None` allows every restart.
    limit: Option<usize>,
    window: Duration,
    recent: VecDeque<Instant>,
}

/// The restart is not allowed: `limit` restarts are younger than `window`.
///
/// Nothing was taken from the budget. The same call succeeds once the oldest of them has left the
/// window, or never if `limit` is zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the restart budget is spent ({limit} restarts within {window:?})")]
pub(crate) struct Spent {
    /// Restarts allowed within `window`.
    pub(crate) limit: usize,
    /// The span in which they are counted.
    pub(crate) window: Duration,
}

impl RestartBudget {
    /// At most `limit` restarts within any span of `window`; a `limit` of zero allows none.
    ///
    /// A `window` of zero forgets each restart at once, so that any `limit` but zero is never reached.
    #[must_use]
    pub(crate) const fn new(limit: usize, window: Duration) -> Self {
        Self { limit: Some(limit), window, recent: VecDeque::new() }
    }

    /// Every restart is allowed; those within `window` are still counted, up to 64.
    #[must_use]
    pub(crate) const fn unlimited(window: Duration) -> Self {
        Self { limit: None, window, recent: VecDeque::new() }
    }

    /// Takes one restart out of the budget, and says how many restarts lie in the window, this one
    /// included.
    ///
    /// A `now` before that of an earlier call counts as the same moment.
    ///
    /// # Errors
    ///
    /// [`Spent`] when `limit` restarts are younger than `window`. The budget is unchanged: the
    /// same call may succeed later.
    pub(crate) fn spend(&mut self, now: Instant) -> Result<usize, Spent> {
        // Keeps `recent` in order even if the moments passed in are not.
        let now = self.recent.back().map_or(now, |&latest| latest.max(now));
        while self.recent.front().is_some_and(|&then| now.duration_since(then) >= self.window) {
            self.recent.pop_front();
        }
        match self.limit {
            Some(limit) if self.recent.len() >= limit => return Err(Spent { limit, window: self.window }),
            None if self.recent.len() >= REMEMBERED => {
                self.recent.pop_front();
            }
            Some(_) | None => {}
        }
        self.recent.push_back(now);
        Ok(self.recent.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::t0;

    const WINDOW: Duration = Duration::from_secs(10);
    const ALMOST_WINDOW: Duration = Duration::from_nanos(9_999_999_999);

    #[test]
    fn a_restart_is_forgotten_the_moment_its_window_has_passed() {
        let start = t0();
        let mut budget = RestartBudget::new(1, WINDOW);
        assert_eq!(budget.spend(start), Ok(1));
        assert_eq!(budget.spend(start + ALMOST_WINDOW), Err(Spent { limit: 1, window: WINDOW }));
        assert_eq!(budget.spend(start + WINDOW), Ok(1));
    }

    #[test]
    fn each_restart_is_told_how_many_lie_in_the_window() {
        let start = t0();
        let mut budget = RestartBudget::new(3, WINDOW);
        assert_eq!(budget.spend(start), Ok(1));
        assert_eq!(budget.spend(start + WINDOW / 2), Ok(2));
        assert_eq!(budget.spend(start + ALMOST_WINDOW), Ok(3));
        assert_eq!(budget.spend(start + WINDOW), Ok(3), "the first has left, two and this one remain");
    }

    #[test]
    fn a_refused_restart_does_not_count() {
        let start = t0();
        let mut budget = RestartBudget::new(1, WINDOW);
        assert_eq!(budget.spend(start), Ok(1));
        for _ in 0..5 {
            assert!(budget.spend(start + ALMOST_WINDOW).is_err());
        }
        assert_eq!(budget.spend(start + WINDOW), Ok(1));
    }

    #[test]
    fn a_limit_of_zero_allows_no_restart() {
        let mut budget = RestartBudget::new(0, WINDOW);
        assert!(budget.spend(t0()).is_err());
        assert!(budget.spend(t0() + WINDOW).is_err());
    }

    #[test]
    fn a_window_of_zero_never_spends_the_budget() {
        let now = t0();
        let mut budget = RestartBudget::new(1, Duration::ZERO);
        assert_eq!(budget.spend(now), Ok(1));
        assert_eq!(budget.spend(now), Ok(1));
    }

    #[test]
    fn an_unlimited_budget_never_refuses_and_counts_up_to_what_it_remembers() {
        let start = t0();
        let mut budget = RestartBudget::unlimited(WINDOW);
        for expected in 1..=REMEMBERED {
            assert_eq!(budget.spend(start), Ok(expected));
        }
        for _ in 0..1000 {
            assert_eq!(budget.spend(start), Ok(REMEMBERED));
        }
        assert_eq!(budget.recent.len(), REMEMBERED);
        assert_eq!(budget.spend(start + WINDOW), Ok(1));
    }

    #[test]
    fn a_moment_before_an_earlier_one_counts_as_the_same_moment() {
        let start = t0();
        let mut budget = RestartBudget::new(2, WINDOW);
        assert_eq!(budget.spend(start + WINDOW), Ok(1));
        assert_eq!(budget.spend(start), Ok(2));
        assert!(budget.recent.iter().is_sorted());
        assert!(budget.spend(start + WINDOW + ALMOST_WINDOW).is_err());
        assert_eq!(budget.spend(start + WINDOW * 2), Ok(1));
    }

    #[test]
    fn the_error_names_limit_and_window() {
        let spent = Spent { limit: 3, window: WINDOW };
        assert_eq!(spent.to_string(), "the restart budget is spent (3 restarts within 10s)");
    }

    proptest! {
        #[test]
        fn no_span_of_the_window_ever_holds_more_restarts_than_the_limit(
            limit in 0_usize..6,
            steps in prop::collection::vec(0_u64..3000, 1..100),
        ) {
            let window = Duration::from_secs(5);
            let mut budget = RestartBudget::new(limit, window);
            let mut allowed: Vec<Instant> = Vec::new();
            let mut now = t0();
            for step in steps {
                now += Duration::from_millis(step);
                let in_window = allowed.iter().filter(|&&then| now.duration_since(then) < window).count();
                match budget.spend(now) {
                    Ok(count) => {
                        prop_assert!(in_window < limit);
                        prop_assert_eq!(count, in_window + 1);
                        allowed.push(now);
                    }
                    Err(spent) => {
                        prop_assert_eq!(in_window, limit);
                        prop_assert_eq!(spent, Spent { limit, window });
                    }
                }
            }
        }
    }
}

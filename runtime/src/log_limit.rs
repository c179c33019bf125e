//! May this line be logged now, or are there too many of its kind?
//!
//! A mailbox that overflows a million times per second must not write a million lines. Each kind of line
//! has a limit of its own; the moment goes in and the verdict comes out. The caller writes the line.
//!
//! Windows do not slide: a window begins with the first line after the last window, so that around its
//! end two bursts may follow each other. A sliding window would have to remember every line.
//!
//! # Invariants
//!
//! * From the first line of a window until `window` has passed, at most `burst` lines are logged.
//! * Every suppressed line is in the `suppressed` of exactly one later [`Verdict::Log`], if any follows.

use std::time::{Duration, Instant};

/// At most `burst` lines per `window`.
#[derive(Clone, Debug)]
pub(crate) struct LogLimit {
    burst: u32,
    window: Duration,
    /// When the current window began; `None` before the first line.
    began: Option<Instant>,
    /// Lines logged in the current window.
    logged: u32,
    /// Lines suppressed since the last one that was logged.
    suppressed: u64,
}

/// What to do with one line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "the line is counted as logged or suppressed, so it has to be"]
pub(crate) enum Verdict {
    /// Log it, and say how many lines before it were suppressed if that is not zero.
    Log {
        /// Lines suppressed since the last one that was logged.
        suppressed: u64,
    },
    /// Leave it out. It is counted.
    Suppress,
}

impl LogLimit {
    /// At most `burst` lines per `window`. A `burst` of 0 counts as 1: a limit that never let a line
    /// through could never tell what it suppressed.
    #[must_use]
    pub(crate) const fn new(burst: u32, window: Duration) -> Self {
        let burst = if burst == 0 { 1 } else { burst };
        Self { burst, window, began: None, logged: 0, suppressed: 0 }
    }

    /// Decides about one line at `now`, and counts it.
    pub(crate) fn allow(&mut self, now: Instant) -> Verdict {
        let open = self.began.is_some_and(|began| now.saturating_duration_since(began) < self.window);
        if !open {
            self.began = Some(now);
            self.logged = 0;
        }
        if self.logged == self.burst {
            self.suppressed = self.suppressed.saturating_add(1);
            return Verdict::Suppress;
        }
        self.logged += 1;
        Verdict::Log { suppressed: std::mem::take(&mut self.suppressed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::t0;

    const WINDOW: Duration = Duration::from_secs(10);
    const LOG: Verdict = Verdict::Log { suppressed: 0 };

    #[test]
    fn a_window_lets_its_burst_through_and_suppresses_the_rest() {
        let start = t0();
        let mut limit = LogLimit::new(2, WINDOW);
        assert_eq!(
            [0, 1, 2, 9].map(|secs| limit.allow(start + Duration::from_secs(secs))),
            [LOG, LOG, Verdict::Suppress, Verdict::Suppress]
        );
    }

    #[test]
    fn the_first_line_of_the_next_window_tells_how_many_were_suppressed_and_the_second_does_not() {
        let start = t0();
        let mut limit = LogLimit::new(1, WINDOW);
        assert_eq!(limit.allow(start), LOG);
        for _ in 0..1000 {
            assert_eq!(limit.allow(start + Duration::from_nanos(9_999_999_999)), Verdict::Suppress);
        }
        assert_eq!(limit.allow(start + WINDOW), Verdict::Log { suppressed: 1000 });
        assert_eq!(limit.allow(start + WINDOW * 2), LOG);
    }

    #[test]
    fn a_window_begins_with_its_first_line() {
        let start = t0();
        let mut limit = LogLimit::new(1, WINDOW);
        assert_eq!(limit.allow(start), LOG);
        assert_eq!(limit.allow(start + WINDOW + WINDOW / 2), LOG);
        assert_eq!(limit.allow(start + WINDOW * 2), Verdict::Suppress, "the window of the line before");
        assert_eq!(limit.allow(start + WINDOW * 2 + WINDOW / 2), Verdict::Log { suppressed: 1 });
    }

    #[test]
    fn a_burst_of_zero_counts_as_one() {
        let mut limit = LogLimit::new(0, WINDOW);
        assert_eq!(limit.allow(t0()), LOG);
        assert_eq!(limit.allow(t0()), Verdict::Suppress);
    }

    #[test]
    fn a_window_of_zero_suppresses_nothing() {
        let mut limit = LogLimit::new(1, Duration::ZERO);
        assert_eq!([limit.allow(t0()), limit.allow(t0())], [LOG, LOG]);
    }

    #[test]
    fn a_moment_before_the_window_belongs_to_it() {
        let start = t0();
        let mut limit = LogLimit::new(1, WINDOW);
        assert_eq!(limit.allow(start + WINDOW), LOG);
        assert_eq!(limit.allow(start), Verdict::Suppress);
    }

    proptest! {
        #[test]
        fn every_line_is_logged_or_counted_once(
            burst in 1_u32..5,
            steps in prop::collection::vec(0_u64..4000, 1..200),
        ) {
            let mut limit = LogLimit::new(burst, WINDOW);
            let mut now = t0();
            let (mut logged, mut told, mut silent) = (0_u64, 0_u64, 0_u64);
            let lines = steps.len() as u64;
            for step in steps {
                now += Duration::from_millis(step);
                match limit.allow(now) {
                    Verdict::Log { suppressed } => {
                        prop_assert_eq!(suppressed, silent);
                        logged += 1;
                        told += suppressed;
                        silent = 0;
                    }
                    Verdict::Suppress => silent += 1,
                }
            }
            prop_assert_eq!(logged + told + silent, lines);
        }

        #[test]
        fn no_window_from_its_first_line_on_holds_more_than_the_burst(
            burst in 1_u32..5,
            steps in prop::collection::vec(0_u64..4000, 1..200),
        ) {
            let mut limit = LogLimit::new(burst, WINDOW);
            let mut now = t0();
            let mut window: Option<(Instant, u32)> = None;
            for step in steps {
                now += Duration::from_millis(step);
                if let Verdict::Log { .. } = limit.allow(now) {
                    let (began, count) = window.filter(|&(at, _)| now - at < WINDOW).unwrap_or((now, 0));
                    prop_assert!(count < burst);
                    window = Some((began, count + 1));
                }
            }
        }
    }
}

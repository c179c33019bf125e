//! In which order does a system shut down, and how long does each step get?
//!
//! Pure: phases and moments. [`closing`](crate::closing) acts on them.
//!
//! # Invariants
//!
//! * Phases come in the order of [`Phase::ALL`], each once.
//! * Their ends never decrease, and the last is the end of the budget: time that one phase leaves is the next one's.

use std::fmt;
use std::time::{Duration, Instant};

use crate::failure::Crash;
use crate::path::ActorPath;

/// What is longer than this is as good as no limit, and cannot be added to a moment.
const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);

/// A step of the shutdown.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Phase {
    /// Nothing new from outside: spawns, and messages that do not come from an actor, are refused.
    StopAccepting,
    /// Actors work on until all mailboxes are empty and nobody handles anything, or half of the budget is over.
    Drain,
    /// All actors stop, children before parents, each after its current message.
    StopActors,
    /// Actors that still run are cancelled at their await points.
    Kill,
    /// There are no actors any more: extensions let go of what they hold.
    Close,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 5] = [Self::StopAccepting, Self::Drain, Self::StopActors, Self::Kill, Self::Close];

    /// When this phase must be over, in a shutdown that began at `start` with `budget`.
    pub(crate) fn end(self, start: Instant, budget: Duration) -> Instant {
        let share = match self {
            Self::StopAccepting | Self::Drain => budget / 2,
            Self::StopActors => budget / 10 * 8,
            Self::Kill => budget / 10 * 9,
            Self::Close => budget,
        };
        start.checked_add(share.min(CENTURY)).unwrap_or(start)
    }
}

/// How a shutdown went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The failure that stopped the system, if one was escalated past the last parent.
    pub cause: Option<Crash>,
    /// The actors that had not ended when [`Phase::StopActors`] was over, parents before children: those that were
    /// cancelled, those that could not be (a handler blocks its thread), and the parents that waited for them.
    pub unfinished: Vec<ActorPath>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shut down in {:?}", self.took)?;
        if let Some(cause) = &self.cause {
            write!(f, ", because {cause}")?;
        }
        for (index, path) in self.unfinished.iter().enumerate() {
            write!(f, "{}{path}", if index == 0 { ", not finished in time: " } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::t0;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn phases_share_one_budget_in_order(budget_ms in 0u64..1_000_000) {
            let budget = Duration::from_millis(budget_ms);
            let ends = Phase::ALL.map(|phase| phase.end(t0(), budget));
            prop_assert!(ends.is_sorted());
            prop_assert!(ends.iter().all(|&end| end <= t0() + budget));
            prop_assert_eq!(ends[4], t0() + budget);
        }
    }
}

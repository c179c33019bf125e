//! Ask again, or give up?
//!
//! Every message of this program may be sent twice (see `tally.rs`), so after *any* failed ask it is right to ask
//! again, whether or not the first was counted. What is left to decide is when that has become pointless.

use std::error::Error;
use std::fmt;

use omnitron::prelude::{AskError, Refusal};

/// Failures at once, as after a crash, before giving up. With the highest probability that `--faults` takes, 0.9, this
/// many in a row happen once in 10^45 asks; so it is only reached by an actor that can never answer.
const QUICK_FAILURES: u32 = 1_000;

/// Deadlines missed, or answers that the journal is not available, before giving up. With the default deadline of 5 s, half a minute
/// without any progress.
const MISSED_DEADLINES: u32 = 6;

/// Counts the failed tries of one ask.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    quick_failures: u32,
    missed_deadlines: u32,
}

impl Patience {
    /// Returns when it is worth to ask again.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] when it is not. The message **may** have been acted on.
    pub(crate) fn spend<E: Error + 'static>(&mut self, error: &AskError<E>) -> Result<(), GaveUp> {
        let worth_it = match error {
            AskError::Failed(_)
            | AskError::Cycle { .. }
            | AskError::Refused(Refusal::ShuttingDown | Refusal::SystemStopped) => false,
            AskError::TimedOut { .. }
            | AskError::Expired { .. }
            | AskError::Unavailable
            | AskError::Refused(Refusal::TimedOut { .. }) => {
                self.missed_deadlines += 1;
                self.missed_deadlines < MISSED_DEADLINES
            }
            _ => {
                self.quick_failures += 1;
                self.quick_failures < QUICK_FAILURES
            }
        };
        if worth_it { Ok(()) } else { Err(GaveUp::after(error)) }
    }
}

/// An ask that was repeated until it was pointless.
#[derive(Debug)]
pub(crate) struct GaveUp {
    last: String,
}

impl GaveUp {
    fn after(error: &dyn Error) -> Self {
        Self { last: chain(error) }
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an actor did not answer, however often it was asked; at last: {}", self.last)
    }
}

impl Error for GaveUp {}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use super::*;

    fn tries(error: &AskError<Infallible>) -> u32 {
        let mut patience = Patience::default();
        (1..=10_000).find(|_| patience.spend(error).is_err()).unwrap()
    }

    #[test]
    fn quick_failures_are_repeated_far_more_often_than_missed_deadlines() {
        assert_eq!(tries(&AskError::Crashed), QUICK_FAILURES);
        assert_eq!(tries(&AskError::Abandoned), QUICK_FAILURES);
        assert_eq!(tries(&AskError::Refused(Refusal::Stopped)), QUICK_FAILURES);
        assert_eq!(tries(&AskError::TimedOut { after: Duration::from_secs(5) }), MISSED_DEADLINES);
        assert_eq!(tries(&AskError::Unavailable), MISSED_DEADLINES);
    }

    #[test]
    fn what_can_never_succeed_is_not_repeated() {
        assert_eq!(tries(&AskError::Refused(Refusal::SystemStopped)), 1);
        assert_eq!(tries(&AskError::Refused(Refusal::ShuttingDown)), 1);
        assert_eq!(tries(&AskError::Cycle { chain: Vec::new() }), 1);
    }
}

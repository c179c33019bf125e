//! What happened in a simulation, line by line, within a bound.
//!
//! # Invariants
//!
//! * Every entry starts with the virtual time in nanoseconds.
//! * `entries.len() <= limit`; whatever did not fit is counted in `left_out`.

use std::fmt;
use std::time::Duration;

/// The log of one simulation.
pub(super) struct Log {
    limit: usize,
    entries: Vec<String>,
    left_out: u64,
}

impl Log {
    /// An empty log that holds at most `limit` entries.
    pub(super) fn new(limit: usize) -> Log {
        Log { limit, entries: Vec::new(), left_out: 0 }
    }

    /// Appends what happened after `elapsed` of virtual time, or counts it when there is no room.
    pub(super) fn push(&mut self, elapsed: Duration, entry: fmt::Arguments<'_>) {
        if self.entries.len() < self.limit {
            self.entries.push(format!("{} {entry}", elapsed.as_nanos()));
        } else {
            self.left_out += 1;
        }
    }

    /// All entries, and one more that says how many were left out, if any.
    pub(super) fn read(&self, elapsed: Duration) -> Vec<String> {
        let mut entries = self.entries.clone();
        entries.extend(self.omission(elapsed));
        entries
    }

    /// The same, and starts anew.
    pub(super) fn take(&mut self, elapsed: Duration) -> Vec<String> {
        let omission = self.omission(elapsed);
        self.left_out = 0;
        let mut entries = std::mem::take(&mut self.entries);
        entries.extend(omission);
        entries
    }

    fn omission(&self, elapsed: Duration) -> Option<String> {
        let Log { limit, left_out, .. } = self;
        (*left_out > 0)
            .then(|| format!("{} left out {left_out} entries after the first {limit}", elapsed.as_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_taking_the_log_makes_room() {
        let after = Duration::from_nanos(5);
        let mut log = Log::new(2);
        log.push(Duration::ZERO, format_args!("first"));
        log.push(after, format_args!("second"));
        assert_eq!(log.read(after), ["0 first", "5 second"]);
        log.push(after, format_args!("third"));
        log.push(after, format_args!("fourth"));
        let full = ["0 first", "5 second", "6 left out 2 entries after the first 2"];
        assert_eq!(log.read(Duration::from_nanos(6)), full);
        assert_eq!(log.take(Duration::from_nanos(6)), full);
        log.push(after, format_args!("fifth"));
        assert_eq!(log.read(after), ["5 fifth"]);
    }
}

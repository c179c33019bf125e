//! Was this post received before, and may it be received now?
//!
//! Each slice of a journal numbers what lies in it, posts too. To one receiver the posts of a slice are delivered in that order, and each delivery says
//! which one it follows. So a receiver needs one number per slice to know all that it has received: a *mark*. There is no window to outgrow.
//!
//! # Invariants
//!
//! * A mark rises only, and only past a post whose predecessors were received or given up.
//! * The marks are part of the state: they come back with it, from events and from snapshots.

use std::collections::BTreeMap;

use crate::id::{Ordinal, Slice};
use crate::offset::Position;

/// Where a post comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    /// The identity of the journal.
    pub(crate) source: u64,
    /// Where it lies there.
    pub(crate) position: Position,
    /// The one before it that goes to the same receiver and was not acknowledged when this one was sent; zero: there was none.
    pub(crate) after: Ordinal,
}

/// What is to be done with a post that comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Handle it.
    New,
    /// It was received before.
    Known,
    /// One before it is missing.
    Early,
}

/// What a state knows beside what its user wrote.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Marks {
    received: BTreeMap<(u64, Slice), Ordinal>,
    /// It has posted something, at any time: its events stay until an outbox has passed them.
    pub(crate) has_posted: bool,
}

impl Marks {
    /// What is to be done with a post.
    pub(crate) fn judge(&self, origin: Origin) -> Verdict {
        let Origin { source, position: Position { slice, ordinal }, after } = origin;
        let mark = self.received.get(&(source, slice)).copied().unwrap_or_default();
        if ordinal <= mark {
            Verdict::Known
        } else if after > mark {
            Verdict::Early
        } else {
            Verdict::New
        }
    }

    /// A post was received.
    pub(crate) fn received(&mut self, origin: Origin) {
        let Origin { source, position: Position { slice, ordinal }, .. } = origin;
        let mark = self.received.entry((source, slice)).or_default();
        *mark = (*mark).max(ordinal);
    }

    /// Whether there is nothing to know.
    pub(crate) fn is_empty(&self) -> bool {
        self.received.is_empty() && !self.has_posted
    }

    /// Source, slice and mark of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Origin> + '_ {
        self.received.iter().map(|(&(source, slice), &ordinal)| {
            let position = Position { slice, ordinal };
            Origin { source, position, after: Ordinal::ZERO }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(source: u64, slice: u32, ordinal: u64, after: u64) -> Origin {
        let position = Position { slice: Slice::new(slice), ordinal: Ordinal::new(ordinal) };
        Origin { source, position, after: Ordinal::new(after) }
    }

    #[test]
    fn what_lies_at_the_mark_or_before_is_known_and_what_lies_behind_is_new() {
        let mut marks = Marks::default();
        assert_eq!(marks.judge(from(1, 0, 5, 0)), Verdict::New);
        marks.received(from(1, 0, 5, 0));
        let verdicts = [4, 5, 6].map(|ordinal| marks.judge(from(1, 0, ordinal, 0)));
        assert_eq!(verdicts, [Verdict::Known, Verdict::Known, Verdict::New]);
    }

    #[test]
    fn what_follows_one_that_was_not_received_is_early() {
        let mut marks = Marks::default();
        marks.received(from(1, 0, 5, 0));
        let verdicts = [4, 5, 6].map(|after| marks.judge(from(1, 0, 9, after)));
        assert_eq!(verdicts, [Verdict::New, Verdict::New, Verdict::Early]);
    }

    #[test]
    fn each_slice_of_each_journal_has_a_mark_of_its_own_and_none_goes_back() {
        let mut marks = Marks::default();
        marks.received(from(1, 0, 9, 0));
        marks.received(from(1, 0, 5, 0));
        assert_eq!(marks.judge(from(1, 0, 9, 0)), Verdict::Known);
        assert_eq!(marks.judge(from(1, 1, 9, 0)), Verdict::New);
        assert_eq!(marks.judge(from(2, 0, 9, 0)), Verdict::New);
        assert_eq!(marks.iter().count(), 1);
    }
}

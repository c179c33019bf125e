//! When is a snapshot due, which ones are kept, and which events may go?
//!
//! # Invariants
//!
//! * At most one snapshot is being saved.
//! * Events are deleted only behind the oldest snapshot that is kept, so that a damaged newest one costs time and nothing else,
//!   and never past the slowest registered reader.

use std::collections::VecDeque;

use crate::id::{Ordinal, Sequence};

/// When snapshots are taken, how many are kept, and whether the events behind them go.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "snapshots are taken by an actor that is spawned with them"]
pub struct Snapshots {
    events: Option<u64>,
    bytes: Option<u64>,
    keep: usize,
    delete_events: bool,
}

impl Snapshots {
    /// One after every so many events (0 counts as 1).
    pub fn every(events: u64) -> Self {
        Self { events: Some(events.max(1)), ..Self::on_demand() }
    }

    /// One after every so many bytes of events (0 counts as 1).
    pub fn every_bytes(bytes: u64) -> Self {
        Self { bytes: Some(bytes.max(1)), ..Self::on_demand() }
    }

    /// Only when an effect [asks](crate::Effect::snapshot) for one.
    pub fn on_demand() -> Self {
        Self { events: None, bytes: None, keep: 2, delete_events: false }
    }

    /// Also after so many bytes of events, whichever comes first (0 counts as 1).
    pub fn or_every_bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes.max(1));
        self
    }

    /// How many are kept; 0 counts as 1. Default: 2. An embedded journal keeps at most
    /// [`MAX_KEPT`](Self::MAX_KEPT).
    pub fn keep(mut self, snapshots: usize) -> Self {
        self.keep = snapshots.max(1);
        self
    }

    /// The most snapshots of one id that an embedded journal keeps.
    pub const MAX_KEPT: usize = 8;

    /// Deletes the events that lie behind the oldest snapshot which is kept, but none that a registered
    /// [reader](crate::Journal::reader) has not passed. Default: all events are kept.
    pub fn delete_events(mut self) -> Self {
        self.delete_events = true;
        self
    }
}

/// What may go now that a snapshot was saved.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cleanup {
    pub(crate) snapshots_to: Option<Sequence>,
    pub(crate) events_to: Option<Sequence>,
}

/// A snapshot that was saved, with the place of its last event in the slice if that is known.
type Kept = (Sequence, Option<Ordinal>);

/// The snapshots of one actor.
#[derive(Debug)]
pub(crate) struct Retention {
    options: Snapshots,
    events: u64,
    bytes: u64,
    saving: Option<Sequence>,
    kept: VecDeque<Kept>,
    deleted: Sequence,
}

impl Retention {
    /// As of a recovery: from a snapshot, if there was one, and so many events behind it.
    pub(crate) fn new(options: Snapshots, snapshot: Option<Sequence>, events: u64) -> Self {
        let kept = snapshot.map(|sequence| (sequence, None)).into_iter().collect();
        Self { options, events, bytes: 0, saving: None, kept, deleted: Sequence::ZERO }
    }

    /// Events were applied.
    pub(crate) fn applied(&mut self, events: u64, bytes: u64) {
        self.events = self.events.saturating_add(events);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether to take one of the state at `sequence` now. If so it counts as begun.
    pub(crate) fn begin(&mut self, sequence: Sequence, demanded: bool) -> bool {
        let due = self.options.events.is_some_and(|every| self.events >= every)
            || self.options.bytes.is_some_and(|every| self.bytes >= every);
        let is_new = self.kept.back().is_none_or(|(last, _)| *last < sequence);
        if !(due || demanded) || self.saving.is_some() || !is_new || sequence == Sequence::ZERO {
            return false;
        }
        self.saving = Some(sequence);
        (self.events, self.bytes) = (0, 0);
        true
    }

    /// The one that was begun is durable, or failed.
    pub(crate) fn ended(&mut self, saved: bool, ordinal: Option<Ordinal>) {
        let Some(sequence) = self.saving.take() else { return };
        if saved {
            self.kept.push_back((sequence, ordinal));
        }
    }

    /// What may go, when the slowest reader has passed `readers` of the slice; `None`: there are no readers.
    pub(crate) fn cleanup(&mut self, readers: Option<Ordinal>) -> Cleanup {
        let mut cleanup = Cleanup::default();
        let mut passed = None;
        while self.kept.len() > self.options.keep {
            cleanup.snapshots_to = self.kept.pop_front().map(|(sequence, _)| sequence);
        }
        if self.options.delete_events && self.kept.len() == self.options.keep {
            passed = self.kept.front().copied();
        }
        if let Some((sequence, ordinal)) = passed
            && sequence > self.deleted
            && readers.is_none_or(|readers| ordinal.is_some_and(|ordinal| ordinal <= readers))
        {
            self.deleted = sequence;
            cleanup.events_to = Some(sequence);
        }
        cleanup
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(sequence: u64) -> Sequence {
        Sequence::new(sequence)
    }

    #[test]
    fn one_is_due_after_so_many_events_or_bytes_or_on_demand_and_only_one_at_a_time() {
        let mut retention = Retention::new(Snapshots::every(3).or_every_bytes(100), None, 0);
        retention.applied(2, 99);
        assert!(!retention.begin(at(2), false));
        retention.applied(0, 1);
        assert!(retention.begin(at(2), false));
        retention.applied(3, 0);
        assert!(!retention.begin(at(5), false), "the first is still being saved");
        retention.ended(true, None);
        assert!(retention.begin(at(5), false));
        retention.ended(true, None);
        assert!(!retention.begin(at(6), false));
        assert!(retention.begin(at(6), true));
    }

    #[test]
    fn one_that_failed_is_not_counted_as_kept() {
        let options = Snapshots::every(1).keep(1).delete_events();
        let mut retention = Retention::new(options, None, 0);
        retention.applied(1, 1);
        assert!(retention.begin(at(1), false));
        retention.ended(false, None);
        assert_eq!(retention.cleanup(None), Cleanup::default());
    }

    proptest! {
        #[test]
        fn events_go_only_behind_the_oldest_kept_snapshot_and_never_past_the_slowest_reader(
            keep in 1_usize..4,
            marks in prop::collection::vec(prop::option::of(0_u64..60), 1..20),
        ) {
            let mut retention = Retention::new(Snapshots::every(1).keep(keep).delete_events(), None, 0);
            let mut saved = Vec::new();
            let mut gone = Sequence::ZERO;
            for (round, mark) in (1_u64..).zip(marks) {
                retention.applied(1, 1);
                prop_assert!(retention.begin(at(round), false));
                // Ordinals lie further apart than sequences.
                retention.ended(true, Some(Ordinal::new(round * 3)));
                saved.push(at(round));
                let cleanup = retention.cleanup(mark.map(Ordinal::new));
                let oldest_kept = saved[saved.len().saturating_sub(keep)];
                if let Some(to) = cleanup.snapshots_to {
                    prop_assert!(to < oldest_kept);
                }
                if let Some(to) = cleanup.events_to {
                    prop_assert!(to <= oldest_kept && saved.len() >= keep && to > gone);
                    prop_assert!(mark.is_none_or(|mark| to.get() * 3 <= mark));
                    gone = to;
                } else if mark.is_none() && saved.len() >= keep {
                    prop_assert!(oldest_kept <= gone);
                }
            }
        }
    }
}

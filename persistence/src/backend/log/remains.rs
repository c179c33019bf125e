//! Of the events of an id that are intact, which make a history?
//!
//! A history has no gaps. So what counts is the run of events that starts at the first one which is not deleted; what stands behind a gap is intact, but of no
//! use without what is missing.
//!
//! # Invariants
//!
//! * The same events in the same order give the same runs: what a second walk finds can be told by the number of its run.

/// What was seen of an id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    /// Sequences without gaps, in the order in which they stand: the first and the last of each run.
    pub(crate) runs: Vec<(u64, u64)>,
    /// Up to where events are deleted.
    pub(crate) floor: u64,
    /// The last one of which anything is known.
    pub(crate) highest: u64,
    /// The bytes of the payloads.
    pub(crate) bytes: u64,
}

/// Events that are not in the history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Left {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// They are there, but what comes before them is not.
    pub(crate) intact: bool,
}

impl Seen {
    /// Adds an event. The number of its run.
    pub(crate) fn event(&mut self, sequence: u64, bytes: u64) -> usize {
        match self.runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(sequence) => *last = sequence,
            _ => self.runs.push((sequence, sequence)),
        }
        self.highest = self.highest.max(sequence);
        self.bytes += bytes;
        self.runs.len() - 1
    }

    /// Adds a deletion.
    pub(crate) fn deletion(&mut self, to: u64, highest: u64) {
        self.floor = self.floor.max(to);
        self.highest = self.highest.max(highest);
    }

    /// The number of the run that is the history, if any event is left of it.
    pub(crate) fn chosen(&self) -> Option<usize> {
        let next = self.floor.saturating_add(1);
        self.runs.iter().rposition(|(first, last)| (*first..=*last).contains(&next))
    }

    /// The last event of the history, deleted or not.
    pub(crate) fn head(&self) -> u64 {
        self.chosen().map_or(self.floor, |run| self.runs[run].1)
    }

    /// How many events there are to be read.
    pub(crate) fn events(&self) -> u64 {
        self.head() - self.floor
    }

    /// What is not in the history though it was written, in order.
    pub(crate) fn left(&self) -> Vec<Left> {
        let chosen = self.chosen();
        let mut left = Vec::new();
        let mut next = self.head() + 1;
        let mut others: Vec<(u64, u64)> = self
            .runs
            .iter()
            .enumerate()
            .filter(|(run, (_, last))| Some(*run) != chosen && *last > self.floor)
            .map(|(_, run)| *run)
            .collect();
        others.sort_unstable();
        for (first, last) in others {
            if first > next {
                left.push(Left { from: next, to: first - 1, intact: false });
            }
            left.push(Left { from: first.max(self.floor + 1), to: last, intact: true });
            next = next.max(last.saturating_add(1));
        }
        if self.highest >= next {
            left.push(Left { from: next, to: self.highest, intact: false });
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(events: &[u64], deletion: Option<(u64, u64)>) -> Seen {
        let mut seen = Seen::default();
        for sequence in events {
            seen.event(*sequence, 1);
        }
        if let Some((to, highest)) = deletion {
            seen.deletion(to, highest);
        }
        seen
    }

    #[test]
    fn a_history_ends_before_its_first_gap() {
        let whole = seen(&[1, 2, 3], None);
        assert_eq!((whole.head(), whole.events(), whole.left()), (3, 3, vec![]));
        let holed = seen(&[1, 2, 5, 6], None);
        assert_eq!((holed.head(), holed.events()), (2, 2));
        let missing = Left { from: 3, to: 4, intact: false };
        assert_eq!(holed.left(), [missing, Left { from: 5, to: 6, intact: true }]);
        let headless = seen(&[2, 3], None);
        assert_eq!((headless.head(), headless.left().len()), (0, 2));
    }

    #[test]
    fn what_is_deleted_is_not_missed() {
        let deleted = seen(&[1, 2, 6, 7], Some((5, 6)));
        assert_eq!((deleted.head(), deleted.events(), deleted.left()), (7, 2, vec![]));
        let all = seen(&[], Some((5, 5)));
        assert_eq!((all.head(), all.events(), all.left()), (5, 0, vec![]));
        let lost = seen(&[], Some((5, 8)));
        assert_eq!((lost.head(), lost.left()), (5, vec![Left { from: 6, to: 8, intact: false }]));
    }
}

//! Which rows were left out, and how is that told?
//!
//! How many there were, and the first few of the file. Which comes first must not depend on which parser was faster, so
//! they are sorted by line and told at the end.

use std::collections::BTreeMap;

use crate::job::Notes;
use crate::record::Malformed;

/// Malformed rows that are shown one by one.
const SHOWN: usize = 20;

/// The malformed rows of a file, or of a part of it.
#[derive(Default)]
pub(crate) struct Rejects {
    total: usize,
    first: BTreeMap<u64, Malformed>,
}

impl Extend<Malformed> for Rejects {
    fn extend<I: IntoIterator<Item = Malformed>>(&mut self, malformed: I) {
        for malformed in malformed {
            self.total += 1;
            self.keep(malformed);
        }
    }
}

impl Rejects {
    /// Takes those of another part of the file.
    pub(crate) fn merge(&mut self, other: Self) {
        self.total += other.total;
        other.first.into_values().for_each(|malformed| self.keep(malformed));
    }

    fn keep(&mut self, malformed: Malformed) {
        self.first.insert(malformed.line, malformed);
        if self.first.len() > SHOWN {
            self.first.pop_last();
        }
    }

    /// Writes them down.
    pub(crate) fn tell(&self, notes: &mut Notes<'_>) {
        for malformed in self.first.values() {
            notes.say(format_args!("malformed row, {malformed}"));
        }
        match self.total {
            0 => {}
            1 => notes.say(format_args!("1 malformed row was left out")),
            total @ 2..=SHOWN => notes.say(format_args!("{total} malformed rows were left out")),
            total => {
                notes.say(format_args!("{total} malformed rows were left out; the first {SHOWN} are shown"));
            }
        }
    }
}

//! What stands where in one segment?
//!
//! The table of the segment that is written is kept in memory, so its size is bounded by that of a segment. Of the others a file
//! holds the same (`index`). It is built from the records alone, in their order.
//!
//! # Invariants
//!
//! * The events of an id in one segment have sequences without gaps, so the place of one follows from the first.
//! * The ordinals of a slice rise.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::quality::FixedState;

use super::record::Record;
use crate::backend::IdQuery;
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice};

/// A map whose order is the same in every run. The seed is the journal's own number, which nobody who picks ids knows.
#[expect(clippy::disallowed_types, reason = "a hasher with a seed that is given, so its order is not random")]
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, FixedState>;

/// What a table has to know of a record.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Event { id: PersistenceId, slice: Slice, sequence: Sequence, ordinal: Ordinal },
    Claim { slice: Slice, epoch: Epoch, ordinal: Ordinal },
    Deletion { id: PersistenceId, to: Sequence, highest: Sequence },
}

/// The events of an id in a segment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Run {
    /// The sequence of the first one. Without any: the one which comes behind the highest.
    pub(crate) first: u64,
    /// Up to where the events of the id were deleted, as far as this segment says; 0 when it says nothing.
    pub(crate) floor: u64,
    /// Where the last deletion stands, if there is one.
    pub(crate) mark: u32,
    /// Where each event stands.
    pub(crate) offsets: Offsets,
}

/// Places in a segment, in order. Most ids have one event in a segment, so the first one takes no memory of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Offsets {
    One(u32),
    /// None, or several.
    Many(Vec<u32>),
}

impl Offsets {
    fn push(&mut self, offset: u32) {
        match self {
            Self::Many(offsets) if offsets.is_empty() => *self = Self::One(offset),
            Self::Many(offsets) => offsets.push(offset),
            Self::One(first) => *self = Self::Many(vec![*first, offset]),
        }
    }
}

impl Default for Offsets {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl std::ops::Deref for Offsets {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Self::One(offset) => std::slice::from_ref(offset),
            Self::Many(offsets) => offsets,
        }
    }
}

impl Run {
    /// The last sequence of the id as of the end of this segment.
    pub(crate) fn highest(&self) -> u64 {
        self.first + self.offsets.len() as u64 - 1
    }
}

/// The events of a slice in a segment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lane {
    /// The last epoch that was claimed in this segment; 0 when none was.
    pub(crate) epoch: u64,
    /// The last ordinal of the slice, as far as this segment says.
    pub(crate) last: u64,
    /// Each event: its ordinal and where it stands.
    pub(crate) events: Vec<(u64, u32)>,
}

/// What stands where.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) ids: Map<PersistenceId, Run>,
    pub(crate) slices: BTreeMap<Slice, Lane>,
    /// The ids whose first event or a deletion stands here: every id is among those of some segment. Those in `unsorted` too, which are
    /// sorted when somebody asks for them: the writer has no time for it.
    named: BTreeSet<PersistenceId>,
    unsorted: Vec<PersistenceId>,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Self {
        let ids = Map::with_hasher(FixedState::with_seed(seed));
        Self { ids, slices: BTreeMap::new(), named: BTreeSet::new(), unsorted: Vec::new() }
    }

    /// Adds the record at `offset`. Records are added in the order in which they stand.
    ///
    /// # Errors
    ///
    /// What is wrong with it, seen from those before it.
    pub(crate) fn add(&mut self, offset: u32, entry: Entry) -> Result<(), &'static str> {
        match entry {
            Entry::Event { id, slice, sequence, ordinal } => {
                let lane = self.slices.entry(slice).or_default();
                if ordinal.get() <= lane.last {
                    return Err("its ordinal does not rise");
                }
                if sequence.get() == 1 {
                    self.unsorted.push(id.clone());
                }
                let run = self.ids.entry(id).or_default();
                if run.first == 0 {
                    run.first = sequence.get();
                } else if sequence.get() != run.first + run.offsets.len() as u64 {
                    return Err("its sequence does not follow the one before");
                }
                run.offsets.push(offset);
                lane.last = ordinal.get();
                lane.events.push((ordinal.get(), offset));
            }
            Entry::Claim { slice, epoch, ordinal } => {
                let lane = self.slices.entry(slice).or_default();
                lane.epoch = lane.epoch.max(epoch.get());
                lane.last = lane.last.max(ordinal.get());
            }
            Entry::Deletion { id, to, highest } => {
                self.unsorted.push(id.clone());
                let run = self.ids.entry(id).or_default();
                if run.first == 0 {
                    run.first = highest.get() + 1;
                } else if run.highest() != highest.get() {
                    return Err("it deletes events of another history");
                }
                (run.floor, run.mark) = (run.floor.max(to.get()), offset);
            }
        }
        Ok(())
    }

    /// All named ids, in order.
    pub(crate) fn all_named(&self) -> Vec<&PersistenceId> {
        let mut all: Vec<_> = self.named.iter().chain(&self.unsorted).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Some of the named ids.
    pub(crate) fn named(&mut self, query: &IdQuery) -> Vec<PersistenceId> {
        self.named.extend(self.unsorted.drain(..));
        let from = match (&query.after, PersistenceId::new(&query.prefix)) {
            (Some(after), Ok(prefix)) => Some(prefix.max(after.clone())),
            (Some(after), Err(_)) => Some(after.clone()),
            (None, prefix) => prefix.ok(),
        };
        match &from {
            Some(from) => page(self.named.range(from..), query),
            None => page(self.named.iter(), query),
        }
    }

    /// The same, when nothing can be changed: it sorts each time.
    pub(crate) fn named_again(&self, query: &IdQuery) -> Vec<PersistenceId> {
        page(self.all_named().into_iter().filter(|id| id.as_str() >= query.prefix.as_str()), query)
    }
}

/// Those of `ids`, which rise and begin where the prefix does, that are asked for.
fn page<'a>(ids: impl Iterator<Item = &'a PersistenceId>, query: &IdQuery) -> Vec<PersistenceId> {
    let behind = |id: &&PersistenceId| query.after.as_ref().is_none_or(|after| *id > after);
    let wanted = ids.filter(behind).take_while(|id| id.as_str().starts_with(&query.prefix));
    wanted.take(query.limit).cloned().collect()
}

impl From<&Record> for Entry {
    fn from(record: &Record) -> Self {
        match record {
            Record::Event { recorded, .. } => Self::Event {
                id: recorded.id.clone(),
                slice: recorded.slice,
                sequence: recorded.sequence,
                ordinal: recorded.ordinal,
            },
            Record::Claim { slice, epoch, ordinal } => {
                Self::Claim { slice: *slice, epoch: *epoch, ordinal: *ordinal }
            }
            Record::Deletion { id, to, highest, .. } => {
                Self::Deletion { id: id.clone(), to: *to, highest: *highest }
            }
        }
    }
}

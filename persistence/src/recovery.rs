//! How does a state come back: what comes next, and what must not be overlooked?
//!
//! A machine without any waiting: [`Recovery::next`] says what to do, and is told what came of it. First a permit, then the epoch of the
//! slice: from then on nobody else can append, so the end of the history stands still. Then the newest snapshot that can be read,
//! and the events behind it, one after the other.
//!
//! # Invariants
//!
//! * It is done only when the state holds every event up to the end of the history, each once, in order.
//! * What cannot be is an error that names the id and the sequence, and says what to do.

use crate::backend::ReadError;
use crate::event::DecodeError;
use crate::id::{Epoch, PersistenceId, Sequence};

/// Why the state of an id cannot be recovered. Trying again gives the same, until somebody does what it says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// There is no journal.
    #[error(
        "`{id}` has no journal: start the system with `ActorSystem::builder(..).journal(..)`, or give the actor one with \
         `Persistent::journal`"
    )]
    NoJournal {
        /// Whose state it is.
        id: String,
    },
    /// The name of the actor cannot be an id.
    #[error(
        "`{text}` cannot be an id of persistence: name the actor otherwise, or choose one with `Persistent::id`"
    )]
    IllegalId {
        /// The text.
        text: String,
        /// What is wrong with it.
        #[source]
        reason: crate::id::InvalidId,
    },
    /// An event in the journal is not one that this program knows.
    #[error("`{id}` cannot be recovered: its event {sequence} cannot be read")]
    Undecodable {
        /// Whose state it is.
        id: PersistenceId,
        /// Which event.
        sequence: Sequence,
        /// The type, both sides, and what to do.
        #[source]
        reason: DecodeError,
    },
    /// Events are missing.
    #[error(
        "`{id}` cannot be recovered: its events {from} to {to} are missing and no snapshot holds them: restore the journal \
         from a copy"
    )]
    Gap {
        /// Whose state it is.
        id: PersistenceId,
        /// The first that is missing.
        from: Sequence,
        /// The last that is missing.
        to: Sequence,
    },
    /// Events are missing because a snapshot holds them which cannot be read.
    #[error(
        "`{id}` cannot be recovered: its events {from} to {to} were deleted behind its snapshot of event {snapshot}, which this program cannot \
         read: {reason}. Keep the old type of the state, and convert it with `#[event(from = …)]`"
    )]
    SnapshotUnreadable {
        /// Whose state it is.
        id: PersistenceId,
        /// The first that is missing.
        from: Sequence,
        /// The last that is missing.
        to: Sequence,
        /// The last event in the snapshot.
        snapshot: Sequence,
        /// Why it cannot be read.
        reason: String,
    },
    /// The journal lost its end, or the snapshots are those of another one.
    #[error(
        "`{id}` has a snapshot of event {snapshot}, but its journal ends at {end}: restore the journal from a newer copy, or \
         delete the snapshots of this id if what is missing may be lost"
    )]
    SnapshotAhead {
        /// Whose state it is.
        id: PersistenceId,
        /// The last event in the snapshot.
        snapshot: Sequence,
        /// The last event in the journal.
        end: Sequence,
    },
    /// `apply` panicked over an event of the journal.
    #[error(
        "`{id}` cannot be recovered: `apply` panicked over its event {sequence}, `{event}` version {version}: {panic}. An event \
         that was stored once has to be applied always: correct `apply`"
    )]
    ApplyPanicked {
        /// Whose state it is.
        id: PersistenceId,
        /// Which event.
        sequence: Sequence,
        /// The name of its type.
        event: String,
        /// The version of its type.
        version: u32,
        /// What the panic said.
        panic: String,
    },
    /// The journal is damaged there.
    #[error("`{id}` cannot be recovered: its events behind {after} cannot be read")]
    Damaged {
        /// Whose state it is.
        id: PersistenceId,
        /// The last event that was read.
        after: Sequence,
        /// What is wrong, and where.
        #[source]
        reason: ReadError,
    },
    /// Another process took the slice over.
    #[error(
        "`{id}` is not written here any more: another owner took over its slice. Stop this system, or that one"
    )]
    Fenced {
        /// Whose state it is.
        id: PersistenceId,
    },
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Wait until it is one's turn to read the journal.
    TakePermit,
    /// Get the epoch of the slice.
    Claim,
    /// Find the last sequence of the id.
    FindEnd,
    /// Load the newest snapshot up to this sequence.
    LoadSnapshot { to: Sequence },
    /// Read and apply these events, both included.
    Read { from: Sequence, to: Sequence },
    /// It is done.
    Finish,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fact {
    Permitted,
    Claimed(Epoch),
    End(Sequence),
    /// The newest snapshot, if there is one.
    Snapshot(Option<Sequence>),
    /// The snapshot cannot be used: not decoded, or of another type.
    SnapshotUnusable(Sequence),
    /// All events were read that there are.
    ReadAll,
}

/// The recovery of one id.
#[derive(Debug)]
pub(crate) struct Recovery {
    id: PersistenceId,
    /// Only the last event counts: each holds the whole state.
    last_only: bool,
    order: Order,
    epoch: Epoch,
    end: Sequence,
    /// The last event that the state holds.
    at: Sequence,
    snapshot: Option<Sequence>,
}

impl Recovery {
    pub(crate) fn new(id: PersistenceId, last_only: bool) -> Self {
        let order = Order::TakePermit;
        Self {
            id,
            last_only,
            order,
            epoch: Epoch::ZERO,
            end: Sequence::ZERO,
            at: Sequence::ZERO,
            snapshot: None,
        }
    }

    /// What is to be done next.
    pub(crate) fn next(&self) -> Order {
        self.order
    }

    /// The last event that the state holds.
    pub(crate) fn at(&self) -> Sequence {
        self.at
    }

    /// The last event there is.
    pub(crate) fn end(&self) -> Sequence {
        self.end
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The snapshot that the state began with.
    pub(crate) fn snapshot(&self) -> Option<Sequence> {
        self.snapshot
    }

    /// What came of the last order.
    pub(crate) fn learn(&mut self, fact: Fact) -> Result<(), RecoveryError> {
        self.order = match (self.order, fact) {
            (Order::TakePermit, Fact::Permitted) => Order::Claim,
            (Order::Claim, Fact::Claimed(epoch)) => {
                self.epoch = epoch;
                Order::FindEnd
            }
            (Order::FindEnd, Fact::End(end)) => {
                self.end = end;
                // Also those behind the end: one that lies there says that the journal lost something.
                if self.last_only { self.read_last() } else { Order::LoadSnapshot { to: Sequence::MAX } }
            }
            (Order::LoadSnapshot { .. }, Fact::Snapshot(Some(snapshot))) if snapshot > self.end => {
                let (id, end) = (self.id.clone(), self.end);
                return Err(RecoveryError::SnapshotAhead { id, snapshot, end });
            }
            (Order::LoadSnapshot { .. }, Fact::Snapshot(snapshot)) => {
                self.snapshot = snapshot;
                self.at = snapshot.unwrap_or_default();
                self.read_on()
            }
            (Order::LoadSnapshot { .. }, Fact::SnapshotUnusable(snapshot)) => {
                match snapshot.get().checked_sub(1) {
                    Some(to) => Order::LoadSnapshot { to: Sequence::new(to) },
                    None => self.read_on(),
                }
            }
            (Order::Read { .. }, Fact::ReadAll) if self.at == self.end => Order::Finish,
            (Order::Read { .. }, Fact::ReadAll) => return Err(self.gap(self.end)),
            (order, fact) => unreachable!("a recovery that was told to {order:?} learned {fact:?}"),
        };
        Ok(())
    }

    /// An event was read, and is to be applied.
    pub(crate) fn read(&mut self, sequence: Sequence) -> Result<(), RecoveryError> {
        if sequence != self.at.plus(1) {
            return Err(self.gap(Sequence::new(sequence.get().saturating_sub(1))));
        }
        self.at = sequence;
        Ok(())
    }

    /// The mark was read behind which there is a new history: whatever lies before it does not count, be it there or not.
    pub(crate) fn forgotten(&mut self, sequence: Sequence) {
        self.at = sequence;
    }

    fn gap(&self, to: Sequence) -> RecoveryError {
        RecoveryError::Gap { id: self.id.clone(), from: self.at.plus(1), to }
    }

    fn read_last(&mut self) -> Order {
        self.at = Sequence::new(self.end.get().saturating_sub(1));
        self.read_on()
    }

    fn read_on(&self) -> Order {
        if self.at == self.end { Order::Finish } else { Order::Read { from: self.at.plus(1), to: self.end } }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(sequence: u64) -> Sequence {
        Sequence::new(sequence)
    }

    fn begun(end: u64) -> Recovery {
        let mut recovery = Recovery::new(PersistenceId::new("a").unwrap(), false);
        for fact in [Fact::Permitted, Fact::Claimed(Epoch::new(7)), Fact::End(at(end))] {
            recovery.learn(fact).unwrap();
        }
        recovery
    }

    #[test]
    fn the_epoch_is_claimed_before_the_end_is_looked_for() {
        let mut recovery = Recovery::new(PersistenceId::new("a").unwrap(), false);
        assert_eq!(recovery.next(), Order::TakePermit);
        recovery.learn(Fact::Permitted).unwrap();
        assert_eq!(recovery.next(), Order::Claim);
        recovery.learn(Fact::Claimed(Epoch::new(7))).unwrap();
        assert_eq!(recovery.next(), Order::FindEnd);
        assert_eq!(recovery.epoch(), Epoch::new(7));
    }

    #[test]
    fn an_empty_history_is_recovered_without_reading() {
        let mut recovery = begun(0);
        recovery.learn(Fact::Snapshot(None)).unwrap();
        assert_eq!(recovery.next(), Order::Finish);
    }

    #[test]
    fn a_snapshot_that_cannot_be_used_gives_way_to_an_older_one_and_then_to_the_events() {
        let mut recovery = begun(9);
        recovery.learn(Fact::SnapshotUnusable(at(8))).unwrap();
        assert_eq!(recovery.next(), Order::LoadSnapshot { to: at(7) });
        recovery.learn(Fact::SnapshotUnusable(at(5))).unwrap();
        recovery.learn(Fact::Snapshot(None)).unwrap();
        assert_eq!(recovery.next(), Order::Read { from: at(1), to: at(9) });
    }

    #[test]
    fn a_snapshot_newer_than_the_journal_is_an_error_that_names_both_ends() {
        let error = begun(9).learn(Fact::Snapshot(Some(at(10)))).unwrap_err().to_string();
        assert!(error.contains("`a` has a snapshot of event 10, but its journal ends at 9"), "{error}");
    }

    #[test]
    fn where_each_event_is_the_whole_state_only_the_last_is_read() {
        let mut recovery = Recovery::new(PersistenceId::new("a").unwrap(), true);
        for fact in [Fact::Permitted, Fact::Claimed(Epoch::new(1)), Fact::End(at(5))] {
            recovery.learn(fact).unwrap();
        }
        assert_eq!(recovery.next(), Order::Read { from: at(5), to: at(5) });
        recovery.read(at(5)).unwrap();
        recovery.learn(Fact::ReadAll).unwrap();
        assert_eq!(recovery.next(), Order::Finish);
    }

    proptest! {
        #[test]
        fn it_finishes_only_with_every_event_behind_the_snapshot_and_else_names_the_first_that_is_missing(
            end in 1_u64..20,
            snapshot in prop::option::of(1_u64..20),
            missing in prop::collection::btree_set(1_u64..20, 0..3),
        ) {
            let snapshot = snapshot.filter(|snapshot| *snapshot <= end);
            let mut recovery = begun(end);
            recovery.learn(Fact::Snapshot(snapshot.map(at))).unwrap();
            let from = snapshot.unwrap_or(0) + 1;
            let first_missing = missing.iter().copied().find(|missing| (from..=end).contains(missing));
            let mut result = Ok(());
            if let Order::Read { from: ordered, to } = recovery.next() {
                prop_assert_eq!((ordered, to), (at(from), at(end)));
                for sequence in (from..=end).filter(|sequence| !missing.contains(sequence)) {
                    result = result.and_then(|()| recovery.read(at(sequence)));
                }
                result = result.and_then(|()| recovery.learn(Fact::ReadAll));
            }
            match (result, first_missing) {
                (Ok(()), None) => {
                    prop_assert_eq!(recovery.next(), Order::Finish);
                    prop_assert_eq!(recovery.at(), at(end));
                }
                (Err(RecoveryError::Gap { from, .. }), Some(missing)) => prop_assert_eq!(from, at(missing)),
                (result, missing) => prop_assert!(false, "{result:?}, but missing: {missing:?}"),
            }
        }
    }
}

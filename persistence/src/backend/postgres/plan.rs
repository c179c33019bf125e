//! Which of the appends that wait go into one statement, with which positions, and what is answered?
//!
//! First [`needs`] says what has to be asked before. Then [`plan`] gives each append its positions or the reason why it is refused.
//! When the statement is done, [`Plan::settle`] turns what the server held against into answers, and remembers the rest.
//!
//! # Invariants
//!
//! * What is refused takes nothing of its batch along but what builds on it.
//! * Nothing is remembered before the server has said that it is durable.
//! * Ordinals of a slice and sequences of an id follow each other in the order of submission.

use std::collections::{BTreeMap, BTreeSet};

use super::memory::{Lane, Memory};
use crate::backend::{Append, Appended, Fault, WriteError};
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice};

/// What is to be asked before a batch can be planned.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Needs {
    /// Slices to be held, and for which epoch.
    pub(crate) lanes: BTreeMap<u32, u64>,
}

/// The lanes that these appends need and that are not held.
pub(crate) fn needs<'a>(appends: impl Iterator<Item = &'a Append>, memory: &Memory) -> Needs {
    let mut needs = Needs::default();
    for append in appends {
        let (slice, epoch) = (append.slice.get(), append.epoch.get());
        // One that is lower than the epoch which is held is stale, whatever the server says.
        if memory.lane(slice).is_none_or(|lane| lane.epoch < epoch) {
            let wanted = needs.lanes.entry(slice).or_default();
            *wanted = epoch.max(*wanted);
        }
    }
    needs
}

/// The ids whose last sequence nobody remembers.
pub(crate) fn strangers<'a>(
    appends: impl Iterator<Item = &'a Append>,
    memory: &Memory,
) -> BTreeMap<PersistenceId, u32> {
    let stranger = |append: &&Append| {
        let lane = memory.lane(append.slice.get());
        lane.is_some_and(|lane| lane.epoch == append.epoch.get() && memory.last(&append.id, lane).is_none())
    };
    appends.filter(stranger).map(|append| (append.id.clone(), append.slice.get())).collect()
}

/// What becomes of one append.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Its events come behind this sequence and this ordinal.
    Stored {
        sequence: u64,
        ordinal: u64,
    },
    Refused(WriteError),
}

/// Behind what an append was stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Before {
    sequence: u64,
    ordinal: u64,
}

impl Before {
    /// Where it ends, if it has so many events.
    pub(crate) fn behind(self, events: u64) -> Appended {
        Appended {
            sequence: Sequence::new(self.sequence + events),
            ordinal: Ordinal::new(self.ordinal + events),
        }
    }
}

/// What becomes of a batch.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order of the appends.
    pub(crate) verdicts: Vec<Verdict>,
    /// The lanes that have to stand, with the ordinals as they will be.
    pub(crate) lanes: BTreeMap<u32, Lane>,
    /// The last sequences as they will be.
    lasts: BTreeMap<PersistenceId, (u32, u64)>,
    /// The slices of the appends, in their order.
    slices: Vec<u32>,
    /// Ids that get their first event.
    pub(crate) new: Vec<(PersistenceId, u32)>,
}

/// Gives the appends their positions. `fences` are the epochs of the slices whose lanes could not be had.
pub(crate) fn plan<'a>(
    appends: impl Iterator<Item = &'a Append>,
    memory: &Memory,
    fences: &BTreeMap<u32, u64>,
) -> Plan {
    let mut plan = Plan::default();
    for append in appends {
        let verdict = plan.verdict(append, memory, fences);
        plan.verdicts.push(verdict);
        plan.slices.push(append.slice.get());
    }
    plan
}

impl Plan {
    fn verdict(&mut self, append: &Append, memory: &Memory, fences: &BTreeMap<u32, u64>) -> Verdict {
        let Append { slice, epoch, id, expected, events } = append;
        let held = memory.lane(slice.get()).filter(|lane| lane.epoch == epoch.get());
        let Some(held) = held else {
            let lane = memory.lane(slice.get()).map_or(0, |lane| lane.epoch);
            let fence = fences.get(&slice.get()).copied().unwrap_or_default();
            let current = Epoch::new(lane.max(fence));
            return Verdict::Refused(WriteError::StaleEpoch { slice: *slice, given: *epoch, current });
        };
        // Also of one that is refused: what it is compared with counts only if nobody else writes.
        let lane = self.lanes.entry(slice.get()).or_insert(held);
        let before = self.lasts.get(id).map(|&(_, last)| last);
        let last = before.or_else(|| memory.last(id, held)).unwrap_or_default();
        if last != expected.get() {
            let (id, actual) = (id.clone(), Sequence::new(last));
            return Verdict::Refused(WriteError::UnexpectedSequence { id, expected: *expected, actual });
        }
        let stored = Verdict::Stored { sequence: last, ordinal: lane.ordinal };
        if !events.is_empty() {
            let count = events.len() as u64;
            lane.ordinal += count;
            if last == 0 {
                self.new.push((id.clone(), slice.get()));
            }
            self.lasts.insert(id.clone(), (slice.get(), last + count));
        }
        stored
    }

    /// Whether there is anything to ask the server.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Turns the verdicts into answers, now that the statement is done and the server found the lanes of `held` standing. `fences` are the
    /// epochs of the others.
    pub(crate) fn settle<'a>(
        self,
        appends: impl Iterator<Item = &'a Append>,
        held: &BTreeSet<u32>,
        fences: &BTreeMap<u32, u64>,
        memory: &mut Memory,
        place: &str,
    ) -> Vec<Result<Appended, WriteError>> {
        for (&slice, &lane) in &self.lanes {
            if held.contains(&slice) {
                memory.advance(slice, lane.ordinal);
            } else {
                memory.lose(slice);
            }
        }
        for (id, (slice, last)) in self.lasts {
            if let Some(lane) = self.lanes.get(&slice).filter(|_| held.contains(&slice)) {
                memory.learn(id, *lane, last);
            }
        }
        let answer = |(append, verdict): (&Append, Verdict)| match verdict {
            Verdict::Refused(WriteError::UnexpectedSequence { .. })
                if !held.contains(&append.slice.get()) =>
            {
                Err(lost(append, fences, place))
            }
            Verdict::Refused(error) => Err(error),
            Verdict::Stored { sequence, ordinal } if held.contains(&append.slice.get()) => {
                Ok(Before { sequence, ordinal }.behind(append.events.len() as u64))
            }
            Verdict::Stored { .. } => Err(lost(append, fences, place)),
        };
        appends.zip(self.verdicts).map(answer).collect()
    }

    /// Which of the appends were sent.
    pub(crate) fn sent(&self) -> impl Iterator<Item = bool> + '_ {
        self.verdicts.iter().map(|verdict| matches!(verdict, Verdict::Stored { .. }))
    }

    /// What became of the appends of a batch whose answer was lost, now that a new connection has taken its lanes and `memory` says how far they go. `None`: nothing
    /// of it is there, so it is to be sent again. The lane of a slice that belongs to somebody else could not be taken, and nobody knows.
    pub(crate) fn reveal<'a>(
        &'a self,
        memory: &'a Memory,
        fault: &'a Fault,
    ) -> impl Iterator<Item = Option<Result<Before, WriteError>>> + 'a {
        self.slices.iter().zip(&self.verdicts).map(move |(slice, verdict)| {
            let Some(sent) = self.lanes.get(slice) else {
                // Nothing of this slice was sent, so it was refused for what the memory knew.
                return match verdict {
                    Verdict::Refused(error) => Some(Err(error.clone())),
                    Verdict::Stored { .. } => None,
                };
            };
            let held = memory.lane(*slice).filter(|held| held.epoch == sent.epoch);
            match (held, verdict) {
                (Some(held), _) if held.ordinal < sent.ordinal => None,
                (_, Verdict::Refused(error)) if held.is_some() => Some(Err(error.clone())),
                (_, Verdict::Refused(_)) => Some(Err(WriteError::Unavailable(fault.clone()))),
                (Some(_), &Verdict::Stored { sequence, ordinal }) => Some(Ok(Before { sequence, ordinal })),
                (None, Verdict::Stored { .. }) => Some(Err(WriteError::Unknown(fault.clone()))),
            }
        })
    }
}

/// The fence did not let it pass.
fn lost(append: &Append, fences: &BTreeMap<u32, u64>, place: &str) -> WriteError {
    let (slice, given) = (append.slice, append.epoch);
    match fences.get(&slice.get()) {
        Some(&current) if current != given.get() => {
            WriteError::StaleEpoch { slice, given, current: Epoch::new(current) }
        }
        _ => elsewhere(slice, place),
    }
}

/// The epoch is right, and another connection has taken its lane.
pub(crate) fn elsewhere(slice: Slice, place: &str) -> WriteError {
    WriteError::Unavailable(Fault::new(
        format!("another connection writes to {slice} for the same owner"),
        place,
        "Let one process own a slice: claim it anew",
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recorded::NewEvent;

    fn append(slice: u32, epoch: u64, id: &str, expected: u64, events: usize) -> Append {
        let id = PersistenceId::new(id).unwrap();
        let events = vec![NewEvent::new("e", ""); events];
        let (slice, epoch, expected) = (Slice::new(slice), Epoch::new(epoch), Sequence::new(expected));
        Append { slice, epoch, id, expected, events }
    }

    fn memory(lanes: &[(u32, u64, u64)]) -> Memory {
        let mut memory = Memory::new(100);
        for &(slice, epoch, ordinal) in lanes {
            memory.hold(slice, epoch, ordinal);
        }
        memory
    }

    #[test]
    fn lanes_are_asked_for_once_for_the_highest_epoch_and_never_for_a_lower_one() {
        let memory = memory(&[(1, 5, 0), (2, 5, 0)]);
        let appends = [(0, 1), (0, 3), (0, 2), (1, 5), (1, 4), (2, 6)];
        let appends = appends.map(|(slice, epoch)| append(slice, epoch, "a", 0, 1));
        assert_eq!(needs(appends.iter(), &memory).lanes, [(0, 3), (2, 6)].into());
    }

    #[test]
    fn one_that_is_refused_takes_those_with_it_that_build_on_it_and_no_others() {
        let mut memory = memory(&[(0, 1, 10)]);
        let appends = [("a", 0, 2), ("a", 5, 1), ("b", 0, 1), ("a", 6, 1), ("a", 2, 1), ("b", 1, 0)];
        let appends = appends.map(|(id, expected, events)| append(0, 1, id, expected, events));
        let plan = plan(appends.iter(), &memory, &BTreeMap::new());
        assert_eq!(plan.new.len(), 2);
        let answers = plan.settle(appends.iter(), &[0].into(), &BTreeMap::new(), &mut memory, "here");
        let positions: Vec<_> = answers
            .iter()
            .map(|answer| answer.as_ref().map(|it| (it.sequence.get(), it.ordinal.get())).ok())
            .collect();
        let expected = [Some((2, 12)), None, Some((1, 13)), None, Some((3, 14)), Some((1, 14))];
        assert_eq!(positions, expected);
        assert_eq!(memory.lane(0).unwrap().ordinal, 14);
        assert_eq!(memory.last(&PersistenceId::new("a").unwrap(), memory.lane(0).unwrap()), Some(3));
    }

    #[test]
    fn a_slice_that_was_taken_over_refuses_its_appends_and_is_forgotten_and_the_others_are_stored() {
        let mut memory = memory(&[(0, 1, 10), (1, 1, 20)]);
        let appends = [append(0, 1, "a", 0, 1), append(1, 1, "b", 0, 1), append(0, 1, "a", 7, 1)];
        let plan = plan(appends.iter(), &memory, &BTreeMap::new());
        let answers = plan.settle(appends.iter(), &[1].into(), &[(0, 2)].into(), &mut memory, "here");
        assert!(matches!(answers[0], Err(WriteError::StaleEpoch { current, .. }) if current.get() == 2));
        assert!(answers[1].is_ok());
        assert!(
            matches!(answers[2], Err(WriteError::StaleEpoch { .. })),
            "what it was compared with is not what is there"
        );
        assert_eq!((memory.lane(0), memory.lane(1).unwrap().ordinal), (None, 21));
    }

    #[test]
    fn what_holds_the_same_epoch_elsewhere_is_no_stale_epoch() {
        let mut memory = memory(&[(0, 1, 10)]);
        let appends = [append(0, 1, "a", 0, 1)];
        let plan = plan(appends.iter(), &memory, &BTreeMap::new());
        let answers = plan.settle(appends.iter(), &BTreeSet::new(), &[(0, 1)].into(), &mut memory, "here");
        assert!(matches!(answers[0], Err(WriteError::Unavailable(_))));
    }

    #[test]
    fn nothing_is_remembered_of_a_batch_that_was_not_settled() {
        let memory = memory(&[(0, 1, 10)]);
        let appends = [append(0, 1, "a", 0, 3)];
        drop(plan(appends.iter(), &memory, &BTreeMap::new()));
        assert_eq!(memory.lane(0).unwrap().ordinal, 10);
        assert_eq!(strangers(appends.iter(), &memory).len(), 1);
    }

    #[test]
    fn of_a_batch_whose_answer_was_lost_each_slice_tells_by_its_end_what_became_of_it() {
        let before = memory(&[(0, 1, 10), (1, 1, 20), (2, 1, 30)]);
        let appends = [
            (0, "a", 0, 2),
            (1, "b", 0, 1),
            (2, "c", 0, 1),
            (0, "a", 7, 1),
            (1, "b", 7, 1),
            (2, "c", 7, 1),
            (0, "a", 2, 0),
        ];
        let appends = appends.map(|(slice, id, expected, events)| append(slice, 1, id, expected, events));
        let plan = plan(appends.iter(), &before, &BTreeMap::new());
        // Stored, not stored, taken over by somebody else.
        let after = memory(&[(0, 1, 12), (1, 1, 20), (2, 2, 31)]);
        let fault = Fault::new("what", "where", "do");
        let found: Vec<_> = plan.reveal(&after, &fault).collect();
        assert!(
            matches!(&found[0], Some(Ok(it)) if it.behind(2).ordinal.get() == 12 && it.behind(2).sequence.get() == 2)
        );
        assert!(found[1].is_none());
        assert!(matches!(found[2], Some(Err(WriteError::Unknown(_)))));
        assert!(matches!(found[3], Some(Err(WriteError::UnexpectedSequence { .. }))));
        assert!(found[4].is_none(), "it was refused in view of what is not there");
        assert!(matches!(found[5], Some(Err(WriteError::Unavailable(_)))));
        assert!(matches!(&found[6], Some(Ok(it)) if it.behind(0).ordinal.get() == 12));
        assert_eq!(plan.sent().collect::<Vec<_>>(), [true, true, true, false, false, false, true]);
    }

    proptest! {
        /// Whatever is submitted, in whatever batches: the answers are those of a journal that does one after the other.
        #[test]
        fn batches_answer_as_one_after_the_other(
            appends in prop::collection::vec((0_u32..3, 0_u64..3, 0_u8..4, 0_u64..6, 0_usize..3), 1..60),
            cuts in prop::collection::vec(1_usize..8, 1..60),
        ) {
            let mut memory = memory(&[(0, 1, 0), (1, 2, 0), (2, 1, 0)]);
            let fences = BTreeMap::new();
            let (mut lasts, mut ordinals) = (BTreeMap::<String, u64>::new(), [0_u64; 3]);
            let mut rest: Vec<Append> = appends
                .into_iter()
                .map(|(slice, epoch, id, expected, events)| append(slice, epoch, &format!("{slice}-{id}"), expected, events))
                .collect();
            let mut cuts = cuts.into_iter().cycle();
            while !rest.is_empty() {
                let batch: Vec<Append> = rest.drain(..cuts.next().unwrap().min(rest.len())).collect();
                let plan = plan(batch.iter(), &memory, &fences);
                let held = plan.lanes.keys().copied().collect();
                let answers = plan.settle(batch.iter(), &held, &fences, &mut memory, "here");
                for (append, answer) in batch.iter().zip(answers) {
                    let slice = append.slice.get() as usize;
                    let last = lasts.entry(append.id.to_string()).or_default();
                    let good = append.epoch.get() == [1, 2, 1][slice] && append.expected.get() == *last;
                    prop_assert_eq!(answer.is_ok(), good, "{:?}", append);
                    if let Ok(appended) = answer {
                        *last += append.events.len() as u64;
                        ordinals[slice] += append.events.len() as u64;
                        prop_assert_eq!((appended.sequence.get(), appended.ordinal.get()), (*last, ordinals[slice]));
                    }
                }
            }
        }
    }
}

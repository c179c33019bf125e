//! How do the journal and the newest events in memory become one sequence, without a gap and without a repeat?
//!
//! A reader follows the tail *first* and reads the journal *then*. So whatever is durable when the journal is opened is read there, and what becomes
//! durable later is in the tail; what is in both is dropped by its ordinal. One who loses the tail begins again from where he is.
//!
//! # Invariants
//!
//! * What is taken of a slice has rising ordinals, and where the journal has no gaps, each is one more than the one before.
//! * What is missing in the tail is looked for in the journal; what is missing there as well was deleted.

use crate::id::{Ordinal, Slice};
use crate::offset::Offset;

/// Where events come from just now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// The tail has to be followed anew and the journal opened.
    Behind,
    /// The journal is read.
    Reading,
    /// The journal was read to its end: the tail has what follows.
    Live,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Take,
    /// It was taken before, or is of a slice that is not read.
    Drop,
    /// Something before it is missing in the tail: read the journal.
    Missing,
    /// What stood behind `after` was deleted.
    Deleted {
        after: Ordinal,
    },
}

/// How far a reader is, and where he reads.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    phase: Phase,
    /// By the number of the slice; `None`: it is not read.
    at: Vec<Option<Ordinal>>,
    /// Whether the journal has no gaps but where something was deleted.
    gapless: bool,
    /// Whether what was deleted is passed over.
    lenient: bool,
}

impl Join {
    /// One who reads `slices` behind `from`.
    pub(crate) fn new(
        slices: impl IntoIterator<Item = Slice>,
        from: &Offset,
        gapless: bool,
        lenient: bool,
    ) -> Self {
        let mut at = Vec::new();
        for slice in slices {
            let number = slice.get() as usize;
            if at.len() <= number {
                at.resize(number + 1, None);
            }
            at[number] = Some(from.of(slice));
        }
        Self { phase: Phase::Behind, at, gapless, lenient }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// The tail is followed from here on, and the journal was opened after that.
    pub(crate) fn opened(&mut self) {
        self.phase = Phase::Reading;
    }

    /// The journal was read to its end. `ends` is where slices ended before it was opened; the answer is one whose last events are missing, and
    /// up to where it was read.
    pub(crate) fn read_all(
        &mut self,
        ends: impl IntoIterator<Item = (Slice, Ordinal)>,
    ) -> Option<(Slice, Ordinal)> {
        for (slice, end) in ends {
            let Some(Some(at)) = self.at.get_mut(slice.get() as usize) else { continue };
            if *at < end && self.gapless {
                if !self.lenient {
                    self.phase = Phase::Behind;
                    return Some((slice, *at));
                }
                *at = end;
            }
        }
        self.phase = Phase::Live;
        None
    }

    /// The tail is lost, or the journal could not be read on.
    pub(crate) fn lost(&mut self) {
        self.phase = Phase::Behind;
    }

    /// How far each slice was read.
    pub(crate) fn at(&self) -> impl Iterator<Item = (Slice, Ordinal)> + '_ {
        let slices = self.at.iter().zip(0..);
        slices.filter_map(|(at, number)| Some((Slice::new(number), (*at)?)))
    }

    /// An event comes. Behind anything but [`Verdict::Take`] the reader is where he was.
    pub(crate) fn offer(&mut self, slice: Slice, ordinal: Ordinal) -> Verdict {
        let Some(Some(at)) = self.at.get_mut(slice.get() as usize) else { return Verdict::Drop };
        if ordinal <= *at {
            return Verdict::Drop;
        }
        if self.gapless && ordinal > at.plus(1) {
            if self.phase == Phase::Live {
                self.phase = Phase::Behind;
                return Verdict::Missing;
            }
            if !self.lenient {
                return Verdict::Deleted { after: *at };
            }
        }
        *at = ordinal;
        Verdict::Take
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const SLICES: u32 = 3;
    /// What the tail of the model keeps.
    const KEPT: usize = 4;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// An event becomes durable in a slice.
        Append(u32),
        /// The tail is told of the oldest that it does not know.
        Tell,
        /// The reader goes on by one event, or by one change of phase.
        Read,
        /// He cannot read on.
        Fail,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..SLICES).prop_map(Step::Append),
            4 => Just(Step::Tell),
            8 => Just(Step::Read),
            1 => Just(Step::Fail),
        ];
        prop::collection::vec(step, 0..200)
    }

    /// A journal, its tail, and one who reads.
    struct Model {
        /// In the order in which they became durable.
        durable: Vec<(u32, u64)>,
        ends: [u64; SLICES as usize],
        /// How many of them the tail was told.
        told: usize,
        join: Join,
        /// Where he is in the tail, and what he still has of the journal as it was when he opened it.
        next: usize,
        stream: VecDeque<(u32, u64)>,
        taken: Vec<(u32, u64)>,
        step: u64,
    }

    impl Model {
        fn read(&mut self) {
            match self.join.phase() {
                Phase::Behind => {
                    self.next = self.told;
                    let after: Vec<_> = self.join.at().collect();
                    let behind = |(slice, ordinal): &(u32, u64)| {
                        after.iter().any(|(of, at)| of.get() == *slice && at.get() < *ordinal)
                    };
                    self.stream = self.durable.iter().copied().filter(behind).collect();
                    self.join.opened();
                }
                Phase::Reading => match self.stream.pop_front() {
                    None => assert_eq!(self.join.read_all([]), None),
                    Some(event) => self.offer(event),
                },
                Phase::Live if self.told - self.next > KEPT => self.join.lost(),
                Phase::Live if self.next == self.told => {}
                Phase::Live => {
                    let event = self.durable[self.next];
                    self.next += 1;
                    self.offer(event);
                }
            }
        }

        fn offer(&mut self, (slice, ordinal): (u32, u64)) {
            let verdict = self.join.offer(Slice::new(slice), Ordinal::new(ordinal));
            if verdict == Verdict::Take {
                self.taken.push((slice, ordinal));
            } else {
                assert_eq!(verdict, Verdict::Drop, "nothing was deleted");
            }
        }
    }

    proptest! {
        /// `step` is the distance between ordinals: 1 for a journal without gaps.
        #[test]
        fn every_event_is_taken_once_and_in_order(steps in steps(), step in 1_u64..3, skipped in 0..SLICES + 1) {
            let slices = (0..SLICES).filter(|slice| *slice != skipped).map(Slice::new);
            let mut model = Model {
                durable: Vec::new(),
                ends: [0; SLICES as usize],
                told: 0,
                join: Join::new(slices, &Offset::start(0), step == 1, false),
                next: 0,
                stream: VecDeque::new(),
                taken: Vec::new(),
                step,
            };
            for step in steps {
                match step {
                    Step::Append(slice) => {
                        let end = &mut model.ends[slice as usize];
                        *end += model.step;
                        model.durable.push((slice, *end));
                    }
                    Step::Tell => model.told = model.durable.len().min(model.told + 1),
                    Step::Read => model.read(),
                    Step::Fail => model.join.lost(),
                }
            }
            // Then everything comes to rest.
            model.told = model.durable.len();
            for _ in 0..2 * model.durable.len() + 4 {
                model.read();
            }
            for slice in 0..SLICES {
                let of = |events: &[(u32, u64)]| -> Vec<u64> {
                    events.iter().filter(|(of, _)| *of == slice).map(|(_, ordinal)| *ordinal).collect()
                };
                let expected = if slice == skipped { Vec::new() } else { of(&model.durable) };
                prop_assert_eq!(of(&model.taken), expected);
            }
        }
    }

    #[test]
    fn what_is_missing_in_the_tail_is_looked_for_in_the_journal_and_there_it_was_deleted() {
        let (slice, start) = (Slice::new(1), Offset::start(0));
        let mut join = Join::new([slice], &start, true, false);
        join.opened();
        assert_eq!(join.offer(slice, Ordinal::new(1)), Verdict::Take);
        assert_eq!(join.read_all([(slice, Ordinal::new(1))]), None);
        assert_eq!(join.offer(slice, Ordinal::new(3)), Verdict::Missing);
        assert_eq!(join.phase(), Phase::Behind);
        join.opened();
        assert_eq!(join.offer(slice, Ordinal::new(3)), Verdict::Deleted { after: Ordinal::new(1) });
        assert_eq!(join.at().collect::<Vec<_>>(), [(slice, Ordinal::new(1))]);

        let mut lenient = Join::new([slice], &start, true, true);
        lenient.opened();
        assert_eq!(lenient.offer(slice, Ordinal::new(3)), Verdict::Take);
    }

    #[test]
    fn events_that_were_deleted_at_the_end_of_a_slice_are_missed_too() {
        let (slice, start) = (Slice::new(0), Offset::start(0));
        let ends = [(slice, Ordinal::new(2)), (Slice::new(1), Ordinal::new(9))];
        let mut join = Join::new([slice], &start, true, false);
        join.opened();
        assert_eq!(join.offer(slice, Ordinal::new(1)), Verdict::Take);
        assert_eq!(join.read_all(ends), Some((slice, Ordinal::new(1))));
        assert_eq!(join.phase(), Phase::Behind);

        let mut lenient = Join::new([slice], &start, true, true);
        lenient.opened();
        assert_eq!(lenient.read_all(ends), None);
        assert_eq!(lenient.at().collect::<Vec<_>>(), [(slice, Ordinal::new(2))]);
    }
}

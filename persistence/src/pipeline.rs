//! Which replies may leave, and what becomes of those that may not?
//!
//! The state of an event-sourced actor runs ahead of the journal: the next command is handled while the events of the last
//! one are still on their way. What leaves the actor is *held* here until the position that the state had then is durable.
//! This file decides; [`flow`](crate::flow) waits for the journal and releases.
//!
//! # Invariants
//!
//! * What is held leaves in the order in which it came in, each with its verdict, once.
//! * A verdict is [`Durable`](Verdict::Durable) only if every append that was submitted before it was durable.
//! * After one append that failed no later verdict is `Durable`, until the pipeline is [started afresh](Pipeline::restart).
//! * While anything is on its way, held, or leaving, nothing overtakes it.

use std::collections::VecDeque;

/// What becomes of something that was held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// All that it depends on is durable.
    Durable,
    /// What it depends on is certainly not in the journal, and never will be.
    Refused,
    /// Nobody knows: it **may** be durable.
    Unknown,
}

/// How an append ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Durable,
    /// It certainly did not happen.
    Refused,
    Unknown,
}

/// What is on its way to the journal, and what waits for it. `H` is what is held.
#[derive(Debug)]
pub(crate) struct Pipeline<H> {
    limits: Limits,
    /// Bytes of the appends on their way, the oldest first.
    in_flight: VecDeque<usize>,
    bytes: usize,
    /// How many appends were submitted and how many have ended, since the beginning.
    submitted: u64,
    ended: u64,
    /// With the number of the append that each waits for.
    held: VecDeque<(u64, H)>,
    /// May leave, and has not been taken.
    leaving: VecDeque<(H, Verdict)>,
    /// Somebody releases: what comes now goes behind what he has in hand.
    releasing: bool,
    /// An append has failed.
    broken: bool,
}

/// How much a pipeline holds before commands have to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    pub(crate) held: usize,
    pub(crate) bytes: usize,
}

impl<H> Pipeline<H> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            in_flight: VecDeque::new(),
            bytes: 0,
            submitted: 0,
            ended: 0,
            held: VecDeque::new(),
            leaving: VecDeque::new(),
            releasing: false,
            broken: false,
        }
    }

    /// An append of so many bytes was submitted. What is held from now on waits for it.
    pub(crate) fn submit(&mut self, bytes: usize) {
        self.submitted += 1;
        self.bytes += bytes;
        self.in_flight.push_back(bytes);
        self.releasing = true;
    }

    /// Holds what may leave when all that was submitted so far is durable. It is given back with its verdict if it need not wait.
    pub(crate) fn hold(&mut self, what: H) -> Option<(H, Verdict)> {
        if !self.in_flight.is_empty() {
            self.held.push_back((self.submitted, what));
            return None;
        }
        // It did nothing itself, but what it saw may be lost.
        let verdict = if self.broken { Verdict::Unknown } else { Verdict::Durable };
        if self.releasing {
            self.leaving.push_back((what, verdict));
            return None;
        }
        Some((what, verdict))
    }

    /// The oldest append on its way has ended.
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        let Some(bytes) = self.in_flight.pop_front() else { return };
        self.bytes -= bytes;
        self.ended += 1;
        let verdict = match outcome {
            Outcome::Durable if self.broken => Verdict::Unknown,
            Outcome::Durable => Verdict::Durable,
            Outcome::Refused => Verdict::Refused,
            Outcome::Unknown => Verdict::Unknown,
        };
        self.broken |= outcome != Outcome::Durable;
        while self.held.front().is_some_and(|(waits_for, _)| *waits_for <= self.ended) {
            if let Some((_, what)) = self.held.pop_front() {
                self.leaving.push_back((what, verdict));
            }
        }
    }

    /// Puts what may leave now into `hands`, which are empty. Whoever takes it releases it, and asks again.
    pub(crate) fn take(&mut self, hands: &mut VecDeque<(H, Verdict)>) {
        std::mem::swap(hands, &mut self.leaving);
    }

    /// Whoever releases has nothing in hand. Says whether he is done: nothing is on its way, nothing may leave.
    pub(crate) fn rest(&mut self) -> bool {
        let done = self.is_settled() && self.leaving.is_empty();
        self.releasing &= !done;
        done
    }

    /// Whether commands have to wait.
    pub(crate) fn is_full(&self) -> bool {
        let held = self.held.len() + self.leaving.len();
        held.max(self.in_flight.len()) >= self.limits.held || self.bytes >= self.limits.bytes
    }

    /// Whether an append has failed: the state is not what the journal holds.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether every append has ended.
    pub(crate) fn is_settled(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether every append has ended, and everything has left.
    pub(crate) fn is_idle(&self) -> bool {
        !self.releasing
    }

    /// The state was recovered: what comes now has nothing to do with what failed.
    pub(crate) fn restart(&mut self) {
        assert!(self.is_settled(), "a state is recovered when every append in flight has ended");
        self.broken = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDE: Limits = Limits { held: 1_000, bytes: 1_000_000 };

    fn taken(pipeline: &mut Pipeline<u32>) -> Vec<(u32, Verdict)> {
        let mut hands = VecDeque::new();
        pipeline.take(&mut hands);
        hands.into()
    }

    #[test]
    fn what_nothing_waits_for_leaves_at_once() {
        let mut pipeline = Pipeline::new(WIDE);
        assert_eq!(pipeline.hold(1), Some((1, Verdict::Durable)));
        assert!(pipeline.is_idle());
    }

    #[test]
    fn a_reply_waits_for_all_that_was_submitted_before_it_and_for_nothing_after_it() {
        let mut pipeline = Pipeline::new(WIDE);
        pipeline.submit(1);
        assert_eq!(pipeline.hold(1), None);
        pipeline.submit(1);
        assert_eq!(pipeline.hold(2), None);
        assert_eq!(taken(&mut pipeline), []);
        pipeline.settle(Outcome::Durable);
        assert_eq!(taken(&mut pipeline), [(1, Verdict::Durable)]);
        pipeline.settle(Outcome::Durable);
        assert_eq!(taken(&mut pipeline), [(2, Verdict::Durable)]);
    }

    #[test]
    fn nothing_overtakes_what_is_just_leaving() {
        let mut pipeline = Pipeline::new(WIDE);
        pipeline.submit(1);
        assert_eq!(pipeline.hold(1), None);
        pipeline.settle(Outcome::Durable);
        let in_hand = taken(&mut pipeline);
        assert_eq!(pipeline.hold(2), None, "the first one has not left yet");
        assert_eq!(in_hand, [(1, Verdict::Durable)]);
        assert!(!pipeline.rest());
        assert_eq!(taken(&mut pipeline), [(2, Verdict::Durable)]);
        assert!(pipeline.rest());
        assert_eq!(pipeline.hold(3), Some((3, Verdict::Durable)));
    }

    #[test]
    fn after_one_failure_nothing_is_durable_until_the_state_is_recovered() {
        let mut pipeline = Pipeline::new(WIDE);
        for number in 1..=3 {
            pipeline.submit(1);
            assert_eq!(pipeline.hold(number), None);
        }
        for outcome in [Outcome::Unknown, Outcome::Durable, Outcome::Refused] {
            pipeline.settle(outcome);
        }
        let verdicts = [(1, Verdict::Unknown), (2, Verdict::Unknown), (3, Verdict::Refused)];
        assert_eq!(taken(&mut pipeline), verdicts);
        assert!(pipeline.rest() && pipeline.is_broken());
        assert_eq!(pipeline.hold(4), Some((4, Verdict::Unknown)));
        pipeline.restart();
        assert_eq!(pipeline.hold(5), Some((5, Verdict::Durable)));
    }

    #[test]
    fn it_is_full_at_its_limit_of_replies_or_bytes_and_not_before() {
        let mut pipeline = Pipeline::new(Limits { held: 2, bytes: 10 });
        pipeline.submit(9);
        pipeline.hold(1);
        assert!(!pipeline.is_full());
        pipeline.hold(2);
        assert!(pipeline.is_full());
        pipeline.settle(Outcome::Durable);
        assert!(pipeline.is_full(), "what may leave has not left");
        taken(&mut pipeline);
        assert!(!pipeline.is_full());
        pipeline.submit(10);
        assert!(pipeline.is_full());
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A command: whether it persists, and whether it replies.
        Command(bool, bool),
        Settle(Outcome),
        Take,
        Rest,
        Restart,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let outcome = prop_oneof![
            6 => Just(Outcome::Durable),
            1 => Just(Outcome::Refused),
            1 => Just(Outcome::Unknown)
        ];
        let step = prop_oneof![
            4 => (any::<bool>(), any::<bool>()).prop_map(|(persists, replies)| Step::Command(persists, replies)),
            3 => outcome.prop_map(Step::Settle),
            2 => Just(Step::Take),
            1 => Just(Step::Rest),
            1 => Just(Step::Restart),
        ];
        prop::collection::vec(step, 0..80)
    }

    proptest! {
        /// The model is a plain list: every append ever submitted with its outcome, and every reply with how many there were.
        #[test]
        fn replies_leave_in_order_once_and_none_before_what_it_saw_is_durable(steps in steps()) {
            let mut pipeline = Pipeline::new(WIDE);
            let mut outcomes: Vec<Option<Outcome>> = Vec::new();
            let mut fresh_since = 0;
            let mut asked: Vec<(usize, usize)> = Vec::new();
            let mut left: Vec<(u32, Verdict)> = Vec::new();
            for step in steps {
                match step {
                    Step::Command(persists, replies) => {
                        if persists {
                            pipeline.submit(1);
                            outcomes.push(None);
                        }
                        if replies {
                            let number = u32::try_from(asked.len()).unwrap();
                            asked.push((fresh_since, outcomes.len()));
                            left.extend(pipeline.hold(number));
                        }
                    }
                    Step::Settle(outcome) => {
                        if let Some(oldest) = outcomes.iter_mut().find(|outcome| outcome.is_none()) {
                            *oldest = Some(outcome);
                            pipeline.settle(outcome);
                        }
                    }
                    Step::Take => left.extend(taken(&mut pipeline)),
                    Step::Rest => drop(pipeline.rest()),
                    Step::Restart if pipeline.is_settled() => {
                        pipeline.restart();
                        fresh_since = outcomes.len();
                    }
                    Step::Restart => {}
                }
                let order: Vec<u32> = left.iter().map(|(number, _)| *number).collect();
                prop_assert!(order.iter().copied().eq(0..u32::try_from(order.len()).unwrap()), "{order:?}");
                for (number, verdict) in &left {
                    let (from, to) = asked[*number as usize];
                    let saw = outcomes.get(from..to).unwrap_or_default();
                    let durable = saw.iter().all(|outcome| *outcome == Some(Outcome::Durable));
                    prop_assert_eq!(*verdict == Verdict::Durable, durable, "{} of {:?}", number, outcomes);
                    if *verdict == Verdict::Refused {
                        prop_assert_eq!(saw.last(), Some(&Some(Outcome::Refused)));
                    }
                }
            }
        }
    }
}

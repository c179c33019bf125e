//! What is tried next with events that wait to be put into a read model?
//!
//! # Invariants
//!
//! * Events are done in order; none is left out but by [`Order::Skip`].
//! * A store that is not available never makes an event suspect: only a read model that refuses it, one that panics over it alone, or bytes that are no event do.

/// What becomes of an event that a read model cannot take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Poison {
    /// The projection halts in front of it, until somebody [retries](super::Projection) or skips it.
    #[default]
    Stop,
    /// It is tried again for ever, with a growing wait.
    Retry,
    /// It is recorded, and left out.
    Skip,
}

/// How putting events into the read model ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Done,
    /// It may work later.
    Unavailable,
    /// The read model refuses this one of them.
    Refused {
        at: usize,
    },
    /// It panicked, or said something that makes no sense, and nobody knows over which.
    Unclear,
}

/// What to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Put so many events into the read model.
    Commit(usize),
    /// Wait; so many attempts have failed in a row.
    Wait(u32),
    /// Record the next event, and leave it out.
    Skip,
    /// Somebody has to decide about the next event.
    Halt,
    /// All are done.
    Finished,
}

/// Events on their way into a read model.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(crate) struct Attempt {
    policy: Poison,
    left: usize,
    /// Behind them comes one that is no event.
    ends_bad: bool,
    /// How many are tried at once.
    width: usize,
    /// The next one cannot be taken.
    suspect: bool,
    /// Somebody said that it is to be left out.
    told_to_skip: bool,
    failures: u32,
    waits: bool,
}

impl Attempt {
    pub(crate) fn new(policy: Poison, events: usize, ends_bad: bool) -> Self {
        let width = events.max(1);
        let (suspect, told_to_skip, failures, waits) = (false, false, 0, false);
        Self { policy, left: events, ends_bad, width, suspect, told_to_skip, failures, waits }
    }

    pub(crate) fn next(&self) -> Order {
        if self.waits {
            return Order::Wait(self.failures);
        }
        if self.suspect || (self.left == 0 && self.ends_bad) {
            return match self.policy {
                _ if self.told_to_skip => Order::Skip,
                Poison::Skip => Order::Skip,
                Poison::Stop => Order::Halt,
                Poison::Retry => Order::Wait(self.failures),
            };
        }
        match self.left {
            0 => Order::Finished,
            left => Order::Commit(left.min(self.width)),
        }
    }

    /// So many events were tried.
    pub(crate) fn learn(&mut self, tried: usize, outcome: Outcome) {
        match outcome {
            Outcome::Done => {
                self.left -= tried;
                self.width = self.width.saturating_mul(2);
                self.failures = 0;
            }
            Outcome::Unavailable => self.fail(),
            Outcome::Refused { at } if at > 0 && at < tried => self.width = at,
            Outcome::Unclear if tried > 1 => self.width = tried / 2,
            Outcome::Refused { .. } | Outcome::Unclear => {
                self.suspect = true;
                if self.policy == Poison::Retry {
                    self.fail();
                }
            }
        }
    }

    /// The next event could not be recorded as left out, or the like.
    pub(crate) fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.waits = true;
    }

    /// The wait is over, or somebody wants it to be tried again.
    pub(crate) fn again(&mut self) {
        self.waits = false;
        if self.policy != Poison::Skip && !self.told_to_skip {
            self.suspect = false;
        }
        if self.policy == Poison::Retry && self.left == 0 && self.ends_bad {
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Somebody decided that the next event is to be left out. Says whether it is one that cannot be taken.
    pub(crate) fn skip(&mut self) -> bool {
        let is_bad = self.suspect || (self.left == 0 && self.ends_bad);
        self.told_to_skip = is_bad;
        self.waits &= !is_bad;
        is_bad
    }

    /// The next event was recorded and left out.
    pub(crate) fn skipped(&mut self) {
        if self.left > 0 {
            self.left -= 1;
        } else {
            self.ends_bad = false;
        }
        (self.suspect, self.told_to_skip, self.failures) = (false, false, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How the read model of the model behaves towards an event.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Kind {
        Good,
        Refused,
        Panics,
    }

    fn kinds() -> impl Strategy<Value = Vec<Kind>> {
        let kind = prop_oneof![6 => Just(Kind::Good), 1 => Just(Kind::Refused), 1 => Just(Kind::Panics)];
        prop::collection::vec(kind, 0..20)
    }

    fn outcome(events: &[Kind]) -> Outcome {
        match events.iter().position(|kind| *kind != Kind::Good) {
            None => Outcome::Done,
            Some(at) if events[at] == Kind::Refused => Outcome::Refused { at },
            Some(_) => Outcome::Unclear,
        }
    }

    proptest! {
        #[test]
        fn skipping_leaves_out_exactly_the_bad_ones_and_an_absent_store_none(
            kinds in kinds(),
            ends_bad in any::<bool>(),
            absent in prop::collection::vec(any::<bool>(), 0..20),
        ) {
            let mut attempt = Attempt::new(Poison::Skip, kinds.len(), ends_bad);
            let (mut at, mut done, mut skipped) = (0, Vec::new(), Vec::new());
            let mut absent = absent.into_iter();
            loop {
                match attempt.next() {
                    Order::Commit(count) => {
                        prop_assert!(count > 0);
                        let outcome = match absent.next() {
                            Some(true) => Outcome::Unavailable,
                            _ => outcome(&kinds[at..at + count]),
                        };
                        if outcome == Outcome::Done {
                            done.extend(at..at + count);
                            at += count;
                        }
                        attempt.learn(count, outcome);
                    }
                    Order::Wait(_) => attempt.again(),
                    Order::Skip => {
                        skipped.push(at);
                        at += 1;
                        attempt.skipped();
                    }
                    Order::Halt => prop_assert!(false, "it does not halt"),
                    Order::Finished => break,
                }
            }
            let bad = |n: &usize| kinds.get(*n) != Some(&Kind::Good);
            let all = kinds.len() + usize::from(ends_bad);
            prop_assert_eq!(skipped, (0..all).filter(bad).collect::<Vec<_>>());
            prop_assert_eq!(done, (0..all).filter(|n| !bad(n)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_that_stops_waits_for_somebody_to_decide() {
        let mut attempt = Attempt::new(Poison::Stop, 3, false);
        assert!(!attempt.skip(), "nothing is known against the next event");
        attempt.learn(3, Outcome::Refused { at: 1 });
        assert_eq!(attempt.next(), Order::Commit(1));
        attempt.learn(1, Outcome::Done);
        attempt.learn(2, Outcome::Refused { at: 0 });
        assert_eq!(attempt.next(), Order::Halt);
        attempt.again();
        assert_eq!(attempt.next(), Order::Commit(2));
        attempt.learn(2, Outcome::Refused { at: 0 });
        assert!(attempt.skip());
        assert_eq!(attempt.next(), Order::Skip);
        attempt.skipped();
        assert_eq!(attempt.next(), Order::Commit(1));
    }

    #[test]
    fn one_that_retries_waits_longer_and_longer() {
        let mut attempt = Attempt::new(Poison::Retry, 1, false);
        for failures in 1..4 {
            assert_eq!(attempt.next(), Order::Commit(1));
            attempt.learn(1, Outcome::Unclear);
            assert_eq!(attempt.next(), Order::Wait(failures));
            attempt.again();
        }
        let mut undecodable = Attempt::new(Poison::Retry, 0, true);
        assert_eq!(undecodable.next(), Order::Wait(0));
        undecodable.again();
        assert_eq!(undecodable.next(), Order::Wait(1));
    }
}

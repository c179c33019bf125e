//! What does one who wants a lease, or holds it, do next?
//!
//! A candidate is told what a store said and when, and says what to do: read, store a record, wait. The rule is the usual one of leases
//! without a common clock (C. Gray and D. Cheriton, "Leases", 1989): the holder counts his term from before he sent his record, all others
//! from when they first saw it.
//!
//! # Invariants
//!
//! * One relies on a lease no longer than a term, less the drift, after the newest record of his that is known to be stored was **first sent**.
//! * One takes over only from a record that he has **seen** unchanged for the whole term that stands in it, or that has no holder.
//! * What is asked of a store is never asked more than a few times per term.

use std::time::{Duration, Instant};

use super::{Epoch, LeaseFault, LeaseRecord, LeaseVersion, Term};

/// How often per term a lease is renewed and looked at, and how often a store that fails is tried.
const LOOKS_PER_TERM: u32 = 3;
const TRIES_PER_TERM: u32 = 12;

/// One who wants a lease, or holds it. His name is used by nobody else, and never again.
pub(crate) struct Candidate {
    me: String,
    term: Term,
    /// The record of another that was last seen, and since when it is known.
    seen: Option<(Option<LeaseRecord>, Instant)>,
    /// When the record was last read. None: what is there has to be looked at before anything else.
    looked: Option<Instant>,
    /// The newest record that was sent, and when it was first sent. It may be stored, or still come.
    sent: Option<(LeaseRecord, Instant)>,
    held: Option<Held>,
    /// After a failure: nothing before this.
    rest: Option<Instant>,
}

/// The newest record that is known to be stored, and when it was first sent.
#[derive(Clone, Copy)]
struct Held {
    epoch: Epoch,
    beat: u64,
    from: Instant,
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Ask the store for the record.
    Read,
    /// Store this.
    Replace { expected: Option<LeaseVersion>, record: LeaseRecord },
    /// Nothing before this time, then ask again what to do.
    Wait(Instant),
}

impl Candidate {
    pub(crate) fn new(me: String, term: Term) -> Self {
        Self { me, term, seen: None, looked: None, sent: None, held: None, rest: None }
    }

    /// The longest time between two looks, and for an answer of the store.
    pub(crate) fn pace(&self) -> Duration {
        self.term.term / LOOKS_PER_TERM
    }

    /// Until when the lease is held, and under which epoch.
    pub(crate) fn held(&self, now: Instant) -> Option<(Epoch, Instant)> {
        let Held { epoch, from, .. } = self.held?;
        let until = from + self.term.relied_on();
        (now < until).then_some((epoch, until))
    }

    /// Who was last seen to hold it.
    pub(crate) fn holder(&self) -> Option<&str> {
        let (record, _) = self.seen.as_ref()?;
        record.as_ref().map(|record| record.holder.as_str()).filter(|holder| !holder.is_empty())
    }

    /// What to do at `now`.
    pub(crate) fn next(&self, now: Instant) -> Order {
        if let Some(rest) = self.rest.filter(|rest| now < *rest) {
            return Order::Wait(rest);
        }
        let Some(looked) = self.looked else { return Order::Read };
        if let Some(held) = self.held {
            let due = held.from + self.pace();
            if now < due {
                return Order::Wait(due);
            }
            let record = self.record(held.epoch, held.beat.saturating_add(1));
            return Order::Replace { expected: Some((held.epoch, held.beat)), record };
        }
        let Some((record, since)) = &self.seen else { return Order::Read };
        let Some(record) = record else {
            return Order::Replace { expected: None, record: self.record(Epoch::new(1), 0) };
        };
        let over = if record.holder.is_empty() { *since } else { *since + record.term };
        let look = looked + self.pace();
        if now >= over {
            Order::Replace { expected: Some(record.version()), record: self.record(record.epoch.plus(1), 0) }
        } else if now >= look {
            Order::Read
        } else {
            Order::Wait(over.min(look))
        }
    }

    fn record(&self, epoch: Epoch, beat: u64) -> LeaseRecord {
        LeaseRecord { holder: self.me.clone(), epoch, beat, term: self.term.term }
    }

    /// A record is about to be sent.
    pub(crate) fn sends(&mut self, record: &LeaseRecord, now: Instant) {
        // One that is sent again may be stored by what was sent first.
        if self.sent.as_ref().is_none_or(|(sent, _)| sent != record) {
            self.sent = Some((record.clone(), now));
        }
    }

    /// How it went with the record that was sent.
    pub(crate) fn replaced(&mut self, result: &Result<(), LeaseFault>, now: Instant) {
        match result {
            Ok(()) => self.stored(now),
            Err(LeaseFault::Conflict { .. }) => self.looked = None,
            Err(fault) => {
                if matches!(fault, LeaseFault::Unknown(_)) {
                    self.looked = None;
                }
                self.failed(now);
            }
        }
    }

    /// The store did not answer what was asked.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.rest = Some(now + self.term.term / TRIES_PER_TERM);
    }

    fn stored(&mut self, now: Instant) {
        if let Some((record, from)) = self.sent.take() {
            self.held = Some(Held { epoch: record.epoch, beat: record.beat, from });
            (self.seen, self.looked) = (None, Some(now));
        }
    }

    /// The record as it was read at `now`.
    pub(crate) fn read(&mut self, record: Option<LeaseRecord>, now: Instant) {
        self.looked = Some(now);
        if let Some(mine) = record.as_ref().filter(|record| record.holder == self.me) {
            if self.sent.as_ref().is_some_and(|(sent, _)| sent == mine) {
                return self.stored(now);
            }
            if let Some(held) = self.held.as_mut().filter(|held| held.epoch == mine.epoch) {
                // One of those sent before: when is not known any more, so the time does not move.
                held.beat = mine.beat;
                return;
            }
        }
        self.held = None;
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != record) {
            self.seen = Some((record, now));
        }
    }

    /// What gives the lease back, if it is held: the version to expect, and the record.
    pub(crate) fn give_back(&mut self) -> Option<(LeaseVersion, LeaseRecord)> {
        let Held { epoch, beat, .. } = self.held.take()?;
        let record = LeaseRecord { holder: String::new(), ..self.record(epoch, beat.saturating_add(1)) };
        Some(((epoch, beat), record))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::testkit::t0;

    fn term() -> Term {
        Term { term: Duration::from_secs(12), drift: 0.0 }
    }

    fn at(seconds: u64) -> Instant {
        t0() + Duration::from_secs(seconds)
    }

    fn other(beat: u64) -> LeaseRecord {
        LeaseRecord { holder: "other".to_owned(), epoch: Epoch::new(4), beat, term: Duration::from_secs(12) }
    }

    fn conflict() -> Result<(), LeaseFault> {
        Err(LeaseFault::Conflict { name: "x".to_owned() })
    }

    fn unknown() -> Result<(), LeaseFault> {
        Err(LeaseFault::Unknown(Arc::from("cut")))
    }

    /// Sends what it wants to send.
    fn send(candidate: &mut Candidate, now: Instant) -> (Option<LeaseVersion>, LeaseRecord) {
        let Order::Replace { expected, record } = candidate.next(now) else {
            panic!("{:?}", candidate.next(now))
        };
        candidate.sends(&record, now);
        (expected, record)
    }

    #[test]
    fn the_first_one_reads_then_stores_then_renews_a_third_of_a_term_later() {
        let mut me = Candidate::new("me".to_owned(), term());
        assert_eq!(me.next(at(0)), Order::Read);
        me.read(None, at(1));
        let (expected, record) = send(&mut me, at(1));
        assert_eq!((expected, record.epoch, record.beat), (None, Epoch::new(1), 0));
        assert_eq!(me.held(at(1)), None);
        me.replaced(&Ok(()), at(3));
        assert_eq!(me.held(at(3)), Some((Epoch::new(1), at(13))), "counted from when it was sent");
        assert_eq!(me.held(at(13)), None);
        assert_eq!(me.next(at(4)), Order::Wait(at(5)));
        let (expected, record) = send(&mut me, at(5));
        assert_eq!((expected, record.epoch, record.beat), (Some((Epoch::new(1), 0)), Epoch::new(1), 1));
    }

    #[test]
    fn a_lease_of_another_is_taken_only_after_it_was_seen_unchanged_for_its_term() {
        let mut me = Candidate::new("me".to_owned(), term());
        me.read(Some(other(0)), at(0));
        assert_eq!(me.next(at(0)), Order::Wait(at(4)));
        assert_eq!(me.next(at(4)), Order::Read);
        me.read(Some(other(1)), at(4));
        assert_eq!(me.holder(), Some("other"));
        for (look, next) in [(8, 12), (12, 16)] {
            assert_eq!(me.next(at(look)), Order::Read);
            me.read(Some(other(1)), at(look));
            assert_eq!(me.next(at(look)), Order::Wait(at(next)));
        }
        let (expected, record) = send(&mut me, at(16));
        assert_eq!((expected, record.epoch), (Some((Epoch::new(4), 1)), Epoch::new(5)));
        me.replaced(&conflict(), at(16));
        assert_eq!((me.next(at(16)), me.held(at(16))), (Order::Read, None));
    }

    #[test]
    fn a_lease_that_was_given_back_is_taken_at_once() {
        let mut me = Candidate::new("me".to_owned(), term());
        me.read(Some(LeaseRecord { holder: String::new(), ..other(7) }), at(0));
        assert_eq!(me.holder(), None);
        assert_eq!(send(&mut me, at(0)).0, Some((Epoch::new(4), 7)));
    }

    #[test]
    fn a_renewal_whose_fate_is_not_known_counts_from_when_it_was_first_sent() {
        let mut me = Candidate::new("me".to_owned(), term());
        me.read(None, at(0));
        send(&mut me, at(0));
        me.replaced(&Ok(()), at(0));
        let (_, renewed) = send(&mut me, at(4));
        me.replaced(&unknown(), at(4));
        assert_eq!(me.next(at(4)), Order::Wait(at(5)), "a store that fails is not asked without a pause");
        me.read(Some(LeaseRecord { beat: 0, ..renewed.clone() }), at(5));
        assert_eq!(me.held(at(5)).unwrap().1, at(12));
        send(&mut me, at(5));
        me.replaced(&conflict(), at(5));
        assert_eq!(me.next(at(5)), Order::Read, "the first one came late");
        me.read(Some(renewed), at(5));
        assert_eq!(me.held(at(5)).unwrap().1, at(16), "from 4, when it was first sent");
    }

    #[test]
    fn a_holder_who_finds_another_record_holds_nothing() {
        for found in [None, Some(other(0)), Some(LeaseRecord { holder: String::new(), ..other(0) })] {
            let mut me = Candidate::new("me".to_owned(), term());
            me.read(None, at(0));
            send(&mut me, at(0));
            me.replaced(&Ok(()), at(0));
            me.read(found, at(1));
            assert_eq!(me.held(at(1)), None);
            assert_eq!(me.give_back(), None);
        }
    }

    #[test]
    fn who_gives_back_leaves_the_epoch_and_no_holder() {
        let mut me = Candidate::new("me".to_owned(), term());
        me.read(Some(LeaseRecord { holder: String::new(), ..other(7) }), at(0));
        send(&mut me, at(0));
        me.replaced(&Ok(()), at(0));
        let (expected, record) = me.give_back().unwrap();
        assert_eq!(
            (expected, record.holder.as_str(), record.version()),
            ((Epoch::new(5), 0), "", (Epoch::new(5), 1))
        );
        assert_eq!(me.held(at(0)), None);
    }

    /// A store and some candidates, whose questions and answers take their time or are lost.
    struct World {
        record: Option<LeaseRecord>,
        candidates: Vec<Candidate>,
        /// What is on its way to the store: of whom, when it arrives, and whether the answer comes back.
        flying: Vec<(usize, u64, bool, Order)>,
        /// Which candidates wait for an answer.
        asking: Vec<bool>,
        highest: Epoch,
    }

    impl World {
        fn step(&mut self, now: u64, who: usize, delay: u64, answered: bool) -> Result<(), TestCaseError> {
            self.arrive(now)?;
            let candidate = &mut self.candidates[who];
            if self.asking[who] {
                return Ok(());
            }
            let order = candidate.next(at(now));
            match &order {
                Order::Wait(_) => return Ok(()),
                Order::Read => {}
                Order::Replace { record, .. } => candidate.sends(record, at(now)),
            }
            if answered {
                self.asking[who] = true;
            } else if matches!(order, Order::Read) {
                candidate.failed(at(now));
            } else {
                candidate.replaced(&unknown(), at(now));
            }
            self.flying.push((who, now + delay, answered, order));
            self.arrive(now)
        }

        fn arrive(&mut self, now: u64) -> Result<(), TestCaseError> {
            self.flying.sort_by_key(|(_, arrives, ..)| *arrives);
            while self.flying.first().is_some_and(|(_, arrives, ..)| *arrives <= now) {
                let (who, _, answered, order) = self.flying.remove(0);
                let candidate = &mut self.candidates[who];
                match order {
                    Order::Read if answered => candidate.read(self.record.clone(), at(now)),
                    Order::Wait(_) | Order::Read => {}
                    Order::Replace { expected, record } => {
                        let fits = self.record.as_ref().map(LeaseRecord::version) == expected;
                        if fits {
                            prop_assert!(record.epoch >= self.highest);
                            self.highest = record.epoch;
                            self.record = Some(record);
                        }
                        if answered {
                            candidate.replaced(&if fits { Ok(()) } else { conflict() }, at(now));
                        }
                    }
                }
                self.asking[who] &= !answered;
            }
            let holders = self.candidates.iter().filter(|candidate| candidate.held(at(now)).is_some());
            prop_assert!(holders.count() <= 1, "two hold it at {}", now);
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn never_do_two_hold_it_and_in_the_end_one_does(
            steps in proptest::collection::vec((0_u64..5, 0_usize..3, 0_u64..9, prop::bool::weighted(0.7)), 1..200),
        ) {
            let candidates = (0..3).map(|n| Candidate::new(format!("c{n}"), term())).collect();
            let mut world = World {
                record: None, candidates, flying: Vec::new(), asking: vec![false; 3], highest: Epoch::ZERO,
            };
            let mut now = 0;
            for (pause, who, delay, answered) in steps {
                now += pause;
                world.step(now, who, delay, answered)?;
            }
            // All is well from here on.
            for _ in 0..60 {
                now += 1;
                for who in 0..3 {
                    world.step(now, who, 0, true)?;
                }
            }
            prop_assert!(world.candidates.iter().any(|candidate| candidate.held(at(now)).is_some()));
        }
    }
}

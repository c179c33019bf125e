//! How long does an actor work before it looks up, and how long does it wait before it sleeps?
//!
//! # Invariants
//!
//! * After so many messages the actor looks at its timers and at those who wait for room: [`LOOK_MESSAGES`].
//! * After so many messages and signals it gives way to other tasks: [`BUDGET_MESSAGES`].
//! * It lingers for a bounded number of turns and a bounded time.

use std::time::{Duration, Instant};

/// Messages that one activation handles before it gives way: long enough to pay for the switch, short enough that
/// other tasks of the thread do not notice a busy actor.
const BUDGET_MESSAGES: u32 = 128;
/// An actor that ran out of messages after a batch gives way so many times before it sleeps: more often than not the
/// next batch is on its way, and a sleeping worker thread costs thousands of messages to wake.
const LINGER_TURNS: u8 = 16;
const SMALL_BATCH_MESSAGES: usize = 64;
/// The time it gives way at most, however many turns that were: on a busy thread one turn takes long.
const LINGER_TIME: Duration = Duration::from_micros(20);
/// An actor had to look in vain so often in a row before it sleeps without a look, and then looks again after so many
/// times: where messages come while it handles others, a look is cheaper than a wake-up.
const DOZE_AFTER: u8 = 8;
const DOZE_UNSEEN: u8 = 16;
/// A timer that is due waits for at most so many messages.
const LOOK_MESSAGES: u32 = 32;

/// How far an activation goes before it looks up. A fresh one looks up at once.
pub(crate) struct Pace {
    /// Messages it handles before it looks up.
    granted: u32,
    /// Those of them it has not handled.
    left: u32,
    /// Messages and signals until it gives way.
    budget: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { granted: 0, left: 0, budget: BUDGET_MESSAGES }
    }
}

impl Pace {
    /// Whether it may handle one more before it looks up.
    pub(crate) fn goes_on(&self) -> bool {
        self.left > 0
    }

    /// It handles one.
    pub(crate) fn step(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Messages handled since it looked up last.
    pub(crate) fn handled(&self) -> u32 {
        self.granted - self.left
    }

    /// It looks up, and will again after `limit` messages at the latest. Whether to give way now.
    pub(crate) fn look_up(&mut self, limit: u32) -> bool {
        let gives_way = self.spend(self.handled());
        self.granted = LOOK_MESSAGES.min(limit);
        self.left = self.granted;
        gives_way
    }

    /// So many messages or signals more were handled. Whether to give way now.
    pub(crate) fn spend(&mut self, handled: u32) -> bool {
        let gives_way = self.budget <= handled;
        self.budget = if gives_way { BUDGET_MESSAGES } else { self.budget - handled };
        gives_way
    }
}

/// How an actor that ran out of messages gives way for a while before it looks for more.
#[derive(Default)]
pub(crate) struct Linger {
    turns: u8,
    until: Option<Instant>,
}

impl Linger {
    /// The next time, after this batch.
    pub(crate) fn plan(&mut self, batch: usize) {
        self.turns = match batch {
            0 => 0,
            1..SMALL_BATCH_MESSAGES => LINGER_TURNS,
            _ => 1,
        };
        self.until = None;
    }

    /// Whether to give way once more.
    pub(crate) fn goes_on(&mut self, now: impl FnOnce() -> Instant) -> bool {
        if self.turns == 0 {
            return false;
        }
        self.turns -= 1;
        let now = now();
        now < *self.until.get_or_insert(now + LINGER_TIME)
    }
}

/// Whether an actor that gets one message at a time need look for another before it sleeps.
#[derive(Default)]
pub(crate) struct Doze {
    /// Activations in a row that had a lone message, and no other when they looked again.
    lone: u8,
    /// Messages taken in this activation.
    taken: u8,
    /// Activations until it looks again all the same.
    unseen: u8,
}

impl Doze {
    /// It looks: whether it may sleep after a lone message without another look.
    pub(crate) fn may(&self) -> bool {
        self.lone >= DOZE_AFTER && self.unseen > 0 && self.taken == 0
    }

    /// It took a message, and so many behind it.
    pub(crate) fn took(&mut self, behind: usize) {
        self.taken = self.taken.saturating_add(1);
        if behind > 0 || self.taken > 1 {
            self.lone = 0;
        }
    }

    /// It sleeps, after it looked and found nothing.
    pub(crate) fn slept(&mut self) {
        self.lone = self.lone.saturating_add(self.taken);
        self.taken = 0;
        self.unseen = DOZE_UNSEEN;
    }

    /// It sleeps without another look.
    pub(crate) fn dozed(&mut self) {
        self.taken = 0;
        self.unseen -= 1;
    }
}

/// Whether one who asks an actor that sleeps runs it on the spot. Where its handlers are quick, that saves the way to
/// another thread and back; where they are not, askers would do one after the other what threads can do at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Inline {
    /// No.
    No,
    /// Yes.
    Yes,
    /// Yes, and it is to be measured how long that takes.
    Measured,
}

/// An actor that takes longer is not run on the spot: about what it costs to hand a message over to another thread. Code
/// that is not optimised takes ten times as long for everything.
const INLINE_LIMIT: Duration = Duration::from_micros(if cfg!(debug_assertions) { 100 } else { 10 });
/// Runs on the spot between two that are measured.
const UNMEASURED: u8 = 15;
/// The mark of an actor that took too long; it counts down to `UNMEASURED` with every ask.
const SLOW: u8 = u8::MAX;

impl Inline {
    /// The mark of an actor says how it is to be asked, and what its mark is then.
    pub(crate) fn decide(mark: u8) -> (Self, u8) {
        match mark {
            0 => (Self::Measured, 0),
            1..=UNMEASURED => (Self::Yes, mark - 1),
            _ if mark == UNMEASURED + 1 => (Self::No, 0),
            _ => (Self::No, mark - 1),
        }
    }

    /// The mark of an actor that was awake: others ask it, too, and it answers many at once if they let it.
    pub(crate) const CONTENDED: u8 = UNMEASURED + 64;

    /// The mark of an actor that was measured.
    pub(crate) fn learn(took: Duration) -> u8 {
        if took > INLINE_LIMIT { SLOW } else { UNMEASURED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now() -> Instant {
        Instant::now()
    }

    /// Works through `messages` as the loop does: how often it looked up, and how often it gave way.
    fn work(pace: &mut Pace, messages: u32, limit: u32) -> (u32, u32) {
        let (mut looks, mut gave_way) = (0, 0);
        for _ in 0..messages {
            if !pace.goes_on() {
                looks += 1;
                gave_way += u32::from(pace.look_up(limit));
            }
            pace.step();
        }
        (looks, gave_way)
    }

    #[test]
    fn it_looks_up_and_gives_way_after_so_many_messages() {
        let mut pace = Pace::default();
        assert_eq!(work(&mut pace, BUDGET_MESSAGES, u32::MAX), (BUDGET_MESSAGES / LOOK_MESSAGES, 0));
        assert_eq!(work(&mut pace, BUDGET_MESSAGES, u32::MAX), (BUDGET_MESSAGES / LOOK_MESSAGES, 1));
        assert_eq!(work(&mut Pace::default(), 100, 1), (100, 0));
    }

    #[test]
    fn signals_are_paid_from_the_same_budget() {
        let mut pace = Pace::default();
        assert!((1..BUDGET_MESSAGES).all(|_| !pace.spend(1)));
        assert!(pace.spend(1));
        assert!(!pace.spend(1));
    }

    #[test]
    fn an_early_look_counts_what_was_handled_alone() {
        let mut pace = Pace::default();
        pace.look_up(u32::MAX);
        pace.step();
        assert_eq!(pace.handled(), 1);
        pace.look_up(u32::MAX);
        assert_eq!(pace.handled(), 0);
        assert_eq!(pace.budget, BUDGET_MESSAGES - 1);
    }

    #[test]
    fn it_lingers_for_so_many_turns_and_not_after_an_empty_look() {
        let start = now();
        let mut linger = Linger::default();
        assert!(!linger.goes_on(|| start));
        linger.plan(1);
        assert_eq!((0..100).filter(|_| linger.goes_on(|| start)).count(), usize::from(LINGER_TURNS));
        linger.plan(SMALL_BATCH_MESSAGES);
        assert_eq!((0..100).filter(|_| linger.goes_on(|| start)).count(), 1);
        linger.plan(0);
        assert!(!linger.goes_on(|| start));
    }

    #[test]
    fn it_lingers_for_so_long_at_most() {
        let start = now();
        let mut linger = Linger::default();
        linger.plan(1);
        assert!(linger.goes_on(|| start));
        assert!(!linger.goes_on(|| start + LINGER_TIME));
    }

    /// One activation with so many messages at its first look, and none later. Whether it dozed.
    fn activation(doze: &mut Doze, messages: usize) -> bool {
        let may = doze.may();
        doze.took(messages - 1);
        let dozes = may && messages == 1;
        if dozes {
            doze.dozed();
        } else {
            doze.slept();
        }
        dozes
    }

    #[test]
    fn after_many_lone_messages_it_sleeps_without_a_look_but_for_one_time_in_a_while() {
        let mut doze = Doze::default();
        let dozed: Vec<bool> = (0..100).map(|_| activation(&mut doze, 1)).collect();
        let first = usize::from(DOZE_AFTER);
        assert!(dozed[..first].iter().all(|dozed| !dozed));
        let period = usize::from(DOZE_UNSEEN) + 1;
        for (index, dozed) in dozed[first..].iter().enumerate() {
            assert_eq!(*dozed, index % period != period - 1, "activation {index} after the first");
        }
    }

    #[test]
    fn a_burst_or_a_message_found_by_a_second_look_ends_dozing() {
        let mut doze = Doze::default();
        for _ in 0..20 {
            activation(&mut doze, 1);
        }
        activation(&mut doze, 3);
        assert!(!doze.may());

        let mut doze = Doze::default();
        for _ in 0..20 {
            activation(&mut doze, 1);
        }
        doze.took(0);
        assert!(!doze.may(), "the second look of an activation");
        doze.took(0);
        doze.slept();
        assert!(!doze.may());
    }

    #[test]
    fn an_actor_that_is_quick_is_run_on_the_spot_and_measured_now_and_then() {
        let mut mark = 0;
        let mut measured = 0;
        for _ in 0..160 {
            let (inline, next) = Inline::decide(mark);
            mark = match inline {
                Inline::Measured => {
                    measured += 1;
                    Inline::learn(INLINE_LIMIT)
                }
                Inline::Yes => next,
                Inline::No => panic!("it is quick"),
            };
        }
        assert_eq!(measured, 10);
    }

    #[test]
    fn an_actor_that_is_slow_or_awake_is_left_alone_for_a_while() {
        let slow = Inline::learn(INLINE_LIMIT + Duration::from_nanos(1));
        for (mut mark, asks) in [(slow, 240), (Inline::CONTENDED, 64)] {
            for _ in 0..asks {
                let (inline, next) = Inline::decide(mark);
                assert_eq!(inline, Inline::No);
                mark = next;
            }
            assert_eq!(Inline::decide(mark).0, Inline::Measured);
        }
    }
}

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
}

//! Which asks have reached their deadline?
//!
//! One wheel per system keeps deadlines as ticks of 10 ms since the system started, so that an ask costs
//! no timer of its own. The wheel never waits and never looks at the time: its driver hands in the tick
//! that has come, and ends what is due.
//!
//! There is no removal. An ask that was answered in time leaves its entry behind until its tick, so
//! entries should be small and own nothing worth freeing early.
//!
//! An ordered map holds the ticks. A ring of slots (hashed timing wheel) with a map behind it for
//! distant ticks took 4 ns where the map takes 17 ns per insertion and removal, at a hundred thousand
//! per second. Since slots of asks are reused without touching the wheel, that is rare, and not worth
//! twice the code. If every ask comes to insert here, try the ring again.
//!
//! # Invariants
//!
//! * A deadline never fires early: deadlines round up to a tick, the present rounds down.
//! * Entries leave in order of their ticks, and those of one tick in the order they came.
//! * No tick in `ticks` is without entries, and `len` counts the entries of all.

use std::collections::BTreeMap;
use std::time::Duration;

/// The distance of two ticks.
///
/// Ten milliseconds are a five-hundredth of the default limit of an ask, and 100 wake-ups per second
/// cost next to nothing.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Ticks in one second. That it is a whole number makes every conversion exact.
const TICKS_PER_SECOND: u64 = 100;

/// [`TICK`] in nanoseconds.
const TICK_NANOS: u32 = TICK.subsec_nanos();

const _: () = assert!(TICKS_PER_SECOND * TICK_NANOS as u64 == 1_000_000_000, "ticks fill a second");

/// The first tick at or after `elapsed` (time since tick 0): when to end what is due then.
///
/// What does not fit, more than five billion years, becomes the last tick.
#[must_use]
pub(crate) fn tick_at_or_after(elapsed: Duration) -> u64 {
    ticks(elapsed.as_secs(), elapsed.subsec_nanos().div_ceil(TICK_NANOS))
}

/// The last tick at or before `elapsed` (time since tick 0): the tick that has come.
#[must_use]
pub(crate) fn tick_now(elapsed: Duration) -> u64 {
    ticks(elapsed.as_secs(), elapsed.subsec_nanos() / TICK_NANOS)
}

/// Entries, each to be handed out when its tick has come.
#[derive(Debug)]
pub(crate) struct Wheel<E> {
    ticks: BTreeMap<u64, Vec<E>>,
    len: usize,
}

impl<E> Wheel<E> {
    /// A wheel without entries.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self { ticks: BTreeMap::new(), len: 0 }
    }

    /// Keeps `entry` until `tick`. A tick that has passed already is due at once.
    pub(crate) fn insert(&mut self, tick: u64, entry: E) {
        self.ticks.entry(tick).or_default().push(entry);
        self.len += 1;
    }

    /// Moves all entries whose tick is `now_tick` or earlier to the end of `due`.
    ///
    /// It only moves them, so that the caller can let go of a lock before it acts on them.
    pub(crate) fn due(&mut self, now_tick: u64, due: &mut Vec<E>) {
        while let Some(first) = self.ticks.first_entry()
            && *first.key() <= now_tick
        {
            let mut entries = first.remove();
            self.len -= entries.len();
            due.append(&mut entries);
        }
    }

    /// Number of entries.
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

/// `secs` seconds and `in_second` ticks, as ticks. Without the 128-bit division of a sum in nanoseconds.
fn ticks(secs: u64, in_second: u32) -> u64 {
    secs.saturating_mul(TICKS_PER_SECOND).saturating_add(u64::from(in_second))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain<E>(wheel: &mut Wheel<E>, now_tick: u64) -> Vec<E> {
        let mut due = Vec::new();
        wheel.due(now_tick, &mut due);
        due
    }

    #[test]
    fn a_deadline_rounds_up_and_the_present_rounds_down() {
        let just_before = Duration::from_nanos(9_999_999);
        let just_after = Duration::from_nanos(10_000_001);
        assert_eq!([Duration::ZERO, just_before, TICK, just_after].map(tick_at_or_after), [0, 1, 1, 2]);
        assert_eq!([Duration::ZERO, just_before, TICK, just_after].map(tick_now), [0, 0, 1, 1]);
        assert_eq!(
            tick_at_or_after(Duration::from_nanos(1_999_999_999)),
            200,
            "carries into the next second"
        );
    }

    #[test]
    fn times_beyond_the_last_tick_become_the_last_tick() {
        for elapsed in [Duration::from_secs(u64::MAX / 100 + 1), Duration::MAX] {
            assert_eq!(tick_at_or_after(elapsed), u64::MAX);
            assert_eq!(tick_now(elapsed), u64::MAX);
        }
    }

    #[test]
    fn an_entry_is_due_at_its_tick_and_not_before() {
        let mut wheel = Wheel::new();
        wheel.insert(500, "a");
        assert!(drain(&mut wheel, 499).is_empty());
        assert_eq!(wheel.len(), 1);
        assert_eq!(drain(&mut wheel, 500), ["a"]);
        assert_eq!(wheel.len(), 0);
        assert!(drain(&mut wheel, 501).is_empty(), "handed out once");
    }

    #[test]
    fn entries_leave_by_tick_and_within_one_tick_in_the_order_they_came() {
        let mut wheel = Wheel::new();
        for (tick, entry) in [(7, 'c'), (3, 'a'), (7, 'd'), (9_000_000, 'f'), (3, 'b'), (2000, 'e')] {
            wheel.insert(tick, entry);
        }
        assert_eq!(drain(&mut wheel, 3), ['a', 'b']);
        assert_eq!(drain(&mut wheel, u64::MAX), ['c', 'd', 'e', 'f']);
    }

    #[test]
    fn a_tick_that_has_passed_already_is_due_at_once() {
        let mut wheel = Wheel::new();
        wheel.insert(1500, "ahead");
        assert!(drain(&mut wheel, 1000).is_empty());
        wheel.insert(3, "late");
        wheel.insert(1000, "now");
        assert_eq!(drain(&mut wheel, 1000), ["late", "now"]);
    }

    #[test]
    fn what_is_due_is_added_to_what_the_caller_has() {
        let mut wheel = Wheel::new();
        wheel.insert(1, 'b');
        let mut due = vec!['a'];
        wheel.due(1, &mut due);
        assert_eq!(due, ['a', 'b']);
    }

    /// One thing a user of the wheel does.
    #[derive(Clone, Debug)]
    enum Step {
        /// Insert at this distance (in ticks, may be behind) from the present.
        Insert(i64),
        /// Let this many ticks pass.
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (-50_i64..600).prop_map(Step::Insert),
            2 => (0_u64..100).prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn every_entry_leaves_once_when_its_tick_has_come_and_in_order(
            start in prop_oneof![0_u64..1000, Just(u64::MAX - 1000)],
            steps in steps(),
        ) {
            let mut wheel = Wheel::new();
            let mut waiting: Vec<(u64, usize)> = Vec::new();
            let mut now = start;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(distance) => {
                        let tick = now.saturating_add_signed(distance);
                        wheel.insert(tick, (tick, number));
                        waiting.push((tick, number));
                        waiting.sort_unstable();
                    }
                    Step::Pass(ticks) => {
                        now = now.saturating_add(ticks);
                        let later = waiting.partition_point(|&(tick, _)| tick <= now);
                        let expected: Vec<_> = waiting.drain(..later).collect();
                        prop_assert_eq!(drain(&mut wheel, now), expected);
                    }
                }
                prop_assert_eq!(wheel.len(), waiting.len());
            }
            prop_assert_eq!(drain(&mut wheel, u64::MAX), waiting);
        }

        #[test]
        fn a_deadline_never_fires_early_and_at_most_one_tick_late(
            secs in prop_oneof![0_u64..100, 0_u64..u64::MAX / 200],
            nanos in 0_u32..1_000_000_000,
            distance_nanos in 0_u64..30_000_000,
        ) {
            let deadline = Duration::new(secs, nanos);
            let tick = tick_at_or_after(deadline);
            let distance = Duration::from_nanos(distance_nanos);
            let due = |elapsed| tick_now(elapsed) >= tick;
            prop_assert!(due(deadline + TICK + distance));
            if let Some(before) = deadline.checked_sub(distance + Duration::from_nanos(1)) {
                prop_assert!(!due(before));
            }
        }
    }
}

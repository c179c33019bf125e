//! The rules of catching up, with a clock that does what it likes.

use super::*;
use proptest::prelude::*;

/// A clock for these tests: seconds since the beginning of 2020.
fn wall(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800 + seconds)
}

fn all(limit: u32) -> Missed {
    Missed::RunAll(NonZeroU32::new(limit).unwrap())
}

fn schedule(line: &str, missed: Missed, now: SystemTime) -> Schedule {
    Schedule::new(Cron::parse(line).unwrap().missed(missed), now)
}

/// Looks, and runs what is due, until it is told to wait. How often it ran.
fn runs(schedule: &mut Schedule, now: SystemTime) -> u32 {
    let mut runs = 0;
    while schedule.look(now).is_none() {
        assert_eq!(schedule.look(now), None, "a second look changes nothing");
        schedule.ran();
        runs += 1;
    }
    runs
}

#[test]
fn an_occurrence_runs_at_its_second_and_not_before() {
    let mut hourly = schedule("0 * * * *", Missed::RunOnce, wall(3_599));
    assert_eq!(hourly.look(wall(3_600) - Duration::from_nanos(1)), Some(Duration::from_nanos(1)));
    assert_eq!(runs(&mut hourly, wall(3_600)), 1);
    assert_eq!(runs(&mut hourly, wall(3_600)), 0);
    assert_eq!(runs(&mut hourly, wall(7_199)), 0);
    assert_eq!(runs(&mut hourly, wall(7_200)), 1);
}

#[test]
fn what_comes_at_the_moment_of_setting_has_passed() {
    let mut hourly = schedule("0 * * * *", Missed::RunOnce, wall(3_600));
    assert_eq!(runs(&mut hourly, wall(3_600)), 0);
}

#[test]
fn a_look_is_never_further_away_than_its_bound() {
    let mut yearly = schedule("@yearly", Missed::RunOnce, wall(0));
    assert_eq!(yearly.look(wall(1)), Some(LOOK));
}

#[test]
fn ten_missed_minutes_run_as_chosen() {
    let after = |missed, seconds| runs(&mut schedule("* * * * *", missed, wall(0)), wall(seconds));
    assert_eq!(after(Missed::RunOnce, 630), 1);
    assert_eq!(after(all(100), 630), 10);
    assert_eq!(after(all(10), 630), 10);
    assert_eq!(after(all(9), 630), 9);
    assert_eq!(after(all(1), 630), 1);
    assert_eq!(after(Missed::Skip, 630), 1, "the last one is half a minute old");
}

#[test]
fn skipping_begins_after_a_minute() {
    let after = |seconds| runs(&mut schedule("0 * * * *", Missed::Skip, wall(0)), wall(seconds));
    assert_eq!([3_599, 3_600, 3_659, 3_660, 7_199].map(after), [0, 1, 1, 0, 0]);
}

#[test]
fn after_a_limit_of_runs_the_rest_is_skipped_and_the_next_run_on_time() {
    let mut minutes = schedule("* * * * *", all(3), wall(0));
    assert_eq!(runs(&mut minutes, wall(600)), 3);
    assert_eq!(runs(&mut minutes, wall(659)), 0);
    assert_eq!(runs(&mut minutes, wall(660)), 1);
    assert_eq!(runs(&mut minutes, wall(1_200)), 3, "and the limit counts anew");
}

#[test]
fn a_clock_that_goes_back_a_little_repeats_nothing() {
    let mut hourly = schedule("0 * * * *", Missed::RunOnce, wall(0));
    assert_eq!(runs(&mut hourly, wall(3 * 3_600)), 1);
    let back = wall(0);
    assert_eq!(hourly.look(back), Some(LOOK));
    assert_eq!(runs(&mut hourly, wall(3 * 3_600)), 0);
    assert_eq!(runs(&mut hourly, wall(4 * 3_600)), 1);
}

#[test]
fn a_clock_that_was_wrong_by_years_is_believed_when_it_is_set_right() {
    let mut hourly = schedule("0 * * * *", Missed::RunOnce, wall(0));
    assert_eq!(runs(&mut hourly, wall(1_000_000_000)), 1);
    assert_eq!(runs(&mut hourly, wall(7_000)), 0);
    assert_eq!(runs(&mut hourly, wall(7_200)), 1);
}

#[test]
fn fifty_years_forward_take_no_longer_than_a_minute() {
    let mut minutes = schedule("* * * * *", all(5), wall(0));
    assert_eq!(runs(&mut minutes, wall(1_600_000_000)), 5);
    assert_eq!(minutes.look(wall(1_600_000_000)).map(|wait| wait <= LOOK), Some(true));
}

proptest! {
    /// Against a plain set of the occurrences that have run: a line per five minutes, and a clock that is set.
    #[test]
    fn no_occurrence_runs_twice_or_early_and_no_policy_runs_more_than_it_may(
        missed in prop_oneof![Just(Missed::Skip), Just(Missed::RunOnce), (1u32..6).prop_map(all)],
        steps in prop::collection::vec(-7_000i64..20_000, 1..60),
    ) {
        const PERIOD: u64 = 300;
        let mut now = 100_000u64;
        let mut highest = now;
        let mut five = schedule("*/5 * * * *", missed, wall(now));
        let mut total = 0;
        for step in steps {
            now = now.saturating_add_signed(step).max(highest.saturating_sub(10_000));
            let new = (now / PERIOD).saturating_sub(highest / PERIOD);
            let ran = u64::from(runs(&mut five, wall(now)));
            total += ran;
            let fresh = u64::from(now % PERIOD < 60);
            let expected = match missed {
                Missed::RunOnce => new.min(1),
                Missed::Skip => new.min(1).min(fresh),
                Missed::RunAll(limit) => new.min(limit.get().into()),
            };
            prop_assert_eq!(ran, expected, "at {} after {}", now, highest);
            highest = highest.max(now);
        }
        prop_assert!(total <= highest / PERIOD - 100_000 / PERIOD);
    }

    /// Following each wait to its end, as a timer does, meets every occurrence at its second.
    #[test]
    fn waiting_as_told_runs_every_occurrence_at_its_moment(start in 0u64..100_000, step in 2u64..30) {
        let mut every = schedule(&format!("*/{step} * * * *"), Missed::Skip, wall(start));
        let mut now = wall(start);
        let mut ran = Vec::new();
        while now < wall(start + 7_200) {
            if let Some(wait) = every.look(now) {
                prop_assert!(wait > Duration::ZERO && wait <= LOOK);
                now += wait;
            } else {
                ran.push(now);
                every.ran();
            }
        }
        let all: Vec<_> = (start / 60 + 1..=(start + 7_200) / 60)
            .filter(|minute| minute % 60 % step == 0)
            .map(|minute| wall(minute * 60))
            .filter(|&at| at < wall(start + 7_200))
            .collect();
        prop_assert_eq!(ran, all);
    }

    #[test]
    fn a_minute_is_a_minute(seconds in 0u64..1_000_000) {
        let mut minutes = schedule("* * * * *", Missed::RunOnce, wall(seconds));
        let wait = minutes.look(wall(seconds)).unwrap();
        prop_assert_eq!(wait, Duration::from_secs(60 - seconds % 60).min(LOOK));
    }
}

//! When do timers by the calendar fire, also when the actor is late or the wall clock is set?
//!
//! A simulation begins at midnight UTC on Wednesday, the first of January 2020.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use omnitron::prelude::*;
use omnitron::testkit::{Sim, Single, t0};
use omnitron::{Cron, Missed};

use super::{Clock, Diary, Tick, clock_with, set};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

fn fires(schedule: Cron) -> Tick {
    set(move |timers| timers.cron("cron", schedule, || Tick::Fired("cron")))
}

fn line(line: &str) -> Cron {
    line.parse().unwrap()
}

/// What a clock writes down in `run`.
fn written(
    clock: (Spawn<Clock>, Diary),
    run: impl AsyncFnOnce(&Sim, &ActorRef<Tick>),
) -> Vec<(&'static str, Duration)> {
    let sim = Sim::new(1);
    let (spawn, diary) = clock;
    sim.block_on(async {
        let system = ActorSystem::builder("timers").env(sim.env()).start().await.unwrap();
        let clock = system.spawn("clock", spawn).unwrap();
        run(&sim, &clock).await;
        system.shutdown().await;
    });
    let diary = diary.lock().unwrap();
    diary.clone()
}

/// When, counted from the beginning, a schedule fires within so long a time.
fn fired(within: Duration, schedule: Cron) -> Vec<Duration> {
    times(async |sim, clock| {
        clock.tell(fires(schedule)).unwrap();
        sim.env().sleep(within).await;
    })
}

fn times(run: impl AsyncFnOnce(&Sim, &ActorRef<Tick>)) -> Vec<Duration> {
    let clock = clock_with(Supervision::restart(), Mailbox::default());
    written(clock, run).into_iter().map(|(_, at)| at).collect()
}

#[test]
fn a_line_fires_at_its_moments_to_the_nanosecond() {
    assert_eq!(fired(HOUR, line("*/20 * * * *")), [20, 40, 60].map(|minutes| MINUTE * minutes));
    assert_eq!(fired(24 * HOUR, line("30 4 1,2 JAN *")), [HOUR * 4 + MINUTE * 30]);
    assert_eq!(fired(24 * HOUR, line("0 4 2 * *")), [Duration::ZERO; 0]);
}

#[test]
fn a_line_in_a_zone_fires_by_the_clocks_there() {
    let office = line("0 9 * * 1-5").in_zone("Europe/Berlin").unwrap();
    // From Wednesday to Tuesday, at 8 hours UTC, and not at the weekend.
    assert_eq!(fired(7 * 24 * HOUR, office), [0, 1, 2, 5, 6].map(|day| 24 * HOUR * day + 8 * HOUR));
}

#[test]
fn a_time_fires_once_in_the_night_in_which_the_clocks_change() {
    let night = |noon_before: Duration, schedule: Cron| {
        times(async |sim, clock| {
            sim.set_wall(SystemTime::UNIX_EPOCH + noon_before);
            clock.tell(fires(schedule.in_zone("Europe/Berlin").unwrap())).unwrap();
            sim.env().sleep(18 * HOUR).await;
        })
    };
    let (march_28_2026, october_24_2026) = (HOUR * 492_972, HOUR * 498_012);
    // 12:00 UTC is 13:00 in Berlin; at 01:00 UTC, 13 hours later, 02:00 becomes 03:00.
    assert_eq!(night(march_28_2026, line("30 2 * * *")), [13 * HOUR]);
    assert_eq!(night(march_28_2026, line("30 1-3 * * *")), [12, 13].map(|hours| HOUR * hours + 30 * MINUTE));
    // 12:00 UTC is 14:00 in Berlin; at 01:00 UTC 03:00 becomes 02:00.
    assert_eq!(night(october_24_2026, line("30 2 * * *")), [12 * HOUR + 30 * MINUTE]);
    assert_eq!(
        night(october_24_2026, line("30 1-3 * * *")),
        [11, 12, 13, 14].map(|hours| HOUR * hours + 30 * MINUTE)
    );
}

#[test]
fn minutes_that_pass_while_the_handler_awaits_run_as_the_schedule_chooses() {
    let busy = |missed, minutes| {
        times(async |sim, clock| {
            clock.tell(fires(line("* * * * *").missed(missed))).unwrap();
            sim.env().sleep(Duration::from_secs(1)).await;
            clock.tell(Tick::Busy(minutes)).unwrap();
            sim.env().sleep(12 * MINUTE).await;
        })
    };
    // From 1 s on for ten and a half minutes: ten minutes pass, the last of them 31 s before the end.
    let busy_for = MINUTE * 10 + Duration::from_secs(30);
    let free = busy_for + Duration::from_secs(1);
    let run_all = |limit| Missed::RunAll(NonZeroU32::new(limit).unwrap());
    for (missed, at_once) in
        [(Missed::RunOnce, 1), (Missed::Skip, 1), (run_all(3), 3), (run_all(10), 10), (run_all(99), 10)]
    {
        let mut expected = vec![free; at_once];
        expected.extend([MINUTE * 11, MINUTE * 12]);
        assert_eq!(busy(missed, busy_for), expected, "{missed:?}");
    }
}

#[test]
fn a_daily_run_that_was_missed_by_more_than_a_minute_is_skipped_or_made_good_as_chosen() {
    let daily = |missed, late: Duration| {
        times(async |sim, clock| {
            clock.tell(fires(line("0 3 * * *").missed(missed))).unwrap();
            sim.env().sleep(179 * MINUTE).await;
            clock.tell(Tick::Busy(MINUTE + late)).unwrap();
            sim.env().sleep(HOUR).await;
        })
    };
    let almost = Duration::from_nanos(59_999_999_999);
    assert_eq!(daily(Missed::Skip, almost), [3 * HOUR + almost]);
    assert_eq!(daily(Missed::Skip, MINUTE), [Duration::ZERO; 0]);
    assert_eq!(daily(Missed::RunOnce, MINUTE * 30), [3 * HOUR + MINUTE * 30]);
}

#[test]
fn catching_up_takes_turns_with_messages() {
    let clock = clock_with(Supervision::restart(), Mailbox::default());
    let order = written(clock, async |sim, clock| {
        clock.tell(fires(line("* * * * *").missed(Missed::RunAll(NonZeroU32::MAX)))).unwrap();
        clock.tell(Tick::Busy(100 * MINUTE)).unwrap();
        sim.env().sleep(MINUTE).await;
        clock.tell(Tick::Fired("message")).unwrap();
        sim.env().sleep(100 * MINUTE).await;
    });
    let before = order.iter().position(|&(what, _)| what == "message").unwrap();
    assert!(before < 40, "{before} of what was missed came before the message");
    assert_eq!(order.len(), 1 + 101);
}

#[test]
fn a_wall_clock_set_forward_is_noticed_within_half_a_minute_and_runs_what_it_passed_once() {
    let at = times(async |sim, clock| {
        clock.tell(fires(line("0 12 * * *"))).unwrap();
        sim.env().sleep(HOUR + Duration::from_secs(7)).await;
        sim.set_wall(sim.env().wall() + 48 * HOUR);
        sim.env().sleep(20 * HOUR).await;
    });
    assert_eq!(at.len(), 2, "{at:?}");
    assert!(at[0] <= HOUR + Duration::from_secs(37), "{at:?}");
    assert_eq!(at[1], 12 * HOUR);
}

#[test]
fn a_wall_clock_set_back_repeats_nothing_and_goes_on_where_it_was() {
    let at = times(async |sim, clock| {
        clock.tell(fires(line("0 * * * *"))).unwrap();
        sim.env().sleep(3 * HOUR + MINUTE).await;
        sim.set_wall(sim.env().wall() - 2 * HOUR);
        sim.env().sleep(4 * HOUR).await;
    });
    // 4 o'clock comes two hours later than it would have.
    assert_eq!(at, [1, 2, 3, 6, 7].map(|hours| HOUR * hours));
}

#[test]
fn a_wall_clock_that_was_years_ahead_is_believed_once_it_is_right() {
    let at = times(async |sim, clock| {
        let right = sim.env().wall();
        sim.set_wall(right + 24 * 365 * 50 * HOUR);
        clock.tell(fires(line("0 * * * *"))).unwrap();
        sim.env().sleep(MINUTE).await;
        sim.set_wall(right + MINUTE);
        sim.env().sleep(2 * HOUR).await;
    });
    assert_eq!(at, [HOUR, 2 * HOUR]);
}

#[test]
fn a_key_has_one_timer_whether_by_period_or_by_calendar() {
    let at = times(async |sim, clock| {
        let replaced = || {
            set(|timers| {
                timers.cron("a", line("* * * * *"), || Tick::Fired("never"));
                timers.once("a", MINUTE / 2, || Tick::Fired("once"));
                timers.every("b", MINUTE, || Tick::Fired("never"));
                timers.cron("b", line("*/2 * * * *"), || Tick::Fired("cron"));
                timers.cron("c", line("* * * * *"), || Tick::Fired("never"));
                assert!(timers.is_set("c") && timers.cancel("c") && !timers.is_set("c"));
            })
        };
        clock.tell(replaced()).unwrap();
        sim.env().sleep(5 * MINUTE).await;
    });
    assert_eq!(at, [MINUTE / 2, 2 * MINUTE, 4 * MINUTE]);
}

#[test]
fn a_schedule_ends_with_its_incarnation_and_survives_a_resume() {
    let [restarted, resumed] = [Supervision::restart(), Supervision::resume()].map(|supervision| {
        written(clock_with(supervision, Mailbox::default()), async |sim, clock| {
            clock.tell(fires(line("* * * * *"))).unwrap();
            sim.env().sleep(MINUTE * 3 / 2).await;
            clock.tell(Tick::Fail).unwrap();
            sim.env().sleep(MINUTE).await;
        })
    });
    assert_eq!(restarted, [("cron", MINUTE)]);
    assert_eq!(resumed, [("cron", MINUTE), ("cron", 2 * MINUTE)]);
}

#[test]
fn a_schedule_whose_message_cannot_be_made_fails_its_actor_and_is_gone() {
    let clock = clock_with(Supervision::resume(), Mailbox::default());
    let written = written(clock, async |sim, clock| {
        let bad = set(|timers| timers.cron("bad", line("* * * * *"), || panic!("no message")));
        clock.tell(bad).unwrap();
        sim.env().sleep(MINUTE * 3).await;
        clock.tell(set(|timers| assert!(!timers.is_set("bad")))).unwrap();
        clock.tell(Tick::Fired("goes on")).unwrap();
        sim.env().sleep(MINUTE).await;
    });
    assert_eq!(written, [("goes on", 3 * MINUTE)]);
}

#[test]
fn an_actor_stepped_by_hand_has_schedules_as_well() {
    let (clock, diary) = clock_with(Supervision::restart(), Mailbox::default());
    let mut single = Single::new(clock);
    single.handle(fires(line("*/10 * * * *"))).unwrap();
    assert_eq!(single.advance(9 * MINUTE).unwrap(), 0);
    assert_eq!(single.advance(MINUTE).unwrap(), 1);
    assert_eq!(single.advance(HOUR).unwrap(), 1, "what was missed meanwhile is one");
    assert_eq!(single.sim().now(), t0() + HOUR + 10 * MINUTE);
    assert_eq!(diary.lock().unwrap().len(), 2);
}

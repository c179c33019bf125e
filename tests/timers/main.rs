//! When do timers fire, and what ends them?
//!
//! All of it in virtual time, to the nanosecond.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod cron;

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::{Sim, t0};
use std::sync::{Arc, Mutex};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

type Diary = Arc<Mutex<Vec<(&'static str, Duration)>>>;

type Set = Box<dyn FnOnce(&mut Timers<'_, Tick>) + Send>;

/// Sets timers as it is told, and writes down when they fire.
struct Clock {
    diary: Diary,
}

enum Tick {
    /// A timer has fired.
    Fired(&'static str),
    /// Set timers so.
    Set(Set),
    /// Await so long inside the handler.
    Busy(Duration),
    /// Tell yourself the same again, after so long a wait, until so many are told.
    Again(u32, Duration),
    Fail,
    Panic,
    StopSelf,
}

impl Clock {
    fn note(&self, what: &'static str, ctx: &Context<Self>) {
        self.diary.lock().unwrap().push((what, ctx.now() - t0()));
    }
}

impl Actor for Clock {
    type Msg = Tick;

    async fn receive(&mut self, message: Tick, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            Tick::Fired(what) => self.note(what, ctx),
            Tick::Set(set) => set(&mut ctx.timers()),
            Tick::Busy(time) => ctx.env().sleep(time).await,
            Tick::Again(0, _) => {}
            Tick::Again(left, wait) => {
                ctx.myself().tell(Tick::Again(left - 1, wait))?;
                ctx.env().sleep(wait).await;
            }
            Tick::Fail => return Err(Failure::msg("as told")),
            Tick::Panic => panic!("as told"),
            Tick::StopSelf => ctx.stop(),
        }
        Ok(())
    }
}

fn set(set: impl FnOnce(&mut Timers<'_, Tick>) + Send + 'static) -> Tick {
    Tick::Set(Box::new(set))
}

fn clock_with(supervision: Supervision, mailbox: Mailbox<Tick>) -> (Spawn<Clock>, Diary) {
    let diary = Diary::default();
    let notes = diary.clone();
    (Spawn::new(move || Clock { diary: notes.clone() }).supervision(supervision).mailbox(mailbox), diary)
}

/// What a clock writes down that is told each message at its moment, within ten seconds.
fn written(schedule: Vec<(Duration, Tick)>) -> Vec<(&'static str, Duration)> {
    written_by(clock_with(Supervision::restart(), Mailbox::default()), 0, schedule)
}

/// The same of this clock, which fails so many times.
fn written_by(
    (clock, diary): (Spawn<Clock>, Diary),
    failures: u64,
    schedule: Vec<(Duration, Tick)>,
) -> Vec<(&'static str, Duration)> {
    let sim = Sim::new(1);
    sim.block_on(async {
        let env = sim.env();
        let system = ActorSystem::builder("timers").env(env.clone()).start().await.unwrap();
        let clock = system.spawn("clock", clock).unwrap();
        for (at, message) in schedule {
            env.sleep_until(t0() + at).await;
            clock.tell(message).unwrap();
        }
        env.sleep_until(t0() + Duration::from_secs(10)).await;
        assert_eq!(system.stats().failures, failures, "an assertion inside the clock may have failed");
    });
    let diary = diary.lock().unwrap();
    diary.clone()
}

#[test]
fn once_fires_once_and_every_fires_on_its_grid_until_it_is_cancelled() {
    let schedule = vec![
        (
            ms(0),
            set(|timers| {
                timers.once("once", ms(70), || Tick::Fired("once"));
                timers.every("every", ms(30), || Tick::Fired("every"));
            }),
        ),
        (
            ms(100),
            set(|timers| {
                assert!(timers.cancel("every") && !timers.cancel("every") && !timers.cancel("once"));
            }),
        ),
    ];
    assert_eq!(
        written(schedule),
        [("every", ms(30)), ("every", ms(60)), ("once", ms(70)), ("every", ms(90))]
    );
}

#[test]
fn a_timer_is_set_until_it_has_fired_or_was_cancelled() {
    let schedule = vec![
        (
            ms(0),
            set(|timers| {
                assert!(!timers.is_set("once"));
                timers.once("once", ms(70), || Tick::Fired("once"));
                timers.every("every", ms(80), || Tick::Fired("every"));
                assert!(timers.is_set("once") && timers.is_set("every"));
            }),
        ),
        (ms(69), set(|timers| assert!(timers.is_set("once")))),
        (
            ms(100),
            set(|timers| assert!(!timers.is_set("once") && timers.is_set("every") && timers.cancel("every"))),
        ),
        (ms(101), Tick::Fired("all asserted")),
    ];
    assert_eq!(written(schedule), [("once", ms(70)), ("every", ms(80)), ("all asserted", ms(101))]);
}

#[test]
fn setting_a_key_again_replaces_its_timer_whatever_its_kind() {
    let schedule = vec![
        (ms(0), set(|timers| timers.once("a", ms(50), || Tick::Fired("first")))),
        (ms(40), set(|timers| timers.once("a", ms(50), || Tick::Fired("second")))),
        (ms(0), set(|timers| timers.every("b", ms(35), || Tick::Fired("periodic")))),
        (ms(50), set(|timers| timers.once("b", ms(50), || Tick::Fired("no longer periodic")))),
    ];
    assert_eq!(written(schedule), [("second", ms(90)), ("no longer periodic", ms(100))]);
}

#[test]
fn two_timers_of_one_moment_fire_in_the_order_in_which_they_were_set() {
    let schedule = vec![(
        ms(0),
        set(|timers| {
            timers.once("z", ms(50), || Tick::Fired("z"));
            timers.once("a", ms(50), || Tick::Fired("a"));
            timers.once("m", ms(50), || Tick::Fired("m"));
        }),
    )];
    assert_eq!(written(schedule), [("z", ms(50)), ("a", ms(50)), ("m", ms(50))]);
}

#[test]
fn a_timer_of_zero_fires_after_the_current_message_and_a_period_of_zero_is_a_millisecond() {
    let schedule = vec![
        (ms(5), set(|timers| timers.once("zero", Duration::ZERO, || Tick::Fired("zero")))),
        (ms(7), set(|timers| timers.every("fast", Duration::ZERO, || Tick::Fired("fast")))),
        (ms(9), set(|timers| assert!(timers.cancel("fast")))),
    ];
    let written = written(schedule);
    assert_eq!(written[..2], [("zero", ms(5)), ("fast", ms(8))]);
    assert!(written.len() <= 3, "{written:?}");
}

#[test]
fn a_timer_beyond_all_time_is_set_and_harms_nobody() {
    let schedule = vec![
        (
            ms(0),
            set(|timers| {
                timers.once("never", Duration::MAX, || Tick::Fired("never"));
                timers.every("seldom", Duration::MAX, || Tick::Fired("seldom"));
                timers.once("soon", ms(3), || Tick::Fired("soon"));
            }),
        ),
        (ms(10), set(|timers| assert!(timers.is_set("never") && timers.is_set("seldom")))),
        (ms(11), Tick::Fired("all asserted")),
    ];
    assert_eq!(written(schedule), [("soon", ms(3)), ("all asserted", ms(11))]);
}

#[test]
fn periods_that_pass_while_the_handler_awaits_make_one_message_and_the_grid_stays() {
    let schedule = vec![
        (ms(0), set(|timers| timers.every("every", ms(10), || Tick::Fired("every")))),
        (ms(15), Tick::Busy(ms(40))),
        (ms(75), set(|timers| assert!(timers.cancel("every")))),
    ];
    let at = |millis| ("every", ms(millis));
    assert_eq!(written(schedule), [at(10), at(55), at(60), at(70)]);
}

#[test]
fn a_timer_that_came_due_while_the_handler_awaited_fires_before_what_is_queued() {
    let schedule = vec![
        (ms(0), set(|timers| timers.once("once", ms(10), || Tick::Fired("timer")))),
        (ms(5), Tick::Busy(ms(20))),
        (ms(6), Tick::Fired("queued")),
    ];
    assert_eq!(written(schedule), [("timer", ms(25)), ("queued", ms(25))]);
}

#[test]
fn a_timer_cancelled_or_replaced_after_it_came_due_does_not_fire() {
    struct Late {
        diary: Diary,
    }
    impl Actor for Late {
        type Msg = &'static str;
        async fn receive(&mut self, what: &'static str, ctx: &mut Context<Self>) -> Result<(), Failure> {
            if what == "go" {
                ctx.timers().once("cancelled", ms(1), || "cancelled");
                ctx.timers().once("replaced", ms(1), || "replaced");
                ctx.env().sleep(ms(10)).await;
                assert!(ctx.timers().cancel("cancelled"));
                ctx.timers().once("replaced", ms(5), || "replacement");
            } else {
                self.diary.lock().unwrap().push((what, ctx.now() - t0()));
            }
            Ok(())
        }
    }
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = ActorSystem::builder("timers").env(sim.env()).start().await.unwrap();
        let notes = diary.clone();
        system.spawn("late", move || Late { diary: notes.clone() }).unwrap().tell("go").unwrap();
        sim.env().sleep(ms(1_000)).await;
        assert_eq!(system.stats().failures, 0);
    });
    assert_eq!(*diary.lock().unwrap(), [("replacement", ms(15))]);
}

#[test]
fn timers_fire_in_time_with_a_mailbox_that_is_never_empty() {
    for mailbox in [Mailbox::default(), Mailbox::unbounded(), Mailbox::priority(|_| 7)] {
        let name = format!("{mailbox:?}");
        let mut schedule =
            vec![(ms(0), set(|timers| timers.every("every", ms(100), || Tick::Fired("every"))))];
        // Three chains of messages, so that there is always one more in the mailbox: for three seconds.
        schedule.extend((0..3).map(|_| (ms(0), Tick::Again(1_000, ms(1)))));
        schedule.push((ms(2_995), set(|timers| assert!(timers.cancel("every")))));
        let fired = written_by(clock_with(Supervision::restart(), mailbox), 0, schedule);
        assert_eq!(fired.len(), 29, "{name}: {fired:?}");
        for (number, (_, at)) in (1..).zip(fired) {
            let due = ms(100) * number;
            assert!(at >= due && at <= due + ms(32), "{name}: due at {due:?}, fired at {at:?}");
        }
    }
}

#[test]
fn a_flood_of_messages_that_never_await_delays_a_due_timer_by_some_tens_of_messages_only() {
    let mut schedule = vec![
        (ms(0), set(|timers| timers.once("once", ms(100), || Tick::Fired("timer")))),
        (ms(1), Tick::Busy(ms(49))),
        // From here on all are taken in one batch, at 50 ms. The timer comes due while the first of them runs.
        (ms(3), Tick::Busy(ms(60))),
    ];
    schedule.extend((0..500).map(|_| (ms(3), Tick::Fired("flood"))));
    let written = written(schedule);
    let before = written.iter().position(|&(what, _)| what == "timer").unwrap();
    assert!((1..=32).contains(&before), "{before} messages went first");
    assert_eq!(written.len(), 501);
}

#[test]
fn timers_end_with_their_actor() {
    let schedule = vec![
        (ms(0), set(|timers| timers.every("every", ms(10), || Tick::Fired("every")))),
        (ms(25), Tick::StopSelf),
    ];
    assert_eq!(written(schedule), [("every", ms(10)), ("every", ms(20))]);
}

#[test]
fn timers_end_with_their_incarnation_and_survive_a_resume() {
    for fail in [|| Tick::Fail, || Tick::Panic] {
        let schedule = || {
            vec![
                (ms(0), set(|timers| timers.every("every", ms(10), || Tick::Fired("every")))),
                (ms(25), fail()),
                (
                    ms(45),
                    set(|timers| {
                        timers.cancel("every");
                    }),
                ),
            ]
        };
        let [restarted, resumed] = [Supervision::restart(), Supervision::resume()]
            .map(|supervision| written_by(clock_with(supervision, Mailbox::default()), 1, schedule()));
        assert_eq!(restarted, [("every", ms(10)), ("every", ms(20))]);
        assert_eq!(resumed, [10, 20, 30, 40].map(|at| ("every", ms(at))));
    }
}

#[test]
fn a_timer_whose_message_cannot_be_made_fails_its_actor_and_is_gone_while_the_others_go_on() {
    let schedule = vec![
        (
            ms(0),
            set(|timers| {
                timers.every("bad", ms(10), || panic!("no message"));
                timers.every("good", ms(25), || Tick::Fired("good"));
            }),
        ),
        (ms(30), set(|timers| assert!(!timers.is_set("bad"), "it is gone"))),
        (ms(31), Tick::Fired("asserted")),
        (ms(80), set(|timers| assert!(timers.cancel("good")))),
    ];
    let written = written_by(clock_with(Supervision::resume(), Mailbox::default()), 1, schedule);
    assert_eq!(written, [("good", ms(25)), ("asserted", ms(31)), ("good", ms(50)), ("good", ms(75))]);
}

#[test]
fn a_timer_needs_no_room_in_a_full_mailbox() {
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        let schedule = vec![
            (ms(0), set(|timers| timers.once("once", ms(10), || Tick::Fired("timer")))),
            (ms(5), Tick::Busy(ms(20))),
            (ms(6), Tick::Fired("fills the mailbox")),
        ];
        let mailbox = Mailbox::bounded(2).on_full(overflow);
        let written = written_by(clock_with(Supervision::restart(), mailbox), 0, schedule);
        assert_eq!(written, [("timer", ms(25)), ("fills the mailbox", ms(25))], "{overflow:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_fire_on_tokio_as_well() {
    struct Ticker(Option<tokio::sync::oneshot::Sender<u32>>, u32);
    impl Actor for Ticker {
        type Msg = ();
        async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.timers().every("tick", ms(1), || ());
            Ok(())
        }
        async fn receive(&mut self, (): (), ctx: &mut Context<Self>) -> Result<(), Failure> {
            self.1 += 1;
            if self.1 == 10 {
                ctx.timers().cancel("tick");
                // The test may be gone.
                let _ = self.0.take().map(|done| done.send(self.1));
            }
            Ok(())
        }
    }
    let system = ActorSystem::start("ticks").await.unwrap();
    let (done, finished) = tokio::sync::oneshot::channel();
    let mut done = Some(done);
    system.spawn("ticker", move || Ticker(done.take(), 0)).unwrap();
    assert_eq!(finished.await, Ok(10));
    system.shutdown().await;
}

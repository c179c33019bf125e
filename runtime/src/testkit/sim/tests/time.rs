//! Time moves when nothing can run, to the next timer, and not without need.

use super::*;
use futures_util::future::join_all;
use std::task::Wake;

const ALMOST: Duration = Duration::from_nanos(999_999_999);

#[test]
fn a_day_of_virtual_time_passes_without_anyone_waiting() {
    let sim = Sim::new(1);
    let env = sim.env();
    let woken_at = sim.block_on(async {
        env.sleep(DAY).await;
        env.now()
    });
    assert_eq!(woken_at, t0() + DAY);
    assert_eq!((sim.now(), sim.elapsed()), (t0() + DAY, DAY));
}

#[test]
fn timers_fire_by_time_and_then_by_registration() {
    let sim = Sim::logging(1);
    let env = sim.env();
    let waits = [30, 10, 20, 10, 30].map(|nanos| env.sleep(Duration::from_nanos(nanos)));
    sim.block_on(join_all(waits));
    let fired: Vec<_> = sim.log().into_iter().filter(|entry| entry.contains("timer")).collect();
    assert_eq!(fired, ["10 timer #1", "10 timer #3", "20 timer #2", "30 timer #0", "30 timer #4"]);
}

#[test]
fn tasks_woken_by_timers_of_one_instant_run_in_drawn_order() {
    let order = |seed| {
        let sim = Sim::new(seed);
        let woken = Arc::new(Mutex::new(Vec::new()));
        for task in 0..10 {
            let (env, woken) = (sim.env(), Arc::clone(&woken));
            sim.env().spawn(|| format!("task {task}"), async move {
                env.sleep(SECOND).await;
                woken.lock().push(task);
            });
        }
        sim.advance(SECOND);
        std::mem::take(&mut *woken.lock())
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn a_timer_waits_until_nothing_else_can_run() {
    let sim = Sim::new(1);
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    sim.env().spawn(|| "busy".to_owned(), async move {
        for _ in 0..1000 {
            counted.fetch_add(1, Ordering::Relaxed);
            step_back().await;
        }
    });
    let env = sim.env();
    sim.block_on(async { env.sleep(NANOSECOND).await });
    assert_eq!(steps.load(Ordering::Relaxed), 1000);
}

#[test]
fn a_wait_of_zero_ends_at_once_and_so_does_one_for_the_past() {
    let sim = Sim::logging(1);
    let env = sim.env();
    sim.advance(SECOND);
    sim.block_on(async {
        env.sleep(Duration::ZERO).await;
        env.sleep_until(t0()).await;
        env.sleep_until(t0() + SECOND).await;
    });
    assert_eq!(sim.log(), ["1000000000 poll #0 block_on", "1000000000 finish #0 block_on"]);
}

#[test]
fn a_far_wait_comes_true_before_the_horizon_and_never_after_it() {
    let sim = Sim::new(1);
    let env = sim.env();
    let century = crate::env::HORIZON;
    sim.block_on(async { env.sleep(century).await });
    assert_eq!(sim.elapsed(), century);
    let report = panic_of(|| sim.block_on(async { env.sleep(NANOSECOND).await }));
    assert!(report.starts_with("nothing can ever happen again"), "{report}");
    assert!(env.wall() > std::time::SystemTime::UNIX_EPOCH + century);

    let sim = Sim::new(1);
    let env = sim.env();
    env.spawn(|| "sleeper".to_owned(), {
        let env = env.clone();
        async move { env.sleep(2 * century).await }
    });
    assert!(sim.run_until_quiet(DAY), "a wait that never ends sets no timer");
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_timer_wakes_the_waker_of_its_last_poll_only() {
    let sim = Sim::new(1);
    let mut sleep = sim.env().sleep(SECOND);
    let (first, last) = (Arc::<Count>::default(), Arc::<Count>::default());
    for count in [&first, &last] {
        let waker = Waker::from(Arc::clone(count));
        assert!(pin!(&mut sleep).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    sim.advance(SECOND);
    assert_eq!((first.0.load(Ordering::Relaxed), last.0.load(Ordering::Relaxed)), (0, 1));
    assert!(pin!(&mut sleep).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert!(pin!(&mut sleep).poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[test]
fn a_dropped_wait_leaves_no_timer_and_no_waker_behind() {
    let sim = Sim::new(1);
    let count = Arc::<Count>::default();
    let waker = Waker::from(Arc::clone(&count));
    for _ in 0..100 {
        let mut sleep = sim.env().sleep(SECOND);
        assert!(pin!(&mut sleep).poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(sim.executor.has_timers());
    }
    drop(waker);
    assert!(!sim.executor.has_timers());
    assert_eq!(Arc::strong_count(&count), 1);
    assert!(sim.run_until_quiet(DAY));
    assert_eq!(sim.elapsed(), Duration::ZERO);
}

#[test]
fn advance_runs_what_is_due_up_to_and_including_its_end() {
    let sim = Sim::new(1);
    let ticks = Arc::new(AtomicUsize::new(0));
    let (env, counted) = (sim.env(), Arc::clone(&ticks));
    sim.env().spawn(|| "clockwork".to_owned(), async move {
        loop {
            env.sleep(SECOND).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let ticks_after = |step| {
        sim.advance(step);
        ticks.load(Ordering::Relaxed)
    };
    assert_eq!(ticks_after(ALMOST), 0);
    assert_eq!(ticks_after(NANOSECOND), 1);
    assert_eq!(ticks_after(Duration::ZERO), 1);
    assert_eq!(ticks_after(9 * SECOND + SECOND / 2), 10);
    assert_eq!(sim.elapsed(), 10 * SECOND + SECOND / 2);
}

#[test]
fn running_until_idle_leaves_the_time_alone() {
    let sim = Sim::new(1);
    let reached = Arc::new(AtomicUsize::new(0));
    let (env, steps) = (sim.env(), Arc::clone(&reached));
    sim.env().spawn(|| "task".to_owned(), async move {
        steps.fetch_add(1, Ordering::Relaxed);
        env.sleep(NANOSECOND).await;
        steps.fetch_add(1, Ordering::Relaxed);
    });
    sim.run_until_idle();
    assert_eq!((reached.load(Ordering::Relaxed), sim.elapsed()), (1, Duration::ZERO));
}

#[test]
fn running_until_quiet_stops_at_the_last_timer_or_at_its_limit() {
    let sim = Sim::new(1);
    let env = sim.env();
    sim.env().spawn(|| "once".to_owned(), async move { env.sleep(SECOND).await });
    assert!(!sim.run_until_quiet(ALMOST));
    assert_eq!(sim.elapsed(), ALMOST);
    assert!(sim.run_until_quiet(Duration::MAX));
    assert_eq!(sim.elapsed(), SECOND);

    let env = sim.env();
    sim.env().spawn(|| "for ever".to_owned(), async move {
        loop {
            env.sleep(DAY).await;
        }
    });
    assert!(!sim.run_until_quiet(10 * DAY));
    assert_eq!(sim.elapsed(), SECOND + 10 * DAY);
}

#[test]
fn time_cannot_be_moved_from_inside() {
    let sim = Sim::new(1);
    let report = panic_of(|| sim.block_on(async { sim.advance(SECOND) }));
    assert!(report.contains("already running"), "{report}");
    sim.advance(SECOND);
}

#[test]
fn time_does_not_pass_the_horizon() {
    let sim = Sim::new(1);
    sim.advance(crate::env::HORIZON);
    assert!(panic_of(|| sim.advance(NANOSECOND)).contains("ends 100 years"));
    assert!(panic_of(|| sim.advance(Duration::MAX)).contains("ends 100 years"));
}

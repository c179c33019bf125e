//! How a simulation ends: with a result, a report, a panic, or a drop.

use super::*;
use std::task::Wake;

#[test]
fn a_dead_end_is_reported_with_the_tasks_that_wait() {
    let sim = Sim::new(77);
    let env = sim.env();
    for name in ["/user/a", "/user/b"] {
        env.spawn(|| name.to_owned(), pending());
    }
    env.spawn(|| "/user/done".to_owned(), async {});
    let report = panic_of(|| {
        sim.block_on(async {
            env.sleep(SECOND).await;
            pending::<()>().await;
        });
    });
    assert_eq!(
        report,
        "nothing can ever happen again (seed 77, after 1s): the future given to block_on waits, but no task \
         can run and no timer is set. Tasks that wait: `/user/a`, `/user/b`"
    );
    assert_eq!(sim.block_on(async { 1 }), 1, "the simulation can still be used");
}

#[test]
fn a_dead_end_names_at_most_a_hundred_tasks() {
    let sim = Sim::new(1);
    let dead_end = || panic_of(|| sim.block_on(pending()));
    assert!(dead_end().ends_with("There is no other task."));
    for task in 0..100 {
        sim.env().spawn(|| format!("task {task}"), pending());
    }
    assert!(dead_end().ends_with(", `task 98`, `task 99`"));
    sim.env().spawn(|| "one more".to_owned(), pending());
    assert!(dead_end().ends_with(", `task 99` and 1 more"));
}

#[test]
fn the_panic_of_a_task_is_passed_on_with_its_name() {
    let sim = Sim::logging(5);
    let env = sim.env();
    env.spawn(|| "/user/broken".to_owned(), async { panic!("no {}", "luck") });
    let report = panic_of(|| {
        sim.block_on(async { env.sleep(SECOND).await });
    });
    assert_eq!(report, "task `/user/broken` panicked (seed 5, after 0ns): no luck");
    assert!(sim.log().contains(&"0 panic #0 /user/broken".to_owned()));
    sim.block_on(async { env.sleep(SECOND).await });
}

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_destructor_that_panics_when_its_task_ends_is_passed_on_too() {
    let sim = Sim::new(1);
    let report = "task `/user/broken` panicked (seed 1, after 0ns): bomb";
    let bomb = OnDrop(|| panic!("bomb"));
    sim.env().spawn(|| "/user/broken".to_owned(), async move { drop(bomb) });
    assert_eq!(panic_of(|| sim.run_until_idle()), report);
    let bomb = OnDrop(|| panic!("bomb"));
    let held = poll_fn(move |_| {
        let _bomb = &bomb;
        Poll::Ready(())
    });
    sim.env().spawn(|| "/user/broken".to_owned(), held);
    assert_eq!(panic_of(|| sim.run_until_idle()), report);
}

#[test]
fn dropping_a_simulation_drops_its_tasks_oldest_first_and_they_may_call_back() {
    let sim = Sim::new(1);
    let dropped = Arc::new(Mutex::new(Vec::new()));
    for task in 0..5 {
        let (env, dropped) = (sim.env(), Arc::clone(&dropped));
        let farewell = OnDrop(move || {
            let _ = (env.now(), env.random_u64(), env.sleep(SECOND));
            env.note(|| "farewell".to_owned());
            env.spawn(|| "too late".to_owned(), async { unreachable!("never polled") });
            dropped.lock().push(task);
        });
        let env = sim.env();
        sim.env().spawn(|| format!("task {task}"), async move {
            let _farewell = farewell;
            env.sleep(DAY).await;
        });
    }
    sim.run_until_idle();
    drop(sim);
    assert_eq!(*dropped.lock(), [0, 1, 2, 3, 4]);
}

#[test]
fn dropping_a_simulation_frees_everything() {
    let sim = Sim::new(1);
    let (env, executor) = (sim.env(), Arc::downgrade(&sim.executor));
    sim.env().spawn(|| "holds its own world".to_owned(), async move { env.sleep(DAY).await });
    sim.run_until_idle();
    drop(sim);
    assert_eq!(executor.strong_count(), 0);
}

#[test]
fn a_destructor_that_panics_keeps_no_other_task_from_being_dropped() {
    let sim = Sim::new(1);
    let drops = Arc::new(AtomicUsize::new(0));
    for task in 0..3 {
        let drops = Arc::clone(&drops);
        let bomb = OnDrop(move || {
            drops.fetch_add(1, Ordering::Relaxed);
            panic!("bomb {task}");
        });
        sim.env().spawn(|| format!("task {task}"), async move {
            let _bomb = bomb;
            pending::<()>().await;
        });
    }
    assert_eq!(panic_of(|| drop(sim)), "bomb 0");
    assert_eq!(drops.load(Ordering::Relaxed), 3);
}

/// A waker that keeps something alive.
struct Holds(#[expect(dead_code, reason = "it is only held")] Arc<()>);

impl Wake for Holds {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn what_outlives_a_simulation_is_harmless() {
    let sim = Sim::new(1);
    let env = sim.env();
    drop(sim);
    let held = Arc::new(());
    let mut sleep = env.sleep(SECOND);
    let waker = Waker::from(Arc::new(Holds(Arc::clone(&held))));
    assert!(pin!(&mut sleep).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!(Arc::strong_count(&held), 1, "a wait that cannot end keeps no waker");
    let kept = Arc::clone(&held);
    env.spawn(|| "too late".to_owned(), async move { drop(kept) });
    assert_eq!(Arc::strong_count(&held), 1);
}

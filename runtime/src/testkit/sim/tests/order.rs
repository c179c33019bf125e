//! The seed decides who goes first, and nothing else does; the log shows it.

use super::*;

/// Spawns tasks that each append their number to a list several times, and returns the list.
fn order_of_ten_tasks(sim: &Sim) -> Vec<usize> {
    let order = Arc::new(Mutex::new(Vec::new()));
    for task in 0..10 {
        let order = Arc::clone(&order);
        sim.env().spawn(|| format!("task {task}"), async move {
            for _ in 0..3 {
                order.lock().push(task);
                step_back().await;
            }
        });
    }
    sim.run_until_idle();
    std::mem::take(&mut order.lock())
}

#[test]
fn the_same_seed_gives_the_same_order_and_another_seed_another() {
    let order = |seed| order_of_ten_tasks(&Sim::new(seed));
    assert_eq!(order(1), order(1));
    assert_eq!(order(2), order(2));
    assert_ne!(order(1), order(2));
}

#[test]
fn every_runnable_task_may_go_first() {
    let mut first = [0; 10];
    for seed in 0..1000 {
        first[order_of_ten_tasks(&Sim::new(seed))[0]] += 1;
    }
    assert!(first.iter().all(|&times| times > 50), "{first:?}");
}

#[test]
fn drawing_a_number_more_leaves_the_schedule_as_it_is() {
    let sim = Sim::new(5);
    let _ = sim.env().random_u64();
    assert_eq!(order_of_ten_tasks(&sim), order_of_ten_tasks(&Sim::new(5)));
}

/// The expected lines were written down by another process, so they show that nothing of a process shows.
#[test]
fn the_log_of_a_seed_is_the_same_in_every_process() {
    let sim = Sim::logging(2024);
    let env = sim.env();
    sim.block_on(async {
        for name in ["a", "b", "c"] {
            let env = sim.env();
            sim.env().spawn(|| format!("/user/{name}"), async move {
                env.sleep(Duration::from_nanos(1 + env.random_u64() % 3)).await;
                env.note(|| format!("{name} drew {}", env.random_u64() % 100));
            });
        }
        env.sleep(SECOND).await;
    });
    assert_eq!(
        sim.take_log(),
        [
            "0 poll #0 block_on",
            "0 spawn #1 /user/a",
            "0 spawn #2 /user/b",
            "0 spawn #3 /user/c",
            "0 poll #3 /user/c",
            "0 poll #2 /user/b",
            "0 poll #1 /user/a",
            "1 timer #2",
            "1 poll #2 /user/b",
            "1 note b drew 2",
            "1 finish #2 /user/b",
            "3 timer #1",
            "3 timer #3",
            "3 poll #1 /user/a",
            "3 note a drew 5",
            "3 finish #1 /user/a",
            "3 poll #3 /user/c",
            "3 note c drew 27",
            "3 finish #3 /user/c",
            "1000000000 timer #0",
            "1000000000 poll #0 block_on",
            "1000000000 finish #0 block_on",
        ]
    );
    assert!(sim.log().is_empty());
}

#[test]
fn a_simulation_without_a_log_does_not_even_make_the_notes() {
    let sim = Sim::new(1);
    sim.env().note(|| unreachable!("nobody could read it"));
    sim.block_on(step_back());
    assert!(sim.log().is_empty());
}

#[test]
fn a_log_ends_with_the_number_of_entries_it_has_no_room_for() {
    let sim = Sim::logging(1);
    let env = sim.env();
    for _ in 0..Sim::LOG_LIMIT + 3 {
        env.note(String::new);
    }
    let log = sim.log();
    assert_eq!(log.len(), Sim::LOG_LIMIT + 1);
    assert_eq!(log.last().unwrap(), "0 left out 3 entries after the first 1000000");
}

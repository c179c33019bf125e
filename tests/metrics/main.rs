//! Does a recorder get the figures of the actors, all of them, and none twice?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod bad_input;
mod projection;
mod prometheus;
mod recorder;
mod table;

use std::time::Duration;

use omnitron::Metrics;
use omnitron::prelude::*;
use omnitron::testkit::Sim;
use proptest::prelude::*;

use recorder::Seen;

const SECOND: Duration = Duration::from_secs(1);

enum Job {
    Nothing,
    Sleep(Duration),
    Fail,
    Spawn(&'static str),
}

struct Worker;

impl Actor for Worker {
    type Msg = Job;

    async fn receive(&mut self, job: Job, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match job {
            Job::Nothing => {}
            Job::Sleep(time) => ctx.env().sleep(time).await,
            Job::Fail => return Err(Failure::msg("on request")),
            Job::Spawn(name) => {
                ctx.spawn(name, worker())?.tell(Job::Nothing)?;
            }
        }
        Ok(())
    }
}

/// One that may fail as often as it likes, and starts again at once.
fn worker() -> Spawn<Worker> {
    let supervision = Supervision::restart().unlimited();
    Spawn::new(|| Worker).supervision(supervision)
}

/// Runs a test beside a system in virtual time, whose first reading is taken at second zero.
fn shop(metrics: Metrics, test: impl AsyncFnOnce(&Sim, &Seen, &ActorSystem)) {
    let (sim, seen) = (Sim::new(1), Seen::default());
    metrics::with_local_recorder(&seen, || {
        sim.block_on(async {
            let builder = ActorSystem::builder("shop").env(sim.env());
            let system = builder.extension(metrics).start().await.unwrap();
            sim.env().sleep(SECOND).await;
            test(&sim, &seen, &system).await;
        });
    });
}

#[track_caller]
fn expect(seen: &Seen, figures: &[(&str, f64)]) {
    for &(key, expected) in figures {
        let last = seen.last(key);
        assert!((last - expected).abs() < 1e-9, "{key} is {last}, not {expected}");
    }
}

#[test]
fn the_figures_are_those_of_the_actors() {
    shop(Metrics::default(), async |sim, seen, system| {
        let till = system.spawn("till", worker()).unwrap();
        let stock = system.spawn("stock", worker()).unwrap();
        let gone = system.spawn("gone", worker()).unwrap();
        for job in [Job::Nothing, Job::Fail, Job::Spawn("clerk"), Job::Nothing] {
            till.tell(job).unwrap();
        }
        for job in [Job::Sleep(SECOND * 60), Job::Nothing, Job::Nothing] {
            stock.tell(job).unwrap();
        }
        for job in [Job::Nothing, Job::Sleep(SECOND), Job::Nothing, Job::Nothing] {
            gone.tell(job).unwrap();
        }
        sim.env().sleep(SECOND / 2).await;
        gone.stop().await;
        sim.env().sleep(SECOND * 9).await;
        expect(
            seen,
            &[
                (r#"omnitron_actors{system="shop"}"#, 3.0),
                (r#"omnitron_actors_by_state{state="awaiting",system="shop"}"#, 1.0),
                (r#"omnitron_actors_by_state{state="idle",system="shop"}"#, 2.0),
                (r#"omnitron_actors_by_state{state="stopping",system="shop"}"#, 0.0),
                (r#"omnitron_actors_spawned_total{system="shop"}"#, 4.0),
                (r#"omnitron_messages_total{system="shop"}"#, 7.0),
                (r#"omnitron_failures_total{system="shop"}"#, 1.0),
                (r#"omnitron_restarts_total{system="shop"}"#, 1.0),
                (r#"omnitron_held_threads_total{system="shop"}"#, 0.0),
                (r#"omnitron_dead_letters_total{reason="stopped",system="shop"}"#, 2.0),
                (r#"omnitron_dead_letters_total{reason="expired",system="shop"}"#, 0.0),
                (r#"omnitron_mailbox_depth{system="shop"}"#, 3.0),
                (r#"omnitron_mailbox_deepest{system="shop"}"#, 4.0),
                (r#"omnitron_mailbox_oldest_seconds{system="shop"}"#, 9.0),
                (r#"omnitron_group_actors{group="till",system="shop"}"#, 2.0),
                (r#"omnitron_group_actors{group="gone",system="shop"}"#, 0.0),
                (r#"omnitron_group_depth{group="stock",system="shop"}"#, 3.0),
                (r#"omnitron_group_messages_total{group="till",system="shop"}"#, 5.0),
                (r#"omnitron_group_messages_total{group="gone",system="shop"}"#, 2.0),
                (r#"omnitron_group_failures_total{group="till",system="shop"}"#, 1.0),
                (r#"omnitron_group_failures_total{group="stock",system="shop"}"#, 0.0),
            ],
        );
        let stats = system.stats();
        assert_eq!((stats.actors, stats.spawned, stats.messages, stats.deepest_mailbox), (3, 4, 7, 4));
    });
}

#[test]
fn readings_come_at_the_interval_and_one_more_after_all_actors_have_ended() {
    let count = |seen: &Seen| seen.all(r#"omnitron_actors{system="shop"}"#).len();
    for (metrics, seconds) in [(Metrics::default(), 5), (Metrics::every(SECOND * 20), 20)] {
        let every = SECOND * seconds;
        shop(metrics, async |sim, seen, system| {
            assert_eq!(count(seen), 1, "one at the start");
            sim.env().sleep(SECOND * (seconds - 2) + Duration::from_millis(999)).await;
            assert_eq!(count(seen), 1);
            sim.env().sleep(Duration::from_millis(2)).await;
            assert_eq!(count(seen), 2);
            sim.env().sleep(every * 10).await;
            assert_eq!(count(seen), 12);

            let late = system.spawn("late", worker()).unwrap();
            late.tell(Job::Nothing).unwrap();
            assert!(system.shutdown().await.unfinished.is_empty());
            assert_eq!(seen.all(r#"omnitron_actors{system="shop"}"#)[11..], [0.0, 0.0], "none lives");
            expect(
                seen,
                &[
                    (r#"omnitron_messages_total{system="shop"}"#, 1.0),
                    (r#"omnitron_group_messages_total{group="late",system="shop"}"#, 1.0),
                ],
            );
            sim.env().sleep(every * 10).await;
            assert_eq!(count(seen), 13, "none after the last");
        });
    }
}

#[test]
fn groups_beyond_the_limit_are_together_and_none_ever_changes_its_name() {
    shop(Metrics::every(SECOND).groups(2), async |sim, seen, system| {
        let spawn = |name| {
            let worker = system.spawn(name, worker()).unwrap();
            worker.tell(Job::Nothing).unwrap();
            worker
        };
        let first = spawn("a");
        sim.env().sleep(SECOND * 2).await;
        first.stop().await;
        let _rest = ["b", "c", "d"].map(spawn);
        sim.env().sleep(SECOND * 2).await;
        spawn("a");
        sim.env().sleep(SECOND * 2).await;
        let group = |name: &str| {
            seen.last(&format!(r#"omnitron_group_messages_total{{group="{name}",system="shop"}}"#))
        };
        assert_eq!(["a", "b", "other"].map(group).map(|messages| messages.to_string()), ["2", "1", "2"]);
        let named = seen.keys().iter().filter(|key| key.starts_with("omnitron_group_actors")).count();
        assert_eq!(named, 3, "{:?}", seen.keys());
    });
}

#[test]
fn actors_that_end_during_a_reading_are_counted_once_and_no_counter_falls() {
    // More than a reading looks at in one go.
    const ACTORS: u32 = 400;
    let (messages, failures) = (
        r#"omnitron_group_messages_total{group="crowd",system="shop"}"#,
        r#"omnitron_group_failures_total{group="crowd",system="shop"}"#,
    );
    for seed in 0..10 {
        let (sim, seen) = (Sim::new(seed), Seen::default());
        metrics::with_local_recorder(&seen, || {
            sim.block_on(async {
                let builder = ActorSystem::builder("shop").env(sim.env());
                let system = builder.extension(Metrics::every(SECOND)).start().await.unwrap();
                let crowd = system.spawn("crowd", || Crowd).unwrap();
                (0..ACTORS).for_each(|number| crowd.tell(number).unwrap());
                // All of them end at the moment of a reading.
                sim.env().sleep(SECOND * 3).await;
                crowd.stop().await;
                system.shutdown().await;
            });
        });
        for (key, last) in [(messages, 2 * ACTORS), (failures, ACTORS)] {
            assert!(seen.all(key).is_sorted(), "seed {seed}: {key}: {:?}", seen.all(key));
            expect(&seen, &[(key, last.into())]);
        }
    }
}

/// Has a child for each number, which fails once.
struct Crowd;

impl Actor for Crowd {
    type Msg = u32;

    async fn receive(&mut self, number: u32, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.spawn(&number.to_string(), worker())?.tell(Job::Fail)?;
        Ok(())
    }
}

/// What a test does to a system.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Sends work to the worker of this number, which is spawned if it does not live.
    Work(usize, u8),
    Fail(usize),
    Stop(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..5, 1u8..9).prop_map(|(worker, messages)| Step::Work(worker, messages)),
        1 => (0usize..5).prop_map(Step::Fail),
        2 => (0usize..5).prop_map(Step::Stop),
        2 => (0u64..300).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn no_counter_ever_falls_and_at_the_end_each_has_counted_everything(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
        shop(Metrics::every(Duration::from_millis(100)).groups(3), async |sim, seen, system| {
            let mut alive: [Option<ActorRef<Job>>; 5] = Default::default();
            let (mut handled, mut failed) = (0, 0);
            for step in steps {
                match step {
                    Step::Work(number, _) | Step::Fail(number) if alive[number].is_none() => {
                        alive[number] = Some(system.spawn(NAMES[number], worker()).unwrap());
                    }
                    Step::Work(number, messages) => {
                        for _ in 0..messages {
                            alive[number].as_ref().unwrap().tell(Job::Nothing).unwrap();
                            handled += 1;
                        }
                    }
                    Step::Fail(number) => {
                        alive[number].as_ref().unwrap().tell(Job::Fail).unwrap();
                        failed += 1;
                    }
                    Step::Stop(number) => {
                        if let Some(worker) = alive[number].take() {
                            worker.drain().await;
                        }
                    }
                    Step::Pass(ms) => sim.env().sleep(Duration::from_millis(ms)).await,
                }
            }
            system.shutdown().await;

            assert_eq!(system.stats().messages, handled + failed, "drained before they ended");
            for (name, truth) in [
                ("omnitron_group_messages_total", handled + failed),
                ("omnitron_messages_total", handled + failed),
                ("omnitron_group_failures_total", failed),
                ("omnitron_failures_total", failed),
            ] {
                let keys = seen.keys();
                let all = keys.iter().filter(|key| key.starts_with(name)).map(|key| seen.last(key));
                let sum = all.fold(0.0, |sum, figure| sum + figure);
                assert_eq!(format!("{sum}"), format!("{truth}"), "{name}");
            }
            for key in seen.keys().iter().filter(|key| key.contains("_total{")) {
                assert!(seen.all(key).is_sorted(), "{key}: {:?}", seen.all(key));
            }
        });
    }
}

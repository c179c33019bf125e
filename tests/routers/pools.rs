//! What does a pool do about routees that are new, and about those that end?

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use omnitron::WhenEnded;
use omnitron::prelude::*;

use crate::world::{Act, Job, SECOND, World, names};

#[test]
fn a_routee_that_ends_is_replaced_under_its_number() {
    let world = World::new(1);
    let (pool, control) = world.pool(2, Routing::round_robin());
    let before = control.routees();
    world.sim.block_on(before[0].stop());
    world.sim.run_until_idle();
    let after = control.routees();
    assert_eq!(names(&after), ["0", "1"]);
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[1]);
    world.tell(&pool, 0..4);
    assert_eq!(world.seen.numbers(), [0, 1, 2, 3]);
}

#[test]
fn a_pool_that_removes_those_that_end_goes_on_without_them() {
    let world = World::new(1);
    let (pool, control) =
        world.spawn(Router::pool(3, Routing::round_robin(), world.workers()).when_ended(WhenEnded::Remove));
    world.sim.block_on(control.routees()[1].stop());
    world.sim.run_until_idle();
    assert_eq!(names(&control.routees()), ["0", "2"]);
    world.tell(&pool, 0..4);
    assert_eq!(world.seen.numbers(), [0, 1, 2, 3]);
    // A number that is free again is given first.
    world.resize(&control, 3);
    assert_eq!(names(&control.routees()), ["0", "1", "2"]);
}

#[test]
fn messages_that_meet_only_routees_that_have_ended_wait_for_the_replacements() {
    for seed in 0..20 {
        let world = World::new(seed);
        let route = [Routing::round_robin(), Routing::least_loaded(), Routing::consistent_hash(Job::number)];
        for (index, route) in route.into_iter().enumerate() {
            let pool = Router::pool(2, route, world.workers());
            let control = pool.control();
            let pool = world.system.spawn(&format!("pool-{index}"), pool).unwrap();
            world.sim.run_until_idle();
            world.sim.block_on(async {
                for routee in control.routees() {
                    routee.stop().await;
                }
                (0..6).for_each(|number| pool.tell(Job::note(number)).unwrap());
            });
            world.sim.run_until_idle();
        }
        assert_eq!(world.seen.numbers().len(), 18, "seed {seed}");
        assert_eq!(world.system.stats().dead_letters, 0);
    }
}

#[test]
fn a_restart_of_a_routee_keeps_its_place_and_what_it_has() {
    let world = World::new(1);
    let (pool, control) = world.pool(1, Routing::round_robin());
    let before = control.routees();
    pool.tell(Job::Do(0, Act::Fail)).unwrap();
    world.tell(&pool, 1..4);
    assert_eq!(world.seen.of("0"), [1, 2, 3]);
    assert_eq!(control.routees(), before);
}

/// A routee that stops as soon as it has started.
struct Mayfly(Arc<AtomicU32>);

impl Actor for Mayfly {
    type Msg = u32;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        ctx.stop();
        Ok(())
    }

    async fn receive(&mut self, _: u32, _: &mut Context<Self>) -> Result<(), Failure> {
        Ok(())
    }
}

#[test]
fn routees_that_end_at_once_are_replaced_later_and_later_and_the_router_does_not_hang() {
    let world = World::new(1);
    let lives = Arc::new(AtomicU32::new(0));
    let count = lives.clone();
    let pool = Router::pool(1, Routing::round_robin(), move || Mayfly(count.clone()));
    let pool = world.system.spawn("pool", pool).unwrap();
    world.sim.run_until_idle();
    assert_eq!(lives.load(Ordering::Relaxed), 2, "the first replacement comes at once");
    world.sim.advance(Duration::from_mins(10));
    let after_ten_minutes = lives.load(Ordering::Relaxed);
    assert!((60..=75).contains(&after_ten_minutes), "{after_ten_minutes} lives, every 10 s at most");
    pool.tell(1).unwrap();
    world.sim.advance(SECOND);
    assert_eq!(pool.depth(), 0);
    assert_eq!(world.system.stats().dead_letters, 1);
}

/// The warm-ups that ran, and what the next ones do.
#[derive(Clone, Default)]
struct Stove {
    ran: Arc<AtomicU32>,
}

impl Stove {
    fn ran(&self) -> u32 {
        self.ran.load(Ordering::Relaxed)
    }

    fn heat(&self) -> u32 {
        self.ran.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[test]
fn a_new_routee_gets_its_first_message_after_its_warm_up() {
    let world = World::new(1);
    let pool = Router::pool(2, Routing::round_robin(), world.workers()).warm_up(
        60 * SECOND,
        |routee: ActorRef<Job>| async move {
            routee.ask(|reply| Job::Get(100, Act::Busy(2 * SECOND), reply)).await?;
            Ok(())
        },
    );
    let (pool, control) = world.spawn(pool);
    world.tell(&pool, 0..2);
    assert_eq!(control.routees(), []);
    world.sim.advance(3 * SECOND);
    assert_eq!(world.seen.of("0"), [100, 0]);
    assert_eq!(world.seen.of("1"), [100, 1]);
    // One that comes later as well; meanwhile the others do its work.
    world.resize(&control, 3);
    world.tell(&pool, 2..8);
    assert_eq!(world.seen.of("2"), Vec::<u32>::new());
    world.sim.advance(3 * SECOND);
    world.tell(&pool, 8..11);
    assert_eq!(world.seen.of("2").len(), 2);
    assert_eq!(world.seen.numbers().len(), 14);
}

#[test]
fn a_routee_that_fails_to_warm_up_is_stopped_reported_and_tried_again() {
    let world = World::new(1);
    let stove = Stove::default();
    let heater = stove.clone();
    let env = world.sim.env();
    let pool = Router::pool(1, Routing::round_robin(), world.workers()).warm_up(SECOND, move |_| {
        let (heater, env) = (heater.clone(), env.clone());
        async move {
            match heater.heat() {
                1 => Err(Failure::msg("cold")),
                2 => panic!("on fire"),
                3 => {
                    env.sleep(60 * SECOND).await; // past its time
                    Ok(())
                }
                _ => Ok(()),
            }
        }
    });
    let (pool, control) = world.spawn(pool);
    assert_eq!(stove.ran(), 1);
    // Nobody is there, and nobody waits for the next attempt.
    world.tell(&pool, [0]);
    assert_eq!(world.system.dead_letters().count(Reason::NoRoutee), 1);
    world.sim.advance(10 * SECOND);
    assert_eq!(stove.ran(), 4);
    assert_eq!(world.system.stats().failures, 3);
    assert_eq!(names(&control.routees()), ["0"]);
    assert_eq!(world.ask(&pool, 1).unwrap(), "0");
}

#[test]
fn the_keys_of_a_routee_wait_for_its_replacement_to_be_warm() {
    let world = World::new(1);
    let env = world.sim.env();
    let pool = Router::consistent_hash(2, Job::number, world.workers()).warm_up(60 * SECOND, move |_| {
        let env = env.clone();
        async move {
            env.sleep(SECOND).await;
            Ok(())
        }
    });
    let (pool, control) = world.spawn(pool);
    let owner = world.ask(&pool, 5).unwrap();
    let routees = control.routees();
    world.sim.block_on(routees.iter().find(|routee| routee.path().name() == owner).unwrap().stop());
    let before = world.sim.elapsed();
    assert_eq!(world.ask(&pool, 5).unwrap(), owner);
    assert_eq!(world.sim.elapsed(), before + SECOND);
}

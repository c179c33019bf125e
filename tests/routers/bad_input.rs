//! What does a router answer to what cannot work?

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::{ControlError, PoolLoad};

use crate::world::{Act, Job, SECOND, World, names};

#[test]
fn a_resize_to_zero_is_refused_and_changes_nothing() {
    let world = World::new(1);
    let (_, control) = world.pool(2, Routing::round_robin());
    let refused = world.sim.block_on(control.resize(0)).unwrap_err();
    assert!(matches!(refused, ControlError::NoRoutees), "{refused:?}");
    assert!(refused.to_string().contains("stop it instead"), "{refused}");
    assert_eq!(control.routees().len(), 2);
}

#[test]
fn a_control_of_a_pool_that_does_not_run_says_so() {
    let world = World::new(1);
    let pool = Router::pool(1, Routing::round_robin(), world.workers());
    let control = pool.control();
    let refused = |control: &omnitron::PoolControl<Job>| {
        let refused = world.sim.block_on(control.resize(3));
        assert!(matches!(refused, Err(ControlError::NotRunning)), "{refused:?}");
    };
    refused(&control);
    // Spawned and resized in one go: the control waits for the start.
    let running = world.system.spawn("pool", pool).unwrap();
    world.sim.block_on(control.resize(3)).unwrap();
    assert_eq!(control.routees().len(), 3);
    world.sim.block_on(running.stop());
    world.sim.run_until_idle();
    refused(&control);
    // One that is refused a name never runs.
    let _taken = world.worker("taken");
    let pool = Router::pool(1, Routing::round_robin(), world.workers());
    let control = pool.control();
    assert!(world.system.spawn("taken", pool).is_err());
    refused(&control);
}

#[test]
fn a_pool_of_zero_has_one_routee() {
    let world = World::new(1);
    let (pool, control) = world.pool(0, Routing::round_robin());
    assert_eq!(names(&control.routees()), ["0"]);
    assert_eq!(world.ask(&pool, 1).unwrap(), "0");
}

#[test]
fn a_key_function_that_panics_loses_its_message_and_keeps_the_routees() {
    let world = World::new(1);
    let key = |job: &Job| {
        assert_ne!(job.number(), 13, "unlucky");
        job.number()
    };
    let (pool, control) = world.spawn(Router::consistent_hash(2, key, world.workers()));
    let before = control.routees();
    world.tell(&pool, 12..15);
    assert_eq!(world.seen.numbers(), [12, 14]);
    assert_eq!(world.system.stats().failures, 1);
    assert_eq!(control.routees(), before);
    assert!(matches!(world.ask(&pool, 13), Err(AskError::Crashed)));
}

#[test]
fn routees_that_cannot_be_spawned_are_reported_and_tried_again_and_messages_are_dead_letters() {
    let world = World::new(1);
    let pool = Router::pool(2, Routing::round_robin(), world.workers())
        .routee(|worker| worker.mailbox(Mailbox::bounded(0)));
    let (pool, control) = world.spawn(pool);
    assert_eq!(world.system.stats().failures, 1);
    world.tell(&pool, 0..3);
    assert_eq!(world.system.dead_letters().count(Reason::NoRoutee), 3);
    assert!(matches!(world.ask(&pool, 3), Err(AskError::Abandoned)));
    assert!(control.routees().is_empty());
    world.sim.advance(Duration::from_mins(10));
    let failures = world.system.stats().failures;
    assert!((120..=150).contains(&failures), "two routees, every 10 s at most: {failures} failures");
    let more = world.sim.block_on(control.resize(3)).unwrap_err();
    assert!(matches!(more, ControlError::NotSpawned { size: 2, .. }), "{more:?}");
    assert!(more.to_string().contains("capacity 0"), "{more}");
}

#[test]
fn options_that_panic_are_a_failure_like_a_routee_that_cannot_be_spawned() {
    let world = World::new(1);
    let pool = Router::pool(1, Routing::round_robin(), world.workers()).routee(|_| panic!("no options"));
    let (pool, control) = world.spawn(pool);
    world.tell(&pool, [1]);
    assert_eq!(world.system.stats().failures, 1);
    assert_eq!(world.system.stats().dead_letters, 1);
    assert!(control.routees().is_empty());
}

#[test]
fn a_routee_whose_factory_panics_spends_its_budget_and_harms_nobody() {
    let world = World::new(1);
    let seen = world.workers();
    let pool = Router::pool(1, Routing::round_robin(), move || {
        let _ = &seen;
        assert!(!std::hint::black_box(true), "no worker today");
        seen()
    });
    let pool = pool.routee(|worker| {
        worker.supervision(Supervision::restart().limit(2, SECOND).when_spent(WhenSpent::Stop))
    });
    let (pool, _) = world.spawn(pool);
    world.sim.advance(60 * SECOND);
    pool.tell(Job::note(1)).unwrap();
    world.sim.advance(60 * SECOND);
    assert_eq!(pool.depth(), 0);
    assert!(!pool.is_stopped());
    assert_eq!(world.system.stats().dead_letters, 1);
}

#[test]
fn a_policy_that_panics_changes_nothing_and_one_that_says_zero_means_one() {
    let world = World::new(1);
    let mut asked = 0;
    let policy = move |load: &PoolLoad| {
        asked += 1;
        assert_ne!(asked, 1, "no idea");
        load.size.saturating_sub(1)
    };
    let (_, control) =
        world.spawn(Router::pool(2, Routing::round_robin(), world.workers()).resize(SECOND, policy));
    world.sim.advance(SECOND);
    assert_eq!(control.routees().len(), 2);
    assert_eq!(world.system.stats().failures, 1);
    world.sim.advance(5 * SECOND);
    assert_eq!(control.routees().len(), 1);
}

#[test]
fn a_message_that_panics_when_it_is_copied_is_lost_for_those_who_have_none_yet() {
    struct Bomb(u32);

    impl Clone for Bomb {
        fn clone(&self) -> Self {
            assert_ne!(self.0, 13, "no copy");
            Self(self.0)
        }
    }

    struct Reader(crate::world::Seen);

    impl Actor for Reader {
        type Msg = Bomb;

        async fn receive(&mut self, bomb: Bomb, ctx: &mut Context<Self>) -> Result<(), Failure> {
            self.0.note(ctx.name(), bomb.0);
            Ok(())
        }
    }

    let world = World::new(1);
    let seen = world.seen.clone();
    let pool = Router::pool(2, Routing::broadcast(), move || Reader(seen.clone()));
    let pool = world.system.spawn("pool", pool).unwrap();
    for number in 12..15 {
        pool.tell(Bomb(number)).unwrap();
    }
    world.sim.run_until_idle();
    assert_eq!(world.seen.numbers(), [12, 12, 14, 14]);
    assert_eq!(world.system.stats().failures, 1);
}

#[test]
fn routees_that_restart_or_stop_together_take_nobody_else_with_them() {
    for supervision in [
        || Supervision::restart().all_for_one(),
        || Supervision::stop().all_for_one(),
        || Supervision::escalate(),
    ] {
        let world = World::new(1);
        let pool = Router::pool(3, Routing::round_robin(), world.workers())
            .routee(move |worker| worker.supervision(supervision()));
        let (pool, control) = world.spawn(pool);
        pool.tell(Job::Do(0, Act::Fail)).unwrap();
        world.sim.advance(SECOND);
        world.tell(&pool, 1..7);
        assert_eq!(world.seen.numbers(), (1..7).collect::<Vec<_>>());
        assert_eq!(names(&control.routees()), ["0", "1", "2"]);
        world.resize(&control, 2);
    }
}

#[test]
fn more_routees_than_a_pool_may_have_are_refused_or_cut_off() {
    let world = World::new(1);
    let (_, control) = world.pool(1, Routing::round_robin());
    let refused = world.sim.block_on(control.resize(usize::MAX)).unwrap_err();
    assert!(refused.to_string().contains("10000 is the most"), "{refused}");
    assert_eq!(control.routees().len(), 1);
    let greedy = |_: &PoolLoad| usize::MAX;
    let pool = Router::pool(1, Routing::round_robin(), world.workers()).resize(SECOND, greedy);
    let control = pool.control();
    drop(world.system.spawn("greedy", pool).unwrap());
    world.sim.advance(2 * SECOND);
    assert_eq!(control.routees().len(), 10_000);
}

//! What does a change of size lose, move and cost?

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::{Forecast, PoolControl, Pressure, Schedule};
use proptest::prelude::*;

use crate::world::{Act, Job, SECOND, Seen, Worker, World, names};

#[test]
fn a_pool_grows_and_shrinks_by_hand() {
    let world = World::new(1);
    let (pool, control) = world.pool(2, Routing::round_robin());
    world.resize(&control, 4);
    assert_eq!(names(&control.routees()), ["0", "1", "2", "3"]);
    world.resize(&control, 1);
    assert_eq!(names(&control.routees()), ["0"]);
    world.tell(&pool, 0..3);
    assert_eq!(world.seen.of("0"), [0, 1, 2]);
}

#[test]
fn routees_that_are_removed_handle_what_they_have_and_then_stop() {
    let world = World::new(1);
    let (pool, control) = world.pool(2, Routing::round_robin());
    for number in 0..6 {
        pool.tell(Job::busy(number, SECOND)).unwrap();
    }
    world.sim.run_until_idle();
    let removed = control.routees().pop().unwrap();
    world.resize(&control, 1);
    // Its name is taken while it drains: another number takes its place.
    world.resize(&control, 2);
    assert_eq!(names(&control.routees()), ["0", "2"]);
    world.sim.advance(10 * SECOND);
    assert_eq!(world.seen.of("1"), [1, 3, 5]);
    assert!(removed.is_stopped());
    assert_eq!(world.system.stats().dead_letters, 0);
}

/// A pool of this kind with little room.
fn pool(world: &World, kind: u8) -> (ActorRef<Job>, PoolControl<Job>) {
    let route = match kind {
        0 => Routing::round_robin(),
        1 => Routing::random(),
        2 => Routing::least_loaded(),
        _ => Routing::consistent_hash(Job::number),
    };
    world.spawn(
        Router::pool(3, route, world.workers())
            .mailbox(Mailbox::bounded(8))
            .routee(|worker| worker.mailbox(Mailbox::bounded(2))),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_sizes_no_message_is_lost_or_doubled(
        seed: u64,
        kind in 0_u8..4,
        sizes in prop::collection::vec((1_usize..6, 0_u64..300), 1..12),
    ) {
        const MESSAGES: u32 = 60;
        println!("seed {seed}");
        let world = World::new(seed);
        let (pool, control) = pool(&world, kind);
        let env = world.sim.env();
        let resized = world.begin(async move {
            for (size, millis) in sizes {
                env.sleep(Duration::from_millis(millis)).await;
                control.resize(size).await.unwrap();
            }
        });
        let sent = world.begin(async move {
            for number in 0..MESSAGES {
                pool.send(Job::busy(number, Duration::from_millis(u64::from(number % 7) * 10))).await.unwrap();
            }
        });
        world.sim.advance(600 * SECOND);
        for mut task in [resized, sent] {
            prop_assert_eq!(task.now(), Some(()));
        }
        prop_assert_eq!(world.seen.numbers(), (0..MESSAGES).collect::<Vec<_>>());
        prop_assert_eq!(world.system.stats().dead_letters, 0);
        prop_assert_eq!(world.system.stats().failures, 0);
    }

    #[test]
    fn by_key_growing_moves_keys_to_the_new_routees_only_and_shrinking_moves_them_back(
        small in 1_usize..6, more in 1_usize..6,
    ) {
        let world = World::new(1);
        let (pool, control) =
            world.spawn(Router::consistent_hash(small, Job::number, world.workers()));
        let owners = || (0..60).map(|key| world.ask(&pool, key).unwrap()).collect::<Vec<_>>();
        let before = owners();
        world.resize(&control, small + more);
        for (old, new) in before.iter().zip(&owners()) {
            prop_assert!(old == new || new.parse::<usize>().unwrap() >= small, "{} moved to {}", old, new);
        }
        world.resize(&control, small);
        prop_assert_eq!(owners(), before);
    }
}

#[test]
fn a_pool_under_pressure_grows_until_it_has_room_and_shrinks_when_it_is_idle() {
    let world = World::new(1);
    let policy = Pressure::between(1..=4).depth(1..=2).cool_down(2 * SECOND);
    let pool = Router::pool(1, Routing::round_robin(), world.workers())
        .routee(|worker| worker.mailbox(Mailbox::bounded(2)))
        .resize(SECOND, policy);
    let (pool, control) = world.spawn(pool);
    // The router itself soon waits for room: the pressure is in its own mailbox.
    for number in 0..40 {
        pool.tell(Job::busy(number, 10 * SECOND)).unwrap();
    }
    world.sim.advance(10 * SECOND);
    assert_eq!(control.routees().len(), 4);
    world.sim.advance(600 * SECOND);
    assert_eq!(control.routees().len(), 1);
    assert_eq!(world.seen.numbers(), (0..40).collect::<Vec<_>>());
    assert_eq!(world.system.stats().dead_letters, 0);
}

#[test]
fn a_pool_on_a_schedule_changes_at_the_times_of_day() {
    let world = World::new(1);
    let hours = Duration::from_hours;
    let pool = Router::pool(1, Routing::round_robin(), world.workers())
        .resize(60 * SECOND, Schedule::new([(hours(8), 5), (hours(20), 2)]));
    let (_, control) = world.spawn(pool);
    // A simulation begins at midnight.
    let mut sizes = Vec::new();
    for _ in 0..4 {
        world.sim.advance(hours(7));
        sizes.push(control.routees().len());
    }
    assert_eq!(sizes, [2, 5, 2, 2]); // at 7, 14, 21 and 4 o'clock
    world.sim.advance(hours(4) + 60 * SECOND);
    assert_eq!(control.routees().len(), 5);
}

#[test]
fn a_pool_by_forecast_has_its_routees_before_the_messages_come() {
    let world = World::new(1);
    let policy = Forecast::between(1..=10, 10.0).smoothing(1.0, 1.0).horizon(3 * SECOND);
    let pool = Router::pool(1, Routing::round_robin(), world.workers()).resize(SECOND, policy);
    let (pool, control) = world.spawn(pool);
    for second in 1..=4_u32 {
        // Ten more each second.
        world.tell(&pool, 0..10 * second);
        world.sim.advance(SECOND);
    }
    // 40 in the last second, 70 in three.
    assert_eq!(control.routees().len(), 7);
}

#[test]
fn on_real_threads_resizing_loses_and_doubles_nothing() {
    const ITEMS: u32 = 20_000;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        for route in [Routing::round_robin(), Routing::least_loaded(), Routing::consistent_hash(Job::number)]
        {
            let system = ActorSystem::start("threads").await.unwrap();
            let seen = Seen::default();
            let count = seen.clone();
            let pool = Router::pool(2, route, move || Worker { seen: count.clone() })
                .routee(|worker| worker.mailbox(Mailbox::bounded(8)));
            let control = pool.control();
            let pool = system.spawn("pool", pool).unwrap();
            let mut mapped = pool.map(0..ITEMS, |item, reply| Job::Get(item, Act::Note, reply)).into_future();
            let results = loop {
                // As many changes as there is time for.
                for size in [5, 1, 3, 6, 2] {
                    control.resize(size).await.unwrap();
                }
                let polled = poll_fn(|cx| Poll::Ready(mapped.as_mut().poll(cx))).await;
                match polled {
                    Poll::Ready(results) => break results,
                    Poll::Pending => tokio::task::yield_now().await,
                }
            };
            assert_eq!(results.iter().filter(|result| result.is_err()).count(), 0);
            assert_eq!(seen.numbers(), (0..ITEMS).collect::<Vec<_>>());
            assert_eq!(system.stats().dead_letters, 0);
            system.shutdown().await;
        }
    });
}

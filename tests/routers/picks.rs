//! Who gets a message?

use std::collections::BTreeMap;
use std::time::Duration;

use omnitron::prelude::*;

use crate::world::{Act, Job, SECOND, World, names};

#[test]
fn round_robin_gives_one_after_the_other() {
    let world = World::new(1);
    let (pool, _) = world.pool(3, Routing::round_robin());
    world.tell(&pool, 0..9);
    assert_eq!(world.seen.of("0"), [0, 3, 6]);
    assert_eq!(world.seen.of("1"), [1, 4, 7]);
    assert_eq!(world.seen.of("2"), [2, 5, 8]);
}

#[test]
fn routees_live_under_their_router_by_number() {
    let world = World::new(1);
    let (pool, control) = world.pool(2, Routing::round_robin());
    let paths: Vec<_> = control.routees().iter().map(ToString::to_string).collect();
    assert_eq!(paths, ["/user/pool/routees/0", "/user/pool/routees/1"]);
    let routees = control.routees();
    world.sim.block_on(pool.stop());
    assert!(routees.iter().all(ActorRef::is_stopped));
    world.sim.run_until_idle();
    assert_eq!(control.routees(), []);
}

#[test]
fn random_reaches_everybody_and_follows_the_seed() {
    let run = |seed| {
        let world = World::new(seed);
        let (pool, _) = world.pool(4, Routing::random());
        world.tell(&pool, 0..400);
        (0..400).map(|number| world.seen.who(number).unwrap()).collect::<Vec<_>>()
    };
    let picks = run(7);
    for name in ["0", "1", "2", "3"] {
        let count = picks.iter().filter(|&pick| pick == name).count();
        assert!((60..=140).contains(&count), "{name} got {count} of 400");
    }
    assert_eq!(picks, run(7));
    assert_ne!(picks, run(8));
}

#[test]
fn the_least_loaded_gets_it_and_ties_go_around() {
    let world = World::new(1);
    let (pool, _) = world.pool(3, Routing::least_loaded());
    // Three for 0, one for 1, as they come: 0, 1, 2, then by turns; so make 2 free again first.
    for (number, seconds) in [(0, 60), (1, 60), (2, 1), (3, 60)] {
        pool.tell(Job::busy(number, seconds * SECOND)).unwrap();
    }
    world.sim.run_until_idle(); // 0 has two, 1 and 2 have one
    world.sim.advance(2 * SECOND);
    assert_eq!(world.seen.of("2"), [2]);
    pool.tell(Job::busy(4, 60 * SECOND)).unwrap();
    pool.tell(Job::busy(5, 60 * SECOND)).unwrap();
    world.sim.advance(600 * SECOND);
    // 4 went to the idle 2; then 1 and 2 had one each, and 0's turn would have come: it had two.
    assert_eq!(world.seen.of("0"), [0, 3]);
    assert_eq!(world.seen.of("1"), [1, 5]);
    assert_eq!(world.seen.of("2"), [2, 4]);
}

#[derive(Clone)]
struct News(u32);

struct Reader {
    seen: crate::world::Seen,
}

impl Actor for Reader {
    type Msg = News;

    async fn receive(&mut self, news: News, ctx: &mut Context<Self>) -> Result<(), Failure> {
        if news.0 == 0 {
            ctx.env().clone().sleep(SECOND).await;
        }
        self.seen.note(ctx.name(), news.0);
        Ok(())
    }
}

#[test]
fn broadcast_gives_everybody_a_copy_also_those_who_have_no_room_yet() {
    let world = World::new(1);
    let seen = world.seen.clone();
    let readers = Router::pool(3, Routing::broadcast(), move || Reader { seen: seen.clone() })
        .routee(|reader| reader.mailbox(Mailbox::bounded(1)));
    let pool = world.system.spawn("pool", readers).unwrap();
    for number in 0..5 {
        pool.tell(News(number)).unwrap();
    }
    world.sim.advance(10 * SECOND);
    for name in ["0", "1", "2"] {
        assert_eq!(world.seen.of(name), [0, 1, 2, 3, 4], "{name}");
    }
}

#[test]
fn equal_keys_meet_the_same_routee_also_after_it_was_restarted_or_replaced() {
    let world = World::new(1);
    let (pool, control) =
        world.spawn(Router::consistent_hash(4, |job: &Job| job.number() % 10, world.workers()));
    let owners = || (0..10).map(|key| world.ask(&pool, key).unwrap()).collect::<Vec<_>>();
    let before = owners();
    for act in [Act::Fail, Act::Stop] {
        pool.tell(Job::Do(3, act)).unwrap();
        assert_eq!(owners(), before, "after {act:?}");
    }
    assert_eq!(names(&control.routees()), ["0", "1", "2", "3"]);
    assert_eq!(world.system.stats().restarts, 1);
}

#[test]
fn keys_follow_the_weights() {
    let world = World::new(1);
    let pool = Router::consistent_hash(2, Job::number, world.workers())
        .weight(|number| if number == 0 { 3 } else { 1 })
        .mailbox(Mailbox::unbounded())
        .routee(|worker| worker.mailbox(Mailbox::unbounded()));
    let (pool, _) = world.spawn(pool);
    world.tell(&pool, 0..4000);
    let heavy = world.seen.of("0").len();
    assert!((2500..=3500).contains(&heavy), "three quarters are 3000, not {heavy}");
}

/// Routees with room for two messages, one in hand included.
fn small(world: &World, size: usize, route: Routing<Job>) -> (ActorRef<Job>, omnitron::PoolControl<Job>) {
    world.spawn(
        Router::pool(size, route, world.workers())
            .mailbox(Mailbox::bounded(4))
            .routee(|worker| worker.mailbox(Mailbox::bounded(2))),
    )
}

#[test]
fn one_without_room_is_passed_over_while_another_has_room() {
    for route in [Routing::round_robin(), Routing::random(), Routing::least_loaded()] {
        let world = World::new(1);
        let label = format!("{route:?}");
        let (pool, control) = small(&world, 2, route);
        // Directly, so that the first is full and stays so.
        let [full, _] = &control.routees()[..] else { panic!("two") };
        full.tell(Job::busy(100, 600 * SECOND)).unwrap();
        full.tell(Job::note(101)).unwrap();
        world.sim.run_until_idle();
        for number in 0..20 {
            world.tell(&pool, [number]);
        }
        assert_eq!(world.seen.of("1"), (0..20).collect::<Vec<_>>(), "{label}");
    }
}

#[test]
fn where_nobody_has_room_the_router_waits_and_its_senders_with_it_and_nothing_is_lost() {
    let world = World::new(1);
    let (pool, _) = small(&world, 2, Routing::round_robin());
    // Two workers with two each, one in the router's hand and three behind it: nine are one too many.
    let mut refused = BTreeMap::new();
    for number in 0..9 {
        if let Err(undelivered) = pool.tell(Job::busy(number, 30 * SECOND)) {
            refused.insert(undelivered.message.number(), undelivered.reason);
        }
        world.sim.run_until_idle();
    }
    assert_eq!(refused, BTreeMap::from([(8, Refusal::Full { capacity: 4 })]));
    // Longer than the ask time-out, after which a send in a handler gives up: the router does not.
    world.sim.advance(600 * SECOND);
    assert_eq!(world.seen.numbers(), (0..8).collect::<Vec<_>>());
    assert_eq!(world.system.stats().failures, 0);
}

#[test]
fn the_owner_of_a_key_is_waited_for_also_while_others_have_room() {
    let world = World::new(1);
    let (pool, control) = small(&world, 2, Routing::consistent_hash(Job::number));
    let owner = world.ask(&pool, 7).unwrap();
    let routees = control.routees();
    let busy = routees.iter().find(|routee| routee.path().name() == owner).unwrap();
    busy.tell(Job::busy(100, SECOND)).unwrap();
    busy.tell(Job::note(101)).unwrap();
    world.sim.run_until_idle();
    world.tell(&pool, [7]);
    assert_eq!(world.seen.numbers(), [7]);
    world.sim.advance(2 * SECOND);
    assert_eq!(world.seen.of(&owner), [7, 100, 101, 7]);
}

#[test]
fn a_router_that_waits_for_room_chooses_again_when_a_routee_comes() {
    let world = World::new(1);
    let (pool, control) = small(&world, 1, Routing::round_robin());
    for number in 0..2 {
        pool.tell(Job::busy(number, 600 * SECOND)).unwrap();
        world.sim.run_until_idle();
    }
    world.tell(&pool, 2..5);
    assert_eq!(world.seen.all(), []);
    world.resize(&control, 2);
    world.sim.run_until_idle();
    // At once; and the third of them found both full, and looked again.
    assert_eq!(world.seen.of("1"), [2, 3]);
    world.sim.advance(Duration::from_millis(10));
    assert_eq!(world.seen.of("1"), [2, 3, 4]);
}

#[test]
fn a_routee_that_is_stuck_does_not_hold_up_the_messages_of_the_others() {
    for route in [Routing::round_robin(), Routing::random(), Routing::least_loaded()] {
        let world = World::new(1);
        let label = format!("{route:?}");
        let (pool, control) = small(&world, 2, route);
        let [stuck, _] = &control.routees()[..] else { panic!("two") };
        stuck.tell(Job::busy(100, Duration::from_hours(10))).unwrap();
        stuck.tell(Job::note(101)).unwrap();
        let sent = world.begin(async move {
            for number in 0..50 {
                pool.send(Job::busy(number, Duration::from_millis(1))).await.unwrap();
            }
        });
        world.sim.advance(SECOND);
        assert_eq!(world.seen.of("1"), (0..50).collect::<Vec<_>>(), "{label}");
        drop(sent);
    }
}

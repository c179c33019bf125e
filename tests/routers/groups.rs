//! How do actors come into a group, and how do they leave it?

use omnitron::prelude::*;
use omnitron::{ControlError, GroupControl};

use crate::world::{Act, Job, SECOND, World, names};

fn group(
    world: &World,
    route: Routing<Job>,
    routees: &[&ActorRef<Job>],
) -> (ActorRef<Job>, GroupControl<Job>) {
    let group = routees.iter().fold(Router::group(route), |group, routee| group.routee(routee));
    let control = group.control();
    let group = world.system.spawn("group", group).unwrap();
    world.sim.run_until_idle();
    (group, control)
}

#[test]
fn a_group_hands_on_to_actors_of_others_and_they_outlive_it() {
    let world = World::new(1);
    let (a, b) = (world.worker("a"), world.worker("b"));
    let (group, _) = group(&world, Routing::round_robin(), &[&a, &b]);
    world.tell(&group, 0..4);
    assert_eq!(world.seen.of("a"), [0, 2]);
    assert_eq!(world.seen.of("b"), [1, 3]);
    world.sim.block_on(group.stop());
    assert!(!a.is_stopped() && !b.is_stopped());
}

#[test]
fn routees_come_and_go_at_run_time() {
    let world = World::new(1);
    let (a, b) = (world.worker("a"), world.worker("b"));
    let (group, control) = group(&world, Routing::round_robin(), &[&a]);
    world.sim.block_on(control.add(&b)).unwrap();
    world.sim.block_on(control.add(&b)).unwrap(); // twice is once
    world.tell(&group, 0..4);
    assert_eq!((world.seen.of("a").len(), world.seen.of("b").len()), (2, 2));
    assert!(world.sim.block_on(control.remove(&a)).unwrap());
    assert!(!world.sim.block_on(control.remove(&a)).unwrap());
    world.tell(&group, 4..8);
    assert_eq!(world.seen.of("b").len(), 6);
    assert!(!a.is_stopped());
}

#[test]
fn a_routee_that_ends_leaves_the_group() {
    let world = World::new(1);
    let (a, b) = (world.worker("a"), world.worker("b"));
    let (group, control) = group(&world, Routing::round_robin(), &[&a, &b]);
    world.sim.block_on(a.stop());
    world.sim.run_until_idle();
    assert_eq!(names(&control.routees()), ["b"]);
    // One that takes the name later is another actor.
    let _other = world.worker("a");
    world.tell(&group, 0..3);
    assert_eq!(world.seen.of("b"), [0, 1, 2]);
    // One that has ended before does not stay.
    world.sim.block_on(control.add(&a)).unwrap();
    world.sim.run_until_idle();
    assert_eq!(names(&control.routees()), ["b"]);
}

#[test]
fn a_message_that_meets_a_routee_that_has_ended_goes_to_another() {
    for seed in 0..20 {
        let world = World::new(seed);
        let (a, b) = (world.worker("a"), world.worker("b"));
        let (group, _) = group(&world, Routing::round_robin(), &[&a, &b]);
        // Whether the group has heard of the end when the messages come is up to the seed.
        world.sim.block_on(async {
            a.stop().await;
            (0..6).for_each(|number| group.tell(Job::note(number)).unwrap());
        });
        world.sim.run_until_idle();
        assert_eq!(world.seen.of("b"), (0..6).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(world.system.stats().dead_letters, 0);
    }
}

#[test]
fn by_key_one_that_comes_takes_keys_and_one_that_leaves_gives_back_its_own() {
    let world = World::new(1);
    let workers: Vec<_> = ["a", "b", "c"].map(|name| world.worker(name)).into();
    let (group, control) = group(&world, Routing::consistent_hash(Job::number), &[&workers[0], &workers[1]]);
    let owners = || (0..100).map(|key| world.ask(&group, key).unwrap()).collect::<Vec<_>>();
    let before = owners();
    world.sim.block_on(control.add_weighted(&workers[2], 2)).unwrap();
    let with_c = owners();
    let moved = before.iter().zip(&with_c).filter(|(old, new)| old != new).count();
    assert!((25..=75).contains(&moved), "half of the weight is new, and {moved} of 100 keys moved");
    assert!(before.iter().zip(&with_c).all(|(old, new)| old == new || new == "c"));
    world.sim.block_on(control.remove(&workers[2])).unwrap();
    assert_eq!(owners(), before);
}

#[test]
fn a_group_without_routees_makes_dead_letters_and_ends_asks_at_once() {
    let world = World::new(1);
    let (group, control) = group(&world, Routing::round_robin(), &[]);
    world.tell(&group, 0..3);
    assert_eq!(world.system.dead_letters().count(Reason::NoRoutee), 3);
    let before = world.sim.elapsed();
    let asked = world.ask(&group, 3);
    assert!(matches!(asked, Err(AskError::Abandoned)), "{asked:?}");
    assert_eq!(world.sim.elapsed(), before);
    // And goes on as soon as there is somebody.
    world.sim.block_on(control.add(&world.worker("a"))).unwrap();
    assert_eq!(world.ask(&group, 4).unwrap(), "a");
    assert_eq!(world.system.stats().failures, 0);
}

#[test]
fn a_group_whose_last_routee_ends_is_one_without_routees() {
    for route in [Routing::round_robin(), Routing::consistent_hash(Job::number)] {
        let world = World::new(1);
        let a = world.worker("a");
        let (group, _) = group(&world, route, &[&a]);
        group.tell(Job::Do(0, Act::Stop)).unwrap();
        group.tell(Job::note(1)).unwrap();
        world.sim.run_until_idle();
        world.tell(&group, [2]);
        assert_eq!(world.seen.numbers(), [0]);
        assert_eq!(world.system.stats().dead_letters, 2);
    }
}

#[test]
fn a_group_is_no_routee_of_its_own() {
    let world = World::new(1);
    let (group, control) = group(&world, Routing::round_robin(), &[]);
    let refused = world.sim.block_on(control.add(&group));
    assert!(matches!(refused, Err(ControlError::Itself)), "{refused:?}");
    assert!(control.routees().is_empty());
}

#[test]
fn adapted_references_are_routees_as_the_actors_behind_them_are() {
    let world = World::new(1);
    let (a, b) = (world.worker("a"), world.worker("b"));
    let adapted = |actor: &ActorRef<Job>| actor.contramap(|job: Job| job);
    let (group, control) = group(&world, Routing::round_robin(), &[&adapted(&a), &b]);
    // The same actor in another way is the same routee.
    world.sim.block_on(control.add(&adapted(&a))).unwrap();
    world.sim.block_on(control.add(&a)).unwrap();
    assert_eq!(control.routees().len(), 2);
    world.tell(&group, 0..4);
    assert_eq!((world.seen.of("a").len(), world.seen.of("b").len()), (2, 2));
    world.sim.block_on(a.stop());
    world.sim.run_until_idle();
    assert_eq!(names(&control.routees()), ["b"]);
    world.tell(&group, 4..6);
    assert_eq!(world.seen.of("b").len(), 4);
    assert!(world.sim.block_on(control.remove(&adapted(&b))).unwrap());
    assert_eq!(control.routees(), []);
}

#[test]
fn a_full_adapted_routee_keeps_all_its_room_however_often_the_router_looks_again() {
    let world = World::new(1);
    let slow = Spawn::new(world.workers()).mailbox(Mailbox::bounded(2));
    let slow = world.system.spawn("slow", slow).unwrap();
    let (group, _) = group(&world, Routing::round_robin(), &[&slow.contramap(|job: Job| job)]);
    slow.tell(Job::busy(0, SECOND)).unwrap();
    world.tell(&group, 1..6);
    world.sim.advance(3 * SECOND);
    assert_eq!(world.seen.of("slow"), [0, 1, 2, 3, 4, 5]);
    // No room is kept for anybody any more.
    assert_eq!(slow.depth(), 0);
    slow.tell(Job::busy(6, SECOND)).unwrap();
    slow.tell(Job::note(7)).unwrap();
    world.sim.block_on(slow.drain());
}

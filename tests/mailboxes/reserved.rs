//! Is the room that `pipe_to_self` reserves there when its result comes, and given back when none comes?

use omnitron::prelude::*;

use crate::world::{Act, Mail, SECOND, World};

#[test]
fn reserved_room_counts_against_the_capacity_until_the_result_is_handled() {
    let world = World::new(Mailbox::bounded(3));
    world.occupy(Act::Pipe(9, SECOND * 10));
    world.sim.advance(SECOND + SECOND / 2);
    world.fill(&[1]);
    assert_eq!(world.tell(2), Err(Refusal::Full { capacity: 3 }), "one in hand, one queued, one reserved");
    world.sim.advance(SECOND);
    world.fill(&[3, 4]);
    assert_eq!(world.seen.handled(), [1]);
    world.sim.run_until_idle();
    world.sim.advance(SECOND * 10);
    assert_eq!(world.seen.handled(), [1, 3, 4, 9]);
}

#[test]
fn a_result_arrives_in_a_mailbox_that_is_full_but_for_the_room_it_reserved() {
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        let world = World::new(Mailbox::bounded(2).on_full(overflow));
        world.occupy(Act::Pipe(9, SECOND / 2));
        world.sim.advance(SECOND);
        for number in 1..=20 {
            let _ = world.tell(number); // what is too much is refused or dropped
        }
        world.sim.advance(SECOND * 2);
        assert!(world.seen.handled().contains(&9), "{overflow:?}: {:?}", world.seen.handled());
    }
}

#[test]
fn a_result_is_never_dropped_to_make_room_for_others() {
    let world = World::new(Mailbox::bounded(2).on_full(Overflow::DropOldest));
    world.occupy(Act::Pipe(9, SECOND / 4));
    world.sim.advance(SECOND + SECOND / 2);
    // The result is the oldest in the mailbox now.
    world.fill(&[1, 2, 3, 4]);
    world.sim.advance(SECOND * 2);
    let handled = world.seen.handled();
    assert!(handled.contains(&9), "{handled:?}");
    assert_eq!(world.system.dead_letters().count(Reason::Overflowed), 3);
}

#[test]
fn a_piped_future_that_panics_gives_its_room_back() {
    let world = World::new(Mailbox::bounded(2));
    world.occupy(Act::PipePanic);
    world.sim.advance(SECOND * 3);
    assert_eq!(world.system.stats().failures, 1);
    world.occupy(Act::Nothing);
    world.fill(&[1]);
    assert!(world.tell(2).is_err());
    world.sim.advance(SECOND * 3);
    assert_eq!((world.seen.handled(), world.clerk.depth()), (vec![1], 0));
}

#[test]
fn an_actor_that_drains_waits_for_the_results_it_reserved_room_for() {
    let world = World::new(Mailbox::bounded(3));
    world.occupy(Act::Pipe(9, SECOND * 10));
    world.sim.advance(SECOND * 3);
    world.sim.block_on(world.clerk.drain());
    assert_eq!((world.seen.handled(), world.sim.elapsed()), (vec![9], SECOND * 11));
}

#[test]
fn a_ranking_that_panics_over_a_piped_message_is_a_failure_of_its_actor_and_no_leak() {
    let mailbox = Mailbox::priority(|mail: &Mail| {
        assert_ne!(mail.number(), 9, "nobody ranks a nine");
        0
    });
    let world = World::new(mailbox);
    world.occupy(Act::Pipe(9, SECOND));
    world.sim.advance(SECOND * 3);
    assert_eq!(world.system.stats().failures, 1);
    world.tell(1).unwrap();
    world.sim.block_on(world.clerk.drain());
    assert_eq!(world.seen.handled(), [1], "it drains, so no room is reserved any more");
}

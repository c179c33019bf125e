//! What do the figures of a mailbox say, and when are they exact?

use omnitron::prelude::*;

use crate::world::{Act, Mail, SECOND, World, spawn};

#[test]
fn depth_counts_what_is_queued_and_what_is_in_hand() {
    let world = World::new(Mailbox::bounded(10));
    assert_eq!(world.clerk.depth(), 0);
    world.occupy(Act::Nothing);
    assert_eq!(world.clerk.depth(), 1, "the one in hand");
    world.fill(&[1, 2, 3]);
    assert_eq!(world.clerk.depth(), 4);
    world.sim.advance(SECOND * 3);
    assert_eq!(world.clerk.depth(), 0);
}

#[test]
fn those_who_wait_for_room_are_not_in_the_mailbox() {
    let world = World::new(Mailbox::bounded(2));
    world.occupy(Act::Nothing);
    world.fill(&[1]);
    let waiting: Vec<_> = (2..=9).map(|number| world.sends(number)).collect();
    assert_eq!((world.clerk.depth(), waiting.len()), (2, 8));
    world.sim.advance(SECOND * 3);
    assert_eq!(world.system.stats().deepest_mailbox, 2, "the bound holds, however many wait");
}

#[test]
fn the_deepest_mailbox_of_the_system_is_remembered_also_when_its_actor_has_ended() {
    let world = World::new(Mailbox::unbounded());
    let (small, _) = spawn(&world.system, "small", Mailbox::unbounded());
    world.occupy(Act::Nothing);
    for number in 1..=50 {
        world.tell(number).unwrap();
    }
    small.tell(Mail::Note(1)).unwrap();
    world.sim.advance(SECOND * 3);
    let deepest = world.system.stats().deepest_mailbox;
    assert!((50..=51).contains(&deepest), "{deepest}");
    world.sim.block_on(world.clerk.stop());
    assert_eq!(world.system.stats().deepest_mailbox, deepest);
    world.sim.block_on(world.system.shutdown());
    assert_eq!(world.system.stats().deepest_mailbox, deepest);
}

#[test]
fn messages_counts_each_message_handled_once() {
    let world = World::new(Mailbox::bounded(1_000));
    for number in 1..=500 {
        world.tell(number).unwrap();
    }
    world.sim.run_until_idle();
    assert_eq!(world.system.stats().messages, 500);
    world.sim.block_on(world.clerk.stop());
    assert_eq!(world.system.stats().messages, 500, "the end of an actor changes no count");
}

#[test]
fn what_a_mailbox_drops_is_counted_as_a_dead_letter_and_not_as_a_message() {
    let world = World::new(Mailbox::bounded(2).on_full(Overflow::DropOldest));
    world.occupy(Act::Nothing);
    for number in 1..=10 {
        world.tell(number).unwrap();
    }
    world.sim.advance(SECOND * 3);
    let stats = world.system.stats();
    assert_eq!((stats.messages, stats.dead_letters, world.seen.handled()), (3, 8, vec![9, 10]));
}

#[test]
fn what_is_queued_when_an_actor_stops_is_counted_as_dead_letters() {
    let world = World::new(Mailbox::bounded(20));
    world.occupy(Act::Nothing);
    world.fill(&[1, 2, 3]);
    world.sim.block_on(world.clerk.stop());
    let letters = world.system.dead_letters();
    assert_eq!((letters.total(), letters.count(Reason::Stopped)), (3, 3));
    assert_eq!(world.tell(4), Err(Refusal::Stopped));
    assert_eq!(letters.total(), 3, "what is given back is no dead letter");
}

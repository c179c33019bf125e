//! What becomes of an ask that meets a full mailbox?

use omnitron::prelude::*;

use crate::world::{AGES, SECOND, Way, World, did_not_act, poll_once, question};

fn one_slot(overflow: Overflow) -> World {
    World::with(|target| target.mailbox(Mailbox::bounded(1).on_full(overflow)))
}

#[test]
fn an_ask_that_finds_no_room_until_its_deadline_is_refused_as_full() {
    let world = one_slot(Overflow::Reject);
    let first = world.occupy(SECOND);
    let error = world.sim.block_on(world.target.ask(question(1, Way::Reply)).within(SECOND / 2)).unwrap_err();
    assert!(matches!(error, AskError::Refused(Refusal::Full { capacity: 1 })), "{error:?}");
    assert_eq!(world.end(first).unwrap(), 0);
    let next = world.asks(2, Way::Reply);
    assert_eq!(world.end(next).unwrap(), 2);
    did_not_act(&error, &world.handled, 1);
}

#[test]
fn an_ask_waits_for_room_and_for_its_reply_within_one_deadline() {
    let world = one_slot(Overflow::Reject);
    let _first = world.occupy(SECOND);
    let waits = world.asks_within(1, Way::ReplyAfter(SECOND), SECOND * 3 / 2);
    let error = world.end(waits).unwrap_err();
    assert!(matches!(error, AskError::TimedOut { after } if after == SECOND * 3 / 2), "{error:?}");
    assert!(world.handled.has(1), "it got its room after one second, and half a second was left");
}

#[test]
fn asks_that_wait_for_room_are_served_in_order() {
    let world = one_slot(Overflow::Reject);
    let _first = world.occupy(SECOND);
    let waiting: Vec<_> = (1..=5).map(|number| world.asks(number, Way::Reply)).collect();
    for (number, asked) in (1..).zip(waiting) {
        assert_eq!(world.end(asked).unwrap(), number);
    }
    assert_eq!(world.handled.numbers(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn asks_that_wait_for_room_when_the_target_stops_are_refused_but_for_those_that_just_got_room() {
    let world = one_slot(Overflow::Reject);
    let _first = world.occupy(SECOND);
    let waiting = [1, 2, 3].map(|number| world.asks(number, Way::Reply));
    world.sim.block_on(world.target.stop());
    for (number, waits) in (1..).zip(waiting) {
        let error = world.end(waits).unwrap_err();
        let refused = matches!(error, AskError::Refused(Refusal::Stopped));
        // The end of the message it had made room for one.
        assert!(refused || (number == 1 && matches!(error, AskError::Unhandled)), "{number}: {error:?}");
        did_not_act(&error, &world.handled, number);
    }
}

#[test]
fn an_ask_dropped_while_it_waits_for_room_leaves_nothing_behind() {
    let world = one_slot(Overflow::Reject);
    let first = world.occupy(SECOND);
    let mut dropped = world.target.ask(question(1, Way::Reply));
    assert!(world.sim.block_on(poll_once(&mut dropped)).is_none());
    let waits = world.asks(2, Way::Reply);
    drop(dropped);
    assert_eq!(world.end(first).unwrap(), 0);
    assert_eq!(world.end(waits).unwrap(), 2);
    assert_eq!(world.handled.numbers(), [0, 2]);
    assert_eq!((world.target.depth(), world.system.dead_letters().total()), (0, 0));
}

#[test]
fn a_question_that_makes_room_for_a_newer_one_is_unhandled_at_once() {
    let world = one_slot(Overflow::DropOldest);
    let first = world.occupy(SECOND);
    let mut displaced = world.asks(1, Way::Reply);
    let stays = world.asks(2, Way::Reply);
    let error = displaced.try_take().expect("no time has passed").unwrap_err();
    assert!(matches!(error, AskError::Unhandled), "{error:?}");
    assert_eq!((world.end(first).unwrap(), world.end(stays).unwrap()), (0, 2));
    did_not_act(&error, &world.handled, 1);
    assert_eq!(world.system.dead_letters().count(Reason::Overflowed), 1);
}

#[test]
fn a_mailbox_that_drops_what_comes_last_refuses_an_ask_at_once() {
    let world = one_slot(Overflow::DropNewest);
    let first = world.occupy(SECOND);
    let error = world.sim.block_on(world.target.ask(question(1, Way::Reply))).unwrap_err();
    assert!(matches!(error, AskError::Refused(Refusal::Overflowed { capacity: 1 })), "{error:?}");
    assert_eq!(world.end(first).unwrap(), 0);
    did_not_act(&error, &world.handled, 1);
}

#[test]
fn a_priority_mailbox_answers_the_urgent_question_first() {
    let world = World::with(|target| {
        target.mailbox(Mailbox::priority(|asked: &crate::world::Question| u8::from(asked.number >= 10)))
    });
    let _first = world.occupy(SECOND);
    let asked: Vec<_> = [1, 2, 10, 11].map(|number| world.asks_within(number, Way::Reply, AGES)).into();
    for (number, asked) in [1, 2, 10, 11].into_iter().zip(asked) {
        assert_eq!(world.end(asked).unwrap(), number);
    }
    assert_eq!(world.handled.numbers(), [0, 10, 11, 1, 2]);
}

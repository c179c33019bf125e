//! Does the mailbox keep its promises, step by step?
//!
//! One thread plays senders, actor and runtime in turn. [`model`] compares random sequences of steps with a plain
//! description of what has to happen; here are the stories that deserve a name of their own.

mod model;

use super::ring::Ring;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::inbox::{Inbox, Next, Offered, Pushed, Urge};
use super::store::Store;
use super::{Mailbox, Overflow};
use crate::error::Refusal;

type Box8 = Inbox<u32, &'static str, ()>;

/// Notes that it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Flag {
    fn new() -> (Arc<Self>, Waker) {
        let flag = Arc::new(Self::default());
        (flag.clone(), Waker::from(flag))
    }

    /// Whether it was woken since this was asked last.
    fn taken(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

fn inbox(mailbox: Mailbox<u32>) -> Box8 {
    Inbox::new(mailbox, ()).0
}

fn bounded(capacity: usize, overflow: Overflow) -> Box8 {
    inbox(Mailbox::bounded(capacity).on_full(overflow))
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Everything the actor can take now, in order.
fn drain(inbox: &Box8) -> Vec<u32> {
    let mut taken = Vec::new();
    let mut batch = Ring::default();
    while let Poll::Ready(Next::Message(message)) = inbox.poll_next(&mut batch, &mut false, &noop()) {
        taken.push(message);
        taken.extend(batch.drain());
    }
    taken
}

fn queued(inbox: &Box8, message: u32) {
    assert!(matches!(inbox.pushed(0, message), Pushed::Queued), "message {message} was to be queued");
}

/// Begins to wait for room.
fn waits(inbox: &Box8, message: u32, waker: &Waker) -> u64 {
    match inbox.offered(0, message, &Context::from_waker(waker)) {
        Offered::Waits(number) => number,
        Offered::Settled(pushed) => panic!("message {message} was to wait: {pushed:?}"),
    }
}

#[test]
fn messages_are_taken_all_at_once_and_in_the_order_of_arrival() {
    let inbox = inbox(Mailbox::unbounded());
    (0..5).for_each(|message| queued(&inbox, message));
    let mut batch = Ring::default();
    let next = inbox.poll_next(&mut batch, &mut false, &noop());
    assert!(matches!(next, Poll::Ready(Next::Message(0))));
    assert_eq!(batch.drain().collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(inbox.figures().depth, 5, "what was taken and not handled counts");
}

#[test]
fn a_mailbox_is_full_at_its_capacity_and_not_before() {
    let inbox = bounded(3, Overflow::Reject);
    (0..3).for_each(|message| queued(&inbox, message));
    assert!(matches!(inbox.pushed(0, 3), Pushed::Refused(3, Refusal::Full { capacity: 3 })));
    assert_eq!(drain(&inbox), [0, 1, 2]);
}

#[test]
fn a_batch_in_hand_keeps_the_mailbox_full_until_it_is_handled() {
    let inbox = bounded(2, Overflow::Reject);
    queued(&inbox, 0);
    queued(&inbox, 1);
    let mut batch = Ring::default();
    assert!(inbox.poll_next(&mut batch, &mut false, &noop()).is_ready());
    assert!(matches!(inbox.pushed(0, 2), Pushed::Refused(2, _)), "both are in hand");
    let mut since = 0;
    inbox.handled(1, 1, &mut since);
    queued(&inbox, 2);
    assert!(matches!(inbox.pushed(0, 3), Pushed::Refused(3, _)), "one in hand, one queued");
}

#[test]
fn the_first_message_wakes_a_sleeping_actor_and_the_second_does_not() {
    let inbox = inbox(Mailbox::unbounded());
    let (flag, waker) = Flag::new();
    assert!(inbox.poll_next(&mut Ring::default(), &mut false, &Context::from_waker(&waker)).is_pending());
    assert!(inbox.figures().idle);
    queued(&inbox, 0);
    assert!(flag.taken());
    assert!(!inbox.figures().idle, "a message is on its way to it");
    queued(&inbox, 1);
    assert!(!flag.taken());
}

#[test]
fn messages_do_not_disturb_a_handler_that_awaits_and_controls_do() {
    let inbox = inbox(Mailbox::unbounded());
    let (flag, waker) = Flag::new();
    let cx = Context::from_waker(&waker);
    assert_eq!(inbox.pause(0, &cx), None);
    queued(&inbox, 0);
    assert!(!flag.taken());
    assert!(inbox.control("look").is_ok());
    assert!(flag.taken());
    assert_eq!(inbox.pause(0, &cx), None);
    inbox.urge(Urge::Stop);
    assert!(flag.taken());
    assert_eq!(inbox.pause(0, &cx), Some(Urge::Stop));
}

#[test]
fn controls_come_before_messages_and_in_order() {
    let inbox = inbox(Mailbox::unbounded());
    queued(&inbox, 0);
    assert!(inbox.control("first").is_ok());
    assert!(inbox.control("second").is_ok());
    let mut batch = Ring::default();
    assert!(matches!(inbox.poll_next(&mut batch, &mut false, &noop()), Poll::Ready(Next::Controls)));
    assert_eq!(
        [inbox.next_control(), inbox.next_control(), inbox.next_control()],
        [Ok("first"), Ok("second"), Err(None)]
    );
    assert!(!inbox.wants_control());
    assert!(matches!(inbox.poll_next(&mut batch, &mut false, &noop()), Poll::Ready(Next::Message(0))));
}

#[test]
fn an_urge_grows_and_never_shrinks() {
    let inbox = inbox(Mailbox::unbounded());
    assert_eq!(inbox.urged(), None);
    for (urge, then) in [
        (Urge::Drain, Urge::Drain),
        (Urge::Stop, Urge::Stop),
        (Urge::Drain, Urge::Stop),
        (Urge::Kill, Urge::Kill),
        (Urge::Stop, Urge::Kill),
    ] {
        inbox.urge(urge);
        assert_eq!(inbox.urged(), Some(then));
    }
}

#[test]
fn no_tell_overtakes_a_sender_that_waits() {
    let inbox = bounded(1, Overflow::Reject);
    queued(&inbox, 0);
    let number = waits(&inbox, 1, Waker::noop());
    let mut batch = Ring::default();
    assert!(inbox.poll_next(&mut batch, &mut false, &noop()).is_ready());
    // Room as soon as message 0 is handled; who waits has it first.
    assert!(matches!(inbox.pushed(0, 2), Pushed::Refused(2, _)));
    inbox.handled(0, 1, &mut 0);
    assert!(matches!(inbox.pushed(0, 2), Pushed::Refused(2, _)));
    assert!(matches!(inbox.poll_admitted(number, &noop()), Poll::Ready(Ok(()))));
    assert_eq!(drain(&inbox), [1]);
}

#[test]
fn a_send_that_is_dropped_leaves_nothing_behind_and_blocks_nobody() {
    let inbox = bounded(1, Overflow::Reject);
    queued(&inbox, 0);
    let gone = waits(&inbox, 1, Waker::noop());
    let (flag, waker) = Flag::new();
    let stays = waits(&inbox, 2, &waker);
    assert_eq!(inbox.withdraw(gone), Some(1));
    assert_eq!(inbox.withdraw(gone), None);
    assert_eq!(drain(&inbox), [0, 2]);
    assert!(flag.taken());
    assert!(matches!(inbox.poll_admitted(stays, &noop()), Poll::Ready(Ok(()))));
    assert_eq!(inbox.figures().accepted, 2);
    queued(&inbox, 3);
}

#[test]
fn the_waker_of_a_sender_that_moved_to_another_task_is_the_one_that_is_woken() {
    let inbox = bounded(1, Overflow::Reject);
    queued(&inbox, 0);
    let (old_flag, old) = Flag::new();
    let (new_flag, new) = Flag::new();
    let number = waits(&inbox, 1, &old);
    assert!(inbox.poll_admitted(number, &Context::from_waker(&new)).is_pending());
    assert_eq!(drain(&inbox), [0, 1]);
    assert!(new_flag.taken());
    assert!(!old_flag.taken());
}

#[test]
fn a_handler_that_awaits_lets_waiting_senders_in() {
    let inbox = bounded(100, Overflow::Reject);
    (0..100).for_each(|message| queued(&inbox, message));
    let (flag, waker) = Flag::new();
    waits(&inbox, 100, &waker);
    let mut batch = Ring::default();
    assert!(inbox.poll_next(&mut batch, &mut false, &noop()).is_ready());
    let mut since = 0;
    inbox.handled(99, 1, &mut since);
    assert!(!flag.taken(), "room is handed out in portions of an eighth");
    inbox.pause(99, &noop());
    assert!(flag.taken());
}

#[test]
fn room_is_handed_out_after_an_eighth_of_the_capacity_was_handled() {
    let inbox = bounded(80, Overflow::Reject);
    (0..80).for_each(|message| queued(&inbox, message));
    let (flag, waker) = Flag::new();
    waits(&inbox, 80, &waker);
    let mut batch = Ring::default();
    assert!(inbox.poll_next(&mut batch, &mut false, &noop()).is_ready());
    let mut since = 0;
    for left in (71..80).rev() {
        inbox.handled(left, 1, &mut since);
        assert!(!flag.taken(), "{left} left");
    }
    inbox.handled(70, 1, &mut since);
    assert!(flag.taken());
}

#[test]
fn closing_gives_waiting_senders_their_messages_back_and_keeps_what_is_queued() {
    let inbox = bounded(1, Overflow::Reject);
    queued(&inbox, 0);
    let (flag, waker) = Flag::new();
    let number = waits(&inbox, 1, &waker);
    inbox.close();
    assert!(flag.taken());
    assert!(matches!(inbox.poll_admitted(number, &noop()), Poll::Ready(Err((1, Refusal::Stopped)))));
    assert!(matches!(inbox.pushed(0, 2), Pushed::Refused(2, Refusal::Stopped)));
    assert!(matches!(inbox.offered(0, 3, &noop()), Offered::Settled(Pushed::Refused(3, Refusal::Stopped))));
    assert!(matches!(inbox.reserve(), Err(Refusal::Stopped)));
    assert_eq!(drain(&inbox), [0]);
    assert!(matches!(inbox.poll_next(&mut Ring::default(), &mut false, &noop()), Poll::Ready(Next::Drained)));
}

#[test]
fn finishing_returns_what_nobody_will_handle_and_refuses_everything_after() {
    let inbox = inbox(Mailbox::unbounded());
    queued(&inbox, 0);
    queued(&inbox, 1);
    assert!(inbox.control("late").is_ok());
    assert_eq!(inbox.reserve(), Ok(None));
    assert_eq!(inbox.finish(), (vec![0, 1], vec!["late"]));
    assert_eq!(inbox.finish(), (vec![], vec![]));
    assert_eq!(inbox.control("later"), Err("later"));
    assert_eq!(inbox.fulfil(0, 2, true), Err(2));
    assert!(inbox.figures().idle);
    assert_eq!(inbox.figures().depth, 0);
}

#[test]
fn a_closed_mailbox_is_drained_only_when_reserved_room_is_settled() {
    for fulfil in [true, false] {
        let inbox = inbox(Mailbox::unbounded());
        assert_eq!(inbox.reserve(), Ok(None));
        inbox.close();
        let (flag, waker) = Flag::new();
        let mut batch = Ring::default();
        assert!(inbox.poll_next(&mut batch, &mut false, &Context::from_waker(&waker)).is_pending());
        assert!(!inbox.figures().idle, "a result is on its way");
        if fulfil {
            assert_eq!(inbox.fulfil(0, 7, true), Ok(()));
        } else {
            inbox.release();
        }
        assert!(flag.taken());
        assert_eq!(drain(&inbox), if fulfil { vec![7] } else { vec![] });
        assert!(matches!(inbox.poll_next(&mut batch, &mut false, &noop()), Poll::Ready(Next::Drained)));
    }
}

#[test]
fn released_room_goes_to_the_sender_that_waits_though_the_actor_sleeps() {
    let inbox = bounded(1, Overflow::Reject);
    assert_eq!(inbox.reserve(), Ok(None));
    waits(&inbox, 1, Waker::noop());
    let (flag, waker) = Flag::new();
    assert!(inbox.poll_next(&mut Ring::default(), &mut false, &Context::from_waker(&waker)).is_pending());
    inbox.release();
    assert!(flag.taken(), "the actor must look, for it lets senders in");
    assert_eq!(drain(&inbox), [1]);
}

#[test]
fn a_result_whose_room_was_reserved_is_never_displaced_and_keeps_its_turn() {
    let inbox = bounded(3, Overflow::DropOldest);
    queued(&inbox, 0);
    assert_eq!(inbox.reserve(), Ok(None));
    assert_eq!(inbox.fulfil(0, 100, true), Ok(()));
    queued(&inbox, 1);
    assert!(matches!(inbox.pushed(0, 2), Pushed::Displaced(0)));
    assert!(matches!(inbox.pushed(0, 3), Pushed::Displaced(1)), "not the result, though it is older");
    assert_eq!(drain(&inbox), [100, 2, 3]);

    let full_of_results = bounded(1, Overflow::DropOldest);
    assert_eq!(full_of_results.reserve(), Ok(None));
    assert!(matches!(full_of_results.pushed(0, 0), Pushed::Dropped(0)));
    assert_eq!(full_of_results.fulfil(0, 100, true), Ok(()));
    assert!(matches!(full_of_results.pushed(0, 1), Pushed::Dropped(1)));
    assert_eq!(drain(&full_of_results), [100]);
}

#[test]
fn drop_oldest_and_priority_hand_out_one_message_at_a_time() {
    for inbox in [bounded(8, Overflow::DropOldest), inbox(Mailbox::priority(|_| 0))] {
        queued(&inbox, 0);
        queued(&inbox, 1);
        let mut batch = Ring::default();
        assert!(matches!(inbox.poll_next(&mut batch, &mut false, &noop()), Poll::Ready(Next::Message(0))));
        assert!(batch.is_empty(), "what was taken could be neither dropped nor overtaken");
    }
}

#[test]
fn an_urgent_message_overtakes_all_that_are_not_yet_in_hand() {
    let inbox = inbox(Mailbox::priority(|_| 0));
    (0..3).for_each(|message| queued(&inbox, message));
    let mut batch = Ring::default();
    assert!(matches!(inbox.poll_next(&mut batch, &mut false, &noop()), Poll::Ready(Next::Message(0))));
    assert!(matches!(inbox.pushed(9, 100), Pushed::Queued));
    assert_eq!(drain(&inbox), [100, 1, 2]);
}

#[test]
fn a_burst_gives_its_memory_back_and_a_trickle_keeps_it() {
    for (burst, kept) in [(10_u32, true), (1000, false)] {
        let inbox = inbox(Mailbox::unbounded());
        let mut batch = Ring::default();
        for _ in 0..2 {
            // Twice, so that both rings have held it.
            (0..burst).for_each(|message| queued(&inbox, message));
            assert!(inbox.poll_next(&mut batch, &mut false, &noop()).is_ready());
            batch.drain().for_each(drop);
        }
        assert!(inbox.poll_next(&mut batch, &mut false, &noop()).is_pending());
        assert_eq!(batch.capacity() > 0, kept, "after {burst} messages");
    }
}

#[test]
fn a_store_gives_out_what_is_kept_in_its_turn() {
    let mut store = Store::new(false);
    store.push_kept(0);
    store.push(0, 1);
    store.push(0, 2);
    store.push_kept(3);
    store.push_kept(4);
    store.push(0, 5);
    assert_eq!((store.len(), store.displaceable()), (6, 3));
    assert_eq!(store.displace(), Some(1));
    let left: Vec<_> = std::iter::from_fn(|| store.pop()).collect();
    assert_eq!(left, [0, 2, 3, 4, 5]);
    assert_eq!(store.len(), 0);
}

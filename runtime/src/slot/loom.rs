//! Is a question settled exactly once, in every interleaving of those who could settle it?
//!
//! The main thread of a model is the asker, the others are the target and the wheel. An asker whom nobody wakes shows
//! as a deadlock. Run as the models of the [mailbox](crate::mailbox).

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::{Answer, Claim, Loss, Put, Slot, Ticket};
use crate::sync::model::{block_on, explore};

const DEADLINE: u64 = 5;

/// Counts how often it is held: a value that is lost somewhere is held too often.
type Value = Arc<()>;
type TestSlot = Slot<Value, ()>;

fn question() -> Arc<TestSlot> {
    let slot = Arc::new(Slot::new(()));
    assert!(slot.open(DEADLINE, None), "the wheel does not know it yet");
    slot
}

/// Runs `part` as another thread.
fn beside<T: 'static>(
    slot: &Arc<TestSlot>,
    part: impl FnOnce(&TestSlot) -> T + 'static,
) -> thread::JoinHandle<T> {
    let slot = slot.clone();
    thread::spawn(move || part(&slot))
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Replies as a `ReplyTo` does. Whether it was in time.
fn reply(slot: &TestSlot, value: Value) -> bool {
    match slot.put(value) {
        Put::Settled(waker) => {
            wake(waker);
            true
        }
        Put::Late(value) => {
            assert!(value.is_some(), "a late reply is given back");
            false
        }
    }
}

fn claimed(ticket: &Arc<Ticket>) -> bool {
    matches!(ticket.claim(), Claim::Granted(_))
}

fn answer(slot: &TestSlot) -> Answer<Value> {
    block_on(|cx| slot.poll_answer(cx))
}

#[test]
fn a_reply_and_the_deadline_settle_a_question_once_and_wake_its_asker() {
    explore(|| {
        let slot = question();
        let value = Value::default();
        let sent = value.clone();
        let target = beside(&slot, |slot| claimed(slot.ticket()) && reply(slot, sent));
        let wheel = beside(&slot, |slot| slot.ticket().expire(DEADLINE));
        let got = answer(&slot);
        slot.leave();
        let in_time = target.join().unwrap();
        assert_eq!(wheel.join().unwrap(), None);
        match got {
            Answer::Reply(_) => assert!(in_time),
            Answer::Lost(loss) => {
                assert!(!in_time && matches!(loss, Loss::Expired | Loss::TimedOut), "{loss:?}");
            }
        }
        assert_eq!(Arc::strong_count(&value), 1 + usize::from(in_time), "nobody keeps a late reply");
    });
}

#[test]
fn a_question_reported_as_expired_is_never_handled() {
    explore(|| {
        let slot = question();
        let target = beside(&slot, |slot| {
            let handled = claimed(slot.ticket());
            wake(slot.lose(false));
            handled
        });
        let wheel = beside(&slot, |slot| slot.ticket().expire(DEADLINE));
        let Answer::Lost(loss) = answer(&slot) else { panic!("nobody replied") };
        let handled = target.join().unwrap();
        match loss {
            Loss::Expired => assert!(!handled),
            Loss::TimedOut | Loss::Abandoned => assert!(handled),
            Loss::Unhandled | Loss::Crashed => panic!("{loss:?}, but handled: {handled}"),
        }
        wheel.join().unwrap();
    });
}

#[test]
fn a_question_reported_as_unhandled_is_never_handled() {
    explore(|| {
        let slot = question();
        // The reply was taken out of the message, and is dropped elsewhere.
        let elsewhere = beside(&slot, |slot| wake(slot.lose(false)));
        let target = beside(&slot, |slot| claimed(slot.ticket()));
        let Answer::Lost(loss) = answer(&slot) else { panic!("nobody replied") };
        let handled = target.join().unwrap();
        assert_eq!(loss, if handled { Loss::Abandoned } else { Loss::Unhandled });
        elsewhere.join().unwrap();
    });
}

#[test]
fn an_asker_that_leaves_leaves_no_reply_behind() {
    explore(|| {
        let slot = question();
        let value = Value::default();
        let sent = value.clone();
        let target = beside(&slot, |slot| {
            assert!(claimed(slot.ticket()), "an asker that left does not undo its question");
            reply(slot, sent)
        });
        let polled = slot.poll_answer(&Context::from_waker(Waker::noop()));
        slot.leave();
        let in_time = target.join().unwrap();
        assert!(slot.is_abandoned());
        if polled.is_ready() {
            assert!(in_time);
        }
        drop(polled);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn a_slot_that_is_used_again_is_not_ended_by_the_deadline_of_the_last_question() {
    const LATER: u64 = DEADLINE + 1;
    explore(|| {
        let slot = question();
        slot.leave();
        let wheel = beside(&slot, |slot| slot.ticket().expire(DEADLINE));
        let armed = slot.open(LATER, None);
        let again = wheel.join().unwrap();
        assert!(slot.poll_answer(&Context::from_waker(Waker::noop())).is_pending());
        // Exactly one entry of the wheel looks at the new deadline: a new one, or the old one again.
        assert_eq!((armed, again), if armed { (true, None) } else { (false, Some(LATER)) });
        assert_eq!(slot.ticket().expire(LATER), None);
        let polled = slot.poll_answer(&Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Answer::Lost(Loss::Expired))));
    });
}

#[test]
fn a_slot_nobody_can_reach_meets_no_late_reply() {
    explore(|| {
        let slot = question();
        let (held, ticket, value) = (slot.clone(), slot.ticket().clone(), Value::default());
        let sent = value.clone();
        let target = thread::spawn(move || {
            assert!(claimed(&ticket));
            drop(ticket);
            thread::yield_now();
            let waker = match held.put(sent) {
                Put::Settled(waker) => waker,
                Put::Late(_) => None,
            };
            drop(held);
            wake(waker);
        });
        slot.leave();
        if Slot::is_unreachable(&slot) {
            assert_eq!(Arc::strong_count(&value), 1);
            let _ = slot.open(DEADLINE, None);
            assert!(slot.poll_answer(&Context::from_waker(Waker::noop())).is_pending());
        }
        target.join().unwrap();
        if slot.is_abandoned() {
            return;
        }
        assert!(
            slot.poll_answer(&Context::from_waker(Waker::noop())).is_pending(),
            "the new question is open"
        );
    });
}

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
    slot.open(None);
    slot
}

/// Looks for the answer once. The tick for which the wheel is to be armed comes with it.
fn poll(slot: &TestSlot, deadline: u64) -> (Poll<Answer<Value>>, Option<u64>) {
    let mut armed = None;
    let cx = Context::from_waker(Waker::noop());
    let polled = slot.poll_answer(&cx, || deadline, |tick| armed = Some(tick));
    (polled, armed)
}

/// A question whose asker has begun to wait.
fn awaited() -> Arc<TestSlot> {
    let slot = question();
    let (polled, armed) = poll(&slot, DEADLINE);
    assert!(polled.is_pending());
    assert_eq!(armed, Some(DEADLINE), "the wheel does not know it yet");
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
    block_on(|cx| slot.poll_answer(cx, || DEADLINE, drop))
}

#[test]
fn a_reply_and_the_deadline_settle_a_question_once_and_wake_its_asker() {
    explore(|| {
        let slot = awaited();
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
        let slot = awaited();
        let target = beside(&slot, |slot| {
            let handled = claimed(slot.ticket());
            wake(slot.lose(Loss::Abandoned));
            handled
        });
        let wheel = beside(&slot, |slot| slot.ticket().expire(DEADLINE));
        let Answer::Lost(loss) = answer(&slot) else { panic!("nobody replied") };
        let handled = target.join().unwrap();
        match loss {
            Loss::Expired => assert!(!handled),
            Loss::TimedOut | Loss::Abandoned => assert!(handled),
            Loss::Unhandled | Loss::Crashed | Loss::Unavailable | Loss::Unconfirmed => {
                panic!("{loss:?}, but handled: {handled}")
            }
        }
        wheel.join().unwrap();
    });
}

#[test]
fn a_question_reported_as_unhandled_is_never_handled() {
    explore(|| {
        let slot = question();
        // The reply was taken out of the message, and is dropped elsewhere.
        let elsewhere = beside(&slot, |slot| wake(slot.lose(Loss::Abandoned)));
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
        let (polled, _) = poll(&slot, DEADLINE);
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
        let slot = awaited();
        slot.leave();
        let wheel = beside(&slot, |slot| slot.ticket().expire(DEADLINE));
        slot.open(None);
        let (polled, armed) = poll(&slot, LATER);
        assert!(polled.is_pending());
        let again = wheel.join().unwrap();
        assert!(poll(&slot, LATER).0.is_pending());
        // Exactly one entry of the wheel looks at the new deadline: a new one, or the old one again.
        assert!(matches!((armed, again), (Some(LATER), None) | (None, Some(LATER))), "{armed:?}, {again:?}");
        assert_eq!(slot.ticket().expire(LATER), None);
        assert!(matches!(poll(&slot, LATER).0, Poll::Ready(Answer::Lost(Loss::Expired))));
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
            slot.open(None);
            assert!(poll(&slot, DEADLINE).0.is_pending());
        }
        target.join().unwrap();
        if slot.is_abandoned() {
            return;
        }
        assert!(poll(&slot, DEADLINE).0.is_pending(), "the new question is open");
    });
}

#[test]
fn a_reply_that_comes_while_the_asker_begins_to_wait_is_found_or_wakes_it() {
    explore(|| {
        let slot = question();
        let value = Value::default();
        let sent = value.clone();
        let target = beside(&slot, |slot| claimed(slot.ticket()) && reply(slot, sent));
        assert!(matches!(answer(&slot), Answer::Reply(_)));
        assert!(target.join().unwrap());
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

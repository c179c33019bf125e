//! Does the mailbox keep its promises in every interleaving of its threads?
//!
//! The main thread of a model is the actor, the others send to it or urge it. A wake-up that is lost shows as a
//! deadlock.
//!
//! `RUSTFLAGS="--cfg omnitron_loom" cargo test -p omnitron-runtime --lib --release loom`

mod doze;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::inbox::{Inbox, Next, Offered, Pushed, Urge};
use super::ring::Ring;
use super::{Mailbox, Overflow};
use crate::error::Refusal;
use crate::sync::model::{block_on, explore};

type Numbers = Inbox<u32, &'static str, ()>;

fn inbox(mailbox: Mailbox<u32>) -> Arc<Numbers> {
    Arc::new(Inbox::new(mailbox, ()).0)
}

fn bounded(capacity: usize) -> Arc<Numbers> {
    inbox(Mailbox::bounded(capacity))
}

/// Runs `part` as another thread.
fn beside<T: 'static>(
    inbox: &Arc<Numbers>,
    part: impl FnOnce(&Numbers) -> T + 'static,
) -> thread::JoinHandle<T> {
    let inbox = inbox.clone();
    thread::spawn(move || part(&inbox))
}

fn tell(inbox: &Numbers, message: u32) {
    assert!(matches!(inbox.pushed(0, message), Pushed::Queued), "there is room for {message}");
}

/// Waits for room. `Err` when the mailbox was closed first.
fn send(inbox: &Numbers, message: u32) -> Result<(), u32> {
    let mut number = None;
    block_on(|cx| {
        let waits = match number {
            Some(number) => number,
            None => match inbox.offered(0, message, cx) {
                Offered::Settled(Pushed::Queued) => return Poll::Ready(Ok(())),
                Offered::Settled(Pushed::Refused(message, Refusal::Stopped)) => {
                    return Poll::Ready(Err(message));
                }
                Offered::Settled(pushed) => panic!("a send meets no {pushed:?}"),
                Offered::Waits(waits) => *number.insert(waits),
            },
        };
        inbox.poll_admitted(waits, cx).map_err(|(message, _)| message)
    })
}

/// The actor, as its body works: one message after the other.
struct Actor<'a> {
    inbox: &'a Numbers,
    batch: Ring<u32>,
    handled: Vec<u32>,
}

impl<'a> Actor<'a> {
    fn new(inbox: &'a Numbers) -> Self {
        Self { inbox, batch: Ring::default(), handled: Vec::new() }
    }

    fn next(&mut self) -> Next<u32> {
        match self.batch.pop_front() {
            Some(message) => Next::Message(message),
            None => block_on(|cx| self.inbox.poll_next(&mut self.batch, &mut false, cx)),
        }
    }

    fn handle(&mut self, messages: usize) {
        for _ in 0..messages {
            match self.next() {
                Next::Message(message) => self.handled.push(message),
                next => panic!("a message was to come: {next:?}"),
            }
            self.inbox.handled(self.batch.len(), 1, &mut 0);
        }
    }

    fn drain(&mut self) {
        while let Next::Message(message) = self.next() {
            self.handled.push(message);
            self.inbox.handled(self.batch.len(), 1, &mut 0);
        }
    }
}

#[test]
fn a_push_is_never_missed_by_an_actor_that_falls_asleep() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        let sender = beside(&inbox, |inbox| {
            tell(inbox, 1);
            tell(inbox, 2);
        });
        let mut actor = Actor::new(&inbox);
        actor.handle(2);
        assert_eq!(actor.handled, [1, 2]);
        sender.join().unwrap();
    });
}

#[test]
fn two_senders_lose_no_message_and_each_keeps_its_order() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        let senders = [10, 20].map(|base| {
            beside(&inbox, move |inbox| {
                tell(inbox, base);
                tell(inbox, base + 1);
            })
        });
        let mut actor = Actor::new(&inbox);
        actor.handle(4);
        for base in [10, 20] {
            let own: Vec<_> = actor.handled.iter().filter(|&&message| message / 10 * 10 == base).collect();
            assert_eq!(own, [&base, &(base + 1)]);
        }
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn a_send_that_waits_is_let_in_by_an_actor_that_works() {
    explore(|| {
        let inbox = bounded(1);
        tell(&inbox, 0);
        let sender = beside(&inbox, |inbox| send(inbox, 1));
        let mut actor = Actor::new(&inbox);
        actor.handle(2);
        assert_eq!(actor.handled, [0, 1]);
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn senders_that_wait_are_let_in_by_a_handler_that_awaits() {
    explore(|| {
        let inbox = bounded(1);
        tell(&inbox, 0);
        let sender = beside(&inbox, |inbox| send(inbox, 1));
        let mut actor = Actor::new(&inbox);
        actor.handle(1);
        // A hook that took nothing awaits until the sender has got its room.
        inbox.pause(0, &Context::from_waker(Waker::noop()));
        actor.handle(1);
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn senders_that_wait_are_served_in_order_and_all_of_them_woken() {
    explore(|| {
        let inbox = bounded(1);
        tell(&inbox, 0);
        let mut waiting = Vec::new();
        for message in [1, 2] {
            match inbox.offered(0, message, &Context::from_waker(Waker::noop())) {
                Offered::Waits(number) => waiting.push(number),
                Offered::Settled(pushed) => panic!("there is no room: {pushed:?}"),
            }
        }
        let senders: Vec<_> = waiting
            .into_iter()
            .map(|number| beside(&inbox, move |inbox| block_on(|cx| inbox.poll_admitted(number, cx)).is_ok()))
            .collect();
        let mut actor = Actor::new(&inbox);
        actor.handle(3);
        assert_eq!(actor.handled, [0, 1, 2]);
        for sender in senders {
            assert!(sender.join().unwrap());
        }
    });
}

#[test]
fn what_is_sent_while_the_actor_closes_is_handled_or_given_back() {
    explore(|| {
        let inbox = bounded(1);
        tell(&inbox, 0);
        let sender = beside(&inbox, |inbox| send(inbox, 1));
        let teller = beside(&inbox, |inbox| matches!(inbox.pushed(0, 2), Pushed::Queued));
        let mut actor = Actor::new(&inbox);
        actor.handle(1);
        inbox.close();
        actor.drain();
        let mut handled = actor.handled;
        let (leftovers, _) = inbox.finish();
        assert!(leftovers.is_empty(), "nothing enters after the mailbox was closed");
        handled.sort_unstable();
        let mut expected = vec![0];
        expected.extend(sender.join().unwrap().is_ok().then_some(1));
        expected.extend(teller.join().unwrap().then_some(2));
        assert_eq!(handled, expected);
    });
}

#[test]
fn a_send_that_is_dropped_is_withdrawn_or_handled_and_blocks_nobody() {
    explore(|| {
        let inbox = bounded(1);
        tell(&inbox, 0);
        let sender = beside(&inbox, |inbox| match inbox.offered(0, 1, &Context::from_waker(Waker::noop())) {
            Offered::Waits(number) => inbox.withdraw(number),
            Offered::Settled(_) => None,
        });
        let mut actor = Actor::new(&inbox);
        actor.handle(1);
        let withdrawn = sender.join().unwrap();
        if withdrawn.is_none() {
            actor.handle(1);
        }
        let expected: &[u32] = if withdrawn.is_none() { &[0, 1] } else { &[0] };
        assert_eq!(actor.handled, expected);
        tell(&inbox, 2);
    });
}

#[test]
fn a_control_and_a_message_both_reach_an_actor_that_falls_asleep() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        let runtime = beside(&inbox, |inbox| assert!(inbox.control("look").is_ok()));
        let sender = beside(&inbox, |inbox| tell(inbox, 1));
        let mut actor = Actor::new(&inbox);
        let mut controls = Vec::new();
        while actor.handled.is_empty() || controls.is_empty() {
            match actor.next() {
                Next::Message(message) => actor.handled.push(message),
                Next::Controls => controls.extend(std::iter::from_fn(|| inbox.next_control().ok())),
                Next::Drained => panic!("nobody closed it"),
            }
        }
        assert_eq!((actor.handled, controls), (vec![1], vec!["look"]));
        runtime.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn an_urge_is_never_missed_by_a_handler_that_awaits() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        let runtime = beside(&inbox, |inbox| inbox.urge(Urge::Stop));
        let sender = beside(&inbox, |inbox| tell(inbox, 1));
        let urge = block_on(|cx| inbox.pause(0, cx).map_or(Poll::Pending, Poll::Ready));
        assert_eq!(urge, Urge::Stop);
        runtime.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn a_control_is_never_missed_by_an_actor_that_takes_no_messages() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        let runtime = beside(&inbox, |inbox| assert!(inbox.control("look").is_ok()));
        let control = loop {
            block_on(|cx| inbox.poll_control(cx));
            if let Ok(control) = inbox.next_control() {
                break control;
            }
        };
        assert_eq!(control, "look");
        runtime.join().unwrap();
    });
}

#[test]
fn what_is_pushed_while_a_handler_awaits_is_found_after_it() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        let sender = beside(&inbox, |inbox| tell(inbox, 1));
        // The handler awaits, and is ready by itself.
        inbox.pause(0, &Context::from_waker(Waker::noop()));
        let mut actor = Actor::new(&inbox);
        actor.handle(1);
        sender.join().unwrap();
    });
}

#[test]
fn a_closed_mailbox_waits_for_the_result_whose_room_is_reserved() {
    for fulfil in [true, false] {
        explore(move || {
            let inbox = inbox(Mailbox::unbounded());
            assert_eq!(inbox.reserve(), Ok(None));
            let piped = beside(&inbox, move |inbox| {
                if fulfil {
                    assert_eq!(inbox.fulfil(0, 7, true), Ok(()));
                } else {
                    inbox.release();
                }
            });
            inbox.close();
            let mut actor = Actor::new(&inbox);
            actor.drain();
            assert_eq!(actor.handled, if fulfil { vec![7] } else { vec![] });
            piped.join().unwrap();
        });
    }
}

#[test]
fn room_that_is_released_reaches_the_sender_that_waits_for_it() {
    explore(|| {
        let inbox = bounded(1);
        assert_eq!(inbox.reserve(), Ok(None));
        let sender = beside(&inbox, |inbox| send(inbox, 1));
        let piped = beside(&inbox, Inbox::release);
        let mut actor = Actor::new(&inbox);
        actor.handle(1);
        assert_eq!(sender.join().unwrap(), Ok(()));
        piped.join().unwrap();
    });
}

#[test]
fn what_comes_while_the_actor_ends_is_left_over_or_given_back() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        assert_eq!(inbox.reserve(), Ok(None));
        let piped = beside(&inbox, |inbox| inbox.fulfil(0, 1, true));
        let runtime = beside(&inbox, |inbox| inbox.control("late"));
        let (messages, controls) = inbox.finish();
        assert_eq!(messages.is_empty(), piped.join().unwrap().is_err());
        assert_eq!(controls.is_empty(), runtime.join().unwrap().is_err());
        assert!(matches!(inbox.pushed(0, 2), Pushed::Refused(2, Refusal::Stopped)));
    });
}

#[test]
fn a_mailbox_that_drops_the_oldest_accounts_for_every_message() {
    explore(|| {
        let inbox = inbox(Mailbox::bounded(1).on_full(Overflow::DropOldest));
        let sender = beside(&inbox, |inbox| {
            let mut displaced = Vec::new();
            for message in [1, 2] {
                match inbox.pushed(0, message) {
                    Pushed::Queued => {}
                    Pushed::Displaced(oldest) => displaced.push(oldest),
                    pushed => panic!("there is always something to displace: {pushed:?}"),
                }
            }
            displaced
        });
        let mut actor = Actor::new(&inbox);
        actor.handle(1);
        let mut all = sender.join().unwrap();
        all.append(&mut actor.handled);
        all.append(&mut inbox.finish().0);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

#[test]
fn an_urge_that_comes_with_a_control_is_never_missed() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        let runtime = beside(&inbox, |inbox| assert!(inbox.control("look").is_ok()));
        let stopper = beside(&inbox, |inbox| inbox.urge(Urge::Stop));
        let mut actor = Actor::new(&inbox);
        let mut controls = Vec::new();
        loop {
            assert!(matches!(actor.next(), Next::Controls));
            let urge = loop {
                match inbox.next_control() {
                    Ok(control) => controls.push(control),
                    Err(urge) => break urge,
                }
            };
            if urge.is_some() && !controls.is_empty() {
                break;
            }
        }
        runtime.join().unwrap();
        stopper.join().unwrap();
    });
}

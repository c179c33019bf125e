//! Does an actor miss anything that sleeps after a lone message without another look?

use std::task::{Context, Poll, Waker};

use loom::thread;

use super::{Numbers, beside, bounded, inbox, send, tell};
use crate::mailbox::Mailbox;
use crate::mailbox::inbox::Next;
use crate::mailbox::ring::Ring;
use crate::sync::model::{block_on, explore};

/// An actor that sleeps without another look after every message that comes alone. Handles so many messages and controls.
fn doze(inbox: &Numbers, count: usize) -> Vec<u32> {
    let (mut batch, mut handled, mut controls, mut dozes) = (Ring::default(), Vec::new(), 0, false);
    block_on(|cx| {
        while handled.len() + controls < count {
            if std::mem::take(&mut dozes) && inbox.doze() {
                return Poll::Pending;
            }
            if let Some(message) = batch.pop_front() {
                handled.push(message);
                inbox.handled(batch.len(), 1, &mut 0);
                continue;
            }
            dozes = true;
            match inbox.poll_next(&mut batch, &mut dozes, cx) {
                Poll::Ready(Next::Message(message)) => handled.push(message),
                Poll::Ready(Next::Controls) => {
                    controls += std::iter::from_fn(|| inbox.next_control().ok()).count();
                    dozes = false;
                }
                Poll::Ready(Next::Drained) => panic!("nobody closed it"),
                Poll::Pending => {
                    dozes = false;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    });
    handled
}

#[test]
fn a_push_is_never_missed_by_an_actor_that_dozes() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        let sender = beside(&inbox, |inbox| {
            tell(inbox, 1);
            tell(inbox, 2);
        });
        assert_eq!(doze(&inbox, 2), [1, 2]);
        sender.join().unwrap();
    });
}

#[test]
fn a_send_that_waits_is_let_in_by_an_actor_that_dozes() {
    explore(|| {
        let inbox = bounded(1);
        let sender = beside(&inbox, |inbox| {
            send(inbox, 1).unwrap();
            send(inbox, 2).unwrap();
        });
        assert_eq!(doze(&inbox, 2), [1, 2]);
        sender.join().unwrap();
    });
}

#[test]
fn a_control_is_never_missed_by_an_actor_that_dozes() {
    explore(|| {
        let inbox = inbox(Mailbox::unbounded());
        let sender = beside(&inbox, |inbox| {
            tell(inbox, 1);
            inbox.control("control").unwrap();
        });
        assert_eq!(doze(&inbox, 2), [1]);
        sender.join().unwrap();
    });
}

#[test]
fn an_actor_is_idle_only_when_what_its_lone_message_caused_is_there() {
    explore(|| {
        let (first, second) = (inbox(Mailbox::unbounded()), inbox(Mailbox::unbounded()));
        tell(&first, 1);
        let actor = {
            let (first, second) = (first.clone(), second.clone());
            thread::spawn(move || {
                let waker = Waker::noop();
                let (mut batch, mut dozes) = (Ring::default(), true);
                let next = first.poll_next(&mut batch, &mut dozes, &Context::from_waker(waker));
                assert!(matches!(next, Poll::Ready(Next::Message(1))) && dozes);
                tell(&second, 2);
                assert!(first.doze());
            })
        };
        if first.figures().idle {
            assert_eq!(second.figures().accepted, 1, "idle, and its message is not sent");
        }
        actor.join().unwrap();
    });
}

//! What happens without a tokio runtime, and when it goes while actors live?
//!
//! Each test has two: the actors live in one, which is dropped; the other asks, and must get an answer.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context as Poller, Poll, Waker};

use omnitron::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::world::in_full;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_start_without_a_tokio_runtime_says_what_is_missing() {
    let mut start = pin!(ActorSystem::start("nowhere"));
    let Poll::Ready(started) = start.as_mut().poll(&mut Poller::from_waker(Waker::noop())) else {
        panic!("there is nothing to wait for");
    };
    let error = started.unwrap_err();
    assert!(matches!(error, StartError::NoRuntime(_)), "{error:?}");
    let text = "no tokio runtime: call this inside of one, for example in a function marked #[tokio::main]";
    assert_eq!(in_full(&error), text);
}

/// Holds what it is asked for as long as it lives, or hands it out.
struct Holder {
    out: mpsc::Sender<ReplyTo<u64>>,
}

enum Hold {
    /// Never ends.
    Handle(ReplyTo<u64>),
    /// Leaves the runtime.
    HandOut(ReplyTo<u64>),
    /// Waits behind another.
    Queue(ReplyTo<u64>),
}

impl Actor for Holder {
    type Msg = Hold;

    async fn receive(&mut self, hold: Hold, _: &mut Context<Self>) -> Result<(), Failure> {
        match hold {
            Hold::Handle(_held) => std::future::pending().await,
            Hold::HandOut(reply) => self.out.send(reply).map_err(|_| Failure::msg("nobody takes it")),
            Hold::Queue(reply) => {
                reply.send(1);
                Ok(())
            }
        }
    }
}

fn holder(runtime: &Runtime) -> (ActorSystem, ActorRef<Hold>, mpsc::Receiver<ReplyTo<u64>>) {
    let (out, taken) = mpsc::channel();
    runtime.block_on(async {
        let system = ActorSystem::start("held").await.unwrap();
        let holder = system.spawn("holder", move || Holder { out: out.clone() }).unwrap();
        (system, holder, taken)
    })
}

/// Polls an ask until its message is in the mailbox.
async fn begin<F: Future + Unpin>(ask: &mut F) {
    let polled = std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *ask).poll(cx).is_pending()));
    assert!(polled.await, "it has no answer yet");
}

#[test]
fn asks_end_when_the_runtime_of_their_target_is_dropped() {
    let (theirs, ours) = (runtime(), runtime());
    let (_system, holder, taken) = holder(&theirs);
    let asks = async {
        let mut out = holder.ask(Hold::HandOut);
        begin(&mut out).await;
        let held_outside = taken.recv().unwrap();
        let mut handled = holder.ask(Hold::Handle);
        begin(&mut handled).await;
        let mut queued = holder.ask(Hold::Queue);
        begin(&mut queued).await;
        theirs.shutdown_background();
        // The reply to the first is alive, but nobody keeps its time any more.
        let ends = [out.await, handled.await, queued.await];
        drop(held_outside);
        ends
    };
    let [out, handled, queued] = ours.block_on(asks);
    assert!(matches!(out, Err(AskError::TimedOut { .. })), "{out:?}");
    // Who goes first, the target or the one who keeps its time, is up to the runtime; and so is how far the target came.
    for lost in [handled, queued] {
        let error = lost.unwrap_err();
        assert!(!matches!(error, AskError::Crashed | AskError::Refused(_)), "{error:?}");
    }
}

#[test]
fn whoever_comes_after_the_runtime_has_gone_is_refused() {
    let (theirs, ours) = (runtime(), runtime());
    let (system, holder, _taken) = holder(&theirs);
    drop(theirs);
    let asked = ours.block_on(holder.ask(Hold::Queue));
    assert!(matches!(asked, Err(AskError::Refused(Refusal::Stopped))), "{asked:?}");
    ours.block_on(holder.stop());
    let spawned = system.spawn("late", || Holder { out: mpsc::channel().0 });
    if let Ok(late) = spawned {
        let asked = ours.block_on(late.ask(Hold::Queue));
        assert!(matches!(asked, Err(AskError::Refused(Refusal::Stopped))), "{asked:?}");
    }
    assert_eq!(system.stats().actors, 0);
}

#[test]
fn a_shutdown_ends_when_its_runtime_is_dropped_before_or_while_it_runs() {
    for before in [true, false] {
        let (theirs, ours) = (runtime(), runtime());
        let (system, holder, _taken) = holder(&theirs);
        let report = ours.block_on(async {
            let mut handled = holder.ask(Hold::Handle);
            begin(&mut handled).await;
            if before {
                theirs.shutdown_background();
                handled.await.unwrap_err();
                system.shutdown().await
            } else {
                system.begin_shutdown();
                theirs.shutdown_background();
                system.terminated().await
            }
        });
        assert!(report.cause.is_none(), "{report}");
    }
}

#[test]
fn two_systems_in_two_runtimes_outlive_each_other() {
    let (theirs, ours) = (runtime(), runtime());
    let (_there, remote, _taken) = holder(&theirs);
    let (here, local, _also_taken) = holder(&ours);
    assert_eq!(ours.block_on(remote.ask(Hold::Queue)).unwrap(), 1);
    drop(theirs);
    assert_eq!(ours.block_on(local.ask(Hold::Queue)).unwrap(), 1);
    assert!(ours.block_on(here.shutdown()).unfinished.is_empty());
}

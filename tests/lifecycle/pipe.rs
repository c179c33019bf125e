//! How does the result of a future come back to the actor that started it?

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::{Diary, SOON, system_in};

/// Starts futures, and writes down what comes of them.
struct Waiter {
    diary: Diary,
}

enum Wait {
    /// A result after so many milliseconds.
    For(u64),
    /// So many futures at once, that end together.
    Many(u32),
    /// A future that never ends; the guard tells when it is dropped.
    ForEver(Guard),
    PanicInFuture,
    PanicInMap,
    Result(u64),
    Plain(&'static str),
    Fail,
}

/// Counts its drop.
struct Guard(Arc<AtomicU64>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Actor for Waiter {
    type Msg = Wait;

    async fn receive(&mut self, message: Wait, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            Wait::For(millis) => {
                let wait = ctx.env().sleep(Duration::from_millis(millis));
                let answer = async move {
                    wait.await;
                    millis
                };
                if let Err(reason) = ctx.pipe_to_self(answer, Wait::Result) {
                    self.diary.note(format!("{reason:?}"));
                }
            }
            Wait::Many(futures) => {
                for _ in 0..futures {
                    let wait = ctx.env().sleep(Duration::from_millis(5));
                    let piped = ctx.pipe_to_self(wait, |()| Wait::Plain("one of many"));
                    self.diary.note(format!("{piped:?}"));
                }
            }
            Wait::ForEver(guard) => {
                let hang = async move {
                    let _guard = guard;
                    pending::<u64>().await
                };
                ctx.pipe_to_self(hang, Wait::Result)?;
            }
            Wait::PanicInFuture => ctx.pipe_to_self(async { panic!("in the future") }, Wait::Result)?,
            Wait::PanicInMap => ctx.pipe_to_self(async {}, |()| panic!("in the map"))?,
            Wait::Result(number) => self.diary.note(number.to_string()),
            Wait::Plain(text) => self.diary.note(text),
            Wait::Fail => return Err(Failure::msg("as told")),
        }
        Ok(())
    }

    async fn pre_restart(&mut self, crash: &Crash, _: &mut Context<Self>) -> Result<(), Failure> {
        self.diary.note(format!("{} {}", crash.during(), crash.reason()));
        Ok(())
    }
}

fn waiter(diary: &Diary, mailbox: Mailbox<Wait>) -> Spawn<Waiter> {
    let diary = diary.clone();
    Spawn::new(move || Waiter { diary: diary.clone() }).mailbox(mailbox)
}

/// What a waiter writes down, told this, until all is quiet.
fn written(mailbox: Mailbox<Wait>, messages: Vec<Wait>) -> Vec<String> {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let waiter = system.spawn("waiter", waiter(&diary, mailbox)).unwrap();
        for message in messages {
            waiter.tell(message).unwrap();
        }
        sim.env().sleep(SOON).await;
    });
    diary.read()
}

#[test]
fn results_arrive_as_messages_when_they_are_there_and_other_messages_go_on_meanwhile() {
    let messages = vec![Wait::For(30), Wait::For(10), Wait::For(20), Wait::Plain("meanwhile")];
    assert_eq!(written(Mailbox::default(), messages), ["meanwhile", "10", "20", "30"]);
}

#[test]
fn room_is_reserved_at_the_call_and_refused_at_the_call() {
    // One place is that of the message which starts them.
    assert_eq!(
        written(Mailbox::bounded(3), vec![Wait::Many(3)]),
        ["Ok(())", "Ok(())", "Err(Full { capacity: 3 })", "one of many", "one of many"]
    );
    let drops = Mailbox::bounded(3).on_full(Overflow::DropNewest);
    assert_eq!(
        written(drops, vec![Wait::Many(3)]),
        ["Ok(())", "Ok(())", "Err(Overflowed { capacity: 3 })", "one of many", "one of many"]
    );
}

#[test]
fn a_result_is_never_refused_by_a_mailbox_that_others_have_filled() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let waiter = system.spawn("waiter", waiter(&diary, Mailbox::bounded(2))).unwrap();
        waiter.tell(Wait::For(10)).unwrap();
        sim.env().sleep(Duration::from_millis(1)).await;
        // One of the two places is reserved.
        waiter.tell(Wait::Plain("first")).unwrap();
        let refused = waiter.tell(Wait::Plain("second")).unwrap_err();
        assert_eq!(refused.reason, Refusal::Full { capacity: 2 });
        sim.env().sleep(SOON).await;
    });
    assert_eq!(diary.read(), ["first", "10"]);
}

#[test]
fn reserved_room_is_given_back_when_the_future_panics() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let spawn = waiter(&diary, Mailbox::bounded(2)).supervision(Supervision::resume());
        let waiter = system.spawn("waiter", spawn).unwrap();
        for _ in 0..10 {
            waiter.tell(Wait::PanicInFuture).unwrap();
            sim.env().sleep(SOON).await;
        }
        assert_eq!(system.stats().failures, 10, "none of them was refused for want of room");
        waiter.tell(Wait::Plain("a")).unwrap();
        waiter.tell(Wait::Plain("b")).unwrap();
        waiter.drain().await;
    });
    assert_eq!(diary.read(), ["a", "b"]);
}

#[test]
fn a_panic_in_the_future_or_in_the_map_is_a_failure_of_the_actor() {
    assert_eq!(
        written(Mailbox::default(), vec![Wait::PanicInFuture]),
        ["in a future piped to it panicked: in the future"]
    );
    assert_eq!(
        written(Mailbox::default(), vec![Wait::PanicInMap]),
        ["in a future piped to it panicked: in the map"]
    );
}

#[test]
fn a_restart_does_not_touch_a_piped_future() {
    assert_eq!(
        written(Mailbox::default(), vec![Wait::For(10), Wait::Fail]),
        [format!("while handling {} as told", std::any::type_name::<Wait>()), "10".to_owned()]
    );
}

#[test]
fn a_stop_drops_the_future_and_a_drain_waits_for_it() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    let dropped = Arc::new(AtomicU64::new(0));
    sim.block_on(async {
        let system = system_in(&sim).await;
        let stopped = system.spawn("stopped", waiter(&diary, Mailbox::default())).unwrap();
        stopped.tell(Wait::ForEver(Guard(dropped.clone()))).unwrap();
        sim.env().sleep(SOON).await;
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        stopped.stop().await;
        sim.env().sleep(SOON).await;
        assert_eq!(dropped.load(Ordering::SeqCst), 1);

        let drained = system.spawn("drained", waiter(&diary, Mailbox::default())).unwrap();
        drained.tell(Wait::For(50)).unwrap();
        sim.env().sleep(Duration::from_millis(1)).await;
        drained.drain().await;
        assert_eq!((diary.read(), system.dead_letters().total()), (vec!["50".to_owned()], 0));

        let draining = system.spawn("draining", waiter(&diary, Mailbox::default())).unwrap();
        draining.tell(Wait::For(60)).unwrap();
        draining.drain().await;
    });
    assert_eq!(diary.read(), ["50", "Stopped"], "an actor that drains starts nothing new");
}

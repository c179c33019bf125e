//! Can a reply ever reach another question than its own?
//!
//! The slots of asks are used again and again. Here the targets answer late, twice over, from other threads, after
//! panics, and for callers that went away; every answer that arrives has to be the right one.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as Poller, Poll};

use omnitron::prelude::*;

use crate::world::{Later, Question, Record, SECOND, Way, World, poll_once, question, start};

#[test]
fn a_late_reply_never_reaches_a_later_question() {
    let world = World::with(|target| target.mailbox(Mailbox::unbounded()));
    for number in 0..2_000u64 {
        let late = world.asks_within(number * 2, Way::ReplyElsewhere(SECOND * 2), SECOND / 10);
        assert!(matches!(world.end(late), Err(AskError::TimedOut { .. })));
        let next = world.asks(number * 2 + 1, Way::Reply);
        assert_eq!(world.end(next).unwrap(), number * 2 + 1);
    }
    world.sim.advance(SECOND * 3);
    assert_eq!(world.system.dead_letters().count(Reason::LateReply), 2_000);
}

#[test]
fn a_reply_to_a_caller_that_went_away_never_reaches_its_next_question() {
    let world = World::with(|target| target.mailbox(Mailbox::unbounded()));
    for number in 0..2_000u64 {
        let way = if number % 3 == 0 { Way::ReplyElsewhere(SECOND) } else { Way::Reply };
        let mut dropped = world.target.ask(question(number * 2, way));
        assert!(world.sim.block_on(poll_once(&mut dropped)).is_none());
        if number % 2 == 0 {
            world.sim.run_until_idle();
        }
        drop(dropped);
        let asked = world.asks(number * 2 + 1, Way::Reply);
        assert_eq!(world.end(asked).unwrap(), number * 2 + 1);
    }
}

#[test]
fn slots_of_questions_whose_handler_panicked_serve_again() {
    let world = World::with(|target| target.supervision(Supervision::restart().unlimited()));
    for number in 0..500u64 {
        let way = [Way::Panic, Way::Drop, Way::Fail, Way::Reply][usize::try_from(number % 4).unwrap()];
        let lost = world.asks(number * 2, way);
        let right = match world.end(lost) {
            Err(AskError::Crashed) => way == Way::Panic,
            Err(AskError::Abandoned) => matches!(way, Way::Drop | Way::Fail),
            Ok(reply) => way == Way::Reply && reply == number * 2,
            Err(_) => false,
        };
        assert!(right, "question {} was to {way:?}", number * 2);
        let next = world.asks(number * 2 + 1, Way::Reply);
        assert_eq!(world.end(next).unwrap(), number * 2 + 1);
    }
}

#[test]
fn slots_of_one_system_never_serve_another() {
    let world = World::new();
    let other = start(&world.sim, "other");
    let record = Record::default();
    let elsewhere = other.spawn("target", move || Echo { handled: record.clone() }).unwrap();
    for number in 0..200u64 {
        let here = world.target.ask(question(number, Way::ReplyAfter(SECOND))).within(SECOND / 10);
        assert!(matches!(world.sim.block_on(here), Err(AskError::TimedOut { .. })));
        world.sim.advance(SECOND);
        let there = elsewhere.ask(question(number + 1_000, Way::Reply)).within(SECOND / 10);
        assert_eq!(world.sim.block_on(there).unwrap(), number + 1_000);
    }
    world.sim.block_on(world.system.shutdown());
    let there = world.sim.block_on(elsewhere.ask(question(5, Way::Reply)));
    assert_eq!(there.unwrap(), 5, "the end of one system is nothing to the other");
}

struct Echo {
    handled: Record,
}

impl Actor for Echo {
    type Msg = Question;

    async fn receive(&mut self, question: Question, _: &mut Context<Self>) -> Result<(), Failure> {
        self.handled.add(question.number);
        question.reply.send(question.number);
        Ok(())
    }
}

// ---- on real threads ------------------------------------------------------------------------------------------

/// Puts every reply on a heap which other tasks take from, so that replies come late, from any thread, in any order.
#[derive(Clone, Default)]
struct Heap(Arc<Mutex<Vec<Numbered>>>);

type Numbered = (u64, ReplyTo<u64>);

impl Heap {
    fn take(&self) -> Option<Numbered> {
        let mut heap = self.0.lock().unwrap();
        let any = heap.len() / 2;
        (!heap.is_empty()).then(|| heap.swap_remove(any))
    }
}

struct Hoarder {
    heap: Heap,
}

impl Actor for Hoarder {
    type Msg = Numbered;

    async fn receive(&mut self, question: Numbered, _: &mut Context<Self>) -> Result<(), Failure> {
        assert!(!question.0.is_multiple_of(97), "one in 97 panics");
        self.heap.0.lock().unwrap().push(question);
        Ok(())
    }
}

/// Lets the other tasks of this thread run once.
#[derive(Default)]
struct GiveWay(bool);

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

const ASKERS: u64 = 4;
const QUESTIONS_PER_ASKER: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_real_threads_every_answer_that_arrives_is_that_of_its_own_question() {
    let system = ActorSystem::start("slots").await.unwrap();
    let heap = Heap::default();
    let made = heap.clone();
    let spawn = Spawn::new(move || Hoarder { heap: made.clone() })
        .mailbox(Mailbox::unbounded())
        .supervision(Supervision::resume());
    let hoarder = system.spawn("hoarder", spawn).unwrap();
    let running = Arc::new(AtomicU64::new(ASKERS));

    let answering: Vec<_> = (0..2u64)
        .map(|which| {
            let (heap, running) = (heap.clone(), running.clone());
            Later::begin(&system, async move {
                loop {
                    match heap.take() {
                        Some((number, reply)) if number % 5 == which => drop(reply),
                        Some((number, reply)) => reply.send(number),
                        None if running.load(Ordering::Acquire) == 0 => return,
                        None => GiveWay::default().await,
                    }
                }
            })
        })
        .collect();
    let asking: Vec<_> = (0..ASKERS)
        .map(|asker| {
            let (hoarder, running) = (hoarder.clone(), running.clone());
            Later::begin(&system, async move {
                let mut arrived = 0u64;
                for turn in 0..QUESTIONS_PER_ASKER {
                    let number = asker * QUESTIONS_PER_ASKER + turn;
                    let mut ask = hoarder.ask(|reply| (number, reply));
                    // Some callers go away at once, some soon, some wait until the end.
                    let result = match number % 4 {
                        0 => poll_once(&mut ask).await,
                        1 => {
                            let first = poll_once(&mut ask).await;
                            GiveWay::default().await;
                            if first.is_some() { first } else { poll_once(&mut ask).await }
                        }
                        _ => Some(ask.await),
                    };
                    match result {
                        Some(Ok(reply)) => {
                            assert_eq!(reply, number, "the answer to another question");
                            arrived += 1;
                        }
                        Some(Err(AskError::Crashed)) => assert_eq!(number % 97, 0),
                        Some(Err(AskError::Abandoned)) | None => {}
                        Some(Err(error)) => panic!("question {number}: {error:?}"),
                    }
                }
                running.fetch_sub(1, Ordering::Release);
                arrived
            })
        })
        .collect();
    let mut arrived = 0;
    for asked in asking {
        arrived += asked.await;
    }
    for answered in answering {
        answered.await;
    }
    assert!(arrived > ASKERS * QUESTIONS_PER_ASKER / 10, "only {arrived} answers arrived at all");
    system.shutdown().await;
}

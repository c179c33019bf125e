//! What does a message cost in heap? Nothing, once an actor runs.
//!
//! Everything runs on the thread of the test, whose allocations are counted exactly: those of the sender, of the
//! runtime in between, and of the actor. What grows once (rings, pools, tables) has grown before the count begins.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

use allocation_counter::{AllocationInfo, measure};
use omnitron::prelude::*;
use omnitron::testkit::Sim;

/// Messages per measurement, as many as it takes to see one allocation in a thousand of them.
const MESSAGES: u64 = 100_000;
/// Asks and sends are measured with fewer: each switches between two tasks.
const QUESTIONS: u64 = 10_000;
/// Messages told in one go, before the actor gets its turn: what a ring that is kept has room for.
const BURST: u64 = 32;

#[derive(Default)]
struct Counter {
    value: u64,
    other: Option<ActorRef<Count>>,
}

enum Count {
    Add(u64),
    Get(ReplyTo<u64>),
    /// Asks the other actor that many times, from inside this handler.
    AskOther(u64, ReplyTo<u64>),
    /// Sends that many messages to the other actor, from inside this handler.
    SendOther(u64, ReplyTo<u64>),
    Meet(ActorRef<Count>),
}

impl Actor for Counter {
    type Msg = Count;

    async fn receive(&mut self, message: Count, _: &mut Context<Self>) -> Result<(), Failure> {
        match (message, &self.other) {
            (Count::Add(n), _) => self.value += n,
            (Count::Get(reply), _) => reply.send(self.value),
            (Count::Meet(other), _) => self.other = Some(other),
            (Count::AskOther(times, reply), Some(other)) => {
                let mut sum = 0;
                for _ in 0..times {
                    sum += other.ask(Count::Get).await?;
                }
                reply.send(sum);
            }
            (Count::SendOther(times, reply), Some(other)) => {
                for _ in 0..times {
                    other.send(Count::Add(1)).await?;
                }
                reply.send(times);
            }
            (Count::AskOther(..) | Count::SendOther(..), None) => return Err(Failure::msg("met nobody")),
        }
        Ok(())
    }
}

/// A system on the thread of the test, and an actor in it.
fn counter_with(mailbox: Mailbox<Count>) -> (tokio::runtime::Runtime, ActorRef<Count>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let counter = runtime.block_on(async {
        let system = ActorSystem::start("allocations").await.unwrap();
        let counter = system.spawn("counter", Spawn::new(Counter::default).mailbox(mailbox)).unwrap();
        let other = system.spawn("other", Counter::default).unwrap();
        wake_often(&counter).await;
        wake_often(&other).await;
        counter.tell(Count::Meet(other)).unwrap();
        handled_by(&counter).await;
        counter
    });
    (runtime, counter)
}

/// An actor in a simulation. Virtual time stands still while somebody asks, so the wheel of the deadlines, which looks
/// at the time every 10 ms and allocates for it, has no part in what is counted.
fn simulated_counter() -> (Sim, ActorRef<Count>) {
    let sim = Sim::new(1);
    let counter = sim.block_on(async {
        let system = ActorSystem::builder("allocations").env(sim.env()).start().await.unwrap();
        let counter = system.spawn("counter", Counter::default).unwrap();
        let other = system.spawn("other", Counter::default).unwrap();
        for _ in 0..100 {
            counter.ask(Count::Get).await.unwrap();
            other.ask(Count::Get).await.unwrap();
        }
        counter.tell(Count::Meet(other)).unwrap();
        counter
    });
    (sim, counter)
}

/// Gives the actor its turn until it has handled everything and sleeps. Allocates nothing itself.
async fn handled_by(counter: &ActorRef<Count>) {
    loop {
        let depth = counter.depth();
        tokio::task::yield_now().await;
        if depth == 0 {
            return;
        }
    }
}

async fn tell_in_bursts(counter: &ActorRef<Count>) {
    for _ in 0..MESSAGES / BURST {
        (0..BURST).for_each(|_| counter.tell(Count::Add(1)).unwrap());
        handled_by(counter).await;
    }
}

async fn ask_in_turn(counter: &ActorRef<Count>) {
    for _ in 0..QUESTIONS {
        counter.ask(Count::Get).await.unwrap();
    }
}

async fn send_in_turn(counter: &ActorRef<Count>) {
    for _ in 0..QUESTIONS {
        counter.send(Count::Add(1)).await.unwrap();
        handled_by(counter).await;
    }
}

/// What tokio itself allocates for a `block_on` in which somebody yields.
fn of_tokio(runtime: &tokio::runtime::Runtime) -> u64 {
    steady(|| runtime.block_on(tokio::task::yield_now())).count_total
}

/// What `work` allocates the third time. Before, each of the two rings that a mailbox and its actor exchange has
/// had its turn to grow.
fn steady(mut work: impl FnMut()) -> AllocationInfo {
    work();
    work();
    measure(work)
}

/// Wakes an actor so often that it keeps its future while it sleeps. Asks nothing: asks start the wheel of deadlines.
async fn wake_often(actor: &ActorRef<Count>) {
    for _ in 0..100 {
        actor.tell(Count::Add(0)).unwrap();
        handled_by(actor).await;
    }
}

#[test]
fn the_count_sees_an_allocation_of_this_thread() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1_u64)))).count_total, 1);
}

#[test]
fn a_local_tell_allocates_nothing_bounded_or_unbounded() {
    for mailbox in [Mailbox::unbounded(), Mailbox::default()] {
        let name = format!("{mailbox:?}");
        let (runtime, counter) = counter_with(mailbox);
        let heap = steady(|| runtime.block_on(tell_in_bursts(&counter)));
        assert_eq!(heap.count_total, of_tokio(&runtime), "{name}: {heap:?}");
        let value = runtime.block_on(async { counter.ask(Count::Get).await.unwrap() });
        assert_eq!(value, 3 * (MESSAGES / BURST) * BURST, "every message was handled");
    }
}

#[test]
fn a_flood_of_tells_allocates_for_the_growing_ring_only() {
    let room = usize::try_from(MESSAGES).unwrap();
    for mailbox in [Mailbox::unbounded(), Mailbox::bounded(room)] {
        let name = format!("{mailbox:?}");
        let (runtime, counter) = counter_with(mailbox);
        let heap = steady(|| {
            (0..MESSAGES).for_each(|_| counter.tell(Count::Add(1)).unwrap());
            runtime.block_on(handled_by(&counter));
        });
        // A ring doubles: below 20 times for so many messages.
        assert!(heap.count_total * 1000 < MESSAGES, "{name}: {heap:?}");
    }
}

#[test]
fn an_ask_allocates_nothing_from_a_task_or_from_a_handler() {
    let (sim, counter) = simulated_counter();
    let heap = steady(|| sim.block_on(ask_in_turn(&counter)));
    assert_eq!(heap.count_total, 1, "one for the waker of the simulation's `block_on`: {heap:?}");
    let from_handler = |times| {
        let question = || counter.ask(move |reply| Count::AskOther(times, reply));
        steady(|| assert_eq!(sim.block_on(async { question().await.unwrap() }), 0)).count_total
    };
    assert_eq!(from_handler(10), from_handler(QUESTIONS), "the number of asks does not show");
}

#[test]
fn on_tokio_an_ask_allocates_nothing_but_the_wheels_look_at_the_clock() {
    let (runtime, counter) = counter_with(Mailbox::default());
    let heap = steady(|| runtime.block_on(ask_in_turn(&counter)));
    // One per 10 ms: a thousand would be ten seconds, of which so many asks take a fraction.
    assert!(heap.count_total < QUESTIONS / 10, "{heap:?}");
}

#[test]
fn a_send_that_finds_room_allocates_nothing_from_a_task_or_from_a_handler() {
    let (runtime, counter) = counter_with(Mailbox::bounded(1));
    let heap = steady(|| runtime.block_on(send_in_turn(&counter)));
    assert_eq!(heap.count_total, of_tokio(&runtime), "{heap:?}");

    let (sim, counter) = simulated_counter();
    let from_handler = |times| {
        let question = || counter.ask(move |reply| Count::SendOther(times, reply));
        let heap = steady(|| {
            assert_eq!(sim.block_on(async { question().await.unwrap() }), times);
            // The other one is to be done with this burst before the next one comes.
            sim.run_until_idle();
        });
        heap.count_total
    };
    assert_eq!(from_handler(0), from_handler(BURST), "the number of sends does not show");
}

#[test]
fn a_router_whose_routees_have_room_allocates_nothing() {
    let key = |message: &Count| matches!(message, Count::Add(1));
    let routes =
        [Routing::round_robin(), Routing::random(), Routing::least_loaded(), Routing::consistent_hash(key)];
    for route in routes {
        let name = format!("{route:?}");
        let sim = Sim::new(1);
        let pool = sim.block_on(async {
            let system = ActorSystem::builder("allocations").env(sim.env()).start().await.unwrap();
            system.spawn("pool", Router::pool(4, route, Counter::default)).unwrap()
        });
        let heap = |messages: u64| {
            steady(|| {
                for _ in 0..messages {
                    pool.tell(Count::Add(1)).unwrap();
                    sim.run_until_idle();
                }
            })
            .count_total
        };
        // The actors of the pool are woken often from now on, and keep what they need for it.
        heap(QUESTIONS / 10);
        assert_eq!(heap(BURST), 0, "{name}");
    }
}

#[test]
fn an_actor_that_gets_one_message_at_a_time_never_owns_heap_for_its_mailbox() {
    let (runtime, counter) = counter_with(Mailbox::default());
    let heap = measure(|| {
        runtime.block_on(async {
            for _ in 0..100 {
                counter.tell(Count::Add(1)).unwrap();
                handled_by(&counter).await;
            }
        });
    });
    assert_eq!(
        (heap.count_total, heap.bytes_current),
        (of_tokio(&runtime), 0),
        "without a warm-up: {heap:?}"
    );
}

#[test]
fn an_actor_gives_back_the_heap_of_a_burst_when_it_falls_asleep() {
    let (runtime, counter) = counter_with(Mailbox::unbounded());
    let heap = measure(|| {
        (0..10_000).for_each(|_| counter.tell(Count::Add(1)).unwrap());
        runtime.block_on(handled_by(&counter));
    });
    assert!(heap.bytes_max > 100_000, "the burst did lie on the heap: {heap:?}");
    assert_eq!((heap.count_current, heap.bytes_current), (0, 0), "{heap:?}");
}

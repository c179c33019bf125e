//! Are those who wait for room served in order, and do those who go away leave nothing behind?

use std::sync::{Arc, Mutex};

use omnitron::prelude::*;

use crate::world::{Act, Later, Mail, SECOND, World, poll_once};

#[test]
fn senders_that_wait_are_served_in_the_order_in_which_they_began_to() {
    for capacity in [1, 2, 3, 8] {
        let world = World::new(Mailbox::bounded(capacity));
        world.occupy(Act::Nothing);
        let sent: Vec<_> = (1..=20).map(|number| world.sends(number)).collect();
        for sent in sent {
            assert_eq!(world.sim.block_on(sent), Ok(()));
        }
        world.sim.run_until_idle();
        assert_eq!(world.seen.handled(), (1..=20).collect::<Vec<_>>(), "capacity {capacity}");
    }
}

#[test]
fn nobody_overtakes_those_who_wait() {
    let world = World::new(Mailbox::bounded(2));
    world.occupy(Act::Nothing);
    world.fill(&[1]);
    let waits = world.sends(2);
    assert_eq!(world.tell(3), Err(Refusal::Full { capacity: 2 }));
    let later = world.sends(4);
    assert_eq!(world.sim.block_on(async { (waits.await, later.await) }), (Ok(()), Ok(())));
    world.sim.run_until_idle();
    assert_eq!(world.seen.handled(), [1, 2, 4]);
}

#[test]
fn asks_and_sends_wait_in_one_line() {
    let world = World::new(Mailbox::bounded(1));
    world.occupy(Act::Nothing);
    let (first, second, third) = (world.sends(1), world.asks(2), world.sends(3));
    let all = world.sim.block_on(async { (first.await, second.await.unwrap(), third.await) });
    assert_eq!(all, (Ok(()), 2, Ok(())));
    world.sim.run_until_idle();
    assert_eq!(world.seen.handled(), [1, 2, 3]);
}

#[test]
fn a_send_that_is_dropped_while_it_waits_leaves_nothing_behind() {
    let world = World::new(Mailbox::bounded(1));
    world.occupy(Act::Nothing);
    let (dropped_message, watch) = (Mail::Note(1), world.sends(7));
    let mut dropped = world.clerk.send(dropped_message);
    assert!(world.sim.block_on(poll_once(&mut dropped)).is_none());
    let behind = world.sends(2);
    drop(dropped);
    assert_eq!(world.sim.block_on(async { (watch.await, behind.await) }), (Ok(()), Ok(())));
    world.sim.run_until_idle();
    assert_eq!((world.seen.handled(), world.clerk.depth()), (vec![7, 2], 0));
    assert_eq!(world.system.dead_letters().total(), 0);
}

#[test]
fn a_message_taken_back_is_dropped_with_its_future_and_not_later() {
    struct Loud(Arc<Mutex<u32>>);
    impl Drop for Loud {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    struct Deaf;
    impl Actor for Deaf {
        type Msg = Loud;
        async fn receive(&mut self, _: Loud, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.env().clone().sleep(SECOND).await;
            Ok(())
        }
    }
    let world = World::new(Mailbox::default());
    let deaf = world.system.spawn("deaf", Spawn::new(|| Deaf).mailbox(Mailbox::bounded(1))).unwrap();
    let drops = Arc::new(Mutex::new(0));
    deaf.tell(Loud(drops.clone())).unwrap();
    let mut dropped = deaf.send(Loud(drops.clone()));
    assert!(world.sim.block_on(poll_once(&mut dropped)).is_none());
    assert_eq!(*drops.lock().unwrap(), 0);
    drop(dropped);
    assert_eq!(*drops.lock().unwrap(), 1);
}

#[test]
fn a_send_that_was_let_in_is_delivered_though_nobody_looked_any_more() {
    let world = World::new(Mailbox::bounded(1));
    world.occupy(Act::Nothing);
    let mut sent = world.clerk.send(Mail::Note(1));
    assert!(world.sim.block_on(poll_once(&mut sent)).is_none());
    world.sim.advance(SECOND * 3);
    drop(sent);
    assert_eq!(world.seen.handled(), [1], "it was in the mailbox, and handled, before it was dropped");
}

#[test]
fn senders_that_wait_when_the_actor_stops_get_their_messages_back() {
    let world = World::new(Mailbox::bounded(1));
    world.occupy(Act::Nothing);
    let waiting: Vec<_> = (1..=3).map(|number| (number, world.sends(number))).collect();
    world.sim.block_on(world.clerk.drain());
    for (number, sent) in waiting {
        let result = world.sim.block_on(sent);
        // The end of the message in hand may have made room for the first.
        assert!(result == Err((number, Refusal::Stopped)) || (number, result) == (1, Ok(())), "{result:?}");
    }
    assert_eq!(
        world.system.dead_letters().total(),
        0,
        "what was let in is handled, what was not is given back"
    );
}

#[test]
fn senders_that_wait_are_let_in_while_a_failed_actor_waits_to_restart() {
    struct Weak;
    impl Actor for Weak {
        type Msg = u32;
        async fn receive(&mut self, number: u32, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.env().clone().sleep(SECOND).await;
            if number == 0 { Err(Failure::msg("on request")) } else { Ok(()) }
        }
    }
    let world = World::new(Mailbox::default());
    let supervision = Supervision::restart().backoff(Backoff::exponential(SECOND * 100, SECOND * 100));
    let weak = Spawn::new(|| Weak).mailbox(Mailbox::bounded(1)).supervision(supervision);
    let weak = world.system.spawn("weak", weak).unwrap();
    weak.tell(0).unwrap();
    let sent = world.begin({
        let weak = weak.clone();
        async move { weak.send(1).await.is_ok() }
    });
    assert!(world.sim.block_on(sent));
    assert_eq!(world.sim.elapsed(), SECOND, "its room is free once the message before it was lost");
}

// ---- at random ------------------------------------------------------------------------------------------------

const SEEDS: u64 = 200;
const SENDERS: u32 = 6;
const EACH: u32 = 20;

#[test]
fn whatever_senders_do_what_was_accepted_is_handled_once_and_in_order_and_nothing_else_is() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let capacity = 1 + usize::try_from(seed % 7).unwrap();
        let world = World::seeded(seed, Mailbox::bounded(capacity));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (env, clerk) = (world.sim.env(), world.clerk.clone());
                Later::begin(&world.system, async move {
                    let mut accepted = Vec::new();
                    for turn in 0..EACH {
                        let number = 1 + sender * EACH + turn;
                        env.sleep(SECOND / 1_000 * u32::try_from(env.random_u64() % 3).unwrap()).await;
                        if env.random_u64() % 20 == 0 {
                            let _ = clerk.tell(Mail::Busy(Act::Nothing)); // no matter if there is no room
                        }
                        let in_it = match env.random_u64() % 3 {
                            0 => clerk.tell(Mail::Note(number)).is_ok(),
                            1 => clerk.send(Mail::Note(number)).await.is_ok(),
                            _ => tokio::select! { biased;
                                sent = clerk.send(Mail::Note(number)) => sent.is_ok(),
                                // One that is ready is seen first, so what is dropped here has not been let in.
                                () = env.sleep(SECOND / 100) => false,
                            },
                        };
                        if in_it {
                            accepted.push(number);
                        }
                    }
                    accepted
                })
            })
            .collect();
        let accepted = world.sim.block_on(async {
            let mut accepted = Vec::new();
            for sender in senders {
                accepted.push(sender.await);
            }
            accepted
        });
        world.sim.block_on(world.clerk.drain());
        let handled = world.seen.handled();
        for (sender, accepted) in (0..).zip(&accepted) {
            let from = 1 + sender * EACH..1 + (sender + 1) * EACH;
            let of_it: Vec<_> = handled.iter().copied().filter(|number| from.contains(number)).collect();
            assert_eq!(&of_it, accepted, "seed {seed}, sender {sender}");
        }
        assert!(world.system.stats().deepest_mailbox <= capacity, "seed {seed}: {:?}", world.system.stats());
        assert_eq!(world.system.dead_letters().total(), 0, "seed {seed}");
    }
}

// ---- on real threads ------------------------------------------------------------------------------------------

/// Counts, and checks the order of each sender.
struct Counter {
    last: [u32; 4],
    handled: u32,
}

enum Count {
    From(usize, u32),
    Total(ReplyTo<u32>),
}

impl Actor for Counter {
    type Msg = Count;

    async fn receive(&mut self, count: Count, _: &mut Context<Self>) -> Result<(), Failure> {
        match count {
            Count::From(sender, number) => {
                assert!(self.last[sender] < number, "{number} of {sender} after {}", self.last[sender]);
                self.last[sender] = number;
                self.handled += 1;
            }
            Count::Total(reply) => reply.send(self.handled),
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_real_threads_every_send_arrives_once_and_in_the_order_of_its_sender() {
    const MESSAGES: u32 = 5_000;
    for capacity in [1, 3, 64] {
        let system = ActorSystem::start("senders").await.unwrap();
        let counter = Spawn::new(|| Counter { last: [0; 4], handled: 0 });
        let counter = system.spawn("counter", counter.mailbox(Mailbox::bounded(capacity))).unwrap();
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let counter = counter.clone();
                Later::begin(&system, async move {
                    for number in 1..=MESSAGES {
                        counter.send(Count::From(sender, number)).await.unwrap();
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await;
        }
        assert_eq!(counter.ask(Count::Total).await.unwrap(), 4 * MESSAGES);
        assert!(system.stats().deepest_mailbox <= capacity);
        let report = system.shutdown().await;
        assert!(report.unfinished.is_empty(), "{report}");
    }
}

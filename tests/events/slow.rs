//! What becomes of events for which a subscriber has no room?

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join, join3};
use omnitron::prelude::*;
use omnitron::{EventsEnd, testkit::Sim};

use crate::{SEEDS, SOON, Tick, slow, system_in, waiting};

#[test]
fn a_stream_that_is_never_read_misses_what_it_chose_to_miss_and_counts_it() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let bus = system.events();
        let mut newest = bus.stream::<Tick>(3, WhenFull::DropNewest);
        let mut oldest = bus.stream::<Tick>(3, WhenFull::DropOldest);
        let mut ends = bus.stream::<Tick>(3, WhenFull::End);
        let taken: Vec<usize> = (0..10).map(|number| bus.publish(Tick(0, number)).unwrap()).collect();
        assert_eq!(taken, [3, 3, 3, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!((newest.missed(), oldest.missed(), ends.missed()), (7, 7, 1));
        assert_eq!((waiting(&mut newest), waiting(&mut oldest)), (vec![0, 1, 2], vec![7, 8, 9]));
        assert_eq!((newest.ended(), oldest.ended()), (None, None));
        assert_eq!(ends.ended(), Some(EventsEnd::Lagged { capacity: 3 }));
        for number in 0..3 {
            assert_eq!(ends.recv().await, Some(Tick(0, number)));
        }
        assert_eq!((ends.recv().await, ends.recv().await), (None, None));
        assert_eq!(bus.subscribers::<Tick>(), 2);

        // Who has caught up hears of the next one.
        assert_eq!(bus.publish(Tick(0, 10)).unwrap(), 2);
        assert_eq!((waiting(&mut newest), waiting(&mut oldest)), (vec![10], vec![10]));
    });
}

#[test]
fn a_stream_is_full_at_its_capacity_and_no_room_counts_as_room_for_one() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        for (capacity, holds) in [(0, 1), (1, 1), (2, 2), (usize::MAX, 5)] {
            let mut stream = system.events().stream::<Tick>(capacity, WhenFull::DropNewest);
            for number in 0..5 {
                let taken = system.events().publish(Tick(0, number)).unwrap();
                assert_eq!(taken, usize::from(number < holds), "capacity {capacity}, event {number}");
            }
            assert_eq!(waiting(&mut stream).len(), holds as usize);
        }
    });
}

#[test]
fn what_a_full_mailbox_refuses_is_missed_and_a_dead_letter_and_what_it_drops_is_a_dead_letter() {
    let drops = |overflow| Mailbox::bounded(2).on_full(overflow);
    // (mailbox, events taken, missed, dead letters)
    let cases = [
        (Mailbox::bounded(2), 2, 3, 3),
        (drops(Overflow::DropOldest), 5, 0, 2),
        (drops(Overflow::DropNewest), 5, 0, 3),
        (Mailbox::unbounded(), 5, 0, 0),
    ];
    for (mailbox, taken, missed, dead) in cases {
        let name = format!("{mailbox:?}");
        let sim = Sim::new(1);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let (actor, _) = slow(&system, SOON, mailbox);
            let subscription = system.events().subscribe(&actor);
            let mut count = system.events().publish(Tick(0, 0)).unwrap();
            sim.env().sleep(Duration::from_millis(1)).await;
            for number in 1..5 {
                count += system.events().publish(Tick(0, number)).unwrap();
            }
            let letters = system.dead_letters();
            assert_eq!((count, subscription.missed()), (taken, missed), "{name}");
            assert_eq!((letters.count(Reason::Overflowed), letters.total()), (dead, dead), "{name}");
        });
    }
}

#[test]
fn publishing_waiting_waits_for_the_slowest_and_nobody_misses_anything() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let bus = system.events();
            let (actor, diary) = slow(&system, SOON, Mailbox::bounded(1));
            let subscription = bus.subscribe(&actor);
            let mut stream = bus.stream::<Tick>(1, WhenFull::End);
            let publish = async {
                for number in 0..5 {
                    assert_eq!(bus.publish_waiting(Tick(0, number)).await.unwrap(), 2, "seed {seed}");
                }
                sim.elapsed()
            };
            let read = async {
                for number in 0..5 {
                    assert_eq!(stream.recv().await, Some(Tick(0, number)), "seed {seed}");
                }
            };
            let (took, ()) = join(publish, read).await;
            // The first has room at once, each other waits for the handler before.
            assert_eq!(took, SOON * 4, "seed {seed}");
            assert_eq!((diary.lock().unwrap().len(), subscription.missed(), stream.missed()), (5, 0, 0));
        });
    }
}

#[test]
fn those_who_wait_for_room_in_a_stream_are_served_in_order_and_not_overtaken() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let bus = system.events();
            let mut stream = bus.stream::<Tick>(1, WhenFull::DropNewest);
            bus.publish(Tick(0, 0)).unwrap();
            let wait = async |number| bus.publish_waiting(Tick(0, number)).await.unwrap();
            let read = async {
                sim.env().sleep(SOON).await;
                assert_eq!(stream.recv().await, Some(Tick(0, 0)));
                assert_eq!(bus.publish(Tick(0, 9)).unwrap(), 0, "the room is reserved for who waits");
                assert_eq!(stream.recv().await, Some(Tick(0, 1)));
                assert_eq!(stream.recv().await, Some(Tick(0, 2)));
            };
            assert_eq!(join3(wait(1), wait(2), read).await, (1, 1, ()), "seed {seed}");
            assert_eq!(stream.missed(), 1);
        });
    }
}

#[test]
fn a_publisher_that_gives_up_waiting_leaves_nothing_behind() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let bus = system.events();
        let mut full = bus.stream::<Tick>(1, WhenFull::DropNewest);
        bus.publish(Tick(0, 0)).unwrap();
        let mut roomy = bus.stream::<Tick>(9, WhenFull::DropNewest);
        assert!(bus.publish_waiting(Tick(0, 1)).now_or_never().is_none());
        assert_eq!((waiting(&mut full), waiting(&mut roomy)), (vec![0], vec![1]));
        assert_eq!(bus.publish(Tick(0, 2)).unwrap(), 2);
        assert_eq!((waiting(&mut full), waiting(&mut roomy)), (vec![2], vec![2]));
    });
}

/// Publishes inside its handler, waiting, and answers how many took the event and how long it waited.
struct Publisher;

enum Publish {
    Now(ReplyTo<(usize, Duration)>),
    /// The event, on its way back.
    Heard,
}

impl Actor for Publisher {
    type Msg = Publish;

    async fn receive(&mut self, message: Publish, ctx: &mut Context<Self>) -> Result<(), Failure> {
        if let Publish::Now(reply) = message {
            let before = ctx.now();
            let taken = ctx.system().events().publish_waiting(Tick(0, 1)).await?;
            reply.send((taken, ctx.now() - before));
        }
        Ok(())
    }
}

#[test]
fn inside_a_handler_the_wait_ends_after_the_ask_timeout_and_then_the_policy_decides() {
    let policies =
        [(WhenFull::DropNewest, 0, vec![0]), (WhenFull::DropOldest, 1, vec![1]), (WhenFull::End, 0, vec![0])];
    for (when_full, taken, left) in policies {
        let sim = Sim::new(1);
        sim.block_on(async {
            let limit = Duration::from_secs(2);
            let system =
                ActorSystem::builder("test").ask_timeout(limit).env(sim.env()).start().await.unwrap();
            let bus = system.events();
            let mut stream = bus.stream::<Tick>(1, when_full);
            bus.publish(Tick(0, 0)).unwrap();
            let publisher = system.spawn("publisher", || Publisher).unwrap();
            let answer = publisher.ask(Publish::Now).within(SOON * 9).await.unwrap();
            assert_eq!((answer, stream.missed()), ((taken, limit), 1), "{when_full:?}");
            assert_eq!(waiting(&mut stream), left, "{when_full:?}");
            assert_eq!(stream.ended().is_some(), when_full == WhenFull::End);
        });
    }
}

#[test]
fn a_handler_never_waits_for_its_own_full_mailbox() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let spawn = Spawn::new(|| Publisher).mailbox(Mailbox::bounded(1));
        let publisher = system.spawn("publisher", spawn).unwrap();
        let subscription = system.events().subscribe_with(&publisher, |_: Tick| Publish::Heard);
        assert_eq!(publisher.ask(Publish::Now).await.unwrap(), (0, Duration::ZERO));
        assert_eq!((subscription.missed(), system.dead_letters().count(Reason::Overflowed)), (1, 1));
        assert!(subscription.is_active());
    });
}

//! When does a feed end, and what becomes of the stream and of the item in hand?

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::{Diary, Food, SEEDS, SOON, eater, numbers, system_in};

/// Gives its items, then waits for ever. Counts its drop, and panics there if told.
struct Held {
    items: std::ops::Range<u32>,
    dropped: Arc<AtomicU32>,
    panics: bool,
}

impl Stream for Held {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Poller<'_>) -> Poll<Option<u32>> {
        self.items.next().map_or(Poll::Pending, |number| Poll::Ready(Some(number)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "on drop");
    }
}

/// A stream of so many items that never ends, and the count of its drops.
fn held(items: u32) -> (Held, Arc<AtomicU32>) {
    let dropped = Arc::new(AtomicU32::new(0));
    (Held { items: 0..items, dropped: dropped.clone(), panics: false }, dropped)
}

#[test]
fn the_stream_is_dropped_when_the_actor_ends_also_when_it_has_nothing_to_give() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let (actor, diary) = eater(&system, Duration::ZERO, Mailbox::default());
            let (stream, dropped) = held(2);
            let feed = actor.feed(stream, Food::Item, || Food::End);
            sim.env().sleep(SOON).await;
            assert_eq!((diary.read().len(), dropped.load(Ordering::SeqCst)), (2, 0), "seed {seed}");
            actor.stop().await;
            sim.env().sleep(SOON).await;
            assert_eq!((dropped.load(Ordering::SeqCst), feed.is_ended()), (1, true), "seed {seed}");
            assert_eq!(diary.read().len(), 2, "no end is told of a stream that has not ended");
        });
    }
}

#[test]
fn an_item_that_waits_for_room_when_its_actor_stops_is_a_dead_letter_and_none_is_asked_for_after_it() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let (actor, diary) = eater(&system, SOON, Mailbox::bounded(2));
            let (stream, asked) = numbers();
            let feed = actor.feed(stream, Food::Item, || Food::End);
            sim.env().sleep(SOON / 2).await;
            actor.stop().await;
            sim.env().sleep(SOON).await;
            // The first is handled, one is queued, one waits for room.
            assert_eq!((diary.read().len(), asked.load(Ordering::SeqCst)), (1, 3), "seed {seed}");
            assert_eq!(system.dead_letters().count(Reason::Stopped), 2, "seed {seed}");
            assert!(feed.is_ended());
        });
    }
}

#[test]
fn a_feed_that_is_dropped_drops_its_stream_and_sends_nothing_more() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let (actor, diary) = eater(&system, SOON, Mailbox::bounded(2));
            let (stream, dropped) = held(10);
            let feed = actor.feed(stream, Food::Item, || Food::End);
            sim.env().sleep(SOON / 2).await;
            drop(feed);
            sim.env().sleep(SOON * 20).await;
            assert_eq!((diary.read(), dropped.load(Ordering::SeqCst)), (vec!["0".into(), "1".into()], 1));
            assert_eq!(actor.depth(), 0, "seed {seed}: nothing waits for room any more");
        });
    }
}

#[test]
fn a_drain_handles_what_was_fed_and_ends_the_feed() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let (actor, diary) = eater(&system, SOON, Mailbox::bounded(3));
        let (stream, dropped) = held(10);
        actor.feed(stream, Food::Item, || Food::End).keep();
        sim.env().sleep(SOON / 2).await;
        actor.drain().await;
        sim.env().sleep(SOON).await;
        let handled = u64::try_from(diary.read().len()).unwrap();
        let dead = system.dead_letters().total();
        assert_eq!((dropped.load(Ordering::SeqCst), handled + dead), (1, 4), "{:?}", diary.read());
    });
}

#[test]
fn to_an_actor_that_has_ended_nothing_is_fed() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let (actor, _) = eater(&system, Duration::ZERO, Mailbox::default());
        actor.stop().await;
        let (stream, asked) = numbers();
        let feed = actor.feed(stream, Food::Item, || Food::End);
        sim.env().sleep(SOON).await;
        assert_eq!((asked.load(Ordering::SeqCst), feed.is_ended()), (0, true));
        assert_eq!(system.dead_letters().total(), 0);
    });
}

#[test]
fn a_shutdown_ends_a_feed_at_its_next_item() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let (actor, diary) = eater(&system, SOON, Mailbox::default());
        actor.tell(Food::Item(7)).unwrap();
        let env = sim.env();
        let later = stream::iter(0..9).then(move |number| {
            let pause = env.sleep(SOON / 2);
            async move {
                pause.await;
                number
            }
        });
        let feed = actor.feed(later, Food::Item, || Food::End);
        sim.env().sleep(Duration::from_millis(1)).await;
        system.shutdown().await;
        sim.env().sleep(SOON).await;
        assert_eq!((diary.read(), feed.is_ended()), (vec!["7".to_owned()], true));
        assert_eq!(system.dead_letters().count(Reason::Stopped), 1);
    });
}

#[test]
fn a_panic_in_the_stream_or_in_a_function_is_a_failure_of_the_actor_and_ends_the_feed() {
    type Feeds = fn(&ActorRef<Food>) -> Feed;
    let feeds: [(Feeds, &str, &[&str]); 3] = [
        (
            |actor| {
                let breaks =
                    stream::iter(0..).map(|number| if number < 1 { number } else { panic!("in the stream") });
                actor.feed(breaks, Food::Item, || Food::End)
            },
            "in the stream",
            &["0"],
        ),
        (|actor| actor.feed(stream::iter(0..1), |_| panic!("in the map"), || Food::End), "in the map", &[]),
        (|actor| actor.feed(stream::iter(0..1), Food::Item, || panic!("in the end")), "in the end", &["0"]),
    ];
    for (feed, panics, before) in feeds {
        let sim = Sim::new(1);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let (actor, diary) = eater(&system, Duration::ZERO, Mailbox::default());
            let feed = feed(&actor);
            sim.env().sleep(SOON).await;
            let crash = format!("{} panicked: {panics}", During::Fed);
            let mut read = diary.read();
            // A notice comes before what is queued.
            read.sort();
            let mut expected: Vec<String> = before.iter().map(ToString::to_string).collect();
            expected.push(crash);
            assert_eq!((read, feed.is_ended()), (expected, true));
            assert!(!actor.is_stopped());
        });
    }
}

#[test]
fn a_stream_that_panics_on_drop_harms_nobody() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let (actor, _) = eater(&system, Duration::ZERO, Mailbox::default());
        let (mut stream, dropped) = held(1);
        stream.panics = true;
        let feed = actor.feed(stream, Food::Item, || Food::End);
        actor.stop().await;
        sim.env().sleep(SOON).await;
        assert_eq!((dropped.load(Ordering::SeqCst), feed.is_ended()), (1, true));
        assert_eq!(system.stats().failures, 0);
    });
}

/// Feeds itself when it starts: a number a second, kept or in its state.
struct Feeder {
    keeps: bool,
    feed: Option<Feed>,
    diary: Diary,
}

impl Actor for Feeder {
    type Msg = Food;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let env = ctx.env().clone();
        let life = u32::try_from(ctx.restarts()).unwrap_or(u32::MAX);
        let ticks = stream::unfold((), move |()| {
            let second = env.sleep(SOON);
            async move {
                second.await;
                Some((life, ()))
            }
        });
        let feed = ctx.feed(ticks, Food::Item, || Food::End);
        if self.keeps {
            feed.keep();
        } else {
            self.feed = Some(feed);
        }
        Ok(())
    }

    async fn receive(&mut self, food: Food, _: &mut Context<Self>) -> Result<(), Failure> {
        match food {
            Food::Item(life) => self.diary.note(life.to_string()),
            _ => return Err(Failure::msg("as told")),
        }
        Ok(())
    }
}

#[test]
fn a_restart_ends_the_feed_in_the_state_of_its_actor_and_leaves_a_kept_one_alone() {
    for (keeps, expected) in [(false, vec!["0", "1", "1"]), (true, vec!["0", "0", "1", "0", "1"])] {
        let sim = Sim::new(1);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let diary = Diary::default();
            let shared = diary.clone();
            let spawn = Spawn::new(move || Feeder { keeps, feed: None, diary: shared.clone() });
            let feeder = system.spawn("feeder", spawn.supervision(Supervision::restart())).unwrap();
            sim.env().sleep(SOON * 3 / 2).await;
            feeder.tell(Food::Fail).unwrap();
            sim.env().sleep(SOON * 5 / 2).await;
            assert_eq!(diary.read(), expected, "keeps: {keeps}");
        });
    }
}

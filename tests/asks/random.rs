//! Whatever targets, callers and the system do, in whatever order: does every ask end, and does its error tell the
//! truth?
//!
//! Each seed is a world of its own: a mailbox, limits and supervision drawn from it, askers with questions of every
//! kind, callers that go away, stops and a shutdown at any moment.

use std::collections::BTreeSet;
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::world::{Later, Question, Record, SECOND, Way, World, question};

const SEEDS: u64 = 250;
const QUESTIONS: u64 = 60;

/// Draws from the world's own generator, so that the seed says it all.
struct Dice<'a>(&'a Sim);

impl Dice<'_> {
    fn below(&self, limit: u64) -> u64 {
        self.0.env().random_u64() % limit
    }

    fn time(&self) -> Duration {
        Duration::from_millis(self.below(400))
    }

    fn way(&self) -> Way {
        match self.below(20) {
            0 => Way::Drop,
            1 => Way::Fail,
            2 => Way::Panic,
            3 => Way::Hang,
            4 | 5 => Way::ReplyElsewhere(self.time()),
            6 => Way::DropElsewhere(self.time()),
            7 => Way::Stash,
            8 if self.below(8) == 0 => Way::StopAndReply,
            8..=12 => Way::ReplyAfter(self.time()),
            _ => Way::Reply,
        }
    }

    fn mailbox(&self) -> Mailbox<Question> {
        let capacity = 1 + usize::try_from(self.below(6)).unwrap();
        match self.below(6) {
            0 => Mailbox::unbounded(),
            1 => Mailbox::priority(|question: &Question| u8::try_from(question.number % 3).unwrap()),
            2 => Mailbox::bounded(capacity).on_full(Overflow::DropOldest),
            3 => Mailbox::bounded(capacity).on_full(Overflow::DropNewest),
            _ => Mailbox::bounded(capacity),
        }
    }
}

/// How one ask ended. `None`: its caller went away.
type End = Option<Result<u64, AskError>>;

/// Runs one world to its end.
fn run(seed: u64) -> (Vec<End>, Record) {
    let world = World::seeded(seed, |target| {
        let sim = Sim::new(seed);
        let dice = Dice(&sim);
        let target = target.mailbox(dice.mailbox()).stash(3).stop_grace(dice.time());
        let target = if dice.below(2) == 0 { target.handler_limit(SECOND / 2) } else { target };
        match dice.below(3) {
            0 => target.supervision(Supervision::resume()),
            1 => target.supervision(
                Supervision::restart().unlimited().backoff(Backoff::exponential(SECOND / 10, SECOND)),
            ),
            _ => target,
        }
    });
    let dice = Dice(&world.sim);
    let asked: Vec<_> = (0..QUESTIONS)
        .map(|number| {
            let ask = world.target.ask(question(number, dice.way()));
            let ask = if dice.below(3) > 0 { ask.within(dice.time() * 2) } else { ask };
            let (env, delay) = (world.sim.env(), dice.time() * 4);
            let goes_away = (dice.below(6) == 0).then(|| dice.time());
            Later::begin(&world.system, async move {
                env.sleep(delay).await;
                let leaves = async {
                    match goes_away {
                        Some(time) => env.sleep(time).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! { biased;
                    end = ask => Some(end),
                    () = leaves => None,
                }
            })
        })
        .collect();
    if dice.below(2) == 0 {
        world.sim.advance(dice.time() * 5);
        if dice.below(2) == 0 { drop(world.target.stop()) } else { drop(world.target.drain()) }
    }
    if dice.below(3) == 0 {
        world.sim.advance(dice.time() * 5);
        world.system.begin_shutdown();
    }
    // That this ends at all is the first half of the promise: a simulation in which nothing can happen panics.
    let ends = world.sim.block_on(async {
        let mut ends = Vec::new();
        for later in asked {
            ends.push(later.await);
        }
        ends
    });
    // What is still to happen may yet make a liar of an error.
    world.sim.advance(SECOND * 30);
    (ends, world.handled.clone())
}

/// A name for each way in which an ask ended.
fn kind(end: &End) -> &'static str {
    match end {
        None => "left",
        Some(Ok(_)) => "reply",
        Some(Err(AskError::Refused(Refusal::Full { .. }))) => "full",
        Some(Err(AskError::Refused(Refusal::Overflowed { .. }))) => "overflowed",
        Some(Err(AskError::Refused(Refusal::Stopped))) => "stopped",
        Some(Err(AskError::Refused(Refusal::ShuttingDown))) => "shutting down",
        Some(Err(AskError::Refused(Refusal::SystemStopped))) => "system stopped",
        Some(Err(AskError::Unhandled)) => "unhandled",
        Some(Err(AskError::Expired { .. })) => "expired",
        Some(Err(AskError::TimedOut { .. })) => "timed out",
        Some(Err(AskError::Abandoned)) => "abandoned",
        Some(Err(AskError::Crashed)) => "crashed",
        Some(Err(_)) => "something that cannot be",
    }
}

const KINDS: [&str; 12] = [
    "abandoned",
    "crashed",
    "expired",
    "full",
    "left",
    "overflowed",
    "reply",
    "shutting down",
    "stopped",
    "system stopped",
    "timed out",
    "unhandled",
];

#[test]
fn every_ask_ends_and_no_error_lies_about_whether_the_target_acted() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let (ends, handled) = run(seed);
        assert_eq!(ends.len(), usize::try_from(QUESTIONS).unwrap());
        for (number, end) in (0..).zip(&ends) {
            seen.insert(kind(end));
            let acted = handled.has(number);
            let told = format!("seed {seed}, question {number}: {end:?}, handled: {acted}");
            match end {
                None => {}
                Some(Ok(reply)) => assert!(*reply == number && acted, "{told}"),
                Some(Err(error)) => match error.acted() {
                    Acted::No => assert!(!acted, "{told}"),
                    Acted::Maybe | Acted::Yes => assert!(acted, "{told}"),
                },
            }
        }
    }
    assert_eq!(Vec::from_iter(seen), KINDS, "these worlds are to show every end there is");
}

//! Is any message ever lost, or handled twice, or out of order, under load from all sides?
//!
//! `cargo bench --bench stress [-- MESSAGES]` sends 10⁸ messages (or so many) from 8 senders to 16 actors, by `tell` to
//! unbounded mailboxes and by `send` and `tell` to small bounded ones, with a failure every now and then, and counts: what
//! was accepted is handled or was lost by a counted failure, each sender's messages in order. Exits with 1 otherwise.

#![expect(clippy::disallowed_methods, reason = "a stress test reads the clock and spawns its senders itself")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use omnitron::prelude::*;

const SENDERS: usize = 8;
const ACTORS: usize = 16;
/// One message in so many makes its actor fail.
const CRASH_EVERY: u64 = 100_003;

/// Counts what each sender sent.
struct Counter {
    /// The last number of each sender: numbers grow.
    last: [u64; SENDERS],
    handled: u64,
    out_of_order: u64,
}

enum Msg {
    Count { sender: usize, number: u64 },
    Report(ReplyTo<(u64, u64)>),
}

impl Actor for Counter {
    type Msg = Msg;

    async fn receive(&mut self, msg: Msg, _: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            Msg::Count { number, .. } if number % CRASH_EVERY == 0 => {
                return Err(Failure::msg("meant to fail"));
            }
            Msg::Count { sender, number } => {
                self.handled += 1;
                self.out_of_order += u64::from(number <= self.last[sender]);
                self.last[sender] = number;
            }
            Msg::Report(reply) => reply.send((self.handled, self.out_of_order)),
        }
        Ok(())
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let messages = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000_000);
    let system = ActorSystem::start("stress").await.expect("a system");
    let actors: Vec<ActorRef<Msg>> = (0..ACTORS)
        .map(|index| {
            let mailbox =
                if index % 2 == 0 { Mailbox::unbounded() } else { Mailbox::bounded(1 << (index / 2)) };
            let counter = || Counter { last: [0; SENDERS], handled: 0, out_of_order: 0 };
            let spec = Spawn::new(counter).mailbox(mailbox).supervision(Supervision::resume());
            system.spawn(&index.to_string(), spec).expect("an actor")
        })
        .collect();
    let start = Instant::now();
    let each = messages / SENDERS as u64;
    let senders: Vec<_> =
        (0..SENDERS).map(|sender| tokio::spawn(send_all(sender, each, actors.clone()))).collect();
    let mut accepted = 0;
    for sender in senders {
        accepted += sender.await.expect("a sender");
    }
    let (mut handled, mut out_of_order) = (0, 0);
    for actor in &actors {
        let report = actor.ask(Msg::Report).within(Duration::from_mins(10)).await.expect("a report");
        handled += report.0;
        out_of_order += report.1;
    }
    let took = start.elapsed();
    let stats = system.stats();
    system.shutdown().await;
    println!(
        "accepted {accepted}, handled {handled}, lost by failures {}, out of order {out_of_order}",
        stats.failures
    );
    println!("{:.1} million/s, deepest mailbox {}", rate(accepted, took), stats.deepest_mailbox);
    let right = accepted == each * SENDERS as u64
        && handled + stats.failures == accepted
        && out_of_order == 0
        && stats.dead_letters == 0;
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sends the numbers from 1 on, in turn to all actors; returns how many were accepted.
async fn send_all(sender: usize, count: u64, actors: Vec<ActorRef<Msg>>) -> u64 {
    let mut accepted = 0;
    for number in 1..=count {
        let actor = &actors[usize::try_from(number).unwrap_or(0) % ACTORS];
        let sent = match actor.tell(Msg::Count { sender, number }) {
            Ok(()) => Ok(()),
            Err(Undelivered { message, reason: Refusal::Full { .. } }) => actor.send(message).await,
            Err(stopped) => Err(stopped),
        };
        accepted += u64::from(sent.is_ok());
        // The unbounded mailboxes must not outgrow the memory.
        if number % 1_000 == 0 && actor.depth() > 100_000 {
            tokio::task::yield_now().await;
        }
    }
    accepted
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64() / 1e6
}

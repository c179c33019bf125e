//! What is measured? Each workload runs for any [`Contestant`], and checks that nothing was lost or handled twice.

mod ask;
mod big;
mod chameneos;
mod counting;
mod fork_join;
mod idle;
mod ring;
mod spawn;
mod tell;

use std::time::Duration;

use crate::{Cannot, Contestant};

/// What the figure of a workload is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Operations in a second, in millions: more is better.
    MillionsPerSecond,
    /// Resident bytes: fewer are better.
    Bytes,
    /// Calls of the allocator: fewer are better.
    Allocations,
}

impl Unit {
    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::MillionsPerSecond => "million/s",
            Self::Bytes => "bytes",
            Self::Allocations => "allocations",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Short, for the command line.
    pub name: &'static str,
    /// One sentence, for the chart.
    pub about: &'static str,
    /// What is shown.
    pub unit: Unit,
    /// Operations of a whole run.
    pub count: usize,
    /// A whole number of so many.
    pub step: usize,
}

impl Workload {
    /// Operations at so many percent, and never none.
    pub fn scaled(&self, percent: usize) -> usize {
        (self.count * percent / 100 / self.step).max(1) * self.step
    }
}

const fn rate(name: &'static str, count: usize, step: usize, about: &'static str) -> Workload {
    Workload { name, about, unit: Unit::MillionsPerSecond, count, step }
}

/// All, in the order in which they run.
pub const ALL: [Workload; 17] = [
    rate("tell-1-to-1", 5_000_000, 1, "one thread tells one actor"),
    rate("tell-1-to-1-bounded", 5_000_000, 1, "one thread sends to one mailbox of 1,024 and waits for room"),
    rate("tell-8-to-1", 4_000_000, tell::PRODUCERS, "eight tasks tell one actor"),
    rate("ask-ping-pong", 500_000, 1, "one task asks one actor, one ask after the other"),
    rate("ask-1000-to-1", 1_000_000, ask::MANY, "a thousand tasks ask one actor"),
    rate("ask-1000-to-1000", 1_000_000, ask::MANY, "a thousand tasks ask an actor each"),
    rate("ring", 2_000_000, 1, "a token passes a thousand actors (Savina: thread ring)"),
    rate("big", 4_000_000, 2 * big::CROWD, "a thousand actors ping random others (Savina: big)"),
    rate("counting", 5_000_000, 1, "an actor sends all in one go to another (Savina: counting)"),
    rate(
        "fork-join",
        6_000_000,
        fork_join::WORKERS,
        "one thread tells sixty actors in turn (Savina: fork join)",
    ),
    rate("chameneos", 400_000, 1, "a hundred actors meet in pairs through one (Savina: chameneos)"),
    rate("spawn", 1_000_000, 1, "actors start, handle a message each, and stay"),
    rate("spawn-stop", 300_000, spawn::BATCH, "actors start, handle a message each, and end"),
    Workload {
        name: "idle",
        about: "resident memory of an actor that has handled a message",
        unit: Unit::Bytes,
        count: 200_000,
        step: 1,
    },
    Workload {
        name: "allocations-tell",
        about: "calls of the allocator per message of tell-1-to-1",
        unit: Unit::Allocations,
        count: 500_000,
        step: 1,
    },
    Workload {
        name: "allocations-ask",
        about: "calls of the allocator per ask of ask-ping-pong",
        unit: Unit::Allocations,
        count: 100_000,
        step: 1,
    },
    Workload {
        name: "allocations-spawn",
        about: "calls of the allocator per actor of spawn",
        unit: Unit::Allocations,
        count: 50_000,
        step: 1,
    },
];

/// Finds one by its name.
pub fn find(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

/// What a run brings.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// So long for all.
    Took(Duration),
    /// So much for each.
    Each(f64),
}

/// Runs one workload in this process. Allocations are those of the workload that they are named after.
///
/// # Errors
///
/// If the contestant does not take part.
pub async fn run<C: Contestant>(name: &str, count: usize) -> Result<Outcome, Cannot> {
    let contestant = C::start().await;
    let took = match name {
        "tell-1-to-1" | "allocations-tell" => tell::from_outside(&contestant, count).await,
        "tell-1-to-1-bounded" => tell::with_bound(&contestant, count).await?,
        "tell-8-to-1" => tell::from_tasks(&contestant, count).await,
        "ask-ping-pong" | "allocations-ask" => ask::ask(&contestant, count, 1, 1).await,
        "ask-1000-to-1" => ask::ask(&contestant, count, ask::MANY, 1).await,
        "ask-1000-to-1000" => ask::ask(&contestant, count, ask::MANY, ask::MANY).await,
        "ring" => ring::ring(&contestant, count).await,
        "big" => big::big(&contestant, count).await,
        "counting" => counting::counting(&contestant, count).await,
        "fork-join" => fork_join::fork_join(&contestant, count).await,
        "chameneos" => chameneos::chameneos(&contestant, count).await,
        "spawn" | "allocations-spawn" => spawn::spawn(&contestant, count).await,
        "spawn-stop" => spawn::spawn_stop(&contestant, count).await,
        "idle" => return Ok(Outcome::Each(idle::idle(&contestant, count).await)),
        _ => return Err(Cannot("there is no such workload")),
    };
    Ok(Outcome::Took(took))
}

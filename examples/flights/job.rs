//! From a file to a table: the whole run.
//!
//! Reads rows, hands them to the parsers, and in the end asks every actor what it counted. Nothing is summed up outside
//! the actors; what this file keeps for itself is which rows were malformed.
//!
//! # Invariants
//!
//! * A table is printed only if every row of the file was either counted or reported as malformed.
//! * At most [`IN_FLIGHT`] rows are on their way at any time.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use indicatif::ProgressBar;
use omnitron::prelude::*;
use tokio::task::{JoinError, JoinSet};

use crate::arguments::Options;
use crate::faults::Faults;
use crate::input::{Input, InputError, Line};
use crate::parser::{self, ParseMsg, Registries, Uncounted};
use crate::patience::{GaveUp, Patience};
use crate::record::{Malformed, Row};
use crate::registry::{self, CounterMsg, RegistryMsg};
use crate::report::{self, Answers, Figures};
use crate::tally::Tally;

/// Rows handed out and not yet answered for: as many as the parsers' mailboxes hold.
const IN_FLIGHT: usize = 512;

/// Malformed rows that are shown one by one.
const SHOWN_MALFORMED: usize = 20;

/// Where everything but the table goes.
pub(crate) struct Notes<'a> {
    /// How far through the file the run is.
    pub(crate) bar: ProgressBar,
    /// Takes a line at a time.
    pub(crate) out: &'a mut dyn Write,
}

impl Notes<'_> {
    /// Writes a line, above the bar if there is one.
    pub(crate) fn say(&mut self, text: fmt::Arguments<'_>) {
        // A note that cannot be written must not keep the table from being written.
        let _ = self.bar.suspend(|| writeln!(self.out, "{text}"));
    }
}

/// Counts the flights in a file and prints the table.
///
/// # Errors
///
/// [`RunError`]; nothing was printed to `out` unless it is [`Output`](RunError::Output).
pub(crate) async fn run(
    options: &Options,
    out: &mut dyn Write,
    notes: &mut Notes<'_>,
) -> Result<(), RunError> {
    let (answers, figures) = count(options, notes).await?;
    if answers.carriers.is_empty() {
        notes.say(format_args!("{}: there is no flight in it", options.file.display()));
    }
    let text = report::table(answers) + "\n" + &report::system(&figures);
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(RunError::Output)
}

/// Counts the flights in a file, in a system of its own.
///
/// # Errors
///
/// [`RunError`], whatever was counted until then.
pub(crate) async fn count(options: &Options, notes: &mut Notes<'_>) -> Result<(Answers, Figures), RunError> {
    let mut input = Input::open(&options.file, &notes.bar).map_err(RunError::Input)?;
    let system = ActorSystem::start("flights").await.map_err(RunError::Start)?;
    let mut rejects = Rejects::default();
    let result = count_in(&system, &mut input, options.faults, &mut rejects).await;
    notes.bar.finish_and_clear();
    rejects.tell(notes);
    let end = system.shutdown().await;
    if let Some(cause) = end.cause {
        notes.say(format_args!("the actor system stopped early: {cause}"));
    }
    for path in end.unfinished {
        notes.say(format_args!("{path} did not stop in time"));
    }
    result
}

async fn count_in(
    system: &ActorSystem,
    input: &mut Input,
    faults: Faults,
    rejects: &mut Rejects,
) -> Result<(Answers, Figures), RunError> {
    let start = system.env().now();
    let registries = Registries {
        fleet: registry::spawn(system, "fleet", faults)?,
        airports: registry::spawn(system, "airports", faults)?,
        carriers: registry::spawn(system, "carriers", faults)?,
    };
    let pool = parser::spawn_pool(system, &registries, faults)?;
    feed(&pool, input, rejects).await?;
    let answers = Answers {
        carriers: read_all(&registries.carriers).await?,
        airports: read_all(&registries.airports).await?,
        aircraft: read_all(&registries.fleet).await?,
    };
    let stats = system.stats();
    let figures = Figures {
        actors: stats.actors,
        messages: stats.messages,
        failures: stats.failures,
        restarts: stats.restarts,
        dead_letters: stats.dead_letters,
        deepest_mailbox: stats.deepest_mailbox,
        elapsed: system.env().now() - start,
    };
    Ok((answers, figures))
}

/// Hands out every row and returns when every one is answered for, also when the file turns out to be broken: what
/// was wrong with the rows before that place is worth knowing. Reading blocks the thread, which is the program's own
/// and runs no actor.
async fn feed(pool: &ActorRef<ParseMsg>, input: &mut Input, rejects: &mut Rejects) -> Result<(), RunError> {
    let mut in_flight = JoinSet::new();
    let end = loop {
        match input.next_line() {
            Ok(None) => break Ok(()),
            Err(error) => break Err(RunError::Input(error)),
            Ok(Some(Line::Malformed(malformed))) => rejects.add(malformed),
            Ok(Some(Line::Row(row))) => {
                if in_flight.len() == IN_FLIGHT {
                    settle(in_flight.join_next().await, rejects)?;
                }
                in_flight.spawn(offer(pool.clone(), Arc::new(row)));
            }
        }
    };
    while !in_flight.is_empty() {
        settle(in_flight.join_next().await, rejects)?;
    }
    end
}

/// Offers a row to the parsers until one answers for it.
async fn offer(pool: ActorRef<ParseMsg>, row: Arc<Row>) -> Result<(), Uncounted> {
    let mut patience = Patience::default();
    loop {
        match pool.try_ask(|reply| ParseMsg { row: Arc::clone(&row), reply }).await {
            Ok(()) => return Ok(()),
            Err(AskError::Failed(uncounted)) => return Err(uncounted),
            Err(error) => patience.spend(&error).map_err(Uncounted::GaveUp)?,
        }
    }
}

fn settle(
    answer: Option<Result<Result<(), Uncounted>, JoinError>>,
    rejects: &mut Rejects,
) -> Result<(), RunError> {
    match answer {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(Uncounted::Malformed(malformed)))) => {
            rejects.add(malformed);
            Ok(())
        }
        Some(Ok(Err(Uncounted::GaveUp(gave_up)))) => Err(RunError::GaveUp(gave_up)),
        Some(Err(error)) => Err(RunError::Task(error)),
    }
}

/// Asks a registry for its actors, and each of them for what it counted.
async fn read_all<T: Tally>(registry: &ActorRef<RegistryMsg<T>>) -> Result<Vec<(String, T)>, RunError> {
    let members = ask_until_answered(registry, RegistryMsg::All).await?;
    let mut all = Vec::with_capacity(members.len());
    for (name, counter) in members {
        all.push((name, ask_until_answered(&counter, CounterMsg::Read).await?));
    }
    Ok(all)
}

async fn ask_until_answered<M: Send + 'static, R: Send + 'static>(
    actor: &ActorRef<M>,
    question: fn(ReplyTo<R>) -> M,
) -> Result<R, RunError> {
    let mut patience = Patience::default();
    loop {
        match actor.ask(question).await {
            Ok(answer) => return Ok(answer),
            Err(error) => patience.spend(&error).map_err(RunError::GaveUp)?,
        }
    }
}

/// The malformed rows: how many, and the first few of the file. Which comes first must not depend on which parser was
/// faster, so they are sorted by line and told at the end.
#[derive(Default)]
struct Rejects {
    total: usize,
    first: BTreeMap<u64, Malformed>,
}

impl Rejects {
    fn add(&mut self, malformed: Malformed) {
        self.total += 1;
        self.first.insert(malformed.line, malformed);
        if self.first.len() > SHOWN_MALFORMED {
            self.first.pop_last();
        }
    }

    fn tell(&self, notes: &mut Notes<'_>) {
        for malformed in self.first.values() {
            notes.say(format_args!("malformed row, {malformed}"));
        }
        match self.total {
            0 => {}
            1 => notes.say(format_args!("1 malformed row was left out")),
            total @ 2..=SHOWN_MALFORMED => notes.say(format_args!("{total} malformed rows were left out")),
            total => notes.say(format_args!(
                "{total} malformed rows were left out; the first {SHOWN_MALFORMED} are shown"
            )),
        }
    }
}

/// Why there is no table.
#[derive(Debug)]
pub(crate) enum RunError {
    /// The file is not what it should be.
    Input(InputError),
    /// The actor system did not start.
    Start(StartError),
    /// An actor did not start.
    Spawn(SpawnError),
    /// An actor did not answer.
    GaveUp(GaveUp),
    /// A task of this program ended early.
    Task(JoinError),
    /// The table could not be written.
    Output(io::Error),
}

impl From<SpawnError> for RunError {
    fn from(error: SpawnError) -> Self {
        Self::Spawn(error)
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => error.fmt(f),
            Self::Start(error) => write!(f, "the actor system did not start: {error}"),
            Self::Spawn(error) => write!(f, "an actor did not start: {error}"),
            Self::GaveUp(error) => error.fmt(f),
            Self::Task(error) => write!(f, "a task of this program ended early: {error}"),
            Self::Output(error) => write!(f, "the table could not be written: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

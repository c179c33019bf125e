//! From a file to a table: the whole run.
//!
//! Reads rows, has them counted (`partition.rs`), and in the end asks every actor what it counted. Nothing is summed up outside
//! the actors; what this file keeps for itself is which rows were malformed.
//!
//! # Invariants
//!
//! * A table is printed only if every row of the file was either counted or reported as malformed.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use omnitron::backend::{Fault, ReadError};
use omnitron::prelude::*;
use tokio::task::JoinError;

use crate::arguments::Options;
use crate::input::{Input, InputError};
use crate::parser::{self, Registries, find};
use crate::partition::{self, Acknowledged, Crew};
use crate::patience::{GaveUp, Patience, chain};
use crate::registry::{self, CounterMsg, Find};
use crate::rejects::Rejects;
use crate::report::{self, Answers, Figures};
use crate::store::{self, NotItsFile};
use crate::tally::Tally;

/// Actors that are asked for their counts at once.
const READ_AT_ONCE: usize = 64;

/// Where everything but the table goes.
pub(crate) struct Notes<'a> {
    /// How far through the file the run is.
    pub(crate) bar: ProgressBar,
    /// Takes a line at a time.
    pub(crate) out: &'a mut dyn Write,
    /// Is told of each batch of rows that was counted.
    pub(crate) acknowledged: Acknowledged,
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
    let journal = store::journal(options.data.as_deref());
    let system = ActorSystem::builder("flights").journal(journal.clone()).start().await;
    let system = system.map_err(RunError::Start)?;
    let mut rejects = Rejects::default();
    let result = count_in(&system, &journal, &mut input, options, &mut rejects, notes).await;
    notes.bar.finish_and_clear();
    rejects.tell(notes);
    let end = system.shutdown().await;
    if let Some(cause) = end.cause {
        notes.say(format_args!("the actor system stopped early: {cause}"));
    }
    for path in end.unfinished {
        notes.say(format_args!("{path} did not stop in time"));
    }
    // Whoever gave up knows that the journal was not available; the journal knows why.
    result.map_err(|error| match (error, journal.last_fault()) {
        (RunError::GaveUp(_), Some(fault)) => RunError::Journal(fault),
        (error, _) => error,
    })
}

async fn count_in(
    system: &ActorSystem,
    journal: &Journal,
    input: &mut Input,
    options: &Options,
    rejects: &mut Rejects,
    notes: &mut Notes<'_>,
) -> Result<(Answers, Figures), RunError> {
    let (start, faults) = (system.env().now(), options.faults);
    if let Some(data) = &options.data {
        store::keep_to(system, data, &options.file).await.map_err(RunError::Data)?;
    }
    let registries = Registries {
        fleet: registry::spawn(system, "fleet", faults)?,
        airports: registry::spawn(system, "airports", faults)?,
        carriers: registry::spawn(system, "carriers", faults)?,
    };
    let crew = Crew {
        pool: parser::spawn_pool(system, &registries, faults)?,
        partitions: registry::spawn(system, "partitions", faults)?,
        acknowledged: notes.acknowledged.clone(),
    };
    let known = partition::feed(&crew, input, rejects).await?;
    if let Some(data) = options.data.as_deref().filter(|_| known > 0) {
        say_where_it_went_on(notes, data, known);
    }
    let answers = Answers {
        carriers: read_all(journal, &registries.carriers, "carriers").await?,
        airports: read_all(journal, &registries.airports, "airports").await?,
        aircraft: read_all(journal, &registries.fleet, "fleet").await?,
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

fn say_where_it_went_on(notes: &mut Notes<'_>, data: &Path, known: u64) {
    let data = data.display();
    notes.say(format_args!(
        "{known} flights were counted in {data} before this run, which went on behind them"
    ));
}

/// Asks every actor that has ever counted for a registry what it counted.
async fn read_all<T: Tally>(
    journal: &Journal,
    registry: &ActorRef<Find<T>>,
    name: &str,
) -> Result<Vec<(String, T)>, RunError> {
    let names = store::names(journal, name).await.map_err(RunError::Names)?;
    let read = names.into_iter().map(async |name| {
        let counter = find(registry, &name).await.map_err(RunError::GaveUp)?;
        let tally = ask_until_answered(&counter, CounterMsg::Read).await?;
        Ok((name, tally))
    });
    stream::iter(read).buffered(READ_AT_ONCE).try_collect().await
}

/// Asks until there is an answer.
///
/// # Errors
///
/// [`RunError::GaveUp`] when that has become pointless.
pub(crate) async fn ask_until_answered<M: Send + 'static, R: Send + 'static>(
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

/// Why there is no table.
#[derive(Debug)]
pub(crate) enum RunError {
    /// The file is not what it should be.
    Input(InputError),
    /// The actor system did not start.
    Start(StartError),
    /// An actor did not start.
    Spawn(SpawnError),
    /// The folder of the counts is that of another file, or did not say.
    Data(NotItsFile),
    /// An actor did not answer.
    GaveUp(GaveUp),
    /// An actor did not answer, because of the journal.
    Journal(Fault),
    /// The journal did not say who has counted.
    Names(ReadError),
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
            Self::Start(error) => write!(f, "the actor system did not start: {}", chain(error)),
            Self::Spawn(error) => write!(f, "an actor did not start: {error}"),
            Self::Data(error) => error.fmt(f),
            Self::GaveUp(error) => error.fmt(f),
            Self::Journal(fault) => write!(
                f,
                "the counts cannot be kept: {fault}. What was counted so far is kept: mend that, then run the same command again"
            ),
            Self::Names(error) => write!(f, "the actors that have counted are not known: {}", chain(error)),
            Self::Task(error) => write!(f, "a task of this program ended early: {error}"),
            Self::Output(error) => write!(f, "the table could not be written: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

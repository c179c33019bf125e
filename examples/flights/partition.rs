//! In which order do rows reach the parsers, and where does a run go on that was interrupted?
//!
//! The file is dealt out to partitions, an aircraft always to the same one. Each partition has a task, which sends its rows in
//! the order of their lines, a batch at a time, and sends the next only when everybody has counted the last. Then it notes, while
//! the next batch is counted, how far it is: the partition's own counting actor keeps that line. A later run begins behind it.
//!
//! # Invariants
//!
//! * Of one partition at most one batch is being counted, so marks of lines are enough to know what was counted (`tally.rs`).
//! * The line that a partition notes is never ahead of what all others have acknowledged. It may be behind: then rows are sent
//!   twice, and counted once.
//! * Rows that are on their way are bounded: for each partition one batch with the parsers, one that waits, and one that is filled.

use std::sync::Arc;

use flate2::Crc;
use omnitron::prelude::*;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::input::{Input, Line};
use crate::job::{RunError, ask_until_answered};
use crate::parser::{Batch, ParseMsg, count, find};
use crate::patience::{GaveUp, Patience};
use crate::record::{Flight, Malformed, Row};
use crate::registry::{CounterMsg, Find};
use crate::rejects::Rejects;
use crate::tally::{Passed, Place, Progress};

/// How many partitions a file has. A folder with counts remembers lines of these: another number would not find its rows again.
pub(crate) const PARTITIONS: u16 = 8;

/// The rows of a batch.
const BATCH_ROWS: usize = 64;

/// Is told of each batch that was counted: its partition and its last line.
pub(crate) type Acknowledged = Arc<dyn Fn(Place) + Send + Sync>;

/// Whom a partition talks to.
#[derive(Clone)]
pub(crate) struct Crew {
    /// The parsers.
    pub(crate) pool: ActorRef<ParseMsg>,
    /// Those who remember how far each partition is.
    pub(crate) partitions: ActorRef<Find<Progress>>,
    /// Who is told.
    pub(crate) acknowledged: Acknowledged,
}

/// The partition of a row. It depends on what the row says and on nothing else, in this run and in all others.
pub(crate) fn of(row: &Row) -> u16 {
    let mut crc = Crc::new();
    crc.update(row.tail());
    u16::try_from(crc.sum() % u32::from(PARTITIONS)).unwrap_or_default()
}

/// Deals out every row and returns when every one is answered for, also when the file turns out to be broken: what was
/// wrong with the rows before that place is worth knowing. Says how many flights
/// earlier runs are known to have counted.
///
/// Reading blocks the thread, which is the program's own and runs no actor.
///
/// # Errors
///
/// [`RunError::Input`], [`RunError::GaveUp`], [`RunError::Task`].
pub(crate) async fn feed(crew: &Crew, input: &mut Input, rejects: &mut Rejects) -> Result<u64, RunError> {
    let mut tasks = JoinSet::new();
    let mut lanes = Vec::new();
    for partition in 0..PARTITIONS {
        let progress = find(&crew.partitions, &partition.to_string()).await.map_err(RunError::GaveUp)?;
        let mark = ask_until_answered(&progress, CounterMsg::Read).await?.line;
        let (batches, waiting) = mpsc::channel(1);
        tasks.spawn(deliver(crew.clone(), progress, waiting));
        lanes.push(Lane { partition, mark, rows: Vec::new(), batches });
    }
    let read = deal(input, &mut lanes, rejects).await;
    // Without their lanes the tasks end.
    drop(lanes);
    while let Some(ended) = tasks.join_next().await {
        rejects.merge(ended.map_err(RunError::Task)?.map_err(RunError::GaveUp)?);
    }
    read.map_err(RunError::Input)
}

/// Reads to the end of the file, or until somebody has given up.
async fn deal(
    input: &mut Input,
    lanes: &mut [Lane],
    rejects: &mut Rejects,
) -> Result<u64, crate::input::InputError> {
    let mut known = 0;
    let end = loop {
        match input.next_line() {
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
            Ok(Some(Line::Malformed(malformed))) => rejects.extend([malformed]),
            Ok(Some(Line::Row(row))) => {
                let Some(lane) = lanes.get_mut(usize::from(of(&row))) else { continue };
                if row.line <= lane.mark {
                    match Flight::parse(&row) {
                        Ok(_) => known += 1,
                        Err(malformed) => rejects.extend([malformed]),
                    }
                } else if lane.push(row).await.is_err() {
                    return Ok(known);
                }
            }
        }
    };
    for lane in lanes {
        // One that has given up says why itself.
        let _ = lane.send().await;
    }
    end.map(|()| known)
}

/// Rows of a partition that wait to be sent.
struct Lane {
    partition: u16,
    /// The last line that was counted in an earlier run.
    mark: u64,
    rows: Vec<Row>,
    batches: mpsc::Sender<Batch>,
}

/// The task of a partition has ended.
struct Ended;

impl Lane {
    async fn push(&mut self, row: Row) -> Result<(), Ended> {
        self.rows.push(row);
        if self.rows.len() < BATCH_ROWS { Ok(()) } else { self.send().await }
    }

    async fn send(&mut self) -> Result<(), Ended> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let batch = Batch { partition: self.partition, rows: std::mem::take(&mut self.rows) };
        self.batches.send(batch).await.map_err(|_| Ended)
    }
}

/// Sees to it that the batches of a partition are counted, one after the other.
async fn deliver(
    crew: Crew,
    progress: ActorRef<CounterMsg<Progress>>,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<Rejects, GaveUp> {
    let mut rejects = Rejects::default();
    let mut counted = None;
    while let Some(batch) = batches.recv().await {
        let last = batch.rows.last().map(|row| Place { partition: batch.partition, line: row.line });
        let (malformed, ()) =
            tokio::try_join!(offer(&crew.pool, Arc::new(batch)), note(&crew, &progress, counted))?;
        rejects.extend(malformed);
        counted = last;
        counted.into_iter().for_each(&*crew.acknowledged);
    }
    note(&crew, &progress, counted).await?;
    Ok(rejects)
}

/// Offers a batch to the parsers until one answers for it.
async fn offer(pool: &ActorRef<ParseMsg>, batch: Arc<Batch>) -> Result<Vec<Malformed>, GaveUp> {
    let mut patience = Patience::default();
    loop {
        match pool.try_ask(|reply| ParseMsg { batch: Arc::clone(&batch), reply }).await {
            Ok(malformed) => return Ok(malformed),
            Err(AskError::Failed(gave_up)) => return Err(gave_up),
            Err(error) => patience.spend(&error)?,
        }
    }
}

/// Remembers how far a partition is.
async fn note(
    crew: &Crew,
    progress: &ActorRef<CounterMsg<Progress>>,
    counted: Option<Place>,
) -> Result<(), GaveUp> {
    let Some(place) = counted else { return Ok(()) };
    count(&crew.partitions, progress.clone(), &place.partition.to_string(), [Passed { place }].into()).await
}

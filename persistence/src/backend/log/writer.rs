//! Who writes, and when is a batch durable?
//!
//! One thread takes whatever waits, forms a batch of it, writes it and syncs once; what comes in meanwhile waits for the next batch. So a slow
//! disk gets large batches and a fast one small ones, without a timer. A small batch gives way, for moments, to those who are likely to join it. The decisions are in `form`; this file acts.
//!
//! When a write or a sync fails, nobody knows what of the batch is on the device, and asking the same file again proves nothing. So the file is given up:
//! the next segment says where it ended, before the batch. Once that is durable the batch certainly is not in the journal; until then
//! it may be.
//!
//! # Invariants
//!
//! * `end`, `chain`, `number`, `lanes` and what readers see change only after a sync succeeded.
//! * Nothing is written to a segment that failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use tokio::sync::oneshot;

use super::Options;
use super::checkpoint::{self, Checkpoint, Dead};
use super::form::{Form, Lane, Lanes};
use super::format::{SEGMENT_BYTES, SegmentHeader};
use super::owned::Held;
use super::recent::Recent;
use super::rewrite;
use super::segment::{Segment, file_name};
use super::store::Store;
use super::table::{Entry, Table};
use crate::backend::{Append, Appended, Delete, Fault, WriteError, tail};
use crate::id::{Epoch, PersistenceId, Slice};

/// A file grows by at least, and at most, so many bytes at a time. The batch that needs it waits until they are on the disk: with
/// 8 MiB at a time one batch in a hundred took 6 ms instead of 2.
const GROWTH: (u64, u64) = (64 << 10, 1 << 20);
/// How often the writer gives way to those who are about to submit before it writes a batch without them: at least, at most, and
/// after how many batches it tries the most again. A thread that sleeps needs up to 100 µs until it runs: 400 times. With 16 alone, 16 callers
/// remain in two groups: 47,000 events/s instead of 71,000.
const PATIENCE: (u32, u32, u64) = (16, 400, 64);
/// A batch of so many operations waits for nobody.
const ENOUGH: usize = 128;
const ROOM: &str =
    "Make room or look for errors of the device; the journal goes on by itself when a write succeeds";

pub(crate) type Answer<T> = oneshot::Sender<Result<T, WriteError>>;

/// What waits for the writer.
pub(crate) enum Command {
    Claim(Slice, Answer<Epoch>),
    /// With its [size](Append::size_bytes).
    Append(Arc<Append>, usize, Answer<Stored>),
    Delete(Delete, Answer<()>),
    /// The segment is full, however small it is.
    Turn(Answer<()>),
}

/// An append that is durable, and what was appended. It is freed where it was made: an allocator lets threads wait for each
/// other when one of them frees what the others make.
pub(crate) type Stored = (Appended, Arc<Append>);

/// What was put into the batch, with the answer once it is durable.
enum Settled {
    Claim(Answer<Epoch>, Result<Epoch, WriteError>),
    Append(Answer<Stored>, Result<Stored, WriteError>),
    Delete(Answer<()>, Result<(), WriteError>),
    Turn(Answer<()>, Result<(), WriteError>),
}

/// The end of the journal: where the next batch goes.
pub(crate) struct Tail {
    pub(crate) segment: Arc<Segment>,
    pub(crate) end: u64,
    pub(crate) chain: u32,
    pub(crate) number: u64,
    /// How far the file reaches.
    pub(crate) allocated: u64,
}

/// Writes the journal. Whoever opened it runs it, on a thread of its own or step by step.
pub struct Writer {
    pub(crate) store: Arc<Store>,
    pub(crate) options: Options,
    pub(crate) commands: Receiver<Command>,
    pub(crate) queued_bytes: Arc<AtomicUsize>,
    /// Who follows the journal learns here what is durable.
    pub(crate) told: tail::Tail,
    pub(crate) tail: Tail,
    pub(crate) lanes: Lanes,
    pub(crate) recent: Recent,
    /// Why the file of `tail` takes nothing more.
    pub(crate) broken: Option<Fault>,
    /// How many events were deleted by what stands before this segment.
    pub(crate) dead: Vec<Dead>,
    /// Segments that are full, for whoever builds their indexes; None: that is done here.
    pub(crate) keeper: Option<Sender<Arc<Segment>>>,
    /// How many operations the next batch may hope for; None: it takes what waits.
    pub(crate) hopes: Option<usize>,
    /// How often it gives way for them. Less and less when they do not come.
    pub(crate) patience: u32,
    /// Until the journal is closed.
    pub(crate) held: Option<Arc<Held>>,
}

/// How much of a batch reached the device.
enum Failed {
    /// Nothing: there was no room for it.
    Before(Fault),
    /// Nobody knows.
    During(Fault),
}

impl Writer {
    /// Writes until the journal is closed and nothing waits any more. Blocks.
    pub fn run(mut self) {
        self.hopes = Some(0);
        while let Ok(command) = self.commands.recv() {
            self.batch(command);
        }
        self.finish();
    }

    /// Writes one batch of what waits. `false`: nothing waits. Blocks while it writes.
    pub fn step(&mut self) -> bool {
        match self.commands.try_recv() {
            Ok(command) => {
                self.batch(command);
                true
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => false,
        }
    }

    /// Closes the journal: notes how far it is durable and gives up the lock.
    fn finish(&mut self) {
        if self.broken.is_none() {
            self.write_checkpoint();
        }
        self.give_up();
    }

    /// Writes nothing more. The folder is free when nobody else writes either.
    fn give_up(&mut self) {
        if let Some(held) = self.held.take() {
            held.end();
        }
    }

    /// Writes what waits, `first` before all, as one batch.
    fn batch(&mut self, first: Command) {
        let ready = self.ready();
        let (mut form, mut settled) = (Form::new(self.tail.end, self.store.context.journal), Vec::new());
        let most = if self.tail.number.is_multiple_of(PATIENCE.2) { PATIENCE.1 } else { self.patience };
        let (mut next, mut patience) = (Some(first), most);
        while let Some(command) = next {
            if let Command::Append(_, bytes, _) = &command {
                self.queued_bytes.fetch_sub(*bytes, Ordering::Relaxed);
            }
            settled.push(match &ready {
                Ok(()) => self.admit(&mut form, command),
                Err(fault) => command.fail(WriteError::Unavailable(fault.clone())),
            });
            // What is refused puts nothing into the batch, but has to be answered some time, too.
            let full = form.records() >= self.options.batch_events
                || form.size() >= self.options.batch_bytes
                || settled.len() >= self.options.queue;
            next = if full { None } else { self.next(settled.len(), &mut patience) };
        }

        if patience == 0 {
            self.patience = (self.patience / 2).max(PATIENCE.0);
        } else if patience < most {
            self.patience = PATIENCE.1;
        }
        let written = if form.records() == 0 { Ok(()) } else { self.write(&mut form) };
        match written {
            Ok(()) => {
                self.lanes.extend(std::mem::take(&mut form.lanes));
                form.into_heads().for_each(|(id, head)| self.recent.put(&id, head));
                self.hopes = self.hopes.map(|_| (settled.len() + self.commands.len()).min(ENOUGH));
                let durable = if self.told.is_followed() { durable(&settled) } else { Vec::new() };
                let is_new = settled.iter().any(Settled::is_new);
                self.turn(&mut settled);
                settled.into_iter().for_each(Settled::answer);
                // Behind the answers: nobody who waits for one waits for this.
                if !durable.is_empty() {
                    self.told.tell(durable);
                } else if is_new {
                    self.told.announce();
                }
            }
            Err(failed) => {
                let error = self.failed(failed);
                for settled in settled {
                    settled.fail(&error);
                }
            }
        }
    }

    /// Starts a segment, if somebody asked for that and there is something in this one.
    fn turn(&mut self, settled: &mut [Settled]) {
        let mut asked = settled.iter_mut().filter_map(Settled::turn).peekable();
        if asked.peek().is_some() && self.tail.end > SEGMENT_BYTES as u64 {
            let turned = self.next_segment().map_err(WriteError::Unavailable);
            asked.for_each(|result| result.clone_from(&turned));
        }
    }

    /// The next command for a batch that has so many, if there is one.
    ///
    /// Whoever was answered by the last sync is likely to submit again at once. Those few microseconds are waited for: otherwise callers
    /// split into two groups, of which one is always synced while the other waits, and each takes two syncs. What is hoped for
    /// is what the last batch answered and what waited meanwhile, so a lone caller waits for nobody.
    fn next(&self, taken: usize, patience: &mut u32) -> Option<Command> {
        loop {
            match self.commands.try_recv() {
                Ok(command) => return Some(command),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            if *patience == 0 || self.hopes.is_none_or(|hopes| taken >= hopes) {
                return None;
            }
            *patience -= 1;
            std::thread::yield_now();
        }
    }

    /// Checks a command against the journal and the batch, and puts it into the batch.
    fn admit(&mut self, form: &mut Form, command: Command) -> Settled {
        match command {
            Command::Claim(slice, to) => Settled::Claim(to, Ok(form.claim(&self.lanes, slice))),
            Command::Append(append, _, to) => {
                let is_new = form.head(&append.id).is_none();
                let back = if is_new { self.tail.segment.last_of(&append.id) } else { 0 };
                let head = self.head(form, &append.id);
                let result = head.and_then(|head| form.append(&self.lanes, &append, head, back));
                Settled::Append(to, result.map(|appended| (appended, append)))
            }
            Command::Delete(delete, to) => {
                let head = self.head(form, &delete.id);
                Settled::Delete(to, head.and_then(|head| form.delete(&self.lanes, &delete, head)))
            }
            Command::Turn(to) => Settled::Turn(to, Ok(())),
        }
    }

    /// The last sequence of `id`.
    fn head(&mut self, form: &Form, id: &PersistenceId) -> Result<u64, WriteError> {
        if let Some(head) = form.head(id).or_else(|| self.recent.get(id)) {
            return Ok(head);
        }
        match self.store.highest(id) {
            Ok(head) => {
                self.recent.put(id, head);
                Ok(head)
            }
            Err(error) => Err(WriteError::Unavailable(error.fault().clone())),
        }
    }

    /// Makes sure that there is a segment to write to.
    fn ready(&mut self) -> Result<(), Fault> {
        if self.broken.is_some() || self.tail.end >= self.options.segment_bytes {
            return self.next_segment();
        }
        Ok(())
    }

    fn write(&mut self, form: &mut Form) -> Result<(), Failed> {
        let tail = &mut self.tail;
        let (file, place) = (Arc::clone(&tail.segment.file), tail.segment.place().to_owned());
        let fault = |error: std::io::Error| Fault::new(error, &place, ROOM).at(tail.end);
        let context = &self.store.context;
        let (bytes, chain) = form.seal(context.journal, tail.segment.header.first, tail.number, tail.chain);
        let end = tail.end + bytes.len() as u64;
        if end > tail.allocated {
            let step = tail.allocated.clamp(GROWTH.0, GROWTH.1);
            let wanted = (tail.allocated + step).min(self.options.segment_bytes).max(end);
            let grown = file.allocate(tail.allocated, wanted - tail.allocated).map(|()| wanted);
            // No room for what comes later may still be room for this.
            let grown = grown.or_else(|_| file.allocate(tail.allocated, end - tail.allocated).map(|()| end));
            tail.allocated = grown.map_err(|error| Failed::Before(fault(error)))?;
        }
        let written = file.write_at(bytes, tail.end).and_then(|()| file.sync());
        written.map_err(|error| Failed::During(fault(error)))?;
        (tail.end, tail.chain, tail.number) = (end, chain, tail.number + 1);
        let entries = std::mem::take(&mut form.entries);
        for (_, entry) in &entries {
            if let Entry::Deletion { id, to, .. } = entry {
                // A guide for giving space back; what cannot be read now is counted when somebody asks for that.
                let floor = Store::floor(&self.store.segments(), id);
                let _ = floor.and_then(|floor| self.store.count_dead(id, floor, to.get()));
            }
        }
        self.tail.segment.publish(entries);
        Ok(())
    }

    /// What became of a batch that could not be written.
    fn failed(&mut self, failed: Failed) -> WriteError {
        match failed {
            Failed::Before(fault) => WriteError::Unavailable(fault),
            Failed::During(fault) => {
                self.broken = Some(fault.clone());
                match self.next_segment() {
                    Ok(()) => WriteError::Unavailable(fault),
                    Err(_) => WriteError::Unknown(fault),
                }
            }
        }
    }

    /// Starts a segment, which says that the one before ends at the last batch that is durable.
    fn next_segment(&mut self) -> Result<(), Fault> {
        let context = &self.store.context;
        let number = self.tail.segment.header.last + 1;
        let header = SegmentHeader {
            journal: context.journal,
            first: number,
            last: number,
            batch: self.tail.number,
            previous_end: self.tail.end,
            previous_chain: self.tail.chain,
            rewritten: None,
        };
        let name = file_name(number);
        let created =
            context.disk.replace("", &name, &header.encode()).and_then(|()| context.disk.open(&name));
        let file = created.map_err(|error| Fault::new(error, context.disk.place(&name), ROOM))?;
        let table = Table::new(context.journal);
        let segment = Arc::new(Segment::with_table(Arc::clone(context), header, file, table));
        // First this: whoever finds the new segment in the list takes those before it for full.
        self.tail.segment.seal(self.tail.end, self.tail.chain);
        self.store.push(Arc::clone(&segment));
        let full = std::mem::replace(&mut self.tail.segment, segment);
        if self.broken.is_none() {
            // What is left of the space that was reserved. It is no loss when that fails. Behind a break it stays, for whoever looks into it.
            let _ = full.file.set_size(self.tail.end);
        }
        (self.tail.end, self.tail.allocated) = (SEGMENT_BYTES as u64, SEGMENT_BYTES as u64);
        self.broken = None;
        self.dead = self.store.dead();
        self.write_checkpoint();
        let inline = match &self.keeper {
            // Waits while the keeper is behind: tables in memory stay bounded.
            Some(keeper) => keeper.send(full).err().map(|unsent| unsent.0),
            None => Some(full),
        };
        if let Some(full) = inline {
            full.write_index();
            // What fails is tried again when the next segment is full.
            let _ = rewrite::compact(&self.store, self.options.segment_bytes, false);
        }
        Ok(())
    }

    fn write_checkpoint(&self) {
        let checkpoint = Checkpoint {
            journal: self.store.context.journal,
            segment: self.tail.segment.header.first,
            end: self.tail.end,
            number: self.tail.number,
            chain: self.tail.chain,
            dead: self.dead.clone(),
        };
        // A witness that is missing only says less.
        let _ = self.store.context.disk.replace("", checkpoint::NAME, &checkpoint.encode());
    }

    /// Where each slice stands, for the one who opens the journal.
    pub(crate) fn note(lanes: &mut Lanes, slice: Slice, epoch: u64, last: u64) {
        let lane: &mut Lane = lanes.entry(slice).or_default();
        lane.epoch = lane.epoch.max(Epoch::new(epoch));
        lane.last = lane.last.max(crate::Ordinal::new(last));
    }
}

/// What was appended.
fn durable(settled: &[Settled]) -> Vec<tail::Durable> {
    let appended = settled.iter().filter_map(|settled| match settled {
        Settled::Append(_, Ok((appended, append))) if !append.events.is_empty() => {
            Some(tail::Durable { append: Arc::clone(append), last: appended.ordinal })
        }
        _ => None,
    });
    appended.collect()
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Also when it is dropped in the middle, whoever waits for the end has to learn of it.
        self.give_up();
    }
}

impl Command {
    fn fail(self, error: WriteError) -> Settled {
        match self {
            Self::Claim(_, to) => Settled::Claim(to, Err(error)),
            Self::Append(_, _, to) => Settled::Append(to, Err(error)),
            Self::Delete(_, to) => Settled::Delete(to, Err(error)),
            Self::Turn(to) => Settled::Turn(to, Err(error)),
        }
    }
}

impl Settled {
    /// Whether it put events into the journal, if the batch was written.
    fn is_new(&self) -> bool {
        matches!(self, Self::Append(_, Ok((_, append))) if !append.events.is_empty())
    }

    fn turn(&mut self) -> Option<&mut Result<(), WriteError>> {
        match self {
            Self::Turn(_, result) => Some(result),
            _ => None,
        }
    }

    /// Whoever dropped the future does not want to know.
    fn answer(self) {
        match self {
            Self::Claim(to, result) => drop(to.send(result)),
            Self::Append(to, result) => drop(to.send(result)),
            Self::Delete(to, result) | Self::Turn(to, result) => drop(to.send(result)),
        }
    }

    /// The batch failed with `error`. What was refused anyway was refused in view of that batch, so its reason may be wrong; that it was not written
    /// is true.
    fn fail(self, error: &WriteError) {
        fn of<T>(result: Result<T, WriteError>, error: &WriteError) -> Result<T, WriteError> {
            match (result, error) {
                (Err(_), WriteError::Unknown(fault)) => Err(WriteError::Unavailable(fault.clone())),
                _ => Err(error.clone()),
            }
        }
        match self {
            Self::Claim(to, result) => drop(to.send(of(result, error))),
            Self::Append(to, result) => drop(to.send(of(result, error))),
            Self::Delete(to, result) | Self::Turn(to, result) => drop(to.send(of(result, error))),
        }
    }
}

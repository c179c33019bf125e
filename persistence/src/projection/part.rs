//! Who puts events into a read model?
//!
//! An actor for each part of the slices. It takes what `reading` has read, and does what `attempt` orders. A message is
//! one batch, so between two batches it answers queries and notices that it is to pause or stop.
//!
//! # Invariants
//!
//! * The offset that others see never runs ahead of the read model.
//! * Events behind the offset that is stored are not deleted.
//! * A restart opens the read model anew and goes on where its offset is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use omnitron_runtime::{Actor, ActorRef, CheckResult, Context, Failure, ReplyTo};
use tokio::sync::mpsc;

use super::attempt::{Order, Outcome};
use super::gauge;
use super::hand::{Hand, advance};
use super::ledger::{self, Entry};
use super::model::{Batch, ReadModel, Why};
use super::reading::{self, AHEAD, Bad, Fetched};
use super::status::{Board, Doing};
use super::{Settings, Target};
use crate::error::panic_text;
use crate::feed::{FeedError, Follow};
use crate::id::{Ordinal, Slice};
use crate::journal::{Journal, Reader};
use crate::offset::Offset;

/// The first and the longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// After so many events that are not for the read model, the offset is stored all the same.
const EVENTS_PER_MARK: u64 = 10_000;

type Line<R> = mpsc::Receiver<Result<Fetched<<R as ReadModel>::Event>, FeedError>>;
type Got<R> = Option<Result<Fetched<<R as ReadModel>::Event>, FeedError>>;
/// Something that is asked of the read model.
pub(crate) type Question<R> = Box<dyn FnOnce(&mut R) + Send>;

pub(crate) enum Work<R: ReadModel> {
    /// Look whether there is something to do.
    Go,
    /// What was read, for the read model that was opened as this one.
    Got(u64, Line<R>, Got<R>),
    /// A wait is over, or somebody wants another try.
    Again,
    Skip(ReplyTo<bool>),
    Ask(Question<R>),
    Check(ReplyTo<CheckResult>),
    /// Tell the recorder of metrics.
    Measure,
}

/// A part of a projection.
pub(crate) struct Part<R: ReadModel> {
    settings: Arc<Settings<R>>,
    target: Target,
    slices: Vec<Slice>,
    board: Arc<Board>,
    paused: Arc<AtomicBool>,
    ledger: ActorRef<Entry>,
    journal: Journal,
    open: Option<Open<R>>,
    hand: Option<Hand<R::Event>>,
    failures: u32,
    waits: bool,
    unreadable: bool,
    /// What is in hand goes up to the end of the journal.
    is_live: bool,
}

/// A read model that is open, and what is read for it.
struct Open<R: ReadModel> {
    /// How many were opened before it. A restart leaves what the one before has asked for on its way.
    number: u64,
    model: R,
    /// `None` while it is waited for.
    line: Option<Line<R>>,
    reader: Arc<Reader>,
    /// What is in the read model, or passed by it.
    offset: Offset,
    /// How many events were passed since the offset was stored.
    unmarked: u64,
}

/// Why there is no read model to write to.
enum Trouble {
    Passing(String),
    Lasting(String),
}

impl From<FeedError> for Trouble {
    fn from(error: FeedError) -> Self {
        let text = super::model::chain(&error);
        if error.passes() { Self::Passing(text) } else { Self::Lasting(text) }
    }
}

impl<R: ReadModel> Part<R> {
    pub(crate) fn new(
        settings: &Arc<Settings<R>>,
        target: &Target,
        slices: &[Slice],
        shared: (&Arc<Board>, &Arc<AtomicBool>),
        ledger: &ActorRef<Entry>,
        journal: &Journal,
    ) -> Self {
        Self {
            settings: Arc::clone(settings),
            target: target.clone(),
            slices: slices.to_vec(),
            board: Arc::clone(shared.0),
            paused: Arc::clone(shared.1),
            ledger: ledger.clone(),
            journal: journal.clone(),
            open: None,
            hand: None,
            failures: 0,
            waits: false,
            unreadable: false,
            is_live: false,
        }
    }

    async fn measure(&mut self, ctx: &mut Context<Self>) {
        // What is not known now is told the next time.
        let Ok(end) = self.journal.end().await else { return };
        let status = self.board.get();
        let behind = |slice: &Slice| end.of(*slice).get().saturating_sub(status.offset.of(*slice).get());
        let lag = self.slices.iter().map(behind).sum();
        gauge::record(ctx.system().name(), &self.target, lag, status.events);
    }

    fn show(&self, doing: Doing) {
        self.board.change(|status| status.doing = doing);
    }

    /// Does what there is to do, up to one wait.
    async fn go_on(&mut self, ctx: &mut Context<Self>) {
        if self.waits || self.unreadable {
            return;
        }
        if self.open.is_none() {
            match self.open(ctx).await {
                Ok(open) => {
                    let offset = open.offset.clone();
                    self.open = Some(open);
                    self.failures = 0;
                    self.board.change(|status| {
                        (status.doing, status.offset) = (Doing::Runs, offset);
                    });
                }
                Err(trouble) => return self.trouble(trouble, ctx),
            }
        }
        if self.paused.load(Ordering::Acquire) {
            return self.show(Doing::Paused);
        }
        while let Some(hand) = &self.hand {
            match hand.attempt.next() {
                Order::Commit(count) => self.commit(count).await,
                Order::Skip => self.leave_out().await,
                Order::Finished => self.finish().await,
                Order::Wait(attempts) => {
                    let reason = hand.suspect().filter(|_| hand.reason.is_empty()).map(|bad| bad.reason);
                    let reason = reason.unwrap_or_else(|| hand.reason.clone());
                    return self.suspend(attempts, reason, ctx);
                }
                Order::Halt => {
                    if let Some(Bad { id, sequence, reason, .. }) = hand.suspect() {
                        let generation = self.target.generation;
                        if ledger::was_left_out(&self.ledger, id.clone(), sequence, generation).await {
                            if let Some(hand) = &mut self.hand {
                                hand.attempt.skip();
                            }
                            continue;
                        }
                        tracing::error!(projection = %self.target, %id, %sequence, %reason, "a projection halts at an event");
                        self.show(Doing::Halted { id, sequence, reason });
                    }
                    return;
                }
            }
        }
        if self.is_live {
            self.board.change(|status| status.is_live = true);
        }
        self.fetch(ctx);
    }

    /// Asks for what was read.
    fn fetch(&mut self, ctx: &mut Context<Self>) {
        let Some(open) = &mut self.open else { return };
        let (number, Some(mut line)) = (open.number, open.line.take()) else { return };
        let next = async move {
            let got = line.recv().await;
            (line, got)
        };
        // One at a time, so there is always room.
        if ctx.pipe_to_self(next, move |(line, got)| Work::Got(number, line, got)).is_err() {
            self.open = None;
            self.suspend(1, "its mailbox is full".to_owned(), ctx);
        }
    }

    fn trouble(&mut self, trouble: Trouble, ctx: &mut Context<Self>) {
        match trouble {
            Trouble::Passing(reason) => {
                self.failures = self.failures.saturating_add(1);
                self.suspend(self.failures, reason, ctx);
            }
            Trouble::Lasting(reason) => {
                tracing::error!(projection = %self.target, %reason, "a projection cannot read the journal");
                self.unreadable = true;
                self.show(Doing::Unreadable { reason });
            }
        }
    }

    fn suspend(&mut self, attempts: u32, reason: String, ctx: &mut Context<Self>) {
        let wait = RETRY.0.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(RETRY.1);
        let wait = wait.mul_f64(0.8 + 0.4 * ctx.env().random_unit());
        tracing::warn!(projection = %self.target, attempts, ?wait, %reason, "a projection is suspended");
        self.waits = true;
        self.show(Doing::Suspended { attempts, reason });
        ctx.timers().once("again", wait, || Work::Again);
    }

    /// Opens the read model and begins to read where its offset is.
    async fn open(&mut self, ctx: &mut Context<Self>) -> Result<Open<R>, Trouble> {
        let passing = |failure: Failure| Trouble::Passing(failure.to_string());
        let made = catch_unwind(AssertUnwindSafe(|| (self.settings.factory)(&self.target)));
        let made = made.unwrap_or_else(|panic| Err(Failure::msg(panic_text(&*panic))));
        let mut model = made.map_err(passing)?;
        let offsets = AssertUnwindSafe(model.offsets()).catch_unwind().await;
        let offsets =
            offsets.unwrap_or_else(|panic| Err(Failure::msg(panic_text(&*panic)))).map_err(passing)?;
        let mut offset = self.journal.start().ok_or(FeedError::NotOpen)?;
        for bytes in offsets {
            let stored = Offset::from_bytes(&bytes).map_err(|error| Trouble::Lasting(error.to_string()))?;
            if !offset.merge(&stored) {
                let (given, actual) = (stored.journal(), offset.journal());
                return Err(FeedError::OtherJournal { given, actual }.into());
            }
        }
        let mut follow = Follow::all().after(offset.clone()).slices(self.slices.iter().copied());
        if self.settings.despite_deletions {
            follow = follow.despite_deletions();
        }
        let feed = self.journal.follow(ctx.env(), follow).await?;
        let reader = feed.reader();
        let (sender, line) = mpsc::channel(AHEAD);
        let (tag, most, label) = (self.settings.tag.clone(), self.settings.batch, self.target.to_string());
        ctx.env().spawn(|| label, reading::read(feed, tag, most, sender));
        // Of the slices of other parts it knows nothing that stays true.
        let mine = |slice: &(Slice, Ordinal)| self.slices.contains(&slice.0);
        let mut own = Offset::start(offset.journal());
        offset.iter().filter(mine).for_each(|(slice, ordinal)| own.advance(slice, ordinal));
        let number = self.board.opened();
        Ok(Open { number, model, line: Some(line), reader, offset: own, unmarked: 0 })
    }

    /// Puts the next events into the read model.
    async fn commit(&mut self, count: usize) {
        let (Some(hand), Some(open)) = (&mut self.hand, &mut self.open) else { return };
        let count = count.min(hand.events.len() - hand.done).max(1);
        let events = hand.events.get(hand.done..hand.done + count).unwrap_or_default();
        let forgotten = hand.forgotten.as_ref().filter(|_| events.is_empty());
        let mut offset = open.offset.clone();
        match &hand.end {
            Some(end) if hand.done + count == hand.events.len() => offset = end.clone(),
            _ => {
                let mark = forgotten.map(|mark| mark.position);
                advance(&mut offset, events.iter().map(|event| event.position).chain(mark));
            }
        }
        let batch = Batch {
            events,
            forgotten: forgotten.map(|mark| &mark.id),
            offset: &offset,
            part: self.target.part,
        };
        let outcome = match AssertUnwindSafe(open.model.commit(&batch)).catch_unwind().await {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(error)) => match error.0 {
                Why::Unavailable(reason) => {
                    hand.reason = reason;
                    Outcome::Unavailable
                }
                Why::Refused { at, reason } => {
                    hand.reason = reason;
                    Outcome::Refused { at }
                }
            },
            Err(panic) => {
                hand.reason = format!("the read model panicked: {}", panic_text(&*panic));
                Outcome::Panicked
            }
        };
        hand.attempt.learn(count, outcome);
        if outcome == Outcome::Done {
            let done = events.len();
            if done == 0 {
                hand.forgotten = None;
            }
            hand.done += done;
            hand.reason.clear();
            self.passed(offset, done as u64, true);
        }
    }

    /// Everything up to `offset` is done; `stored`: and that is stored.
    fn passed(&mut self, offset: Offset, events: u64, stored: bool) {
        let Some(open) = &mut self.open else { return };
        if stored {
            offset.iter().for_each(|(slice, ordinal)| open.reader.passed(slice, ordinal));
            open.unmarked = 0;
        }
        open.offset.clone_from(&offset);
        self.board.change(|status| {
            (status.offset, status.doing) = (offset, Doing::Runs);
            status.events += events;
        });
    }

    /// The batch is done: what was read behind its last event was not for the read model.
    async fn finish(&mut self) {
        let Some(Hand { end, .. }) = self.hand.take() else { return };
        let (Some(end), Some(open)) = (end, &mut self.open) else { return };
        if end == open.offset {
            return;
        }
        let passed = |(slice, ordinal): (Slice, Ordinal)| ordinal.get() - open.offset.of(slice).get();
        open.unmarked += end.iter().map(passed).sum::<u64>();
        if open.unmarked >= EVENTS_PER_MARK {
            return self.mark(end).await;
        }
        self.passed(end, 0, false);
    }

    /// Stores an offset without events.
    async fn mark(&mut self, offset: Offset) {
        let Some(open) = &mut self.open else { return };
        let batch = Batch { events: &[], forgotten: None, offset: &offset, part: self.target.part };
        // One that fails is stored with the next events.
        let stored = AssertUnwindSafe(open.model.commit(&batch)).catch_unwind().await;
        self.passed(offset, 0, matches!(stored, Ok(Ok(()))));
    }

    /// Records the next event as left out, then goes past it.
    async fn leave_out(&mut self) {
        let Some(hand) = &mut self.hand else { return };
        let Some(bad) = hand.suspect() else { return };
        let (generation, position) = (self.target.generation, bad.position);
        let Bad { id, sequence, reason, .. } = bad;
        tracing::warn!(projection = %self.target, %id, %sequence, %reason, "a projection leaves out an event");
        let record = |reply| Entry::Skip { id, sequence, reason, generation, reply };
        if let Err(error) = self.ledger.ask(record).await {
            hand.reason = format!("what is left out cannot be recorded: {error}");
            return hand.attempt.fail();
        }
        hand.attempt.skipped();
        hand.reason.clear();
        hand.leave_out();
        if let Some(open) = &self.open {
            let mut offset = open.offset.clone();
            advance(&mut offset, [position]);
            self.mark(offset).await;
        }
    }

    /// What was read has come.
    fn got(&mut self, line: Line<R>, got: Got<R>, ctx: &mut Context<Self>) {
        let Some(open) = &mut self.open else { return };
        match got {
            Some(Ok(fetched)) => {
                open.line = Some(line);
                self.is_live |= fetched.is_live;
                self.hand = Some(Hand::new(fetched, self.settings.poison));
            }
            Some(Err(error)) => {
                self.open = None;
                self.trouble(error.into(), ctx);
            }
            None => {
                self.open = None;
                self.hand = None;
                self.suspend(1, "its reader has ended".to_owned(), ctx);
            }
        }
    }
}

fn check_name(actor: &str) -> String {
    format!("projection.{actor}")
}

impl<R: ReadModel> Actor for Part<R> {
    type Msg = Work<R>;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        // A name that is taken belongs to somebody who has said the same before.
        let _ = ctx.health(&check_name(ctx.name()), Work::Check);
        if let Some(period) = gauge::PERIOD {
            ctx.timers().every("measure", period, || Work::Measure);
        }
        ctx.timers().once("go", Duration::ZERO, || Work::Go);
        Ok(())
    }

    async fn receive(&mut self, work: Work<R>, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match work {
            Work::Go => {}
            Work::Got(number, line, got) => {
                if self.open.as_ref().is_some_and(|open| open.number == number) {
                    self.got(line, got, ctx);
                }
            }
            Work::Again => {
                (self.waits, self.unreadable) = (false, false);
                if let Some(hand) = &mut self.hand {
                    hand.attempt.again();
                    self.board.change(|status| status.doing = Doing::Runs);
                }
            }
            Work::Skip(reply) => {
                let skipped = self.hand.as_mut().is_some_and(|hand| hand.attempt.skip());
                self.waits &= !skipped;
                reply.send(skipped);
            }
            Work::Ask(question) => {
                let Some(open) = &mut self.open else { return Ok(()) };
                // What a panic left is nothing to go on with, and no reason to spend a restart on somebody's query.
                let answered = catch_unwind(AssertUnwindSafe(|| question(&mut open.model)));
                if answered.is_ok() {
                    return Ok(());
                }
                tracing::warn!(projection = %self.target, "a query panicked: the read model is opened anew");
                (self.open, self.hand) = (None, None);
            }
            Work::Check(reply) => {
                reply.send(self.board.get().doing.check());
                return Ok(());
            }
            Work::Measure => {
                self.measure(ctx).await;
                return Ok(());
            }
        }
        self.go_on(ctx).await;
        Ok(())
    }

    async fn stopped(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.system().health().remove(&check_name(ctx.name()));
        self.show(Doing::Ended);
        Ok(())
    }
}

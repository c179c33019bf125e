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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use omnitron_runtime::{Actor, ActorRef, CheckResult, Context, Failure, ReplyTo};
use tokio::sync::oneshot;

use super::attempt::{Order, Outcome};
use super::gauge;
use super::guard;
use super::hand::{Hand, advance};
use super::ledger::{self, Entry};
use super::model::{Batch, ReadModel, Why};
use super::opening::{Line, Open, Trouble};
use super::reading::{Bad, Fetched};
use super::status::{Board, Doing};
use super::{Settings, Target};
use crate::feed::FeedError;
use crate::id::{Ordinal, PersistenceId, Sequence, Slice};
use crate::journal::{Journal, Reader};
use crate::offset::{Offset, Position};

/// The first and the longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// After so many events that are not for the read model, the offset is stored all the same.
const EVENTS_PER_MARK: u64 = 10_000;

type Got<R> = Option<Result<Fetched<<R as ReadModel>::Event>, FeedError>>;
/// Something that is asked of the read model.
pub(crate) type Question<R> = Box<dyn FnOnce(&mut R) + Send>;

/// A question that is to be answered by a read model which holds the events at some positions.
pub(crate) struct Asked<R> {
    pub(crate) question: Question<R>,
    pub(crate) after: Vec<Position>,
    /// Where the question goes when the read model, opened anew since the asker has looked, does not hold them.
    pub(crate) too_early: oneshot::Sender<Question<R>>,
}

pub(crate) enum Work<R: ReadModel> {
    /// Look whether there is something to do.
    Go,
    /// What was read, for the read model that was opened as this one.
    Got(u64, Line<R>, Got<R>),
    /// A wait is over, or somebody wants another try.
    Again,
    /// Leave out this event, if it is the one that cannot be taken. Says whether it was, once that is recorded.
    Skip(PersistenceId, Sequence, ReplyTo<bool>),
    Ask(Asked<R>),
    Check(ReplyTo<CheckResult>),
    /// Tell the recorder of metrics.
    Measure,
}

/// A part of a projection.
pub(crate) struct Part<R: ReadModel> {
    pub(super) settings: Arc<Settings<R>>,
    pub(super) target: Target,
    pub(super) slices: Vec<Slice>,
    pub(super) board: Arc<Board>,
    paused: Arc<AtomicBool>,
    ledger: ActorRef<Entry>,
    pub(super) journal: Journal,
    /// Keeps events until they are stored, whatever becomes of read models meanwhile.
    pub(super) reader: Arc<Reader>,
    open: Option<Open<R>>,
    hand: Option<Hand<R::Event>>,
    failures: u32,
    waits: bool,
    unreadable: bool,
    /// What is in hand goes up to the end of the journal.
    is_live: bool,
}

impl<R: ReadModel> Part<R> {
    pub(crate) fn new(
        settings: &Arc<Settings<R>>,
        target: &Target,
        slices: &[Slice],
        shared: (&Arc<Board>, &Arc<AtomicBool>, &Arc<Reader>),
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
            reader: Arc::clone(shared.2),
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
                Order::Halt if hand.halts => return,
                Order::Halt => self.halt().await,
            }
        }
        if self.is_live {
            self.board.change(|status| status.is_live = true);
        }
        self.fetch(ctx);
    }

    /// Somebody has to decide about the next event, or did so before a crash.
    async fn halt(&mut self) {
        let Some(hand) = &mut self.hand else { return };
        let Some(Bad { id, sequence, reason, .. }) = hand.suspect() else { return };
        match ledger::was_left_out(&self.ledger, id.clone(), sequence, self.target.generation).await {
            Ok(true) => {
                hand.attempt.skip();
            }
            Ok(false) => {
                hand.halts = true;
                tracing::error!(projection = %self.target, %id, %sequence, %reason, "a projection halts at an event");
                self.show(Doing::Halted { id, sequence, reason });
            }
            Err(error) => {
                hand.reason =
                    format!("{reason}; and it is not known whether it was left out before: {error}");
                hand.attempt.fail();
            }
        }
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
            offset: &open.to_store(&offset),
            part: self.target.part,
        };
        let outcome = match open.model.commit(&batch).await {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(error)) => match error.0 {
                Why::Unavailable(reason) => {
                    hand.reason = reason;
                    Outcome::Unavailable
                }
                Why::Refused { at: Some(at), reason } => {
                    hand.reason = reason;
                    Outcome::Refused { at }
                }
                Why::Refused { at: None, reason } => {
                    hand.reason = format!("an event was refused that is not of the batch: {reason}");
                    Outcome::Unclear
                }
            },
            Err(panic) => {
                hand.reason = format!("the read model panicked: {panic}");
                Outcome::Unclear
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
            offset.iter().for_each(|(slice, ordinal)| self.reader.passed(slice, ordinal));
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
        let whole = open.to_store(&offset);
        let batch = Batch { events: &[], forgotten: None, offset: &whole, part: self.target.part };
        // One that fails is stored with the next events.
        let stored = open.model.commit(&batch).await;
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
            // They learn that it is not recorded now.
            hand.deciders.clear();
            return hand.attempt.fail();
        }
        hand.deciders.drain(..).for_each(|reply| reply.send(true));
        hand.attempt.skipped();
        hand.reason.clear();
        hand.leave_out();
        if let Some(open) = &self.open {
            let mut offset = open.offset.clone();
            advance(&mut offset, [position]);
            self.mark(offset).await;
        }
    }

    /// Asks the read model. `false`: it panicked.
    fn answer(&mut self, asked: Asked<R>) -> bool {
        let Asked { question, after, too_early } = asked;
        let Some(open) = &mut self.open else {
            guard::let_go(question);
            return true;
        };
        // The slices of the other parts are theirs: what they have stored stays so.
        let lacks = |at: &Position| self.slices.contains(&at.slice) && !open.offset.covers(*at);
        if after.iter().any(lacks) {
            guard::let_go(too_early.send(question));
            return true;
        }
        let answered = open.model.ask(question);
        if let Err(reason) = &answered {
            tracing::warn!(projection = %self.target, %reason, "a query panicked: the read model is opened anew");
        }
        answered.is_ok()
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
                    hand.halts = false;
                    self.board.change(|status| status.doing = Doing::Runs);
                }
            }
            Work::Skip(id, sequence, reply) => {
                let is_it = |bad: Bad| bad.id == id && bad.sequence == sequence;
                let hand = self.hand.as_mut().filter(|hand| hand.suspect().is_some_and(is_it));
                if let Some(hand) = hand.and_then(|hand| hand.attempt.skip().then_some(hand)) {
                    hand.deciders.push(reply);
                    self.waits = false;
                } else {
                    reply.send(false);
                }
            }
            Work::Ask(asked) => {
                if self.answer(asked) {
                    return Ok(());
                }
                // What a panic left is nothing to go on with, and no reason to spend a restart on somebody's query.
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

//! Who delivers what was posted?
//!
//! One actor for each outbox. It takes posts that [`reading`] has found, sends what [`sorting`](super::sorting) orders, and takes the answers. How far everything
//! is delivered it keeps in the journal ([`ledger`](super::ledger)), a little behind: what is delivered again after a crash is known to its receiver.
//!
//! # Invariants
//!
//! * Nothing that an earlier incarnation has asked for is taken by a later one.
//! * Events behind the offset that is stored are not deleted.
//! * A turn is bounded: so many sends, and the answers to what was on its way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use omnitron_runtime::{Actor, ActorRef, AskError, CheckResult, Context, Failure, ReplyTo};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::oneshot;

use super::answers::Answers;
use super::item::{Item, Limits, Ranges};
use super::ledger::{Entry, Memory, Note, Skipped};
use super::open::{Open, POSTS_PER_MARK, SENDS_PER_TURN};
use super::reading::{self, Unread};
use super::route::Route;
use super::status::{self, Doing, OutboxStatus};
use crate::backend::ReadError;
use crate::feed::{FeedError, Follow};
use crate::journal::Journal;
use crate::offset::{Offset, Position};
use crate::post::Receiver;
use crate::projection::chain;

/// The first and the longest wait after a failure of the journal.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How often it looks at what is late, and stores how far it is.
const TICK: Duration = Duration::from_secs(1);
/// As many batches are taken at once: more than may wait.
const BATCHES_PER_TURN: usize = 4;
/// How long a gateway without room is left alone.
const CONGESTED: Duration = Duration::from_millis(5);
/// How many receivers read again at once.
const FETCHES_AT_ONCE: usize = 4;

/// What an outbox was started with.
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) routes: BTreeMap<String, Arc<dyn Route>>,
    pub(super) limits: Limits,
    pub(super) incarnations: AtomicU64,
}

/// What the postman is told.
pub(super) enum Work {
    /// Look whether there is something to do.
    Go,
    Tick,
    /// What was asked for by an incarnation has come.
    Come(u64, Come),
    Skip(Receiver, ReplyTo<Result<Option<Skipped>, AskError>>),
    Retry,
    Status(ReplyTo<OutboxStatus>),
    /// Tell when everything up to there is delivered.
    Await(Offset, oneshot::Sender<()>),
    Check(ReplyTo<CheckResult>),
}

pub(super) enum Come {
    Answers,
    Batch,
    Fetched(Arc<str>, Ranges, Result<(Vec<Item>, bool), ReadError>),
    Stored(Offset, bool),
    Skipped(Arc<str>, Position, Result<Entry, AskError>, ReplyTo<Result<Option<Skipped>, AskError>>),
}

/// The actor.
pub(super) struct Postman {
    settings: Arc<Settings>,
    journal: Journal,
    ledger: ActorRef<Note>,
    incarnation: u64,
    open: Option<Open>,
    doing: Doing,
    failures: u32,
    waiting: Vec<(Offset, oneshot::Sender<()>)>,
}

impl Postman {
    pub(super) fn new(settings: &Arc<Settings>, journal: &Journal, ledger: &ActorRef<Note>) -> Self {
        Self {
            incarnation: settings.incarnations.fetch_add(1, Ordering::Relaxed),
            settings: Arc::clone(settings),
            journal: journal.clone(),
            ledger: ledger.clone(),
            open: None,
            doing: Doing::Runs,
            failures: 0,
            waiting: Vec::new(),
        }
    }

    /// Does what there is to do. Nothing is waited for but the beginning.
    async fn go_on(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        if self.open.is_none() {
            if self.doing != Doing::Runs {
                return Ok(());
            }
            match self.open(ctx).await {
                Ok(open) => {
                    self.failures = 0;
                    self.open = Some(open);
                }
                Err((reason, passes)) => {
                    self.trouble(reason, passes, ctx);
                    return Ok(());
                }
            }
        }
        self.read_on(ctx);
        let now = ctx.now();
        let Some(open) = &mut self.open else { return Ok(()) };
        open.take_answers(now, || ctx.env().random_unit());
        open.sorting.wake(now);
        let sent = open.send(&self.settings, now, || ctx.env().random_unit());
        if open.is_congested {
            open.is_congested = false;
            ctx.timers().once("room", CONGESTED, || Work::Go);
        } else if sent == SENDS_PER_TURN {
            ctx.timers().once("go", Duration::ZERO, || Work::Go);
        }
        if let Some(deadline) = open.sorting.deadline(now) {
            ctx.timers().once("due", deadline.saturating_duration_since(now), || Work::Go);
        }
        self.read_again(ctx)?;
        if self.open.as_ref().is_some_and(Open::is_far) {
            self.store(ctx)?;
        }
        self.tell_those_who_wait();
        Ok(())
    }

    fn tell_those_who_wait(&mut self) {
        let Some(open) = self.open.as_ref().filter(|_| !self.waiting.is_empty()) else { return };
        let reached = |(end, _): &mut (Offset, _)| {
            end.iter().all(|(slice, ordinal)| open.sorting.offset_of(slice) >= ordinal)
        };
        for (_, teller) in self.waiting.extract_if(.., reached) {
            // Whoever does not wait any more does not want to know.
            let _ = teller.send(());
        }
        self.waiting.retain(|(_, teller)| !teller.is_closed());
    }

    /// Begins to read where the offset is.
    async fn open(&mut self, ctx: &mut Context<Self>) -> Result<Open, (String, bool)> {
        let unread = |error: FeedError| (chain(&error), error.passes());
        let recalled = self.ledger.ask(Note::Recall).await;
        let Memory { offset, skipped, .. } =
            recalled.map_err(|error| (format!("what it remembers cannot be read: {error}"), true))?;
        let mut from = self.journal.start().ok_or_else(|| unread(FeedError::NotOpen))?;
        if !offset.is_empty() {
            let stored = Offset::from_bytes(&offset).map_err(|error| (error.to_string(), false))?;
            if !from.merge(&stored) {
                let (given, actual) = (stored.journal(), from.journal());
                return Err(unread(FeedError::OtherJournal { given, actual }));
            }
        }
        // What is posted is not deleted before it is delivered; that other events were is nothing to it.
        let follow = Follow::all().after(from.clone()).despite_deletions();
        let feed = self.journal.follow(ctx.env(), follow).await.map_err(unread)?;
        let reader = feed.reader();
        reader.delivers();
        let (sender, line) = reading::line();
        let label = format!("outbox {} reads", self.settings.name);
        ctx.env().spawn(|| label, reading::read(feed, sender, self.teller(|| Come::Batch, ctx)));
        let answers = Arc::new(Answers::new(self.teller(|| Come::Answers, ctx)));
        Ok(Open::new(self.settings.limits, from, line, (reader, answers), &skipped))
    }

    /// It cannot go on.
    fn trouble(&mut self, reason: String, passes: bool, ctx: &mut Context<Self>) {
        self.open = None;
        if !passes {
            tracing::error!(outbox = self.settings.name, %reason, "an outbox cannot read the journal");
            self.doing = Doing::Unreadable { reason };
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let attempts = self.failures;
        let wait = RETRY.0.saturating_mul(1 << (attempts - 1).min(16)).min(RETRY.1);
        let wait = wait.mul_f64(0.8 + 0.4 * ctx.env().random_unit());
        tracing::warn!(outbox = self.settings.name, attempts, ?wait, %reason, "an outbox is suspended");
        self.doing = Doing::Suspended { attempts, reason };
        ctx.timers().once("again", wait, || Work::Retry);
    }

    /// Runs something beside the actor. What comes of it is for this incarnation alone.
    fn ask_for<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        come: impl FnOnce(T) -> Come + Send + 'static,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        let incarnation = self.incarnation;
        // There are few at a time. When others have filled the mailbox nevertheless, a restart begins anew where the offset is.
        ctx.pipe_to_self(future, move |output| Work::Come(incarnation, come(output)))?;
        Ok(())
    }

    /// What tells this incarnation that something has come. One that cannot be told looks at the next tick.
    fn teller(&self, come: fn() -> Come, ctx: &Context<Self>) -> impl Fn() + Send + Sync + 'static {
        let (myself, incarnation) = (ctx.myself().clone(), self.incarnation);
        move || drop(myself.tell(Work::Come(incarnation, come())))
    }

    /// Takes what was read, while there is room for it. Nothing is waited for: a wait in the mailbox would keep a shutdown waiting.
    fn read_on(&mut self, ctx: &mut Context<Self>) {
        for _ in 0..BATCHES_PER_TURN {
            let Some(open) = self.open.as_mut().filter(|open| !open.sorting.is_full()) else { return };
            match open.line.try_recv() {
                Ok(Ok(batch)) => open.take(batch),
                Ok(Err(error)) => {
                    let passes = matches!(&error, Unread::Feed(error) if error.passes());
                    self.trouble(chain(&error), passes, ctx);
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.trouble("its reader has ended".to_owned(), true, ctx),
            }
        }
    }

    fn read_again(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        while let Some(open) = self.open.as_mut().filter(|open| open.fetches < FETCHES_AT_ONCE)
            && let Some((receiver, ranges)) = open.sorting.hungry()
        {
            open.fetches += 1;
            let most = open.sorting.helping();
            let Some(journal) = self.journal.get() else { return Ok(()) };
            let reads =
                reading::again(Arc::clone(&journal.backend), Arc::clone(&receiver), ranges.clone(), most);
            self.ask_for(reads, move |read| Come::Fetched(receiver, ranges, read), ctx)?;
        }
        Ok(())
    }

    /// Stores how far it is, if there is anything new. Nobody waits for it.
    fn store(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let Some(open) = self.open.as_mut().filter(|open| !open.is_storing) else { return Ok(()) };
        let (_, done) = open.sorting.count();
        let offset = open.sorting.offset(open.identity);
        let passed: u64 =
            offset.iter().map(|(slice, at)| at.get().saturating_sub(open.stored.of(slice).get())).sum();
        // What it stores itself is an event, and no reason to store again.
        let is_new = done != open.done_then || open.is_unstored || passed >= POSTS_PER_MARK;
        if !is_new || passed == 0 {
            return Ok(());
        }
        (open.is_storing, open.done_then) = (true, done);
        let (ledger, bytes) = (self.ledger.clone(), offset.to_bytes());
        let storing = async move { ledger.ask(|reply| Note::Pass { offset: bytes, reply }).await.is_ok() };
        self.ask_for(storing, move |is_stored| Come::Stored(offset, is_stored), ctx)
    }

    fn came(&mut self, come: Come, ctx: &mut Context<Self>) {
        let Some(open) = &mut self.open else { return };
        match come {
            // They are looked at in any case.
            Come::Answers => open.answers.told(),
            Come::Batch => {}
            Come::Fetched(receiver, ranges, read) => {
                open.fetches -= 1;
                match read {
                    Ok((items, is_whole)) => open.sorting.fetched(&receiver, &ranges, items, is_whole),
                    // All begins anew where the offset is.
                    Err(error) => {
                        self.trouble(chain(&error), matches!(error, ReadError::Unavailable(_)), ctx);
                    }
                }
            }
            Come::Stored(offset, is_stored) => {
                open.is_storing = false;
                if is_stored {
                    offset.iter().for_each(|(slice, ordinal)| open.reader.passed(slice, ordinal));
                    open.skipped.retain(|position| !offset.covers(*position));
                    open.stored = offset;
                }
                open.is_unstored = !is_stored;
            }
            Come::Skipped(receiver, position, recorded, reply) => match recorded {
                Ok(entry) => {
                    open.sorting.done(&receiver, position);
                    reply.send(Ok(entry.skipped()));
                }
                Err(error) => reply.send(Err(error)),
            },
        }
    }

    /// Records that the post which a receiver does not take is given up, then goes past it.
    fn skip(
        &self,
        receiver: &Receiver,
        reply: ReplyTo<Result<Option<Skipped>, AskError>>,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        let blocked = self.open.as_ref().and_then(|open| open.sorting.blocked_at(receiver.as_str()));
        let Some((receiver, item, trouble)) = blocked else {
            reply.send(Ok(None));
            return Ok(());
        };
        let position = item.position;
        let entry = Entry {
            receiver: receiver.to_string(),
            from: item.from.as_str().to_owned(),
            sequence: item.sequence.get(),
            slice: position.slice.get(),
            ordinal: position.ordinal.get(),
            message: item.post.name().to_owned(),
            reason: trouble.reason.clone(),
            at: crate::Timestamp::default(),
        };
        tracing::warn!(outbox = self.settings.name, %receiver, from = %item.from, sequence = %item.sequence, reason = trouble.reason, "a post is given up");
        let (ledger, entry) = (self.ledger.clone(), Box::new(entry));
        let recording = async move { ledger.ask(|reply| Note::Skip { entry, reply }).await };
        self.ask_for(recording, move |recorded| Come::Skipped(receiver, position, recorded, reply), ctx)
    }

    fn status(&self) -> OutboxStatus {
        let Some(open) = &self.open else { return OutboxStatus::closed(self.doing.clone()) };
        let (held, done) = open.sorting.count();
        OutboxStatus {
            doing: self.doing.clone(),
            delivered: done,
            waiting: held,
            blocked_count: open.sorting.blocked_count(),
            blocked: open.sorting.blocked().take(status::LISTED).map(status::blocked).collect(),
        }
    }
}

pub(super) fn check_name(outbox: &str) -> String {
    format!("outbox.{outbox}")
}

impl Actor for Postman {
    type Msg = Work;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        // A name that is taken belongs to somebody who has said the same before.
        let _ = ctx.health(&check_name(&self.settings.name), Work::Check);
        ctx.timers().every("tick", TICK, || Work::Tick);
        ctx.timers().once("go", Duration::ZERO, || Work::Go);
        Ok(())
    }

    async fn receive(&mut self, work: Work, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match work {
            Work::Go => {}
            Work::Tick => {
                let (now, random) = (ctx.now(), ctx.env().random_unit());
                if let Some(open) = &mut self.open {
                    // In case that it could not be told.
                    open.answers.told();
                    open.sorting.expire(now, random);
                }
                self.store(ctx)?;
            }
            Work::Come(incarnation, come) => {
                if incarnation != self.incarnation {
                    return Ok(());
                }
                self.came(come, ctx);
            }
            Work::Skip(receiver, reply) => self.skip(&receiver, reply, ctx)?,
            Work::Retry => {
                self.doing = Doing::Runs;
                if let Some(open) = &mut self.open {
                    open.sorting.retry(ctx.now());
                }
            }
            Work::Status(reply) => {
                reply.send(self.status());
                return Ok(());
            }
            Work::Await(end, teller) => self.waiting.push((end, teller)),
            Work::Check(reply) => {
                reply.send(self.status().check());
                return Ok(());
            }
        }
        self.go_on(ctx).await
    }

    async fn stopped(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.system().health().remove(&check_name(&self.settings.name));
        Ok(())
    }
}

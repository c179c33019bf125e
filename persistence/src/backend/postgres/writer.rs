//! Who writes to a server, and what is answered when that fails?
//!
//! One task per server, with a connection of its own. It takes whatever waits and makes one statement of it; what comes in meanwhile waits for the next. Like the
//! writer of the log it gives way, for moments, to those who are likely to join a batch.
//!
//! A statement whose answer is lost leaves its lanes *in doubt*. Then a new connection takes these lanes, which waits for what is still on its way to be stored, and
//! has refused whatever arrives later. So what the server then says is the end of it: the batch is there and is answered as stored, or it is not and is sent
//! again. Who asks longer than the options allow is told that it is not known; the lanes stay in doubt, and readers wait, until a connection has taken them.
//!
//! # Invariants
//!
//! * An operation is answered exactly once.
//! * Nothing is sent on a lane that is in doubt.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::address::Address;
use super::batch;
use super::faults::Trouble;
use super::identity::{Identity, same};
use super::memory::Memory;
use super::migrate::look;
use super::options::Options;
use super::plan::{Plan, needs, plan, strangers};
use super::queue::{Command, Queued, Waiting};
use super::session::{Session, within};
use crate::backend::{Fault, WriteError, tail};
use omnitron_runtime::Env;

/// How often the writer gives way before it sends a batch: at least, at most, and after how many batches it tries the most again.
const PATIENCE: (u32, u32, u64) = (100, 1_000, 64);
/// A batch of so many operations waits for nobody.
const ENOUGH: usize = 1_000;
/// How long a pause between two attempts is at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often a statement is sent again that the server wants to run after others.
const CONFLICTS: u32 = 8;

pub(crate) struct Writer {
    pub(crate) env: Env,
    pub(crate) address: Address,
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    pub(crate) waiting: Waiting,
    pub(crate) tail: tail::Tail,
    pub(crate) session: Option<Session>,
    pub(crate) memory: Memory,
    /// Taken from the queue and not answered.
    pub(crate) pending: VecDeque<Command>,
    /// Slices, and for which epoch they are to be taken before anything else.
    pub(crate) doubts: BTreeMap<u32, u64>,
    pub(crate) doubt: watch::Sender<bool>,
    pub(crate) sweep: Arc<tokio::sync::Notify>,
    /// Up to where slices were written.
    pub(crate) own: Arc<Mutex<BTreeMap<u32, u64>>>,
    pub(crate) pause: Duration,
    pub(crate) batches: u64,
    pub(crate) hopes: usize,
    pub(crate) gives_way: u32,
    pub(crate) closed: watch::Sender<u32>,
}

/// What came of one attempt at a batch.
enum Attempt {
    Answered(Vec<Result<crate::backend::Appended, WriteError>>),
    /// Nothing of it was sent.
    Unsent(Trouble),
    Sent(Plan, Trouble),
}

impl Writer {
    /// Writes until the journal is closed and nothing waits any more.
    pub(crate) async fn run(mut self) {
        while self.wait().await {
            self.gather().await;
            match self.pending.front() {
                Some(Command::Claim(..)) => self.claims().await,
                Some(Command::Append(_)) => {
                    let batch = self.leading();
                    self.appends(batch).await;
                }
                Some(Command::Delete(..)) => self.delete().await,
                None => {}
            }
        }
        self.closed.send_modify(|closed| *closed += 1);
    }

    /// Waits for something to do. `false`: nothing will come any more.
    async fn wait(&mut self) -> bool {
        while self.pending.is_empty() {
            if self.doubts.is_empty() {
                let Some(command) = self.waiting.commands.recv().await else { return false };
                self.pending.push_back(command);
                return true;
            }
            // Readers wait for this, too.
            match within(&self.env, self.pause, self.waiting.commands.recv()).await {
                Some(Some(command)) => self.pending.push_back(command),
                Some(None) => return false,
                None => drop(self.connect().await),
            }
        }
        true
    }

    /// Takes what waits, and gives way to those who are about to submit.
    async fn gather(&mut self) {
        let most = if self.batches.is_multiple_of(PATIENCE.2) { PATIENCE.1 } else { self.gives_way };
        let mut patience = most;
        self.batches += 1;
        while self.pending.len() < self.options.batch_events {
            match self.waiting.commands.try_recv() {
                Ok(command) => self.pending.push_back(command),
                Err(_) if patience == 0 || self.pending.len() >= self.hopes => break,
                Err(_) => {
                    patience -= 1;
                    // To other threads as well: with tasks alone, 256 callers remained in two groups, and reached 0.62 of a bare insert instead of 0.9.
                    std::thread::yield_now();
                    tokio::task::yield_now().await;
                }
            }
        }
        if patience == 0 {
            self.gives_way = (self.gives_way / 2).max(PATIENCE.0);
        } else if patience < most {
            self.gives_way = PATIENCE.1;
        }
    }

    /// The appends at the front that fit into one statement.
    fn leading(&mut self) -> Vec<Queued> {
        let (mut batch, mut events, mut bytes) = (Vec::new(), 0, 0);
        while let Some(Command::Append(next)) = self.pending.front() {
            let fits = events + next.append.events.len() <= self.options.batch_events
                && bytes + next.bytes <= self.options.batch_bytes;
            if !fits && !batch.is_empty() {
                break;
            }
            events += next.append.events.len().max(1);
            bytes += next.bytes;
            if let Some(Command::Append(next)) = self.pending.pop_front() {
                self.waiting.bytes.fetch_sub(next.bytes, Ordering::Relaxed);
                batch.push(next);
            }
        }
        batch
    }

    /// Makes sure of a connection, and of what is in doubt; tries until `deadline`.
    pub(crate) async fn ready(&mut self, deadline: Instant) -> Result<(), Fault> {
        loop {
            let Err(trouble) = self.connect().await else { return Ok(()) };
            let now = self.env.now();
            if now >= deadline {
                return Err(trouble.fault);
            }
            self.env.sleep(self.pause.min(deadline.saturating_duration_since(now))).await;
        }
    }

    /// One attempt at that.
    async fn connect(&mut self) -> Result<(), Trouble> {
        if self.session.as_ref().is_some_and(Session::is_closed) {
            self.session = None;
        }
        let connected = self.try_connect().await;
        if connected.is_ok() {
            self.pause = PAUSE.0;
        } else {
            self.session = None;
            self.pause = (self.pause * 2).min(PAUSE.1);
        }
        connected
    }

    async fn try_connect(&mut self) -> Result<(), Trouble> {
        if self.session.is_none() {
            let session = Session::connect(&self.env, &self.address, &self.options).await?;
            let found = look(&session).await?;
            same(found, self.identity, session.place()).map_err(Trouble::before)?;
            self.memory.forget();
            self.session = Some(session);
        }
        if let Some(session) = &self.session
            && !self.doubts.is_empty()
        {
            batch::hold(session, &mut self.memory, &self.doubts).await?;
            self.tail.announce();
            self.doubts.clear();
            self.doubt.send_replace(false);
        }
        Ok(())
    }

    /// Nobody will be answered by this connection any more.
    pub(crate) fn part(&mut self, doubts: impl IntoIterator<Item = (u32, u64)>) {
        self.doubts.extend(doubts);
        if !self.doubts.is_empty() {
            self.doubt.send_replace(true);
        }
        self.session = None;
    }

    /// Refuses everything that waits: it would wait for as long as what was given up.
    pub(crate) fn refuse_all(&mut self, fault: &Fault) {
        while let Ok(command) = self.waiting.commands.try_recv() {
            self.pending.push_back(command);
        }
        for command in self.pending.drain(..) {
            if let Command::Append(queued) = &command {
                self.waiting.bytes.fetch_sub(queued.bytes, Ordering::Relaxed);
            }
            command.refuse(fault);
        }
    }

    /// Whether a statement that was not done may be sent again; if so, behind a pause.
    pub(crate) async fn again(&mut self, trouble: &Trouble, conflicts: &mut u32, deadline: Instant) -> bool {
        if trouble.ends_session {
            self.part([]);
            if self.env.now() < deadline {
                self.env.sleep(self.pause).await;
                return true;
            }
        }
        *conflicts += 1;
        trouble.is_conflict() && *conflicts <= CONFLICTS
    }

    async fn appends(&mut self, mut batch: Vec<Queued>) {
        let deadline = self.env.now() + self.options.patience;
        let mut conflicts = 0;
        loop {
            if let Err(fault) = self.ready(deadline).await {
                refuse(batch, &fault);
                return self.refuse_all(&fault);
            }
            match self.attempt(&batch).await {
                Attempt::Answered(answers) => return self.answer(batch, answers),
                Attempt::Unsent(trouble) => {
                    if !self.again(&trouble, &mut conflicts, deadline).await {
                        return refuse(batch, &trouble.fault);
                    }
                }
                Attempt::Sent(_, trouble) if trouble.is_of_data() => {
                    // What is remembered may be wrong; and of several, one may be at fault.
                    self.memory.forget();
                    conflicts += 1;
                    if batch.len() > 1 {
                        for one in batch {
                            Box::pin(self.appends(vec![one])).await;
                        }
                        return;
                    } else if conflicts > 1 {
                        return refuse(batch, &trouble.fault);
                    }
                }
                Attempt::Sent(_, trouble) if !trouble.is_open => {
                    if !self.again(&trouble, &mut conflicts, deadline).await {
                        return refuse(batch, &trouble.fault);
                    }
                }
                Attempt::Sent(plan, trouble) => {
                    tracing::warn!(
                        place = self.address.place,
                        "whether a batch is stored is looked up: {}",
                        trouble.fault
                    );
                    self.part(plan.lanes.iter().map(|(slice, lane)| (*slice, lane.epoch)));
                    if let Err(fault) = self.ready(deadline).await {
                        unknown(batch, &plan, &fault);
                        return self.refuse_all(&fault);
                    }
                    batch = reveal(batch, &plan, &self.memory, &trouble.fault);
                    if batch.is_empty() {
                        return self.tail.announce();
                    }
                }
            }
        }
    }

    /// One attempt to store a batch.
    async fn attempt(&mut self, batch: &[Queued]) -> Attempt {
        let Some(session) = &self.session else {
            let fault = Fault::new("there is no connection", &self.address.place, "It is tried again");
            return Attempt::Unsent(Trouble::before(fault));
        };
        let appends = || batch.iter().map(|queued| &*queued.append);
        let needs = needs(appends(), &self.memory);
        let mut fences = BTreeMap::new();
        if !needs.lanes.is_empty() {
            match batch::hold(session, &mut self.memory, &needs.lanes).await {
                Ok(others) => fences = others,
                Err(trouble) => return Attempt::Unsent(trouble.of_nothing()),
            }
            self.tail.announce();
        }
        let strangers = strangers(appends(), &self.memory);
        if !strangers.is_empty()
            && let Err(trouble) = batch::learn(session, &mut self.memory, &strangers).await
        {
            return Attempt::Unsent(trouble.of_nothing());
        }
        let plan = plan(appends(), &self.memory, &fences);
        let held = if plan.is_empty() {
            BTreeSet::new()
        } else {
            match batch::append(session, &plan, appends()).await {
                Ok(held) => held,
                Err(trouble) => return Attempt::Sent(plan, trouble),
            }
        };
        let lost = plan.lanes.keys().copied().filter(|slice| !held.contains(slice));
        let lost: Vec<u32> = lost.collect();
        if !lost.is_empty()
            && let Ok(others) = batch::fences(session, lost).await
        {
            fences.extend(others);
        }
        if self.tail.is_followed() {
            self.own.lock().extend(plan.lanes.iter().map(|(slice, lane)| (*slice, lane.ordinal)));
        }
        Attempt::Answered(plan.settle(appends(), &held, &fences, &mut self.memory, session.place()))
    }

    fn answer(&mut self, batch: Vec<Queued>, answers: Vec<Result<crate::backend::Appended, WriteError>>) {
        self.hopes = (batch.len() + self.waiting.commands.len()).min(ENOUGH);
        let is_followed = self.tail.is_followed();
        let (mut durable, mut is_new) = (Vec::new(), false);
        for (queued, answer) in batch.into_iter().zip(answers) {
            if let Ok(appended) = &answer
                && !queued.append.events.is_empty()
            {
                is_new = true;
                if is_followed {
                    durable.push(tail::Durable { append: queued.append, last: appended.ordinal });
                }
            }
            let _ = queued.to.send(answer);
        }
        if !durable.is_empty() {
            self.tail.tell(durable);
        } else if is_new {
            self.tail.announce();
        }
    }
}

/// Nothing of it was stored.
fn refuse(batch: Vec<Queued>, fault: &Fault) {
    for queued in batch {
        let _ = queued.to.send(Err(WriteError::Unavailable(fault.clone())));
    }
}

/// Nobody knows whether it was stored. What was not sent was not.
fn unknown(batch: Vec<Queued>, plan: &Plan, fault: &Fault) {
    for (queued, is_sent) in batch.into_iter().zip(plan.sent()) {
        let error = if is_sent { WriteError::Unknown } else { WriteError::Unavailable };
        let _ = queued.to.send(Err(error(fault.clone())));
    }
}

/// Answers what the server is found to hold, or what cannot be found out any more. The rest, which is not there, is to be sent again.
fn reveal(batch: Vec<Queued>, plan: &Plan, memory: &Memory, fault: &Fault) -> Vec<Queued> {
    let mut again = Vec::new();
    for (queued, revealed) in batch.into_iter().zip(plan.reveal(memory, fault)) {
        let count = queued.append.events.len() as u64;
        match revealed {
            None => again.push(queued),
            Some(answer) => drop(queued.to.send(answer.map(|before| before.behind(count)))),
        }
    }
    again
}

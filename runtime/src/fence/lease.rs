//! How does a program ask for a lease, and how is it kept?
//!
//! A thin driver: what to do when is decided by the [`Candidate`]; a task per lease asks the store and renews.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::{oneshot, watch};

use super::candidate::{Candidate, Order};
use super::{Epoch, LeaseFault, LeaseStore, Term};
use crate::env::Env;

/// What a lease is asked for with.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use omnitron_runtime::{ActorSystem, LeaseRequest, testkit::MemoryLeases};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (system, store) = (ActorSystem::start("demo").await?, Arc::new(MemoryLeases::default()));
/// let lease = LeaseRequest::new("billing").holder("node-1").term(Duration::from_secs(10))
///     .within(Duration::from_secs(60))
///     .acquire(system.env(), store).await?;
/// assert!(lease.is_held());
/// // … send `lease.epoch()` along with whatever is written …
/// lease.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until `acquire` is awaited"]
pub struct LeaseRequest {
    name: String,
    holder: String,
    term: Term,
    within: Duration,
}

impl LeaseRequest {
    /// The shortest term: 10 ms.
    pub const MIN_TERM: Duration = Duration::from_millis(10);
    /// The longest term: a day.
    pub const MAX_TERM: Duration = Duration::from_hours(24);

    /// Asks for the lease `name`, of at most [`MAX_LEASE_NAME_BYTES`](super::MAX_LEASE_NAME_BYTES) bytes.
    pub fn new(name: impl Into<String>) -> Self {
        let term = Term { term: Duration::from_secs(15), drift: 0.05 };
        Self { name: name.into(), holder: "holder".to_owned(), term, within: Duration::from_secs(30) }
    }

    /// As whom: a text for people. A random number is put behind it, so that nobody else is meant. Default: `holder`.
    pub fn holder(mut self, holder: impl Into<String>) -> Self {
        self.holder = holder.into();
        self
    }

    /// For how long it is held without being renewed, which happens three times as often. When its holder vanishes, others get it about one term later.
    /// From 10 ms to a day; what lies outside counts as the nearest, and fractions of a millisecond are left out. Default: 15 s.
    pub fn term(mut self, term: Duration) -> Self {
        let millis = term.clamp(Self::MIN_TERM, Self::MAX_TERM).as_millis();
        self.term.term = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        self
    }

    /// By which part of a term the clock of one machine may gain on that of another during it. The holder stops to rely on it that much earlier. From 0 to 0.5;
    /// what lies outside counts as the nearest. Default: 0.05; clocks of machines differ by less than 0.001, unless somebody moves them.
    pub fn drift(mut self, part: f64) -> Self {
        self.term.drift = if part.is_nan() { 0.5 } else { part.clamp(0.0, 0.5) };
        self
    }

    /// How long to try. Default: 30 s.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Waits until the lease is held. Several that wait get it in no particular order.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Timeout`] when that takes longer than [`within`](Self::within); [`LeaseError::Refused`] when it never can be.
    ///
    /// # Cancel safety
    ///
    /// One that is dropped while it waits may leave a record in the store, which others have to wait out: one term.
    pub async fn acquire(self, env: &Env, store: Arc<dyn LeaseStore>) -> Result<Lease, LeaseError> {
        let Self { name, holder, term, within } = self;
        let me = format!("{holder}/{:016x}", env.random_u64());
        LeaseFault::check(&name, &me).map_err(|fault| LeaseError::Refused { name: name.clone(), fault })?;
        let candidate = Candidate::new(me, term);
        let mut keeper = Keeper { env: env.clone(), store, name, candidate, fault: None };
        let deadline = env.now().checked_add(within);
        loop {
            let now = env.now();
            if let Some((epoch, until)) = keeper.candidate.held(now) {
                return Ok(keeper.keep(epoch, until));
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                let (holder, fault) = (keeper.candidate.holder().map(str::to_owned), keeper.fault);
                return Err(LeaseError::Timeout { name: keeper.name, within, holder, fault });
            }
            if let Some(LeaseFault::TooLong { .. }) = &keeper.fault {
                let fault = keeper.fault.take().unwrap_or_else(|| unreachable!("it was just seen"));
                return Err(LeaseError::Refused { name: keeper.name, fault });
            }
            if let Some(at) = keeper.step().await {
                env.sleep_until(deadline.map_or(at, |deadline| at.min(deadline))).await;
            }
        }
    }
}

/// Why a lease was not acquired. It is not held.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// It was not to be had in time.
    #[error(
        "the lease `{name}` was not to be had within {within:?}: {}{}",
        .holder.as_ref().map_or_else(|| "nobody is known to hold it".to_owned(), |holder| format!("`{holder}` holds it")),
        .fault.as_ref().map_or_else(String::new, |fault| format!("; {fault}")),
    )]
    Timeout {
        /// The name of the lease.
        name: String,
        /// How long was tried.
        within: Duration,
        /// Who was last seen to hold it.
        holder: Option<String>,
        /// What the store last failed with, if its last answer was a failure.
        fault: Option<LeaseFault>,
    },
    /// It never can be had like this.
    #[error("the lease `{name}` was refused: {fault}")]
    Refused {
        /// The name of the lease.
        name: String,
        /// Why.
        #[source]
        fault: LeaseFault,
    },
}

/// A lease that is held, until its time is over. It is renewed by itself, and given back when it is dropped.
///
/// Who relies on it asks [`is_held`](Self::is_held) before each step, or ends when [`lost`](Self::lost) does. Between asking and acting time may pass: what must
/// not be overwritten is written with the [`epoch`](Self::epoch), and refused by a [`Fence`](super::Fence).
#[must_use = "a lease that is dropped is given back"]
pub struct Lease {
    env: Env,
    name: String,
    epoch: Epoch,
    until: watch::Receiver<Option<Instant>>,
    give_back: Option<oneshot::Sender<Returned>>,
}

/// Where to tell how the giving back went.
type Returned = oneshot::Sender<Result<(), LeaseFault>>;

impl Lease {
    /// The name it was asked for with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which holder this is: higher than that of every holder before.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether it is held now, by the clock of this machine.
    pub fn is_held(&self) -> bool {
        self.remaining() > Duration::ZERO
    }

    /// For how long it is held if it is not renewed any more. Zero: it is lost, for good.
    pub fn remaining(&self) -> Duration {
        let until = *self.until.borrow();
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(self.env.now()))
    }

    /// Ends when the lease is lost: because somebody else has it, or because it could not be renewed in time. Cancel safe.
    pub async fn lost(&self) {
        let mut until = self.until.clone();
        loop {
            let Some(end) = *until.borrow_and_update() else { return };
            if self.env.now() >= end {
                return;
            }
            // A keeper that is gone changes nothing any more: then the time decides.
            match select(pin!(until.changed()), self.env.sleep_until(end)).await {
                Either::Left((Ok(()), _)) | Either::Right(_) => {}
                Either::Left((Err(_), sleep)) => sleep.await,
            }
        }
    }

    /// Gives it back, so that others need not wait for the end of its term. A drop does so too, and does not wait.
    ///
    /// # Errors
    ///
    /// What the store says; others then get it a term later. It is not held any more in any case.
    pub async fn release(mut self) -> Result<(), LeaseFault> {
        let gone = || LeaseFault::Unavailable(Arc::from("nobody keeps the lease any more, its time is over"));
        let (tell, told) = oneshot::channel();
        let asked = self.give_back.take().is_some_and(|give_back| give_back.send(tell).is_ok());
        if !asked {
            return Err(gone());
        }
        told.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("name", &self.name)
            .field("epoch", &self.epoch)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// One who asks the store what his candidate wants.
struct Keeper {
    env: Env,
    store: Arc<dyn LeaseStore>,
    name: String,
    candidate: Candidate,
    /// What the store last failed with.
    fault: Option<LeaseFault>,
}

impl Keeper {
    /// Does the next thing, or says until when there is nothing to do.
    async fn step(&mut self) -> Option<Instant> {
        match self.candidate.next(self.env.now()) {
            Order::Wait(at) => return Some(at),
            Order::Read => {
                let question = self.store.read(&self.name);
                let answer = self.in_time(question).await;
                let now = self.env.now();
                match answer {
                    Ok(record) => {
                        self.candidate.read(record, now);
                        self.fault = None;
                    }
                    Err(fault) => {
                        self.candidate.failed(now);
                        self.fault = Some(fault);
                    }
                }
            }
            Order::Replace { expected, record } => {
                self.candidate.sends(&record, self.env.now());
                let question = self.store.replace(&self.name, expected, record);
                let answer = self.in_time(question).await;
                self.candidate.replaced(&answer, self.env.now());
                self.fault = answer.err().filter(|fault| !matches!(fault, LeaseFault::Conflict { .. }));
            }
        }
        None
    }

    /// The answer of the store, if it comes in time.
    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, LeaseFault>>) -> Result<T, LeaseFault> {
        let pace = self.candidate.pace();
        match select(pin!(answer), self.env.sleep(pace)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(LeaseFault::Unknown(format!("no answer within {pace:?}").into())),
        }
    }

    /// Renews it from now on.
    fn keep(self, epoch: Epoch, until: Instant) -> Lease {
        let (env, name) = (self.env.clone(), self.name.clone());
        let (tell, until) = watch::channel(Some(until));
        let (give_back, asked) = oneshot::channel();
        let label = format!("lease {name}");
        env.spawn(|| label, self.run(tell, asked));
        Lease { env, name, epoch, until, give_back: Some(give_back) }
    }

    async fn run(mut self, until: watch::Sender<Option<Instant>>, mut asked: oneshot::Receiver<Returned>) {
        loop {
            let held = self.candidate.held(self.env.now());
            until.send_replace(held.map(|(_, until)| until));
            let Some((_, end)) = held else {
                tracing::warn!(
                    lease = self.name,
                    fault = self.fault.as_ref().map(tracing::field::display),
                    "a lease was lost"
                );
                return;
            };
            let rest = self.step().await.map(|at| at.min(end));
            let asked = match rest {
                None => match asked.try_recv() {
                    Ok(returned) => Some(Some(returned)),
                    Err(oneshot::error::TryRecvError::Closed) => Some(None),
                    Err(oneshot::error::TryRecvError::Empty) => None,
                },
                Some(at) => match select(&mut asked, self.env.sleep_until(at)).await {
                    Either::Left((returned, _)) => Some(returned.ok()),
                    Either::Right(_) => None,
                },
            };
            if let Some(returned) = asked {
                until.send_replace(None);
                let result = self.give_back().await;
                if let Some(returned) = returned {
                    // Who does not wait for it any more does not want to know.
                    let _ = returned.send(result);
                }
                return;
            }
        }
    }

    async fn give_back(&mut self) -> Result<(), LeaseFault> {
        let Some((expected, record)) = self.candidate.give_back() else { return Ok(()) };
        let question = self.store.replace(&self.name, Some(expected), record);
        self.in_time(question).await
    }
}

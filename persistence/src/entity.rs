//! How do pipeline, journal and mailbox become one actor?
//!
//! The driver: it takes a command, lets the user decide, applies the events, hands them to the journal, and holds back what is to leave
//! ([`flow`](crate::flow)). It never waits for the journal, but for room when too much is held back. When an append has failed, or at the start,
//! it recovers its state first ([`replay`]); commands wait in the mailbox meanwhile.
//!
//! # Invariants
//!
//! * `active` is `Some` only while its state is that of the journal and of everything on its way there.
//! * An effect is made whole before anything of it is submitted: encoded, applied, its replies made.
//! * A command that this actor gives up without handling it is answered `Unavailable`.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use omnitron_runtime::{Actor, Context, Failure, TraceContext, Unanswered, drop_unanswered};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use crate::active::{Active, Codec};
use crate::backend::WriteError;
use crate::cause::{Because, Cause};
use crate::effect::{Effect, Release};
use crate::error::{EffectError, Passing, panic_text};
use crate::event_sourced::{EventSourced, Scope};
use crate::flow::{Appending, Flow, Gate};
use crate::id::{PersistenceId, Sequence};
use crate::intake::{Delivery, Intake};
use crate::journal::Journal;
use crate::marks;
use crate::pipeline::{Limits, Verdict};
use crate::projection::chain;
use crate::recovery::RecoveryError;
use crate::replay::{self, Recovered, Trouble};
use crate::retention::{Retention, Snapshots};
use crate::timestamp::{Timestamp, millis};

/// The first and the longest wait between two attempts to reach the journal.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// What actors lie under that a system spawns.
const USER: &str = "/user/";

/// What an entity was spawned with.
pub(crate) struct Settings<E: EventSourced> {
    pub(crate) behaviour: Arc<E>,
    pub(crate) id: Option<String>,
    pub(crate) journal: Option<Journal>,
    pub(crate) snapshots: Option<(Snapshots, Codec<E::State>)>,
    pub(crate) limits: Limits,
    pub(crate) patience: Duration,
}

/// The actor around an [`EventSourced`] behaviour; made by [`Persistent`](crate::Persistent). `M` is the form in which commands reach it.
pub struct Entity<E: EventSourced, M = <E as EventSourced>::Command> {
    settings: Arc<Settings<E>>,
    form: PhantomData<fn(M)>,
    flow: Option<Arc<Flow>>,
    active: Option<Box<Active<E>>>,
    suspended: Option<Suspended>,
}

/// Since when the state cannot be recovered, and when to try again.
struct Suspended {
    since: Instant,
    retry_at: Instant,
    attempts: u32,
}

/// A command that is not handled yet.
struct Waiting<C>(Option<C>);

impl<C> Drop for Waiting<C> {
    fn drop(&mut self) {
        if let Some(command) = self.0.take() {
            drop_unanswered(command, Unanswered::Unavailable);
        }
    }
}

impl<E: EventSourced, M: Intake<E::Command>> Actor for Entity<E, M> {
    type Msg = M;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.attempt(ctx).await
    }

    async fn receive(&mut self, command: M, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let mut waiting = Waiting(Some(command));
        let mut admission = None;
        let admission = loop {
            let gate = self.flow.as_ref().map_or(Gate::Open, |flow| flow.gate());
            if let Gate::Broken(trouble) = &gate {
                self.give_up(trouble);
            }
            if self.active.as_ref().is_some_and(|active| active.journal.fenced().contains(active.slice)) {
                self.active = None;
            }
            match (&self.flow, &self.active) {
                (Some(flow), Some(active)) => {
                    if matches!(gate, Gate::Full) {
                        flow.room().await;
                    } else if let Some(now) = admission.take().or_else(|| active.journal.admission_now()) {
                        break now;
                    } else {
                        admission = Some(active.journal.admission().await);
                    }
                }
                _ => {
                    if !self.recover_or_wait(ctx).await? {
                        waiting.0.take().into_iter().for_each(|command| ctx.give_up(command));
                        return Ok(());
                    }
                }
            }
        };
        match waiting.0.take() {
            Some(command) => self.perform(command, admission, ctx),
            None => Ok(()),
        }
    }

    async fn stopped(&mut self, _: &mut Context<Self>) -> Result<(), Failure> {
        if let Some(flow) = &self.flow {
            flow.idle().await;
        }
        Ok(())
    }
}

impl<E: EventSourced, M: Intake<E::Command>> Entity<E, M> {
    pub(crate) fn new(settings: Arc<Settings<E>>) -> Self {
        Self { settings, form: PhantomData, flow: None, active: None, suspended: None }
    }

    /// The state, unless it has to be recovered.
    pub(crate) fn state(&self) -> Option<&E::State> {
        self.active.as_ref().map(|active| &active.state)
    }

    /// Gives up a state that the journal will not hold.
    fn give_up(&mut self, trouble: &WriteError) {
        if let Some(active) = self.active.take() {
            tracing::warn!(id = %active.scope.id, reason = %trouble, "an append failed: the state is recovered from the journal");
            active.journal.note_fault(trouble.fault());
        }
    }

    /// Recovers the state, or waits for the time to try again. `false`: commands are not to wait any longer.
    async fn recover_or_wait(&mut self, ctx: &mut Context<Self>) -> Result<bool, Failure> {
        if let Some(Suspended { since, retry_at, .. }) = self.suspended {
            let (now, end) = (ctx.now(), since + self.settings.patience);
            if now < retry_at {
                if now < end {
                    ctx.env().sleep_until(end.min(retry_at)).await;
                }
                return Ok(now < end);
            }
        }
        self.attempt(ctx).await?;
        Ok(true)
    }

    /// Tries to recover the state. Only what lasts is a failure.
    async fn attempt(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match self.recover(ctx).await {
            Ok(active) => {
                if self.suspended.take().is_some() {
                    tracing::info!(id = %active.scope.id, "the journal is available again");
                }
                self.active = Some(active);
                Ok(())
            }
            Err(Trouble::Lasting(error)) => Err(error.into()),
            Err(Trouble::Passing(reason)) => {
                let (now, random) = (ctx.now(), ctx.env().random_unit());
                let since = self.suspended.as_ref().map_or(now, |suspended| suspended.since);
                let attempts =
                    self.suspended.as_ref().map_or(1, |suspended| suspended.attempts.saturating_add(1));
                let wait = RETRY.0.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(RETRY.1);
                let wait = wait.mul_f64(0.8 + 0.4 * random);
                tracing::warn!(path = %ctx.path(), attempts, ?wait, %reason, "suspended: the state cannot be recovered now");
                self.suspended = Some(Suspended { since, retry_at: now + wait, attempts });
                Ok(())
            }
        }
    }

    async fn recover(&mut self, ctx: &mut Context<Self>) -> Result<Box<Active<E>>, Trouble> {
        let settings = &*self.settings;
        let text = settings.id.clone().unwrap_or_else(|| {
            let path = ctx.path().to_string();
            path.strip_prefix(USER).map(ToOwned::to_owned).unwrap_or(path)
        });
        let of_system = || ctx.system().extension::<Journal>().map(|journal| (*journal).clone());
        let journal = settings.journal.clone().or_else(of_system);
        let Some((journal, open)) = journal.as_ref().and_then(|journal| Some((journal, journal.get()?)))
        else {
            return Err(RecoveryError::NoJournal { id: text }.into());
        };
        let id = PersistenceId::new(&text).map_err(|reason| RecoveryError::IllegalId { text, reason })?;
        let slice = id.slice(open.backend.slices());
        if journal.fenced().contains(slice) {
            return Err(RecoveryError::Fenced { id }.into());
        }
        // First everything on its way has to have ended, also what an incarnation before this one submitted.
        let patience = ctx.env().sleep(settings.patience);
        match &self.flow {
            Some(flow) => {
                if let Either::Right(_) = select(std::pin::pin!(flow.idle()), patience).await {
                    return Err(Passing::Occupied.into());
                }
                flow.restart();
            }
            None => match select(std::pin::pin!(journal.place(&id)), patience).await {
                Either::Left((place, _)) => {
                    self.flow = Some(Arc::new(Flow::new(
                        (id.clone(), slice),
                        settings.limits,
                        (journal.releaser(), Arc::clone(journal.fenced())),
                        place,
                    )));
                }
                Either::Right(_) => return Err(Passing::Occupied.into()),
            },
        }
        let codec = settings.snapshots.as_ref().map(|(_, codec)| codec);
        let recovered = replay::recover::<E>(ctx.env(), journal, open, &id, slice, codec).await;
        let recovered = recovered.inspect_err(|trouble| journal.note_fault(trouble.fault()))?;
        let Recovered { state, marks, sequence, epoch, snapshot, replayed } = recovered;
        tracing::debug!(%id, sequence = sequence.get(), snapshot = snapshot.map(Sequence::get), replayed, "recovered");
        let retention =
            settings.snapshots.as_ref().filter(|_| !E::LAST_ONLY).map(|(options, _)| {
                Arc::new(Mutex::new(Retention::new(options.clone(), snapshot, replayed)))
            });
        let (myself, now) = (M::of_commands(ctx.myself()), Timestamp::default());
        let scope = Scope { id, myself, now, sequence, cause: None };
        let backend = Arc::clone(&open.backend);
        let journal = journal.clone();
        Ok(Box::new(Active {
            journal,
            backend,
            slice,
            epoch,
            state,
            marks,
            scope,
            verified: ctx.now(),
            retention,
            last_metadata: None,
        }))
    }

    /// Handles a command and carries out its effect. Nothing is awaited.
    fn perform(
        &mut self,
        command: M,
        admission: OwnedSemaphorePermit,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        // Whatever panics from here on takes the state along: it is recovered before the next command.
        let (Some(active), Some(flow)) = (self.active.take(), &self.flow) else { return Ok(()) };
        let (command, delivery) = command.open();
        let mut delivery = match admit(delivery, &active, flow) {
            Admitted::Handle(delivery) => delivery,
            Admitted::Answered => {
                self.active = Some(active);
                drop_unanswered(command, Unanswered::Unavailable);
                return Ok(());
            }
        };
        if delivery.is_none() {
            return self.carry_out(active, command, &mut delivery, admission, ctx);
        }
        // A post that fails is tried again, for ever if need be. That is not to use up restarts, and in the end to fail the gateway.
        let carry_out = || self.carry_out(active, command, &mut delivery, admission, ctx);
        let reason = match catch_unwind(AssertUnwindSafe(carry_out)) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => match failure.downcast_ref::<EffectError>() {
                Some(error) => chain(error),
                None => failure.to_string(),
            },
            Err(panic) => format!("its command panicked: {}", panic_text(&*panic)),
        };
        // Once it is on its way to the journal, it is no matter of the post any more.
        let Some(delivery) = delivery else { return Err(Failure::msg(reason)) };
        tracing::warn!(path = %ctx.path(), reason, "a post was not received");
        delivery.failed(reason);
        Ok(())
    }

    /// Handles a command of the state. A failure takes the state along, unless nothing was done.
    fn carry_out(
        &mut self,
        mut active: Box<Active<E>>,
        command: E::Command,
        delivery: &mut Option<Delivery>,
        admission: OwnedSemaphorePermit,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        let Some(flow) = &self.flow else { return Ok(()) };
        let wall = ctx.env().wall();
        active.scope.now = wall.into();
        active.scope.cause = Cause::current();
        let Effect { events, posts, steps, confirmed, snapshot, unstash, stash, stop, failure, cause } =
            self.settings.behaviour.handle(&active.state, command, &active.scope);
        if let Some(failure) = failure {
            self.active = Some(active);
            return Err(failure);
        }
        if let Some(command) = stash {
            // It is received when it is handled.
            put_aside(M::close(command, delivery.take()), ctx);
        }
        let received = delivery.as_ref().map(Delivery::origin);
        let (timestamp_ms, posted) = (millis(wall), posts.len());
        let cause = cause.or_else(|| active.scope.cause.take());
        let because = Because { cause, trace: TraceContext::current() };
        let append = active.prepare(&events, posts, received, timestamp_ms, &because)?;
        let mut releases = active.apply(&events, steps, because)?;
        active.keep_books(posted, received);
        releases.extend(delivery.take().map(acknowledge));
        let (count, bytes) = (append.events.len() as u64, append.size_bytes());
        if count > 0 || confirmed || active.is_to_verify(ctx.env()) {
            let append = Appending { answer: active.backend.append(append), admission };
            flow.submit(ctx.env(), append, bytes, releases);
        } else {
            for release in releases {
                flow.hold(release);
            }
        }
        if let Some((_, codec)) = &self.settings.snapshots {
            active.snapshot_if_due(codec, (count, bytes), snapshot, timestamp_ms, flow, ctx.env());
        }
        active.trim_if_due(count, flow, ctx.env());
        self.active = Some(active);
        if unstash {
            ctx.unstash_all();
        }
        if stop && M::EMPTIES {
            drop(ctx.myself().drain());
        } else if stop {
            ctx.stop();
        }
        Ok(())
    }
}

/// What becomes of a command.
enum Admitted {
    Handle(Option<Delivery>),
    /// It was posted, and is not to be handled, or not now.
    Answered,
}

/// Whether a command is to be handled, and what came with it. One that was received before is acknowledged when that is durable.
fn admit<E: EventSourced>(delivery: Option<Delivery>, active: &Active<E>, flow: &Flow) -> Admitted {
    let Some(delivery) = delivery else { return Admitted::Handle(None) };
    let origin = delivery.origin();
    match active.marks.judge(origin) {
        marks::Verdict::New => return Admitted::Handle(Some(delivery)),
        marks::Verdict::Known => flow.hold(acknowledge(delivery)),
        marks::Verdict::Early => delivery.early(origin.after),
    }
    Admitted::Answered
}

/// Acknowledges a delivery, when that it was received is durable. Else its drop says that it was not.
fn acknowledge(delivery: Delivery) -> Release {
    Box::new(move |verdict, _| {
        if verdict == Verdict::Durable {
            delivery.done();
        }
    })
}

/// Stashes a command, or answers it.
fn put_aside<E: EventSourced, M: Intake<E::Command>>(command: M, ctx: &mut Context<Entity<E, M>>) {
    if let Err(full) = ctx.stash(command) {
        tracing::warn!(path = %ctx.path(), capacity = full.capacity, "the stash is full: a command was refused");
        drop_unanswered(full.message, Unanswered::Unavailable);
    }
}

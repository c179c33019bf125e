//! Is the system well, and which part of it is not?
//!
//! Actors are asked. A *check* is a name, an actor, a question and a deadline; a report asks all of them at once, in the
//! ordinary way, as messages through their mailboxes. So an actor that is stuck, stopped or buried in work is found
//! unhealthy, whatever it believes of itself. Nothing is asked while nobody wants to know.
//!
//! # Invariants
//!
//! * A report ends within its limit (and a tick or two of 10 ms), whatever the checks do; one of them costs no other
//!   its time.
//! * A name belongs to one living actor at a time.
//! * The checks hold references, which hold the system: the end of the shutdown opens that circle.
//! * No code of a user runs under the lock, the destructors of the functions that make questions included.

mod report;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join, join_all, select};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::actor_ref::ActorRef;
use crate::cell::AnyCell;
use crate::error::{AskError, Refusal};
use crate::extension::contained;
use crate::failure::drop_quietly;
use crate::path::{ActorPath, NameError};
use crate::reply::ReplyTo;
use crate::system::{Core, Gate};

pub use report::{CheckReport, CheckResult, HealthReport, SystemState};

/// Asks the actor of a check, within a limit.
type Question = dyn Fn(Duration) -> Asked + Send + Sync;

/// An answer on its way.
type Asked = Pin<Box<dyn Future<Output = Result<CheckResult, AskError>> + Send>>;

/// One check.
#[derive(Clone)]
struct Check {
    actor: Arc<dyn AnyCell>,
    deadline: Duration,
    question: Arc<Question>,
}

/// The checks of a system; none is taken any more once it has ended.
pub(crate) struct Checks {
    by_name: Mutex<Option<BTreeMap<String, Check>>>,
}

impl Checks {
    pub(crate) fn new() -> Self {
        Self { by_name: Mutex::new(Some(BTreeMap::new())) }
    }

    /// The system has ended: lets go of all that is held.
    pub(crate) fn end(&self) {
        let all = self.by_name.lock().take();
        if let Err(failure) = drop_quietly(all) {
            tracing::warn!(%failure, "a health check panicked on drop");
        }
    }
}

/// Why a check was not registered. Nothing has changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// The name cannot be used. What is legal is the same as for actors.
    #[error("illegal name for a health check")]
    IllegalName(#[source] NameError),
    /// Another actor, which lives, has a check of this name.
    #[error("the health check {name:?} belongs to {actor}: choose another name, or remove that check first")]
    NameTaken {
        /// The name.
        name: String,
        /// The actor that has it.
        actor: ActorPath,
    },
    /// Nobody can answer in no time.
    #[error("the health check {name:?} has a deadline of zero: give it time to answer")]
    ZeroDeadline {
        /// The name.
        name: String,
    },
    /// The system has stopped.
    #[error("the system has stopped")]
    SystemStopped,
}

/// The health of a system, from [`ActorSystem::health`](crate::ActorSystem::health).
///
/// *Live* means that the system has not ended and that its runtime runs tasks; if it is not, the process is to be
/// restarted. *Ready* means that it has started, does not shut down and that no check is unhealthy; if it is not, it is
/// to get no work for now.
///
/// ```
/// # use omnitron_runtime::{Actor, CheckResult, Context, Failure, ReplyTo};
/// struct Database { lag_ms: u64 }
///
/// enum DatabaseMsg { Health(ReplyTo<CheckResult>) }
///
/// impl Actor for Database {
///     type Msg = DatabaseMsg;
///
///     async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
///         ctx.health("database", DatabaseMsg::Health)?;
///         Ok(())
///     }
///
///     async fn receive(&mut self, msg: DatabaseMsg, _ctx: &mut Context<Self>) -> Result<(), Failure> {
///         let DatabaseMsg::Health(reply) = msg;
///         reply.send(match self.lag_ms {
///             0..100 => CheckResult::Healthy,
///             lag => CheckResult::Degraded(format!("{lag} ms behind")),
///         });
///         Ok(())
///     }
/// }
/// # use omnitron_runtime::{ActorSystem, testkit::Sim};
/// # let sim = Sim::new(1);
/// # sim.block_on(async {
/// # let system = ActorSystem::builder("shop").env(sim.env()).start().await.unwrap();
/// # system.spawn("db", || Database { lag_ms: 250 }).unwrap();
/// # sim.env().sleep(std::time::Duration::from_secs(1)).await;
///
/// let report = system.health().report(std::time::Duration::from_secs(2)).await;
/// assert!(report.is_ready());
/// println!("{}", report.to_json());
/// # assert_eq!(report.check("database").unwrap().result.reason(), Some("250 ms behind"));
/// # });
/// ```
#[derive(Clone)]
pub struct Health {
    core: Arc<Core>,
}

impl Health {
    /// The time an actor has to answer if its check was registered without one: [`Context::health`](crate::Context::health).
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(1);

    pub(crate) fn of(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Registers a check: whenever somebody wants a report, `actor` is sent the message that `make` builds around the
    /// [`ReplyTo`], and has so long to answer, counted with its time in the mailbox and rounded up to a tick of 10 ms.
    ///
    /// The same actor may register a name again, as it does in `started` after a restart: the new check replaces the old
    /// one. A check whose actor has ended stays, and is unhealthy, until it is [removed](Self::remove) or another actor
    /// registers the name.
    ///
    /// # Errors
    ///
    /// [`HealthError`] says what is wrong with the name or the deadline, who has the name, or that the system has stopped.
    pub fn check<M: Send + 'static>(
        &self,
        name: &str,
        actor: &ActorRef<M>,
        make: impl Fn(ReplyTo<CheckResult>) -> M + Send + Sync + 'static,
        deadline: Duration,
    ) -> Result<(), HealthError> {
        ActorPath::root().child(name).map_err(HealthError::IllegalName)?;
        if deadline.is_zero() {
            return Err(HealthError::ZeroDeadline { name: name.to_owned() });
        }
        let (to, make) = (actor.clone(), Arc::new(make));
        let question = move |limit| -> Asked {
            let make = make.clone();
            Box::pin(to.ask(move |reply| make(reply)).within(limit))
        };
        let check = Check { actor: actor.cell.clone(), deadline, question: Arc::new(question) };
        // Dropped after the lock, and so is `check` when it is refused.
        let _replaced = {
            let mut by_name = self.core.health.by_name.lock();
            let Some(by_name) = &mut *by_name else { return Err(HealthError::SystemStopped) };
            if let Some(held) = by_name.get(name)
                && held.actor.head().id != check.actor.head().id
                && !held.has_ended()
            {
                let actor = held.actor.head().path.clone();
                return Err(HealthError::NameTaken { name: name.to_owned(), actor });
            }
            by_name.insert(name.to_owned(), check)
        };
        Ok(())
    }

    /// Removes the check of this name. Says whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        let removed = self.core.health.by_name.lock().as_mut().and_then(|checks| checks.remove(name));
        removed.is_some()
    }

    /// Asks all actors with checks at once, and reports when the last has answered or its time is over: after `within`
    /// at the latest, up to two ticks of 10 ms later. Each has the smaller of that and its own deadline.
    ///
    /// Inside a handler, the check of that handler's own actor fails at once: it could not answer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is left behind but questions that nobody waits for.
    pub async fn report(&self, within: Duration) -> HealthReport {
        let checks = self.core.health.by_name.lock().clone().unwrap_or_default();
        let outcomes = checks.into_iter().map(|(name, check)| self.outcome(name, check, within));
        let (live, checks) = join(self.is_live(within), join_all(outcomes)).await;
        HealthReport { system: self.core.name.clone(), state: self.state(), live, checks }
    }

    /// Whether the system has not ended and its runtime runs a task within so long a time. Asks no actor.
    ///
    /// A runtime all of whose threads are blocked cannot say so: then this does not return either.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn is_live(&self, within: Duration) -> bool {
        if self.core.closed_to() == Gate::Stopped {
            return false;
        }
        let (sign, seen) = oneshot::channel();
        self.core.env.spawn(|| "sign of life".to_owned(), async move {
            let _ = sign.send(()); // who asked may have gone
        });
        let late = pin!(self.core.env.sleep(within));
        match select(seen, late).await {
            Either::Left((seen, _)) => seen.is_ok(),
            Either::Right(_) => false,
        }
    }

    /// How far the life of the system has come.
    pub fn state(&self) -> SystemState {
        match self.core.closed_to() {
            Gate::Open if self.core.guardian().is_none() => SystemState::Starting,
            Gate::Open => SystemState::Running,
            Gate::Closing | Gate::Stopping => SystemState::ShuttingDown,
            Gate::Stopped => SystemState::Stopped,
        }
    }

    async fn outcome(&self, name: String, check: Check, within: Duration) -> CheckReport {
        let env = &self.core.env;
        let start = env.now();
        let result = if check.has_ended() {
            CheckResult::Unhealthy("the actor has ended".to_owned())
        } else {
            let limit = check.deadline.min(within);
            // The question is made when it is first polled, by a function of the user.
            match contained(async { (check.question)(limit).await }).await {
                Ok(Ok(result)) => result,
                Ok(Err(error)) => CheckResult::Unhealthy(no_answer(&error)),
                Err(failure) => CheckResult::Unhealthy(format!("the question could not be made: {failure}")),
            }
        };
        let took = env.now().saturating_duration_since(start);
        CheckReport { name, actor: check.actor.head().path.clone(), result, took }
    }
}

impl Check {
    fn has_ended(&self) -> bool {
        self.actor.head().watchers.has_ended()
    }
}

/// Why an actor did not say how it is.
fn no_answer(error: &AskError) -> String {
    match error {
        AskError::TimedOut { after } => format!("no answer within {after:?}"),
        AskError::Expired { after } => {
            format!("no answer within {after:?}: the question is still in the mailbox")
        }
        AskError::Refused(Refusal::Stopped) => "the actor has ended".to_owned(),
        AskError::Refused(refusal) => refusal.to_string(),
        other => other.to_string(),
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .core
            .health
            .by_name
            .lock()
            .iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>();
        f.debug_struct("Health").field("state", &self.state()).field("checks", &names).finish()
    }
}

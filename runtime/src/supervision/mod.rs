//! What happens when an actor fails?
//!
//! Its own task asks the *decider* that was chosen for it at spawn, at once and without waiting for the parent, which
//! may be busy; so a parent that awaits a reply from a failed child does not hold up that child's recovery. What
//! concerns siblings goes through the parent's [`group`](strategy), what nobody below can decide goes up to it.
//!
//! What each [`Directive`] means, and when, is in its documentation.

pub(crate) mod backoff;
pub(crate) mod budget;
pub(crate) mod strategy;

use std::error::Error;
use std::fmt;
use std::time::Duration;

pub use self::backoff::Backoff;
use self::budget::RestartBudget;
pub(crate) use self::strategy::Scope;
use crate::error::SpawnError;
use crate::failure::Failure;

/// What is done with an actor that failed.
///
/// | directive | starting, restarting | running | stopping |
/// |---|---|---|---|
/// | `Resume` | runs on with the state it has; without one (the factory failed) it restarts | skips the message, keeps the state | the decider is not asked: |
/// | `Restart` | a fresh actor from the factory | a fresh actor from the factory | the failure is reported, |
/// | `Stop` | stops | stops | and the stop goes on |
/// | `Escalate` | the parent fails with this failure | the parent fails with this failure | |
///
/// A decider that panics escalates. A restart counts against the [budget](Supervision::limit); when that is spent the
/// failure escalates, or the actor stops, as [`when_spent`](Supervision::when_spent) says. What escalates past the last
/// parent stops the system, with the failure as its cause. A parent that resumes what a child escalated lets the child
/// resume as well; one that restarts stops the child, or restarts it where children are
/// [kept](Supervision::keep_children).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Directive {
    /// Go on with the next message and the state as it is.
    Resume,
    /// Start afresh: `pre_restart` on the failed actor, then a new one from the factory. The mailbox is kept.
    Restart,
    /// Stop, orderly.
    Stop,
    /// Let the parent fail with this failure, and wait for what is decided there.
    Escalate,
}

/// What happens when an actor has used up its restarts.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum WhenSpent {
    /// The parent fails with the failure, as in OTP. Default.
    #[default]
    Escalate,
    /// The actor stops.
    Stop,
}

/// The decider of an actor.
type Decider = Box<dyn FnMut(&Failure) -> Directive + Send>;

/// How an actor is supervised. Default: [`restart`](Self::restart), up to 10 times in 60 s, at once, alone, and
/// escalate after that.
#[must_use = "supervision changes nothing until an actor is spawned with it"]
pub struct Supervision {
    default: Directive,
    decider: Option<Decider>,
    limit: Option<(usize, Duration)>,
    when_spent: WhenSpent,
    backoff: Backoff,
    scope: Scope,
    keep_children: bool,
}

impl Supervision {
    /// Restarts that are allowed within [`DEFAULT_WINDOW`](Self::DEFAULT_WINDOW): enough for a bad minute, few enough
    /// that an actor which fails on every message is noticed.
    pub const DEFAULT_LIMIT: usize = 10;
    /// The span in which [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT) counts.
    pub const DEFAULT_WINDOW: Duration = Duration::from_mins(1);

    /// Restart on every failure. The default.
    ///
    /// But an actor that fails because it may not [spawn any deeper](crate::SpawnError::TooDeep) stops: no restart can
    /// help it, and those of its parents, each of which would try the whole recursion again, would never end.
    pub const fn restart() -> Self {
        Self::always(Directive::Restart)
    }

    /// Resume after every failure.
    pub const fn resume() -> Self {
        Self::always(Directive::Resume)
    }

    /// Stop on the first failure.
    pub const fn stop() -> Self {
        Self::always(Directive::Stop)
    }

    /// Let the parent decide: it fails in turn.
    pub const fn escalate() -> Self {
        Self::always(Directive::Escalate)
    }

    const fn always(default: Directive) -> Self {
        Self {
            default,
            decider: None,
            limit: Some((Self::DEFAULT_LIMIT, Self::DEFAULT_WINDOW)),
            when_spent: WhenSpent::Escalate,
            backoff: Backoff::none(),
            scope: Scope::One,
            keep_children: false,
        }
    }

    /// Allows `restarts` within any span of `window`. Default: 10 in 60 s. With 0, the first restart is refused.
    pub const fn limit(mut self, restarts: usize, window: Duration) -> Self {
        self.limit = Some((restarts, window));
        self
    }

    /// Restarts as often as it takes. Give it a [`backoff`](Self::backoff), or an actor that can never start will
    /// keep a core busy.
    pub const fn unlimited(mut self) -> Self {
        self.limit = None;
        self
    }

    /// What happens when the restarts are used up. Default: [`WhenSpent::Escalate`].
    pub const fn when_spent(mut self, then: WhenSpent) -> Self {
        self.when_spent = then;
        self
    }

    /// Waits before each restart, the longer the more restarts lie within the window. Messages wait meanwhile.
    /// Default: [`Backoff::none`].
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// A restart or stop of this actor takes all its siblings with it. On restart all of them halt first, the latest
    /// started first to be told, then they start one after the other in the order in which they were spawned.
    pub const fn all_for_one(mut self) -> Self {
        self.scope = Scope::All;
        self
    }

    /// Like [`all_for_one`](Self::all_for_one), for those siblings that were spawned after this actor.
    pub const fn rest_for_one(mut self) -> Self {
        self.scope = Scope::Rest;
        self
    }

    /// A restart keeps this actor's children running; the fresh actor finds them with
    /// [`Context::child`](crate::Context::child). Default: they are stopped before the restart, because `started`
    /// will spawn them again.
    pub const fn keep_children(mut self) -> Self {
        self.keep_children = true;
        self
    }

    /// Chooses the directive by the failure. Called once per failure, by the task of the failed actor. A panic in it
    /// escalates the failure it was asked about.
    pub fn decide(mut self, decider: impl FnMut(&Failure) -> Directive + Send + 'static) -> Self {
        self.decider = Some(Box::new(decider));
        self
    }

    pub(crate) fn directive(&mut self, failure: &Failure) -> Directive {
        match &mut self.decider {
            Some(decider) => decider(failure),
            None if self.default == Directive::Restart && is_too_deep(failure) => Directive::Stop,
            None => self.default,
        }
    }

    pub(crate) fn budget(&self) -> RestartBudget {
        match self.limit {
            Some((restarts, window)) => RestartBudget::new(restarts, window),
            None => RestartBudget::unlimited(Self::DEFAULT_WINDOW),
        }
    }

    pub(crate) const fn spent(&self) -> Directive {
        match self.when_spent {
            WhenSpent::Escalate => Directive::Escalate,
            WhenSpent::Stop => Directive::Stop,
        }
    }

    pub(crate) const fn delays(&self) -> &Backoff {
        &self.backoff
    }

    pub(crate) const fn scope(&self) -> Scope {
        self.scope
    }

    pub(crate) const fn keeps_children(&self) -> bool {
        self.keep_children
    }
}

/// Whether the failure, or what caused it, is that no actor may be spawned any deeper.
fn is_too_deep(failure: &Failure) -> bool {
    let mut error: Option<&dyn Error> = match failure.error() {
        Some(error) => Some(error),
        None => None,
    };
    while let Some(cause) = error {
        if let Some(SpawnError::TooDeep { .. }) = cause.downcast_ref() {
            return true;
        }
        error = cause.source();
    }
    false
}

impl Default for Supervision {
    fn default() -> Self {
        Self::restart()
    }
}

impl fmt::Debug for Supervision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervision")
            .field("default", &self.default)
            .field("decider", &self.decider.is_some())
            .field("limit", &self.limit)
            .field("when_spent", &self.when_spent)
            .field("backoff", &self.backoff)
            .field("scope", &self.scope)
            .field("keep_children", &self.keep_children)
            .finish()
    }
}

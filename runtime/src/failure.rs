//! What is a failure, and what is told of it?
//!
//! A [`Failure`] is what a handler returns, or what its panic is turned into: the error itself, for the decider. A
//! [`Crash`] is the report of one: which actor, doing what, why, where, for the how-manieth time; it can be copied,
//! kept and shown.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Once};
use std::time::Duration;

use crate::path::ActorPath;

/// Why a hook of an actor failed. Made by `?` from any error that is `Send + 'static`.
///
/// Not an [`Error`] itself (that would forbid the conversion); [`error`](Self::error) gives the one inside.
pub struct Failure {
    kind: Kind,
}

enum Kind {
    Error(Box<dyn Error + Send>),
    Panic(Panic),
    OverLimit { limit: Duration },
    Escalated { from: ActorPath, cause: Box<Failure> },
}

struct Panic {
    text: String,
    place: Option<String>,
}

/// A failure that is only text.
#[derive(Debug)]
struct Text(String);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Text {}

impl<E: Error + Send + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { kind: Kind::Error(Box::new(error)) }
    }
}

impl Failure {
    /// A failure that is only text.
    pub fn msg(text: impl Into<String>) -> Self {
        Self::from(Text(text.into()))
    }

    /// The error that was returned, if it is an `E`. An escalated failure gives the error of its origin.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.error().and_then(|error| error.downcast_ref::<E>())
    }

    /// The error that was returned; `None` for panics and exceeded limits.
    pub fn error(&self) -> Option<&(dyn Error + Send + 'static)> {
        match &self.origin().kind {
            Kind::Error(error) => Some(&**error),
            _ => None,
        }
    }

    /// Whether it was a panic.
    pub fn is_panic(&self) -> bool {
        matches!(self.origin().kind, Kind::Panic(_))
    }

    /// Whether a handler exceeded its [limit](crate::Spawn::handler_limit).
    pub fn is_over_limit(&self) -> bool {
        matches!(self.origin().kind, Kind::OverLimit { .. })
    }

    /// The child that escalated this failure, if one did.
    pub fn escalated_from(&self) -> Option<&ActorPath> {
        match &self.kind {
            Kind::Escalated { from, .. } => Some(from),
            _ => None,
        }
    }

    pub(crate) fn over_limit(limit: Duration) -> Self {
        Self { kind: Kind::OverLimit { limit } }
    }

    pub(crate) fn escalated(from: ActorPath, cause: Self) -> Self {
        Self { kind: Kind::Escalated { from, cause: Box::new(cause) } }
    }

    /// What a panic that was caught says.
    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        let text = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => (*text).to_owned(),
                Err(payload) => {
                    // The payload may be anything, and its drop may panic in turn.
                    let _ = drop_quietly(payload);
                    "a panic without text".to_owned()
                }
            },
        };
        Self { kind: Kind::Panic(Panic { text, place: LAST_PLACE.with(RefCell::take) }) }
    }

    /// Where it panicked, as `file:line:column`. `None` for errors, and where another panic hook replaced ours.
    pub fn place(&self) -> Option<&str> {
        match &self.origin().kind {
            Kind::Panic(panic) => panic.place.as_deref(),
            _ => None,
        }
    }

    fn origin(&self) -> &Self {
        match &self.kind {
            Kind::Escalated { cause, .. } => cause.origin(),
            _ => self,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Error(error) => {
                write!(f, "{error}")?;
                let mut source = error.source();
                while let Some(cause) = source {
                    write!(f, ": {cause}")?;
                    source = cause.source();
                }
                Ok(())
            }
            Kind::Panic(panic) => write!(f, "panicked: {}", panic.text),
            Kind::OverLimit { limit } => write!(f, "not done within its limit of {limit:?}, and cancelled"),
            Kind::Escalated { from, cause } => write!(f, "escalated by {from}: {cause}"),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({self})")
    }
}

/// What an actor was doing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum During {
    /// Its factory, or its `started`.
    Starting,
    /// `receive`, with a message of this type.
    Running {
        /// The type of the message.
        message_type: &'static str,
    },
    /// `signal`.
    Signal,
    /// A timer that made a message.
    Timer,
    /// `pre_restart`, its factory for a fresh start, or `post_restart`.
    Restarting,
    /// `stopped`, or the drop of its state.
    Stopping,
    /// A future piped to it.
    Piped,
    /// A child failed and escalated.
    Supervising,
}

impl fmt::Display for During {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("while starting"),
            Self::Running { message_type } => write!(f, "while handling {message_type}"),
            Self::Signal => f.write_str("while handling a signal"),
            Self::Timer => f.write_str("while making the message of a timer"),
            Self::Restarting => f.write_str("while restarting"),
            Self::Stopping => f.write_str("while stopping"),
            Self::Piped => f.write_str("in a future piped to it"),
            Self::Supervising => f.write_str("in a child"),
        }
    }
}

/// The report of a failure. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Crash {
    shared: Arc<Report>,
}

#[derive(Debug)]
struct Report {
    path: ActorPath,
    during: During,
    reason: String,
    place: Option<String>,
    panic: bool,
    attempt: u64,
}

impl Crash {
    pub(crate) fn new(path: ActorPath, during: During, failure: &Failure, attempt: u64) -> Self {
        let place = failure.place().map(ToOwned::to_owned);
        let report =
            Report { path, during, reason: failure.to_string(), place, panic: failure.is_panic(), attempt };
        Self { shared: Arc::new(report) }
    }

    /// The actor that failed.
    pub fn path(&self) -> &ActorPath {
        &self.shared.path
    }

    /// What it was doing.
    pub fn during(&self) -> During {
        self.shared.during
    }

    /// What it said, with its causes.
    pub fn reason(&self) -> &str {
        &self.shared.reason
    }

    /// Where it panicked, as `file:line:column`. `None` for errors, and where another panic hook replaced ours.
    pub fn place(&self) -> Option<&str> {
        self.shared.place.as_deref()
    }

    /// Whether it was a panic.
    pub fn is_panic(&self) -> bool {
        self.shared.panic
    }

    /// How many times this actor has failed, this time included.
    pub fn attempt(&self) -> u64 {
        self.shared.attempt
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { path, during, reason, place, .. } = &*self.shared;
        write!(f, "{path} failed {during}: {reason}")?;
        match place {
            Some(place) => write!(f, " (at {place})"),
            None => Ok(()),
        }
    }
}

thread_local! {
    static LAST_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes the panics of actors known with their place, and keeps them off stderr: supervision reports them. Panics
/// elsewhere go to the hook that was there before.
pub(crate) fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if crate::chain::current_actor().is_none() {
                previous(info);
                return;
            }
            let place = info.location().map(ToString::to_string);
            // `try_with`: a thread that is ending may panic as well.
            let _ = LAST_PLACE.try_with(|last| *last.borrow_mut() = place);
        }));
    });
}

/// Drops what belongs to a user, and survives a panic in it. Says whether it panicked.
pub(crate) fn drop_quietly<T>(value: T) -> Result<(), Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(value))).map_err(Failure::panicked)
}

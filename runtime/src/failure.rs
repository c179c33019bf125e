//! What is a failure, and what is told of it?
//!
//! A [`Failure`] is what a handler returns, or what its panic is turned into: the error itself, for the decider. A
//! [`Crash`] is the report of one: which actor, doing what, why, where, for the how-manieth time; it can be copied,
//! kept and shown.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::Poll;
use std::time::Duration;

use crate::path::ActorPath;

/// Why a hook of an actor failed. Made by `?` from any error that is `Send + 'static`.
///
/// Not an [`Error`] itself (that would forbid the conversion); [`error`](Self::error) gives the one inside.
pub struct Failure {
    /// Behind a pointer: every handler returns a result with room for a failure.
    kind: Box<Kind>,
}

enum Kind {
    Error(Inside),
    Panic(Panic),
    OverLimit { limit: Duration },
    Escalated { crash: Crash, cause: Failure },
}

/// An error of the user's. Its drop is survived; it is only ever missing while that runs.
struct Inside(Option<Box<dyn Error + Send>>);

impl Drop for Inside {
    fn drop(&mut self) {
        // While the thread panics already, a second panic aborts in any case.
        let _ = drop_quietly(self.0.take());
    }
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
        Self::of(Kind::Error(Inside(Some(Box::new(error)))))
    }
}

impl Failure {
    fn of(kind: Kind) -> Self {
        Self { kind: Box::new(kind) }
    }

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
        match &*self.origin().kind {
            Kind::Error(error) => error.0.as_deref(),
            _ => None,
        }
    }

    /// Whether it was a panic.
    pub fn is_panic(&self) -> bool {
        matches!(*self.origin().kind, Kind::Panic(_))
    }

    /// Whether a handler exceeded its [limit](crate::Spawn::handler_limit).
    pub fn is_over_limit(&self) -> bool {
        matches!(*self.origin().kind, Kind::OverLimit { .. })
    }

    /// The child that escalated this failure, if one did.
    pub fn escalated_from(&self) -> Option<&ActorPath> {
        match &*self.kind {
            Kind::Escalated { crash, .. } => Some(crash.path()),
            _ => None,
        }
    }

    pub(crate) fn over_limit(limit: Duration) -> Self {
        Self::of(Kind::OverLimit { limit })
    }

    /// What a child escalated, with the report of it.
    pub(crate) fn escalated(crash: Crash, cause: Self) -> Self {
        Self::of(Kind::Escalated { crash, cause })
    }

    /// What a panic that was caught says.
    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        // First: the drop of the payload may panic, and leave its own place behind.
        let place = LAST_PLACE.with(RefCell::take);
        let text = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => (*text).to_owned(),
                Err(payload) => {
                    // The payload may be anything, and its drop may panic with another of its kind, without end: the
                    // second one is leaked.
                    let _ = catch_raw(|| drop(payload)).map_err(std::mem::forget);
                    "a panic without text".to_owned()
                }
            },
        };
        Self::of(Kind::Panic(Panic { text, place }))
    }

    /// Where it panicked, as `file:line:column`. `None` for errors, and where another panic hook replaced ours.
    pub fn place(&self) -> Option<&str> {
        match &*self.origin().kind {
            Kind::Panic(panic) => panic.place.as_deref(),
            _ => None,
        }
    }

    fn origin(&self) -> &Self {
        match &*self.kind {
            Kind::Escalated { cause, .. } => cause.origin(),
            _ => self,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.kind {
            Kind::Error(Inside(None)) => f.write_str("an error that is gone"),
            Kind::Error(Inside(Some(error))) => {
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
            Kind::Escalated { crash, .. } => write!(f, "{}", crash.origin()),
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
    /// A stream that feeds it, or the function that makes its messages of the items of a stream or of events.
    Fed,
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
            Self::Fed => f.write_str("in what feeds it"),
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
    /// What a child escalated, where that is what happened.
    origin: Option<Crash>,
}

impl Crash {
    pub(crate) fn new(path: ActorPath, during: During, failure: &Failure, attempt: u64) -> Self {
        let place = failure.place().map(ToOwned::to_owned);
        let reason = catch(|| failure.to_string())
            .unwrap_or_else(|panic| format!("an error that cannot be shown: its display {panic}"));
        let origin = match &*failure.kind {
            Kind::Escalated { crash, .. } => Some(crash.origin().clone()),
            _ => None,
        };
        let report = Report { path, during, reason, place, panic: failure.is_panic(), attempt, origin };
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

    /// Where it began: the failure of a child, or of a child's child, that was escalated up to here; or this one.
    pub fn origin(&self) -> &Self {
        self.shared.origin.as_ref().unwrap_or(self)
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
        let Report { path, during, reason, place, origin, .. } = &*self.shared;
        write!(f, "{path} failed {during}: {reason}")?;
        match place {
            Some(place) if origin.is_none() => write!(f, " (at {place})"),
            // The reason is the report of the origin, which ends with the place.
            _ => Ok(()),
        }
    }
}

thread_local! {
    static LAST_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether a panic here is caught by [`catch`].
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Makes the panics of actors known with their place. Where `tracing` listens, supervision reports them there, and
/// they stay off stderr; panics that nobody would hear of, and those elsewhere, go to the hook that was there before.
pub(crate) fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let caught = CATCHING.try_with(Cell::get).unwrap_or(false);
            let ours = caught || crate::chain::current_actor().is_some();
            if !ours || !tracing::enabled!(tracing::Level::WARN) {
                previous(info);
            }
            if !ours {
                return;
            }
            let place = info.location().map(ToString::to_string);
            // `try_with`: a thread that is ending may panic as well.
            let _ = LAST_PLACE.try_with(|last| *last.borrow_mut() = place);
        }));
    });
}

/// Calls what belongs to a user, and survives a panic in it, also where no handler of an actor runs.
pub(crate) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_raw(call).map_err(Failure::panicked)
}

/// Polls what belongs to a user, and survives a panic in it. It must not be polled again after one.
pub(crate) async fn catch_future<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Failure> {
    poll_fn(|cx| match catch(|| future.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(failure) => Poll::Ready(Err(failure)),
    })
    .await
}

fn catch_raw<T>(call: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    let outer = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    CATCHING.set(outer);
    result
}

/// Drops what belongs to a user, and survives a panic in it. Says whether it panicked.
pub(crate) fn drop_quietly<T>(value: T) -> Result<(), Failure> {
    catch(|| drop(value))
}

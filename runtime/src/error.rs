//! What can go wrong between actors, one type per operation.
//!
//! Every variant says whether the target acted, because that decides whether trying again is safe. A message that
//! was not delivered comes back inside the error. `Display` speaks for its own level; the cause is in `source`.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use crate::path::{ActorPath, NameError, PathError};

/// A message no mailbox took, given back unread, and why.
#[derive(thiserror::Error)]
#[error("message was not delivered")]
pub struct Undelivered<M> {
    /// The message, exactly as it was sent.
    pub message: M,
    /// Why it was refused.
    #[source]
    pub reason: Refusal,
}

impl<M> fmt::Debug for Undelivered<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// Why a mailbox refused a message. In every case the actor did **not** see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The mailbox holds `capacity` messages, or others already wait for its room. Trying again later may succeed.
    #[error("mailbox is full ({capacity} messages)")]
    Full {
        /// The most messages this mailbox holds.
        capacity: usize,
    },
    /// The mailbox was full, and its policy is to drop what comes last. The message was dropped.
    #[error("mailbox is full ({capacity} messages) and drops what comes last")]
    Overflowed {
        /// The most messages this mailbox holds.
        capacity: usize,
    },
    /// The actor has stopped or is stopping. Trying again through this reference never succeeds.
    #[error("actor has stopped")]
    Stopped,
    /// The system is shutting down and takes nothing new from outside its actors.
    #[error("the system is shutting down")]
    ShuttingDown,
    /// The whole system has stopped. Trying again never succeeds.
    #[error("the system has stopped")]
    SystemStopped,
    /// A handler waited `after` for room in a full mailbox. A handler never waits for ever: its own actor serves
    /// nobody meanwhile. Trying again later may succeed.
    #[error("no room in the mailbox within {after:?}")]
    TimedOut {
        /// How long the handler waited.
        after: Duration,
    },
    /// A handler would have waited for room in the full mailbox of its own actor, which only it can empty.
    /// Use `tell`, `stash` or a larger mailbox (`capacity` messages now).
    #[error("a handler cannot wait for room in its own full mailbox ({capacity} messages)")]
    ToSelf {
        /// The most messages this mailbox holds.
        capacity: usize,
    },
}

/// Whether the target of a failed ask acted on the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acted {
    /// It did not, and never will: asking again is safe.
    No,
    /// It may have acted, or may still act: ask again only what may happen twice.
    Maybe,
    /// It did, and said so.
    Yes,
}

/// Why an ask brought no reply. [`acted`](Self::acted) says for every variant whether the target acted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError<E = Infallible> {
    /// The mailbox refused the message. The actor did **not** act.
    #[error("the question was not delivered")]
    Refused(#[source] Refusal),
    /// The message was in the mailbox when the actor stopped, or when the mailbox dropped it to make room.
    /// The actor did **not** act.
    #[error("the question was dropped before the actor came to it")]
    Unhandled,
    /// The deadline passed while the message was still queued; the actor skips it. It did **not** act.
    #[error("not handled within {after:?}: still in the mailbox")]
    Expired {
        /// How long the caller waited.
        after: Duration,
    },
    /// No reply came within `after`, though the actor had begun, or the tokio runtime that kept the time is gone. It
    /// **may** have acted, or may still act.
    #[error("no reply within {after:?}")]
    TimedOut {
        /// How long the caller waited.
        after: Duration,
    },
    /// The handler dropped the reply unanswered, by its own choice, by an error or by being cancelled. It **may**
    /// have acted.
    #[error("the reply was dropped unanswered")]
    Abandoned,
    /// The handler panicked while it held the reply. It **may** have acted.
    #[error("the handler panicked before it replied")]
    Crashed,
    /// What the actor needs, such as the journal that keeps its state, is not available now. It did **not** act, and never
    /// will: asking again later is safe.
    #[error("the actor has no journal to write to now, or whatever else it needs: ask again later")]
    Unavailable,
    /// The actor acted, and nobody knows yet whether that will last: the journal could not tell. It **may** be durable.
    #[error("the journal could not tell whether what the actor did is durable: it may be")]
    Unconfirmed,
    /// The target waits, directly or through others, for the very handler that asks: no reply could ever come.
    /// It did **not** act.
    #[error("a cycle of asks: {}", Names(chain))]
    Cycle {
        /// Who waits for whom: each asks the next, and the last is in the list already.
        chain: Vec<ActorPath>,
    },
    /// The handler ran and answered with its own error.
    #[error("the actor answered with an error")]
    Failed(#[source] E),
}

impl<E> AskError<E> {
    /// Whether the target acted on the message.
    pub const fn acted(&self) -> Acted {
        match self {
            Self::Refused(_)
            | Self::Unhandled
            | Self::Expired { .. }
            | Self::Unavailable
            | Self::Cycle { .. } => Acted::No,
            Self::TimedOut { .. } | Self::Abandoned | Self::Crashed | Self::Unconfirmed => Acted::Maybe,
            Self::Failed(_) => Acted::Yes,
        }
    }
}

impl AskError {
    /// The same error where a reply may be an error as well.
    pub(crate) fn widen<E>(self) -> AskError<E> {
        match self {
            Self::Refused(reason) => AskError::Refused(reason),
            Self::Unhandled => AskError::Unhandled,
            Self::Expired { after } => AskError::Expired { after },
            Self::TimedOut { after } => AskError::TimedOut { after },
            Self::Abandoned => AskError::Abandoned,
            Self::Crashed => AskError::Crashed,
            Self::Unavailable => AskError::Unavailable,
            Self::Unconfirmed => AskError::Unconfirmed,
            Self::Cycle { chain } => AskError::Cycle { chain },
            Self::Failed(never) => match never {},
        }
    }
}

/// Paths joined by arrows.
struct Names<'a>(&'a [ActorPath]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let arrow = if index == 0 { "" } else { " → " };
            write!(f, "{arrow}{path}")?;
        }
        Ok(())
    }
}

/// Why an actor was not spawned. In every case its factory was **not** called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The name cannot be part of a path.
    #[error("illegal name for an actor under {parent}")]
    IllegalName {
        /// Where the actor would have lived.
        parent: ActorPath,
        /// What is wrong with the name.
        #[source]
        reason: NameError,
    },
    /// A sibling has this name. It is free again once that actor's `stop` has resolved.
    #[error("the name {path} is taken: choose another, or await the stop of the actor that has it")]
    NameTaken {
        /// The path that is in use.
        path: ActorPath,
    },
    /// The mailbox was to hold no message at all.
    #[error("the mailbox of {path} has capacity 0: give it room for at least 1 message")]
    ZeroCapacity {
        /// The path of the actor.
        path: ActorPath,
    },
    /// The tree of actors is `limit` levels deep here: most likely a recursion of spawns.
    #[error("{parent} is {limit} levels deep: no children below (does an actor spawn itself?)")]
    TooDeep {
        /// Where the actor would have lived.
        parent: ActorPath,
        /// The deepest level an actor may live at.
        limit: usize,
    },
    /// The system shuts down, and starts nothing new.
    #[error("the system is shutting down: {path} was not started")]
    ShuttingDown {
        /// The path of the actor.
        path: ActorPath,
    },
    /// The operating system has no thread for the actor's [`Dispatcher`](crate::Dispatcher). Trying again later may
    /// succeed.
    #[error(
        "no thread for {name} under {parent}: use Dispatcher::blocking to share some, or raise the limit of threads"
    )]
    NoThread {
        /// Where the actor would have lived.
        parent: ActorPath,
        /// Its name.
        name: String,
        /// What the operating system said.
        #[source]
        reason: std::io::Error,
    },
    /// The parent is stopping or restarting, and its children with it.
    #[error("{parent} is stopping and takes no more children")]
    ParentStopped {
        /// The parent.
        parent: ActorPath,
    },
}

/// Why a path led to no reference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The text is not a path.
    #[error("not the path of an actor")]
    IllegalPath(#[source] PathError),
    /// No actor lives at this path, now.
    #[error("there is no actor at {path}")]
    NotFound {
        /// The path that was looked up.
        path: ActorPath,
    },
    /// The actor at this path takes other messages.
    #[error("{path} takes messages of type {actual}, not {requested}")]
    WrongType {
        /// The path that was looked up.
        path: ActorPath,
        /// The message type that was asked for.
        requested: &'static str,
        /// The message type of the actor that lives there.
        actual: &'static str,
    },
}

/// Why a system did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name of the system cannot be used.
    #[error("illegal name for a system")]
    IllegalName(#[source] NameError),
    /// There is no tokio runtime around the call.
    #[error(transparent)]
    NoRuntime(#[from] crate::env::NoRuntime),
    /// The program is built with `panic = "abort"`: a panic would end the process, and supervision would be void.
    #[error("built with `panic = \"abort\"`: supervision needs `panic = \"unwind\"` in this profile")]
    PanicAborts,
    /// An extension failed to start. Those started before it were stopped again.
    #[error("extension `{name}` did not start: {reason}")]
    Extension {
        /// Which one.
        name: String,
        /// What it said.
        reason: String,
    },
}

/// A message the stash had no room for, given back.
#[derive(thiserror::Error)]
#[error("the stash is full ({capacity} messages)")]
pub struct StashFull<M> {
    /// The message, as it was.
    pub message: M,
    /// The most messages this stash holds.
    pub capacity: usize,
}

impl<M> fmt::Debug for StashFull<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StashFull").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

//! What do the two sides of a mailbox learn from it?
//!
//! The answers it gives to those who send, to the actor, and to those who observe.

use crate::error::Refusal;

/// A message that was pushed, or was not.
#[derive(Debug)]
pub(crate) enum Pushed<T> {
    /// It waits in the mailbox.
    Queued,
    /// It waits in the mailbox, and this one, the oldest, had to go.
    Displaced(T),
    /// The mailbox drops what comes last.
    Dropped(T),
    /// It was refused.
    Refused(T, Refusal),
}

/// A message that was offered by a sender who can wait.
#[derive(Debug)]
pub(crate) enum Offered<T> {
    /// Settled at once.
    Settled(Pushed<T>),
    /// It waits for room under this number.
    Waits(u64),
}

/// What the actor finds when it looks.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// Controls wait, or somebody urges: look at those first.
    Controls,
    /// The next message; what was taken with it is in the batch.
    Message(T),
    /// The mailbox is closed and holds nothing more.
    Drained,
}

/// A snapshot for those who observe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Queued, and taken but not yet handled.
    pub(crate) depth: usize,
    /// The most it holds; `usize::MAX` without a bound.
    pub(crate) capacity: usize,
    /// The deepest it has been.
    pub(crate) deepest: usize,
    /// All messages ever put in.
    pub(crate) accepted: u64,
    /// Whether the actor sleeps and nothing is on its way to it.
    pub(crate) idle: bool,
}

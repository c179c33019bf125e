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
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a snapshot of a state that has as many")]
pub(crate) struct Figures {
    /// Queued, and taken but not yet handled.
    pub(crate) depth: usize,
    /// The most it holds; `usize::MAX` without a bound.
    pub(crate) capacity: usize,
    /// The deepest it has been.
    pub(crate) deepest: usize,
    /// All messages ever put in.
    pub(crate) accepted: u64,
    /// The beat since which the oldest message may wait, or be handled.
    pub(crate) oldest_since: Option<u32>,
    /// The beat since which a handler awaits.
    pub(crate) awaits_since: Option<u32>,
    /// Whether the actor sleeps.
    pub(crate) asleep: bool,
    /// Whether it has started.
    pub(crate) begun: bool,
    /// Whether it takes no more messages.
    pub(crate) closed: bool,
    /// Whether the actor sleeps and nothing is on its way to it.
    pub(crate) idle: bool,
}

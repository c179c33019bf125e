//! Which mailbox does an actor get, and what does it do when it is full?
//!
//! [`Mailbox`] is the choice a user makes at spawn. What runs is the [`Inbox`](inbox::Inbox): one small lock around
//! everything that waits; the actor takes all of it at once and works through it without the lock.
//! [`overflow`] holds the whole table of what each way of sending does with a full mailbox.

pub(crate) mod inbox;
mod outcome;
pub(crate) mod overflow;
pub(crate) mod priority;
pub(crate) mod ring;
mod room;
mod senders;
pub(crate) mod store;
mod taking;

#[cfg(all(test, omnitron_loom))]
mod loom;
#[cfg(all(test, not(omnitron_loom)))]
mod tests;

use std::fmt;

pub use self::overflow::Overflow;
use self::priority::Rank;

/// How many messages a mailbox holds, in which order, and what happens to one too many.
///
/// Default: [`bounded(1024)`](Self::bounded) with [`Overflow::Reject`]. The capacity counts what is queued and what
/// the actor took and has not handled. What each way of sending meets in a full mailbox:
///
/// | mailbox | `tell` | `send` | `ask` | timer | `pipe_to_self` |
/// |---|---|---|---|---|---|
/// | unbounded | queued | queued | queued | needs no room | queued |
/// | bounded, `Reject` | given back: `Full` | waits for room, in order | waits for room and reply within one deadline, then `Refused(Full)` | needs no room; one per key | room reserved at the call, or `Full` at the call |
/// | bounded, `DropOldest` | queued; the oldest becomes a dead letter | as `tell` | as `tell`; an asker whose message is dropped gets `Unhandled` | needs no room; one per key | room reserved at the call; the result is never dropped |
/// | bounded, `DropNewest` | becomes a dead letter, `Ok` | as `tell` | `Refused(Overflowed)` at once | needs no room; one per key | room reserved at the call, or `Overflowed` at the call |
/// | priority | queued by rank | queued by rank | queued by rank | needs no room; one per key | queued by rank |
///
/// Senders that wait in `send` or `ask` are served in order, before any later `tell`. Room that becomes free is
/// handed to them in portions of up to an eighth of the capacity while messages are handled one right after the
/// other, and at once when the actor awaits or sleeps. A timer never queues: its own actor runs it when it is due,
/// between two messages; several periods that passed meanwhile make one message.
#[must_use = "a mailbox changes nothing until an actor is spawned with it"]
pub struct Mailbox<M> {
    /// `None` is unbounded.
    pub(crate) capacity: Option<usize>,
    pub(crate) overflow: Overflow,
    pub(crate) rank: Option<Rank<M>>,
}

impl<M> Mailbox<M> {
    /// The capacity of a mailbox nobody chose: enough to keep an actor busy, small enough to notice overload.
    pub const DEFAULT_CAPACITY: usize = 1024;

    /// Holds whatever memory holds. Its depth is measured, not limited: for actors that only ever hear from senders
    /// that are limited themselves.
    pub const fn unbounded() -> Self {
        Self { capacity: None, overflow: Overflow::Reject, rank: None }
    }

    /// Holds up to `messages`, queued and taken together. With 0, `spawn` refuses with
    /// [`ZeroCapacity`](crate::SpawnError::ZeroCapacity); above 2³² − 2 the limit is 2³² − 2.
    pub const fn bounded(messages: usize) -> Self {
        Self { capacity: Some(messages), overflow: Overflow::Reject, rank: None }
    }

    /// Hands out messages by rank, highest first, and those of one rank in order of arrival. Unbounded. The actor
    /// takes one message at a time, so that a high rank overtakes everything that is not yet being handled; this
    /// costs a lock per message.
    ///
    /// `rank` runs in the sender, once per message. A panic in it is the sender's; over a piped
    /// message, which nobody sends, it is a failure of the actor.
    pub fn priority(rank: impl Fn(&M) -> u8 + Send + Sync + 'static) -> Self {
        Self { capacity: None, overflow: Overflow::Reject, rank: Some(Box::new(rank)) }
    }

    /// The same mailbox for messages of which an `M` is a part: that is what is ranked.
    pub fn contramap<N>(self, of: impl Fn(&N) -> &M + Send + Sync + 'static) -> Mailbox<N>
    where
        M: 'static,
    {
        let Self { capacity, overflow, rank } = self;
        let rank = rank.map(|rank| -> Rank<N> { Box::new(move |message| rank(of(message))) });
        Mailbox { capacity, overflow, rank }
    }

    /// What happens when the mailbox is full. Default: [`Overflow::Reject`]. Means nothing where there is no bound.
    pub const fn on_full(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }
}

impl<M> Default for Mailbox<M> {
    fn default() -> Self {
        Self::bounded(Self::DEFAULT_CAPACITY)
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("capacity", &self.capacity)
            .field("overflow", &self.overflow)
            .field("priority", &self.rank.is_some())
            .finish()
    }
}

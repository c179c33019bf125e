//! What happens to a message that finds its mailbox full?
//!
//! A pure decision: figures go in, a verdict comes out. The mailbox acts on it.
//!
//! # The whole table
//!
//! | mailbox | `tell` | `send` | `ask` | timer | `pipe_to_self` |
//! |---|---|---|---|---|---|
//! | unbounded | queued | queued | queued | needs no room | reserves nothing, queued |
//! | bounded, [`Reject`](Overflow::Reject) | given back: `Full` | waits for room, in order | waits for room and reply within one deadline, then `Refused(Full)` | needs no room; one per key | room reserved at the call, or `Full` at the call |
//! | bounded, [`DropOldest`](Overflow::DropOldest) | queued; the oldest becomes a dead letter | as `tell` | as `tell`; its asker gets `Unhandled` should it be dropped | needs no room; one per key | room reserved at the call (the oldest may go); the result is never dropped |
//! | bounded, [`DropNewest`](Overflow::DropNewest) | becomes a dead letter, `Ok` | as `tell` | `Refused(Overflowed)` at once | needs no room; one per key | room reserved at the call, or `Overflowed` at the call |
//! | priority | queued by rank | queued by rank | queued by rank | needs no room; one per key | queued by rank |
//!
//! A timer never queues: a due timer is run by its own actor between two messages, and one that came due several
//! times meanwhile runs once.

/// What a full, bounded mailbox does with one message more. Default: [`Reject`](Self::Reject).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Overflow {
    /// `tell` gives the message back, `send` and `ask` wait for room.
    #[default]
    Reject,
    /// The message that waits longest makes room; it becomes a dead letter. Nobody ever waits. The message being
    /// handled does not count here, because it can no longer be dropped.
    DropOldest,
    /// The message that comes last is dropped, and becomes a dead letter. Nobody ever waits.
    DropNewest,
}

/// The figures the decision needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Messages that wait or were taken and are not yet handled, and room that is reserved.
    pub(crate) depth: usize,
    /// Messages that could still be dropped.
    pub(crate) displaceable: usize,
    /// The most messages the mailbox holds.
    pub(crate) capacity: usize,
    /// Whether senders wait for room: they come first.
    pub(crate) contested: bool,
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Put it in.
    Queue,
    /// Give it back, or let its sender wait.
    Refuse,
    /// Put it in, after the oldest has been taken out.
    DisplaceOldest,
    /// Drop it.
    Drop,
}

impl Overflow {
    /// Decides over one message.
    pub(crate) const fn decide(self, load: Load) -> Verdict {
        let full = load.depth >= load.capacity;
        match self {
            Self::Reject if full || load.contested => Verdict::Refuse,
            Self::DropOldest if full && load.displaceable > 0 => Verdict::DisplaceOldest,
            // Everything that counts is reserved room, or came through it: there is nothing to displace.
            Self::DropOldest | Self::DropNewest if full => Verdict::Drop,
            Self::Reject | Self::DropOldest | Self::DropNewest => Verdict::Queue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICIES: [Overflow; 3] = [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest];

    fn load(depth: usize, displaceable: usize) -> Load {
        Load { depth, displaceable, capacity: 3, contested: false }
    }

    #[test]
    fn every_policy_queues_while_there_is_room() {
        for policy in POLICIES {
            for depth in 0..3 {
                assert_eq!(policy.decide(load(depth, depth)), Verdict::Queue, "{policy:?} at {depth}");
            }
        }
    }

    #[test]
    fn each_policy_answers_a_full_mailbox_in_its_own_way() {
        assert_eq!(Overflow::Reject.decide(load(3, 3)), Verdict::Refuse);
        assert_eq!(Overflow::DropOldest.decide(load(3, 3)), Verdict::DisplaceOldest);
        assert_eq!(Overflow::DropNewest.decide(load(3, 3)), Verdict::Drop);
    }

    #[test]
    fn room_belongs_to_those_who_wait_for_it() {
        let contested = Load { contested: true, ..load(0, 0) };
        assert_eq!(Overflow::Reject.decide(contested), Verdict::Refuse);
    }

    #[test]
    fn reserved_room_is_never_displaced() {
        assert_eq!(Overflow::DropOldest.decide(load(3, 0)), Verdict::Drop);
    }
}

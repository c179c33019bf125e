//! What has to happen in a mailbox, described plainly: lists, and no locks, wakers, rings or portions.

use std::cmp::Reverse;
use std::collections::VecDeque;

use crate::mailbox::Overflow;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Unbounded,
    Bounded(usize, Overflow),
    Priority,
}

/// What has to happen.
pub(super) struct Model {
    pub(super) kind: Kind,
    /// Message, and whether its room had been reserved.
    pub(super) queue: Vec<(u32, bool)>,
    /// Taken; the first is being handled.
    pub(super) hand: VecDeque<u32>,
    /// Message, and the number under which it waits.
    pub(super) waiting: VecDeque<(u64, u32)>,
    pub(super) reserved: usize,
    pub(super) controls: usize,
    pub(super) closed: bool,
    pub(super) asleep: bool,
    pub(super) accepted: u64,
    pub(super) deepest: usize,
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Fate {
    Queued,
    Displaced(u32),
    Dropped,
    Full,
    Stopped,
}

impl Model {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            queue: Vec::new(),
            hand: VecDeque::new(),
            waiting: VecDeque::new(),
            reserved: 0,
            controls: 0,
            closed: false,
            asleep: false,
            accepted: 0,
            deepest: 0,
        }
    }

    pub(super) fn room(&self) -> usize {
        match self.kind {
            Kind::Unbounded | Kind::Priority => usize::MAX,
            Kind::Bounded(capacity, Overflow::DropOldest) => capacity - self.queue.len() - self.reserved,
            Kind::Bounded(capacity, _) => capacity - self.queue.len() - self.reserved - self.hand.len(),
        }
    }

    pub(super) fn insert(&mut self, message: u32, kept: bool) {
        let kept = kept && matches!(self.kind, Kind::Bounded(..));
        self.queue.push((message, kept));
        if self.kind == Kind::Priority {
            self.queue.sort_by_key(|&(message, _)| Reverse(rank(message)));
        }
        self.accepted += 1;
        self.deepest = self.deepest.max(self.queue.len() + self.hand.len());
    }

    pub(super) fn displace(&mut self) -> Option<u32> {
        let oldest = self.queue.iter().position(|&(_, kept)| !kept)?;
        Some(self.queue.remove(oldest).0)
    }

    pub(super) fn tell(&mut self, message: u32) -> Fate {
        if self.closed {
            return Fate::Stopped;
        }
        let fate = match self.kind {
            Kind::Bounded(_, Overflow::Reject) if self.room() == 0 || !self.waiting.is_empty() => Fate::Full,
            Kind::Bounded(_, Overflow::DropNewest) if self.room() == 0 => Fate::Dropped,
            Kind::Bounded(_, Overflow::DropOldest) if self.room() == 0 => {
                self.displace().map_or(Fate::Dropped, Fate::Displaced)
            }
            _ => Fate::Queued,
        };
        if matches!(fate, Fate::Queued | Fate::Displaced(_)) {
            self.insert(message, false);
        }
        fate
    }

    /// Lets senders in, in order. Returns their numbers.
    pub(super) fn admit(&mut self) -> Vec<u64> {
        let mut admitted = Vec::new();
        while !self.closed && self.room() > 0 && !self.waiting.is_empty() {
            if let Some((number, message)) = self.waiting.pop_front() {
                self.insert(message, false);
                admitted.push(number);
            }
        }
        admitted
    }

    /// What the actor takes when its hands are empty.
    pub(super) fn take(&mut self) {
        let single = matches!(self.kind, Kind::Priority | Kind::Bounded(_, Overflow::DropOldest));
        let count = if single { self.queue.len().min(1) } else { self.queue.len() };
        self.hand = self.queue.drain(..count).map(|(message, _)| message).collect();
    }
}

pub(super) fn rank(message: u32) -> u8 {
    u8::try_from(message % 3).expect("a remainder of 3 is small")
}

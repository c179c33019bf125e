//! Which post is sent next, what follows from an answer, and how far is everything delivered?
//!
//! Posts come in the order of the journal and are sorted by receiver. To each receiver they are sent in that order, several at once; one that is not
//! acknowledged is sent again, and all behind it, after a wait. A receiver that does not take a post holds up itself alone: it keeps that one in memory, and of
//! those behind it only where they begin, to be read again.
//!
//! # Invariants
//!
//! * To one receiver, a post is sent only when each one before it of its slice is done, or named as the one that it follows.
//! * `offset` is behind no post that is not done.
//! * What is in memory is bounded: per receiver, and in all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::answers::Said;
use super::item::{Item, Limits, Ranges, Sending, Trouble};
use crate::id::{Ordinal, Slice};
use crate::offset::{Offset, Position};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Waiting,
    Sent(Instant),
    Done,
}

#[derive(Debug, Default)]
struct Target {
    queue: VecDeque<(Arc<Item>, State)>,
    /// Everything before it was sent.
    cursor: usize,
    sent: usize,
    /// Rises with each failure, so that answers to what was sent before it are told apart.
    attempt: u64,
    behind: Ranges,
    is_fetching: bool,
    is_ready: bool,
    trouble: Option<Trouble>,
}

/// The posts that are not delivered.
#[derive(Debug)]
pub(crate) struct Sorting {
    limits: Limits,
    targets: BTreeMap<Arc<str>, Target>,
    read: BTreeMap<Slice, Ordinal>,
    /// Posts in memory that are not done.
    open: BTreeMap<Slice, BTreeSet<Ordinal>>,
    /// The first of each receiver and slice that is not in memory.
    behind: BTreeSet<(Slice, Ordinal, Arc<str>)>,
    ready: VecDeque<Arc<str>>,
    due: BTreeSet<(Instant, Arc<str>)>,
    hungry: VecDeque<Arc<str>>,
    held: usize,
    bytes: usize,
    sent: usize,
    done: u64,
}

impl Sorting {
    pub(crate) fn new(limits: Limits, offset: &Offset) -> Self {
        Self {
            limits,
            targets: BTreeMap::new(),
            read: offset.iter().collect(),
            open: BTreeMap::new(),
            behind: BTreeSet::new(),
            ready: VecDeque::new(),
            due: BTreeSet::new(),
            hungry: VecDeque::new(),
            held: 0,
            bytes: 0,
            sent: 0,
            done: 0,
        }
    }

    /// Whether nothing more is to be read.
    pub(crate) fn is_full(&self) -> bool {
        // What blocked receivers hold holds up nobody else: it is one post of each.
        self.held.saturating_sub(self.due.len()) >= self.limits.held
            || self.bytes >= self.limits.bytes
            || self.due.len() >= self.limits.blocked
    }

    /// How many posts are in memory, and how many were delivered or given up.
    pub(crate) fn count(&self) -> (usize, u64) {
        (self.held, self.done)
    }

    /// A post was read that comes behind all that were read of its slice.
    pub(crate) fn take(&mut self, item: Item) {
        let receiver: Arc<str> = match self.targets.get_key_value(item.post.receiver().as_str()) {
            Some((receiver, _)) => Arc::clone(receiver),
            None => Arc::from(item.post.receiver().as_str()),
        };
        let Position { slice, ordinal } = item.position;
        self.read(slice, ordinal);
        let target = self.targets.entry(Arc::clone(&receiver)).or_default();
        let is_patient =
            target.trouble.as_ref().is_none_or(|trouble| trouble.attempts < self.limits.patience);
        if target.behind.is_empty() && target.queue.len() < self.limits.queue && is_patient {
            self.push(&receiver, item);
        } else {
            self.put_behind(&receiver, item.position);
        }
    }

    /// Everything of `slice` up to `ordinal` was read.
    pub(crate) fn read(&mut self, slice: Slice, ordinal: Ordinal) {
        let read = self.read.entry(slice).or_default();
        *read = (*read).max(ordinal);
    }

    /// Puts a post into memory.
    fn push(&mut self, receiver: &Arc<str>, item: Item) {
        let Some(target) = self.targets.get_mut(receiver) else { return };
        self.held += 1;
        self.bytes += item.post.size_bytes();
        self.open.entry(item.position.slice).or_default().insert(item.position.ordinal);
        target.queue.push_back((Arc::new(item), State::Waiting));
        self.make_ready(receiver);
    }

    /// Leaves a post in the journal.
    fn put_behind(&mut self, receiver: &Arc<str>, Position { slice, ordinal }: Position) {
        let Some(target) = self.targets.get_mut(receiver) else { return };
        let Some((first, last)) = target.behind.get_mut(&slice) else {
            target.behind.insert(slice, (ordinal, ordinal));
            self.behind.insert((slice, ordinal, Arc::clone(receiver)));
            return;
        };
        if ordinal < *first {
            self.behind.remove(&(slice, *first, Arc::clone(receiver)));
            self.behind.insert((slice, ordinal, Arc::clone(receiver)));
        }
        (*first, *last) = (ordinal.min(*first), ordinal.max(*last));
    }

    fn make_ready(&mut self, receiver: &Arc<str>) {
        if let Some(target) = self.targets.get_mut(receiver)
            && !std::mem::replace(&mut target.is_ready, true)
        {
            self.ready.push_back(Arc::clone(receiver));
        }
    }

    /// The next post to be sent, which counts as sent from now on.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Sending> {
        while self.sent < self.limits.sent {
            let receiver = self.ready.pop_front()?;
            let Some(target) = self.targets.get_mut(&receiver) else { continue };
            target.is_ready = false;
            let window = match &target.trouble {
                Some(trouble) if now < trouble.until => 0,
                // One that did not take a post is tried with one.
                Some(_) => 1,
                None => self.limits.window,
            };
            while target.queue.get(target.cursor).is_some_and(|(_, state)| *state != State::Waiting) {
                target.cursor += 1;
            }
            if target.sent >= window || target.cursor >= target.queue.len() {
                continue;
            }
            let (before, rest) = target.queue.make_contiguous().split_at_mut(target.cursor);
            let (item, state) = &mut rest[0];
            let slice = item.position.slice;
            let is_open =
                |(item, state): &&(Arc<Item>, State)| item.position.slice == slice && *state != State::Done;
            let after =
                before.iter().rev().find(is_open).map_or(Ordinal::ZERO, |(item, _)| item.position.ordinal);
            *state = State::Sent(now);
            let item = Arc::clone(item);
            target.cursor += 1;
            target.sent += 1;
            self.sent += 1;
            let attempt = target.attempt;
            if target.sent < window && target.cursor < target.queue.len() {
                self.make_ready(&receiver);
            }
            return Some(Sending { receiver, item, after, attempt });
        }
        None
    }

    /// A post could not be sent, for a reason that is not its receiver's: it waits again.
    pub(crate) fn unsent(&mut self, receiver: &Arc<str>, position: Position) {
        let Some(target) = self.targets.get_mut(receiver) else { return };
        let Some(at) = target.queue.iter().position(|(item, _)| item.position == position) else { return };
        if matches!(target.queue[at].1, State::Sent(_)) {
            target.queue[at].1 = State::Waiting;
            target.cursor = target.cursor.min(at);
            target.sent -= 1;
            self.sent -= 1;
        }
        self.make_ready(receiver);
    }

    /// A receiver has answered. `random` is from 0 to 1.
    pub(crate) fn answered(
        &mut self,
        receiver: &Arc<str>,
        position: Position,
        attempt: u64,
        said: Said,
        (now, random): (Instant, f64),
    ) {
        match said {
            Said::Done => self.done(receiver, position),
            Said::Failed(reason) => self.failed(receiver, attempt, reason, (now, random)),
            Said::Dropped => {
                let reason = "the receiver is not available, or failed: look for its failure in the log";
                self.failed(receiver, attempt, reason.to_owned(), (now, random));
            }
        }
    }

    /// A post was delivered, or is given up.
    pub(crate) fn done(&mut self, receiver: &Arc<str>, position: Position) {
        let Some(target) = self.targets.get_mut(receiver) else { return };
        let Some(at) = target.queue.iter().position(|(item, _)| item.position == position) else { return };
        match std::mem::replace(&mut target.queue[at].1, State::Done) {
            State::Done => return,
            State::Waiting => {}
            State::Sent(_) => {
                target.sent -= 1;
                self.sent -= 1;
            }
        }
        self.done += 1;
        self.close(position);
        let Some(target) = self.targets.get_mut(receiver) else { return };
        if let Some(trouble) = target.trouble.take() {
            self.due.remove(&(trouble.until, Arc::clone(receiver)));
        }
        while let Some((item, State::Done)) = target.queue.front() {
            self.held -= 1;
            self.bytes -= item.post.size_bytes();
            target.queue.pop_front();
            target.cursor = target.cursor.saturating_sub(1);
        }
        if !target.queue.is_empty() {
            self.make_ready(receiver);
        } else if target.behind.is_empty() {
            self.targets.remove(receiver);
        } else if !std::mem::replace(&mut target.is_fetching, true) {
            self.hungry.push_back(Arc::clone(receiver));
        }
    }

    fn close(&mut self, Position { slice, ordinal }: Position) {
        if let Some(open) = self.open.get_mut(&slice) {
            open.remove(&ordinal);
        }
    }

    /// What was sent last was not taken. Answers to what was sent before an earlier failure change nothing.
    fn failed(&mut self, receiver: &Arc<str>, attempt: u64, reason: String, (now, random): (Instant, f64)) {
        let Some(target) = self.targets.get_mut(receiver) else { return };
        if target.attempt != attempt {
            return;
        }
        target.attempt += 1;
        target.cursor = 0;
        self.sent -= std::mem::take(&mut target.sent);
        for (_, state) in &mut target.queue {
            if matches!(state, State::Sent(_)) {
                *state = State::Waiting;
            }
        }
        let (attempts, since) = match target.trouble.take() {
            Some(trouble) => {
                self.due.remove(&(trouble.until, Arc::clone(receiver)));
                (trouble.attempts.saturating_add(1), trouble.since)
            }
            None => (1, now),
        };
        let (first, longest) = self.limits.retry;
        let wait = first.saturating_mul(1 << (attempts - 1).min(16)).min(longest).mul_f64(0.8 + 0.4 * random);
        let until = now + wait;
        target.trouble = Some(Trouble { attempts, reason, since, until });
        self.due.insert((until, Arc::clone(receiver)));
        if attempts < self.limits.patience {
            return;
        }
        let rest = target.queue.split_off(target.queue.len().min(1));
        for (item, state) in rest {
            self.held -= 1;
            self.bytes -= item.post.size_bytes();
            if state != State::Done {
                self.close(item.position);
                self.put_behind(receiver, item.position);
            }
        }
    }

    /// Receivers whose wait is over are tried again.
    pub(crate) fn wake(&mut self, now: Instant) {
        let due: Vec<_> = self
            .due
            .iter()
            .take_while(|(until, _)| *until <= now)
            .map(|(_, receiver)| Arc::clone(receiver))
            .collect();
        for receiver in due {
            if self.targets.get(&receiver).is_some_and(|target| target.sent == 0) {
                self.make_ready(&receiver);
            }
        }
    }

    /// Tries all receivers again that do not take a post.
    pub(crate) fn retry(&mut self, now: Instant) {
        for (_, receiver) in std::mem::take(&mut self.due) {
            let Some(trouble) = self.targets.get_mut(&receiver).and_then(|target| target.trouble.as_mut())
            else {
                continue;
            };
            trouble.until = now.min(trouble.until);
            self.due.insert((trouble.until, receiver));
        }
        self.wake(now);
    }

    /// When the next wait is over.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.due.iter().map(|(until, _)| *until).find(|until| *until > now)
    }

    /// What was sent and not answered for too long counts as failed.
    pub(crate) fn expire(&mut self, now: Instant, random: f64) {
        let deadline = self.limits.deadline;
        let is_late = |state: &State| matches!(state, State::Sent(at) if now.saturating_duration_since(*at) >= deadline);
        let late: Vec<_> = self
            .targets
            .iter()
            .filter(|(_, target)| target.sent > 0 && target.queue.iter().any(|(_, state)| is_late(state)))
            .map(|(receiver, target)| (Arc::clone(receiver), target.attempt))
            .collect();
        for (receiver, attempt) in late {
            self.failed(&receiver, attempt, format!("no answer within {deadline:?}"), (now, random));
        }
    }

    /// A receiver whose posts have to be read again, and which.
    pub(crate) fn hungry(&mut self) -> Option<(Arc<str>, Ranges)> {
        loop {
            let receiver = self.hungry.pop_front()?;
            if let Some(target) = self.targets.get(&receiver) {
                return Some((receiver, target.behind.clone()));
            }
        }
    }

    /// How many posts are read again at once.
    pub(crate) fn helping(&self) -> usize {
        self.limits.queue
    }

    /// Posts were read again, the first ones of `ranges`; `is_whole`: all of them.
    pub(crate) fn fetched(&mut self, receiver: &Arc<str>, ranges: &Ranges, items: Vec<Item>, is_whole: bool) {
        for item in items {
            let Position { slice, ordinal } = item.position;
            self.now_in_memory(receiver, slice, ordinal);
            self.push(receiver, item);
        }
        for (slice, (_, last)) in ranges.iter().filter(|_| is_whole) {
            self.now_in_memory(receiver, *slice, *last);
        }
        let Some(target) = self.targets.get_mut(receiver) else { return };
        target.is_fetching = false;
        if !target.queue.is_empty() {
            return;
        }
        if target.behind.is_empty() {
            self.targets.remove(receiver);
        } else {
            target.is_fetching = true;
            self.hungry.push_back(Arc::clone(receiver));
        }
    }

    /// Of what a receiver has to read again, nothing up to `ordinal`.
    fn now_in_memory(&mut self, receiver: &Arc<str>, slice: Slice, ordinal: Ordinal) {
        let Some(target) = self.targets.get_mut(receiver) else { return };
        let Some((first, last)) = target.behind.get_mut(&slice) else { return };
        if ordinal < *first {
            return;
        }
        self.behind.remove(&(slice, *first, Arc::clone(receiver)));
        if ordinal >= *last {
            target.behind.remove(&slice);
        } else {
            *first = ordinal.plus(1);
            self.behind.insert((slice, *first, Arc::clone(receiver)));
        }
    }

    /// The receivers that do not take a post, in the order of their names: the post, and why.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = (&Item, &Trouble)> {
        self.targets.values().filter_map(|target| {
            let (item, _) = target.queue.iter().find(|(_, state)| *state != State::Done)?;
            Some((&**item, target.trouble.as_ref()?))
        })
    }

    /// How many receivers do not take a post.
    pub(crate) fn blocked_count(&self) -> usize {
        self.due.len()
    }

    /// The post that a receiver does not take.
    pub(crate) fn blocked_at(&self, receiver: &str) -> Option<(Arc<str>, &Item, &Trouble)> {
        let (receiver, target) = self.targets.get_key_value(receiver)?;
        let (item, _) = target.queue.iter().find(|(_, state)| *state != State::Done)?;
        Some((Arc::clone(receiver), item, target.trouble.as_ref()?))
    }

    /// Up to where every post of `slice` is done.
    pub(crate) fn offset_of(&self, slice: Slice) -> Ordinal {
        let before = |ordinal: Ordinal| Ordinal::new(ordinal.get().saturating_sub(1));
        let open = self.open.get(&slice).and_then(BTreeSet::first).copied();
        let first = (slice, Ordinal::ZERO, Arc::from(""));
        let behind =
            self.behind.range(first..).next().filter(|(of, ..)| *of == slice).map(|&(_, first, _)| first);
        let not_done = open.into_iter().chain(behind).min();
        not_done.map_or_else(|| self.read.get(&slice).copied().unwrap_or_default(), before)
    }

    /// Up to where every post is done.
    pub(crate) fn offset(&self, journal: u64) -> Offset {
        let mut offset = Offset::start(journal);
        self.read.keys().for_each(|slice| offset.advance(*slice, self.offset_of(*slice)));
        offset
    }
}

#[cfg(test)]
mod tests;

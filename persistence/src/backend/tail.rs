//! How do those who read a journal learn of what has just become durable?
//!
//! A backend owns a [`Tail`] and tells it; readers follow it. The tail keeps the newest events in memory, once for all readers. One who is too
//! slow for it has *lost* it and reads the journal instead. A signal is a hint: whoever is woken looks by himself.
//!
//! # Invariants
//!
//! * What is told was readable in the journal before.
//! * Between two looks a follower is given everything that was told, in order, or learns that he lost the tail.
//! * It holds at most [`MAX_EVENTS`] events or [`MAX_BYTES`], and one batch more; nothing while nobody follows.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::Append;
use crate::id::{Ordinal, Sequence};
use crate::recorded::Recorded;

/// The most events that a tail keeps.
pub const MAX_EVENTS: usize = 32_768;
/// The most bytes that a tail keeps.
pub const MAX_BYTES: usize = 16 << 20;

/// An append that is durable.
#[derive(Clone, Debug)]
pub struct Durable {
    /// What was appended. The ordinals of its events follow each other without gaps.
    pub append: Arc<Append>,
    /// The ordinal of its last event.
    pub last: Ordinal,
}

impl Durable {
    /// Its events, as a reader of the journal would find them.
    pub fn events(&self) -> impl Iterator<Item = Recorded> + '_ {
        let Append { slice, id, expected, events, .. } = &*self.append;
        let first = self.first().get();
        events.iter().zip(0_u64..).map(move |(event, n)| Recorded {
            id: id.clone(),
            slice: *slice,
            sequence: Sequence::new(expected.get() + 1 + n),
            ordinal: Ordinal::new(first + n),
            event: event.clone(),
        })
    }

    /// The ordinal of its first event.
    fn first(&self) -> Ordinal {
        Ordinal::new(self.last.get() + 1 - self.append.events.len() as u64)
    }
}

/// The newest events of a journal, for those who follow it. A clone is the same tail.
#[derive(Clone)]
pub struct Tail {
    shared: Arc<Shared>,
}

struct Shared {
    ring: Mutex<Ring>,
    followers: AtomicUsize,
    /// How many times something was told.
    told: watch::Sender<u64>,
}

#[derive(Default)]
struct Ring {
    /// The number of the first batch that is kept; batches are counted from 0.
    first: u64,
    batches: VecDeque<(Arc<[Durable]>, usize)>,
    events: usize,
    bytes: usize,
}

impl Ring {
    fn end(&self) -> u64 {
        self.first + self.batches.len() as u64
    }

    fn push(&mut self, batch: Vec<Durable>) {
        let bytes = batch.iter().map(|durable| durable.append.size_bytes()).sum();
        self.events += batch.iter().map(|durable| durable.append.events.len()).sum::<usize>();
        self.bytes += bytes;
        self.batches.push_back((batch.into(), bytes));
        while self.batches.len() > 1 && (self.events > MAX_EVENTS || self.bytes > MAX_BYTES) {
            if let Some((old, bytes)) = self.batches.pop_front() {
                self.events -= old.iter().map(|durable| durable.append.events.len()).sum::<usize>();
                self.bytes -= bytes;
                self.first += 1;
            }
        }
    }

    /// Forgets everything, and counts one batch that nobody will get.
    fn skip(&mut self) {
        *self = Self { first: self.end() + 1, ..Self::default() };
    }
}

impl Default for Tail {
    fn default() -> Self {
        Self::new()
    }
}

impl Tail {
    /// One that nobody follows.
    pub fn new() -> Self {
        let shared =
            Shared { ring: Mutex::default(), followers: AtomicUsize::new(0), told: watch::Sender::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Whether anybody follows. If not, [`announce`](Self::announce) does what [`tell`](Self::tell) does, and costs less.
    pub fn is_followed(&self) -> bool {
        self.shared.followers.load(Ordering::Acquire) > 0
    }

    /// These appends are durable and can be read, and nothing else became durable since the last call. Never waits.
    pub fn tell(&self, batch: Vec<Durable>) {
        if batch.is_empty() {
            return;
        }
        {
            let mut ring = self.shared.ring.lock();
            if self.is_followed() { ring.push(batch) } else { ring.skip() }
        }
        self.signal();
    }

    /// Something is durable, or may be, and can be read in the journal: for a backend that does not know what it is. Never waits.
    pub fn announce(&self) {
        self.shared.ring.lock().skip();
        self.signal();
    }

    fn signal(&self) {
        self.shared.told.send_modify(|told| *told = told.wrapping_add(1));
    }

    /// Follows it from here on.
    pub(crate) fn follow(&self) -> Follower {
        self.shared.followers.fetch_add(1, Ordering::AcqRel);
        let told = self.shared.told.subscribe();
        // Behind the count: what is told from now on is kept.
        let next = self.shared.ring.lock().end();
        Follower { tail: self.clone(), told, next }
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("is_followed", &self.is_followed()).finish_non_exhaustive()
    }
}

/// What a follower finds.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    Batch(Arc<[Durable]>),
    /// What came next is not kept any more: it has to be read in the journal.
    Lost,
}

/// One who follows a tail.
pub(crate) struct Follower {
    tail: Tail,
    told: watch::Receiver<u64>,
    /// The number of the next batch.
    next: u64,
}

impl Follower {
    /// The next batch.
    pub(crate) fn take(&mut self) -> Found {
        self.told.mark_unchanged();
        let ring = self.tail.shared.ring.lock();
        let Some(at) = self.next.checked_sub(ring.first) else { return Found::Lost };
        let batch = usize::try_from(at).ok().and_then(|at| ring.batches.get(at));
        let Some((batch, _)) = batch else { return Found::Nothing };
        self.next += 1;
        Found::Batch(Arc::clone(batch))
    }

    /// Goes to the end. What was told before this call is not given any more, and what is durable after it is.
    pub(crate) fn go_to_end(&mut self) {
        self.told.mark_unchanged();
        self.next = self.tail.shared.ring.lock().end();
    }

    /// Waits until something was told since the last look.
    ///
    /// # Cancel safety
    ///
    /// Nothing is missed.
    pub(crate) async fn told(&mut self) {
        // The sender lives in `tail`.
        let _ = self.told.changed().await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if self.tail.shared.followers.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut ring = self.tail.shared.ring.lock();
            if !self.tail.is_followed() {
                // It held memory for nobody.
                *ring = Ring { first: ring.end(), ..Ring::default() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::id::{Epoch, PersistenceId, Slice};
    use crate::recorded::NewEvent;

    fn durable(last: u64, events: usize) -> Durable {
        let append = Append {
            slice: Slice::new(0),
            epoch: Epoch::new(1),
            id: PersistenceId::new("a").unwrap(),
            expected: Sequence::new(last - events as u64),
            events: vec![NewEvent::new("e", "x"); events],
        };
        Durable { append: Arc::new(append), last: Ordinal::new(last) }
    }

    #[test]
    fn a_follower_is_given_what_was_told_since_he_came_in_order() {
        let tail = Tail::new();
        tail.tell(vec![durable(1, 1)]);
        let mut follower = tail.follow();
        assert!(matches!(follower.take(), Found::Nothing));
        tail.tell(vec![durable(2, 1)]);
        tail.tell(vec![durable(4, 2)]);
        assert_eq!(follower.told().now_or_never(), Some(()));
        let mut taken = Vec::new();
        while let Found::Batch(batch) = follower.take() {
            taken.extend(batch.iter().flat_map(Durable::events).map(|event| event.ordinal.get()));
        }
        assert_eq!(taken, [2, 3, 4]);
        assert_eq!(follower.told().now_or_never(), None);
    }

    #[test]
    fn one_who_is_too_slow_has_lost_the_tail_and_memory_is_bounded() {
        let tail = Tail::new();
        let mut follower = tail.follow();
        for n in 1..=100 {
            tail.tell(vec![durable(n * 1_000, 1_000)]);
        }
        assert!(matches!(follower.take(), Found::Lost));
        assert!(tail.shared.ring.lock().events <= MAX_EVENTS);
        follower.go_to_end();
        tail.tell(vec![durable(100_001, 1)]);
        assert!(matches!(follower.take(), Found::Batch(_)));
    }

    #[test]
    fn one_who_is_only_told_that_there_is_something_has_lost_the_tail() {
        let tail = Tail::new();
        let mut follower = tail.follow();
        tail.announce();
        assert_eq!(follower.told().now_or_never(), Some(()));
        assert!(matches!(follower.take(), Found::Lost));
    }

    #[test]
    fn nothing_is_kept_while_nobody_follows() {
        let tail = Tail::new();
        drop(tail.follow());
        tail.tell(vec![durable(1, 1)]);
        assert_eq!(tail.shared.ring.lock().events, 0);
        let (mut first, second) = (tail.follow(), tail.follow());
        drop(second);
        tail.tell(vec![durable(2, 1)]);
        assert!(matches!(first.take(), Found::Batch(_)));
        drop(first);
        assert_eq!(tail.shared.ring.lock().events, 0);
    }
}

//! What becomes of a message that cannot be delivered?
//!
//! It becomes a *dead letter*: its type, its address and the reason are counted, told to subscribers, and logged at a
//! limited rate. The message itself is dropped. A message that is given back to its sender inside an error is no dead
//! letter: the sender has it.
//!
//! # Invariants
//!
//! * Every dead letter is counted, also when a slow subscriber misses it or the log is full.
//! * Recording never waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};

use crate::env::Env;
use crate::log_limit::{LogLimit, Verdict};
use crate::path::ActorPath;

/// Lines per [`LOG_WINDOW`]; the rest is summed up in the next line.
const LOG_BURST: u32 = 10;
const LOG_WINDOW: Duration = Duration::from_secs(10);

/// A message that did not arrive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Where it was to go. `/` for a late reply: an asker has no path.
    pub to: ActorPath,
    /// The type of the message.
    pub message_type: &'static str,
    /// Why it did not arrive.
    pub reason: Reason,
}

/// Why a message became a dead letter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// It was in the mailbox or in the stash when the actor stopped.
    Stopped,
    /// A full mailbox dropped it, as [`Overflow`](crate::Overflow) says.
    Overflowed,
    /// Its deadline passed in the mailbox: it was skipped.
    Expired,
    /// A reply whose asker had gone, or whose deadline had passed.
    LateReply,
    /// The result of a piped future whose actor had stopped.
    Piped,
    /// A router had nobody to hand it to.
    NoRoutee,
    /// The actor [gave it up](crate::Context::give_up), because something that it needs was not available.
    Unavailable,
}

impl Reason {
    pub(crate) const ALL: [Self; 7] = [
        Self::Stopped,
        Self::Overflowed,
        Self::Expired,
        Self::LateReply,
        Self::Piped,
        Self::NoRoutee,
        Self::Unavailable,
    ];

    /// The word for it, in lower case, with underscores.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Overflowed => "overflowed",
            Self::Expired => "expired",
            Self::LateReply => "late_reply",
            Self::Piped => "piped",
            Self::NoRoutee => "no_routee",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "the actor stopped before it came to it",
            Self::Overflowed => "the mailbox was full",
            Self::Expired => "its deadline passed in the mailbox",
            Self::LateReply => "nobody waits for this reply any more",
            Self::Piped => "the actor stopped before this result was there",
            Self::NoRoutee => "the router has no routees",
            Self::Unavailable => "something that the actor needs was not available",
        })
    }
}

/// The dead letters of one system. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters {
    shared: Arc<Shared>,
}

struct Shared {
    env: Env,
    counts: [AtomicU64; Reason::ALL.len()],
    log: Mutex<LogLimit>,
    /// `None` once the system has stopped.
    subscribers: Mutex<Option<Vec<Arc<Subscriber>>>>,
}

struct Subscriber {
    letters: mpsc::Sender<DeadLetter>,
    missed: Arc<AtomicU64>,
}

impl DeadLetters {
    pub(crate) fn new(env: Env) -> Self {
        let log = Mutex::new(LogLimit::new(LOG_BURST, LOG_WINDOW));
        let shared =
            Shared { env, counts: Default::default(), log, subscribers: Mutex::new(Some(Vec::new())) };
        Self { shared: Arc::new(shared) }
    }

    /// All dead letters so far.
    pub fn total(&self) -> u64 {
        Reason::ALL.iter().map(|&reason| self.count(reason)).sum()
    }

    /// The dead letters with this reason so far.
    pub fn count(&self, reason: Reason) -> u64 {
        self.shared.counts[reason as usize].load(Ordering::Relaxed)
    }

    /// The dead letters from now on. Up to `capacity` (at least 1) wait for a subscriber that is slow; what comes
    /// beyond is missed, and [`missed`](DeadLetterStream::missed) counts it.
    pub fn subscribe(&self, capacity: usize) -> DeadLetterStream {
        let (letters, stream) = mpsc::channel(capacity.clamp(1, Semaphore::MAX_PERMITS));
        let missed = Arc::new(AtomicU64::new(0));
        if let Some(subscribers) = self.shared.subscribers.lock().as_mut() {
            subscribers.push(Arc::new(Subscriber { letters, missed: missed.clone() }));
        }
        DeadLetterStream { letters: stream, missed }
    }

    /// The system has stopped: subscribers read what waits for them, and then the end.
    pub(crate) fn end(&self) {
        let subscribers = self.shared.subscribers.lock().take();
        drop(subscribers);
    }

    pub(crate) fn record(&self, to: &ActorPath, message_type: &'static str, reason: Reason) {
        self.shared.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
        self.shared.env.note(|| format!("dead letter {message_type} to {to}: {reason}"));
        let letter = DeadLetter { to: to.clone(), message_type, reason };
        // Told outside of the lock: a subscriber is woken by this.
        let subscribers = self.shared.subscribers.lock().clone().unwrap_or_default();
        let mut gone = false;
        for subscriber in &subscribers {
            match subscriber.letters.try_send(letter.clone()) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    subscriber.missed.fetch_add(1, Ordering::Relaxed);
                }
                Err(mpsc::error::TrySendError::Closed(_)) => gone = true,
            }
        }
        if gone && let Some(subscribers) = self.shared.subscribers.lock().as_mut() {
            subscribers.retain(|subscriber| !subscriber.letters.is_closed());
        }
        let verdict = self.shared.log.lock().allow(self.shared.env.now());
        if let Verdict::Log { suppressed } = verdict {
            tracing::info!(%to, message_type, %reason, suppressed, "dead letter");
        }
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("total", &self.total()).finish_non_exhaustive()
    }
}

/// The dead letters since [`subscribe`](DeadLetters::subscribe), in order.
#[derive(Debug)]
pub struct DeadLetterStream {
    letters: mpsc::Receiver<DeadLetter>,
    missed: Arc<AtomicU64>,
}

impl DeadLetterStream {
    /// The next dead letter; waits for one. `None` once the system has stopped and all were read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future has taken nothing.
    pub async fn recv(&mut self) -> Option<DeadLetter> {
        self.letters.recv().await
    }

    /// The next dead letter, if one waits.
    pub fn try_recv(&mut self) -> Option<DeadLetter> {
        self.letters.try_recv().ok()
    }

    /// How many this subscriber missed, because it was slow.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

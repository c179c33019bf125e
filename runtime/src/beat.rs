//! Which actor holds up a thread that others need?
//!
//! A handler that blocks keeps a thread of the shared dispatcher from everything else that waits for it. Each such thread
//! has a *beat*: it notes which actor it polls, and counts the polls. A watchdog thread looks at all beats from time to
//! time; one that stands still for too long, with an actor at work, is told in the log.
//!
//! What is measured is one poll: up to a batch of messages that do not await. The figures are as coarse as the looks of
//! the watchdog, and noting costs two stores to memory that no other thread writes.
//!
//! # Invariants
//!
//! * A thread writes its own beat only; the watchdog only reads.
//! * Threads that [may block](may_block) have no beat.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What a thread does for actors.
#[derive(Default)]
pub(crate) struct Beat {
    /// The id of the actor that is polled, plus one. 0: none.
    actor: AtomicU64,
    /// Polls so far.
    polls: AtomicU64,
}

/// All beats of this process: threads are shared by systems.
static BEATS: Mutex<Vec<Weak<Beat>>> = Mutex::new(Vec::new());

enum Mine {
    Unknown,
    Watched(Arc<Beat>),
    Exempt,
}

thread_local! {
    static MINE: RefCell<Mine> = const { RefCell::new(Mine::Unknown) };
}

/// This thread may be blocked by its actors.
pub(crate) fn may_block() {
    // A thread that is ending polls no actors.
    let _ = MINE.try_with(|mine| mine.replace(Mine::Exempt));
}

/// This thread polls `actor` from now on; `None`: no actor any more.
#[inline]
pub(crate) fn note(actor: Option<u64>) {
    let _ = MINE.try_with(|mine| {
        let mut mine = mine.borrow_mut();
        if matches!(*mine, Mine::Unknown) {
            *mine = Mine::Watched(register());
        }
        if let Mine::Watched(beat) = &*mine {
            // Only this thread writes: no exchange is needed.
            beat.polls.store(beat.polls.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            beat.actor.store(actor.map_or(0, |actor| actor + 1), Ordering::Relaxed);
        }
    });
}

#[cold]
fn register() -> Arc<Beat> {
    let beat = Arc::new(Beat::default());
    let mut beats = BEATS.lock();
    beats.retain(|beat| beat.strong_count() > 0);
    beats.push(Arc::downgrade(&beat));
    beat
}

/// An actor that has held its thread for too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Held {
    pub(crate) actor: u64,
    /// As far as was seen.
    pub(crate) time: Duration,
    /// Whether the thread is free again.
    pub(crate) over: bool,
}

/// What the watchdog remembers of the threads it looks at.
#[derive(Default)]
pub(crate) struct Watchdog {
    seen: Vec<Seen>,
}

struct Seen {
    beat: Weak<Beat>,
    actor: u64,
    polls: u64,
    since: Instant,
    told: bool,
}

impl Watchdog {
    /// Looks at all threads of the process.
    pub(crate) fn look(&mut self, now: Instant, limit: Duration) -> Vec<Held> {
        for beat in BEATS.lock().iter() {
            if !self.seen.iter().any(|seen| seen.beat.ptr_eq(beat)) {
                self.seen.push(Seen { beat: beat.clone(), actor: 0, polls: 0, since: now, told: false });
            }
        }
        let mut held = Vec::new();
        self.seen.retain_mut(|seen| match seen.beat.upgrade() {
            Some(beat) => {
                held.extend(seen.look(&beat, now, limit));
                true
            }
            None => false,
        });
        held
    }
}

impl Seen {
    fn look(&mut self, beat: &Beat, now: Instant, limit: Duration) -> Option<Held> {
        let (actor, polls) = (beat.actor.load(Ordering::Relaxed), beat.polls.load(Ordering::Relaxed));
        let time = now.saturating_duration_since(self.since);
        if (actor, polls) == (self.actor, self.polls) {
            if actor == 0 || self.told || time < limit {
                return None;
            }
            self.told = true;
            return Some(Held { actor: actor - 1, time, over: false });
        }
        let over = self.told.then(|| Held { actor: self.actor - 1, time, over: true });
        *self = Self { beat: std::mem::take(&mut self.beat), actor, polls, since: now, told: false };
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatcher::Dispatcher;
    use crate::testkit::t0;

    const LIMIT: Duration = Duration::from_millis(100);

    fn seen(beat: &Arc<Beat>) -> Seen {
        Seen { beat: Arc::downgrade(beat), actor: 0, polls: 0, since: t0(), told: false }
    }

    fn set(beat: &Beat, actor: u64, polls: u64) {
        beat.actor.store(actor, Ordering::Relaxed);
        beat.polls.store(polls, Ordering::Relaxed);
    }

    #[test]
    fn an_actor_that_holds_its_thread_is_told_once_at_the_limit_and_once_when_it_is_over() {
        let beat = Arc::new(Beat::default());
        let mut seen = seen(&beat);
        let at = |millis| t0() + Duration::from_millis(millis);
        set(&beat, 8, 1);
        assert_eq!(seen.look(&beat, at(0), LIMIT), None);
        assert_eq!(seen.look(&beat, at(99), LIMIT), None);
        assert_eq!(seen.look(&beat, at(100), LIMIT), Some(Held { actor: 7, time: LIMIT, over: false }));
        assert_eq!(seen.look(&beat, at(300), LIMIT), None);
        set(&beat, 0, 2);
        let time = Duration::from_millis(400);
        assert_eq!(seen.look(&beat, at(400), LIMIT), Some(Held { actor: 7, time, over: true }));
        assert_eq!(seen.look(&beat, at(900), LIMIT), None, "an idle thread holds up nobody");
    }

    #[test]
    fn an_actor_that_is_polled_again_and_again_holds_up_nobody() {
        let beat = Arc::new(Beat::default());
        let mut seen = seen(&beat);
        for poll in 1..100 {
            set(&beat, 8, poll);
            assert_eq!(seen.look(&beat, t0() + LIMIT * u32::try_from(poll).unwrap(), LIMIT), None);
        }
    }

    #[tokio::test]
    async fn threads_of_a_dispatcher_have_no_beat_and_those_of_the_runtime_have() {
        let env = crate::env::Env::tokio().unwrap();
        for (dispatcher, expected) in [
            (Dispatcher::shared(), true),
            (Dispatcher::pinned(), false),
            (Dispatcher::blocking("pool", std::num::NonZeroUsize::MIN), false),
        ] {
            let (tell, told) = tokio::sync::oneshot::channel();
            let work = async {
                note(Some(1));
                let _ = tell.send(MINE.with(|mine| matches!(*mine.borrow(), Mine::Watched(_))));
                note(None);
            };
            dispatcher.open(&env, "lane").unwrap().spawn(&env, String::new, work);
            assert_eq!(told.await, Ok(expected), "{dispatcher:?}");
        }
    }
}

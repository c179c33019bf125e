//! Which timers does an actor have, and what becomes of ticks it was too busy for?
//!
//! The timers of an actor lie in the actor, not in the mailbox: when one is due, and the actor is between two messages,
//! it makes its message and handles it. So a timer needs no room, cannot be dropped, ends with its actor, and a period
//! that passed several times meanwhile makes one message.
//!
//! # Invariants
//!
//! * A key has at most one timer: setting it again replaces the old one.
//! * `order` holds exactly one entry per timer: the moment at which it is due.
//! * A periodic timer stays on its grid: it is due at start + n × period, whatever is late.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use std::time::{Duration, Instant};

use crate::env::{Env, Sleep};

/// The shortest period: a period of zero would leave its actor no time for messages.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// The name of a timer within its actor.
type Key = Cow<'static, str>;

/// Makes the message of a timer.
type Make<M> = Box<dyn FnMut() -> M + Send>;

/// The timers of one actor.
pub(crate) struct TimerSet<M> {
    timers: BTreeMap<Key, Timer<M>>,
    /// When, in which order of setting → which.
    order: BTreeMap<(Instant, u64), Key>,
    settings: u64,
    sleep: Option<(Instant, Sleep)>,
}

struct Timer<M> {
    due: (Instant, u64),
    period: Option<Duration>,
    make: Option<Make<M>>,
}

impl<M> Default for TimerSet<M> {
    fn default() -> Self {
        Self { timers: BTreeMap::new(), order: BTreeMap::new(), settings: 0, sleep: None }
    }
}

impl<M> TimerSet<M> {
    fn set(&mut self, key: Key, at: Instant, period: Option<Duration>, make: Make<M>) {
        self.cancel(&key);
        self.settings += 1;
        let due = (at, self.settings);
        self.order.insert(due, key.clone());
        self.timers.insert(key, Timer { due, period, make: Some(make) });
    }

    fn cancel(&mut self, key: &str) -> bool {
        let Some(timer) = self.timers.remove(key) else { return false };
        self.order.remove(&timer.due);
        true
    }

    /// Ready with the key of a timer that is due. Wakes `cx` when one becomes due.
    pub(crate) fn poll_due(&mut self, env: &Env, cx: &mut Poller<'_>) -> Poll<()> {
        loop {
            let Some((&(at, _), _)) = self.order.first_key_value() else {
                self.sleep = None;
                return Poll::Pending;
            };
            match &mut self.sleep {
                Some((until, sleep)) if *until == at => return Pin::new(sleep).poll(cx),
                sleep => *sleep = Some((at, env.sleep_until(at))),
            }
        }
    }

    /// Takes the timer that is due first, if one is: the way to its message, and the next period, if it has one, set.
    /// [`put_back`](Self::put_back) returns the way of a periodic timer.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(Key, Make<M>)> {
        let (&due, key) = self.order.first_key_value()?;
        if due.0 > now {
            return None;
        }
        let key = key.clone();
        self.order.remove(&due);
        let timer = self.timers.get_mut(&key)?;
        let make = timer.make.take();
        if let Some(period) = timer.period {
            self.settings += 1;
            timer.due = (next_on_grid(due.0, period, now), self.settings);
            self.order.insert(timer.due, key.clone());
        } else {
            self.timers.remove(&key);
        }
        Some((key, make?))
    }

    /// Returns the way to the messages of a periodic timer, unless it was cancelled or set anew meanwhile.
    pub(crate) fn put_back(&mut self, key: &Key, make: Make<M>) {
        if let Some(timer) = self.timers.get_mut(key)
            && timer.make.is_none()
        {
            timer.make = Some(make);
        }
    }
}

/// The first moment after `now` on the grid of `period` through `due`.
fn next_on_grid(due: Instant, period: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due);
    let into_period_ns = late.as_nanos() % period.as_nanos().max(1);
    let into_period = Duration::from_nanos(u64::try_from(into_period_ns).unwrap_or(u64::MAX));
    now.checked_sub(into_period).unwrap_or(now).checked_add(period).unwrap_or(now)
}

/// The timers of an actor, from its [`Context`](crate::Context).
#[must_use = "a timer runs when it is set with `once` or `every`"]
pub struct Timers<'a, M> {
    pub(crate) set: &'a mut TimerSet<M>,
    pub(crate) env: &'a Env,
}

impl<M> Timers<'_, M> {
    /// Makes and handles one message when `after` has passed. A timer of this key that runs is replaced. With zero it
    /// is due at once: after the current message.
    ///
    /// A panic in `make` is a failure of the actor.
    pub fn once(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        after: Duration,
        make: impl FnOnce() -> M + Send + 'static,
    ) {
        let mut make = Some(make);
        let make = move || match make.take() {
            Some(make) => make(),
            None => unreachable!("a timer that runs once is taken out before it runs"),
        };
        let at = far(self.env.now(), after);
        self.set.set(key.into(), at, None, Box::new(make));
    }

    /// Makes and handles a message every `period`, first when one period has passed. A timer of this key that runs is
    /// replaced. Periods that pass while the actor is busy make one message; the grid stays. A period of less than
    /// 1 ms counts as 1 ms.
    ///
    /// A panic in `make` is a failure of the actor; the timer is then gone.
    pub fn every(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        period: Duration,
        make: impl FnMut() -> M + Send + 'static,
    ) {
        let period = period.max(PERIOD_MIN);
        let at = far(self.env.now(), period);
        self.set.set(key.into(), at, Some(period), Box::new(make));
    }

    /// Ends the timer of this key. Says whether there was one. No message of it comes any more.
    pub fn cancel(&mut self, key: &str) -> bool {
        self.set.cancel(key)
    }

    /// Whether a timer of this key runs.
    pub fn is_set(&self, key: &str) -> bool {
        self.set.timers.contains_key(key)
    }
}

/// `now + after`, or about a century from now where that does not exist.
fn far(now: Instant, after: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    now.checked_add(after.min(CENTURY)).unwrap_or(now)
}

impl<M> std::fmt::Debug for Timers<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.set.timers.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::t0;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn periods_that_passed_make_one_message_and_the_grid_stays() {
        let mut set = TimerSet::default();
        set.set("tick".into(), t0() + SECOND, Some(SECOND), Box::new(|| 7));
        let late = t0() + SECOND * 5 + Duration::from_millis(300);
        let (key, make) = set.take_due(late).expect("due");
        set.put_back(&key, make);
        assert!(set.take_due(late).is_none());
        assert!(set.take_due(t0() + SECOND * 6 - Duration::from_nanos(1)).is_none());
        assert!(set.take_due(t0() + SECOND * 6).is_some());
    }

    #[test]
    fn a_key_has_one_timer() {
        let mut set = TimerSet::default();
        set.set("a".into(), t0(), None, Box::new(|| 1));
        set.set("a".into(), t0() + SECOND, None, Box::new(|| 2));
        assert!(set.take_due(t0()).is_none());
        let (_, mut make) = set.take_due(t0() + SECOND).expect("due");
        assert_eq!(make(), 2);
        assert!(!set.cancel("a"));
    }

    #[test]
    fn timers_due_at_one_moment_run_in_the_order_in_which_they_were_set() {
        let mut set = TimerSet::default();
        for key in ["c", "a", "b"] {
            set.set(key.into(), t0(), None, Box::new(|| ()));
        }
        let keys: Vec<_> = std::iter::from_fn(|| set.take_due(t0()).map(|(key, _)| key)).collect();
        assert_eq!(keys, ["c", "a", "b"]);
    }

    proptest! {
        #[test]
        fn the_next_period_is_on_the_grid_and_in_the_future(period_ms in 1u64..5_000, late_ns in 0u64..100_000_000_000) {
            let period = Duration::from_millis(period_ms);
            let now = t0() + Duration::from_nanos(late_ns);
            let next = next_on_grid(t0(), period, now);
            prop_assert!(next > now && next <= now + period);
            prop_assert_eq!((next - t0()).as_nanos() % period.as_nanos(), 0);
        }
    }
}

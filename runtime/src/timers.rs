//! Which timers does an actor have, and what becomes of ticks it was too busy for?
//!
//! The timers of an actor lie in the actor, not in the mailbox: when one is due, and the actor is between two messages,
//! it makes its message and handles it. So a timer needs no room, cannot be dropped, ends with its actor, and a period
//! that passed several times meanwhile makes one message.
//!
//! A timer by the calendar is due when its `Schedule` wants to look at the wall clock, and fires when that says so.
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

#[cfg(feature = "cron")]
use crate::cron::{Cron, Schedule};
use crate::env::{Env, Sleep};
use crate::trace::{self, TraceContext};

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
    /// Whether a timer made the message before this one: then the mailbox has its turn.
    pub(crate) ran_last: bool,
}

/// One timer.
pub(crate) struct Timer<M> {
    due: (Instant, u64),
    again: Again,
    pub(crate) make: Make<M>,
    /// What the handler that set it was part of.
    pub(crate) trace: Option<TraceContext>,
}

/// What becomes of a timer that has fired.
enum Again {
    Never,
    /// One period after it was due.
    Every(Duration),
    /// When the calendar says so.
    #[cfg(feature = "cron")]
    Cron(Box<Schedule>),
}

impl<M> Default for TimerSet<M> {
    fn default() -> Self {
        Self { timers: BTreeMap::new(), order: BTreeMap::new(), settings: 0, sleep: None, ran_last: false }
    }
}

impl<M> TimerSet<M> {
    fn set(&mut self, key: Key, at: Instant, again: Again, make: Make<M>) {
        self.cancel(&key);
        self.settings += 1;
        let due = (at, self.settings);
        self.order.insert(due, key.clone());
        self.timers.insert(key, Timer { due, again, make, trace: TraceContext::current() });
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
                Some((until, sleep)) if *until == at => {
                    if Pin::new(sleep).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    if self.first_fires(env) {
                        return Poll::Ready(());
                    }
                }
                sleep => *sleep = Some((at, env.sleep_until(at))),
            }
        }
    }

    /// Whether the timer that is due first makes a message now. If it does not, it is due later.
    #[cfg(feature = "cron")]
    fn first_fires(&mut self, env: &Env) -> bool {
        let Some(first) = self.order.first_entry() else { return false };
        let Some(timer) = self.timers.get_mut(first.get()) else { return false };
        let Again::Cron(schedule) = &mut timer.again else { return true };
        let Some(wait) = schedule.look(env.wall()) else { return true };
        timer.due.0 = far(env.now(), wait);
        let key = first.remove();
        self.order.insert(timer.due, key);
        false
    }

    #[cfg(not(feature = "cron"))]
    #[expect(clippy::unused_self, reason = "without schedules, whatever is due fires")]
    fn first_fires(&mut self, _: &Env) -> bool {
        true
    }

    /// Takes out the timer that is due first, if one is. [`put_back`](Self::put_back) returns it when it has made its
    /// message: one that panics in that is gone, and leaves nothing behind that the others would wait for.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(Key, Timer<M>)> {
        let first = self.order.first_entry().filter(|entry| entry.key().0 <= now)?;
        let key = first.remove();
        let timer = self.timers.remove(&key)?;
        Some((key, timer))
    }

    /// Sets a timer that was due at `now` or before anew, if it fires again.
    pub(crate) fn put_back(&mut self, key: Key, timer: Timer<M>, now: Instant) {
        match timer.again {
            Again::Never => {}
            Again::Every(period) => {
                let next = next_on_grid(timer.due.0, period, now);
                trace::scope(timer.trace, || self.set(key, next, Again::Every(period), timer.make));
            }
            #[cfg(feature = "cron")]
            Again::Cron(mut schedule) => {
                schedule.ran();
                // Looks at once: there may be more to catch up with.
                trace::scope(timer.trace, || self.set(key, now, Again::Cron(schedule), timer.make));
            }
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
#[must_use = "a timer runs when it is set, with `once` or `every`"]
pub struct Timers<'a, M> {
    pub(crate) set: &'a mut TimerSet<M>,
    pub(crate) env: &'a Env,
}

impl<M> Timers<'_, M> {
    /// Makes and handles one message when `after` has passed. A timer of this key that runs is replaced. With zero it
    /// is due at once, after the current message; timers that are due and messages that wait take turns.
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
        self.set.set(key.into(), at, Again::Never, Box::new(make));
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
        self.set.set(key.into(), at, Again::Every(period), Box::new(make));
    }

    /// Makes and handles a message whenever the calendar says so, by the [wall clock](Env::wall). A timer of this key
    /// that runs is replaced. What comes after this call is run, never early and each occurrence once; what passed while
    /// the actor was busy, the machine slept or the clock was set forward is [`Missed`](crate::Missed), and runs as the
    /// schedule chooses.
    ///
    /// A step of the wall clock is noticed within 30 s. If it goes back, what has run is not run again, until the clock
    /// is where it was; if it goes back by more than 3 hours, it counts from there, and occurrences may come again.
    ///
    /// The timer ends with its incarnation, like the others, and `started` sets it anew; what passes in between is lost.
    ///
    /// A test moves the time with a [`Sim`](crate::testkit::Sim): a paused tokio clock does not move the wall clock.
    ///
    /// A panic in `make` is a failure of the actor; the timer is then gone.
    #[cfg(feature = "cron")]
    pub fn cron(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        schedule: Cron,
        make: impl FnMut() -> M + Send + 'static,
    ) {
        let schedule = Schedule::new(schedule, self.env.wall());
        self.set.set(key.into(), self.env.now(), Again::Cron(Box::new(schedule)), Box::new(make));
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
    const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
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
    use crate::actor::Actor;
    use crate::context::Context;
    use crate::failure::Failure;
    use crate::reply::ReplyTo;
    use crate::system::ActorSystem;
    use crate::testkit::{Sim, t0};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn periods_that_passed_make_one_message_and_the_grid_stays() {
        let mut set = TimerSet::default();
        set.set("tick".into(), t0() + SECOND, Again::Every(SECOND), Box::new(|| 7));
        let late = t0() + SECOND * 5 + Duration::from_millis(300);
        let (key, timer) = set.take_due(late).expect("due");
        set.put_back(key, timer, late);
        assert!(set.take_due(late).is_none());
        assert!(set.take_due(t0() + Duration::from_nanos(5_999_999_999)).is_none());
        assert!(set.take_due(t0() + SECOND * 6).is_some());
    }

    #[test]
    fn a_key_has_one_timer() {
        let mut set = TimerSet::default();
        set.set("a".into(), t0(), Again::Never, Box::new(|| 1));
        set.set("a".into(), t0() + SECOND, Again::Never, Box::new(|| 2));
        assert!(set.take_due(t0()).is_none());
        let (_, mut timer) = set.take_due(t0() + SECOND).expect("due");
        assert_eq!((timer.make)(), 2);
        assert!(!set.cancel("a"));
    }

    #[test]
    fn timers_due_at_one_moment_run_in_the_order_in_which_they_were_set() {
        let mut set = TimerSet::default();
        for key in ["c", "a", "b"] {
            set.set(key.into(), t0(), Again::Never, Box::new(|| ()));
        }
        let keys: Vec<_> = std::iter::from_fn(|| set.take_due(t0()).map(|(key, _)| key)).collect();
        assert_eq!(keys, ["c", "a", "b"]);
    }

    #[test]
    fn a_timer_that_is_not_put_back_is_gone_and_holds_up_no_other() {
        let mut set = TimerSet::default();
        set.set("panics".into(), t0(), Again::Every(SECOND), Box::new(|| 1));
        set.set("lives".into(), t0() + SECOND * 2, Again::Never, Box::new(|| 2));
        drop(set.take_due(t0()));
        assert!(!set.timers.contains_key("panics"));
        let (key, _) = set.take_due(t0() + SECOND * 5).expect("due");
        assert_eq!(key, "lives");
    }

    struct Hasty {
        ticks: u32,
    }

    enum HastyMsg {
        Tick,
        Ticks(ReplyTo<u32>),
    }

    impl Actor for Hasty {
        type Msg = HastyMsg;

        async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.timers().once("tick", Duration::ZERO, || HastyMsg::Tick);
            Ok(())
        }

        async fn receive(&mut self, msg: HastyMsg, ctx: &mut Context<Self>) -> Result<(), Failure> {
            match msg {
                HastyMsg::Tick if self.ticks < 1_000 => {
                    self.ticks += 1;
                    ctx.timers().once("tick", Duration::ZERO, || HastyMsg::Tick);
                }
                HastyMsg::Tick => {}
                HastyMsg::Ticks(reply) => reply.send(self.ticks),
            }
            Ok(())
        }
    }

    #[test]
    fn a_timer_that_sets_itself_anew_with_no_delay_starves_no_message() {
        let sim = Sim::new(1);
        let ticks = sim.block_on(async {
            let system = ActorSystem::builder("test").env(sim.env()).start().await.unwrap();
            let hasty = system.spawn("hasty", || Hasty { ticks: 0 }).unwrap();
            hasty.ask(HastyMsg::Ticks).await.unwrap()
        });
        assert!(ticks < 100, "{ticks} ticks came before the message");
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

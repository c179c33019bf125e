//! Runs a whole program in one thread, under virtual time, the same way every time.
//!
//! A [`Sim`] is an executor for tests. It polls one task at a time, draws which one goes next from a seeded
//! generator, and moves the time itself, so a day passes in microseconds and a rare interleaving can be had
//! again by its seed. It simulates time, chance and scheduling, and nothing else: no network and no disk.
//!
//! # Invariants
//!
//! * **The seed decides.** Nothing but the seed and the program has a say in a run or its log: no address, no
//!   thread, no clock, no randomly seeded map. The one exception is the program's own doing: wake-ups that
//!   arrive from other threads are safe, but arrive when they like.
//! * **Time stands still while anything can run.** It moves only when no task is runnable, and then exactly
//!   to the earliest timer. A timer that comes due while others run therefore fires after all of them.
//! * **Timers fire in order**: by time, and at the same time by when they were first polled. Those of one
//!   instant fire together; which of the woken tasks goes first is then drawn like everything else.
//! * **Foreign code never runs under a lock**: futures, wakers, closures and destructors may all call back
//!   into the [`Env`].

mod executor;
mod log;
mod timer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use crate::env::Env;

pub(crate) use executor::Executor;
pub(crate) use timer::Timer;

/// The zero of test time: an instant that stays the same for as long as the process lives, and at which every
/// [`Sim`] begins. Tests of code that is handed the time count from here.
#[must_use]
pub fn t0() -> Instant {
    crate::env::fixed_instant()
}

/// A deterministic world for tests: one thread, virtual time, and every choice drawn from a seed.
///
/// Inside it, waiting costs nothing: when no task can run, time jumps to the next timer.
///
/// ```
/// use omnitron_runtime::testkit::Sim;
/// use std::time::Duration;
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// let sim = Sim::new(42);
/// let env = sim.env();
/// let before = env.now();
/// sim.block_on(async { env.sleep(day).await });
/// assert_eq!(sim.now() - before, day);
/// ```
///
/// A task that panics ends the simulation's current call with a panic that names the task. Dropping the
/// simulation drops its tasks, oldest first; whatever is spawned after that is dropped at once.
pub struct Sim {
    executor: Arc<Executor>,
}

impl Sim {
    /// The most entries a [log](Sim::log) holds: one million. What comes after is only counted.
    pub const LOG_LIMIT: usize = 1_000_000;

    /// A world at [`t0`], in which `seed` makes every choice. It keeps no log.
    #[must_use]
    pub fn new(seed: u64) -> Sim {
        Sim { executor: Arc::new(Executor::new(seed, None)) }
    }

    /// Like [`new`](Sim::new), and keeps a [log](Sim::log) of everything that happens.
    #[must_use]
    pub fn logging(seed: u64) -> Sim {
        Sim { executor: Arc::new(Executor::new(seed, Some(Sim::LOG_LIMIT))) }
    }

    /// The seed this world was made with. A randomised test prints it first.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.executor.seed()
    }

    /// What the program under test asks for time, chance and tasks.
    #[must_use]
    pub fn env(&self) -> Env {
        Env::simulated(Arc::clone(&self.executor))
    }

    /// The virtual time now.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.executor.now()
    }

    /// The virtual time that has passed since this world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.executor.elapsed()
    }

    /// Sets the wall clock of this world, which ran from midnight UTC on the first of January 2020 until now, as an
    /// administrator or a time server would. The virtual time does not change.
    ///
    /// # Panics
    ///
    /// When `wall` is within 100 years of the first or the last moment that a `SystemTime` can express.
    pub fn set_wall(&self, wall: SystemTime) {
        let century = Executor::horizon() - t0();
        let is_far = wall.checked_add(century).is_some() && wall.checked_sub(century).is_some();
        assert!(is_far, "a wall clock needs 100 years in both directions");
        self.executor.set_wall(wall);
    }

    /// Runs `future`, and every task beside it, until `future` ends. What the tasks have left to do then waits
    /// for the next call.
    ///
    /// # Panics
    ///
    /// When a task panics, with its name; when `future` still waits, no task can run and no timer is set, with
    /// the names of the tasks that wait (a wake-up that another thread might yet send is not waited for); and
    /// when this simulation is already running.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _running = self.executor.enter();
        let mut future = pin!(future);
        let (id, wakeup) = self.executor.new_wakeup();
        let waker = Waker::from(Arc::clone(&wakeup));
        let mut context = Context::from_waker(&waker);
        waker.wake_by_ref();
        loop {
            match self.executor.draw() {
                Some(next) if next == id => {
                    wakeup.begin();
                    self.executor.log(format_args!("poll #{id} block_on"));
                    if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                        self.executor.log(format_args!("finish #{id} block_on"));
                        return output;
                    }
                }
                Some(next) => self.executor.step(next),
                None => {
                    let fired = self.executor.fire_next(Executor::horizon());
                    assert!(fired, "{}", self.executor.why_nothing_can_happen());
                }
            }
        }
    }

    /// Lets `duration` of virtual time pass, and runs everything that comes due until then.
    ///
    /// # Panics
    ///
    /// When a task panics; when this simulation is already running (code inside of it sleeps instead); and
    /// when time would pass the end of this world, 100 years after its beginning.
    pub fn advance(&self, duration: Duration) {
        let _running = self.executor.enter();
        let end = self.executor.now().checked_add(duration).filter(|&end| end <= Executor::horizon());
        let end = end.expect("a simulation ends 100 years after its beginning");
        self.run_up_to(end);
        self.executor.jump_to(end);
    }

    /// Runs tasks until none can run. Time stands still.
    ///
    /// # Panics
    ///
    /// When a task panics, and when this simulation is already running.
    pub fn run_until_idle(&self) {
        let _running = self.executor.enter();
        self.run_up_to(self.executor.now());
    }

    /// Runs tasks and moves time until no task can run and no timer is set, or `limit` has passed. Returns
    /// whether it has become quiet. If so, time stands where the last timer fired; if not, `limit` later.
    ///
    /// # Panics
    ///
    /// When a task panics, and when this simulation is already running.
    #[must_use = "a simulation that did not become quiet was cut short"]
    pub fn run_until_quiet(&self, limit: Duration) -> bool {
        let _running = self.executor.enter();
        let horizon = Executor::horizon();
        let end = self.executor.now().checked_add(limit).map_or(horizon, |end| end.min(horizon));
        self.run_up_to(end);
        let quiet = !self.executor.has_timers();
        if !quiet {
            self.executor.jump_to(end);
        }
        quiet
    }

    /// Everything that has happened, if this simulation was made by [`logging`](Sim::logging); else nothing.
    ///
    /// Every entry starts with the nanoseconds of virtual time that had passed: `1500 poll #3 /user/a`. Beside
    /// the program's own notes (`note`), an entry tells that a task was spawned (`spawn`), ran (`poll`), ended
    /// (`finish`) or failed (`panic`), and that a timer fired (`timer`). The same seed and program give the
    /// same entries, in any process. The log holds [`LOG_LIMIT`](Sim::LOG_LIMIT) entries; if more happened, a
    /// last one says how many are missing.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.executor.read_log()
    }

    /// The [log](Sim::log), which then starts anew.
    #[must_use]
    pub fn take_log(&self) -> Vec<String> {
        self.executor.take_log()
    }

    /// Runs all that can run and fires all that is due, up to and including `end`.
    fn run_up_to(&self, end: Instant) {
        loop {
            while let Some(id) = self.executor.draw() {
                self.executor.step(id);
            }
            if !self.executor.fire_next(end) {
                return;
            }
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // Tasks own clones of `Env`, and with them the executor that owns the tasks. This ends the circle.
        self.executor.close();
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.seed())
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

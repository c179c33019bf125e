//! What a simulation consists of: its tasks, its timers, its time and its chance.
//!
//! [`Sim`](super::Sim) decides when to step and when to move the time; this is what it, the program's
//! [`Env`](crate::env::Env) and the wakers share. Files above know nothing of the locks in here.
//!
//! # Invariants
//!
//! * A task is queued at most once, and never while it need not run: `Wakeup::queued` says whether it is.
//! * `State::now` only grows, and never beyond the deadline of a timer that has not fired.
//! * No foreign code runs under a lock. What is taken out of a map is dropped after the lock.
//! * Two generators, one for the order of tasks and one for the program's numbers: a program that draws one
//!   number more keeps its schedule.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use super::log::Log;
use super::t0;
use crate::env::HORIZON;

/// Midnight UTC on the first of January 2020, after 50 years of which 12 were leap years: the time of day at
/// which every simulation begins.
const WALL_AT_T0: Duration = Duration::from_hours((50 * 365 + 12) * 24);

/// The most waiting tasks that the report of a dead end names.
const NAMED_AT_MOST: usize = 100;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;
type Panic = Box<dyn Any + Send>;

/// The inside of one simulation.
pub(crate) struct Executor {
    seed: u64,
    /// Fixed, so that a simulation without a log does not lock to find out.
    logging: bool,
    running: AtomicBool,
    runnable: Arc<Runnable>,
    state: Mutex<State>,
}

struct State {
    now: Instant,
    /// What the wall clock would have shown at the beginning. Setting that clock moves it.
    wall_at_t0: SystemTime,
    /// Ordered maps: whoever walks through them meets the same order in every process.
    tasks: BTreeMap<u64, Task>,
    timers: BTreeMap<(Instant, u64), Waker>,
    next_task: u64,
    next_timer: u64,
    numbers: Xoshiro256PlusPlus,
    log: Log,
    /// The simulation is gone. Nothing is taken in any more.
    closed: bool,
}

struct Task {
    label: String,
    wakeup: Arc<Wakeup>,
    /// Away while it is polled.
    job: Option<Job>,
}

/// Tasks that can run, in no order that means anything: the next one is drawn.
///
/// Separate from the state, so that a waker, which may live anywhere and for ever, keeps no task alive.
struct Runnable {
    queue: Mutex<Queue>,
}

struct Queue {
    ids: Vec<u64>,
    order: Xoshiro256PlusPlus,
}

/// Makes one task runnable. Its waker.
pub(super) struct Wakeup {
    id: u64,
    queued: AtomicBool,
    runnable: Arc<Runnable>,
}

impl Wakeup {
    /// Wake-ups from here on ask for another poll.
    pub(super) fn begin(&self) {
        // Pairs with the swap below: what a thread did before it woke the task is seen by the poll.
        self.queued.swap(false, Ordering::AcqRel);
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.runnable.queue.lock().ids.push(self.id);
        }
    }
}

/// While it lives, a simulation is running and cannot be run a second time.
pub(super) struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Executor {
    pub(super) fn new(seed: u64, log_limit: Option<usize>) -> Executor {
        // Named algorithms, not `StdRng`: a seed means the same run after an update of `rand`.
        let mut order = Xoshiro256PlusPlus::seed_from_u64(seed);
        let numbers = Xoshiro256PlusPlus::from_rng(&mut order);
        Executor {
            seed,
            logging: log_limit.is_some(),
            running: AtomicBool::new(false),
            runnable: Arc::new(Runnable { queue: Mutex::new(Queue { ids: Vec::new(), order }) }),
            state: Mutex::new(State {
                now: t0(),
                wall_at_t0: SystemTime::UNIX_EPOCH + WALL_AT_T0,
                tasks: BTreeMap::new(),
                timers: BTreeMap::new(),
                next_task: 0,
                next_timer: 0,
                numbers,
                log: Log::new(log_limit.unwrap_or(0)),
                closed: false,
            }),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn now(&self) -> Instant {
        self.state.lock().now
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.state.lock().elapsed()
    }

    pub(crate) fn wall(&self) -> SystemTime {
        let state = self.state.lock();
        state.wall_at_t0 + state.elapsed()
    }

    pub(super) fn set_wall(&self, wall: SystemTime) {
        let mut state = self.state.lock();
        state.wall_at_t0 = wall - state.elapsed();
    }

    /// The last moment of every simulation.
    pub(crate) fn horizon() -> Instant {
        t0() + HORIZON
    }

    pub(crate) fn random_u64(&self) -> u64 {
        self.state.lock().numbers.next_u64()
    }

    pub(crate) fn note(&self, entry: impl FnOnce() -> String) {
        if self.logging {
            let entry = entry();
            self.log(format_args!("note {entry}"));
        }
    }

    pub(super) fn log(&self, entry: fmt::Arguments<'_>) {
        if self.logging {
            self.state.lock().log(entry);
        }
    }

    pub(super) fn read_log(&self) -> Vec<String> {
        let state = self.state.lock();
        state.log.read(state.elapsed())
    }

    pub(super) fn take_log(&self) -> Vec<String> {
        let mut state = self.state.lock();
        let elapsed = state.elapsed();
        state.log.take(elapsed)
    }

    /// Begins to run this simulation.
    pub(super) fn enter(&self) -> Running<'_> {
        let ran = self.running.swap(true, Ordering::Acquire);
        assert!(!ran, "this simulation is already running: code inside of it waits on its Env instead");
        Running(&self.running)
    }

    /// The number and the waker of something that can be made runnable.
    pub(super) fn new_wakeup(&self) -> (u64, Arc<Wakeup>) {
        self.state.lock().new_wakeup(&self.runnable)
    }

    pub(crate) fn spawn(&self, label: String, job: Job) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            drop(job);
            return;
        }
        let (id, wakeup) = state.new_wakeup(&self.runnable);
        if self.logging {
            state.log(format_args!("spawn #{id} {label}"));
        }
        state.tasks.insert(id, Task { label, wakeup: Arc::clone(&wakeup), job: Some(job) });
        drop(state);
        wakeup.wake();
    }

    /// Takes out the runnable task that goes next. None if no task can run.
    pub(super) fn draw(&self) -> Option<u64> {
        let Queue { ids, order } = &mut *self.runnable.queue.lock();
        match ids.len() {
            0 => None,
            1 => ids.pop(),
            count => Some(ids.swap_remove(below(count, order))),
        }
    }

    /// Polls a task that was drawn. A panic of the task becomes a panic of the caller, with the task's name.
    pub(super) fn step(&self, id: u64) {
        let Some((mut job, wakeup)) = self.take_job(id) else {
            return; // Woken, and finished before its turn came.
        };
        wakeup.begin();
        let waker = Waker::from(wakeup);
        let polled = catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(&mut Context::from_waker(&waker))));
        if let Ok(Poll::Pending) = polled {
            self.state.lock().tasks.get_mut(&id).expect("a task leaves only below").job = Some(job);
            return;
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(job)));
        let outcome = polled.and(dropped);
        let task = self.retire(id, if outcome.is_ok() { "finish" } else { "panic" });
        if let Err(panic) = outcome {
            panic!(
                "task `{}` panicked (seed {}, after {:?}): {}",
                task.label,
                self.seed,
                self.elapsed(),
                text_of(panic.as_ref()),
            );
        }
    }

    fn take_job(&self, id: u64) -> Option<(Job, Arc<Wakeup>)> {
        let mut state = self.state.lock();
        let State { tasks, log, now, .. } = &mut *state;
        let task = tasks.get_mut(&id)?;
        let job = task.job.take()?;
        if self.logging {
            log.push(*now - t0(), format_args!("poll #{id} {}", task.label));
        }
        Some((job, Arc::clone(&task.wakeup)))
    }

    fn retire(&self, id: u64, what: &str) -> Task {
        let mut state = self.state.lock();
        let task = state.tasks.remove(&id).expect("a task leaves only here");
        if self.logging {
            state.log(format_args!("{what} #{id} {}", task.label));
        }
        task
    }

    /// Polls a timer: over, or registered (under `registered`, from then on) until it is.
    pub(super) fn poll_timer(
        &self,
        deadline: Instant,
        registered: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<()> {
        let waker = waker.clone();
        let mut state = self.state.lock();
        if state.now >= deadline {
            *registered = None; // It has fired, and that took it out.
            return Poll::Ready(());
        }
        if state.closed {
            return Poll::Pending;
        }
        let number = *registered.get_or_insert_with(|| state.new_timer());
        let replaced = state.timers.insert((deadline, number), waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// Takes a timer out that nobody waits for any more.
    pub(super) fn forget_timer(&self, deadline: Instant, number: u64) {
        let waker = self.state.lock().timers.remove(&(deadline, number));
        drop(waker);
    }

    pub(super) fn has_timers(&self) -> bool {
        !self.state.lock().timers.is_empty()
    }

    /// Moves time to the earliest timer and fires all timers of that instant. False, and nothing has happened,
    /// if there is none up to and including `end`.
    pub(super) fn fire_next(&self, end: Instant) -> bool {
        let mut due = Vec::new();
        let mut state = self.state.lock();
        let earliest = match state.timers.first_key_value() {
            Some((&(earliest, _), _)) if earliest <= end => earliest,
            _ => return false,
        };
        assert!(earliest > state.now, "a timer that was due has not fired");
        state.now = earliest;
        while let Some(entry) = state.timers.first_entry().filter(|entry| entry.key().0 == earliest) {
            let ((_, number), waker) = entry.remove_entry();
            due.push(waker);
            if self.logging {
                state.log(format_args!("timer #{number}"));
            }
        }
        drop(state);
        due.into_iter().for_each(Waker::wake);
        true
    }

    /// Moves time over a stretch in which no timer is set.
    pub(super) fn jump_to(&self, end: Instant) {
        let mut state = self.state.lock();
        let earliest = state.timers.first_key_value().map(|(&(deadline, _), _)| deadline);
        assert!(earliest.is_none_or(|deadline| deadline > end), "time would jump over a timer");
        state.now = end;
    }

    /// The report of a dead end, for whoever has to find out why.
    pub(super) fn why_nothing_can_happen(&self) -> String {
        use fmt::Write;
        let state = self.state.lock();
        let mut report = format!(
            "nothing can ever happen again (seed {}, after {:?}): the future given to block_on waits, but no \
             task can run and no timer is set. ",
            self.seed,
            state.elapsed(),
        );
        let mut labels = state.tasks.values().map(|task| task.label.as_str());
        match labels.next() {
            None => report.push_str("There is no other task."),
            Some(first) => {
                let _ = write!(report, "Tasks that wait: `{first}`");
                for label in labels.by_ref().take(NAMED_AT_MOST - 1) {
                    let _ = write!(report, ", `{label}`");
                }
                match labels.count() {
                    0 => {}
                    more => {
                        let _ = write!(report, " and {more} more");
                    }
                }
            }
        }
        report
    }

    /// Drops all tasks, oldest first, and takes in no new ones.
    ///
    /// One destructor that panics does not keep the others from running. Its panic goes on from here, unless
    /// the thread is panicking already: a second one would abort the process and hide the first.
    pub(super) fn close(&self) {
        let (tasks, timers) = {
            let mut state = self.state.lock();
            state.closed = true;
            (mem::take(&mut state.tasks), mem::take(&mut state.timers))
        };
        let mut first: Option<Panic> = None;
        for task in tasks.into_values() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(task))) {
                first.get_or_insert(panic);
            }
        }
        drop(timers);
        if let Some(panic) = first
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

impl State {
    fn elapsed(&self) -> Duration {
        self.now - t0()
    }

    fn log(&mut self, entry: fmt::Arguments<'_>) {
        let elapsed = self.elapsed();
        self.log.push(elapsed, entry);
    }

    fn new_wakeup(&mut self, runnable: &Arc<Runnable>) -> (u64, Arc<Wakeup>) {
        let id = self.next_task;
        self.next_task += 1;
        let wakeup = Wakeup { id, queued: AtomicBool::new(false), runnable: Arc::clone(runnable) };
        (id, Arc::new(wakeup))
    }

    fn new_timer(&mut self) -> u64 {
        let number = self.next_timer;
        self.next_timer += 1;
        number
    }
}

/// A number below `count`. By multiplication instead of through `rand`'s distributions, whose algorithm may
/// change with an update; the bias is below 2⁻³² for any number of tasks that fits into memory.
fn below(count: usize, order: &mut Xoshiro256PlusPlus) -> usize {
    let drawn = (u128::from(order.next_u64()) * count as u128) >> 64;
    usize::try_from(drawn).expect("a share of a usize is a usize")
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(a panic without text)")
}

//! Who runs the actors of the shared dispatcher?
//!
//! An actor is not a task of tokio. A few *drivers* are: one per worker thread of the runtime. Each runs actors from a
//! queue of its own, steals from the others when that is empty, and gives way to tokio every so often. An actor that
//! wakes another one on the same driver costs a push and a pop; only a second one that could run wakes another driver.
//! Where a handler blocks its thread nevertheless, what waits behind it is found by those who look from time to time.
//!
//! Who asks an actor that sleeps may run it on the spot, in its own poll: see [`catching`].
//!
//! # Invariants
//!
//! * An actor is in the queues at most once, so they are never longer than the actors there are.
//! * No wake-up is lost: see [`sleepers`]. What a driver's actors wake is run by that driver, if by nobody else.
//! * A queue that has closed, because its runtime is gone, keeps nothing: what comes is dropped, which ends the actor.

mod driver;
mod sleepers;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Weak};

use async_task::{Runnable, ScheduleInfo, WithInfo};
use crossbeam_deque::{Steal, Stealer, Worker};
use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};
use tracing::Span;

use crate::failure::catch;
use driver::{Driver, Turns};
use sleepers::Sleepers;

/// What a driver takes from the queue of all at once.
const SHARE_LIMIT: usize = 32;
/// A queue of all that is drained keeps room for so many.
const KEEP: usize = 1024;
/// Asks that may run inside each other on one stack.
const DEPTH_LIMIT: u8 = 4;

/// The queues of one runtime.
pub(crate) struct RunQueue {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Id,
    /// What was woken elsewhere than in a driver.
    injected: Mutex<VecDeque<Runnable>>,
    stealers: Vec<Stealer<Runnable>>,
    /// Of each driver, and behind them of all spare ones.
    turns: Vec<Turns>,
    /// How many turns there were when it was last looked whether the drivers get on.
    seen: Mutex<Vec<u32>>,
    /// A spare driver was started, and has not run yet.
    spare_comes: AtomicBool,
    /// Drivers that found nothing to do.
    sleepers: Sleepers,
    closed: AtomicBool,
    /// Nobody will put anything into the queues any more.
    over: AtomicBool,
    /// Those whose actors sleep when the runtime goes.
    homes: Mutex<Vec<Weak<dyn Home>>>,
}

/// Whose actors run on a queue.
pub(crate) trait Home: Send + Sync {
    /// Wakes all of them.
    fn rouse(&self);
}

/// What a thread does for the run queue.
struct Here {
    /// Set while a driver is polled on this thread.
    local: RefCell<Option<Local>>,
    caught: RefCell<Caught>,
    /// How many actors run inside each other by [`run_caught`].
    depth: Cell<u8>,
    /// The queue whose runnables are being dropped further up on this stack, by its address; or 0.
    drops: Cell<usize>,
    /// Set while a lock is held under which nothing may be dropped: the queues whose turn comes afterwards.
    later: RefCell<Option<Vec<Arc<Shared>>>>,
}

/// The queue of the driver that is polled.
struct Local {
    shared: Arc<Shared>,
    queue: Worker<Runnable>,
    /// An actor gave way with work left.
    gave_way: bool,
    /// Another driver was woken. It waits in a place of this worker that no other looks at until this driver gives way.
    called: bool,
}

/// Whether the next actor that is woken on this thread is kept for the one who wakes it.
pub(crate) enum Caught {
    /// Nothing is to be caught.
    No,
    /// Nobody was woken so far.
    Waits,
    Runnable(Runnable),
}

thread_local! {
    static HERE: Here = const {
        Here {
            local: RefCell::new(None),
            caught: RefCell::new(Caught::No),
            depth: Cell::new(0),
            drops: Cell::new(0),
            later: RefCell::new(None),
        }
    };
}

impl RunQueue {
    /// Starts one driver per worker thread of `runtime`.
    #[expect(clippy::disallowed_methods, reason = "called by the door to tasks")]
    pub(crate) fn start(runtime: &Handle) -> Self {
        let queues: Vec<_> =
            (0..runtime.metrics().num_workers().max(1)).map(|_| Worker::new_fifo()).collect();
        let shared = Arc::new(Shared {
            runtime: runtime.id(),
            injected: Mutex::default(),
            stealers: queues.iter().map(Worker::stealer).collect(),
            turns: (0..=queues.len()).map(|_| Turns::default()).collect(),
            seen: Mutex::default(),
            spare_comes: AtomicBool::new(false),
            sleepers: Sleepers::new(),
            closed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            homes: Mutex::default(),
        });
        for (number, queue) in queues.into_iter().enumerate() {
            drop(runtime.spawn(Driver::new(shared.clone(), number, queue)));
        }
        Self { shared }
    }

    /// Runs `future` until it ends, or until the runtime is gone.
    pub(crate) fn run(&self, future: impl Future<Output = ()> + Send + 'static) {
        let shared = self.shared.clone();
        let schedule =
            move |runnable, info: ScheduleInfo| shared.schedule(runnable, info.woken_while_running);
        let (runnable, task) = async_task::spawn(future, WithInfo(schedule));
        task.detach();
        runnable.schedule();
    }

    /// Sees to it that somebody runs what waits, though all drivers that are awake may be held up by handlers that block.
    /// Called from time to time.
    #[expect(clippy::disallowed_methods, reason = "called by the door to tasks")]
    pub(crate) fn look_after(&self, runtime: &Handle) {
        let shared = &self.shared;
        let turns: Vec<u32> = shared.turns.iter().map(Turns::count).collect();
        let seen = std::mem::replace(&mut *shared.seen.lock(), turns.clone());
        let stands = |driver: usize| seen.get(driver) == turns.get(driver);
        let behind = shared.stealers.iter().enumerate().any(|(n, queue)| stands(n) && !queue.is_empty());
        let waits = behind || (seen == turns && !shared.injected.lock().is_empty());
        if waits && !shared.sleepers.call_another() && !shared.spare_comes.swap(true, Ordering::Relaxed) {
            drop(runtime.spawn(Driver::spare(shared.clone())));
        }
    }

    /// The actors of `home` end with the runtime.
    pub(crate) fn house(&self, home: Weak<dyn Home>) {
        let mut homes = self.shared.homes.lock();
        homes.retain(|home| home.strong_count() > 0);
        homes.push(home);
    }

    /// Whether the runtime is gone: whatever is woken is dropped.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }
}

impl Drop for RunQueue {
    /// The environment is gone, and with it all systems: the drivers end.
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.sleepers.call_all();
    }
}

impl Shared {
    fn schedule(self: &Arc<Self>, runnable: Runnable, gives_way: bool) {
        // A thread that is ending polls no driver and catches nothing.
        let mut runnable = Some(runnable);
        let _ = HERE.try_with(|here| {
            let mut caught = here.caught.borrow_mut();
            if matches!(*caught, Caught::Waits) && self.is_here(here) {
                *caught = runnable.take().map_or(Caught::No, Caught::Runnable);
                return;
            }
            drop(caught);
            if let Some(local) = &mut *here.local.borrow_mut()
                && Arc::ptr_eq(&local.shared, self)
                && let Some(runnable) = runnable.take()
            {
                local.gave_way |= gives_way;
                local.queue.push(runnable);
                if local.queue.len() > 1 {
                    local.called |= self.sleepers.call_another();
                }
            }
        });
        let Some(runnable) = runnable else { return };
        self.injected.lock().push_back(runnable);
        // Has a fence, which pairs with the one of the end, too.
        self.sleepers.call();
        if self.closed.load(Ordering::Relaxed) {
            self.drop_all();
        }
    }

    /// Whether code that needs the runtime may run on this thread.
    fn is_here(self: &Arc<Self>, here: &Here) -> bool {
        here.local.borrow().as_ref().is_some_and(|local| Arc::ptr_eq(&local.shared, self))
            || Handle::try_current().is_ok_and(|handle| handle.id() == self.runtime)
    }

    /// Whether any queue holds something.
    fn has_work(&self) -> bool {
        !self.injected.lock().is_empty() || self.stealers.iter().any(|stealer| !stealer.is_empty())
    }

    fn turns(&self, number: Option<usize>) -> &Turns {
        &self.turns[number.unwrap_or(self.stealers.len())]
    }

    /// Something from the queue of all.
    fn injected(&self, queue: &Worker<Runnable>) -> Option<Runnable> {
        let mut injected = self.injected.lock();
        let next = injected.pop_front();
        // A fair share of what is left, so that one visit does for many.
        let share = (injected.len() / self.stealers.len()).min(SHARE_LIMIT);
        injected.drain(..share).for_each(|runnable| queue.push(runnable));
        if injected.is_empty() && injected.capacity() > KEEP {
            injected.shrink_to(KEEP);
        }
        next
    }

    /// Something from the queue of all, or from that of another driver.
    fn find(&self, number: usize, queue: &Worker<Runnable>) -> Option<Runnable> {
        self.injected(queue).or_else(|| {
            let (before, after) = self.stealers.split_at(number + 1);
            let mut others = after.iter().chain(before);
            others.find_map(|other| until_settled(|| other.steal_batch_and_pop(queue)))
        })
    }

    /// One thing from any queue, for a spare driver, which keeps nothing that others could not find.
    fn find_one(&self) -> Option<Runnable> {
        let injected = self.injected.lock().pop_front();
        injected.or_else(|| self.stealers.iter().find_map(|queue| until_settled(|| queue.steal())))
    }

    /// Whether a driver has a reason not to sleep.
    fn has_news(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.has_work()
    }

    /// The runtime goes: whatever waits is dropped, and so is whatever is woken from now on, which all that sleep are.
    /// Called for every driver, because the others may run actors still, and those may fall asleep.
    fn close(self: &Arc<Self>) {
        self.closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.drop_all();
        let homes = self.homes.lock().clone();
        for home in homes.iter().filter_map(Weak::upgrade) {
            home.rouse();
        }
    }

    /// Drops what waits, one after the other: a drop may wake others, which come here, too.
    fn drop_all(self: &Arc<Self>) {
        let this = Arc::as_ptr(self).addr();
        let outer = HERE.try_with(|here| {
            if let Some(later) = &mut *here.later.borrow_mut() {
                later.push(self.clone());
                return this;
            }
            here.drops.replace(this)
        });
        let outer = outer.unwrap_or_default();
        if outer == this {
            return;
        }
        loop {
            let Some(runnable) = self.injected.lock().pop_front() else { break };
            // What a user drops may panic; the others are to be dropped all the same.
            let _ = catch(|| drop(runnable));
        }
        let _ = HERE.try_with(|here| here.drops.set(outer));
    }
}

fn until_settled<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(found) => return Some(found),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

/// Runs `wake`; an actor that it wakes is kept, if it may run here. Whoever gets it runs it, by [`run_caught`].
/// `None` where nothing may run on the spot.
pub(crate) fn catching<R>(wake: impl FnOnce() -> R) -> (R, Option<Caught>) {
    let waits = HERE.try_with(|here| {
        // What the handler logs would be part of the asker's span.
        let may = here.depth.get() < DEPTH_LIMIT && Span::current().is_none();
        if may {
            here.caught.replace(Caught::Waits);
        }
        may
    });
    let result = wake();
    if waits != Ok(true) {
        return (result, None);
    }
    (result, HERE.try_with(|here| here.caught.replace(Caught::No)).ok())
}

/// Runs `locked`, which wakes actors under a lock. Where that drops them, because their runtime is gone, it does so
/// afterwards.
pub(crate) fn drops_later<R>(locked: impl FnOnce() -> R) -> R {
    let outer = HERE.try_with(|here| here.later.replace(Some(Vec::new())));
    let result = locked();
    let Ok(outer) = outer else { return result };
    let queues = HERE.try_with(|here| here.later.replace(outer)).ok().flatten();
    for queue in queues.into_iter().flatten() {
        queue.drop_all();
    }
    result
}

/// Runs an actor on the spot.
pub(crate) fn run_caught(runnable: Runnable) {
    let deeper = |by: fn(u8) -> u8| HERE.try_with(|here| here.depth.set(by(here.depth.get())));
    let _ = deeper(|depth| depth + 1);
    let _ = catch(|| runnable.run());
    let _ = deeper(|depth| depth - 1);
}

//! The only door to time, randomness, hashers, threads and task spawning.
//!
//! Whatever in this crate wants to know the time, wait, draw a number, hash or start something asks an
//! [`Env`]. On tokio the answers come from the machine; in a [simulation](crate::testkit::Sim) every one of
//! them follows from a seed, and the code that asks cannot tell the difference. Files and sockets do not
//! pass here: they have contracts of their own.
//!
//! # Invariants
//!
//! * No other file calls a clock, a timer, a source of randomness, a randomly seeded hasher, or starts a
//!   thread or a task: `clippy.toml` bans those calls, and each one below says why it may be made here.
//! * Cloning an [`Env`] counts one reference up.
//! * No lock is held while foreign code (a future, a waker, a closure, a destructor) runs.

use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use foldhash::SharedSeed;
use foldhash::quality::{FoldHasher, SeedableRandomState};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Handle;

use crate::run_queue::{Home, RunQueue};
use crate::testkit::sim::{Executor, Timer};

/// How far an environment looks ahead, counted from its beginning: 100 years of 365 days. What is due later
/// than that never happens, which keeps every sum of times far away from an overflow.
pub(crate) const HORIZON: Duration = Duration::from_hours(100 * 365 * 24);

/// Where an actor system gets its time, its randomness, its threads and its tasks from.
///
/// Either the tokio runtime it was [made on](Env::tokio), or a [simulation](crate::testkit::Sim::env) that
/// moves the time by itself and repeats a run exactly. Actors that ask their `Env` instead of the machine can
/// be tested in both. Clones are cheap and stand for the same environment.
#[derive(Clone)]
pub struct Env {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Tokio(Arc<Tokio>),
    Sim(Arc<Executor>),
}

struct Tokio {
    runtime: Handle,
    horizon: Instant,
    random: Mutex<StdRng>,
    /// Runs actors. Made with the first of them.
    run_queue: OnceLock<RunQueue>,
}

/// There is no tokio runtime here to take time and tasks from. Nothing was started.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no tokio runtime: call this inside of one, for example in a function marked #[tokio::main]")]
pub struct NoRuntime;

impl Env {
    /// The environment of the tokio runtime that runs the caller.
    ///
    /// The runtime needs its time driver: `#[tokio::main]` turns it on, and so does
    /// [`enable_time`](tokio::runtime::Builder::enable_time). Without it, sleeping panics.
    ///
    /// # Errors
    ///
    /// [`NoRuntime`] when the caller does not run inside a tokio runtime.
    pub fn tokio() -> Result<Env, NoRuntime> {
        let runtime = Handle::try_current().map_err(|_| NoRuntime)?;
        let horizon = tokio_now() + HORIZON;
        let random = Mutex::new(StdRng::from_seed(seed_of_this_machine()));
        Ok(Env {
            kind: Kind::Tokio(Arc::new(Tokio { runtime, horizon, random, run_queue: OnceLock::new() })),
        })
    }

    /// The environment inside a simulation.
    pub(crate) fn simulated(executor: Arc<Executor>) -> Env {
        Env { kind: Kind::Sim(executor) }
    }

    /// Whether time and chance come from a simulation.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        matches!(self.kind, Kind::Sim(_))
    }

    /// The time now, for measuring and for deadlines. Never runs backwards.
    ///
    /// On tokio this is tokio's clock, so it stands still while a test has paused that one.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.kind {
            Kind::Tokio(_) => tokio_now(),
            Kind::Sim(executor) => executor.now(),
        }
    }

    /// The time of day, for people and for records. May jump in both directions on a real machine; a
    /// simulation begins at midnight UTC on the first of January 2020, and a test may
    /// [set](crate::testkit::Sim::set_wall) it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the door to the time of day")]
    pub fn wall(&self) -> SystemTime {
        match &self.kind {
            Kind::Tokio(_) => SystemTime::now(),
            Kind::Sim(executor) => executor.wall(),
        }
    }

    /// Waits until `deadline`. Ends at once when that has passed.
    ///
    /// A deadline more than 100 years after this environment began never comes.
    #[expect(clippy::disallowed_methods, reason = "the door to waiting")]
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        let kind = match &self.kind {
            Kind::Tokio(tokio) if deadline <= tokio.horizon => {
                // tokio looks its timers up in the thread it is called on, which may be a foreign one.
                let _inside = tokio.runtime.enter();
                Sleeping::Tokio(Box::pin(tokio::time::sleep_until(deadline.into())))
            }
            Kind::Sim(executor) if deadline <= Executor::horizon() => {
                Sleeping::Sim(Timer::new(Arc::clone(executor), deadline))
            }
            Kind::Tokio(_) | Kind::Sim(_) => Sleeping::Forever,
        };
        Sleep { kind }
    }

    /// Waits for `duration`, counted from this call. Zero does not wait.
    ///
    /// A wait that ends more than 100 years after this environment began never ends.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        match self.now().checked_add(duration) {
            Some(deadline) => self.sleep_until(deadline),
            None => Sleep { kind: Sleeping::Forever },
        }
    }

    /// A random number. Not for secrets: in a simulation it follows from the seed.
    #[must_use]
    pub fn random_u64(&self) -> u64 {
        match &self.kind {
            Kind::Tokio(tokio) => tokio.random.lock().next_u64(),
            Kind::Sim(executor) => executor.random_u64(),
        }
    }

    /// A random number from 0 up to, but never, 1. Every multiple of 2⁻⁵³ is equally likely.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit into the mantissa exactly")]
    pub fn random_unit(&self) -> f64 {
        const ULP: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.random_u64() >> 11) as f64 * ULP
    }

    /// Runs `future` as a task of its own, until it ends or the environment does.
    ///
    /// `label` names the task in a simulation's log and panics; on tokio it is not evaluated. There, `future`
    /// goes to the runtime as it is, without a box of its own.
    #[expect(clippy::disallowed_methods, reason = "the door to tasks")]
    pub fn spawn(&self, label: impl FnOnce() -> String, future: impl Future<Output = ()> + Send + 'static) {
        match &self.kind {
            Kind::Tokio(tokio) => drop(tokio.runtime.spawn(future)),
            Kind::Sim(executor) => executor.spawn(label(), Box::pin(future)),
        }
    }

    /// As [`spawn`](Self::spawn), for an actor: on tokio it runs on the [run queue](crate::run_queue).
    pub(crate) fn run(
        &self,
        label: impl FnOnce() -> String,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        match &self.kind {
            Kind::Tokio(tokio) => {
                tokio.run_queue().run(future);
            }
            Kind::Sim(executor) => executor.spawn(label(), Box::pin(future)),
        }
    }

    /// Sees to it that the run queue gets on.
    pub(crate) fn look_after_run_queue(&self) {
        if let Kind::Tokio(tokio) = &self.kind
            && let Some(run_queue) = tokio.run_queue.get()
        {
            run_queue.look_after(&tokio.runtime);
        }
    }

    /// The actors of `home` end with the runtime. In a simulation they are tasks, and do so by themselves.
    pub(crate) fn house(&self, home: Weak<dyn Home>) {
        if let Kind::Tokio(tokio) = &self.kind {
            tokio.run_queue().house(home);
        }
    }

    /// Whether the runtime is gone, and nothing can run on the run queue any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(&self.kind, Kind::Tokio(tokio) if tokio.run_queue().is_closed())
    }

    /// Runs `work` on a thread of its own with the given name, inside of the tokio runtime: it may use what needs one.
    /// Null bytes in the name are left out.
    ///
    /// A simulation has one thread only, so there `work` runs as one step of a task: to block in it until
    /// another task has done something is to block for good.
    ///
    /// # Errors
    ///
    /// What the operating system says when it has no thread to give. `work` did not run and is dropped. Never
    /// in a simulation.
    #[expect(clippy::disallowed_methods, reason = "the door to threads")]
    pub fn thread(&self, name: impl Into<String>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        match &self.kind {
            Kind::Tokio(tokio) => {
                let tokio = tokio.clone();
                let work = move || {
                    let _inside = tokio.runtime.enter();
                    work();
                };
                std::thread::Builder::new().name(name.into().replace('\0', "")).spawn(work).map(drop)
            }
            Kind::Sim(executor) => {
                executor.spawn(name.into(), Box::pin(async move { work() }));
                Ok(())
            }
        }
    }

    /// What builds the hashers of maps. All hashers of one environment agree with each other.
    pub(crate) fn hasher(&self) -> Hashers {
        match &self.kind {
            Kind::Tokio(_) => {
                let (own, shared) = &*PROCESS_SEEDS;
                Hashers { state: SeedableRandomState::with_seed(*own, shared) }
            }
            Kind::Sim(executor) => {
                Hashers { state: SeedableRandomState::with_seed(executor.seed(), SharedSeed::global_fixed()) }
            }
        }
    }

    /// Appends a line to a simulation's log. Elsewhere `entry` is not even called.
    pub(crate) fn note(&self, entry: impl FnOnce() -> String) {
        if let Kind::Sim(executor) = &self.kind {
            executor.note(entry);
        }
    }
}

impl Tokio {
    fn run_queue(&self) -> &RunQueue {
        self.run_queue.get_or_init(|| RunQueue::start(&self.runtime))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Tokio(_) => f.write_str("Env(tokio)"),
            Kind::Sim(executor) => write!(f, "Env(simulation, seed {})", executor.seed()),
        }
    }
}

/// A wait that [`Env::sleep`] or [`Env::sleep_until`] began. Dropping it forgets the wait.
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Sleep {
    kind: Sleeping,
}

enum Sleeping {
    /// Boxed, because tokio's timer must not move and a `Sleep` may.
    Tokio(Pin<Box<tokio::time::Sleep>>),
    Sim(Timer),
    Forever,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.kind {
            Sleeping::Tokio(sleep) => sleep.as_mut().poll(context),
            Sleeping::Sim(timer) => timer.poll(context),
            Sleeping::Forever => Poll::Pending,
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

/// Builds the hashers of one environment. Keys that an adversary chooses cannot be made to collide without
/// knowing a seed, which on a real machine is drawn anew by every process.
#[derive(Clone, Debug)]
pub(crate) struct Hashers {
    state: SeedableRandomState,
}

impl BuildHasher for Hashers {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> FoldHasher<'static> {
        self.state.build_hasher()
    }
}

/// One pair of seeds for the whole process, so that environments made one after another agree as well.
static PROCESS_SEEDS: LazyLock<(u64, SharedSeed)> = LazyLock::new(|| {
    let [own, shared, ..] = words_of_this_machine();
    (own, SharedSeed::from_u64(shared))
});

/// The moment this process first asked for it: a fixed point for tests that need any instant at all.
pub(crate) fn fixed_instant() -> Instant {
    static FIXED: OnceLock<Instant> = OnceLock::new();
    *FIXED.get_or_init(tokio_now)
}

/// Tokio's clock is the machine's clock, except in a test that paused it. With the machine's own clock such a
/// test would wait for deadlines that, after tokio has moved its time, always seem to have passed.
#[expect(clippy::disallowed_methods, reason = "the door to the clock")]
fn tokio_now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn seed_of_this_machine() -> [u8; 32] {
    let mut seed = [0; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(words_of_this_machine()) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    seed
}

/// 128 bits from the operating system, spread over four words. The keys of a `RandomState` are the one thing
/// in `std` that the operating system draws; a crate only for this would be one more to trust.
#[expect(clippy::disallowed_types, reason = "the door to the machine's randomness")]
fn words_of_this_machine() -> [u64; 4] {
    let keys = std::hash::RandomState::new();
    [0_u8, 1, 2, 3].map(|word| keys.hash_one(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Sim, t0};
    use futures_util::FutureExt;
    use std::sync::mpsc;
    use tokio::sync::oneshot;

    #[test]
    fn without_a_runtime_the_error_says_what_to_do() {
        let error = Env::tokio().unwrap_err();
        assert_eq!(error, NoRuntime);
        assert!(error.to_string().contains("#[tokio::main]"), "{error}");
    }

    #[tokio::test]
    async fn a_task_on_tokio_runs_and_its_label_is_not_evaluated() {
        let env = Env::tokio().unwrap();
        let (done, finished) = oneshot::channel();
        env.spawn(|| unreachable!("labels cost nothing here"), async move {
            done.send(7).unwrap();
        });
        assert_eq!(finished.await, Ok(7));
    }

    #[tokio::test]
    async fn a_note_on_tokio_is_not_even_made() {
        Env::tokio().unwrap().note(|| unreachable!("nobody could read it"));
    }

    #[tokio::test]
    async fn time_on_tokio_runs_forwards_and_a_wait_whose_deadline_has_passed_ends() {
        let env = Env::tokio().unwrap();
        let start = env.now();
        env.sleep(Duration::ZERO).await;
        env.sleep_until(start).await;
        assert!(env.now() >= start);
        assert!(!env.is_simulated());
        assert!(env.wall() > SystemTime::UNIX_EPOCH);
    }

    #[tokio::test]
    async fn a_wait_for_a_far_future_never_ends_and_never_overflows() {
        let env = Env::tokio().unwrap();
        for far in [HORIZON / 2, 2 * HORIZON, Duration::from_secs(u64::MAX), Duration::MAX] {
            assert_eq!(env.sleep(far).now_or_never(), None, "{far:?}");
        }
        let latest = latest_instant(env.now());
        assert_eq!(env.sleep_until(latest).now_or_never(), None);

        let sim = Sim::new(0);
        assert_eq!(sim.env().sleep(Duration::MAX).now_or_never(), None);
        assert_eq!(sim.env().sleep_until(latest).now_or_never(), None);
    }

    /// The last instant this machine can express.
    fn latest_instant(start: Instant) -> Instant {
        let mut latest = start;
        let seconds = (0..64).rev().map(|bit| Duration::from_secs(1 << bit));
        let nanoseconds = (0..30).rev().map(|bit| Duration::from_nanos(1 << bit));
        for step in seconds.chain(nanoseconds) {
            latest = latest.checked_add(step).unwrap_or(latest);
        }
        latest
    }

    #[test]
    fn a_wait_may_be_made_on_a_thread_that_no_runtime_runs() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let env = runtime.block_on(async { Env::tokio().unwrap() });
        let sleep = env.sleep(Duration::ZERO);
        runtime.block_on(sleep);
    }

    #[tokio::test]
    async fn a_thread_on_tokio_has_its_name() {
        let (tell, told) = mpsc::channel();
        let report = move || tell.send(std::thread::current().name().map(str::to_owned)).unwrap();
        Env::tokio().unwrap().thread("writer", report).unwrap();
        assert_eq!(told.recv().unwrap().as_deref(), Some("writer"));
    }

    #[test]
    fn a_thread_in_a_simulation_is_a_task() {
        let sim = Sim::logging(1);
        let (tell, told) = mpsc::channel();
        let env = sim.env();
        env.thread("writer", move || tell.send(std::thread::current().id()).unwrap()).unwrap();
        sim.run_until_idle();
        assert_eq!(told.try_recv(), Ok(std::thread::current().id()));
        assert_eq!(sim.log(), ["0 spawn #0 writer", "0 poll #0 writer", "0 finish #0 writer"]);
    }

    #[tokio::test]
    async fn random_numbers_differ_between_environments_on_a_machine() {
        let (one, other) = (Env::tokio().unwrap(), Env::tokio().unwrap());
        assert_ne!(one.random_u64(), other.random_u64());
        assert_ne!(one.random_u64(), one.random_u64());
    }

    #[test]
    fn random_units_fill_the_range_from_zero_to_below_one() {
        let env = Sim::new(3).env();
        let drawn: Vec<f64> = (0..10_000).map(|_| env.random_unit()).collect();
        assert!(drawn.iter().all(|unit| (0.0..1.0).contains(unit)));
        for tenth in 0..10 {
            let from = f64::from(tenth) / 10.0;
            let share = drawn.iter().filter(|&&unit| (from..from + 0.1).contains(&unit)).count();
            assert!((800..1200).contains(&share), "{share} of 10000 in the tenth from {from}");
        }
    }

    #[tokio::test]
    async fn hashers_agree_within_a_process() {
        let (one, other) = (Env::tokio().unwrap().hasher(), Env::tokio().unwrap().hasher());
        assert_eq!(one.hash_one("/user/a"), other.hash_one("/user/a"));
        assert_eq!(one.hash_one("/user/a"), one.clone().hash_one("/user/a"));
        assert_ne!(one.hash_one("/user/a"), one.hash_one("/user/b"));
    }

    #[test]
    fn hashers_of_a_simulation_follow_from_its_seed() {
        let hash = |seed| Sim::new(seed).env().hasher().hash_one("/user/a");
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }

    #[test]
    fn a_simulation_begins_at_its_zero_and_both_of_its_clocks_keep_step() {
        let sim = Sim::new(1);
        let env = sim.env();

        // What `date --date=2020-01-01T00:00Z +%s` prints, in hours.
        let midnight = SystemTime::UNIX_EPOCH + Duration::from_hours(438_288);
        assert_eq!((env.now(), env.wall()), (t0(), midnight));
        sim.advance(Duration::from_nanos(1));
        assert_eq!(env.now(), t0() + Duration::from_nanos(1));
        assert_eq!(env.wall(), midnight + Duration::from_nanos(1));
        assert!(env.is_simulated());
    }

    #[test]
    fn environments_say_what_they_are() {
        assert_eq!(format!("{:?}", Sim::new(9).env()), "Env(simulation, seed 9)");
    }

    #[test]
    fn an_environment_and_a_wait_may_go_to_other_threads() {
        fn shared<T: Send + Sync + Clone + 'static>() {}
        fn movable<T: Send + Unpin + 'static>() {}
        shared::<Env>();
        movable::<Sleep>();
    }
}

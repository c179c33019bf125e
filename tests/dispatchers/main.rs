//! Do actors run on the threads that were chosen for them, and is one noticed that holds up a shared thread?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod shared;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use omnitron::{ActorInspection, ActorState, Dispatcher, SystemBuilder};

/// An actor that does what it is told on whatever thread it runs on.
struct Worker;

type Work = Box<dyn FnOnce() + Send>;

enum Job {
    Do(Work),
    /// Sleeps for so long, then says on which thread it woke up.
    Sleep(Duration, ReplyTo<String>),
    Panic,
}

impl Actor for Worker {
    type Msg = Job;

    async fn receive(&mut self, job: Job, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match job {
            Job::Do(work) => work(),
            Job::Sleep(time, reply) => {
                ctx.env().sleep(time).await;
                reply.send(thread());
            }
            Job::Panic => panic!("on request"),
        }
        Ok(())
    }
}

fn thread() -> String {
    std::thread::current().name().unwrap_or("unnamed").to_owned()
}

/// Says on which thread the actor runs.
async fn thread_of(worker: &ActorRef<Job>) -> String {
    worker.ask(|reply: ReplyTo<String>| Job::Do(Box::new(move || reply.send(thread())))).await.unwrap()
}

fn on(dispatcher: &Dispatcher) -> Spawn<Worker> {
    Spawn::new(|| Worker).dispatcher(dispatcher.clone())
}

#[tokio::test]
async fn a_pinned_actor_has_one_thread_of_its_own_with_its_name_also_after_a_restart() {
    let system = ActorSystem::start("threads").await.unwrap();
    let pinned = system.spawn("camera", on(&Dispatcher::pinned())).unwrap();
    let other = system.spawn("lens", on(&Dispatcher::pinned())).unwrap();
    assert_eq!((thread_of(&pinned).await, thread_of(&other).await), ("camera".to_owned(), "lens".to_owned()));
    pinned.tell(Job::Panic).unwrap();
    assert_eq!(thread_of(&pinned).await, "camera");
    // Awaiting inside a handler works there, and comes back to the same thread.
    let woke = pinned.ask(|reply| Job::Sleep(Duration::from_millis(1), reply)).await.unwrap();
    assert_eq!(woke, "camera");
    assert_eq!(system.stats().restarts, 1);
    assert_eq!(system.shutdown().await.unfinished, []);
}

#[tokio::test(flavor = "current_thread")]
async fn pinned_actors_that_block_hold_up_nobody_else() {
    let system = ActorSystem::start("threads").await.unwrap();
    let blocked = system.spawn("blocked", on(&Dispatcher::pinned())).unwrap();
    let shared = system.spawn("shared", || Worker).unwrap();
    let (free, wait) = mpsc::channel::<()>();
    blocked.tell(Job::Do(Box::new(move || assert!(wait.recv().is_err())))).unwrap();
    // The one thread of this runtime goes on, and so does everything on it.
    assert_ne!(thread_of(&shared).await, "blocked");
    drop(free);
    assert_eq!(thread_of(&blocked).await, "blocked");
    system.shutdown().await;
}

#[tokio::test]
async fn a_pool_runs_its_actors_on_so_many_threads_and_all_of_them_at_once() {
    const THREADS: usize = 3;
    let system = ActorSystem::start("threads").await.unwrap();
    let pool = Dispatcher::blocking("files", NonZeroUsize::new(THREADS).unwrap());
    let workers: Vec<_> = (0..10).map(|n| system.spawn(&n.to_string(), on(&pool)).unwrap()).collect();
    // They meet: which takes all threads of the pool at once.
    let meeting = Arc::new(Barrier::new(THREADS));
    for worker in &workers[..THREADS] {
        let meeting = meeting.clone();
        worker.tell(Job::Do(Box::new(move || _ = meeting.wait()))).unwrap();
    }
    let mut threads = BTreeSet::new();
    for worker in workers.iter().cycle().take(200) {
        threads.insert(thread_of(worker).await);
    }
    assert!(threads.is_subset(&(0..THREADS).map(|n| format!("files-{n}")).collect()), "{threads:?}");
    assert_eq!(system.shutdown().await.unfinished, []);
}

#[tokio::test]
async fn the_threads_of_a_pool_end_when_nobody_can_need_them_any_more() {
    /// Tells when its thread ends.
    struct AtEnd(mpsc::Sender<String>);

    impl Drop for AtEnd {
        fn drop(&mut self) {
            let _ = self.0.send(thread());
        }
    }

    thread_local! {
        static AT_END: Mutex<Option<AtEnd>> = const { Mutex::new(None) };
    }

    for dispatcher in [Dispatcher::pinned(), Dispatcher::blocking("once", NonZeroUsize::MIN)] {
        let system = ActorSystem::start("threads").await.unwrap();
        let (ended, end) = mpsc::channel();
        let worker = system.spawn("worker", on(&dispatcher)).unwrap();
        let mark = move || AT_END.with(|at_end| *at_end.lock().unwrap() = Some(AtEnd(ended)));
        worker.tell(Job::Do(Box::new(mark))).unwrap();
        let name = thread_of(&worker).await;
        system.shutdown().await;
        drop((worker, dispatcher, system));
        assert_eq!(end.recv_timeout(Duration::from_mins(1)), Ok(name));
    }
}

#[test]
fn in_a_simulation_every_actor_is_a_task_in_virtual_time() {
    let sim = Sim::new(1);
    let system = sim.block_on(ActorSystem::builder("threads").env(sim.env()).start()).unwrap();
    for (name, dispatcher) in
        [("a", Dispatcher::pinned()), ("b", Dispatcher::blocking("pool", NonZeroUsize::MIN))]
    {
        let worker = system.spawn(name, on(&dispatcher)).unwrap();
        let woke =
            worker.ask(|reply| Job::Sleep(Duration::from_hours(1), reply)).within(Duration::from_hours(2));
        assert_eq!(sim.block_on(woke).unwrap(), thread());
    }
}

#[test]
fn a_runtime_of_one_thread_runs_actors_asks_and_timers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let system = ActorSystem::start("one").await.unwrap();
        let workers: Vec<_> = (0..100).map(|n| system.spawn(&n.to_string(), || Worker).unwrap()).collect();
        for worker in &workers {
            worker.ask(|reply| Job::Sleep(Duration::from_millis(1), reply)).await.unwrap();
        }
        assert_eq!(system.shutdown().await.unfinished, []);
    });
}

#[test]
fn actors_end_with_their_runtime_also_on_threads_of_their_own() {
    /// Tells when it is dropped.
    struct Mortal(mpsc::Sender<&'static str>);

    impl Actor for Mortal {
        type Msg = ();

        async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
            std::future::pending().await
        }
    }

    impl Drop for Mortal {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }

    let (ended, end) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let actors = runtime.block_on(async {
        let system = ActorSystem::start("brief").await.unwrap();
        let pool = Dispatcher::blocking("pool", NonZeroUsize::MIN);
        let actors = [("idle", Dispatcher::pinned()), ("stuck", Dispatcher::pinned()), ("pooled", pool)];
        actors.map(|(name, dispatcher)| {
            let ended = ended.clone();
            let mortal = Spawn::new(move || Mortal(ended.clone())).dispatcher(dispatcher);
            let mortal = system.spawn(name, mortal).unwrap();
            mortal.tell(()).unwrap();
            mortal
        })
    });
    let begun = |actor: &ActorRef<()>| actor.depth() == 1;
    while !actors.iter().all(begun) {
        std::thread::yield_now();
    }
    drop(runtime);
    for _ in &actors {
        // None, if its factory had not run yet; the actor has ended all the same.
        let _ = end.recv_timeout(Duration::from_mins(1));
    }
    // The state is dropped before the end is told.
    while !actors.iter().all(ActorRef::is_stopped) {
        std::thread::yield_now();
    }
}

/// A system whose watchdog looks often.
async fn watched() -> ActorSystem {
    ActorSystem::builder("watched").thread_hold_limit(Duration::from_millis(20)).start().await.unwrap()
}

/// Holds its thread until the receiver of the pair is dropped.
fn hold() -> (mpsc::Sender<()>, Work) {
    let (free, wait) = mpsc::channel::<()>();
    (free, Box::new(move || assert!(wait.recv().is_err())))
}

/// Waits until the watchdog has told that many.
async fn until_told(system: &ActorSystem, count: u64) {
    while system.stats().held_threads < count {
        system.env().sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until the actor `shared` sleeps.
async fn until_idle(system: &ActorSystem) {
    let sleeps = |actor: &ActorInspection| actor.path.name() == "shared" && actor.state == ActorState::Idle;
    while !system.inspect().iter().any(sleeps) {
        system.env().sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_holds_a_shared_thread_is_noticed_and_one_on_a_thread_of_its_own_is_not() {
    let system = watched().await;
    let pinned = system.spawn("pinned", on(&Dispatcher::pinned())).unwrap();
    let (pinned_goes_on, work) = hold();
    pinned.tell(Job::Do(work)).unwrap();
    let shared = system.spawn("shared", || Worker).unwrap();
    for count in 1..=3 {
        let (goes_on, work) = hold();
        shared.tell(Job::Do(work)).unwrap();
        // Does not come back before it was noticed: then this test hangs, and is ended from outside.
        until_told(&system, count).await;
        drop(goes_on);
        thread_of(&shared).await;
        // What follows at once would be a part of the same hold, which was told already.
        until_idle(&system).await;
    }
    assert_eq!(system.stats().held_threads, 3);
    drop(pinned_goes_on);
    system.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watchdog_without_a_limit_looks_at_nothing() {
    let look = |limit| async move {
        let system = ActorSystem::builder("limits").thread_hold_limit(limit).start().await.unwrap();
        let worker = system.spawn("worker", || Worker).unwrap();
        thread_of(&worker).await;
        let told = system.stats().held_threads;
        assert_eq!(system.shutdown().await.unfinished, []);
        told
    };
    assert_eq!(look(Duration::MAX).await, 0);
    // The shortest one is no busy loop, and no division by zero.
    look(Duration::ZERO).await;
    assert_eq!(SystemBuilder::DEFAULT_THREAD_HOLD_LIMIT, Duration::from_millis(100));
}

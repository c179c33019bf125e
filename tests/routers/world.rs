//! Which actors sit behind the routers of these tests?

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use omnitron::{Pool, PoolControl, Route};
use tokio::sync::oneshot;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What a worker is told to do. Numbers are noted when it is done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Note,
    /// Awaits for so long first.
    Busy(Duration),
    Fail,
    Stop,
}

pub(crate) enum Job {
    Do(u32, Act),
    /// Does it, and replies with the name of the worker.
    Get(u32, Act, ReplyTo<String>),
}

impl Job {
    pub(crate) const fn note(number: u32) -> Self {
        Self::Do(number, Act::Note)
    }

    pub(crate) const fn busy(number: u32, time: Duration) -> Self {
        Self::Do(number, Act::Busy(time))
    }

    pub(crate) const fn number(&self) -> u32 {
        match self {
            Self::Do(number, _) | Self::Get(number, ..) => *number,
        }
    }
}

/// Who handled what, in order.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<(String, u32)>>>);

impl Seen {
    pub(crate) fn note(&self, name: &str, number: u32) {
        self.0.lock().unwrap().push((name.to_owned(), number));
    }

    pub(crate) fn all(&self) -> Vec<(String, u32)> {
        self.0.lock().unwrap().clone()
    }

    /// All numbers, sorted.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<_> = self.all().into_iter().map(|(_, number)| number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The numbers that one of them handled, in order.
    pub(crate) fn of(&self, name: &str) -> Vec<u32> {
        self.all().into_iter().filter(|(who, _)| who == name).map(|(_, number)| number).collect()
    }

    /// Who handled this number, if anybody did.
    pub(crate) fn who(&self, number: u32) -> Option<String> {
        self.all().into_iter().find(|&(_, it)| it == number).map(|(who, _)| who)
    }
}

pub(crate) struct Worker {
    pub(crate) seen: Seen,
}

impl Actor for Worker {
    type Msg = Job;

    async fn receive(&mut self, job: Job, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let number = job.number();
        let (Job::Do(_, act) | Job::Get(_, act, _)) = &job;
        match *act {
            Act::Note => {}
            Act::Busy(time) => ctx.env().clone().sleep(time).await,
            Act::Fail => return Err(Failure::msg("on request")),
            Act::Stop => ctx.stop(),
        }
        self.seen.note(ctx.name(), number);
        if let Job::Get(_, _, reply) = job {
            reply.send(ctx.name().to_owned());
        }
        Ok(())
    }
}

/// A simulation with a system in it.
pub(crate) struct World {
    pub(crate) system: ActorSystem,
    pub(crate) seen: Seen,
    pub(crate) sim: Sim,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let system = sim.block_on(ActorSystem::builder("routers").env(sim.env()).start()).unwrap();
        Self { system, seen: Seen::default(), sim }
    }

    /// Makes workers.
    pub(crate) fn workers(&self) -> impl Fn() -> Worker + Clone + Send + Sync + 'static {
        let seen = self.seen.clone();
        move || Worker { seen: seen.clone() }
    }

    pub(crate) fn pool<R: Route<Job>>(&self, size: usize, route: R) -> (ActorRef<R::Msg>, PoolControl<Job>) {
        self.spawn(Router::pool(size, route, self.workers()))
    }

    pub(crate) fn spawn<R: Route<Job>>(&self, pool: Pool<Worker, R>) -> (ActorRef<R::Msg>, PoolControl<Job>) {
        let control = pool.control();
        let pool = self.system.spawn("pool", pool).unwrap();
        self.sim.run_until_idle();
        (pool, control)
    }

    /// A worker beside the routers.
    pub(crate) fn worker(&self, name: &str) -> ActorRef<Job> {
        self.system.spawn(name, self.workers()).unwrap()
    }

    /// Tells notes of these numbers, and lets them be handled.
    pub(crate) fn tell(&self, pool: &ActorRef<Job>, numbers: impl IntoIterator<Item = u32>) {
        numbers.into_iter().for_each(|number| pool.tell(Job::note(number)).unwrap());
        self.sim.run_until_idle();
    }

    /// Asks for this number, and waits for the reply.
    pub(crate) fn ask(&self, pool: &ActorRef<Job>, number: u32) -> Result<String, AskError> {
        self.sim.block_on(pool.ask(|reply| Job::Get(number, Act::Note, reply)))
    }

    pub(crate) fn resize(&self, control: &PoolControl<Job>, size: usize) {
        self.sim.block_on(control.resize(size)).unwrap();
    }

    /// Runs `future` as a task of its own, until nothing else can run without time.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Later<T> {
        let (tell, told) = oneshot::channel();
        self.system.env().spawn(|| "beside".to_owned(), async move {
            let _ = tell.send(future.await); // the test may not care
        });
        self.sim.run_until_idle();
        Later(told)
    }
}

/// What another task will bring.
pub(crate) struct Later<T>(oneshot::Receiver<T>);

impl<T> Later<T> {
    pub(crate) fn now(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

pub(crate) fn names(routees: &[ActorRef<Job>]) -> Vec<String> {
    routees.iter().map(|routee| routee.path().name().to_owned()).collect()
}

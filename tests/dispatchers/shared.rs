//! Do actors on the threads of the runtime get on with each other, and with its other tasks?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use omnitron::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::{Job, Worker};

/// Sends itself a message for each that it handles, until it is told to stop.
struct Restless {
    stop: Arc<AtomicBool>,
}

impl Actor for Restless {
    type Msg = ();

    async fn receive(&mut self, (): (), ctx: &mut Context<Self>) -> Result<(), Failure> {
        if !self.stop.load(Ordering::Relaxed) {
            ctx.myself().tell(())?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "current_thread")]
async fn actors_that_always_have_work_let_the_tasks_of_their_runtime_run() {
    let system = ActorSystem::start("busy").await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..3)
        .map(|index| {
            let stop = stop.clone();
            let actor = system.spawn(&index.to_string(), move || Restless { stop: stop.clone() }).unwrap();
            actor.tell(()).unwrap();
            actor
        })
        .collect();
    let other = system.spawn("other", || Worker).unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
        // Nor does what comes from elsewhere wait for ever.
        let (done, end) = oneshot::channel();
        other.tell(Job::Do(Box::new(move || done.send(()).unwrap()))).unwrap();
        end.await.unwrap();
    }
    assert!(busy.iter().all(|actor| !actor.is_stopped()));
    stop.store(true, Ordering::Relaxed);
    system.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[expect(clippy::disallowed_methods, reason = "what it does to the other actors is the question")]
async fn a_handler_that_blocks_in_place_may_wait_for_actors_it_told() {
    let system = ActorSystem::start("blocking").await.unwrap();
    let waits = system.spawn("waits", || Worker).unwrap();
    let helps: Vec<_> = ["one", "two"].map(|name| system.spawn(name, || Worker).unwrap()).into();
    let (done, end) = oneshot::channel();
    waits
        .tell(Job::Do(Box::new(move || {
            let (help, helped) = std::sync::mpsc::channel();
            for helper in &helps {
                let help = help.clone();
                helper.tell(Job::Do(Box::new(move || help.send(()).unwrap()))).unwrap();
            }
            // The only driver of this runtime waits here.
            tokio::task::block_in_place(|| {
                for _ in &helps {
                    helped.recv().unwrap();
                }
            });
            done.send(()).unwrap();
        })))
        .unwrap();
    end.await.unwrap();
    system.shutdown().await;
}

/// Has `worker` block its thread until `then` is done, which it tells to `helper`.
fn wait_for(worker: &ActorRef<Job>, helper: ActorRef<Job>, then: Job, done: oneshot::Sender<()>) {
    #[expect(clippy::disallowed_methods, reason = "what it does to the other actors is the question")]
    let work = move || {
        let (tell, told) = std::sync::mpsc::channel();
        helper.tell(then).unwrap();
        helper.tell(Job::Do(Box::new(move || tell.send(()).unwrap()))).unwrap();
        tokio::task::block_in_place(|| told.recv().unwrap());
        done.send(()).unwrap();
    };
    worker.tell(Job::Do(Box::new(work))).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn actors_that_block_in_place_one_behind_the_other_are_all_stood_in_for() {
    let system = ActorSystem::start("blocking").await.unwrap();
    let chain: Vec<_> = (0..4).map(|index| system.spawn(&index.to_string(), || Worker).unwrap()).collect();
    let (done, end) = oneshot::channel();
    let mut then = Job::Do(Box::new(move || done.send(()).unwrap()));
    let mut ends = Vec::new();
    for pair in chain.windows(2).rev() {
        let (worker, helper) = (pair[0].clone(), pair[1].clone());
        let (done, end) = oneshot::channel();
        ends.push(end);
        let inner = then;
        then = Job::Do(Box::new(move || wait_for(&worker, helper, inner, done)));
    }
    chain[0].tell(then).unwrap();
    end.await.unwrap();
    for end in ends {
        end.await.unwrap();
    }
    system.shutdown().await;
}

#[tokio::test]
async fn a_system_that_is_gone_leaves_no_task_behind() {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = alive();
    for _ in 0..20 {
        let system = ActorSystem::start("brief").await.unwrap();
        system.spawn("one", || Worker).unwrap().tell(Job::Do(Box::new(|| {}))).unwrap();
        system.shutdown().await;
    }
    while alive() > before {
        tokio::task::yield_now().await;
    }
}

enum Hop {
    Peers(Vec<ActorRef<Hop>>),
    /// So many hops more, and where this one goes by.
    Left(u32, u64),
}

/// Passes messages on to one of its peers.
#[derive(Default)]
struct Passer {
    peers: Vec<ActorRef<Hop>>,
    ends: Option<mpsc::UnboundedSender<()>>,
}

impl Actor for Passer {
    type Msg = Hop;

    async fn receive(&mut self, hop: Hop, _: &mut Context<Self>) -> Result<(), Failure> {
        match hop {
            Hop::Peers(peers) => self.peers = peers,
            Hop::Left(0, _) => self.ends.iter().for_each(|ends| ends.send(()).unwrap()),
            Hop::Left(left, way) => {
                let way = way.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let peer = usize::try_from(way >> 33).unwrap() % self.peers.len();
                self.peers[peer].tell(Hop::Left(left - 1, way))?;
            }
        }
        Ok(())
    }
}

/// Few messages among many actors: nearly every hop is a wake-up, and drivers fall asleep all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_between_the_threads() {
    const TOKENS: u64 = 6;
    let system = ActorSystem::start("hops").await.unwrap();
    let (ends, mut ended) = mpsc::unbounded_channel();
    let all: Vec<_> = (0..64)
        .map(|index| {
            let ends = ends.clone();
            let passer = move || Passer { ends: Some(ends.clone()), ..Passer::default() };
            system.spawn(&index.to_string(), passer).unwrap()
        })
        .collect();
    for passer in &all {
        passer.tell(Hop::Peers(all.clone())).unwrap();
    }
    for round in 0..50 {
        for token in 0..TOKENS {
            all[usize::try_from(token).unwrap()].tell(Hop::Left(200, round * TOKENS + token)).unwrap();
        }
        for _ in 0..TOKENS {
            ended.recv().await.unwrap();
        }
    }
    system.shutdown().await;
}

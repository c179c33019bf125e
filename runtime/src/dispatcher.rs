//! Which threads run an actor?
//!
//! Those of the tokio runtime, shared with everything else; a thread of its own; or one of a bounded pool. An actor that
//! blocks its thread belongs onto one of the last two: it holds up nobody else there. Its code is the same everywhere:
//! handlers are asynchronous, and may use tokio's timers and sockets, because every such thread is inside the runtime.
//!
//! # Invariants
//!
//! * An actor is in the queue of its threads at most once, so a queue is never longer than the actors it serves.
//! * A thread ends when no actor can need it any more: the senders of its queue are held by its actors and by those
//!   who may spawn more.
//! * In a simulation there is one thread, and every actor is a task.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;

use async_task::Runnable;
use crossbeam_channel::{Receiver, Sender, unbounded};
use futures_util::future::select;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::beat;
use crate::env::Env;
use crate::failure::catch;

/// Which threads run an actor; see [`Spawn::dispatcher`](crate::Spawn::dispatcher). Default: [`shared`](Self::shared).
#[derive(Clone, Debug, Default)]
pub struct Dispatcher {
    kind: Kind,
}

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    Shared,
    Pinned,
    Pool(Arc<Pool>),
}

/// Threads that several actors share.
struct Pool {
    name: String,
    threads: NonZeroUsize,
    /// Made with the first actor. Its receivers are those of the threads.
    queue: Mutex<Option<Sender<Runnable>>>,
}

impl Dispatcher {
    /// The threads of the tokio runtime, shared with all other tasks: for handlers that never block.
    pub const fn shared() -> Self {
        Self { kind: Kind::Shared }
    }

    /// An OS thread of its own, from the spawn to the end of the actor: for code that blocks often or keeps its core
    /// busy for long, and for libraries that want to be called from one thread only.
    pub const fn pinned() -> Self {
        Self { kind: Kind::Pinned }
    }

    /// A pool of so many OS threads, which all actors share that are spawned with this value or a clone of it: for
    /// many actors that block now and then. More of them than threads wait for their turn. The threads are called
    /// after `name`, start with the first actor, and end when the last actor and the last clone are gone. They belong to the
    /// tokio runtime of that first actor: make a pool for each runtime.
    pub fn blocking(name: impl Into<String>, threads: NonZeroUsize) -> Self {
        Self { kind: Kind::Pool(Arc::new(Pool { name: name.into(), threads, queue: Mutex::new(None) })) }
    }

    /// Makes sure that there are threads, and returns where to run an actor called `name`.
    ///
    /// # Errors
    ///
    /// What the operating system says when it has no thread to give.
    pub(crate) fn open(&self, env: &Env, name: &str) -> std::io::Result<Lane> {
        let queue = match &self.kind {
            _ if env.is_simulated() => None,
            Kind::Shared => None,
            Kind::Pinned => {
                let (queue, runnables) = unbounded();
                start(env, name, runnables)?;
                Some(queue)
            }
            Kind::Pool(pool) => Some(pool.queue(env)?),
        };
        Ok(Lane { queue })
    }
}

impl Pool {
    fn queue(&self, env: &Env) -> std::io::Result<Sender<Runnable>> {
        let mut queue = self.queue.lock();
        if let Some(queue) = &*queue {
            return Ok(queue.clone());
        }
        let (sender, runnables) = unbounded();
        for number in 0..self.threads.get() {
            // Those that were started end with `sender`.
            start(env, &format!("{}-{number}", self.name), runnables.clone())?;
        }
        Ok(queue.insert(sender).clone())
    }
}

/// A thread that runs what comes, until nothing can come any more.
fn start(env: &Env, name: &str, runnables: Receiver<Runnable>) -> std::io::Result<()> {
    env.thread(name, move || {
        beat::may_block();
        for runnable in runnables {
            // Actors turn the panics of their users into failures themselves; a bug of ours ends its task, not the thread.
            let _ = catch(|| runnable.run());
        }
    })
}

/// Where one actor runs.
pub(crate) struct Lane {
    /// `None`: on the run queue of the runtime.
    queue: Option<Sender<Runnable>>,
}

impl Lane {
    pub(crate) fn spawn(
        self,
        env: &Env,
        label: impl FnOnce() -> String,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let Some(queue) = self.queue else { return env.run(label, future) };
        // The actor ends with its runtime, as those do that are tasks of it: `gone` is ready when this task is dropped.
        let (stays, gone) = oneshot::channel::<Infallible>();
        let (works, ended) = oneshot::channel::<Infallible>();
        env.spawn(label, async move {
            let _stays = stays;
            let _ = ended.await;
        });
        let future = async move {
            let _works = works;
            select(pin!(future), gone).await;
        };
        // Where the threads are gone, the task is dropped, which ends the actor.
        let (runnable, task) = async_task::spawn(future, move |runnable| drop(queue.send(runnable)));
        task.detach();
        runnable.schedule();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

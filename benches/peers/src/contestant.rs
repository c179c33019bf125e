//! What must a runtime be able to do, to take part?

use std::future::Future;

use crate::Behaviour;

/// Worker threads of every contestant; one more thread drives the workload.
pub const WORKERS: usize = 2;

/// Messages that a bounded mailbox holds.
pub const BOUND: usize = 1024;

/// Why a contestant does not take part in a workload.
#[derive(Clone, Copy, Debug)]
pub struct Cannot(pub &'static str);

/// Where an actor or a client is, for contestants whose actors stay on their thread. The others move them as they like.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// With the others that are started here: they talk among themselves.
    Together,
    /// On a worker, one of several; neighbours have numbers that follow each other.
    Spread {
        /// From 0.
        index: usize,
        /// Of how many.
        of: usize,
    },
}

impl Place {
    /// On the first worker.
    pub const FIRST: Self = Self::Spread { index: 0, of: WORKERS };
    /// On the last worker: in nobody's way who is on the first.
    pub const LAST: Self = Self::Spread { index: WORKERS - 1, of: WORKERS };

    /// The worker, if each has an equal part, neighbours together.
    pub fn worker(self) -> Option<usize> {
        match self {
            Self::Together => None,
            Self::Spread { index, of } => Some(index * WORKERS / of),
        }
    }
}

/// A runtime, used as its documentation shows, with the fastest of the ways that it offers for the purpose.
pub trait Contestant: Send + Sync + Sized + 'static {
    /// Sends to an actor. To drop the last one need not end the actor.
    type Addr<B: Behaviour>: Clone + Send + Sync + Unpin + 'static;

    /// Runs a workload on the thread of the caller, with [`WORKERS`] threads beside.
    fn run<F: Future>(workload: F) -> F::Output {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
        runtime.expect("a runtime with two workers").block_on(workload)
    }

    /// Starts whatever actors need, inside of [`run`](Self::run).
    fn start() -> impl Future<Output = Self>;

    /// Starts a task that is no actor.
    fn client<F: Future<Output = ()> + Send + 'static>(&self, _: Place, work: F) {
        tokio::spawn(work);
    }

    /// Starts an actor with an unbounded mailbox.
    fn spawn<B: Behaviour>(
        &self,
        place: Place,
        make: impl Fn() -> B + Send + 'static,
    ) -> impl Future<Output = Self::Addr<B>> + Send;

    /// Starts an actor whose mailbox holds [`BOUND`] messages, for [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// If there are no such mailboxes.
    fn spawn_bounded<B: Behaviour>(
        &self,
        make: impl Fn() -> B + Send + 'static,
    ) -> Result<Self::Addr<B>, Cannot>;

    /// Sends, and waits for nothing.
    fn tell<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg);

    /// Sends as soon as there is room.
    fn send<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) -> impl Future<Output = ()> + Send;

    /// Asks for the [value](Behaviour::value).
    fn ask<B: Behaviour>(of: &Self::Addr<B>) -> impl Future<Output = u64> + Send;

    /// Lets the actor handle what waits, and then end.
    fn end<B: Behaviour>(&self, actor: Self::Addr<B>) -> impl Future<Output = ()> + Send;
}

//! Who reads files while actors must not block?
//!
//! A few threads of the journal. A bounded number of questions is queued for them, and who comes later waits for room. A stream asks for its next events
//! when the ones before are taken, and holds no more than those.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::{Semaphore, oneshot};

use super::store::{LanePlan, Plan, Store};
use crate::backend::{Fault, ReadError, SliceQuery};
use crate::id::{PersistenceId, Sequence};
use crate::recorded::Recorded;

type Job = Box<dyn FnOnce() + Send>;

/// How many questions are queued or being answered.
const QUESTIONS: usize = 256;

/// The threads. They end when the pool and every stream are dropped.
#[derive(Clone)]
pub(crate) struct Pool {
    /// None: questions are answered where they are asked.
    jobs: Option<(Sender<Job>, Arc<Semaphore>)>,
}

impl Pool {
    /// A pool, and the loop that each of its threads has to run.
    pub(crate) fn new() -> (Self, impl Fn() + Clone + Send + 'static) {
        let (jobs, waiting): (Sender<Job>, Receiver<Job>) = crossbeam_channel::bounded(QUESTIONS);
        let room = Arc::new(Semaphore::new(QUESTIONS));
        (Self { jobs: Some((jobs, room)) }, move || waiting.iter().for_each(|job| job()))
    }

    /// Without threads.
    pub(crate) fn inline() -> Self {
        Self { jobs: None }
    }

    /// What `question` answers, on a thread that may block.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, ReadError>> {
        let gone = || ReadError::Unavailable(Fault::new("its threads ended", "the journal", "Open it again"));
        self.run(question).map(move |answer| answer.unwrap_or_else(|| Err(gone()))).boxed()
    }

    /// What `work` returns, from a thread that may block. Nothing when the threads have ended. It is queued when the future is first polled.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        let Some((jobs, room)) = self.jobs.clone() else {
            return async move { Some(work()) }.boxed();
        };
        async move {
            let room = room.acquire_owned().await.ok()?;
            let (answer, answered) = oneshot::channel();
            let job = move || {
                drop(answer.send(work()));
                drop(room);
            };
            // There is room, so this does not block. When nobody takes it, the answer is dropped with it, and that is what is awaited.
            let _ = jobs.send(Box::new(job));
            answered.await.ok()
        }
        .boxed()
    }
}

/// The events of an id.
pub(crate) fn events(
    pool: Pool,
    store: Arc<Store>,
    id: PersistenceId,
    from: Sequence,
    to: Sequence,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    let next = move |plan: Option<Plan>| {
        let (store, id) = (Arc::clone(&store), id.clone());
        pool.ask(move || {
            let mut plan = match plan {
                Some(plan) => plan,
                None => store.plan(&id, from, to)?,
            };
            let events = plan.chunk()?;
            Ok((events.is_empty(), events, plan))
        })
    };
    let chunks = stream::unfold(Some(None), move |plan| {
        let asked = plan.map(&next);
        async move {
            match asked?.await {
                Ok((true, ..)) => None,
                Ok((false, events, plan)) => Some((events.into_iter().map(Ok).collect(), Some(Some(plan)))),
                Err(error) => Some((vec![Err(error)], None)),
            }
        }
    });
    chunks.flat_map(stream::iter::<Vec<_>>).boxed()
}

/// The events of a slice.
pub(crate) fn slice_events(
    pool: Pool,
    store: &Store,
    query: SliceQuery,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    let plan = LanePlan::new(store, query);
    let next = move |mut plan: LanePlan| pool.ask(move || plan.chunk().map(|chunk| (chunk, plan)));
    let chunks = stream::unfold(Some(plan), move |plan| {
        let asked = plan.map(&next);
        async move {
            match asked?.await {
                Ok(((_, false), _)) => None,
                Ok(((events, true), plan)) => Some((events.into_iter().map(Ok).collect(), Some(plan))),
                Err(error) => Some((vec![Err(error)], None)),
            }
        }
    });
    chunks.flat_map(stream::iter::<Vec<_>>).boxed()
}

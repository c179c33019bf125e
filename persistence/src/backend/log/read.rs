//! Who reads files while actors must not block?
//!
//! A few threads of the journal. A bounded number of questions is queued for them, and who comes later waits for room. A stream asks for its next events
//! when it has the ones before, so that they are read while those are taken, and holds no more than both.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use futures_util::future::{BoxFuture, Either};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::store::{LanePlan, Plan, Store};
use crate::backend::{Fault, ReadError, SlicesQuery};
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

    /// What `work` returns, from a thread that may block. Nothing when the threads have ended. It is queued now if there is room, and otherwise when
    /// the future is polled and there is.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        let Some((jobs, room)) = self.jobs.clone() else {
            return async move { Some(work()) }.boxed();
        };
        let (answer, answered) = oneshot::channel();
        let job = move |room: OwnedSemaphorePermit| {
            let job = move || {
                drop(answer.send(work()));
                drop(room);
            };
            // There is room, so this does not block. When nobody takes it, the answer is dropped with it, and that is what is awaited.
            let _ = jobs.send(Box::new(job));
        };
        match Arc::clone(&room).try_acquire_owned() {
            Ok(room) => {
                job(room);
                answered.map(Result::ok).boxed()
            }
            Err(_) => async move {
                job(room.acquire_owned().await.ok()?);
                answered.await.ok()
            }
            .boxed(),
        }
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
            Ok((events, Some(plan).filter(|plan| !plan.is_done()).map(Some)))
        })
    };
    chunks(None, next)
}

/// The events of some slices.
pub(crate) fn slice_events(
    pool: Pool,
    store: &Store,
    query: SlicesQuery,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    let next = move |mut plan: LanePlan| {
        pool.ask(move || plan.chunk().map(|(events, more)| (events, more.then_some(plan))))
    };
    chunks(LanePlan::new(store, query), next)
}

/// Events, and the plan for those behind them.
type Chunk<P> = (Vec<Recorded>, Option<P>);

/// The events of all chunks. The first is asked for when the stream is polled, each other one when the one before is there.
fn chunks<P: Send + 'static>(
    plan: P,
    next: impl Fn(P) -> BoxFuture<'static, Result<Chunk<P>, ReadError>> + Send + Sync + 'static,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    enum Step<P> {
        First(P),
        Asked(BoxFuture<'static, Result<Chunk<P>, ReadError>>),
        End,
    }
    let next = Arc::new(next);
    let chunks = stream::unfold(Step::First(plan), move |step| {
        let next = Arc::clone(&next);
        async move {
            let asked = match step {
                Step::First(plan) => next(plan),
                Step::Asked(asked) => asked,
                Step::End => return None,
            };
            match asked.await {
                Ok((events, None)) => Some((Ok(events), Step::End)),
                Ok((events, Some(plan))) => Some((Ok(events), Step::Asked(next(plan)))),
                Err(error) => Some((Err(error), Step::End)),
            }
        }
    });
    let events = |chunk: Result<Vec<Recorded>, ReadError>| match chunk {
        Ok(events) => Either::Left(stream::iter(events.into_iter().map(Ok))),
        Err(error) => Either::Right(stream::iter([Err(error)])),
    };
    chunks.flat_map(events).boxed()
}

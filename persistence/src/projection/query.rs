//! How does somebody ask a read model, and see in it what he has just written?

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::generation::Generation;
use super::handle::ProjectionRef;
use super::model::ReadModel;
use super::part::{Asked, Question, Work};
use super::status::Doing;
use crate::offset::Position;

/// How long a query waits, where nothing else was said.
const LIMIT: Duration = Duration::from_secs(5);

/// Why a query has no answer. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The read model is not as far as it should be.
    #[error("the read model did not reach {position} within {after:?}: the projection is {doing:?}")]
    Behind {
        /// The event that it should hold.
        position: Position,
        /// How long was waited.
        after: Duration,
        /// What the projection does.
        doing: Doing,
    },
    /// The read model did not answer: it is not open, or the query panicked.
    #[error("the read model did not answer: the projection is {doing:?}")]
    Unanswered {
        /// What the projection does.
        doing: Doing,
    },
    /// There was no answer in time. The query **may** still run.
    #[error("the read model did not answer within {after:?}")]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
}

/// A question to a read model, asked when it is awaited. Made by [`ProjectionRef::query`].
#[must_use = "a query asks nothing until it is awaited"]
pub struct Query<R: ReadModel, T> {
    projection: ProjectionRef<R>,
    ask: Box<dyn FnOnce(&mut R) -> T + Send>,
    after: Vec<Position>,
    within: Duration,
}

impl<R: ReadModel, T: Send + 'static> Query<R, T> {
    pub(super) fn new(projection: ProjectionRef<R>, ask: Box<dyn FnOnce(&mut R) -> T + Send>) -> Self {
        Self { projection, ask, after: Vec::new(), within: LIMIT }
    }

    /// Not before the event at `position` is in the read model. Several calls wait for all of them.
    pub fn after(mut self, position: Position) -> Self {
        self.after.push(position);
        self
    }

    /// How long it waits, for positions and for the answer. Default: 5 s.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    async fn run(self) -> Result<T, QueryError> {
        let Self { projection, ask, after, within } = self;
        let doing = || {
            let live = projection.inner.live();
            live.parts.first().map_or(Doing::Ended, |(_, board)| board.get().doing)
        };
        let mut limit = pin!(projection.env().sleep(within));
        let (answer, answered) = oneshot::channel();
        let mut question: Question<R> = Box::new(move |model| {
            // Whoever is gone does not want to know.
            let _ = answer.send(ask(model));
        });
        loop {
            let lacks = |live: &Generation<R>| {
                let is_there = |at: &&Position| live.parts.iter().any(|(_, board)| board.covers(**at));
                after.iter().find(|at| !is_there(at)).copied()
            };
            let reached = pin!(projection.until(|live| lacks(live).is_none()));
            let live = match select(reached, &mut limit).await {
                Either::Left((live, _)) => live,
                Either::Right(_) => {
                    let Some(position) = lacks(&projection.inner.live()) else {
                        return Err(QueryError::TimedOut { after: within });
                    };
                    return Err(QueryError::Behind { position, after: within, doing: doing() });
                }
            };
            let Some((part, _)) = live.parts.first() else {
                return Err(QueryError::Unanswered { doing: Doing::Ended });
            };
            let (too_early, returned) = oneshot::channel();
            if part.tell(Work::Ask(Asked { question, after: after.clone(), too_early })).is_err() {
                return Err(QueryError::Unanswered { doing: doing() });
            }
            match select(returned, &mut limit).await {
                // The read model was opened anew in between.
                Either::Left((Ok(again), _)) => question = again,
                Either::Left((Err(_), _)) => break,
                Either::Right(_) => return Err(QueryError::TimedOut { after: within }),
            }
        }
        match select(answered, limit).await {
            Either::Left((answer, _)) => answer.map_err(|_| QueryError::Unanswered { doing: doing() }),
            Either::Right(_) => Err(QueryError::TimedOut { after: within }),
        }
    }
}

impl<R: ReadModel, T: Send + 'static> IntoFuture for Query<R, T> {
    type Output = Result<T, QueryError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<R: ReadModel, T> fmt::Debug for Query<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("after", &self.after).finish_non_exhaustive()
    }
}

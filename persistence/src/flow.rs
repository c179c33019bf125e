//! Who waits for the journal, and lets go of what is held?
//!
//! A task beside the actor, which exists only while something is on its way. It awaits the appends in the order of their submission and
//! releases what the [`pipeline`](crate::pipeline) lets go. It outlives a restart of the actor, so what was submitted before a
//! crash is answered all the same.
//!
//! # Invariants
//!
//! * At most one task releases, and while it has something in hand nothing overtakes that.
//! * The place of the id in this process is held until the last append has ended: whoever recovers the id waits for that.
//! * No release runs under the lock.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use omnitron_runtime::Env;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::backend::{Appended, Fault, WriteError};
use crate::effect::Release;
use crate::id::{Ordinal, PersistenceId};
use crate::pipeline::{Limits, Outcome, Pipeline, Verdict};

/// An append that was submitted.
pub(crate) type Appending = BoxFuture<'static, Result<Appended, WriteError>>;

/// What is on its way for one id.
pub(crate) struct Flow {
    id: PersistenceId,
    state: Mutex<State>,
    changed: Notify,
    /// The place of the id in this process.
    _place: OwnedSemaphorePermit,
}

struct State {
    pipeline: Pipeline<Release>,
    appends: VecDeque<Appending>,
    runs: bool,
    trouble: Option<WriteError>,
    last: Option<Ordinal>,
}

impl Flow {
    pub(crate) fn new(id: PersistenceId, limits: Limits, place: OwnedSemaphorePermit) -> Self {
        let pipeline = Pipeline::new(limits);
        let state = State { pipeline, appends: VecDeque::new(), runs: false, trouble: None, last: None };
        Self { id, state: Mutex::new(state), changed: Notify::new(), _place: place }
    }

    /// An append of so many bytes was handed to the journal.
    pub(crate) fn submit(self: &Arc<Self>, env: &Env, append: Appending, bytes: usize) {
        let mut state = self.state.lock();
        state.pipeline.submit(bytes);
        state.appends.push_back(append);
        let begins = !std::mem::replace(&mut state.runs, true);
        drop(state);
        if begins {
            let flow = Arc::clone(self);
            env.spawn(|| format!("{} releases", self.id), async move { flow.release_all().await });
        }
    }

    /// Releases something when everything that was submitted so far is durable, or at once.
    pub(crate) fn hold(&self, what: Release) {
        let now = self.state.lock().pipeline.hold(what);
        if let Some((what, verdict)) = now {
            self.release(what, verdict);
        }
    }

    /// Waits until there is room, or an append has failed.
    pub(crate) async fn room(&self) {
        self.until(|state| !state.pipeline.is_full() || state.pipeline.is_broken()).await;
    }

    /// Waits until every append has ended and everything has left.
    pub(crate) async fn idle(&self) {
        self.until(|state| !state.runs && state.pipeline.is_idle()).await;
    }

    /// Why the state is not what the journal holds, if it is not.
    pub(crate) fn trouble(&self) -> Option<WriteError> {
        let state = self.state.lock();
        if state.pipeline.is_broken() { state.trouble.clone() } else { None }
    }

    /// Whether commands have to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.state.lock().pipeline.is_full()
    }

    /// The state was recovered. Call it when the flow is [idle](Self::idle).
    pub(crate) fn restart(&self) {
        let mut state = self.state.lock();
        state.pipeline.restart();
        state.trouble = None;
    }

    /// The place in the slice of the last event that became durable.
    pub(crate) fn last(&self) -> Option<Ordinal> {
        self.state.lock().last
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            // Before the look: what changes after it leaves a mark.
            let changed = self.changed.notified();
            if reached(&self.state.lock()) {
                return;
            }
            changed.await;
        }
    }

    async fn release_all(&self) {
        loop {
            let next = self.state.lock().appends.pop_front();
            if let Some(append) = next {
                // A backend that panics has not said what became of it.
                let ended = AssertUnwindSafe(append).catch_unwind().await.unwrap_or_else(|_| Err(panicked()));
                self.state.lock().settle(ended);
            }
            loop {
                let leaving = self.state.lock().pipeline.take();
                if leaving.is_empty() {
                    break;
                }
                for (what, verdict) in leaving {
                    self.release(what, verdict);
                }
            }
            let mut state = self.state.lock();
            let done = state.pipeline.rest();
            state.runs = !done;
            drop(state);
            self.changed.notify_one();
            if done {
                return;
            }
        }
    }

    fn release(&self, what: Release, verdict: Verdict) {
        if std::panic::catch_unwind(AssertUnwindSafe(|| what(verdict))).is_err() {
            tracing::error!(id = %self.id, "a side effect panicked, or the drop of a reply");
        }
    }
}

impl State {
    fn settle(&mut self, ended: Result<Appended, WriteError>) {
        let outcome = match &ended {
            Ok(_) => Outcome::Durable,
            Err(WriteError::Unknown(_)) => Outcome::Unknown,
            Err(_) => Outcome::Refused,
        };
        self.pipeline.settle(outcome);
        match ended {
            Ok(appended) => self.last = Some(appended.ordinal),
            // The first one is the cause of the others.
            Err(error) => drop(self.trouble.get_or_insert(error)),
        }
    }
}

fn panicked() -> WriteError {
    WriteError::Unknown(Fault::new("the backend panicked", "the journal", "Look for its panic in the log"))
}

//! Who waits for the journal, and lets go of what is held?
//!
//! A future beside the actor, which exists only while something is on its way; the [`releaser`](crate::releaser) runs it. It awaits the appends in
//! the order of their submission and releases what the [`pipeline`](crate::pipeline) lets go. It outlives a restart of the actor, so what was
//! submitted before a crash is answered all the same.
//!
//! # Invariants
//!
//! * At most one future releases, and while it has something in hand nothing overtakes that.
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
use crate::id::{Ordinal, PersistenceId, Slice};
use crate::journal::Fenced;
use crate::offset::Position;
use crate::pipeline::{Limits, Outcome, Pipeline, Verdict};
use crate::releaser::Releaser;

/// An append that was submitted, and its admission, which is given back when it has ended.
pub(crate) struct Appending {
    pub(crate) answer: BoxFuture<'static, Result<Appended, WriteError>>,
    pub(crate) admission: OwnedSemaphorePermit,
}

/// Whether commands may be handled.
pub(crate) enum Gate {
    Open,
    /// They have to wait for [room](Flow::room).
    Full,
    /// The state is not what the journal holds, and this is why.
    Broken(WriteError),
}

/// What is on its way for one id.
pub(crate) struct Flow {
    id: PersistenceId,
    slice: Slice,
    state: Mutex<State>,
    changed: Notify,
    releaser: Arc<Releaser>,
    fenced: Arc<Fenced>,
    /// The place of the id in this process.
    _place: OwnedSemaphorePermit,
}

struct State {
    pipeline: Pipeline<Release>,
    appends: VecDeque<Appending>,
    runs: bool,
    trouble: Option<WriteError>,
    last: Option<Ordinal>,
    /// How many write beside the appends: a recovery would not know what they have done.
    tasks: usize,
    /// Of whoever releases, while he does not.
    hands: VecDeque<(Release, Verdict)>,
}

/// Room for so much that is released at once stays.
const KEPT: usize = 16;

impl Flow {
    pub(crate) fn new(
        (id, slice): (PersistenceId, Slice),
        limits: Limits,
        (releaser, fenced): (Arc<Releaser>, Arc<Fenced>),
        place: OwnedSemaphorePermit,
    ) -> Self {
        let pipeline = Pipeline::new(limits);
        let (appends, hands) = (VecDeque::new(), VecDeque::new());
        let state = State { pipeline, appends, runs: false, trouble: None, last: None, tasks: 0, hands };
        let (state, changed) = (Mutex::new(state), Notify::new());
        Self { id, slice, state, changed, releaser, fenced, _place: place }
    }

    /// An append of so many bytes was handed to the journal. These are released when it and everything before it is durable.
    pub(crate) fn submit(
        self: &Arc<Self>,
        env: &Env,
        append: Appending,
        bytes: usize,
        releases: impl IntoIterator<Item = Release>,
    ) {
        let mut state = self.state.lock();
        state.pipeline.submit(bytes);
        state.appends.push_back(append);
        for release in releases {
            let now = state.pipeline.hold(release);
            debug_assert!(now.is_none(), "what was just submitted is on its way");
        }
        let begins = !std::mem::replace(&mut state.runs, true);
        drop(state);
        if begins {
            self.releaser.begin(env, Arc::clone(self));
        }
    }

    /// Releases something when everything that was submitted so far is durable, or at once.
    pub(crate) fn hold(&self, what: Release) {
        let now = self.state.lock().pipeline.hold(what);
        if let Some((what, verdict)) = now {
            self.release(what, verdict, self.last());
        }
    }

    /// Waits until there is room, or an append has failed.
    pub(crate) async fn room(&self) {
        self.until(|state| !state.pipeline.is_full() || state.pipeline.is_broken()).await;
    }

    /// Waits until every append and every task has ended, and everything has left.
    pub(crate) async fn idle(&self) {
        self.until(|state| !state.runs && state.tasks == 0 && state.pipeline.is_idle()).await;
    }

    /// Something writes beside the appends, until the answer is dropped.
    pub(crate) fn begin_task(self: &Arc<Self>) -> Task {
        self.state.lock().tasks += 1;
        Task(Arc::clone(self))
    }

    /// Whether commands may be handled.
    pub(crate) fn gate(&self) -> Gate {
        let state = self.state.lock();
        match &state.trouble {
            Some(trouble) if state.pipeline.is_broken() => Gate::Broken(trouble.clone()),
            _ if state.pipeline.is_full() => Gate::Full,
            _ => Gate::Open,
        }
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

    /// Awaits and releases until nothing is on its way.
    pub(crate) async fn release_all(self: Arc<Self>) {
        loop {
            let next = self.state.lock().appends.pop_front();
            let ended = match next {
                Some(Appending { answer, admission }) => {
                    // A backend that panics has not said what became of it.
                    let ended = AssertUnwindSafe(answer).catch_unwind().await;
                    drop(admission);
                    Some(ended.unwrap_or_else(|_| Err(panicked())))
                }
                None => None,
            };
            if self.is_done(ended) {
                return;
            }
        }
    }

    /// Releases what may leave now that an append has ended. Whether nothing is on its way any more.
    fn is_done(&self, ended: Option<Result<Appended, WriteError>>) -> bool {
        if let Some(Err(WriteError::StaleEpoch { .. })) = &ended {
            // All ids of the slice learn of it, and not only when this one handles its next command.
            self.fenced.note(self.slice);
        }
        let mut state = self.state.lock();
        if let Some(ended) = ended {
            state.settle(ended);
        }
        let mut hands = std::mem::take(&mut state.hands);
        loop {
            state.pipeline.take(&mut hands);
            if hands.is_empty() {
                break;
            }
            let last = state.last;
            drop(state);
            for (what, verdict) in hands.drain(..) {
                self.release(what, verdict, last);
            }
            state = self.state.lock();
        }
        // What a burst needed is not kept by each of many that are idle.
        hands.shrink_to(KEPT);
        state.hands = hands;
        let done = state.pipeline.rest();
        state.runs = !done;
        drop(state);
        self.changed.notify_one();
        done
    }

    fn release(&self, what: Release, verdict: Verdict, last: Option<Ordinal>) {
        let position = last.map(|ordinal| Position { slice: self.slice, ordinal });
        if std::panic::catch_unwind(AssertUnwindSafe(|| what(verdict, position))).is_err() {
            tracing::error!(id = %self.id, "a side effect panicked, or the drop of a reply");
        }
    }
}

/// Something that writes beside the appends of a flow.
pub(crate) struct Task(Arc<Flow>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.state.lock().tasks -= 1;
        self.0.changed.notify_one();
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

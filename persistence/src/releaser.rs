//! Who runs the flows?
//!
//! One task for all of a journal, which exists only while something is on its way. A sync of the journal ends many appends at once: one task that is woken
//! once lets go of all that waited for them, where a task per actor would be woken, and begun before, for each.
//!
//! # Invariants
//!
//! * At most one task runs the flows of a journal, and while there are any there is one.
//! * No flow and no waker runs under the lock.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use omnitron_runtime::Env;
use parking_lot::Mutex;

use crate::flow::Flow;

/// After so many flows that are done others have their turn.
const FLOWS_PER_TURN: usize = 128;

/// The flows of a journal that have something on its way.
#[derive(Default)]
pub(crate) struct Releaser {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    new: Vec<Arc<Flow>>,
    runs: bool,
    /// Of the task, while it waits.
    waker: Option<Waker>,
}

impl Releaser {
    /// Something is on its way in `flow`, for the first time or again.
    pub(crate) fn begin(self: &Arc<Self>, env: &Env, flow: Arc<Flow>) {
        let mut state = self.state.lock();
        state.new.push(flow);
        let waker = state.waker.take();
        let begins = !std::mem::replace(&mut state.runs, true);
        drop(state);
        if begins {
            let task = Task { releaser: Some(Arc::clone(self)) };
            env.spawn(|| "a journal releases".to_owned(), task.run());
        } else if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The task.
struct Task {
    /// None: it is done.
    releaser: Option<Arc<Releaser>>,
}

impl Task {
    async fn run(mut self) {
        let mut flows = FuturesUnordered::new();
        // tokio would refuse all answers behind the 128th of a turn, and each of thousands of flows would ask again in each turn.
        let run = tokio::task::coop::unconstrained(poll_fn(|cx| {
            let mut done = 0;
            loop {
                let Some(releaser) = &self.releaser else { return Poll::Ready(()) };
                let new = std::mem::take(&mut releaser.state.lock().new);
                flows.extend(new.into_iter().map(Flow::release_all));
                if let Poll::Ready(Some(())) = flows.poll_next_unpin(cx) {
                    done += 1;
                    if done < FLOWS_PER_TURN {
                        continue;
                    }
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let mut state = releaser.state.lock();
                if !state.new.is_empty() {
                    continue;
                }
                if !flows.is_empty() {
                    state.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                state.runs = false;
                drop(state);
                self.releaser = None;
            }
        }));
        run.await;
    }
}

impl Drop for Task {
    /// When the runtime went before it was done, what is on its way is lost with it; what comes on another one is not.
    fn drop(&mut self) {
        if let Some(releaser) = self.releaser.take() {
            let lost = std::mem::take(&mut *releaser.state.lock());
            drop(lost);
        }
    }
}

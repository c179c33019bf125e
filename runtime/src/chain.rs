//! Who waits for whom, when handlers ask?
//!
//! A handler that awaits an ask cannot handle anything meanwhile. If the target, directly or through further asks,
//! asks back, both wait for ever. So a question that is asked inside a handler carries the chain of handlers which
//! wait for it, and a question to a member of its own chain fails at once with the names.
//!
//! The handler that runs on a thread is known by a thread-local *frame*, exchanged around each poll of an actor's
//! future. What a handler hands to another task is outside of it, and ends by its deadline only.
//!
//! # Invariants
//!
//! * The frame of a thread is that of the innermost actor being polled on it, and `None` outside of any.
//! * `here` stands for (`actor`, `above`): it is dropped whenever either changes.

use std::cell::RefCell;
use std::sync::Arc;

use crate::cell::AnyCell;
use crate::path::ActorPath;

/// One handler that waits, and those that wait for it in turn.
#[derive(Debug)]
pub(crate) struct Link {
    actor: u64,
    path: ActorPath,
    above: Option<Arc<Link>>,
}

/// The handler that runs.
pub(crate) struct Frame {
    actor: Option<Arc<dyn AnyCell>>,
    above: Option<Arc<Link>>,
    here: Option<Arc<Link>>,
}

impl Frame {
    /// The frame of an actor.
    pub(crate) fn of(actor: Arc<dyn AnyCell>) -> Self {
        Self { actor: Some(actor), above: None, here: None }
    }
}

thread_local! {
    static CURRENT: RefCell<Frame> = const { RefCell::new(Frame { actor: None, above: None, here: None }) };
}

/// Exchanges the frame of this thread for `frame`; twice restores it.
pub(crate) fn exchange(frame: &mut Frame) {
    CURRENT.with(|current| std::mem::swap(&mut *current.borrow_mut(), frame));
}

/// The handler which now runs handles a message that `above` waits for.
pub(crate) fn handle_for(above: Option<Arc<Link>>) {
    CURRENT.with(|current| {
        let mut current = current.borrow_mut();
        if current.above.is_some() || above.is_some() {
            current.above = above;
            current.here = None;
        }
    });
}

/// The id of the actor whose handler runs on this thread, if any.
pub(crate) fn current_actor() -> Option<u64> {
    CURRENT.try_with(|current| current.borrow().actor.as_ref().map(|cell| cell.head().id)).ok().flatten()
}

/// The chain that a question to the actor `target` carries: `None` outside of handlers.
///
/// # Errors
///
/// The names from the first asker down to the handler that asks now, when `target` is among them.
pub(crate) fn for_question_to(target: u64) -> Result<Option<Arc<Link>>, Vec<ActorPath>> {
    CURRENT.with(|current| {
        let mut current = current.borrow_mut();
        let Frame { actor: Some(cell), above, here } = &mut *current else { return Ok(None) };
        let head = cell.head();
        let link = here.get_or_insert_with(|| {
            Arc::new(Link { actor: head.id, path: head.path.clone(), above: above.clone() })
        });
        if link.contains(target) { Err(link.names()) } else { Ok(Some(link.clone())) }
    })
}

impl Link {
    fn iter(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |link| link.above.as_deref())
    }

    fn contains(&self, actor: u64) -> bool {
        self.iter().any(|link| link.actor == actor)
    }

    /// The first asker first.
    fn names(&self) -> Vec<ActorPath> {
        let mut names: Vec<_> = self.iter().map(|link| link.path.clone()).collect();
        names.reverse();
        names
    }
}

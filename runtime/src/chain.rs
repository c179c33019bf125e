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
//! * `here` stands for (the actor, `above`): it is dropped whenever either changes.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::beat;
use crate::failure::Failure;
use crate::slot::Question;
use crate::trace;

/// A chain of more links than this is rebuilt from those who still wait, before it grows: handlers that ask on after
/// they have given up would lengthen it for ever.
const DEPTH_UNCHECKED: u32 = 32;

/// One handler that waits, and those that wait for it in turn. Actors are named by their ids.
#[derive(Debug)]
pub(crate) struct Link {
    actor: u64,
    above: Option<Asker>,
    /// How many links are above.
    depth: u32,
}

/// The handler that asked what another now handles. It waits for that only until its question is settled.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) link: Arc<Link>,
    pub(crate) question: Question,
}

impl Asker {
    /// The same chain without those who wait no more.
    fn only_waiting(&self) -> Option<Self> {
        let waiting: Vec<&Self> = std::iter::successors(Some(self), |&asker| asker.link.above.as_ref())
            .take_while(|asker| asker.question.is_open())
            .collect();
        waiting.into_iter().rev().fold(None, |above, asker| {
            let depth = above.as_ref().map_or(0, |above: &Self| above.link.depth + 1);
            let link = Arc::new(Link { actor: asker.link.actor, above, depth });
            Some(Self { link, question: asker.question.clone() })
        })
    }
}

impl Drop for Link {
    /// One after the other, not one inside the other: a chain may be longer than a stack is deep.
    fn drop(&mut self) {
        let mut next = self.above.take();
        while let Some(mut link) = next.and_then(|asker| Arc::into_inner(asker.link)) {
            next = link.above.take();
        }
    }
}

/// Who waits for the message that an actor handles, kept while it is not polled.
#[derive(Default)]
pub(crate) struct Frame {
    /// Those who wait for the message that is being handled.
    above: Option<Asker>,
    /// This handler and those above it, once it has asked something.
    here: Option<Arc<Link>>,
}

/// The handler that runs on this thread.
struct Current {
    actor: Option<u64>,
    frame: Frame,
}

thread_local! {
    static CURRENT: RefCell<Current> =
        const { RefCell::new(Current { actor: None, frame: Frame { above: None, here: None } }) };
}

impl Frame {
    /// A handler that nobody waits for, with the link it had before, if it had one.
    pub(crate) fn at_the_top(link: &mut Option<Arc<Link>>) -> Self {
        Self { above: None, here: link.take() }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.above.is_none() && self.here.is_none()
    }

    /// The link of a handler that nobody waits for, to be used again.
    pub(crate) fn into_link(self) -> Option<Arc<Link>> {
        self.here.filter(|_| self.above.is_none())
    }

    /// Runs the code of an actor's user, as that actor; a panic becomes a failure.
    pub(crate) fn enter<R>(&mut self, actor: u64, code: impl FnOnce() -> R) -> Result<R, Failure> {
        let outside = self.exchange(Some(actor));
        beat::note(Some(actor));
        let result = trace::outside(|| catch_unwind(AssertUnwindSafe(code)));
        beat::note(outside);
        self.exchange(outside);
        result.map_err(Failure::panicked)
    }

    /// Exchanges what is current on this thread for this; the second time restores it. Returns who was current.
    fn exchange(&mut self, actor: Option<u64>) -> Option<u64> {
        CURRENT.with(|current| {
            let mut current = current.borrow_mut();
            // Most are empty, and to exchange those costs more than to look.
            if !(self.is_empty() && current.frame.is_empty()) {
                std::mem::swap(&mut current.frame, self);
            }
            std::mem::replace(&mut current.actor, actor)
        })
    }
}

/// The handler which now runs handles a message that `above` waits for.
pub(crate) fn handle_for(above: Option<Asker>) {
    CURRENT.with(|current| {
        let frame = &mut current.borrow_mut().frame;
        if frame.above.is_some() || above.is_some() {
            *frame = Frame { above, here: None };
        }
    });
}

/// The id of the actor whose handler runs on this thread, if any.
pub(crate) fn current_actor() -> Option<u64> {
    CURRENT.try_with(|current| current.try_borrow().ok()?.actor).ok().flatten()
}

/// The chain that a question to the actor `target` carries: `None` outside of handlers.
///
/// # Errors
///
/// The ids from the first asker down to the handler that asks now, when `target` is among them.
pub(crate) fn for_question_to(target: u64) -> Result<Option<Arc<Link>>, Vec<u64>> {
    CURRENT.with(|current| {
        let mut current = current.borrow_mut();
        let Some(actor) = current.actor else { return Ok(None) };
        let Frame { above, here } = &mut current.frame;
        let link = here.get_or_insert_with(|| Arc::new(Link::below(actor, above.clone())));
        // Nearly every chain is fine, so whether its members still wait is looked at only where one is not.
        if link.actors().any(|actor| actor == target) && link.waiting().any(|actor| actor == target) {
            let mut chain: Vec<_> = link.waiting().collect();
            chain.reverse();
            return Err(chain);
        }
        Ok(Some(link.clone()))
    })
}

impl Link {
    fn below(actor: u64, above: Option<Asker>) -> Self {
        let above = match above {
            Some(asker) if asker.link.depth >= DEPTH_UNCHECKED => asker.only_waiting(),
            above => above,
        };
        let depth = above.as_ref().map_or(0, |asker| asker.link.depth + 1);
        Self { actor, above, depth }
    }

    /// Those who asked, the last one first.
    fn actors(&self) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(self), |&link| Some(&*link.above.as_ref()?.link)).map(|link| link.actor)
    }

    /// Those of them who still wait: whoever has an answer or has given up does not, and so nobody above waits here.
    fn waiting(&self) -> impl Iterator<Item = u64> {
        let waits = |asker: &&Asker| asker.question.is_open();
        std::iter::successors(Some(self), move |&link| Some(&*link.above.as_ref().filter(waits)?.link))
            .map(|link| link.actor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::{Claim, Slot};

    /// A question that is open, or settled.
    fn asker(link: Link, open: bool) -> Asker {
        let slot = Slot::<(), ()>::new(());
        slot.open(Some(Arc::new(link)));
        let Claim::Granted(Some(asker)) = slot.ticket().claim() else { panic!("a question is claimed once") };
        if open {
            // Its ticket lives as long as somebody may answer.
            std::mem::forget(slot);
        }
        asker
    }

    fn chain(length: u64, open: impl Fn(u64) -> bool) -> Link {
        (1..length).fold(Link::below(0, None), |link, actor| {
            let asker = asker(link, open(actor));
            Link::below(actor, Some(asker))
        })
    }

    #[test]
    fn a_chain_whose_askers_gave_up_does_not_grow() {
        assert!(chain(10_000, |_| false).depth <= DEPTH_UNCHECKED + 1);
    }

    #[test]
    fn a_chain_whose_askers_wait_keeps_all_of_them() {
        let link = chain(100, |_| true);
        assert_eq!(link.waiting().count(), 100);
        assert_eq!(link.depth, 99);
    }

    #[test]
    fn a_long_chain_is_dropped_without_recursion() {
        // On a stack far too small for one call per link.
        let small = std::thread::Builder::new().stack_size(64 * 1024);
        #[expect(clippy::disallowed_methods, reason = "a small stack is the point")]
        let dropped = small.spawn(|| {
            let link =
                (1..50_000u64).fold(Arc::new(Link { actor: 0, above: None, depth: 0 }), |link, actor| {
                    let slot = Slot::<(), ()>::new(());
                    slot.open(Some(link));
                    let Claim::Granted(above) = slot.ticket().claim() else {
                        panic!("a question is claimed once")
                    };
                    drop(slot);
                    Arc::new(Link { actor, above, depth: 0 })
                });
            drop(link);
        });
        assert!(dropped.expect("a thread").join().is_ok());
    }
}

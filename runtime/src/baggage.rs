//! What travels beside a message on behalf of a part above the runtime?
//!
//! A *baggage* is one value that nobody here looks into. It rides as a [trace] does, from whoever sends a message to the handler that
//! gets it, and from there with all that this handler sends. Few messages have one. Those that have none pay for a look at one bit of the process, and one of their thread once anybody had a baggage.
//!
//! # Invariants
//!
//! * The baggage of a thread is that of the handler it polls, and none outside of any.

use std::any::{Any, type_name};
use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use crate::trace;

/// A value that rides beside messages, for a part above the runtime. A clone is the same value.
///
/// It takes the way of tells, sends, asks and pipes, also through references that adapt. It does not ride with what a timer, a stream or a stash brings
/// later.
#[derive(Clone)]
pub struct Baggage {
    value: Arc<dyn Any + Send + Sync>,
    of: &'static str,
}

thread_local! {
    /// Looked at only while the thread [carries](trace::carries) something.
    static CURRENT: RefCell<Option<Baggage>> = const { RefCell::new(None) };
}

impl Baggage {
    /// A baggage that is this value.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        Self { value: Arc::new(value), of: type_name::<T>() }
    }

    /// The value, if it is of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.value.downcast_ref()
    }

    /// The baggage of the message that is handled on this thread, or of the [`scope`](Self::scope) around the caller.
    #[inline]
    pub fn current() -> Option<Self> {
        if trace::carries() { Self::carried() } else { None }
    }

    #[cold]
    fn carried() -> Option<Self> {
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// Runs `code`: what it sends takes this along.
    pub fn scope<R>(&self, code: impl FnOnce() -> R) -> R {
        let _entered = Entered::enter(self.clone());
        code()
    }

    /// Makes a future take this along, whenever it is polled.
    pub async fn wrap<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| self.scope(|| future.as_mut().poll(cx))).await
    }
}

impl fmt::Debug for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Baggage").field("of", &self.of).finish_non_exhaustive()
    }
}

/// Runs `code` with this baggage, if there is one.
pub(crate) fn scope<R>(baggage: Option<&Baggage>, code: impl FnOnce() -> R) -> R {
    match baggage {
        Some(baggage) => baggage.scope(code),
        None => code(),
    }
}

/// The baggage of this thread is another one until this is dropped.
struct Entered {
    before: Option<Baggage>,
    carried: bool,
}

impl Entered {
    fn enter(baggage: Baggage) -> Self {
        // A thread that is ending has no baggage any more.
        let before = CURRENT.try_with(|current| current.replace(Some(baggage))).ok().flatten();
        Self { before, carried: trace::set_carries(true) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        trace::set_carries(self.carried);
        let before = self.before.take();
        let ours = CURRENT.try_with(|current| current.replace(before));
        drop(ours);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use super::*;

    #[test]
    fn a_scope_ends_where_it_ends_and_what_is_outside_of_it_carries_nothing() {
        let (one, two) = (Baggage::new(1_u8), Baggage::new("two"));
        let current = || Baggage::current().and_then(|it| it.get::<u8>().copied());
        assert_eq!(current(), None);
        one.scope(|| {
            assert_eq!(current(), Some(1));
            trace::outside(|| {
                assert!(Baggage::current().is_none());
                two.scope(|| assert_eq!(Baggage::current().unwrap().get::<&str>(), Some(&"two")));
                assert!(Baggage::current().is_none());
            });
            assert_eq!(current(), Some(1));
        });
        let panic = std::panic::catch_unwind(AssertUnwindSafe(|| one.scope(|| panic!("on request"))));
        assert!(panic.is_err() && Baggage::current().is_none());
    }
}

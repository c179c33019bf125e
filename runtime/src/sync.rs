//! Which locks and atomics do the concurrent parts stand on?
//!
//! The mailbox, the reply slot and the list of watchers take their primitives from here, so that one switch,
//! `--cfg omnitron_loom`, puts loom's checked versions underneath and every interleaving can be explored.
//! Nothing else in the crate needs this module.

#[cfg(not(omnitron_loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(omnitron_loom))]
pub(crate) use std::sync::{
    Arc, Weak,
    atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(omnitron_loom)]
pub(crate) use self::checked::{Arc, Mutex, Weak};
#[cfg(omnitron_loom)]
pub(crate) use loom::sync::MutexGuard;
#[cfg(omnitron_loom)]
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// loom's types behind the same names and signatures as the real ones.
#[cfg(omnitron_loom)]
mod checked {
    pub(crate) use std::sync::{Arc, Weak};

    /// A loom mutex with the signature of `parking_lot`'s: no poisoning.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

/// What a model needs to play a task.
#[cfg(all(test, omnitron_loom))]
pub(crate) mod model {
    use std::task::{Context, Poll, Wake, Waker};

    use super::Arc;

    /// Runs a model in every interleaving with up to so many preemptions: most races need one or two, and without a
    /// bound a model takes hours. `LOOM_MAX_PREEMPTIONS` is stronger.
    const PREEMPTIONS: usize = 2;

    pub(crate) fn explore(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound.get_or_insert(PREEMPTIONS);
        builder.check(model);
    }

    /// A thread that sleeps until it is woken.
    struct Sleeper(loom::sync::Notify);

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            self.0.notify();
        }
    }

    /// Polls until ready, and sleeps in between. If nobody wakes the sleeper, loom reports a deadlock.
    pub(crate) fn block_on<T>(mut poll: impl FnMut(&Context<'_>) -> Poll<T>) -> T {
        let sleeper = Arc::new(Sleeper(loom::sync::Notify::new()));
        let waker = Waker::from(sleeper.clone());
        loop {
            if let Poll::Ready(output) = poll(&Context::from_waker(&waker)) {
                return output;
            }
            sleeper.0.wait();
        }
    }
}

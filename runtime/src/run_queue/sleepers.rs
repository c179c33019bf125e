//! Which drivers have nothing to do, and how is one of them woken for each thing that comes?
//!
//! # Invariants
//!
//! * No wake-up is lost. Who puts something into a queue looks for sleepers afterwards; who goes to sleep looks at the
//!   queues after it has entered itself here. A fence stands between the two steps of each, so at least one sees the other.
//! * A driver is in the list at most once.

use std::task::Waker;

use crate::sync::{AtomicU32, Mutex, Ordering, fence};

/// The drivers that sleep, by number.
pub(super) struct Sleepers {
    list: Mutex<Vec<(usize, Waker)>>,
    /// How many they are, to be read without the lock.
    asleep: AtomicU32,
}

impl Sleepers {
    pub(super) fn new() -> Self {
        Self { list: Mutex::new(Vec::new()), asleep: AtomicU32::new(0) }
    }

    /// Something was put into a queue by one who will not come back to it: wakes a driver, if one sleeps.
    pub(super) fn call(&self) {
        // Pairs with the one of `sleep`.
        fence(Ordering::SeqCst);
        self.call_another();
    }

    /// As [`call`](Self::call), by one who comes back to the queue. A driver that is just falling asleep may miss it.
    /// Whether one slept.
    #[inline]
    pub(super) fn call_another(&self) -> bool {
        let sleeps = self.asleep.load(Ordering::Relaxed) > 0;
        if sleeps {
            self.wake_one();
        }
        sleeps
    }

    /// Wakes all who sleep: what they look at has changed.
    pub(super) fn call_all(&self) {
        // Pairs with the one of `sleep`.
        fence(Ordering::SeqCst);
        while self.call_another() {}
    }

    #[cold]
    fn wake_one(&self) {
        let mut list = self.list.lock();
        let sleeper = list.pop();
        self.count(&list);
        drop(list);
        if let Some((_, waker)) = sleeper {
            waker.wake();
        }
    }

    /// Driver `number` sleeps until `waker` is woken, unless it `sees` that there is something to do. Whether it sleeps.
    pub(super) fn sleep(&self, number: usize, waker: Waker, sees: impl FnOnce() -> bool) -> bool {
        let mut list = self.list.lock();
        list.retain(|(sleeper, _)| *sleeper != number);
        list.push((number, waker));
        self.count(&list);
        drop(list);
        // Pairs with the one of `call`.
        fence(Ordering::SeqCst);
        if !sees() {
            return true;
        }
        let mut list = self.list.lock();
        list.retain(|(sleeper, _)| *sleeper != number);
        self.count(&list);
        false
    }

    fn count(&self, list: &[(usize, Waker)]) {
        self.asleep.store(u32::try_from(list.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

#[cfg(all(test, omnitron_loom))]
mod loom {
    //! Does a driver run whatever is put into the queue, in every interleaving with its falling asleep?

    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::task::Poll;

    use loom::thread;

    use super::Sleepers;
    use crate::sync::Mutex;
    use crate::sync::model::{block_on, explore};

    struct World {
        queue: Mutex<VecDeque<u32>>,
        sleepers: Sleepers,
    }

    impl World {
        fn put(&self, item: u32) {
            self.queue.lock().push_back(item);
            self.sleepers.call();
        }

        /// Driver `number` takes the next, and sleeps while there is none.
        fn take(&self, number: usize) -> u32 {
            block_on(|cx| {
                loop {
                    if let Some(item) = self.queue.lock().pop_front() {
                        return Poll::Ready(item);
                    }
                    let sees = || !self.queue.lock().is_empty();
                    if self.sleepers.sleep(number, cx.waker().clone(), sees) {
                        return Poll::Pending;
                    }
                }
            })
        }
    }

    fn world() -> Arc<World> {
        Arc::new(World { queue: Mutex::new(VecDeque::new()), sleepers: Sleepers::new() })
    }

    #[test]
    fn what_two_put_in_is_taken_by_a_driver_that_falls_asleep() {
        explore(|| {
            let world = world();
            let other = {
                let world = world.clone();
                thread::spawn(move || world.put(1))
            };
            let third = {
                let world = world.clone();
                thread::spawn(move || world.put(2))
            };
            assert_eq!(world.take(0) + world.take(0), 3);
            other.join().unwrap();
            third.join().unwrap();
        });
    }

    #[test]
    fn two_drivers_that_fall_asleep_take_one_each() {
        explore(|| {
            let world = world();
            let other = {
                let world = world.clone();
                thread::spawn(move || world.take(1))
            };
            world.put(1);
            world.put(2);
            let mine = world.take(0);
            assert_eq!(mine + other.join().unwrap(), 3);
        });
    }
}

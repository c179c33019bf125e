//! Where do things wait that are expensive to make and cheap to use again?
//!
//! In the thread that used them last, by type: no lock, and nothing that crosses threads.
//!
//! # Invariants
//!
//! * A thread keeps at most so many things of one type as the one who gives them allows.
//! * No code of a user runs while the pool is borrowed.

use std::any::{Any, TypeId};
use std::cell::RefCell;
#[expect(clippy::disallowed_types, reason = "its hasher is fixed, and its order is never looked at")]
use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Per type `T`, a `Vec<T>`.
#[expect(clippy::disallowed_types, reason = "its hasher is fixed, and its order is never looked at")]
type ByType = HashMap<TypeId, Box<dyn Any>, FixedState>;

thread_local! {
    static POOL: RefCell<ByType> = const { RefCell::new(ByType::with_hasher(FixedState::with_seed(0))) };
}

/// A thing of this type that was given back on this thread.
pub(crate) fn take<T: 'static>() -> Option<T> {
    // A thread that is ending has no pool any more.
    POOL.try_with(|pool| pool.borrow_mut().get_mut(&TypeId::of::<T>())?.downcast_mut::<Vec<T>>()?.pop())
        .ok()?
}

/// Keeps a thing for the next one on this thread, unless there are `limit` of its type already.
pub(crate) fn give<T: 'static>(thing: T, limit: usize) {
    let surplus = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let things = pool.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(Vec::<T>::new()));
        match things.downcast_mut::<Vec<T>>() {
            Some(things) if things.len() < limit => {
                things.push(thing);
                None
            }
            _ => Some(thing),
        }
    });
    drop(surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_taken_by_type_and_the_limit_holds() {
        for n in 0..5u8 {
            give(n, 3);
        }
        give("text", 3);
        assert_eq!(std::iter::from_fn(take::<u8>).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(take::<&str>(), Some("text"));
        assert_eq!(take::<u16>(), None);
    }
}

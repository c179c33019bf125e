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

/// Per type `T`, a `Vec<T>`. In the order of their use, roughly: whatever is used moves ahead by one.
struct Pool(Vec<(TypeId, Box<dyn Any>)>);

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool(Vec::new())) };
}

impl Pool {
    /// What there is of type `T`.
    #[inline]
    fn things<T: 'static>(&mut self) -> Option<&mut Vec<T>> {
        let of = TypeId::of::<T>();
        let index = match self.0.iter().position(|(id, _)| *id == of)? {
            0 => 0,
            index => {
                self.0.swap(index, index - 1);
                index - 1
            }
        };
        self.0.get_mut(index)?.1.downcast_mut()
    }
}

/// A thing of this type that was given back on this thread.
#[inline]
pub(crate) fn take<T: 'static>() -> Option<T> {
    // A thread that is ending has no pool any more.
    POOL.try_with(|pool| pool.borrow_mut().things::<T>()?.pop()).ok()?
}

/// Keeps a thing for the next one on this thread, unless there are `limit` of its type already.
#[inline]
pub(crate) fn give<T: 'static>(thing: T, limit: usize) {
    let surplus = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        match pool.things::<T>() {
            Some(things) if things.len() < limit => {
                things.push(thing);
                None
            }
            Some(_) => Some(thing),
            None => {
                pool.0.push((TypeId::of::<T>(), Box::new(vec![thing])));
                None
            }
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

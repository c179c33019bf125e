//! Is the end of an actor told exactly once, in every interleaving of watching and ending?
//!
//! The main thread of a model is a watcher with the set of those it watches and its mailbox, as its context has
//! them; the other is the end of the actor it watches. Run as the models of the [mailbox](crate::mailbox).

use std::collections::BTreeSet;
use std::sync::Arc;

use loom::thread;

use super::Watchers;
use crate::mailbox::Mailbox;
use crate::mailbox::inbox::{Inbox, Next};
use crate::mailbox::ring::Ring;
use crate::sync::Mutex;
use crate::sync::model::{block_on, explore};

const WATCHED: u64 = 1;
const WATCHER: u64 = 2;

/// A mailbox whose controls say who has ended.
type Notices = Arc<Inbox<(), u64, ()>>;
type List = Arc<Watchers<Notices>>;

/// What a context does, step by step.
struct Watcher {
    list: List,
    notices: Notices,
    watching: BTreeSet<u64>,
}

impl Watcher {
    fn new(list: &List) -> Self {
        let notices = Arc::new(Inbox::new(Mailbox::<()>::unbounded(), ()).0);
        Self { list: list.clone(), notices, watching: BTreeSet::new() }
    }

    fn watch(&mut self) {
        if self.watching.insert(WATCHED) && self.list.add(WATCHER, self.notices.clone()).is_err() {
            assert!(self.notices.control(WATCHED).is_ok());
        }
    }

    fn unwatch(&mut self) {
        if self.watching.remove(&WATCHED) {
            self.list.remove(WATCHER);
        }
    }

    /// Waits for a notice. Whether it counts.
    fn notice(&mut self) -> bool {
        loop {
            let next = block_on(|cx| self.notices.poll_next(&mut Ring::default(), &mut false, cx));
            assert!(matches!(next, Next::Controls));
            if let Ok(ended) = self.notices.next_control() {
                return self.watching.remove(&ended);
            }
        }
    }

    /// How many of the notices that are there count.
    fn count(&mut self) -> usize {
        std::iter::from_fn(|| self.notices.next_control().ok())
            .filter(|ended| self.watching.remove(ended))
            .count()
    }
}

fn ends(list: &List) -> thread::JoinHandle<()> {
    let list = list.clone();
    thread::spawn(move || {
        for watcher in list.end(|_| false).into_iter().flatten() {
            assert!(watcher.control(WATCHED).is_ok());
        }
    })
}

#[test]
fn an_end_is_told_once_to_one_who_begins_to_watch_meanwhile() {
    explore(|| {
        let list = Arc::new(Watchers::new());
        let mut watcher = Watcher::new(&list);
        let end = ends(&list);
        watcher.watch();
        watcher.watch();
        assert!(watcher.notice());
        end.join().unwrap();
        assert_eq!(watcher.count(), 0);
        assert!(list.has_ended());
    });
}

#[test]
fn an_end_is_never_told_after_unwatch() {
    explore(|| {
        let list = Arc::new(Watchers::new());
        let mut watcher = Watcher::new(&list);
        watcher.watch();
        let end = ends(&list);
        watcher.unwatch();
        end.join().unwrap();
        assert_eq!(watcher.count(), 0);
    });
}

#[test]
fn one_who_watches_again_is_told_once() {
    explore(|| {
        let list = Arc::new(Watchers::new());
        let mut watcher = Watcher::new(&list);
        watcher.watch();
        let end = ends(&list);
        watcher.unwatch();
        watcher.watch();
        while !watcher.notice() {}
        end.join().unwrap();
        assert_eq!(watcher.count(), 0);
    });
}

#[test]
fn the_end_itself_happens_once() {
    explore(|| {
        let list = Arc::new(Watchers::new());
        let mut watcher = Watcher::new(&list);
        watcher.watch();
        // The body ends the actor, and so does the drop of its task.
        let end = ends(&list);
        let again = ends(&list);
        assert!(watcher.notice());
        end.join().unwrap();
        again.join().unwrap();
        assert_eq!(watcher.count(), 0);
    });
}

/// What a subscription and a group do: enter, and be taken out by the end, whichever comes first.
#[test]
fn what_is_entered_while_its_actor_ends_is_taken_out_before_anybody_learns_of_the_end() {
    const CALL: u64 = 3;
    explore(|| {
        let watchers = Arc::new(Watchers::new());
        let entries = Arc::new(Mutex::new(BTreeSet::new()));
        let (list, taken) = (watchers.clone(), entries.clone());
        let end = thread::spawn(move || {
            while let Err(calls) = list.end(|()| true) {
                for () in calls {
                    taken.lock().remove(&CALL);
                }
            }
        });
        let _ = watchers.add(CALL, ());
        entries.lock().insert(CALL);
        if !watchers.contains(CALL) {
            entries.lock().remove(&CALL);
        }
        if watchers.has_ended() {
            assert!(entries.lock().is_empty(), "who learns of the end finds nothing");
        }
        end.join().unwrap();
        assert!(entries.lock().is_empty());
    });
}

//! What becomes of actors whose tokio runtime goes before their system has stopped?
//!
//! Nothing can run them any more, so they end where they are: what waits in their mailboxes becomes dead letters, asks are
//! answered, watchers are told. The [run queue](crate::run_queue) notices, because its drivers are dropped.
//!
//! # Invariants
//!
//! * After the run queue has closed, every actor is woken once more, and whatever is woken then is dropped.

use std::sync::{Arc, Weak};

use crate::run_queue::Home;
use crate::system::Core;

/// Sees to it that the actors of `core` end with its runtime.
pub(crate) fn watch_over(core: &Arc<Core>) {
    let home: Weak<Core> = Arc::downgrade(core);
    core.env.house(home);
}

impl Home for Core {
    fn rouse(&self) {
        // The children before their parents.
        for cell in self.registry.all().into_iter().rev() {
            cell.rouse();
        }
    }
}

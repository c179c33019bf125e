//! What becomes of actors whose tokio runtime goes before their system has stopped?
//!
//! Nothing can run them any more, so they end where they are: what waits in their mailboxes becomes dead letters, asks are
//! answered, watchers are told. A task of the runtime keeps watch; that it is dropped is the sign.
//!
//! # Invariants
//!
//! * After the run queue has closed, every actor is woken once more, and whatever is woken then is dropped.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use crate::shutdown::ShutdownReport;
use crate::system::Core;

/// Its drop is the end of the runtime, unless the system has ended before.
struct Sentinel {
    system: Weak<Core>,
    report: watch::Receiver<Option<ShutdownReport>>,
}

/// Keeps watch for `core`. In a simulation actors are tasks, and end with it.
pub(crate) fn watch_over(core: &Arc<Core>, report: watch::Receiver<Option<ShutdownReport>>) {
    if core.env.is_simulated() {
        return;
    }
    let mut sentinel = Sentinel { system: Arc::downgrade(core), report };
    core.env.spawn(String::new, async move {
        drop(sentinel.report.wait_for(Option::is_some).await);
    });
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let ended = self.report.borrow().is_some();
        let Some(core) = self.system.upgrade().filter(|_| !ended) else { return };
        core.env.close_run_queue();
        // The children before their parents, as far as that is known.
        for cell in core.registry.all().into_iter().rev() {
            cell.rouse();
        }
    }
}

//! Who tells that an actor holds up a thread?
//!
//! One thread per system, which looks at the [beats](crate::beat) of all threads a few times within the limit. It cannot be
//! a task: when all threads are held up, no task runs. Since it wakes up anyhow, it is the pulse of the system as well:
//! the coarse time that costs nobody a look at the clock.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use tokio::sync::watch;

use crate::beat::{Held, Watchdog};
use crate::log_limit::{LogLimit, Verdict};
use crate::shutdown::ShutdownReport;
use crate::system::{Core, ID_BITS};

/// Looks within the limit: what is told may be late by a part of it.
const LOOKS: u32 = 4;
/// The shortest time between two looks, however short the limit, and the longest, for the sake of the pulse.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Lines per [`LOG_WINDOW`]; the rest is summed up in the next line.
const LOG_BURST: u32 = 10;
const LOG_WINDOW: Duration = Duration::from_secs(10);

/// Looks after the actors of `core`, until the `report` of its end is there, or the runtime is gone. In a simulation there is
/// nothing to look after.
pub(crate) fn start(core: &Arc<Core>, limit: Duration, mut report: watch::Receiver<Option<ShutdownReport>>) {
    if core.env.is_simulated() {
        return;
    }
    let pause = (limit / LOOKS).clamp(PAUSE, LONGEST_PAUSE);
    let (leash, dropped) = bounded(0);
    let system = Arc::downgrade(core);
    let work = move || {
        let mut watchdog = Watchdog::default();
        let mut log = LogLimit::new(LOG_BURST, LOG_WINDOW);
        while let Err(RecvTimeoutError::Timeout) = dropped.recv_timeout(pause) {
            look(&system, &mut watchdog, &mut log, limit);
        }
    };
    match core.env.thread(format!("{}-watchdog", core.name), work) {
        // A task, so that it is dropped with the runtime: the thread does not outlive that.
        Ok(()) => core.env.spawn(String::new, async move {
            let _leash: Sender<Infallible> = leash;
            drop(report.wait_for(Option::is_some).await);
        }),
        Err(error) => {
            tracing::warn!(system = %core.name, %error, "no thread for the watchdog: handlers that block are not told");
        }
    }
}

fn look(system: &Weak<Core>, watchdog: &mut Watchdog, log: &mut LogLimit, limit: Duration) {
    let Some(core) = system.upgrade() else { return };
    core.beat();
    core.env.look_after_run_queue();
    let now = core.env.now();
    for held in watchdog.look(now, limit) {
        // Threads are shared by systems, and ids name theirs.
        if held.actor >> ID_BITS != core.number() {
            continue;
        }
        if !held.over {
            core.counts.held();
        }
        if let Verdict::Log { suppressed } = log.allow(now) {
            tell(&core, held, suppressed);
        }
    }
}

fn tell(core: &Core, Held { actor, time, over }: Held, suppressed: u64) {
    let cell = core.registry.all().into_iter().find(|cell| cell.head().id == actor);
    let (path, message_type) = cell.map_or_else(
        || ("an actor that has ended".to_owned(), "unknown"),
        |cell| (cell.head().path.to_string(), cell.message_type()),
    );
    if over {
        tracing::warn!(path, message_type, ?time, suppressed, "the actor lets go of its thread");
    } else {
        tracing::warn!(
            path,
            message_type,
            ?time,
            suppressed,
            "a handler holds a thread that others need: let it await, or give the actor Dispatcher::pinned() or \
             Dispatcher::blocking(..)"
        );
    }
}

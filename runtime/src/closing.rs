//! How is a shutdown carried out?
//!
//! One task leads it through the [phases](crate::shutdown::Phase). It ends in every case: at the latest when the
//! budget is over.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use crate::extension::contained;
use crate::mailbox::inbox::Urge;
use crate::shutdown::{Phase, ShutdownReport};
use crate::system::{ActorSystem, Core, Gate};

/// How often the mailboxes are looked at while they drain.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The time that cancelled actors get to end once the shutdown is forced.
const FORCED_GRACE: Duration = Duration::from_millis(200);

/// Publishes a report when the shutdown is dropped half-way, because the tokio runtime of the system is gone: nobody
/// who waits for it waits for ever.
struct LastWord {
    core: Arc<Core>,
    start: Instant,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        let Self { core, start } = self;
        if core.closed_to() == Gate::Stopped {
            return;
        }
        core.gate(Gate::Stopped);
        let unfinished = core.registry.all().iter().map(|cell| cell.head().path.clone()).collect();
        let took = core.env.now().duration_since(*start);
        core.publish(ShutdownReport { cause: core.cause(), unfinished, took });
    }
}

/// Leads the shutdown of a system.
pub(crate) fn close(core: Arc<Core>) -> impl Future<Output = ()> + Send {
    // Made here, because a runtime that is gone drops the future without having polled it.
    let last_word = LastWord { start: core.env.now(), core };
    async move {
        lead(&last_word.core, last_word.start).await;
    }
}

async fn lead(core: &Arc<Core>, start: Instant) {
    let system = ActorSystem::of(core.clone());
    let mut unfinished = Vec::new();
    for phase in Phase::ALL {
        let end = phase.end(start, core.shutdown_budget);
        core.env.note(|| format!("shutdown {phase:?}"));
        tracing::debug!(system = %core.name, ?phase, "shutting down");
        for extension in core.extensions().iter().rev() {
            let stop = pin!(contained(async { extension.stop(phase, &system).await }));
            let over = pin!(is_over(core, end));
            match select(stop, over).await {
                Either::Left((Ok(()), _)) => {}
                Either::Left((Err(failure), _)) => {
                    tracing::error!(extension = extension.name(), ?phase, %failure, "extension failed to stop");
                }
                Either::Right(_) => {
                    tracing::warn!(
                        extension = extension.name(),
                        ?phase,
                        "not done in its phase of the shutdown"
                    );
                }
            }
        }
        match phase {
            Phase::StopAccepting | Phase::Close => {}
            Phase::Drain => drain(core, end).await,
            Phase::StopActors => {
                core.gate(Gate::Stopping);
                stop_all(core, Urge::Stop, end).await;
                unfinished = core.registry.all().iter().map(|cell| cell.head().path.clone()).collect();
            }
            Phase::Kill if unfinished.is_empty() => {}
            Phase::Kill => {
                let forced = core.is_forced();
                let end = if forced { end.min(core.env.now() + FORCED_GRACE) } else { end };
                stop_all(core, Urge::Kill, end).await;
            }
        }
    }
    core.gate(Gate::Stopped);
    let took = core.env.now().duration_since(start);
    core.publish(ShutdownReport { cause: core.cause(), unfinished, took });
}

/// Waits for the end of a phase, or for the little that is left of it when the shutdown is forced.
async fn is_over(core: &Core, end: Instant) {
    let forced = pin!(async {
        core.forced().await;
        core.env.sleep(FORCED_GRACE).await;
    });
    select(core.env.sleep_until(end), forced).await;
}

/// Waits until nothing is queued and nobody handles anything.
async fn drain(core: &Core, end: Instant) {
    let mut before = None;
    loop {
        // Idle twice, with nothing put into any mailbox in between: idle at some moment in between, all at once.
        let now = accepted_if_idle(core);
        if now.is_some() && now == before {
            return;
        }
        before = now;
        if core.is_forced() || core.env.now() >= end {
            return;
        }
        core.env.sleep(LOOK_EVERY).await;
    }
}

/// All messages ever put into the mailboxes of those who live, if all of them are idle.
fn accepted_if_idle(core: &Core) -> Option<u64> {
    core.registry.all().iter().try_fold(0u64, |sum, cell| {
        let figures = cell.figures();
        figures.idle.then(|| sum + figures.accepted)
    })
}

/// Urges all actors to stop, and waits until they have, or until `end`.
async fn stop_all(core: &Core, urge: Urge, end: Instant) {
    let Some(guardian) = core.guardian() else { return };
    // Parents pass a stop on to their children when they come to it; a kill goes to everybody at once.
    let all = if urge == Urge::Kill { core.registry.all() } else { Vec::new() };
    for cell in guardian.family().close().iter().chain(&all) {
        cell.urge(urge);
    }
    while !guardian.family().is_empty() {
        let childless = pin!(guardian.childless());
        let alarm = pin!(async {
            if !core.is_forced() || urge == Urge::Kill {
                core.env.sleep_until(end).await;
            }
        });
        match select(childless, alarm).await {
            Either::Left(_) => {}
            Either::Right(_) => return,
        }
    }
}

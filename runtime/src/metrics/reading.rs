//! What are the figures of a system now, all of them and by group?
//!
//! # Invariants
//!
//! * The actors by state, and those by group, are together the actors of the system: all are of one walk.
//! * No message is counted twice: those who ended are read before those who live (see
//!   [`Core::depart`](crate::system::Core::depart)). Who leaves in between is missing until the next reading.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::ledger::{Done, Ledger};
use crate::inspection::{ActorInspection, ActorState};
use crate::runner::give_way;
use crate::system::{Core, SystemStats};

/// Actors that are looked at in a row before other tasks have their turn: well below a millisecond.
const IN_A_ROW: usize = 256;

/// The figures of a system at about one moment.
pub(super) struct Reading {
    pub(super) stats: SystemStats,
    /// Actors by state, in the order of [`ActorState::ALL`].
    pub(super) states: [usize; ActorState::ALL.len()],
    /// Messages in all mailboxes.
    pub(super) depth: usize,
    /// The age of the oldest of them.
    pub(super) oldest: Duration,
    pub(super) groups: Vec<Group>,
}

/// The figures of one group.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) figures: Figures,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) actors: usize,
    pub(super) depth: usize,
    /// Of those who live and of those who have ended.
    pub(super) done: Done,
}

impl Reading {
    /// Looks at all actors, and gives way to other tasks now and then.
    pub(super) async fn take(core: &Core, ledger: &Mutex<Ledger>) -> Self {
        let past = ledger.lock().done();
        let mut groups: Vec<Figures> =
            past.into_iter().map(|done| Figures { done, ..Figures::default() }).collect();
        let mut reading = Self {
            stats: SystemStats::of_the_past(core),
            states: [0; ActorState::ALL.len()],
            depth: 0,
            oldest: Duration::ZERO,
            groups: Vec::new(),
        };
        let cells = core.registry.all();
        let mut slots: BTreeMap<&str, usize> = BTreeMap::new();
        for row in cells.chunks(IN_A_ROW) {
            for cell in row {
                let actor = ActorInspection::of(&**cell, core);
                reading.count(&actor);
                let name = Ledger::group(&cell.head().path);
                let slot = *slots.entry(name).or_insert_with(|| ledger.lock().slot(name));
                if slot >= groups.len() {
                    groups.resize(slot + 1, Figures::default());
                }
                groups[slot].count(&actor);
            }
            give_way().await;
        }
        let names = ledger.lock().names();
        let group = |(name, slot)| Group { name, figures: groups.get(slot).copied().unwrap_or_default() };
        reading.groups = names.into_iter().map(group).collect();
        reading
    }

    fn count(&mut self, actor: &ActorInspection) {
        self.stats.count(actor.processed, actor.deepest);
        self.states[actor.state as usize] += 1;
        self.depth += actor.depth;
        self.oldest = self.oldest.max(actor.oldest.unwrap_or_default());
    }
}

impl Figures {
    fn count(&mut self, actor: &ActorInspection) {
        self.actors += 1;
        self.depth += actor.depth;
        self.done.messages += actor.processed;
        self.done.failures += actor.failures;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::actor::Actor;
    use crate::context::Context;
    use crate::failure::Failure;
    use crate::metrics::Metrics;
    use crate::system::ActorSystem;

    /// Handles one message, and ends.
    struct Brief(Arc<AtomicU64>);

    impl Actor for Brief {
        type Msg = ();

        async fn receive(&mut self, (): (), ctx: &mut Context<Self>) -> Result<(), Failure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            ctx.stop();
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_reading_on_another_thread_counts_more_than_was_handled() {
        const ACTORS: u64 = 5_000;
        let system =
            ActorSystem::builder("test").extension(Metrics::every(Duration::MAX)).start().await.unwrap();
        let handled = Arc::new(AtomicU64::new(0));
        let (churning, counted) = (system.clone(), handled.clone());
        system.env().spawn(|| "churn".to_owned(), async move {
            for _ in 0..ACTORS {
                let counted = counted.clone();
                let brief = churning.spawn("brief", move || Brief(counted.clone())).unwrap();
                brief.tell(()).unwrap();
                brief.stopped().await;
            }
        });
        let ledger = system.core().ledger.get().unwrap();
        loop {
            let reading = Reading::take(system.core(), ledger).await;
            let truth = handled.load(Ordering::SeqCst);
            let group: u64 = reading.groups.iter().map(|group| group.figures.done.messages).sum();
            assert!(reading.stats.messages <= truth, "{} of {truth}", reading.stats.messages);
            assert!(group <= truth, "{group} of {truth} in the group");
            if truth == ACTORS {
                break;
            }
        }
        system.shutdown().await;
        let last = Reading::take(system.core(), ledger).await;
        assert_eq!((last.stats.messages, last.groups[0].figures.done.messages), (ACTORS, ACTORS));
    }
}

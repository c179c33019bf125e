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
use crate::feed::give_way;
use crate::inspection::{ActorInspection, ActorState};
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

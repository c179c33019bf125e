//! Which actors build one read model together, and how far are they?
//!
//! # Invariants
//!
//! * Events that a part has not stored are kept from its spawn to its end, whether its read model is open or not.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use omnitron_runtime::{ActorRef, ActorSystem, Backoff, Spawn, SpawnError, Supervision};

use super::ledger::Entry;
use super::model::ReadModel;
use super::part::{Part, Work};
use super::status::{Board, Doing, PartStatus};
use super::{Settings, Target};
use crate::journal::Journal;
use crate::offset::Offset;

/// The parts that build one read model.
pub(super) struct Generation<R: ReadModel> {
    pub(super) number: u64,
    pub(super) parts: Vec<(ActorRef<Work<R>>, Arc<Board>)>,
}

impl<R: ReadModel> Generation<R> {
    pub(super) fn spawn(
        settings: &Arc<Settings<R>>,
        system: &ActorSystem,
        journal: &Journal,
        ledger: &ActorRef<Entry>,
        paused: &Arc<AtomicBool>,
        number: u64,
    ) -> Result<Self, SpawnError> {
        let mut generation = Self { number, parts: Vec::new() };
        let slices = journal.parts(settings.parts as usize).unwrap_or_default();
        let identity = journal.start().map_or(0, |start| start.journal());
        for (part, slices) in (0..).zip(slices) {
            let target = Target { projection: settings.name.clone(), generation: number, part };
            let board = Arc::new(Board::new(identity));
            let own = slices.iter().copied().collect();
            let reader = Arc::new(journal.reader_of(&own, &Offset::start(identity)));
            let name = target.to_string();
            let make = {
                let (settings, board, paused) =
                    (Arc::clone(settings), Arc::clone(&board), Arc::clone(paused));
                let (ledger, journal) = (ledger.clone(), journal.clone());
                move || Part::new(&settings, &target, &slices, (&board, &paused, &reader), &ledger, &journal)
            };
            let backoff =
                Backoff::exponential(Duration::from_millis(100), Duration::from_secs(10)).jitter(0.2);
            // Whatever fails in a part is no reason to stop its system.
            let spawn = Spawn::new(make)
                .supervision(Supervision::restart().unlimited().backoff(backoff))
                .dispatcher(settings.dispatcher.clone());
            match system.spawn(&name, spawn) {
                Ok(actor) => generation.parts.push((actor, board)),
                Err(error) => {
                    generation.parts.iter().for_each(|(part, _)| drop(part.stop()));
                    return Err(error);
                }
            }
        }
        Ok(generation)
    }

    pub(super) fn tell(&self, mut work: impl FnMut() -> Work<R>) {
        for (part, _) in &self.parts {
            // One that is full looks by itself, and one that has ended does nothing any more.
            let _ = part.tell(work());
        }
    }

    pub(super) async fn stop(&self) {
        join_all(self.parts.iter().map(|(part, _)| part.stop())).await;
    }

    /// Waits for a change of any part.
    pub(super) async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes: Vec<_> = self.parts.iter().map(|(_, board)| board.changes()).collect();
        loop {
            changes.iter_mut().for_each(tokio::sync::watch::Receiver::mark_unchanged);
            if reached(self) || changes.is_empty() {
                return;
            }
            let each = changes.iter_mut().map(|change| Box::pin(change.changed()));
            // The senders live in `self`.
            let _ = select_all(each).await;
        }
    }

    pub(super) fn status(&self) -> Vec<PartStatus> {
        self.parts.iter().map(|(_, board)| board.get()).collect()
    }

    /// How far all parts together are, in the journal of `end`.
    pub(super) fn offset(&self, end: &Offset) -> Offset {
        let mut all = Offset::start(end.journal());
        for part in self.status() {
            all.merge(&part.offset);
        }
        all
    }

    /// Whether everything up to `end` is in the read model.
    pub(super) fn has(&self, end: &Offset) -> bool {
        let all = self.offset(end);
        end.iter().all(|(slice, ordinal)| all.of(slice) >= ordinal)
    }

    /// What a part does that will not get on by itself.
    pub(super) fn stuck(&self) -> Option<Doing> {
        self.status()
            .into_iter()
            .map(|part| part.doing)
            .find(|doing| matches!(doing, Doing::Halted { .. } | Doing::Unreadable { .. } | Doing::Ended))
    }
}

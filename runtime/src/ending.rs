//! How does an actor end?
//!
//! Orderly: it takes no more messages, its children end first, `stopped` runs, its state is dropped. Then, without
//! waiting for anything: what is left becomes dead letters, the name is free, parent and watchers are told.
//!
//! # Invariants
//!
//! * [`finish`](Body::finish) runs exactly once per actor, whatever happened before.
//! * Whoever learns of the end can use the name again.

use std::pin::pin;

use crate::actor::Actor;
use crate::body::{Body, caught};
use crate::cell::Control;
use crate::chain::Frame;
use crate::context::Doing;
use crate::dead_letters::Reason;
use crate::failure::Failure;
use crate::guard::Guarded;
use crate::spawn::Limits;

impl<A: Actor> Body<A> {
    /// Ends the actor.
    pub(crate) async fn end(&mut self) {
        self.ctx.takes_children = false;
        self.cell().inbox.close();
        self.stop_children().await;
        if self.actor.is_some() && self.ctx.begun {
            self.ctx.doing = Doing::Stopping;
            if let Err(failure) = self.run_stopped().await {
                self.report(&failure);
            }
        }
        self.finish();
    }

    async fn run_stopped(&mut self) -> Result<(), Failure> {
        let cell = self.cell().clone();
        let limits = self.limits();
        let Self { actor: Some(actor), ctx, .. } = self else { return Ok(()) };
        let limits = &Limits { handler: Some(limits.stop_grace), ..limits };
        let hook = async { Guarded::new(&cell, limits, 0, pin!(actor.stopped(ctx))).await };
        caught(cell.head().id, &mut Frame::default(), pin!(hook)).await?.into_result(limits)
    }

    /// The last steps, which wait for nothing.
    pub(crate) fn finish(&mut self) {
        self.ctx.doing = Doing::Stopping;
        self.drop_actor();
        self.ctx.abort_beside();
        self.ctx.unstash_all();
        let cell = self.cell().clone();
        let head = cell.head();
        let (queued, controls) = cell.inbox.finish();
        for envelope in self.ctx.batch.drain().chain(queued) {
            // Its drop is the user's code: it runs as this actor, too.
            if let Err(failure) = Frame::default().enter(head.id, || cell.bury(envelope, Reason::Stopped)) {
                tracing::warn!(path = %head.path, %failure, "a message panicked on drop");
            }
        }
        for control in controls {
            // Nobody decides about it any more, but it is not to be lost.
            if let Control::FailedBeside(doing, failure) = control {
                self.ctx.doing = doing;
                self.report(&failure);
            }
        }
        self.ctx.tell_processed();
        self.ctx.doing = Doing::Nothing;
        head.core.env.note(|| format!("{} ended", head.path));
        if let Some(rare) = &mut self.ctx.rare {
            for watched in std::mem::take(&mut rare.watching).into_values() {
                watched.head().watchers.remove(head.id);
            }
        }
        head.core.depart(head, cell.inbox.figures().deepest);
        if let Some(parent) = &head.parent {
            parent.head().family.remove(self.ctx.key, head.id, parent);
        }
        head.tell_watchers();
    }
}

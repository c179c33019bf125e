//! What does an actor do about what the runtime tells it, between two messages?
//!
//! # Invariants
//!
//! * An urge is looked at before the controls, and again when there are no more of them: it is never lost.
//! * A notice becomes a signal only if it still counts when it is delivered.

use std::pin::pin;

use crate::actor::{Actor, Signal};
use crate::body::Exit;
use crate::cell::{Control, Verdict};
use crate::chain;
use crate::context::{Context, Doing};
use crate::failure::Failure;
use crate::guard::Guarded;
use crate::mailbox::inbox::Urge;
use crate::spawn::Limits;

/// Acts on urges and controls, up to the next one that the user's `signal` is to see.
pub(crate) fn next_signal<A: Actor>(ctx: &mut Context<A>) -> Result<Option<Signal>, Exit> {
    heed(ctx, ctx.cell().inbox.urged())?;
    while let Some(notice) = ctx.rare.as_mut().and_then(|rare| rare.notices.pop_front()) {
        if let Some(signal) = ctx.signal_of(notice) {
            return Ok(Some(signal));
        }
    }
    let urge = loop {
        let control = match ctx.cell().inbox.next_control() {
            Ok(control) => control,
            Err(urge) => break urge,
        };
        match control {
            Control::Halt(crash) => return Err(Exit::Halt(crash)),
            Control::FailedBeside(doing, failure) => {
                ctx.doing = doing;
                return Err(Exit::Failed(failure));
            }
            // Its parent may have restarted since, and the child with it.
            Control::Escalated { child, .. } if child.head().watchers.has_ended() => {}
            Control::Escalated { failure, crash, .. } => {
                ctx.doing = Doing::Supervising;
                return Err(Exit::Failed(Failure::escalated(crash, failure)));
            }
            // Those who wait for these look for themselves.
            Control::Childless | Control::Start | Control::Verdict(Verdict::Resume | Verdict::Restart) => {}
            notice => {
                if let Some(signal) = ctx.signal_of(notice) {
                    return Ok(Some(signal));
                }
            }
        }
    };
    // Once more: an urge that came after the first look, with a control before it, has no other sign any more.
    heed(ctx, urge)?;
    Ok(None)
}

/// Acts on an urge.
fn heed<A: Actor>(ctx: &Context<A>, urge: Option<Urge>) -> Result<(), Exit> {
    match urge {
        Some(Urge::Stop | Urge::Kill) => return Err(Exit::Stop),
        Some(Urge::Drain) => ctx.cell().inbox.close(),
        None => {}
    }
    Ok(())
}

/// Runs `signal`.
pub(crate) async fn handle_signal<A: Actor>(
    actor: &mut A,
    ctx: &mut Context<A>,
    signal: Signal,
    limits: &Limits,
) -> Result<(), Exit> {
    chain::handle_for(None);
    ctx.doing = Doing::Signal;
    let cell = ctx.cell().clone();
    cell.head().core.env.note(|| format!("{} signal {signal:?}", cell.head().path));
    let left = ctx.batch.len();
    let ended = Guarded::new(&cell, limits, left, pin!(actor.signal(signal, ctx))).await;
    ended.into_exit().map_or(Ok(()), Err)
}

impl<A: Actor> Context<A> {
    /// The signal that a notice is for the user; `None` when it no longer counts.
    pub(crate) fn signal_of(&mut self, notice: Control) -> Option<Signal> {
        match notice {
            Control::Terminated { id, path } => {
                self.rare.as_mut()?.watching.remove(&id).map(|_| Signal::Terminated(path))
            }
            Control::ChildFailed(crash) => Some(Signal::ChildFailed(crash)),
            Control::ChildRestarted { path, attempt } => Some(Signal::ChildRestarted { path, attempt }),
            _ => None,
        }
    }
}

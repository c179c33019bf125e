//! How does a stream become messages, no faster than its actor handles them?
//!
//! A task beside the actor takes one item, makes a message of it, waits for room in the mailbox, and only then takes the
//! next.
//!
//! # Invariants
//!
//! * At most one item is between the stream and the mailbox.
//! * The task ends with the stream, with the actor, or with the drop of its [`Feed`], whichever comes first, and the stream
//!   is dropped then.

use std::fmt;
use std::pin::pin;

use futures_util::future::{AbortHandle, Abortable, Either, select};
use futures_util::{Stream, StreamExt};

use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::cell::{AnyCell, Control, Envelope};
use crate::context::{Context, Doing};
use crate::dead_letters::Reason;
use crate::error::Undelivered;
use crate::failure::{catch_future, drop_quietly};
use crate::runner::give_way;
use crate::trace::{self, TraceContext};

/// Items after which the task gives way to others: a stream and a mailbox that are always ready would keep it for ever.
const ITEMS_PER_TURN: u32 = 64;

impl<M: Send + 'static> ActorRef<M> {
    /// Sends each item of `stream` to this actor, in order, as a message made by `map`; and a last message made by `end`
    /// when the stream has ended. Each waits for room as [`send`](Self::send) does, and the stream is not asked for the
    /// next item before. So the bound of the mailbox is what slows the stream down: one that is unbounded, or drops,
    /// does not.
    ///
    /// An item may be a `Result`: an error is an item like any other, and what follows it is up to the stream.
    ///
    /// The feed ends, and drops the stream, when the stream ends, when the actor ends, when the [`Feed`] is dropped, and
    /// when it panics: a panic in the stream, in `map` or in `end` is a [failure](crate::During::Fed) of this actor. An item
    /// that the actor refuses because it stops, or because the system shuts down, is a dead letter; the stream is not
    /// asked for more. To an actor that has ended already nothing is fed.
    pub fn feed<S>(
        &self,
        stream: S,
        map: impl FnMut(S::Item) -> M + Send + 'static,
        end: impl FnOnce() -> M + Send + 'static,
    ) -> Feed
    where
        S: Stream + Send + 'static,
        S::Item: Send,
    {
        let (task, registration) = AbortHandle::new_pair();
        let (actor, ends) = (self.clone(), Ends(task.clone()));
        let part_of = TraceContext::current();
        let label = || format!("{} feed", self.path());
        self.cell.head().core.env.spawn(label, async move {
            let _ends = ends;
            let mut work = Box::pin(trace::carried(part_of, carry(actor.clone(), stream, map, end)));
            if !actor.is_stopped() {
                // The work first: an item in hand when the actor ends is refused, and accounted for.
                let caught = pin!(catch_future(work.as_mut()));
                let ended = Abortable::new(select(caught, actor.stopped()), registration).await;
                if let Ok(Either::Left((Err(failure), _))) = ended {
                    actor.cell.control(Control::FailedBeside(Doing::Fed, failure));
                }
            }
            if let Err(failure) = drop_quietly(work) {
                tracing::warn!(path = %actor.path(), %failure, "a stream that fed an actor panicked on drop");
            }
        });
        Feed { task, kept: false }
    }
}

impl<A: Actor> Context<A> {
    /// Feeds a stream to this actor: [`ActorRef::feed`] to itself. A [`Feed`] that the actor keeps in its state ends with a
    /// restart, because the state does; one that is [kept](Feed::keep) goes on.
    pub fn feed<S>(
        &self,
        stream: S,
        map: impl FnMut(S::Item) -> A::Msg + Send + 'static,
        end: impl FnOnce() -> A::Msg + Send + 'static,
    ) -> Feed
    where
        S: Stream + Send + 'static,
        S::Item: Send,
    {
        self.myself.feed(stream, map, end)
    }
}

/// Carries items until there are no more, or the actor takes no more.
async fn carry<S: Stream, M: Send + 'static>(
    actor: ActorRef<M>,
    stream: S,
    mut map: impl FnMut(S::Item) -> M,
    end: impl FnOnce() -> M,
) {
    let mut stream = pin!(stream);
    let mut items: u32 = 0;
    while let Some(item) = stream.next().await {
        if !carried(&actor, map(item)).await {
            return;
        }
        items = items.wrapping_add(1);
        if items.is_multiple_of(ITEMS_PER_TURN) {
            give_way().await;
        }
    }
    carried(&actor, end()).await;
}

/// Sends one message. Says whether the actor takes more.
async fn carried<M: Send + 'static>(actor: &ActorRef<M>, message: M) -> bool {
    let Err(Undelivered { message, .. }) = actor.send(message).await else { return true };
    // Who waits for room outside of a handler is refused for one reason only: that it stops, or everything does.
    actor.cell.bury(Envelope { message, ticket: None }, Reason::Stopped);
    false
}

/// A stream that is fed to an actor; see [`ActorRef::feed`]. Its drop ends the feed; [`keep`](Self::keep) lets it last as
/// long as the stream and the actor.
///
/// When it is dropped, an item that waits for room is dropped with it, undelivered, as by a [`send`](ActorRef::send) that is
/// dropped. On another thread one message may just be on its way.
#[must_use = "dropping it ends the feed: store it, or call `keep`"]
pub struct Feed {
    task: AbortHandle,
    kept: bool,
}

impl Feed {
    /// Lets the feed last until its stream or its actor ends.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Whether it is over: the stream or the actor has ended, or there was a panic.
    pub fn is_ended(&self) -> bool {
        self.task.is_aborted()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if !self.kept {
            self.task.abort();
        }
    }
}

/// Marks the task as ended, however it ends.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("is_ended", &self.is_ended()).finish()
    }
}

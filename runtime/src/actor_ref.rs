//! How does one talk to an actor?
//!
//! # Invariants
//!
//! * A reference names one incarnation of a name: it never leads to another actor that takes the name later.
//! * What is refused is given back; what is taken and not handled becomes a dead letter.

use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::ask::{Ask, TryAsk};
use crate::cell::{AnyCell, Cell, Envelope};
use crate::chain;
use crate::env::Sleep;
use crate::error::{Refusal, Undelivered};
use crate::foreign::{Contramap, Foreign};
use crate::mailbox::inbox::Urge;
use crate::path::ActorPath;
use crate::reply::ReplyTo;

/// A handle to the actor that accepts `M`. Cheap to clone, comparable, hashable, prints its path.
///
/// References do not keep an actor alive: it lives until it stops, or until its parent does.
pub struct ActorRef<M> {
    pub(crate) cell: Arc<Cell<M>>,
}

impl<M: Send + 'static> ActorRef<M> {
    /// Sends a message, and never waits.
    ///
    /// # Errors
    ///
    /// [`Undelivered`] gives the message back when the mailbox is full or the actor has stopped. What a full mailbox
    /// does is its [choice](crate::Mailbox).
    #[inline]
    pub fn tell(&self, message: M) -> Result<(), Undelivered<M>> {
        match self.cell.deliver_now(Envelope { message, ticket: None }) {
            Ok(()) => Ok(()),
            Err(Envelope { message, .. }) => self.tell_with_care(message),
        }
    }

    #[cold]
    fn tell_with_care(&self, message: M) -> Result<(), Undelivered<M>> {
        undelivered(self.cell.deliver(Envelope { message, ticket: None }))
    }

    /// Sends a message, and waits for room in the mailbox. Those who wait are served in order.
    ///
    /// Inside a handler the wait ends after the system's
    /// [ask time-out](crate::SystemBuilder::ask_timeout) with [`Refusal::TimedOut`], and a `send` to the handler's own
    /// full mailbox fails at once with [`Refusal::ToSelf`]: only the handler could make room.
    ///
    /// # Errors
    ///
    /// [`Undelivered`] gives the message back when the actor has stopped, before or while waiting.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped while it waits for room leaves nothing behind: the message is dropped with it,
    /// undelivered. One whose message had got room is delivered all the same.
    pub fn send(&self, message: M) -> Sending<'_, M> {
        Sending { to: self, message: Some(message), waits: None }
    }

    /// Asks a question: `make` builds the message around the [`ReplyTo`]. Waits for room and for the reply, within one
    /// deadline ([`within`](Ask::within); default: the system's [ask time-out](crate::SystemBuilder::ask_timeout)).
    ///
    /// # Errors
    ///
    /// [`AskError`](crate::AskError) says why there is no reply, and whether the actor acted.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped takes the message back if it still waits for room. Later the actor handles it all the
    /// same, and sees that [nobody waits](ReplyTo::is_abandoned).
    pub fn ask<T, F>(&self, make: F) -> Ask<M, T, F>
    where
        T: Send + 'static,
        F: FnOnce(ReplyTo<T>) -> M,
    {
        Ask::new(self.clone(), make)
    }

    /// Like [`ask`](Self::ask), for replies that are results: an error in the reply becomes
    /// [`AskError::Failed`](crate::AskError::Failed).
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask), and [`AskError::Failed`](crate::AskError::Failed).
    pub fn try_ask<T, E, F>(&self, make: F) -> TryAsk<M, T, E, F>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(ReplyTo<Result<T, E>>) -> M,
    {
        TryAsk::new(self.ask(make))
    }

    /// The same actor, for those who know a message of their own that `map` makes one of its messages of:
    /// `counter.contramap(CounterMsg::Add)` is a reference to which one sends numbers. It may be stored, compared with
    /// its own clones, adapted again, watched; everything else is as with this reference. What is refused comes back
    /// unadapted.
    ///
    /// `map` runs in the sender, once per message; a panic in it is the sender's. Allocates once, here.
    ///
    /// A `send` that waits takes its turn as every other, but gives its message away only when it is polled after that: until
    /// then its room is kept for it, a later `tell` may come before it where there is more room, and a
    /// [`drain`](Self::drain) waits for it. So await it, or drop it. Room is made, where a mailbox drops its oldest, before
    /// `map` runs.
    ///
    /// ```
    /// # use omnitron_runtime::{ActorRef, ReplyTo};
    /// # enum CounterMsg { Add(u64), Get(ReplyTo<u64>) }
    /// fn adders(counters: &[ActorRef<CounterMsg>]) -> Vec<ActorRef<u64>> {
    ///     counters.iter().map(|counter| counter.contramap(CounterMsg::Add)).collect()
    /// }
    /// ```
    pub fn contramap<N, F>(&self, map: F) -> ActorRef<N>
    where
        N: Send + 'static,
        F: Fn(N) -> M + Send + Sync + 'static,
    {
        ActorRef { cell: Arc::new(Cell::foreign(Box::new(Contramap::new(self.cell.clone(), map)))) }
    }

    /// The cell of the actor itself.
    pub(crate) fn target(&self) -> Arc<dyn AnyCell> {
        self.cell.target()
    }

    /// Asks the actor to stop after its current message. What is queued becomes dead letters. The request is made at
    /// once; awaiting the result waits until the actor has ended, and its name is free.
    pub fn stop(&self) -> Stopping {
        self.target().urge(Urge::Stop);
        self.stopped()
    }

    /// Asks the actor to take nothing more, to handle what is queued, and then to stop. The request is made at once;
    /// awaiting the result waits until the actor has ended, and its name is free.
    pub fn drain(&self) -> Stopping {
        self.target().urge(Urge::Drain);
        self.stopped()
    }

    /// Waits until the actor has ended; asks for nothing.
    pub fn stopped(&self) -> Stopping {
        let cell = self.target();
        let (ended, number) = cell.head().ended();
        Stopping { ended, number, cell }
    }

    /// Whether the actor has ended.
    pub fn is_stopped(&self) -> bool {
        self.target().head().watchers.has_ended()
    }

    /// Where the actor lives.
    pub fn path(&self) -> &ActorPath {
        &self.cell.head().path
    }

    /// Messages that wait, and those taken and not yet handled.
    pub fn depth(&self) -> usize {
        self.target().figures().depth
    }
}

/// Resolves when an actor has ended. May be dropped: the request stands.
#[derive(Debug)]
pub struct Stopping {
    ended: tokio::sync::oneshot::Receiver<()>,
    /// The place in the list of those who are to be told.
    number: u64,
    cell: Arc<dyn AnyCell>,
}

impl Future for Stopping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The notice is the drop of the sender.
        Pin::new(&mut self.ended).poll(cx).map(|_| ())
    }
}

impl Drop for Stopping {
    /// Waiting for the same actor again and again, and giving up, leaves nothing behind.
    fn drop(&mut self) {
        self.cell.head().watchers.remove(self.number);
    }
}

/// A message on its way into a mailbox; see [`ActorRef::send`].
#[must_use = "a message is sent when this is awaited"]
pub struct Sending<'a, M: Send + 'static> {
    to: &'a ActorRef<M>,
    /// Until it is first polled.
    message: Option<M>,
    /// While it waits for room.
    waits: Option<(u64, Limit)>,
}

impl<M: Send + 'static> Unpin for Sending<'_, M> {}

impl<M: Send + 'static> Future for Sending<'_, M> {
    type Output = Result<(), Undelivered<M>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(message) = self.message.take() {
            match self.to.cell.deliver_now(Envelope { message, ticket: None }) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(envelope) => self.begin(envelope, cx),
            }
        } else {
            self.wait(cx)
        }
    }
}

impl<M: Send + 'static> Sending<'_, M> {
    /// Gives up. The message, unless it is in the mailbox already.
    pub(crate) fn take_back(mut self) -> Option<M> {
        let cell = &self.to.cell;
        match self.waits.take() {
            Some((number, _)) if cell.as_foreign().is_some() => {
                cell.leave_line(number);
                self.message.take()
            }
            Some((number, _)) => cell.inbox.withdraw(number).map(|envelope| envelope.message),
            None => self.message.take(),
        }
    }

    /// Puts the message into the mailbox, or in line for it.
    #[cold]
    fn begin(&mut self, envelope: Envelope<M>, cx: &mut Context<'_>) -> Poll<Result<(), Undelivered<M>>> {
        let cell = &self.to.cell;
        if cell.as_foreign().is_some() {
            return self.wait_for_room(envelope.message, cx);
        }
        let settled = match cell.offer_message(envelope, cx) {
            Ok(None) => Ok(()),
            Ok(Some(number)) => match wait_in_handler(cell) {
                Ok(limit) => {
                    self.waits = Some((number, limit));
                    return self.wait(cx);
                }
                Err(reason) => cell.inbox.withdraw(number).map_or(Ok(()), |envelope| Err((envelope, reason))),
            },
            Err(refused) => Err(refused),
        };
        Poll::Ready(undelivered(settled))
    }

    /// Waits until the message is in.
    #[cold]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Undelivered<M>>> {
        let Some((number, limit)) = &mut self.waits else { panic!("a `send` was polled after it was ready") };
        let (number, cell) = (*number, &self.to.cell);
        let settled = match cell.inbox.poll_admitted(number, cx) {
            Poll::Ready(result) => {
                result.map_err(|(envelope, reason)| (envelope, cell.head().core.refine(reason)))
            }
            Poll::Pending => {
                let reason = std::task::ready!(poll_limit(limit, cx));
                cell.inbox.withdraw(number).map_or(Ok(()), |envelope| Err((envelope, reason)))
            }
        };
        self.waits = None;
        Poll::Ready(undelivered(settled))
    }

    /// Waits until room is reserved, and only then gives the message away.
    #[cold]
    fn wait_for_room(&mut self, message: M, cx: &mut Context<'_>) -> Poll<Result<(), Undelivered<M>>> {
        let cell = &self.to.cell;
        let (mut line, mut limit) =
            self.waits.take().map_or((None, None), |(number, limit)| (Some(number), limit));
        let first = line.is_none();
        let settled = match cell.poll_room(&mut line, cx) {
            Poll::Ready(Err(Refusal::Overflowed { .. })) => {
                cell.drop_newest(message);
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(settled) => settled,
            Poll::Pending => {
                let waits = if first { wait_in_handler(cell) } else { Ok(limit.take()) };
                match waits.map(|waits| limit = waits) {
                    Err(reason) => Err(reason),
                    Ok(()) => match poll_limit(&mut limit, cx) {
                        Poll::Ready(reason) => Err(reason),
                        Poll::Pending => {
                            self.waits = line.map(|number| (number, limit));
                            self.message = Some(message);
                            return Poll::Pending;
                        }
                    },
                }
            }
        };
        match settled {
            Ok(()) => {
                cell.fulfil(message);
                Poll::Ready(Ok(()))
            }
            Err(reason) => {
                if let Some(number) = line {
                    cell.leave_line(number);
                }
                Poll::Ready(Err(Undelivered { message, reason }))
            }
        }
    }
}

fn undelivered<M>(settled: Result<(), (Envelope<M>, Refusal)>) -> Result<(), Undelivered<M>> {
    settled.map_err(|(envelope, reason)| Undelivered { message: envelope.message, reason })
}

/// A sender inside a handler may not wait for ever, and not at all for itself.
type Limit = Option<(Duration, Sleep)>;

fn wait_in_handler<M: Send + 'static>(cell: &Arc<Cell<M>>) -> Result<Limit, Refusal> {
    let Some(actor) = chain::current_actor() else { return Ok(None) };
    let head = cell.head();
    if actor == head.id {
        return Err(Refusal::ToSelf { capacity: cell.inbox.capacity() });
    }
    Ok(Some((head.core.ask_timeout, head.core.env.sleep(head.core.ask_timeout))))
}

/// Ready when the limit has passed.
fn poll_limit(limit: &mut Limit, cx: &mut Context<'_>) -> Poll<Refusal> {
    let Some((after, sleep)) = limit else { return Poll::Pending };
    Pin::new(sleep).poll(cx).map(|()| Refusal::TimedOut { after: *after })
}

impl<M: Send + 'static> Drop for Sending<'_, M> {
    fn drop(&mut self) {
        let cell = &self.to.cell;
        match self.waits {
            Some((number, _)) if cell.as_foreign().is_some() => cell.leave_line(number),
            Some((number, _)) => drop(cell.inbox.withdraw(number)),
            None => {}
        }
    }
}

impl<M: Send + 'static> fmt::Debug for Sending<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("to", self.to.path()).finish_non_exhaustive()
    }
}

impl<M> Clone for ActorRef<M> {
    fn clone(&self) -> Self {
        Self { cell: self.cell.clone() }
    }
}

impl<M> PartialEq for ActorRef<M> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl<M> Eq for ActorRef<M> {}

impl<M> Hash for ActorRef<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cell.inbox.owner.local_id().hash(state);
    }
}

impl<M> fmt::Debug for ActorRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef({}#{})", self.cell.inbox.owner.path, self.cell.inbox.owner.local_id())
    }
}

impl<M> fmt::Display for ActorRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cell.inbox.owner.path, f)
    }
}

//! What do all the others see of an actor?
//!
//! A *cell*: its mailbox and its head (identity, family, watchers). References, parents, watchers and the registry
//! hold the cell; only the task in [`body`](crate::body) holds the state of the actor itself. The cell outlives
//! restarts; a name that is used again gets a new cell with a new id.
//!
//! # Invariants
//!
//! * Ids are unique in a system and grow in the order of spawns.
//! * An actor ends in this order: mailbox closed, children gone, `stopped` run, state dropped, leftovers made dead
//!   letters, name free, parent told, watchers told. So whoever learns of the end can use the name again.

use std::any::{Any, type_name};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Context;

use tokio::sync::oneshot;

use crate::baggage::Baggage;
use crate::context::Doing;
use crate::dead_letters::Reason;
use crate::error::Refusal;
use crate::failure::{Crash, Failure, catch, drop_quietly};
use crate::family::Family;
use crate::foreign::Foreign;
use crate::mailbox::Mailbox;
use crate::mailbox::inbox::{Figures, Inbox, Offered, Pulse, Pushed, Urge};
use crate::mailbox::priority::Rank;
use crate::mailbox::ring::Item;
use crate::path::ActorPath;
use crate::reply::Ticket;
use crate::sync;
use crate::system::{Core, ID_BITS};
use crate::trace;
use crate::watch::Watchers;

/// A message in a mailbox, with the ticket of the question it asks, if it asks one.
pub(crate) struct Envelope<M> {
    pub(crate) message: M,
    pub(crate) ticket: Option<sync::Arc<Ticket>>,
}

impl<M> Envelope<M> {
    fn is_question(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| ticket.is_question())
    }

    /// The same, as a part of what its sender is part of, where that is to be known.
    pub(crate) fn with_trace(mut self, core: &Core) -> Self {
        if let Some(trace) = core.trace_for_message() {
            self.ticket.get_or_insert_with(Ticket::carrier).set_trace(trace);
        }
        self
    }

    /// The same, with the trace and the baggage of its sender.
    pub(crate) fn loaded(self, core: &Core) -> Self {
        let mut envelope = self.with_trace(core);
        if let Some(baggage) = Baggage::current() {
            envelope.ticket.get_or_insert_with(Ticket::carrier).set_baggage(baggage);
        }
        envelope
    }
}

/// Few messages are questions: the others carry nothing for it.
impl<M> Item for Envelope<M> {
    type Body = M;
    type Note = sync::Arc<Ticket>;

    #[inline]
    fn split(self) -> (M, Option<sync::Arc<Ticket>>) {
        (self.message, self.ticket)
    }

    #[inline]
    fn join(message: M, ticket: Option<sync::Arc<Ticket>>) -> Self {
        Self { message, ticket }
    }
}

impl Item for Control {
    type Body = Self;
    type Note = Infallible;

    fn split(self) -> (Self, Option<Infallible>) {
        (self, None)
    }

    fn join(control: Self, _: Option<Infallible>) -> Self {
        control
    }
}

/// What the runtime tells an actor, between two messages.
pub(crate) enum Control {
    /// A watched actor has ended.
    Terminated { id: u64, path: ActorPath },
    /// A child has failed.
    ChildFailed(Crash),
    /// A child has been restarted.
    ChildRestarted { path: ActorPath, attempt: u64 },
    /// A child has failed and leaves the decision to its parent.
    Escalated { child: Arc<dyn AnyCell>, failure: Failure, crash: Crash },
    /// Something that runs beside the actor and belongs to it has panicked: a piped future, a feed, a subscription.
    FailedBeside(Doing, Failure),
    /// The last child is gone.
    Childless,
    /// A sibling's failure restarts this actor as well: halt, report, and wait for `Start`.
    Halt(Crash),
    /// Start afresh, after a halt.
    Start,
    /// The parent has decided over what was escalated to it.
    Verdict(Verdict),
}

/// What a parent decides over a child that escalated. (A stop comes as an urge.)
pub(crate) enum Verdict {
    Resume,
    Restart,
}

impl Pulse for Head {
    fn beats(&self) -> u32 {
        self.core.beats()
    }
}

/// One who is told that an actor has ended.
pub(crate) enum Watcher {
    Actor(Arc<dyn AnyCell>),
    /// Its drop is the notice.
    Future(oneshot::Sender<()>),
    /// Called once; see [`Farewell`].
    Call(Box<dyn FnOnce() + Send>),
}

/// Keeps a call in the list of those who are told when an actor has ended. Its drop takes the call out again.
pub(crate) struct Farewell {
    cell: Arc<dyn AnyCell>,
    number: u64,
}

impl Farewell {
    /// `told` runs in the task of the actor at its very end, before anybody else learns of that, under no lock. If it is
    /// too late for that, `told` is dropped.
    pub(crate) fn new(cell: Arc<dyn AnyCell>, told: impl FnOnce() + Send + 'static) -> Self {
        let number = cell.head().core.next_id();
        drop(cell.head().watchers.add(number, Watcher::Call(Box::new(told))));
        Self { cell, number }
    }

    /// Whether the call was made, is just being made, or will never be. Who enters somewhere what the call is to take out
    /// asks this afterwards: the call may have come before.
    pub(crate) fn is_over(&self) -> bool {
        !self.cell.head().watchers.contains(self.number)
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.cell.head().watchers.remove(self.number);
    }
}

/// What does not depend on the type of the messages.
pub(crate) struct Head {
    pub(crate) id: u64,
    pub(crate) path: ActorPath,
    pub(crate) core: Arc<Core>,
    /// `None` for the guardian.
    pub(crate) parent: Option<Arc<dyn AnyCell>>,
    pub(crate) family: Family,
    pub(crate) watchers: Watchers<Watcher>,
    /// Messages handled; written by the actor's task only, in batches.
    pub(crate) processed: AtomicU64,
}

impl Head {
    /// The actor has ended: all who wait for that learn it, once.
    pub(crate) fn tell_watchers(&self) {
        // The calls first: whoever learns of the end finds that the actor has left its groups and subscriptions.
        let rest = loop {
            match self.watchers.end(|watcher| matches!(watcher, Watcher::Call(_))) {
                Ok(rest) => break rest,
                Err(calls) => calls.into_iter().for_each(|call| self.tell(call)),
            }
        };
        for watcher in rest {
            self.tell(watcher);
        }
    }

    fn tell(&self, watcher: Watcher) {
        match watcher {
            Watcher::Actor(watcher) => {
                watcher.control(Control::Terminated { id: self.id, path: self.path.clone() });
            }
            Watcher::Future(notice) => drop(notice),
            Watcher::Call(call) => {
                // It may drop what belongs to a user.
                if let Err(failure) = catch(call) {
                    tracing::warn!(path = %self.path, %failure, "something of a user panicked on drop");
                }
            }
        }
    }

    pub(crate) fn new(path: ActorPath, core: Arc<Core>, parent: Option<Arc<dyn AnyCell>>) -> Self {
        Self {
            id: core.next_id(),
            path,
            core,
            parent,
            family: Family::default(),
            watchers: Watchers::new(),
            processed: AtomicU64::new(0),
        }
    }

    /// The head of a cell that stands for this one. Whoever needs more than the names goes to this one.
    pub(crate) fn stand_in(&self) -> Self {
        Self {
            id: self.id,
            path: self.path.clone(),
            core: self.core.clone(),
            parent: None,
            family: Family::default(),
            watchers: Watchers::new(),
            processed: AtomicU64::new(0),
        }
    }

    /// Messages handled, but for those of the last batch.
    pub(crate) fn processed(&self) -> u64 {
        self.processed.load(Ordering::Relaxed)
    }

    /// The id within the system: the same in every run of one seed.
    pub(crate) fn local_id(&self) -> u64 {
        self.id & ((1 << ID_BITS) - 1)
    }

    /// A receiver that ends when this actor has, and the number under which it is in the list of watchers until then.
    pub(crate) fn ended(&self) -> (oneshot::Receiver<()>, u64) {
        let (notice, ended) = oneshot::channel();
        let number = self.core.next_id();
        // Given back when the actor has ended: dropped here, which is the notice.
        drop(self.watchers.add(number, Watcher::Future(notice)));
        (ended, number)
    }
}

/// A cell whose message type is not known.
pub(crate) trait AnyCell: Send + Sync + 'static {
    fn head(&self) -> &Head;
    /// Hands over a control. An actor that is gone does not need it any more.
    fn control(&self, control: Control);
    fn urge(&self, urge: Urge);
    /// Wakes the actor, though there is nothing to do.
    fn rouse(&self);
    fn figures(&self) -> Figures;
    fn message_type(&self) -> &'static str;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl std::fmt::Debug for dyn AnyCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("path", &self.head().path).finish_non_exhaustive()
    }
}

/// An actor, as others see it.
pub(crate) struct Cell<M> {
    pub(crate) inbox: Inbox<Envelope<M>, Control, Head>,
    special: Option<Box<Special<M>>>,
}

/// What few cells have.
enum Special<M> {
    /// Its messages leave by rank.
    Ranked(Rank<M>),
    /// It stands for something elsewhere. Its own inbox is closed from the start, so that every message takes the
    /// careful way, which leads there.
    Foreign { way: Box<dyn Foreign<M>>, target: Arc<dyn AnyCell> },
}

impl<M: Send + 'static> Cell<M> {
    pub(crate) fn new(head: Head, mailbox: Mailbox<M>) -> Self {
        let (inbox, rank) = Inbox::new(mailbox, head);
        Self { inbox, special: rank.map(|rank| Box::new(Special::Ranked(rank))) }
    }

    /// A cell that stands for something elsewhere.
    pub(crate) fn foreign(foreign: Box<dyn Foreign<M>>) -> Self {
        let target = foreign.target();
        let mailbox = match target.figures().capacity {
            usize::MAX => Mailbox::<M>::unbounded(),
            capacity => Mailbox::bounded(capacity),
        };
        let (inbox, _) = Inbox::new(mailbox, target.head().stand_in());
        drop(inbox.finish());
        Self { inbox, special: Some(Box::new(Special::Foreign { way: foreign, target })) }
    }

    /// What this cell stands for, if it is not itself an actor's.
    pub(crate) fn as_foreign(&self) -> Option<&dyn Foreign<M>> {
        match self.special.as_deref() {
            Some(Special::Foreign { way, .. }) => Some(&**way),
            _ => None,
        }
    }

    pub(crate) fn head(&self) -> &Head {
        &self.inbox.owner
    }

    /// Runs the user's function: never under a lock.
    pub(crate) fn rank(&self, message: &M) -> u8 {
        match self.special.as_deref() {
            Some(Special::Ranked(rank)) => rank(message),
            _ => 0,
        }
    }

    /// Puts a message in by the way that is right nearly always, or gives it back, which decides nothing.
    #[expect(clippy::inline_always, reason = "measured: see `Inbox::push_now`")]
    #[inline(always)]
    pub(crate) fn deliver_now(&self, envelope: Envelope<M>) -> Result<(), Envelope<M>> {
        let short = self.head().core.is_open() && !trace::carries();
        if short { self.inbox.push_now(envelope) } else { Err(envelope) }
    }

    /// Puts a message in, or gives it back. Never waits.
    #[cold]
    pub(crate) fn deliver(&self, envelope: Envelope<M>) -> Result<(), (Envelope<M>, Refusal)> {
        if let Some(foreign) = self.as_foreign() {
            match foreign.reserve() {
                Ok(()) => foreign.fulfil(envelope.message),
                Err(Refusal::Overflowed { .. }) => foreign.drop_newest(envelope.message),
                Err(reason) => return Err((envelope, reason)),
            }
            return Ok(());
        }
        if let Err(reason) = self.head().core.admits() {
            return Err((envelope, reason));
        }
        let envelope = envelope.loaded(&self.head().core);
        self.settle(self.inbox.push(self.rank(&envelope.message), envelope))
    }

    /// Puts a message in, or lets it wait for room under the number that is returned. Not for a foreign cell.
    #[cold]
    pub(crate) fn offer_message(
        &self,
        envelope: Envelope<M>,
        cx: &Context<'_>,
    ) -> Result<Option<u64>, (Envelope<M>, Refusal)> {
        if let Err(reason) = self.head().core.admits() {
            return Err((envelope, reason));
        }
        let envelope = envelope.loaded(&self.head().core);
        match self.inbox.offer(self.rank(&envelope.message), envelope, cx) {
            Offered::Waits(number) => Ok(Some(number)),
            Offered::Settled(pushed) => self.settle(pushed).map(|()| None),
        }
    }

    fn settle(&self, pushed: Pushed<Envelope<M>>) -> Result<(), (Envelope<M>, Refusal)> {
        match pushed {
            Pushed::Queued => Ok(()),
            // Who asks is to know at once; who tells has chosen not to.
            Pushed::Dropped(envelope) if envelope.is_question() => {
                Err((envelope, Refusal::Overflowed { capacity: self.inbox.capacity() }))
            }
            Pushed::Displaced(envelope) | Pushed::Dropped(envelope) => {
                self.bury(envelope, Reason::Overflowed);
                Ok(())
            }
            Pushed::Refused(envelope, reason) => Err((envelope, self.head().core.refine(reason))),
        }
    }

    /// Ends an actor that never got a task.
    pub(crate) fn discard(&self) {
        let (messages, controls) = self.inbox.finish();
        for envelope in messages {
            self.bury(envelope, Reason::Stopped);
        }
        drop(controls);
        self.head().tell_watchers();
    }

    /// Makes a dead letter of a message nobody will handle.
    pub(crate) fn bury(&self, envelope: Envelope<M>, reason: Reason) {
        self.head().core.dead_letters().record(&self.head().path, type_name::<M>(), reason);
        // Its drop is the user's code, and may panic.
        if let Err(failure) = drop_quietly(envelope) {
            tracing::warn!(path = %self.head().path, message_type = type_name::<M>(), %failure, "a message panicked on drop");
        }
    }
}

impl<M> Cell<M> {
    /// The actor's own cell, where this one only stands for it.
    fn stands_for(&self) -> Option<&Arc<dyn AnyCell>> {
        match self.special.as_deref() {
            Some(Special::Foreign { target, .. }) => Some(target),
            _ => None,
        }
    }
}

/// Whatever is asked of a cell whose type is not known is asked of the actor: a cell that stands for one passes it on.
impl<M: Send + 'static> AnyCell for Cell<M> {
    fn head(&self) -> &Head {
        self.stands_for().map_or_else(|| self.head(), |target| target.head())
    }

    fn control(&self, control: Control) {
        match self.stands_for() {
            Some(target) => target.control(control),
            // Given back when the actor is gone, which needs it no more.
            None => drop(self.inbox.control(control)),
        }
    }

    fn urge(&self, urge: Urge) {
        match self.stands_for() {
            Some(target) => target.urge(urge),
            None => self.inbox.urge(urge),
        }
    }

    fn rouse(&self) {
        match self.stands_for() {
            Some(target) => target.rouse(),
            None => self.inbox.wake_up(),
        }
    }

    fn figures(&self) -> Figures {
        self.stands_for().map_or_else(|| self.inbox.figures(), |target| target.figures())
    }

    fn message_type(&self) -> &'static str {
        type_name::<M>()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

//! What must something offer that an [`ActorRef`](crate::ActorRef) leads to without being an actor's own mailbox?
//!
//! Today this is the adapted reference of [`contramap`](crate::ActorRef::contramap). A message that is refused must come back
//! as it was, although the adapter would turn it into another: so room is reserved first, and only then is the
//! message adapted.
//!
//! # Invariants
//!
//! * A message is adapted at most once, and only when its room is reserved or nobody wants it back.
//! * The user's function never runs under a lock; reserved room is given back when it panics.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::cell::{AnyCell, Cell, Envelope};
use crate::dead_letters::Reason;
use crate::error::Refusal;

/// A target of messages `M`, which may lead on to another.
pub(crate) trait Foreign<M>: Send + Sync {
    /// The actor that gets the messages in the end.
    fn target(&self) -> Arc<dyn AnyCell>;

    /// Reserves room for one message, which [`fulfil`](Self::fulfil) fills or [`release`](Self::release) gives back.
    fn reserve(&self) -> Result<(), Refusal>;

    /// As [`reserve`](Self::reserve); where there is none, stands in line for it under the number left in `line`.
    fn poll_room(&self, line: &mut Option<u64>, cx: &Context<'_>) -> Poll<Result<(), Refusal>>;

    /// Stands in line no more, and gives the room back if it is reserved already.
    fn leave_line(&self, number: u64);

    fn release(&self);

    /// Fills reserved room. From here on nobody gets the message back.
    fn fulfil(&self, message: M);

    /// Makes a dead letter of a message that a full mailbox drops.
    fn drop_newest(&self, message: M);

    /// Puts a question in, or in line under the number that is returned. One that is refused is gone.
    fn offer(&self, question: Envelope<M>, cx: &Context<'_>) -> Result<Option<u64>, Refusal>;

    /// Whether the question of this number is in.
    fn poll_question(&self, number: u64, cx: &Context<'_>) -> Poll<Result<(), Refusal>>;

    /// Takes a question out of the line. `false` when it is in already.
    fn withdraw(&self, number: u64) -> bool;
}

/// Gives reserved room back, unless it is filled.
struct Reserved<'a, M>(Option<&'a dyn Foreign<M>>);

impl<M> Drop for Reserved<'_, M> {
    fn drop(&mut self) {
        if let Some(target) = self.0.take() {
            target.release();
        }
    }
}

/// The end of every way: a mailbox. A cell that is foreign itself leads on.
impl<M: Send + 'static> Foreign<M> for Arc<Cell<M>> {
    fn target(&self) -> Arc<dyn AnyCell> {
        self.as_foreign().map_or_else(|| self.clone() as Arc<dyn AnyCell>, Foreign::target)
    }

    fn reserve(&self) -> Result<(), Refusal> {
        if let Some(foreign) = self.as_foreign() {
            return foreign.reserve();
        }
        let core = &self.head().core;
        core.admits()?;
        let displaced = self.inbox.reserve().map_err(|reason| core.refine(reason))?;
        if let Some(envelope) = displaced {
            self.bury(envelope, Reason::Overflowed);
        }
        Ok(())
    }

    fn poll_room(&self, line: &mut Option<u64>, cx: &Context<'_>) -> Poll<Result<(), Refusal>> {
        if let Some(foreign) = self.as_foreign() {
            return foreign.poll_room(line, cx);
        }
        let core = &self.head().core;
        if let Some(number) = *line {
            let room = std::task::ready!(self.inbox.poll_room(number, cx));
            *line = None;
            return Poll::Ready(room.map_err(|reason| core.refine(reason)));
        }
        core.admits()?;
        match self.inbox.reserve_or_wait(cx).map_err(|reason| core.refine(reason))? {
            Ok(displaced) => {
                if let Some(envelope) = displaced {
                    self.bury(envelope, Reason::Overflowed);
                }
                Poll::Ready(Ok(()))
            }
            Err(number) => {
                *line = Some(number);
                Poll::Pending
            }
        }
    }

    fn leave_line(&self, number: u64) {
        match self.as_foreign() {
            Some(foreign) => foreign.leave_line(number),
            None => self.inbox.leave_line(number),
        }
    }

    fn release(&self) {
        match self.as_foreign() {
            Some(foreign) => foreign.release(),
            None => self.inbox.release(),
        }
    }

    fn fulfil(&self, message: M) {
        if let Some(foreign) = self.as_foreign() {
            return foreign.fulfil(message);
        }
        let mut reserved = Reserved(Some(self));
        let rank = self.rank(&message);
        reserved.0 = None;
        let envelope = Envelope { message, ticket: None }.loaded(&self.head().core);
        if let Err(envelope) = self.inbox.fulfil(rank, envelope, false) {
            self.bury(envelope, Reason::Stopped);
        }
    }

    fn drop_newest(&self, message: M) {
        match self.as_foreign() {
            Some(foreign) => foreign.drop_newest(message),
            None => self.bury(Envelope { message, ticket: None }, Reason::Overflowed),
        }
    }

    fn offer(&self, question: Envelope<M>, cx: &Context<'_>) -> Result<Option<u64>, Refusal> {
        match self.as_foreign() {
            Some(foreign) => foreign.offer(question, cx),
            None => self.offer_message(question, cx).map_err(|(_, reason)| reason),
        }
    }

    fn poll_question(&self, number: u64, cx: &Context<'_>) -> Poll<Result<(), Refusal>> {
        match self.as_foreign() {
            Some(foreign) => foreign.poll_question(number, cx),
            None => self
                .inbox
                .poll_admitted(number, cx)
                .map(|admitted| admitted.map_err(|(_, reason)| self.head().core.refine(reason))),
        }
    }

    fn withdraw(&self, number: u64) -> bool {
        match self.as_foreign() {
            Some(foreign) => foreign.withdraw(number),
            None => self.inbox.withdraw(number).is_some(),
        }
    }
}

/// A target of `N`, seen as one of whatever `map` makes an `N` of.
pub(crate) struct Contramap<N, F> {
    target: Arc<Cell<N>>,
    map: F,
}

impl<N, F> Contramap<N, F> {
    pub(crate) fn new(target: Arc<Cell<N>>, map: F) -> Self {
        Self { target, map }
    }
}

impl<M, N, F> Foreign<M> for Contramap<N, F>
where
    N: Send + 'static,
    F: Fn(M) -> N + Send + Sync,
{
    fn target(&self) -> Arc<dyn AnyCell> {
        self.target.target()
    }

    fn reserve(&self) -> Result<(), Refusal> {
        self.target.reserve()
    }

    fn poll_room(&self, line: &mut Option<u64>, cx: &Context<'_>) -> Poll<Result<(), Refusal>> {
        self.target.poll_room(line, cx)
    }

    fn leave_line(&self, number: u64) {
        self.target.leave_line(number);
    }

    fn release(&self) {
        self.target.release();
    }

    fn fulfil(&self, message: M) {
        let mut reserved = Reserved(Some(&self.target));
        let message = (self.map)(message);
        reserved.0 = None;
        self.target.fulfil(message);
    }

    fn drop_newest(&self, message: M) {
        self.target.drop_newest((self.map)(message));
    }

    fn offer(&self, question: Envelope<M>, cx: &Context<'_>) -> Result<Option<u64>, Refusal> {
        let Envelope { message, ticket } = question;
        self.target.offer(Envelope { message: (self.map)(message), ticket }, cx)
    }

    fn poll_question(&self, number: u64, cx: &Context<'_>) -> Poll<Result<(), Refusal>> {
        self.target.poll_question(number, cx)
    }

    fn withdraw(&self, number: u64) -> bool {
        self.target.withdraw(number)
    }
}

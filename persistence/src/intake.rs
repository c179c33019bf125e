//! In which form do commands reach an entity: alone, or with a delivery that wants to be acknowledged?
//!
//! An entity that was spawned by itself takes its commands as they are. One behind a gateway takes [`Mail`], which says beside the command whether it was
//! posted, and by whom.

use std::sync::Arc;

use omnitron_runtime::ActorRef;

use crate::id::Ordinal;
use crate::marks::Origin;
use crate::outbox::answers::{Answer, Answers, Said};

/// What an entity accepts.
#[doc(hidden)]
#[expect(unnameable_types, reason = "it is sealed: what an entity accepts is decided here")]
pub trait Intake<C: Send + 'static>: Sized + Send + 'static {
    /// Whether it stops only when it has handled what lies in its mailbox: its gateway put it there, and nobody else would handle it.
    const EMPTIES: bool;

    /// The command, and what came with it.
    fn open(self) -> (C, Option<Delivery>);

    /// The reverse of `open`.
    fn close(command: C, delivery: Option<Delivery>) -> Self;

    /// The actor, as the user knows it.
    fn of_commands(myself: &ActorRef<Self>) -> ActorRef<C>;
}

impl<C: Send + 'static> Intake<C> for C {
    const EMPTIES: bool = false;

    fn open(self) -> (C, Option<Delivery>) {
        (self, None)
    }

    fn close(command: C, _: Option<Delivery>) -> Self {
        command
    }

    fn of_commands(myself: &ActorRef<C>) -> ActorRef<C> {
        myself.clone()
    }
}

/// What reaches an entity behind a gateway.
#[derive(Debug)]
pub(crate) struct Mail<C> {
    pub(crate) command: C,
    pub(crate) delivery: Option<Delivery>,
}

impl<C: Send + 'static> Intake<C> for Mail<C> {
    const EMPTIES: bool = true;

    fn open(self) -> (C, Option<Delivery>) {
        (self.command, self.delivery)
    }

    fn close(command: C, delivery: Option<Delivery>) -> Self {
        Self { command, delivery }
    }

    fn of_commands(myself: &ActorRef<Self>) -> ActorRef<C> {
        myself.contramap(|command| Self { command, delivery: None })
    }
}

/// A post on its way, which is answered once: by its drop at the latest.
#[doc(hidden)]
#[derive(Debug)]
#[expect(unnameable_types, reason = "it is named by a trait that is sealed")]
pub struct Delivery(Box<Errand>);

#[derive(Debug)]
struct Errand {
    origin: Origin,
    attempt: u64,
    receiver: Arc<str>,
    /// `None`: it was answered.
    answers: Option<Arc<Answers>>,
}

impl Delivery {
    pub(crate) fn new(origin: Origin, attempt: u64, receiver: &Arc<str>, answers: &Arc<Answers>) -> Self {
        let (receiver, answers) = (Arc::clone(receiver), Some(Arc::clone(answers)));
        Self(Box::new(Errand { origin, attempt, receiver, answers }))
    }

    pub(crate) fn origin(&self) -> Origin {
        self.0.origin
    }

    /// It was received, and that is durable.
    pub(crate) fn done(mut self) {
        self.answer(Said::Done);
    }

    /// One before it is missing.
    pub(crate) fn early(mut self, after: Ordinal) {
        self.answer(Said::Failed(format!("it came before the post {after}, which it follows")));
    }

    /// Its command failed.
    pub(crate) fn failed(mut self, reason: String) {
        self.answer(Said::Failed(reason));
    }

    /// It was not sent after all: whoever wanted to knows.
    pub(crate) fn withdrawn(mut self) {
        self.0.answers = None;
    }

    fn answer(&mut self, said: Said) {
        if let Some(answers) = self.0.answers.take() {
            let Errand { origin, attempt, .. } = *self.0;
            let receiver = Arc::clone(&self.0.receiver);
            answers.put(Answer { receiver, position: origin.position, attempt, said });
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.answer(Said::Dropped);
    }
}

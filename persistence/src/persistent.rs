//! What can be chosen when an event-sourced actor is spawned?

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use omnitron_runtime::{Directive, Failure, IntoSpawn, Mailbox, Spawn, Supervision, WhenSpent};

use crate::active::Codec;
use crate::entity::{Entity, Settings};
use crate::event::Event;
use crate::event_sourced::EventSourced;
use crate::intake::Mail;
use crate::journal::Journal;
use crate::pipeline::Limits;
use crate::recovery::RecoveryError;
use crate::retention::Snapshots;
use crate::stored;

/// An event-sourced actor to be spawned, with its options.
///
/// Its id in the journal is its path below `/user`: `account-42`, or `bank/account-42` for a child of `bank`.
#[must_use = "options change nothing until an actor is spawned with them"]
pub struct Persistent<E: EventSourced> {
    settings: Settings<E>,
    mailbox: Mailbox<E::Command>,
    supervision: Supervision,
    stop_grace: Duration,
    stash: usize,
}

impl<E: EventSourced> Persistent<E> {
    /// An actor that behaves as `behaviour` says, with all defaults.
    pub fn new(behaviour: E) -> Self {
        Self {
            settings: Settings {
                behaviour: Arc::new(behaviour),
                id: None,
                journal: None,
                snapshots: None,
                limits: Limits { held: 1_024, bytes: 8 << 20 },
                patience: Duration::from_secs(1),
            },
            mailbox: Mailbox::default(),
            supervision: supervision(),
            stop_grace: Duration::from_secs(5),
            stash: 1_000,
        }
    }

    /// Under which id its events lie in the journal. Default: its path below `/user`. Two actors with one id never run at once: the second
    /// one is suspended until the first has ended.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.settings.id = Some(id.into());
        self
    }

    /// In which journal its events lie. Default: the [one of its system](crate::WithJournal::journal). It must be
    /// [open](Journal::open) when the actor starts.
    pub fn journal(mut self, journal: &Journal) -> Self {
        self.settings.journal = Some(journal.clone());
        self
    }

    /// When snapshots of its state are taken. Default: never, so that a recovery reads every event. The state needs `#[derive(Event)]`
    /// for this, because it is stored as an event is: under a name and a version, and old versions live on.
    ///
    /// The state is encoded between two commands, and saved beside the actor, once it is durable.
    pub fn snapshots(mut self, snapshots: Snapshots) -> Self
    where
        E::State: Event,
    {
        let codec = Codec { encode: stored::snapshot::<E::State>, decode: stored::read_snapshot::<E::State> };
        self.settings.snapshots = Some((snapshots, codec));
        self
    }

    /// How many replies and side effects are held back, and how many bytes of events are on their way, before commands wait in the
    /// mailbox. One command may exceed it by what it brings. Default: 1024 and 8 MiB; zeros count as ones.
    pub fn pipeline(mut self, held: usize, bytes: usize) -> Self {
        self.settings.limits = Limits { held: held.max(1), bytes: bytes.max(1) };
        self
    }

    /// How long commands wait in the mailbox while the journal is not available. After that they are answered at once with
    /// [`Unavailable`](omnitron_runtime::AskError::Unavailable), but for one now and then that tries again. Default: 1 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Which mailbox it has. Default: [`Mailbox::bounded`] of 1024.
    pub fn mailbox(mut self, mailbox: Mailbox<E::Command>) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// What happens when it fails. Default: [`Supervision::restart`], but a [`RecoveryError`], which no restart changes, stops it. A journal
    /// that is not available is no failure.
    pub fn supervision(mut self, supervision: Supervision) -> Self {
        self.supervision = supervision;
        self
    }

    /// Time that it has for its current command after a request to stop, and then again to let go of what it holds back. Default: 5 s.
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = grace;
        self
    }

    /// Commands that it may [stash](crate::Effect::stash). Default: 1000.
    pub fn stash(mut self, commands: usize) -> Self {
        self.stash = commands;
        self
    }
}

impl<E: EventSourced> Persistent<E> {
    /// As an actor behind a gateway, which takes posts as well. Spent restarts stop it alone: escalated, they would stop all behind its gateway.
    pub(crate) fn into_resident(self) -> Spawn<Entity<E, Mail<E::Command>>> {
        let settings = Arc::new(self.settings);
        Spawn::new(move || Entity::new(settings.clone()))
            .mailbox(self.mailbox.contramap(|mail: &Mail<E::Command>| &mail.command))
            .supervision(self.supervision.when_spent(WhenSpent::Stop))
            .stop_grace(self.stop_grace)
            .stash(self.stash)
    }
}

fn supervision() -> Supervision {
    Supervision::restart().decide(|failure: &Failure| {
        let lasts = failure.downcast_ref::<RecoveryError>().is_some();
        if lasts { Directive::Stop } else { Directive::Restart }
    })
}

impl<E: EventSourced> IntoSpawn for Persistent<E> {
    type Actor = Entity<E>;

    fn into_spawn(self) -> Spawn<Entity<E>> {
        let settings = Arc::new(self.settings);
        Spawn::new(move || Entity::new(settings.clone()))
            .mailbox(self.mailbox)
            .supervision(self.supervision)
            .stop_grace(self.stop_grace)
            .stash(self.stash)
    }
}

impl<E: EventSourced> fmt::Debug for Persistent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persistent")
            .field("behaviour", &std::any::type_name::<E>())
            .field("id", &self.settings.id)
            .field("mailbox", &self.mailbox)
            .field("supervision", &self.supervision)
            .finish_non_exhaustive()
    }
}

//! How does what one entity decides become effective at another one, once?
//!
//! An effect [posts](crate::Effect::then_post) a message: it lies in the journal with the events that go with it, or not at all. An [`Outbox`] reads what was
//! posted, delivers it to entities behind [gateways](crate::Gateway), again and again until it is acknowledged, and a receiver records what it has received in
//! the same append as what it did about it. So a delivery that is repeated is answered, and not handled again.

pub(crate) mod answers;
mod item;
mod ledger;
mod open;
mod postman;
mod reading;
mod route;
mod sorting;
mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use omnitron_runtime::{ActorRef, ActorSystem, AskError, Backoff, Spawn, SpawnError, Supervision};
use tokio::sync::oneshot;

pub use self::ledger::Skipped;
pub use self::status::{Blocked, Doing, OutboxStatus};

use self::item::Limits;
use self::ledger::{Ledger, Note};
use self::postman::{Postman, Settings, Work};
use self::route::{Commands, Route};
use crate::event::Event;
use crate::event_sourced::EventSourced;
use crate::feed::FeedError;
use crate::gateway::EntityGateway;
use crate::journal::Journal;
use crate::persistent::Persistent;
use crate::post::Receiver;
use crate::retention::Snapshots;

/// What delivers that which effects [post](crate::Effect::then_post), with its options.
///
/// One is enough for a journal. A second one, under another name, delivers everything once more, and its deliveries are answered without being handled.
///
/// # Example
///
/// ```
/// # extern crate omnitron_persistence as omnitron;
/// use omnitron::{Effect, Event, EventSourced, Gateway, Journal, Outbox, Persistent, Scope, WithJournal};
/// use omnitron_runtime::{ActorSystem, ReplyTo};
///
/// struct Account;
///
/// enum AccountCommand { Send { to: String, cents: i64 }, Receive(Deposit), Balance(ReplyTo<i64>) }
///
/// #[derive(Event)]
/// enum AccountEvent { Sent { cents: i64 }, Received { cents: i64 } }
///
/// /// What travels.
/// #[derive(Event)]
/// #[event(name = "account.deposit")]
/// struct Deposit { cents: i64 }
///
/// impl EventSourced for Account {
///     type Command = AccountCommand;
///     type Event = AccountEvent;
///     type State = i64;
///
///     fn handle(&self, balance: &i64, command: AccountCommand, _: &Scope<Self>) -> Effect<Self> {
///         match command {
///             AccountCommand::Send { to, cents } => Effect::persist(AccountEvent::Sent { cents })
///                 .then_post(("account", to), Deposit { cents }),
///             AccountCommand::Receive(Deposit { cents }) => Effect::persist(AccountEvent::Received { cents }),
///             AccountCommand::Balance(reply) => Effect::reply(reply, *balance),
///         }
///     }
///
///     fn apply(balance: &mut i64, event: &AccountEvent) {
///         match event {
///             AccountEvent::Sent { cents } => *balance -= cents,
///             AccountEvent::Received { cents } => *balance += cents,
///         }
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = ActorSystem::builder("bank").journal(Journal::memory()).start().await?;
/// let accounts = Gateway::new(|_| Persistent::new(Account)).start(&system, "account")?;
/// let outbox = Outbox::new("transfers").deliver(&accounts, AccountCommand::Receive).start(&system)?;
///
/// accounts.entity("ada")?.tell(AccountCommand::Send { to: "bob".to_owned(), cents: 5 })?;
/// accounts.entity("ada")?.ask(AccountCommand::Balance).await?; // the transfer is durable
/// outbox.caught_up().await?;
/// assert_eq!(accounts.entity("bob")?.ask(AccountCommand::Balance).await?, 5);
/// # system.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "an outbox delivers nothing until it is started"]
pub struct Outbox {
    name: String,
    routes: BTreeMap<String, Arc<dyn Route>>,
    journal: Option<Journal>,
    limits: Limits,
}

/// Why an outbox was not started. Nothing runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// There is no journal to read.
    #[error("the outbox {name:?} has no journal: start its system with one, or give it one that is open")]
    NoJournal {
        /// The name of the outbox.
        name: String,
    },
    /// The journal cannot be told from others, so receivers could take the posts of one for those of another.
    #[error(
        "the journal of the outbox {name:?} has no identity: its backend has to have one, see `JournalBackend::identity`"
    )]
    NoIdentity {
        /// The name of the outbox.
        name: String,
    },
    /// An actor of it could not be spawned; most often its name is taken.
    #[error("the outbox {name:?} was not started")]
    Spawn {
        /// The name of the outbox.
        name: String,
        /// Why.
        #[source]
        reason: SpawnError,
    },
}

impl Outbox {
    /// An outbox called `name`, which delivers to nobody yet. The name is legal for an actor, and stays: how far everything is delivered is remembered under
    /// it. Under another name everything that was ever posted is delivered once more, and answered without being handled.
    pub fn new(name: impl Into<String>) -> Self {
        let limits = Limits {
            queue: 256,
            window: 64,
            held: 16_384,
            bytes: 64 << 20,
            sent: 4_096,
            blocked: 10_000,
            retry: (Duration::from_millis(100), Duration::from_secs(10)),
            patience: 3,
            deadline: Duration::from_secs(30),
        };
        Self { name: name.into(), routes: BTreeMap::new(), journal: None, limits }
    }

    /// Delivers what is posted to entities of this gateway. A message is decoded as a `P`, and `command` makes of it what the entity handles. It runs once for each
    /// delivery, so more often than once for a post.
    ///
    /// A gateway that is given twice has the last `command`. Entities of which only the latest value is kept cannot receive: that does not compile.
    pub fn deliver<E: EventSourced, P: Event>(
        mut self,
        gateway: &EntityGateway<E>,
        command: impl Fn(P) -> E::Command + Send + Sync + 'static,
    ) -> Self {
        const {
            assert!(
                !E::LAST_ONLY,
                "an actor of which only the latest value is kept cannot receive: make it event-sourced"
            );
        };
        let route = Commands::new(gateway, Box::new(command));
        self.routes.insert(gateway.name().to_owned(), Arc::new(route));
        self
    }

    /// How many posts to one receiver are on their way at once (0 counts as 1). Default: 64.
    pub fn window(mut self, posts: usize) -> Self {
        self.limits.window = posts.max(1);
        self
    }

    /// How many posts are in memory before no more are read, for all receivers together and (at most) for each one (zeros count as ones). Default: 16,384 and 256. What
    /// one receiver cannot hold is read again when it can.
    pub fn holds(mut self, all: usize, each: usize) -> Self {
        (self.limits.held, self.limits.queue) = (all.max(1), each.max(1));
        self
    }

    /// How long it waits before it tries a receiver again that did not take a post: at first, and at most. Default: 100 ms and 10 s, doubled each time.
    pub fn retry(mut self, first: Duration, longest: Duration) -> Self {
        self.limits.retry = (first, longest.max(first));
        self
    }

    /// How long it waits for an answer before it delivers again. Default: 30 s, looked at every second.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// In which journal lies what it delivers. Default: the [one of its system](crate::WithJournal::journal).
    pub fn journal(mut self, journal: &Journal) -> Self {
        self.journal = Some(journal.clone());
        self
    }

    /// Starts it. It runs until it is [stopped](OutboxRef::stop) or the system is.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: nothing runs.
    pub fn start(self, system: &ActorSystem) -> Result<OutboxRef, OutboxError> {
        let Self { name, routes, journal, limits } = self;
        let of_system = || system.extension::<Journal>().map(|journal| (*journal).clone());
        let journal = journal.or_else(of_system);
        let open = journal.and_then(|journal| Some((journal.start()?.journal(), journal)));
        let Some((identity, journal)) = open else { return Err(OutboxError::NoJournal { name }) };
        if identity == 0 {
            return Err(OutboxError::NoIdentity { name });
        }
        let spawn = |reason| OutboxError::Spawn { name: name.clone(), reason };
        let ledger = Persistent::new(Ledger)
            .id(format!("outbox/{name}"))
            .journal(&journal)
            .snapshots(Snapshots::every(1_000).delete_events());
        let ledger = system.spawn(&format!("{name}.ledger"), ledger).map_err(spawn)?;
        let settings =
            Arc::new(Settings { name: name.clone(), routes, limits, incarnations: AtomicU64::new(0) });
        let make = {
            let (journal, ledger) = (journal.clone(), ledger.clone());
            move || Postman::new(&settings, &journal, &ledger)
        };
        let backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(10)).jitter(0.2);
        let postman = Spawn::new(make).supervision(Supervision::restart().unlimited().backoff(backoff));
        match system.spawn(&name, postman) {
            Ok(postman) => Ok(OutboxRef { name, postman, ledger, journal }),
            Err(reason) => {
                drop(ledger.stop());
                Err(OutboxError::Spawn { name, reason })
            }
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("name", &self.name)
            .field("gateways", &self.routes.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Why it is not known whether everything was delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaughtUpError {
    /// Where the journal ends is not known.
    #[error("it is not known where the journal ends")]
    Read(#[source] FeedError),
    /// The outbox has ended, or has failed meanwhile. Asking again may succeed.
    #[error("the outbox {name:?} has ended, or is being restarted")]
    Ended {
        /// The name of the outbox.
        name: String,
    },
}

/// An outbox that runs. A clone is the same one; dropping all of them does not stop it.
#[derive(Clone)]
pub struct OutboxRef {
    name: String,
    postman: ActorRef<Work>,
    ledger: ActorRef<Note>,
    journal: Journal,
}

impl OutboxRef {
    /// What it does, and which receivers do not take a post.
    ///
    /// # Errors
    ///
    /// [`AskError`]: it has ended, or is being restarted.
    pub async fn status(&self) -> Result<OutboxStatus, AskError> {
        self.postman.ask(Work::Status).await
    }

    /// Waits until everything is delivered that is posted in the journal now. What a delivery leads to, and is posted later, is not waited for. Without end
    /// while a receiver does not take a post; put a deadline around it.
    ///
    /// # Errors
    ///
    /// [`CaughtUpError`].
    ///
    /// # Cancel safety
    ///
    /// It only waits.
    pub async fn caught_up(&self) -> Result<(), CaughtUpError> {
        let ended = || CaughtUpError::Ended { name: self.name.clone() };
        let end = self.journal.end().await.map_err(CaughtUpError::Read)?;
        let (teller, told) = oneshot::channel();
        self.postman.send(Work::Await(end, teller)).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())
    }

    /// Tries all receivers again at once that do not take a post.
    pub fn retry(&self) {
        // One that is full looks by itself, and one that has ended does nothing any more.
        let _ = self.postman.tell(Work::Retry);
    }

    /// Gives up the post that a receiver does not take: it is recorded, and what comes behind it is delivered. `None`: the receiver takes what is posted to it. If
    /// a delivery of it is still on its way, it **may** yet be received, once.
    ///
    /// # Errors
    ///
    /// [`AskError`]: it could not be recorded. The post is still tried.
    pub async fn skip(&self, receiver: impl Into<Receiver>) -> Result<Option<Skipped>, AskError> {
        let receiver = receiver.into();
        self.postman.ask(|reply| Work::Skip(receiver, reply)).await?
    }

    /// The posts that were given up, the oldest first: at most the last 1000 that everything else has passed, and how many there are in all.
    ///
    /// # Errors
    ///
    /// [`AskError`]: the journal is not available.
    pub async fn skipped(&self) -> Result<(u64, Vec<Skipped>), AskError> {
        let memory = self.ledger.ask(Note::Recall).await?;
        Ok((memory.count, memory.skipped.iter().filter_map(ledger::Entry::skipped).collect()))
    }

    /// Stops it. What is on its way is received or not; another start delivers it again.
    pub async fn stop(&self) {
        self.postman.stop().await;
        self.ledger.stop().await;
    }
}

impl fmt::Debug for OutboxRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxRef").field("name", &self.name).finish_non_exhaustive()
    }
}

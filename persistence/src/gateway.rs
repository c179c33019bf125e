//! How does a command reach an entity by its id, whether it is active or not?
//!
//! A gateway is an actor whose children are the entities. It activates one when a command for it comes, and lets it go when it was not
//! used for a while, or others need its room; the decisions are in `roster`.
//!
//! # Invariants
//!
//! * Commands for an id reach it in the order in which they reached the gateway, whatever activations lie between them.
//! * A command is given up only when too many wait, or its entity does not start; its asker learns `Unavailable`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write as _};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use omnitron_runtime::{
    Actor, ActorRef, ActorSystem, AskError, Baggage, Context, Failure, Mailbox, Refusal, ReplyTo, Signal,
    Spawn, SpawnError, Unanswered, drop_unanswered,
};

use crate::event_sourced::EventSourced;
use crate::id::{InvalidId, PersistenceId};
use crate::intake::{Delivery, Mail};
use crate::persistent::Persistent;
use crate::roster::{Limits, Roster, Route};

/// The longest name of an actor that is made of an id. A longer id gives one that is made of its hash.
const NAME_BYTES: usize = 120;

/// How often idle entities are looked for at most.
const LEAST_SWEEP: Duration = Duration::from_millis(10);

type Factory<E> = dyn Fn(&str) -> Persistent<E> + Send + Sync;

/// Entities that are reached by id, with the options for that.
///
/// The events of the entity `42` of a gateway called `account` lie under the id `account/42`.
#[must_use = "a gateway does nothing until it is started"]
pub struct Gateway<E: EventSourced> {
    factory: Arc<Factory<E>>,
    limits: Limits,
    mailbox: NonZeroUsize,
}

impl<E: EventSourced> Gateway<E> {
    /// A gateway to entities that `entity` makes of an id, without the `Persistent::id`, which the gateway gives. One that has used up its restarts stops,
    /// whatever its [`Supervision`](omnitron_runtime::Supervision) says of that, and the next command activates it anew.
    pub fn new(entity: impl Fn(&str) -> Persistent<E> + Send + Sync + 'static) -> Self {
        let idle = Some(Duration::from_mins(2));
        let limits = Limits { idle, active: 100_000, waiting: 1_024 };
        Self {
            factory: Arc::new(entity),
            limits,
            mailbox: NonZeroUsize::new(8_192).unwrap_or(NonZeroUsize::MIN),
        }
    }

    /// How long an entity stays active without a command; `None`: for ever. Default: 2 min. It is looked at every half of it, but not
    /// more often than every 10 ms.
    pub fn idle(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.limits.idle = idle.into();
        self
    }

    /// How many entities are active at once: the limit of memory, divided by what one takes. Beyond that, the one that got a command the longest time ago leaves;
    /// until it has, there is one more. At least 1. Default: 100,000.
    pub fn active(mut self, entities: usize) -> Self {
        self.limits.active = entities.max(1);
        self
    }

    /// How many commands wait for one entity that is leaving, before more are refused. At least 1. Default: 1024.
    pub fn waiting(mut self, commands: usize) -> Self {
        self.limits.waiting = commands.max(1);
        self
    }

    /// How many commands wait in the mailbox of the gateway. Default: 8192.
    pub fn mailbox(mut self, commands: NonZeroUsize) -> Self {
        self.mailbox = commands;
        self
    }

    /// Starts it, under the name that its ids begin with.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]: most often, the name is taken.
    pub fn start(self, system: &ActorSystem, name: &str) -> Result<EntityGateway<E>, SpawnError> {
        let Self { factory, limits, mailbox } = self;
        let prefix = name.to_owned();
        let make = {
            let prefix = prefix.clone();
            move || Front {
                prefix: prefix.clone(),
                factory: Arc::clone(&factory),
                limits,
                roster: Roster::new(limits),
                entities: BTreeMap::new(),
                names: BTreeMap::new(),
                waiting: BTreeMap::new(),
            }
        };
        let front = system.spawn(name, Spawn::new(make).mailbox(Mailbox::bounded(mailbox.get())))?;
        Ok(EntityGateway { front, prefix })
    }
}

impl<E: EventSourced> fmt::Debug for Gateway<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A gateway that runs. A clone is the same one.
pub struct EntityGateway<E: EventSourced> {
    front: ActorRef<Routed<E::Command>>,
    prefix: String,
}

impl<E: EventSourced> EntityGateway<E> {
    /// The entity `id`, active or not: a reference to be told and asked as any other. It costs nothing, and stays good while the gateway runs.
    ///
    /// # Errors
    ///
    /// [`InvalidId`]: nothing can be stored under such an id.
    pub fn entity(&self, id: impl AsRef<str>) -> Result<ActorRef<E::Command>, InvalidId> {
        let id: Arc<str> = Arc::from(id.as_ref());
        if id.is_empty() {
            return Err(InvalidId::Empty);
        }
        self.persistence_id(&id)?;
        Ok(self.front.contramap(move |command| {
            Routed(Errand::Mail(Arc::clone(&id), Mail { command, delivery: None }))
        }))
    }

    /// Under which id the events of the entity `id` lie.
    ///
    /// # Errors
    ///
    /// [`InvalidId`].
    pub fn persistence_id(&self, id: &str) -> Result<PersistenceId, InvalidId> {
        PersistenceId::new(format!("{}/{id}", self.prefix))
    }

    /// The name that it was started under.
    pub(crate) fn name(&self) -> &str {
        &self.prefix
    }

    /// Sends what was posted on its way, or gives it back.
    pub(crate) fn deliver(
        &self,
        id: &str,
        command: E::Command,
        delivery: Delivery,
    ) -> Result<(), (Delivery, Refusal)> {
        let mail = Mail { command, delivery: Some(delivery) };
        let Err(undelivered) = self.front.tell(Routed(Errand::Mail(Arc::from(id), mail))) else {
            return Ok(());
        };
        let Errand::Mail(_, Mail { delivery: Some(delivery), .. }) = undelivered.message.0 else {
            return Ok(());
        };
        Err((delivery, undelivered.reason))
    }

    /// How many entities are active, and how many of those are leaving.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub async fn active(&self) -> Result<(usize, usize), AskError> {
        self.front.ask(|reply| Routed(Errand::Count(reply))).await
    }

    /// Handles what waits, then stops all entities.
    pub async fn drain(&self) {
        self.front.drain().await;
    }
}

impl<E: EventSourced> Clone for EntityGateway<E> {
    fn clone(&self) -> Self {
        Self { front: self.front.clone(), prefix: self.prefix.clone() }
    }
}

impl<E: EventSourced> fmt::Debug for EntityGateway<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityGateway").field("name", &self.prefix).finish_non_exhaustive()
    }
}

/// What a gateway is told.
pub(crate) struct Routed<C>(Errand<C>);

enum Errand<C> {
    Mail(Arc<str>, Mail<C>),
    Sweep,
    Count(ReplyTo<(usize, usize)>),
}

/// The actor.
struct Front<E: EventSourced> {
    prefix: String,
    factory: Arc<Factory<E>>,
    limits: Limits,
    roster: Roster,
    entities: BTreeMap<Arc<str>, ActorRef<Mail<E::Command>>>,
    /// The ids of actors, by their names.
    names: BTreeMap<String, Arc<str>>,
    waiting: BTreeMap<Arc<str>, Queue<E>>,
}

/// What waits for one entity.
type Queue<E> = VecDeque<Waiting<Mail<<E as EventSourced>::Command>>>;

/// A command that is delivered later, with what it brought along.
struct Waiting<C> {
    command: C,
    baggage: Option<Baggage>,
}

impl<C> Waiting<C> {
    fn new(command: C) -> Self {
        Self { command, baggage: Baggage::current() }
    }
}

impl<E: EventSourced> Front<E> {
    async fn route(&mut self, id: Arc<str>, command: Mail<E::Command>, ctx: &mut Context<Self>) {
        match self.roster.arrive(&id, ctx.now()) {
            Route::Deliver => self.deliver(&id, command).await,
            Route::Activate => {
                self.activate(&id, VecDeque::from([Waiting::new(command)]), ctx).await;
                self.let_go(ctx);
            }
            Route::Wait => self.waiting.entry(id).or_default().push_back(Waiting::new(command)),
            Route::Refuse => {
                tracing::warn!(
                    gateway = self.prefix,
                    id = &*id,
                    "too many commands wait for an entity: one was refused"
                );
                drop_unanswered(command, Unanswered::Unavailable);
            }
        }
    }

    /// Waits for room at the entity. So a slow one holds up the gateway, and the gateway those who use it; nothing is lost.
    async fn deliver(&mut self, id: &Arc<str>, command: Mail<E::Command>) {
        let Some(entity) = self.entities.get(id) else {
            return drop_unanswered(command, Unanswered::Unavailable);
        };
        let Err(undelivered) = entity.send(command).await else { return };
        if entity.is_stopped() || matches!(undelivered.reason, Refusal::Stopped) {
            // It ends by itself: what comes now is for the next one, once this one has gone.
            let waiting = self.waiting.entry(Arc::clone(id)).or_default();
            waiting.push_back(Waiting::new(undelivered.message));
            self.roster.ends(id, waiting.len());
        } else {
            tracing::warn!(gateway = self.prefix, id = &**id, reason = %undelivered.reason, "an entity has no room: a command was refused");
            drop_unanswered(undelivered.message, Unanswered::Unavailable);
        }
    }

    /// Starts the entity, and gives it these commands.
    async fn activate(&mut self, id: &Arc<str>, commands: Queue<E>, ctx: &mut Context<Self>) {
        let name = name_of(id);
        // What the user wrote may panic: that is his entity's trouble, not that of others.
        let made = catch_unwind(AssertUnwindSafe(|| (self.factory)(id)));
        let spawned = match made {
            Ok(entity) => {
                let entity = entity.id(format!("{}/{id}", self.prefix));
                ctx.spawn(&name, entity.into_resident()).map_err(|error| error.to_string())
            }
            Err(_) => Err("the function that makes it panicked".to_owned()),
        };
        match spawned {
            Ok(entity) => {
                ctx.watch(&entity);
                self.names.insert(name, Arc::clone(id));
                self.entities.insert(Arc::clone(id), entity);
                let mut commands = commands;
                while let Some(Waiting { command, baggage }) = commands.pop_front() {
                    match baggage {
                        Some(baggage) => baggage.wrap(self.deliver(id, command)).await,
                        None => self.deliver(id, command).await,
                    }
                }
            }
            Err(reason) => {
                tracing::error!(gateway = self.prefix, id = &**id, reason, "an entity was not started");
                self.roster.ended(id, ctx.now());
                for Waiting { command, .. } in commands {
                    drop_unanswered(command, Unanswered::Unavailable);
                }
            }
        }
    }

    /// Lets those go who are idle or too many.
    fn let_go(&mut self, ctx: &mut Context<Self>) {
        for id in self.roster.leave(ctx.now()) {
            if let Some(entity) = self.entities.get(&id) {
                // It handles what it has, and takes nothing more; its end is told.
                drop(entity.drain());
            }
        }
    }

    fn sweep(&self, ctx: &mut Context<Self>) {
        if let Some(idle) = self.limits.idle {
            ctx.timers().once("sweep", (idle / 2).max(LEAST_SWEEP), || Routed(Errand::Sweep));
        }
    }
}

impl<E: EventSourced> Actor for Front<E> {
    type Msg = Routed<E::Command>;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.sweep(ctx);
        Ok(())
    }

    async fn receive(&mut self, errand: Self::Msg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match errand.0 {
            Errand::Mail(id, mail) => self.route(id, mail, ctx).await,
            Errand::Sweep => {
                self.let_go(ctx);
                self.sweep(ctx);
            }
            Errand::Count(reply) => reply.send(self.roster.count()),
        }
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let Signal::Terminated(path) = signal else { return Ok(()) };
        let Some(id) = self.names.remove(path.name()) else { return Ok(()) };
        self.entities.remove(&id);
        let waiting = self.waiting.remove(&id).unwrap_or_default();
        if self.roster.ended(&id, ctx.now()) {
            self.activate(&id, waiting, ctx).await;
            self.let_go(ctx);
        }
        Ok(())
    }
}

/// A legal name of an actor, made of an id: what is not legal is written as `%` and two digits.
fn name_of(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    for (at, character) in id.char_indices() {
        let illegal = matches!(character, '/' | '%') || (at == 0 && character == '$');
        if illegal {
            // Writing to a text does not fail.
            let _ = write!(name, "%{:02x}", u32::from(character));
        } else {
            name.push(character);
        }
    }
    if name.len() <= NAME_BYTES {
        return name;
    }
    format!("%{:016x}", twox_hash::XxHash3_64::oneshot(id.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_entity_is_legal_and_tells_ids_apart() {
        let names = ["42", "a/b", "a%2fb", "$a", "x$"].map(name_of);
        assert_eq!(names, ["42", "a%2fb", "a%252fb", "%24a", "x$"]);
        let (one, other) = (name_of(&"x".repeat(500)), name_of(&"x".repeat(501)));
        assert!(one != other && one.len() <= NAME_BYTES);
    }
}

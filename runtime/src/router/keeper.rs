//! Who sees to it that a router has routees?
//!
//! The *keeper*, a child of the router beside the way of the messages: so it does its work also while the router waits
//! for room. It spawns the routees of a pool as its own children, warms them up, replaces those that end, and changes
//! their number; or it watches the actors of a group. Whatever it did, it publishes a new [table](super::members).
//!
//! It is their parent, not their sibling: a strategy that restarts or stops the routees together does not concern it.
//!
//! # Invariants
//!
//! * A new table comes after every change, and before a routee is asked to leave: the router turns away first.
//! * A routee that leaves is drained, not stopped.
//! * Numbers are given lowest first and taken back highest first. No two children have one number, those that drain
//!   included.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::{Either, select};

use super::ControlError;
use super::SIZE_LIMIT;
use super::hash_ring::HashRing;
use super::members::{Life, Link, Table};
use super::resize::{PoolLoad, Resize};
use crate::actor::{Actor, Signal};
use crate::actor_ref::ActorRef;
use crate::cell::AnyCell;
use crate::context::Context;
use crate::error::SpawnError;
use crate::extension::contained;
use crate::failure::{Failure, catch};
use crate::path::ActorPath;
use crate::reply::ReplyTo;
use crate::supervision::Backoff;

/// A routee that lived shorter than this did not do well, and its second replacement waits.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The waits before further attempts to replace a routee.
const RETRIES: Backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(10));

/// What a pool does about a routee that has ended. (One that restarts has not.)
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum WhenEnded {
    /// Another takes its place, under the same number. Default. The first time at once; after one that ended within
    /// a second, or could not be spawned or warmed up, later and later: after 0.1 s at first, and 10 s at last. While the first
    /// replacement warms up its place is kept; after that the others do without it.
    #[default]
    Replace,
    /// The others go on without it; the pool is one smaller.
    Remove,
}

/// What a keeper begins with.
pub(crate) struct Plan<M> {
    pub(crate) with_ring: bool,
    /// `None` for a group.
    pub(crate) children: Option<Children<M>>,
    /// Those of a group, with their weights.
    pub(crate) others: Vec<(ActorRef<M>, u32)>,
}

/// Spawns a routee as a child of the keeper, under the name that is its number.
pub(crate) type SpawnRoutee<M> =
    Box<dyn Fn(&Arc<dyn AnyCell>, &str) -> Result<ActorRef<M>, SpawnError> + Send>;
/// Makes a new routee ready for its first message.
pub(crate) type WarmUp<M> =
    Arc<dyn Fn(ActorRef<M>) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>> + Send + Sync>;

/// How the routees of a pool are made.
pub(crate) struct Children<M> {
    pub(crate) size: usize,
    pub(crate) spawn: SpawnRoutee<M>,
    pub(crate) weight: Box<dyn Fn(usize) -> u32 + Send>,
    pub(crate) when_ended: WhenEnded,
    pub(crate) warm_up: Option<(Duration, WarmUp<M>)>,
    pub(crate) resize: Option<(Duration, Box<dyn Resize>)>,
}

/// What is asked of a keeper.
pub(crate) enum Keep<M> {
    Resize(usize, ReplyTo<Result<(), ControlError>>),
    Add(ActorRef<M>, u32, ReplyTo<Result<(), ControlError>>),
    Remove(ActorRef<M>, ReplyTo<bool>),
    /// A warm-up is over.
    Warm(ActorRef<M>, Result<(), Failure>),
    /// Tries again to fill a place.
    Retry(usize),
    /// Asks the policy.
    Look,
}

/// The place of one routee.
struct Seat<M> {
    routee: Option<ActorRef<M>>,
    weight: u32,
    stage: Stage,
    since: Instant,
    /// Attempts in a row that came to nothing.
    attempts: u32,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    Ready,
    /// Is warmed up; meanwhile its place is kept, or not.
    Warming {
        kept: bool,
    },
    /// Will be tried again.
    Vacant,
}

pub(crate) struct Keeper<M> {
    link: Arc<Link<M>>,
    plan: Plan<M>,
    seats: BTreeMap<usize, Seat<M>>,
    /// The numbers of children that drain or stop.
    leaving: BTreeSet<usize>,
    opened: bool,
}

impl<M: Send + 'static> Keeper<M> {
    pub(crate) fn new(link: Arc<Link<M>>, plan: Plan<M>) -> Self {
        Self { link, plan, seats: BTreeMap::new(), leaving: BTreeSet::new(), opened: false }
    }

    fn publish(&mut self) {
        let warming = |seat: &Seat<M>| seat.stage == Stage::Warming { kept: false };
        self.opened = self.opened || !self.seats.values().any(warming);
        let seated = || {
            self.seats
                .iter()
                .filter(|(_, seat)| matches!(seat.stage, Stage::Ready | Stage::Warming { kept: true }))
        };
        let ready = |seat: &Seat<M>| seat.routee.clone().filter(|_| seat.stage == Stage::Ready);
        let ring =
            self.plan.with_ring.then(|| HashRing::new(seated().map(|(&number, seat)| (number, seat.weight))));
        let table = Table {
            opened: self.opened,
            seats: seated().map(|(_, seat)| ready(seat)).collect(),
            ring: ring.unwrap_or_default(),
        };
        self.link.table.send_replace(Arc::new(table));
    }

    // ---- pools ------------------------------------------------------------------------------------------------

    /// Spawns a routee, and puts it into the place of this number once it is warm.
    fn occupy(&mut self, number: usize, kept: bool, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let Some(children) = &self.plan.children else { return Ok(()) };
        // Both may run code of the user's.
        let weight = catch(|| (children.weight)(number))?;
        let routee = catch(|| (children.spawn)(&ctx.any_cell(), &number.to_string()))??;
        ctx.watch(&routee);
        let stage = match &children.warm_up {
            None => Stage::Ready,
            Some((within, hook)) => {
                let warming = warm(ctx.env().sleep(*within), *within, hook.clone(), routee.clone());
                let warmed = routee.clone();
                ctx.pipe_to_self(warming, move |result| Keep::Warm(warmed, result))?;
                Stage::Warming { kept }
            }
        };
        let attempts = self.seats.get(&number).map_or(0, |seat| seat.attempts);
        let seat = Seat { routee: Some(routee), weight, stage, since: ctx.now(), attempts };
        self.seats.insert(number, seat);
        Ok(())
    }

    /// As [`occupy`](Self::occupy); if that fails, the place stays vacant until another attempt.
    fn try_occupy(&mut self, number: usize, kept: bool, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.occupy(number, kept, ctx).inspect_err(|_| self.vacate(number, ctx))
    }

    /// An attempt came to nothing: there will be another one.
    fn vacate(&mut self, number: usize, ctx: &mut Context<Self>) {
        let now = ctx.now();
        let vacant = || Seat { routee: None, weight: 1, stage: Stage::Vacant, since: now, attempts: 0 };
        let seat = self.seats.entry(number).or_insert_with(vacant);
        seat.routee = None;
        seat.stage = Stage::Vacant;
        seat.attempts = seat.attempts.saturating_add(1);
        let delay = RETRIES.delay(seat.attempts, 0.5);
        ctx.timers().once(format!("retry {number}"), delay, move || Keep::Retry(number));
    }

    /// A routee has ended.
    fn replace(&mut self, number: usize, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let now = ctx.now();
        let Some(seat) = self.seats.get_mut(&number) else { return Ok(()) };
        let lived = now.saturating_duration_since(seat.since);
        if lived >= SHORT_LIFE {
            seat.attempts = 0;
        }
        if seat.attempts == 0 {
            seat.attempts = u32::from(lived < SHORT_LIFE);
            self.try_occupy(number, true, ctx)
        } else {
            self.vacate(number, ctx);
            Ok(())
        }
    }

    fn resize(&mut self, size: usize, ctx: &mut Context<Self>) -> Result<(), ControlError> {
        let mut removed = Vec::new();
        while self.seats.len() > size
            && let Some((number, seat)) = self.pop_least_useful()
        {
            ctx.timers().cancel(&format!("retry {number}"));
            if let Some(routee) = seat.routee {
                self.leaving.insert(number);
                removed.push(routee);
            }
        }
        let mut grown = Ok(());
        let mut number = 0;
        while grown.is_ok() && self.seats.len() < size {
            number = self.free_number(number);
            grown = self.occupy(number, false, ctx);
        }
        self.publish();
        for routee in removed {
            drop(routee.drain());
        }
        grown
            .map_err(|reason| ControlError::NotSpawned { size: self.seats.len(), reason: reason.to_string() })
    }

    fn look(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let size = self.seats.len();
        let waiting = self.seats.values().filter_map(|seat| seat.routee.as_ref()).map(ActorRef::depth).sum();
        let Some((_, policy)) = self.plan.children.as_mut().and_then(|children| children.resize.as_mut())
        else {
            return Ok(());
        };
        // The parent is the router itself.
        let front = ctx.cell().head().parent.as_ref().map(|front| front.figures());
        let (depth, arrived) = front.map_or((0, 0), |front| (front.depth, front.accepted));
        let since_epoch = ctx.env().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time_of_day = Duration::new(since_epoch.as_secs() % 86_400, since_epoch.subsec_nanos());
        let load =
            PoolLoad { now: ctx.now(), time_of_day, size, waiting: depth.saturating_add(waiting), arrived };
        let wanted = policy.size(&load).clamp(1, SIZE_LIMIT);
        if wanted != size {
            tracing::debug!(path = %ctx.path(), from = size, to = wanted, "a pool is resized");
            self.resize(wanted, ctx)?;
        }
        Ok(())
    }

    fn warmed(
        &mut self,
        routee: &ActorRef<M>,
        result: Result<(), Failure>,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        let found = self.seats.iter_mut().find(|(_, seat)| seat.routee.as_ref() == Some(routee));
        // It may have ended or been removed meanwhile.
        let Some((&number, seat)) = found else { return Ok(()) };
        if result.is_ok() {
            seat.stage = Stage::Ready;
        } else {
            self.leaving.insert(number);
            self.vacate(number, ctx);
            drop(routee.stop());
        }
        self.publish();
        result
    }

    // ---- groups -----------------------------------------------------------------------------------------------

    fn add(&mut self, routee: ActorRef<M>, weight: u32, ctx: &mut Context<Self>) -> Result<(), ControlError> {
        let front = ctx.cell().head().parent.as_ref().map(|front| front.head().id);
        if front == Some(routee.cell.head().id) {
            return Err(ControlError::Itself);
        }
        if let Some(number) = self.number_of(&routee) {
            self.seats.entry(number).and_modify(|seat| seat.weight = weight);
            return Ok(());
        }
        ctx.watch(&routee);
        let number = self.free_number(0);
        let seat = Seat { routee: Some(routee), weight, stage: Stage::Ready, since: ctx.now(), attempts: 0 };
        self.seats.insert(number, seat);
        Ok(())
    }

    fn number_of(&self, routee: &ActorRef<M>) -> Option<usize> {
        // By the actor: two references may lead to one, each in its own way.
        let id = routee.cell.head().id;
        let is_it = |seat: &Seat<M>| seat.routee.as_ref().is_some_and(|routee| routee.cell.head().id == id);
        self.seats.iter().find(|(_, seat)| is_it(seat)).map(|(&number, _)| number)
    }

    fn remove(&mut self, routee: &ActorRef<M>, ctx: &mut Context<Self>) -> bool {
        let Some(number) = self.number_of(routee) else { return false };
        ctx.unwatch(routee);
        self.seats.remove(&number);
        true
    }

    // ---- both -------------------------------------------------------------------------------------------------

    /// The lowest number from `first` on that nobody has.
    fn free_number(&self, first: usize) -> usize {
        let is_free = |number: &usize| !self.seats.contains_key(number) && !self.leaving.contains(number);
        // Those taken are that many at most, so one of these is free.
        let last = first + self.seats.len() + self.leaving.len();
        (first..=last).find(is_free).unwrap_or(last)
    }

    /// Takes out a seat for a smaller pool: one where nobody works before one where somebody does, and the highest
    /// number first.
    fn pop_least_useful(&mut self) -> Option<(usize, Seat<M>)> {
        let works = |seat: &Seat<M>| seat.stage == Stage::Ready;
        let idle = self.seats.iter().rev().find(|(_, seat)| !works(seat)).map(|(&number, _)| number);
        let number = idle.or_else(|| self.seats.last_key_value().map(|(&number, _)| number))?;
        self.seats.remove_entry(&number)
    }

    fn ended(&mut self, path: &ActorPath, ctx: &mut Context<Self>) -> Result<(), Failure> {
        if path.parent().as_ref() == Some(ctx.path())
            && let Ok(number) = path.name().parse()
        {
            self.leaving.remove(&number);
        }
        let is_it = |routee: &ActorRef<M>| routee.path() == path && routee.is_stopped();
        let seat = self.seats.iter().find(|(_, seat)| seat.routee.as_ref().is_some_and(is_it));
        let Some((&number, _)) = seat else { return Ok(()) };
        let when_ended = self.plan.children.as_ref().map(|children| children.when_ended);
        let result = if when_ended == Some(WhenEnded::Replace) {
            self.replace(number, ctx)
        } else {
            self.seats.remove(&number);
            Ok(())
        };
        self.publish();
        result
    }
}

impl<M: Send + 'static> Actor for Keeper<M> {
    type Msg = Keep<M>;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let mut first_failure = None;
        for (routee, weight) in std::mem::take(&mut self.plan.others) {
            let failed = self.add(routee, weight, ctx).err();
            first_failure = first_failure.or_else(|| failed.map(Failure::from));
        }
        let size = self.plan.children.as_ref().map_or(0, |children| children.size);
        for number in 0..size {
            // Each for itself: the first failure is reported, and all are tried again.
            let failed = self.try_occupy(number, false, ctx).err();
            first_failure = first_failure.or(failed);
        }
        if let Some((every, _)) = self.plan.children.as_ref().and_then(|children| children.resize.as_ref()) {
            let every = *every;
            ctx.timers().every("look", every, || Keep::Look);
        }
        self.publish();
        self.link.life.send_replace(Life::Running(ctx.myself().clone()));
        first_failure.map_or(Ok(()), Err)
    }

    async fn receive(&mut self, message: Keep<M>, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            Keep::Resize(size, reply) => reply.send(self.resize(size, ctx)),
            Keep::Add(routee, weight, reply) => {
                let added = self.add(routee, weight, ctx);
                self.publish();
                reply.send(added);
            }
            Keep::Remove(routee, reply) => {
                let removed = self.remove(&routee, ctx);
                self.publish();
                reply.send(removed);
            }
            Keep::Warm(routee, result) => return self.warmed(&routee, result, ctx),
            Keep::Retry(number) => {
                if self.seats.get(&number).is_some_and(|seat| seat.stage == Stage::Vacant) {
                    let result = self.try_occupy(number, false, ctx);
                    self.publish();
                    return result;
                }
            }
            Keep::Look => return self.look(ctx),
        }
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, ctx: &mut Context<Self>) -> Result<(), Failure> {
        if let Signal::Terminated(path) = signal { self.ended(&path, ctx) } else { Ok(()) }
    }
}

/// Warms a routee up, for as long as `over` allows.
async fn warm<M: Send + 'static>(
    over: crate::env::Sleep,
    within: Duration,
    hook: WarmUp<M>,
    routee: ActorRef<M>,
) -> Result<(), Failure> {
    let warming = pin!(contained(async move { hook(routee).await }));
    match select(warming, over).await {
        Either::Left((result, _)) => result.flatten(),
        Either::Right(_) => Err(Failure::msg(format!("a routee was not warm within {within:?}"))),
    }
}

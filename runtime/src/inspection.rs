//! What do the actors of a system do, now?
//!
//! A snapshot, gathered actor by actor while they run: exact when nothing runs, near otherwise. Nothing is recorded for
//! it per message, so times are as coarse as the pulse of the system (a quarter of its
//! [thread hold limit](crate::SystemBuilder::thread_hold_limit), 25 ms by default), and are those of the oldest message
//! that *may* still wait: an age is told too high rather than too low, but for messages behind one whose handler awaits.
//!
//! # Invariants
//!
//! * Every living actor is in the tree once, below its parent; siblings are in the order of their spawns.
//! * The JSON is one object, and valid whatever the names in it contain.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cell::AnyCell;
use crate::mailbox::inbox::Figures;
use crate::path::ActorPath;
use crate::system::{Core, Trouble};

/// A snapshot of a system; see [`ActorSystem::inspect`](crate::ActorSystem::inspect).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The name of the system.
    pub system: String,
    /// The actors that the system spawned, each with its children.
    pub actors: Vec<ActorInspection>,
}

/// One actor of an [`Inspection`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ActorInspection {
    /// Where it lives.
    pub path: ActorPath,
    /// The type of its messages.
    pub message_type: &'static str,
    /// What it does.
    pub state: ActorState,
    /// Messages that wait, and those taken and not yet handled.
    pub depth: usize,
    /// The most messages it holds. `None` without a bound.
    pub capacity: Option<usize>,
    /// The most messages it ever held.
    pub deepest: usize,
    /// The age of its oldest message; `None` without one.
    pub oldest: Option<Duration>,
    /// For how long the handler of the current message awaits; `None` if none does.
    pub awaits: Option<Duration>,
    /// Messages handled. May lag behind by a batch.
    pub processed: u64,
    /// Times that it failed.
    pub failures: u64,
    /// Times that it was restarted.
    pub restarts: u64,
    /// Its children.
    pub children: Vec<ActorInspection>,
}

/// What an actor does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ActorState {
    /// It has not started yet.
    Starting,
    /// It sleeps until it has something to do.
    Idle,
    /// It handles messages, or waits for a thread to do so.
    Running,
    /// A handler awaits something.
    Awaiting,
    /// It has failed: it waits for what supervision decides, or for its back-off, or starts again.
    Recovering,
    /// It takes no more messages, and will end.
    Stopping,
}

impl ActorState {
    /// All of them, in the order of their declaration.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 6] =
        [Self::Starting, Self::Idle, Self::Running, Self::Awaiting, Self::Recovering, Self::Stopping];

    /// The word for it, in lower case.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Awaiting => "awaiting",
            Self::Recovering => "recovering",
            Self::Stopping => "stopping",
        }
    }

    fn of(figures: &Figures, trouble: Trouble) -> Self {
        if figures.closed {
            Self::Stopping
        } else if !figures.begun {
            if trouble.failures > 0 { Self::Recovering } else { Self::Starting }
        } else if figures.awaits_since.is_some() {
            Self::Awaiting
        } else if figures.asleep {
            Self::Idle
        } else {
            Self::Running
        }
    }
}

impl Inspection {
    /// Looks at all actors of a system.
    pub(crate) fn of(core: &Core) -> Self {
        let mut tree = Tree::default();
        for cell in core.registry.all() {
            let actor = ActorInspection::of(&*cell, core);
            tree.insert(cell.head().parent.as_ref().map(|parent| parent.head().id), cell.head().id, actor);
        }
        Self { system: core.name.clone(), actors: tree.grow() }
    }

    /// All actors, each before its children.
    pub fn iter(&self) -> impl Iterator<Item = &ActorInspection> {
        let mut rest: Vec<&ActorInspection> = self.actors.iter().rev().collect();
        std::iter::from_fn(move || {
            let next = rest.pop()?;
            rest.extend(next.children.iter().rev());
            Some(next)
        })
    }

    /// The same as one JSON object: `system` and `actors`, each with the fields of [`ActorInspection`], durations in
    /// seconds, and what is absent as `null`.
    pub fn to_json(&self) -> String {
        let actors: Vec<Value> = self.actors.iter().map(ActorInspection::to_value).collect();
        json!({ "system": self.system, "actors": actors }).to_string()
    }
}

impl ActorInspection {
    pub(crate) fn of(cell: &dyn AnyCell, core: &Core) -> Self {
        let (figures, trouble) = (cell.figures(), core.trouble(cell.head().id));
        let age = |since| core.since_beat(since);
        Self {
            path: cell.head().path.clone(),
            message_type: cell.message_type(),
            state: ActorState::of(&figures, trouble),
            depth: figures.depth,
            capacity: (figures.capacity < usize::MAX).then_some(figures.capacity),
            deepest: figures.deepest,
            oldest: figures.oldest_since.map(age),
            awaits: figures.awaits_since.filter(|_| figures.begun).map(age),
            processed: cell.head().processed(),
            failures: trouble.failures,
            restarts: trouble.restarts,
            children: Vec::new(),
        }
    }

    /// Not recursive in Rust's stack beyond the depth of the tree, which spawning limits.
    fn to_value(&self) -> Value {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        json!({
            "path": self.path.as_str(),
            "message_type": self.message_type,
            "state": self.state.word(),
            "depth": self.depth,
            "capacity": self.capacity,
            "deepest": self.deepest,
            "oldest": seconds(self.oldest),
            "awaits": seconds(self.awaits),
            "processed": self.processed,
            "failures": self.failures,
            "restarts": self.restarts,
            "children": self.children.iter().map(Self::to_value).collect::<Vec<_>>(),
        })
    }
}

/// Actors by their ids, until they are under their parents.
#[derive(Default)]
struct Tree {
    actors: BTreeMap<u64, (Option<u64>, ActorInspection)>,
}

impl Tree {
    fn insert(&mut self, parent: Option<u64>, id: u64, actor: ActorInspection) {
        self.actors.insert(id, (parent, actor));
    }

    /// Puts every actor under its parent, the youngest first: ids grow in the order of spawns, so an actor has all of
    /// its children when it is its turn. One whose parent was not seen any more stands at the top.
    fn grow(mut self) -> Vec<ActorInspection> {
        let mut top = Vec::new();
        while let Some((_, (parent, mut actor))) = self.actors.pop_last() {
            actor.children.reverse();
            match parent.and_then(|parent| self.actors.get_mut(&parent)) {
                Some((_, parent)) => parent.children.push(actor),
                None => top.push(actor),
            }
        }
        top.reverse();
        top
    }
}

impl fmt::Display for Inspection {
    /// One line per actor, children below their parents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.system)?;
        self.iter().try_for_each(|actor| write!(f, "\n{actor}"))
    }
}

impl fmt::Display for ActorInspection {
    /// One line, without the children.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = 2 * self.path.depth().saturating_sub(1);
        write!(f, "{:indent$}{} {}, {} handled", "", self.path.name(), self.state.word(), self.processed)?;
        if self.depth > 0 {
            write!(f, ", {} waiting", self.depth)?;
        }
        if let Some(oldest) = self.oldest {
            write!(f, " for up to {oldest:?}")?;
        }
        if let Some(awaits) = self.awaits {
            write!(f, ", handler awaits for {awaits:?}")?;
        }
        if self.failures > 0 {
            write!(f, ", {} failures, {} restarts", self.failures, self.restarts)?;
        }
        Ok(())
    }
}

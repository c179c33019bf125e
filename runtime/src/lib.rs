//! Actors on one node: mailboxes, supervision, asks, timers, and a deterministic testkit.
//!
//! This crate is the heart of `omnitron`, whose facade re-exports all of it. Start at [`Actor`] and [`ActorSystem`].

mod actor;
mod actor_ref;
mod ask;
mod body;
mod cell;
mod chain;
mod closing;
mod context;
mod dead_letters;
mod deadlines;
mod ending;
mod env;
mod error;
mod extension;
mod failure;
mod family;
mod guard;
mod guardian;
mod log_limit;
mod mailbox;
mod notices;
mod pace;
mod path;
mod pool;
mod recovery;
mod registry;
mod reply;
mod router;
mod runner;
mod shutdown;
mod signals;
mod slot;
mod spawn;
mod supervision;
mod sync;
mod system;
pub mod testkit;
mod timers;
mod watch;
mod wheel;

pub use crate::actor::{Actor, Signal};
pub use crate::actor_ref::{ActorRef, Sending, Stopping};
pub use crate::ask::{Ask, TryAsk};
pub use crate::context::Context;
pub use crate::dead_letters::{DeadLetter, DeadLetterStream, DeadLetters, Reason};
pub use crate::env::{Env, NoRuntime, Sleep};
pub use crate::error::{
    Acted, AskError, LookupError, Refusal, SpawnError, StartError, StashFull, Undelivered,
};
pub use crate::extension::{Extension, ExtensionFuture};
pub use crate::failure::{Crash, During, Failure};
pub use crate::mailbox::{Mailbox, Overflow};
pub use crate::path::{ActorPath, NameError, PathError};
pub use crate::reply::ReplyTo;
pub use crate::router::{
    ControlError, FirstReply, Forecast, Front, Group, GroupControl, Mapping, Pool, PoolControl, PoolLoad,
    Pressure, Resize, Route, Router, Routing, Scatter, Schedule, WhenEnded,
};
pub use crate::shutdown::{Phase, ShutdownReport};
pub use crate::spawn::{IntoSpawn, MsgOf, Spawn};
pub use crate::supervision::{Backoff, Directive, Supervision, WhenSpent};
pub use crate::system::{ActorSystem, SystemBuilder, SystemStats};
pub use crate::timers::Timers;

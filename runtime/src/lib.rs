//! Actors on one node: mailboxes, supervision, asks, timers, and a deterministic testkit.
//!
//! This crate is the heart of `omnitron`, whose facade re-exports all of it. Start at [`Actor`] and [`ActorSystem`].

mod actor;
mod actor_ref;
mod ask;
mod baggage;
mod beat;
mod body;
mod cell;
mod chain;
mod closing;
mod concurrent;
mod context;
#[cfg(feature = "cron")]
mod cron;
mod dead_letters;
mod deadlines;
mod dispatcher;
mod ending;
mod env;
mod error;
mod event_bus;
mod extension;
mod failure;
mod family;
mod feed;
mod fence;
mod foreign;
mod groups;
mod guard;
mod guardian;
mod health;
mod inspection;
mod log_limit;
mod mailbox;
#[cfg(feature = "metrics")]
mod metrics;
mod notices;
mod orphans;
mod output;
mod pace;
mod path;
mod pool;
mod recovery;
mod registry;
mod reply;
mod roster;
mod router;
mod run_queue;
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
mod trace;
mod watch;
mod watchdog;
mod wheel;

pub use crate::actor::{Actor, Signal};
pub use crate::actor_ref::{ActorRef, Sending, Stopping};
pub use crate::ask::{Ask, TryAsk};
pub use crate::baggage::Baggage;
pub use crate::concurrent::{Concurrent, ConcurrentActor, ConcurrentContext, Crew};
pub use crate::context::Context;
#[cfg(feature = "cron")]
pub use crate::cron::{Cron, CronError, Missed};
pub use crate::dead_letters::{DeadLetter, DeadLetterStream, DeadLetters, Reason};
pub use crate::dispatcher::Dispatcher;
pub use crate::env::{Env, NoRuntime, Sleep};
pub use crate::error::{
    Acted, AskError, LookupError, Refusal, SpawnError, StartError, StashFull, Undelivered,
};
pub use crate::event_bus::{EventBus, Events, EventsEnd, Subscription, WhenFull};
pub use crate::extension::{Extension, ExtensionFuture};
pub use crate::failure::{Crash, During, Failure};
pub use crate::feed::Feed;
pub use crate::fence::{
    Epoch, Fence, Fenced, Lease, LeaseError, LeaseFault, LeaseRecord, LeaseRequest, LeaseStore, LeaseVersion,
    MAX_LEASE_NAME_BYTES,
};
pub use crate::groups::{Groups, Told};
pub use crate::health::{CheckReport, CheckResult, Health, HealthError, HealthReport, SystemState};
pub use crate::inspection::{ActorInspection, ActorState, Inspection};
pub use crate::mailbox::{Mailbox, Overflow};
#[cfg(feature = "metrics")]
pub use crate::metrics::Metrics;
pub use crate::output::{EmitRefusal, NotEmitted, Output, OutputStream};
pub use crate::path::{ActorPath, NameError, PathError};
pub use crate::reply::{ReplyTo, Unanswered, drop_unanswered};
pub use crate::router::{
    ControlError, FirstReply, Forecast, Front, Group, GroupControl, Mapping, Pool, PoolControl, PoolLoad,
    Pressure, Resize, Route, Router, Routing, Scatter, Schedule, WhenEnded,
};
pub use crate::shutdown::{Phase, ShutdownReport};
pub use crate::spawn::{IntoSpawn, MsgOf, Spawn};
pub use crate::supervision::{Backoff, Directive, Supervision, WhenSpent};
pub use crate::system::{ActorSystem, SystemBuilder, SystemStats};
pub use crate::timers::Timers;
pub use crate::trace::{TraceContext, TraceparentError};

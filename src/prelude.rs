//! What nearly every program with actors uses: `use omnitron::prelude::*;`.

#[cfg(feature = "macros")]
pub use omnitron_macros::actor;
#[cfg(feature = "persistence")]
pub use omnitron_persistence::timeline::TimeTravel;
#[cfg(feature = "persistence")]
pub use omnitron_persistence::{
    Durable, DurableState, Effect, Event, EventSourced, Gateway, Journal, Outbox, Persistent, Projection,
    ReadModel, Schema, Scope, Snapshots, Timestamp, WithJournal,
};
pub use omnitron_runtime::{
    Acted, Actor, ActorPath, ActorRef, ActorSystem, Ask, AskError, Backoff, Context, Crash, DeadLetter,
    DeadLetters, Directive, During, EventBus, Events, Extension, Failure, Feed, Groups, IntoSpawn,
    LookupError, Mailbox, Output, OutputStream, Overflow, Phase, Reason, Refusal, ReplyTo, Router, Routing,
    ShutdownReport, Signal, Spawn, SpawnError, StartError, StashFull, Subscription, Supervision, SystemStats,
    Timers, TryAsk, Undelivered, WhenFull, WhenSpent,
};

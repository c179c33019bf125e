//! What nearly every program with actors uses: `use omnitron::prelude::*;`.

#[cfg(feature = "macros")]
pub use omnitron_macros::actor;
pub use omnitron_runtime::{
    Acted, Actor, ActorPath, ActorRef, ActorSystem, Ask, AskError, Backoff, ConsistentHash, Context, Crash,
    DeadLetter, DeadLetters, Directive, During, Extension, Failure, IntoSpawn, LookupError, Mailbox,
    Overflow, Phase, Reason, Refusal, ReplyTo, Router, ShutdownReport, Signal, Spawn, SpawnError, StartError,
    StashFull, Supervision, SystemStats, Timers, TryAsk, Undelivered, WhenSpent,
};

//! What nearly every program with actors uses: `use omnitron::prelude::*;`.

pub use omnitron_runtime::{
    Acted, Actor, ActorPath, ActorRef, ActorSystem, Ask, AskError, Backoff, Context, Crash, DeadLetter,
    DeadLetters, Directive, During, Extension, Failure, IntoSpawn, LookupError, Mailbox, Overflow, Phase,
    Reason, Refusal, ReplyTo, Router, Routing, ShutdownReport, Signal, Spawn, SpawnError, StartError,
    StashFull, Supervision, SystemStats, Timers, TryAsk, Undelivered, WhenSpent,
};

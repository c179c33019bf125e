//! An actor runtime for Rust: supervised actors with names, mailboxes, asks, timers, and deterministic tests.
//!
//! ```
#![doc = include_str!("../examples/hello.rs")]
//! ```
//!
//! With the feature `macros`, on by default, the attribute `#[actor]` writes the enum and the match.
//!
//! With the feature `persistence`, on by default, an [`EventSourced`] actor keeps its state in a [`Journal`].
//!
//! What is promised, and the test of each promise: `docs/guarantees.md`. How it works inside: `ARCHITECTURE.md`.

pub mod prelude;

#[cfg(feature = "macros")]
pub use omnitron_macros::actor;
#[cfg(feature = "persistence")]
pub use omnitron_persistence::*;
pub use omnitron_runtime::*;

/// How are actors tested? In a simulation, step by step, or by what they were sent; event-sourced ones by their events.
pub mod testkit {
    #[cfg(feature = "persistence")]
    pub use omnitron_persistence::testkit::*;
    pub use omnitron_runtime::testkit::*;
}

/// The pages of `docs/guide`, whose programs are tests. One item per page, so that a failure names it.
#[cfg(all(doctest, feature = "macros"))]
mod guide {
    #[doc = include_str!("../docs/guide/actors.md")]
    mod actors {}
    #[doc = include_str!("../docs/guide/supervision.md")]
    mod supervision {}
    #[doc = include_str!("../docs/guide/back-pressure.md")]
    mod back_pressure {}
    #[doc = include_str!("../docs/guide/asks.md")]
    mod asks {}
    #[doc = include_str!("../docs/guide/testing.md")]
    mod testing {}
    #[cfg(feature = "persistence")]
    #[doc = include_str!("../docs/guide/evolution.md")]
    mod evolution {}
    #[cfg(feature = "persistence")]
    #[doc = include_str!("../docs/guide/forgetting.md")]
    mod forgetting {}
    #[cfg(feature = "persistence")]
    #[doc = include_str!("../docs/guide/projections.md")]
    mod projections {}
    #[cfg(feature = "persistence")]
    #[doc = include_str!("../docs/guide/outbox.md")]
    mod outbox {}
    #[cfg(feature = "persistence")]
    #[doc = include_str!("../docs/guide/time-travel.md")]
    mod time_travel {}
    #[doc = include_str!("../docs/guide/from-actix.md")]
    mod from_actix {}
    #[doc = include_str!("../docs/guide/from-kameo.md")]
    mod from_kameo {}
    #[doc = include_str!("../docs/guide/from-ractor.md")]
    mod from_ractor {}
    #[doc = include_str!("../docs/guide/from-akka.md")]
    mod from_akka {}
}

//! An actor runtime for Rust: supervised actors with names, mailboxes, asks, timers, and deterministic tests.
//!
//! ```
#![doc = include_str!("../examples/hello.rs")]
//! ```
//!
//! With the feature `macros`, on by default, the attribute `#[actor]` writes the enum and the match.
//!
//! What is promised, and the test of each promise: `docs/guarantees.md`. How it works inside: `ARCHITECTURE.md`.

pub mod prelude;

#[cfg(feature = "macros")]
pub use omnitron_macros::actor;
pub use omnitron_runtime::*;

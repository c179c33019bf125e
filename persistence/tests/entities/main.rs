//! Do event-sourced actors survive, and is nothing seen of them that does not?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

extern crate omnitron_persistence as omnitron;

mod durable;
mod effects;
mod failures;
mod log;
mod owners;
mod random;
mod recovery;
mod replies;
mod slow;
mod snapshots;
mod world;

//! Does the journal on PostgreSQL keep what it promises, on real servers that fail?
//!
//! The tests start their own servers, on free ports and in temporary folders. Where PostgreSQL is missing they say so and are skipped; with `CI=true` that is a failure.

#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

extern crate omnitron_persistence as omnitron;

mod actors;
mod conformance;
mod faults;
mod opening;
mod owners;
mod proxy;
mod server;

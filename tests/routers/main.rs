//! Does a router hand every message to whom it should, whoever comes, goes, fails or has no room?
//!
//! Everything runs in a simulation, so time is moved and chance has a seed. The routees of these tests keep a record of
//! what they handled, in one list.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod bad_input;
mod groups;
mod map;
mod picks;
mod pools;
mod replies;
mod resizing;
mod world;

//! What is the answer to input that makes no sense?
//!
//! Each case has one: an error that says what to do, or a documented behaviour. None of them hangs, aborts, or takes
//! another actor down.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod limits;
mod names;
mod panics;
mod runtimes;
mod schedules;
mod spawning;
mod systems;
mod world;

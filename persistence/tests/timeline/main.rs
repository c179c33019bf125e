//! Does a timeline show the state of any moment, and say when it cannot?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

extern crate omnitron_persistence as omnitron;

mod browser;
mod causes;
mod export;
mod gate;
mod moving;
mod trouble;
mod what_if;
mod world;

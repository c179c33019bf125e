//! What does the log do to a journal, and what do crashes and damage do to the log?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]
#![expect(clippy::case_sensitive_file_extension_comparisons, reason = "the names are the journal's own")]
#![expect(clippy::cast_possible_truncation, reason = "the numbers are small")]

mod crash;
mod damage;
mod deletion;
mod environment;
mod failing;
mod format;
mod inspect;
mod leases;
mod opening;
mod owners;
mod owning;
mod process;
#[path = "../shared/seeds.rs"]
mod seeds;
mod snapshots;
mod support;
mod threads;

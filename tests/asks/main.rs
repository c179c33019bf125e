//! How does every ask end, and does its error tell the truth about whether the target acted?
//!
//! All but the tests on real threads and those of asks on the spot run in a simulation, so "late" and "never" are exact. The target of these
//! tests keeps a record of every message it begins to handle; the record is what the errors are held against.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod callers;
mod cycles;
mod deadlines;
mod ends;
mod inline;
mod mail;
mod random;
mod slots;
mod world;

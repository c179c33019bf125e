//! Does every backend of this crate pass the suite that is offered to others?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod log;
mod memory;

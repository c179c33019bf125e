//! Does every backend of this crate pass the suite that is offered to others?

mod log;
mod memory;

//! How often does one operation call the allocator? A program of its own, because an allocator that counts takes time.
//!
//! Two runs, the second twice as long: the difference is what the operations cost, and what the start costs drops out.

use std::alloc::System;
use std::process::ExitCode;

use peers::{Cannot, child};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    child::main(&arguments, |contestant, workload, count| {
        let calls = |count| {
            let region = Region::new(COUNTING);
            child::run(contestant, workload, count)?;
            let change = region.change();
            Ok::<_, Cannot>((change.allocations + change.reallocations) as f64)
        };
        calls(count)?; // whatever is made once in a process
        let (once, twice) = (calls(count)?, calls(2 * count)?);
        Ok(((twice - once) / count as f64).max(0.0))
    })
}

//! Which seeds does a test of crashes try? `OMNITRON_SIM_SEED` names one and no other, `OMNITRON_SIM_SEEDS` says how many.

use std::panic::{RefUnwindSafe, catch_unwind, resume_unwind};

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Runs a story with each seed, `usually` so many. A failure says how it is seen again: `test` is what follows `--test`.
pub(crate) fn each_seed(usually: u64, test: &str, story: impl Fn(u64) + RefUnwindSafe) {
    let seeds = match number_of("OMNITRON_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_of("OMNITRON_SIM_SEEDS").unwrap_or(usually),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(|| story(seed)) {
            eprintln!(
                "seed {seed}: OMNITRON_SIM_SEED={seed} cargo test -p omnitron-persistence --test {test}"
            );
            resume_unwind(panic);
        }
    }
}

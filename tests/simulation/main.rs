//! Does a whole system keep its promises whatever happens, and does a seed repeat a run exactly?
//!
//! [`world`] is a system in which everything happens at random: spawns, stops, failures, asks, timers, watches. It is
//! run twice with the same seed, in two processes, and with several seeds in turn while a [`ledger`] checks what must
//! always hold.
//!
//! `OMNITRON_SIM_SEEDS` says how many seeds (5), and `OMNITRON_SIM_SEED` which one and no other.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod ledger;
mod same_seed;
mod world;

use omnitron::testkit::Sim;

/// The seeds to run.
fn seeds() -> Vec<u64> {
    let number = |name| -> Option<u64> {
        let text = std::env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    };
    match number("OMNITRON_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("OMNITRON_SIM_SEEDS").unwrap_or(5)).collect(),
    }
}

/// Says how to repeat a run, should it fail.
struct Repeat(u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat: OMNITRON_SIM_SEED={} cargo test --test simulation invariants", self.0);
        }
    }
}

#[test]
fn the_invariants_hold_in_random_worlds() {
    for seed in seeds() {
        let _repeat = Repeat(seed);
        let sim = Sim::new(seed);
        let outcome = world::run(&sim, 1_000);
        assert!(outcome.wrong.is_empty(), "seed {seed}: {:#?}", outcome.wrong);
        // A world in which nothing happens would prove nothing.
        let figures = outcome.figures;
        let happened = [
            figures.handled,
            figures.given_back,
            figures.vanished,
            figures.asks,
            figures.replies,
            figures.notices,
            figures.restarts,
            figures.ticks,
            figures.results,
        ];
        assert!(happened.iter().all(|&count| count > 0), "seed {seed}: {figures:#?}");
        assert!(figures.spawned >= 100, "seed {seed}: {figures:#?}");
    }
}

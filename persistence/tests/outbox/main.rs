//! Does what one entity posts happen at another one, once and in order, whatever crashes, repeats or stays away?

extern crate omnitron_persistence as omnitron;

mod bad_input;
mod crash;
mod delivery;
#[path = "../shared/seeds.rs"]
mod seeds;
mod snapshots;
mod trouble;
mod world;

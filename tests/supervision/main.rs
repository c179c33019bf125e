//! Does supervision act as documented, in every phase of an actor's life and for every failure?
//!
//! Nearly all of it runs in virtual time and once per seed, so that the order of events differs from run to run; a
//! last part runs on real threads.

mod budget;
mod escalation;
mod forest;
mod groups;
mod restart;
mod table;
mod threads;
mod world;

//! How fast is omnitron beside other actor runtimes, when all do the same work in the same run?
//!
//! A [`Contestant`] spawns actors and sends messages by the means of one runtime. What the actors do is a
//! [`Behaviour`], written once, and so is each [workload](workloads): contestants differ in nothing else. The program
//! (`src/main.rs`) starts a process per run, in turns; [`child`] is what such a process does.

pub mod behaviour;
pub mod chart;
pub mod child;
pub mod contestant;
pub mod contestants;
pub mod erlang;
pub mod figures;
pub mod plan;
pub mod report;
pub mod workloads;

pub use behaviour::Behaviour;
pub use contestant::{Cannot, Contestant, Place};

//! What does the log do to a journal, and what do crashes and damage do to the log?

mod crash;
mod damage;
mod deletion;
mod opening;
mod snapshots;
mod support;

//! Does a timeline show the state of any moment, and say when it cannot?

extern crate omnitron_persistence as omnitron;

mod browser;
mod causes;
mod export;
mod gate;
mod moving;
mod trouble;
mod what_if;
mod world;

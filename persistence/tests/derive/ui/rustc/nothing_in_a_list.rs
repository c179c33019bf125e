//! A list whose elements take no bytes.

extern crate omnitron_persistence as omnitron;

use omnitron::{Event, Schema};

#[derive(Schema)]
struct Tick;

#[derive(Event)]
enum ClockEvent {
    Ticked(Vec<Tick>),
}

fn main() {
    println!("{:?}", ClockEvent::types());
}

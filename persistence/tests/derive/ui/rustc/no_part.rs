//! A field of a type that does not say what it consists of.

extern crate omnitron_persistence as omnitron;

use omnitron::Event;

struct Plain {
    cents: u64,
}

#[derive(Event)]
enum AccountEvent {
    Withdrawn { money: Plain },
}

fn main() {}

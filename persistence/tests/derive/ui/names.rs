//! Names that would not do in a journal.

extern crate omnitron_persistence as omnitron;

use omnitron::Event;

#[derive(Event)]
#[event(name = "Account")]
enum CapitalLetter {
    Opened,
}

#[derive(Event)]
enum AccountEvent {
    #[event(name = "account..opened")]
    EmptyPart,
    Über,
    Closed,
    #[event(name = "account.closed")]
    Again,
}

#[derive(Event)]
enum SameWords {
    Opened,
    OPENED,
}

fn main() {}

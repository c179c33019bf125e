//! Options that are not there, or not here.

extern crate omnitron_persistence as omnitron;

use omnitron::{Event, Schema};

#[derive(Event)]
#[event(version = 2)]
enum VersionOfAnEnum {
    #[event(name = account)]
    NoText,
    #[event(version = "2")]
    NoNumber,
    #[event(version = 0)]
    NoVersion,
    #[event(version = 5000000000)]
    TooHigh,
    #[event(name = "a", name = "b")]
    Twice,
    #[event(crate = omnitron)]
    CrateOfAVariant,
    #[event]
    Nothing,
    Field(#[event(name = "x")] u64),
}

#[derive(Schema)]
#[schema(name = "money")]
struct Money {
    #[schema(crate = omnitron)]
    cents: u64,
}

#[derive(Schema)]
enum Currency {
    #[schema(name = "euro")]
    Euro,
}

fn main() {}

//! Fields of types that no other program could read.

extern crate omnitron_persistence as omnitron;

use omnitron::{Event, Schema};

#[derive(Event)]
enum Borrowed {
    Text(&'static str),
    List { list: &'static [u8] },
    Other(&'static u64),
    Address(*const u8),
    Call(fn() -> u8),
    Any(dyn Send),
}

#[derive(Schema)]
struct Part {
    name: &'static str,
}

fn main() {}

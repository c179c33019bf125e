//! An old type without a way to the new one, and one that is no event.

extern crate omnitron_persistence as omnitron;

use omnitron::Event;

#[derive(Event)]
#[event(name = "account.withdrawn")]
struct WithdrawnV1 {
    euros: u32,
}

struct NoEvent;

#[derive(Event)]
enum AccountEvent {
    #[event(version = 2, from = WithdrawnV1)]
    Withdrawn { cents: u64 },
    #[event(from = NoEvent)]
    Closed,
}

fn main() {}

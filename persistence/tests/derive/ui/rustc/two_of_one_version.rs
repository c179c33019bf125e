//! Two old types which cannot be told apart.

extern crate omnitron_persistence as omnitron;

use omnitron::Event;

#[derive(Event)]
#[event(name = "account.withdrawn")]
struct One {
    euros: u32,
}

#[derive(Event)]
#[event(name = "account.withdrawn")]
struct Other {
    cents: u64,
}

#[derive(Event)]
#[event(name = "account", from = Other)]
enum AccountEvent {
    #[event(version = 2, from = One)]
    Withdrawn(u64),
}

impl From<One> for AccountEvent {
    fn from(old: One) -> Self {
        Self::Withdrawn(old.euros.into())
    }
}

impl From<Other> for AccountEvent {
    fn from(old: Other) -> Self {
        Self::Withdrawn(old.cents)
    }
}

fn main() {}

//! An old type with the version of the new one.

extern crate omnitron_persistence as omnitron;

use omnitron::Event;

#[derive(Event)]
#[event(name = "account.withdrawn", version = 2)]
struct WithdrawnOld {
    euros: u32,
}

#[derive(Event)]
enum AccountEvent {
    #[event(version = 2, from = WithdrawnOld)]
    Withdrawn { cents: u64 },
}

impl From<WithdrawnOld> for AccountEvent {
    fn from(old: WithdrawnOld) -> Self {
        Self::Withdrawn { cents: u64::from(old.euros) * 100 }
    }
}

fn main() {}

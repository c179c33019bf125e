//! Who writes the events? An entity for each carrier.
//!
//! Departures come numbered. One that comes again after a crash is no second departure, and one that comes although the one before it is missing, because its
//! append was refused while this one was on its way, is not taken: it comes again after it.

use omnitron::Positioned;
use omnitron::prelude::*;

pub(crate) struct Carrier;

/// A flight of this carrier has left.
pub(crate) struct Depart {
    /// Which departure of the carrier it is, counted from 1.
    pub(crate) number: u64,
    pub(crate) month: u8,
    pub(crate) minutes_late: i32,
    /// The answer is how many there are, and where in the journal. Fewer than the number: it was not taken.
    pub(crate) reply: ReplyTo<Positioned<u64>>,
}

#[derive(Event)]
#[event(name = "carrier.departed")]
pub(crate) struct Departed {
    pub(crate) month: u8,
    pub(crate) minutes_late: i32,
}

#[derive(Default, Event)]
#[event(name = "carrier.state")]
pub(crate) struct Departures {
    count: u64,
}

impl EventSourced for Carrier {
    type Command = Depart;
    type Event = Departed;
    type State = Departures;

    fn handle(&self, state: &Departures, command: Depart, _: &Scope<Self>) -> Effect<Self> {
        let Depart { number, month, minutes_late, reply } = command;
        let is_next = number == state.count + 1;
        let events = is_next.then_some(Departed { month, minutes_late });
        Effect::persist_all(events).then_reply_positioned(reply, |state: &Departures| state.count)
    }

    fn apply(state: &mut Departures, _: &Departed) {
        state.count += 1;
    }
}

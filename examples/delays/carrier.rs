//! Who writes the events? An entity for each carrier.
//!
//! It knows the last line of the file that it has, so that a line which comes again after a crash is no second departure.

use omnitron::Positioned;
use omnitron::prelude::*;

pub(crate) struct Carrier;

/// A flight of this carrier has left.
pub(crate) struct Depart {
    /// The line of the file. They come in order.
    pub(crate) line: u64,
    pub(crate) month: u8,
    pub(crate) minutes_late: i32,
    /// The answer is how many there are, and where in the journal.
    pub(crate) reply: ReplyTo<Positioned<u64>>,
}

#[derive(Event)]
#[event(name = "carrier.departed")]
pub(crate) struct Departed {
    pub(crate) line: u64,
    pub(crate) month: u8,
    pub(crate) minutes_late: i32,
}

#[derive(Default, Event)]
#[event(name = "carrier.state")]
pub(crate) struct Departures {
    count: u64,
    last_line: u64,
}

impl EventSourced for Carrier {
    type Command = Depart;
    type Event = Departed;
    type State = Departures;

    fn handle(&self, state: &Departures, command: Depart, _: &Scope<Self>) -> Effect<Self> {
        let Depart { line, month, minutes_late, reply } = command;
        let is_new = line > state.last_line;
        let events = is_new.then_some(Departed { line, month, minutes_late });
        Effect::persist_all(events).then_reply_positioned(reply, |state: &Departures| state.count)
    }

    fn apply(state: &mut Departures, event: &Departed) {
        *state = Departures { count: state.count + 1, last_line: event.line };
    }
}

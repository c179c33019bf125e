//! What does an actor count, and how does it know what it has counted already?
//!
//! Three kinds of actor count three things, and a fourth counts how far a partition of the file is. What they share: an
//! entry is an event, its place is the partition and the line it comes from, and a tally keeps one *mark* per partition, the
//! last line that it counted. Each partition sends in the order of its lines, so what lies at or below the mark was counted
//! before: it arrived twice. That makes "at least once" into "exactly once", also across restarts, because marks and counts
//! are one state.
//!
//! # Invariants
//!
//! * All entries of one line for one actor come together, in one message. So a line is counted whole or not at all.
//! * What a tally has counted is all that its actor was told of lines up to the mark, for each partition.

use std::collections::BTreeMap;

use omnitron::prelude::{Event, Schema};

/// Where an entry comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Schema)]
pub(crate) struct Place {
    /// The partition of the file.
    pub(crate) partition: u16,
    /// The line in it; the header is line 1.
    pub(crate) line: u64,
}

/// The last line that was counted, of each partition that sent any.
#[derive(Clone, Debug, Default, Eq, PartialEq, Schema)]
pub(crate) struct Marks {
    lines: BTreeMap<u16, u64>,
}

impl Marks {
    /// Whether what comes from there was counted.
    pub(crate) fn cover(&self, place: Place) -> bool {
        self.lines.get(&place.partition).is_some_and(|&mark| place.line <= mark)
    }

    fn advance(&mut self, place: Place) {
        let mark = self.lines.entry(place.partition).or_default();
        *mark = place.line.max(*mark);
    }
}

/// Something that is summed up: the state of a counting actor.
pub(crate) trait Tally: Clone + Default + Event {
    /// What it is summed up of: an event of that actor.
    type Entry: Clone + Event + Sync;

    /// Where an entry comes from.
    fn place(entry: &Self::Entry) -> Place;

    /// How far it has counted.
    fn marks(&self) -> &Marks;

    /// How far it has counted, to be moved.
    fn marks_mut(&mut self) -> &mut Marks;

    /// Adds an entry, whether or not it was added before.
    fn add(&mut self, entry: &Self::Entry);

    /// Adds an entry and moves the mark.
    fn count(&mut self, entry: &Self::Entry) {
        self.add(entry);
        self.marks_mut().advance(Self::place(entry));
    }
}

/// What an aircraft did.
#[derive(Clone, Debug, Default, Eq, Event, PartialEq)]
#[event(name = "flights.aircraft")]
pub(crate) struct Aircraft {
    /// Flights it flew, or was to fly.
    pub(crate) legs: u64,
    marks: Marks,
}

/// One flight of an aircraft.
#[derive(Clone, Debug, Event)]
#[event(name = "flights.aircraft.leg")]
pub(crate) struct Leg {
    /// The flight.
    pub(crate) place: Place,
}

impl Tally for Aircraft {
    type Entry = Leg;

    fn place(entry: &Leg) -> Place {
        entry.place
    }

    fn marks(&self) -> &Marks {
        &self.marks
    }

    fn marks_mut(&mut self) -> &mut Marks {
        &mut self.marks
    }

    fn add(&mut self, _entry: &Leg) {
        self.legs += 1;
    }
}

/// What an airport saw.
#[derive(Clone, Debug, Default, Eq, Event, PartialEq)]
#[event(name = "flights.airport")]
pub(crate) struct Airport {
    /// Departures and arrivals together.
    pub(crate) movements: u64,
    marks: Marks,
}

/// One end of one flight. A sight-seeing flight has both at one airport.
#[derive(Clone, Debug, Event)]
#[event(name = "flights.airport.movement")]
pub(crate) struct Movement {
    /// The flight.
    pub(crate) place: Place,
    /// Whether it starts here, or lands.
    pub(crate) departs: bool,
}

impl Tally for Airport {
    type Entry = Movement;

    fn place(entry: &Movement) -> Place {
        entry.place
    }

    fn marks(&self) -> &Marks {
        &self.marks
    }

    fn marks_mut(&mut self) -> &mut Marks {
        &mut self.marks
    }

    fn add(&mut self, _entry: &Movement) {
        self.movements += 1;
    }
}

/// How a carrier did.
#[derive(Clone, Debug, Default, Eq, Event, PartialEq)]
#[event(name = "flights.carrier")]
pub(crate) struct Carrier {
    /// All its flights.
    pub(crate) flights: u64,
    /// Those whose departure delay is known.
    pub(crate) known_delays: u64,
    /// The sum of the known delays in minutes. Whole numbers, so the order in which rows arrive leaves no trace.
    pub(crate) delay_minutes: i64,
    marks: Marks,
}

/// One flight of a carrier.
#[derive(Clone, Debug, Event)]
#[event(name = "flights.carrier.departure")]
pub(crate) struct Departure {
    /// The flight.
    pub(crate) place: Place,
    /// Its delay in minutes, if it is known.
    pub(crate) delay: Option<i32>,
}

impl Tally for Carrier {
    type Entry = Departure;

    fn place(entry: &Departure) -> Place {
        entry.place
    }

    fn marks(&self) -> &Marks {
        &self.marks
    }

    fn marks_mut(&mut self) -> &mut Marks {
        &mut self.marks
    }

    fn add(&mut self, entry: &Departure) {
        self.flights += 1;
        if let Some(delay) = entry.delay {
            self.known_delays += 1;
            self.delay_minutes += i64::from(delay);
        }
    }
}

/// How far a partition of the file is: every line of it up to this one was counted by everybody, durably.
#[derive(Clone, Debug, Default, Eq, Event, PartialEq)]
#[event(name = "flights.partition")]
pub(crate) struct Progress {
    /// The line; 0 before the first.
    pub(crate) line: u64,
    marks: Marks,
}

/// A partition is as far as this.
#[derive(Clone, Debug, Event)]
#[event(name = "flights.partition.passed")]
pub(crate) struct Passed {
    /// The partition, and the line.
    pub(crate) place: Place,
}

impl Tally for Progress {
    type Entry = Passed;

    fn place(entry: &Passed) -> Place {
        entry.place
    }

    fn marks(&self) -> &Marks {
        &self.marks
    }

    fn marks_mut(&mut self) -> &mut Marks {
        &mut self.marks
    }

    fn add(&mut self, entry: &Passed) {
        self.line = entry.place.line;
    }
}

#[cfg(test)]
impl Carrier {
    /// A carrier for tests of what is made of it.
    pub(crate) fn of(flights: u64, known_delays: u64, delay_minutes: i64) -> Self {
        Self { flights, known_delays, delay_minutes, marks: Marks::default() }
    }
}

#[cfg(test)]
impl Airport {
    /// An airport for tests of what is made of it.
    pub(crate) fn of(movements: u64) -> Self {
        Self { movements, marks: Marks::default() }
    }
}

#[cfg(test)]
impl Aircraft {
    /// An aircraft for tests of what is made of it.
    pub(crate) fn of(legs: u64) -> Self {
        Self { legs, marks: Marks::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: u16, line: u64) -> Place {
        Place { partition, line }
    }

    #[test]
    fn a_mark_covers_its_line_and_those_before_it_in_its_partition_alone() {
        let mut marks = Marks::default();
        assert!(!marks.cover(place(0, 0)));
        marks.advance(place(0, 7));
        assert!(marks.cover(place(0, 7)) && marks.cover(place(0, 2)));
        assert!(!marks.cover(place(0, 8)) && !marks.cover(place(1, 2)));
        marks.advance(place(0, 5));
        assert!(marks.cover(place(0, 7)), "it never goes back");
    }

    #[test]
    fn a_flight_with_unknown_delay_is_a_flight_and_no_delay() {
        let mut carrier = Carrier::default();
        for (line, delay) in [(2, Some(-5)), (3, None), (4, Some(20))] {
            carrier.count(&Departure { place: place(1, line), delay });
        }
        assert_eq!((carrier.flights, carrier.known_delays, carrier.delay_minutes), (3, 2, 15));
        assert!(carrier.marks.cover(place(1, 4)));
    }

    #[test]
    fn a_snapshot_of_a_tally_keeps_its_marks() {
        let mut airport = Airport::default();
        airport.count(&Movement { place: place(3, 9), departs: true });
        let read = Airport::decode(airport.encode().unwrap().as_stored()).unwrap();
        assert_eq!(read, airport);
    }
}

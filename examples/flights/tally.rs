//! What does an actor count, and how does it know what it has counted already?
//!
//! Three kinds of actor count three things; what they share is that every message may arrive twice. An ask that
//! brought no reply *may* have been counted, so its sender asks again, and [`Counts`] ignores what it knows. That
//! makes "at least once" into "exactly once" without any agreement between sender and receiver.
//!
//! # Invariants
//!
//! * `Counts::tally` is the sum of exactly one entry per mark in `Counts::seen`.

use std::collections::BTreeSet;

/// Something that is summed up, one entry per message.
pub(crate) trait Tally: Clone + Default + Send + 'static {
    /// What one message adds.
    type Entry: Copy + Send + 'static;
    /// What makes two entries the same one, sent twice.
    type Mark: Ord + Send + 'static;

    /// The identity of an entry.
    fn mark(entry: Self::Entry) -> Self::Mark;

    /// Adds an entry, whether or not it was added before.
    fn add(&mut self, entry: Self::Entry);
}

/// A tally that adds each entry once.
pub(crate) struct Counts<T: Tally> {
    seen: BTreeSet<T::Mark>,
    tally: T,
}

// Written by hand: the derive would ask for `T::Mark: Default`, which nothing here needs.
impl<T: Tally> Default for Counts<T> {
    fn default() -> Self {
        Self { seen: BTreeSet::new(), tally: T::default() }
    }
}

impl<T: Tally> Counts<T> {
    /// Adds an entry that is new, and ignores one that is not.
    pub(crate) fn count(&mut self, entry: T::Entry) {
        if self.seen.insert(T::mark(entry)) {
            self.tally.add(entry);
        }
    }

    /// The sum so far.
    pub(crate) fn tally(&self) -> &T {
        &self.tally
    }
}

/// What an aircraft did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Aircraft {
    /// Flights it flew, or was to fly.
    pub(crate) legs: u64,
}

/// One flight of an aircraft.
#[derive(Clone, Copy)]
pub(crate) struct Leg {
    /// The flight.
    pub(crate) line: u64,
}

impl Tally for Aircraft {
    type Entry = Leg;
    type Mark = u64;

    fn mark(entry: Leg) -> u64 {
        entry.line
    }

    fn add(&mut self, _entry: Leg) {
        self.legs += 1;
    }
}

/// What an airport saw.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Airport {
    /// Departures and arrivals together.
    pub(crate) movements: u64,
}

/// Which end of a flight an airport is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum End {
    /// Where it starts.
    Origin,
    /// Where it lands.
    Destination,
}

/// One end of one flight.
#[derive(Clone, Copy)]
pub(crate) struct Movement {
    /// The flight.
    pub(crate) line: u64,
    /// Which end of it. A sight-seeing flight has both in one place.
    pub(crate) end: End,
}

impl Tally for Airport {
    type Entry = Movement;
    type Mark = (u64, End);

    fn mark(entry: Movement) -> (u64, End) {
        (entry.line, entry.end)
    }

    fn add(&mut self, _entry: Movement) {
        self.movements += 1;
    }
}

/// How a carrier did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Carrier {
    /// All its flights.
    pub(crate) flights: u64,
    /// Those whose departure delay is known.
    pub(crate) known_delays: u64,
    /// The sum of the known delays in minutes. Whole numbers, so the order in which rows arrive leaves no trace.
    pub(crate) delay_minutes: i64,
}

/// One flight of a carrier.
#[derive(Clone, Copy)]
pub(crate) struct Departure {
    /// The flight.
    pub(crate) line: u64,
    /// Its delay in minutes, if it is known.
    pub(crate) delay: Option<i32>,
}

impl Tally for Carrier {
    type Entry = Departure;
    type Mark = u64;

    fn mark(entry: Departure) -> u64 {
        entry.line
    }

    fn add(&mut self, entry: Departure) {
        self.flights += 1;
        if let Some(delay) = entry.delay {
            self.known_delays += 1;
            self.delay_minutes += i64::from(delay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_arrives_twice_is_counted_once() {
        let mut counts = Counts::<Aircraft>::default();
        for line in [2, 3, 2, 3, 4] {
            counts.count(Leg { line });
        }
        assert_eq!(counts.tally(), &Aircraft { legs: 3 });
    }

    #[test]
    fn an_airport_counts_both_ends_of_a_round_trip() {
        let mut counts = Counts::<Airport>::default();
        for end in [End::Origin, End::Destination, End::Origin] {
            counts.count(Movement { line: 2, end });
        }
        assert_eq!(counts.tally(), &Airport { movements: 2 });
    }

    #[test]
    fn a_flight_with_unknown_delay_is_a_flight_and_no_delay() {
        let mut counts = Counts::<Carrier>::default();
        for (line, delay) in [(2, Some(-5)), (3, None), (4, Some(20)), (4, Some(20))] {
            counts.count(Departure { line, delay });
        }
        assert_eq!(counts.tally(), &Carrier { flights: 3, known_delays: 2, delay_minutes: 15 });
    }
}

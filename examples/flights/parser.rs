//! How does a row reach the actors it concerns?
//!
//! A pool of parsers reads rows; rows of one aircraft go to one parser. Their mailboxes are bounded, so a reader that
//! is faster than the parsers waits for them.
//!
//! # Invariants
//!
//! * A parser answers for a row only after the aircraft, both airports and the carrier have acknowledged it. Until
//!   then it keeps the row and repeats what failed, so no failure of theirs loses a count.
//! * If the parser itself fails, no answer is given, and whoever sent the row sends it again. The actors ignore what
//!   they have counted already.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use omnitron::prelude::*;

use crate::faults::{self, Coin, Faults};
use crate::patience::{GaveUp, Patience};
use crate::record::{Flight, Malformed, Row};
use crate::registry::{CounterMsg, RegistryMsg};
use crate::tally::{Aircraft, Airport, Carrier, Departure, End, Leg, Movement, Tally};

/// How many parsers there are.
const PARSERS: usize = 8;

/// Rows that wait for one parser before the sender has to.
const MAILBOX_ROWS: usize = 64;

/// The registries of the counting actors.
#[derive(Clone)]
pub(crate) struct Registries {
    /// One actor per aircraft.
    pub(crate) fleet: ActorRef<RegistryMsg<Aircraft>>,
    /// One actor per airport.
    pub(crate) airports: ActorRef<RegistryMsg<Airport>>,
    /// One actor per carrier.
    pub(crate) carriers: ActorRef<RegistryMsg<Carrier>>,
}

/// A row to be counted.
pub(crate) struct ParseMsg {
    /// The row; shared, because the sender keeps it until it is answered.
    pub(crate) row: Arc<Row>,
    /// Is told when everybody has counted it, or why nobody will.
    pub(crate) reply: ReplyTo<Result<(), Uncounted>>,
}

/// Why a row is not counted.
#[derive(Debug)]
pub(crate) enum Uncounted {
    /// It is no flight. Nobody counted it.
    Malformed(Malformed),
    /// An actor could not be reached. Others **may** have counted it.
    GaveUp(GaveUp),
}

impl fmt::Display for Uncounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::GaveUp(gave_up) => gave_up.fmt(f),
        }
    }
}

impl std::error::Error for Uncounted {}

/// Spawns the pool under `/user/parsers`.
///
/// # Errors
///
/// [`SpawnError`] when the name is taken or the system shuts down.
pub(crate) fn spawn_pool(
    system: &ActorSystem,
    registries: &Registries,
    faults: Faults,
) -> Result<ActorRef<ParseMsg>, SpawnError> {
    let registries = registries.clone();
    // One factory makes all parsers of the pool, each time one starts.
    let incarnations = AtomicU64::new(0);
    let fresh = move || {
        Parser::new(&registries, faults.coin("parsers", incarnations.fetch_add(1, Ordering::Relaxed)))
    };
    let pool =
        Router::consistent_hash(PARSERS, |msg: &ParseMsg| msg.row.tail().to_vec(), fresh).routee(|parser| {
            parser
                .mailbox(Mailbox::bounded(MAILBOX_ROWS).on_full(Overflow::Reject))
                .supervision(faults::supervision())
        });
    system.spawn("parsers", pool)
}

/// Reads rows and sees to it that they are counted, one at a time.
struct Parser {
    fleet: Directory<Aircraft>,
    origins: Directory<Airport>,
    destinations: Directory<Airport>,
    carriers: Directory<Carrier>,
    coin: Coin,
}

impl Actor for Parser {
    type Msg = ParseMsg;

    async fn receive(&mut self, msg: ParseMsg, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.coin.toss()?;
        let answer = match Flight::parse(&msg.row) {
            Ok(flight) => self.count(&flight).await.map_err(Uncounted::GaveUp),
            Err(malformed) => Err(Uncounted::Malformed(malformed)),
        };
        msg.reply.send(answer);
        Ok(())
    }
}

impl Parser {
    fn new(registries: &Registries, coin: Coin) -> Self {
        Self {
            fleet: Directory::of(&registries.fleet),
            // Two directories of the same actors, so that both ends of a flight can be counted at the same time.
            origins: Directory::of(&registries.airports),
            destinations: Directory::of(&registries.airports),
            carriers: Directory::of(&registries.carriers),
            coin,
        }
    }

    /// Returns when all four have counted the flight.
    async fn count(&mut self, flight: &Flight) -> Result<(), GaveUp> {
        let line = flight.line;
        let leg = async {
            match &flight.tail {
                Some(tail) => self.fleet.count(tail, Leg { line }).await,
                None => Ok(()),
            }
        };
        let origin = self.origins.count(&flight.origin, Movement { line, end: End::Origin });
        let destination = self.destinations.count(&flight.dest, Movement { line, end: End::Destination });
        let departure = self.carriers.count(&flight.carrier, Departure { line, delay: flight.delay });
        let (leg, origin, destination, departure) = tokio::join!(leg, origin, destination, departure);
        leg.and(origin).and(destination).and(departure)
    }
}

/// The counting actors of one registry that this parser has met.
struct Directory<T: Tally> {
    registry: ActorRef<RegistryMsg<T>>,
    known: BTreeMap<String, ActorRef<CounterMsg<T>>>,
}

impl<T: Tally> Directory<T> {
    fn of(registry: &ActorRef<RegistryMsg<T>>) -> Self {
        Self { registry: registry.clone(), known: BTreeMap::new() }
    }

    /// Asks the actor of this name to count, again and again until it says that it did.
    async fn count(&mut self, name: &str, entry: T::Entry) -> Result<(), GaveUp> {
        let mut patience = Patience::default();
        loop {
            let counter = self.find(name).await?;
            match counter.ask(|reply| CounterMsg::Count { entry, reply }).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if matches!(error, AskError::Refused(Refusal::Stopped)) {
                        // A reference names one life of an actor; there may be another one under this name.
                        self.known.remove(name);
                    }
                    patience.spend(&error)?;
                }
            }
        }
    }

    async fn find(&mut self, name: &str) -> Result<ActorRef<CounterMsg<T>>, GaveUp> {
        if let Some(counter) = self.known.get(name) {
            return Ok(counter.clone());
        }
        let mut patience = Patience::default();
        loop {
            match self.registry.try_ask(|reply| RegistryMsg::Find { name: name.to_owned(), reply }).await {
                Ok(counter) => {
                    self.known.insert(name.to_owned(), counter.clone());
                    return Ok(counter);
                }
                Err(error) => patience.spend(&error)?,
            }
        }
    }
}

//! How does a row reach the actors it concerns?
//!
//! A pool of parsers reads batches of rows. Whichever parser has the least to do takes the next one.
//!
//! # Invariants
//!
//! * A parser answers for a batch only after the aircraft, the airports and the carriers of all its rows have acknowledged them,
//!   durably. Until then it keeps the batch and repeats what failed, so no failure of theirs loses a count.
//! * If the parser itself fails, no answer is given, and whoever sent the batch sends it again. The actors ignore what
//!   they have counted already.
//! * An actor gets all that a batch has for it in one message, in the order of the lines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::try_join_all;
use omnitron::prelude::*;

use crate::faults::{self, Coin, Faults};
use crate::patience::{GaveUp, Patience};
use crate::record::{Flight, Malformed, Row};
use crate::registry::{CounterMsg, Find};
use crate::tally::{Aircraft, Airport, Carrier, Departure, Leg, Movement, Place, Tally};

/// How many parsers there are.
const PARSERS: usize = 8;

/// Batches that wait for one parser before the sender has to.
const MAILBOX_BATCHES: usize = 4;

/// The registries of the counting actors.
#[derive(Clone)]
pub(crate) struct Registries {
    /// One actor per aircraft.
    pub(crate) fleet: ActorRef<Find<Aircraft>>,
    /// One actor per airport.
    pub(crate) airports: ActorRef<Find<Airport>>,
    /// One actor per carrier.
    pub(crate) carriers: ActorRef<Find<Carrier>>,
}

/// Rows of one partition, in the order of their lines.
pub(crate) struct Batch {
    /// The partition they come from.
    pub(crate) partition: u16,
    /// The rows.
    pub(crate) rows: Vec<Row>,
}

/// A batch to be counted.
pub(crate) struct ParseMsg {
    /// The rows; shared, because the sender keeps them until they are answered.
    pub(crate) batch: Arc<Batch>,
    /// Is told which rows are no flights, when everybody has counted the others, or why nobody will.
    pub(crate) reply: ReplyTo<Result<Vec<Malformed>, GaveUp>>,
}

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
    let pool = Router::pool(PARSERS, Routing::least_loaded(), fresh).routee(|parser| {
        parser
            .mailbox(Mailbox::bounded(MAILBOX_BATCHES).on_full(Overflow::Reject))
            .supervision(faults::supervision())
    });
    system.spawn("parsers", pool)
}

/// Reads batches and sees to it that they are counted, one at a time.
struct Parser {
    fleet: Directory<Aircraft>,
    airports: Directory<Airport>,
    carriers: Directory<Carrier>,
    coin: Coin,
}

impl Actor for Parser {
    type Msg = ParseMsg;

    async fn receive(&mut self, msg: ParseMsg, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.coin.toss()?;
        let mut sorted = Sorted::default();
        for row in &msg.batch.rows {
            match Flight::parse(row) {
                Ok(flight) => sorted.add(msg.batch.partition, flight),
                Err(malformed) => sorted.malformed.push(malformed),
            }
        }
        let answer = self.count(sorted).await;
        msg.reply.send(answer);
        Ok(())
    }
}

impl Parser {
    fn new(registries: &Registries, coin: Coin) -> Self {
        Self {
            fleet: Directory::of(&registries.fleet),
            airports: Directory::of(&registries.airports),
            carriers: Directory::of(&registries.carriers),
            coin,
        }
    }

    /// Returns when all have counted what concerns them.
    async fn count(&mut self, sorted: Sorted) -> Result<Vec<Malformed>, GaveUp> {
        let Sorted { legs, movements, departures, malformed } = sorted;
        tokio::try_join!(
            self.fleet.count(legs),
            self.airports.count(movements),
            self.carriers.count(departures)
        )?;
        Ok(malformed)
    }
}

/// The flights of a batch, by whom they concern.
#[derive(Default)]
struct Sorted {
    legs: BTreeMap<String, Vec<Leg>>,
    movements: BTreeMap<String, Vec<Movement>>,
    departures: BTreeMap<String, Vec<Departure>>,
    malformed: Vec<Malformed>,
}

impl Sorted {
    fn add(&mut self, partition: u16, flight: Flight) {
        let Flight { line, carrier, tail, origin, dest, delay } = flight;
        let place = Place { partition, line };
        if let Some(tail) = tail {
            self.legs.entry(tail).or_default().push(Leg { place });
        }
        self.movements.entry(origin).or_default().push(Movement { place, departs: true });
        self.movements.entry(dest).or_default().push(Movement { place, departs: false });
        self.departures.entry(carrier).or_default().push(Departure { place, delay });
    }
}

/// The counting actors of one registry that this parser has met.
struct Directory<T: Tally> {
    registry: ActorRef<Find<T>>,
    known: BTreeMap<String, ActorRef<CounterMsg<T>>>,
}

impl<T: Tally> Directory<T> {
    fn of(registry: &ActorRef<Find<T>>) -> Self {
        Self { registry: registry.clone(), known: BTreeMap::new() }
    }

    /// Has the actors of these names count, all at the same time.
    async fn count(&mut self, entries: BTreeMap<String, Vec<T::Entry>>) -> Result<(), GaveUp> {
        for name in entries.keys() {
            if !self.known.contains_key(name) {
                let counter = find(&self.registry, name).await?;
                self.known.insert(name.clone(), counter);
            }
        }
        let counted = entries.into_iter().map(|(name, entries)| {
            let counter = self.known.get(&name).cloned();
            let registry = &self.registry;
            async move {
                let counter = counter.expect("it was looked for above");
                count(registry, counter, &name, entries.into()).await
            }
        });
        try_join_all(counted).await.map(drop)
    }
}

/// Asks an actor to count, again and again until it says that it did. `registry` knows who has its name if it stopped: a
/// reference names one life of an actor.
pub(crate) async fn count<T: Tally>(
    registry: &ActorRef<Find<T>>,
    mut counter: ActorRef<CounterMsg<T>>,
    name: &str,
    entries: Arc<[T::Entry]>,
) -> Result<(), GaveUp> {
    let mut patience = Patience::default();
    loop {
        let asked = counter.ask(|reply| CounterMsg::Count { entries: Arc::clone(&entries), reply });
        let Err(error) = asked.await else { return Ok(()) };
        patience.spend(&error)?;
        if matches!(error, AskError::Refused(Refusal::Stopped)) {
            counter = find(registry, name).await?;
        }
    }
}

/// The actor of this name.
pub(crate) async fn find<T: Tally>(
    registry: &ActorRef<Find<T>>,
    name: &str,
) -> Result<ActorRef<CounterMsg<T>>, GaveUp> {
    let mut patience = Patience::default();
    loop {
        match registry.try_ask(|reply| Find { name: name.to_owned(), reply }).await {
            Ok(counter) => return Ok(counter),
            Err(error) => patience.spend(&error)?,
        }
    }
}

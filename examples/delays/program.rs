//! Reads the flights, sends each to its carrier, and asks the read model for the table.

use std::collections::BTreeMap;
use std::path::Path;

use flate2::read::GzDecoder;
use futures_util::{StreamExt, stream};
use omnitron::prelude::*;
use omnitron::{Dispatcher, Gateway, Position, Projection};

use crate::carrier::{Carrier, Depart};
use crate::store::Delays;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// A month of flights.
const FLIGHTS: &[u8] = include_bytes!("../data/flights-2013-01.csv.gz");
/// How many commands are on their way at once.
const AT_ONCE: usize = 512;

/// A flight that has left.
pub(crate) struct Flight {
    pub(crate) carrier: String,
    /// Which flight of its carrier it is, counted from 1.
    pub(crate) number: u64,
    pub(crate) month: u8,
    pub(crate) minutes_late: i32,
}

/// The flights that have left.
pub(crate) fn flights() -> impl Iterator<Item = Flight> {
    let mut numbers = BTreeMap::<String, u64>::new();
    csv::Reader::from_reader(GzDecoder::new(FLIGHTS)).into_records().filter_map(move |fields| {
        let fields = fields.ok()?;
        // What was cancelled has no delay.
        let minutes_late = fields.get(5)?.parse().ok()?;
        let (carrier, month) = (fields.get(9)?.to_owned(), fields.get(1)?.parse().ok()?);
        let number = numbers.entry(carrier.clone()).or_default();
        *number += 1;
        Some(Flight { carrier, number: *number, month, minutes_late })
    })
}

/// The table, line by line. `acknowledged` is told how many flights are in the journal.
pub(crate) async fn run(folder: &Path, mut acknowledged: impl FnMut(u64)) -> Result<Vec<String>, Error> {
    std::fs::create_dir_all(folder)?;
    let system =
        ActorSystem::builder("delays").journal(Journal::embedded(folder.join("journal"))).start().await?;

    let folder = folder.to_owned();
    let open = move |target: &omnitron::projection::Target| {
        Delays::open(&folder.join(format!("delays-{}.sqlite", target.generation)))
    };
    // SQLite blocks its thread.
    let delays = Projection::new("delays", open).dispatcher(Dispatcher::pinned()).start(&system).await?;
    let carriers = Gateway::new(|_| Persistent::new(Carrier)).start(&system, "carrier")?;

    let departures = flights().map(|Flight { carrier, number, month, minutes_late }| {
        let carriers = &carriers;
        async move {
            let entity = carriers.entity(&carrier)?;
            let departed = entity.ask(move |reply| Depart { number, month, minutes_late, reply }).await?;
            if departed.value < number {
                return Err(format!("{carrier} has no flight {}: start the program again", number - 1).into());
            }
            Ok::<_, Error>(departed.position)
        }
    });
    let mut departures = stream::iter(departures).buffered(AT_ONCE);
    let (mut count, mut last) = (0, BTreeMap::new());
    while let Some(position) = departures.next().await {
        count += 1;
        if let Some(Position { slice, ordinal }) = position? {
            last.insert(slice, ordinal);
        }
        acknowledged(count);
    }

    // Not before all that was written above is in the table. What was written before a crash, and not again, is not among that.
    delays.caught_up().await?;
    let query = last.into_iter().fold(delays.query(|delays| delays.table()), |query, (slice, ordinal)| {
        query.after(Position { slice, ordinal })
    });
    let table = query.await??;
    system.shutdown().await;
    Ok(lines(&table))
}

/// Average delays.
pub(crate) fn lines(table: &[crate::store::Row]) -> Vec<String> {
    let line = |(carrier, month, flights, minutes): &crate::store::Row| {
        let tenths = minutes * 10 / (*flights).max(1);
        let sign = if tenths < 0 { "-" } else { "" };
        let (whole, tenth) = (tenths.abs() / 10, tenths.abs() % 10);
        format!("{carrier}  month {month:>2}  {flights:>5} flights  {sign}{whole}.{tenth} minutes late")
    };
    table.iter().map(line).collect()
}

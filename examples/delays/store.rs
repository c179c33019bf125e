//! The read model: delays per carrier and month, in `SQLite`.
//!
//! The offset lies in the same database and is written in the same transaction. So whatever a crash leaves, both agree, and each event is counted
//! exactly once.

use std::path::Path;

use omnitron::projection::{Batch, CommitError};
use omnitron::{Failure, ReadModel};
use rusqlite::Connection;

use crate::carrier::Departed;

pub(crate) struct Delays {
    database: Connection,
}

/// Carrier, month, flights, minutes of delay in all.
pub(crate) type Row = (String, u8, i64, i64);

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS offsets (part INTEGER PRIMARY KEY, offset BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS delays (
        carrier TEXT NOT NULL, month INTEGER NOT NULL, flights INTEGER NOT NULL, minutes INTEGER NOT NULL,
        PRIMARY KEY (carrier, month)
    );";

const ADD: &str = "
    INSERT INTO delays VALUES (?1, ?2, 1, ?3)
    ON CONFLICT DO UPDATE SET flights = flights + 1, minutes = minutes + excluded.minutes";

impl Delays {
    pub(crate) fn open(file: &Path) -> Result<Self, Failure> {
        Ok(Self { database: Connection::open(file)? })
    }

    pub(crate) fn table(&self) -> rusqlite::Result<Vec<Row>> {
        let mut rows = self.database.prepare("SELECT * FROM delays ORDER BY carrier, month")?;
        rows.query_map([], |row| row.try_into())?.collect()
    }
}

impl ReadModel for Delays {
    type Event = Departed;

    async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        self.database.execute_batch(TABLES)?;
        let mut rows = self.database.prepare("SELECT offset FROM offsets")?;
        Ok(rows.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    async fn commit(&mut self, batch: &Batch<'_, Departed>) -> Result<(), CommitError> {
        let transaction = self.database.transaction()?;
        let mut add = transaction.prepare(ADD)?;
        for departed in batch.events() {
            let Some((_, carrier)) = departed.id.as_str().split_once('/') else {
                return Err(batch.refuse(departed, "its id names no carrier"));
            };
            add.execute((carrier, departed.event.month, departed.event.minutes_late))?;
        }
        drop(add);
        let offset = "INSERT OR REPLACE INTO offsets VALUES (?1, ?2)";
        transaction.execute(offset, (batch.part(), batch.offset()))?;
        Ok(transaction.commit()?)
    }
}

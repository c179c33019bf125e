//! `SQLite`: a transaction per sync, in a write-ahead log; rows in the order of arrival, and an index over id and sequence.

use std::path::Path;

use rusqlite::Connection;

use super::waiting::{self, Asker, Waiting};

const TABLE: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -65536;
    CREATE TABLE events (ordinal INTEGER PRIMARY KEY, id TEXT NOT NULL, sequence INTEGER NOT NULL, payload BLOB NOT NULL);
    CREATE UNIQUE INDEX by_id ON events (id, sequence);";
const INSERT: &str = "INSERT INTO events (id, sequence, payload) VALUES (?1, ?2, ?3)";

pub(crate) fn callers(callers: usize, folder: &Path) -> Vec<Asker> {
    let mut connection = Connection::open(folder.join("sqlite")).expect("a database");
    connection.execute_batch(TABLE).expect("a table");
    waiting::before(callers, move |waiting: &[Waiting]| {
        let transaction = connection.transaction().expect("a transaction");
        {
            let mut insert = transaction.prepare_cached(INSERT).expect("a statement");
            for event in waiting {
                let sequence = i64::try_from(event.sequence).expect("a small number");
                let id = format!("account-{}", event.id);
                insert.execute((id, sequence, &event.payload)).expect("an insert");
            }
        }
        transaction.commit().expect("a commit");
    })
}

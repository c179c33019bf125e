//! fjall: a batch per sync, and a key per event, of its id and sequence.

use std::path::Path;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

use super::waiting::{self, Asker, Waiting};

pub(crate) fn callers(callers: usize, folder: &Path) -> Vec<Asker> {
    let database = Database::builder(folder.join("fjall")).open().expect("a database");
    let events = database.keyspace("events", KeyspaceCreateOptions::default).expect("a keyspace");
    waiting::before(callers, move |waiting: &[Waiting]| {
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        for event in waiting {
            let mut key = format!("account-{}", event.id).into_bytes();
            key.push(0);
            key.extend_from_slice(&event.sequence.to_be_bytes());
            batch.insert(&events, key, event.payload.as_slice());
        }
        batch.commit().expect("a commit");
    })
}

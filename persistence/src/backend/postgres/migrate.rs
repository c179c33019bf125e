//! How do the tables come to a server, and is it one that this program may use?
//!
//! Everything happens in one transaction under an advisory lock, so that of several programs that start at once one does it and the others find it done.
//!
//! # Invariants
//!
//! * Nothing is changed on a server whose tables are newer than this program.
//! * Nothing is created where the tables are there already, so that a user without the right to create can use them.

use super::faults::Trouble;
use super::identity::{Found, Identity};
use super::schema::{self, LOCK, MIGRATIONS, RIGHTS, TABLES, VERSION};
use super::session::Session;
use crate::backend::Fault;
use crate::backend::log::OpenError;

const NEWER: &str = "Run the newer program, or restore a copy from before it was first started";
const MAKE: &str = "Give the user CREATE and USAGE on the schema for the first start, or create the tables as docs/postgres.md says";
const UNICODE: &str = "Create the database with ENCODING 'UTF8'";

fn unavailable(trouble: Trouble) -> OpenError {
    OpenError::Unavailable(trouble.fault)
}

/// Brings the tables of a server to the version of this program.
pub(crate) async fn migrate(session: &Session) -> Result<(), OpenError> {
    let encoding = session.simple("SHOW server_encoding").await.map_err(unavailable)?.unwrap_or_default();
    if encoding != "UTF8" {
        let what = format!("the database has the encoding {encoding}, which cannot hold every id");
        return Err(OpenError::Foreign(Fault::new(what, session.place(), UNICODE)));
    }
    if version(session).await? < VERSION {
        session.run("BEGIN").await.map_err(unavailable)?;
        let done = forward(session).await;
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = session.run(end).await.map_err(unavailable);
        done.and(ended)?;
    }
    rights(session).await
}

/// The version of the tables; 0 where there are none.
async fn version(session: &Session) -> Result<i32, OpenError> {
    // Asked of the catalogue, and not by `to_regclass` alone: within a transaction that remembers what there was when it began.
    let there = "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('omnitron_journal')";
    if session.simple(there).await.map_err(unavailable)?.as_deref() != Some("1") {
        return Ok(0);
    }
    let version = session.simple("SELECT version FROM omnitron_journal").await.map_err(|trouble| {
        OpenError::Unavailable(match trouble.code.as_deref() {
            Some("42501") => missing("SELECT on omnitron_journal", session.place()),
            _ => trouble.fault,
        })
    })?;
    let version = version.and_then(|version| version.parse().ok()).unwrap_or(0);
    if version > VERSION {
        let what =
            format!("its tables have version {version}, and this program knows up to version {VERSION}");
        return Err(OpenError::Newer(Fault::new(what, session.place(), NEWER)));
    }
    Ok(version)
}

async fn forward(session: &Session) -> Result<(), OpenError> {
    let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
    session.simple(&lock).await.map_err(unavailable)?;
    // Somebody else may have done it meanwhile.
    let from = version(session).await?;
    let made = |trouble: Trouble| {
        OpenError::Unavailable(match trouble.code.as_deref() {
            Some("42501") => Fault::new(trouble.fault.what(), session.place(), MAKE),
            _ => trouble.fault,
        })
    };
    for (migration, number) in MIGRATIONS.iter().zip(1_i32..).filter(|(_, number)| *number > from) {
        session.run(migration).await.map_err(made)?;
        session.run(&format!("UPDATE omnitron_journal SET version = {number}")).await.map_err(made)?;
    }
    Ok(())
}

fn missing(rights: &str, place: &str) -> Fault {
    let what = format!("the user lacks {rights}");
    Fault::new(what, place, "Grant that to the user: docs/postgres.md lists the rights")
}

/// Refuses a user who will not be able to do what is needed, before he fails in the middle.
async fn rights(session: &Session) -> Result<(), OpenError> {
    let checks: Vec<String> = TABLES
        .iter()
        .flat_map(|table| RIGHTS.iter().map(move |right| format!("('{right}', '{table}')")))
        .collect();
    let sql = format!(
        "SELECT string_agg(r || ' on ' || t, ', ') FROM (VALUES {}) AS c(r, t) WHERE NOT has_table_privilege(t, r)",
        checks.join(", ")
    );
    match session.simple(&sql).await.map_err(unavailable)? {
        Some(lacking) => Err(OpenError::Unavailable(missing(&lacking, session.place()))),
        None => Ok(()),
    }
}

/// What the row of the server says.
pub(crate) async fn look(session: &Session) -> Result<Found, Trouble> {
    let rows = session.query(schema::IDENTITY, &[]).await?;
    let Some(row) = rows.first() else { return Ok(Found { identity: None, complete: false }) };
    let number = |at: usize| row.get::<_, Option<i32>>(at).map(i32::cast_unsigned);
    let identity = match (row.get::<_, Option<i64>>(1), number(2), number(3), number(4)) {
        (Some(journal), Some(server), Some(servers), Some(slices)) => {
            Some(Identity { journal: journal.cast_unsigned(), server, servers, slices })
        }
        _ => None,
    };
    Ok(Found { identity, complete: row.get(5) })
}

/// Makes the server one of a journal, unless it is one already.
pub(crate) async fn join(session: &Session, identity: Identity) -> Result<Found, Trouble> {
    let Identity { journal, server, servers, slices } = identity;
    let sql = "UPDATE omnitron_journal SET journal = $1, server = $2, servers = $3, slices = $4 WHERE journal IS NULL";
    let numbers = [server, servers, slices].map(u32::cast_signed);
    session.execute(sql, &[&journal.cast_signed(), &numbers[0], &numbers[1], &numbers[2]]).await?;
    look(session).await
}

/// Notes that all servers of the journal have their row.
pub(crate) async fn complete(session: &Session) -> Result<(), Trouble> {
    session.run("UPDATE omnitron_journal SET complete = true WHERE NOT complete").await
}

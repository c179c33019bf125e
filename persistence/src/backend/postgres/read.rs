//! How are events read, a page at a time?
//!
//! A page is asked for when the one before was taken, so a reader who is slow holds no more than one page, and no cursor on the server.

use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio_postgres::Row;

use super::pages::{BYTES, Cursor, EVENTS, Seen};
use super::rows::{Raw, decode};
use super::schema;
use super::server::Server;
use crate::backend::{Fault, ReadError};
use crate::id::{PersistenceId, Sequence};
use crate::recorded::Recorded;

const RESTORE: &str = "Restore the database from a copy";

/// The largest number that a column holds stands for everything behind it.
pub(crate) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn raw(row: &Row) -> Raw<'_> {
    Raw {
        slice: row.get(0),
        ordinal: row.get(1),
        id: row.get(2),
        sequence: row.get(3),
        timestamp_ms: row.get(4),
        version: row.get(5),
        checksum: row.get(6),
        name: row.get(7),
        tags: row.get(8),
        metadata: row.get(9),
        payload: row.get(10),
    }
}

fn event(row: &Row, place: &str) -> Result<Recorded, ReadError> {
    let raw = raw(row);
    decode(raw).ok_or_else(|| {
        let what = format!("event {} of `{}` in omnitron_event is not what was stored", raw.sequence, raw.id);
        ReadError::Corrupt(Fault::new(what, place, RESTORE))
    })
}

/// The events of an id.
pub(crate) fn events(
    server: Arc<Server>,
    id: PersistenceId,
    from: Sequence,
    to: Sequence,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    let to = bigint(to.get());
    let start = Place { after: bigint(from.get()).max(1) - 1, is_first: true };
    let next = move |place: Place| {
        let (server, id) = (Arc::clone(&server), id.clone());
        async move { page(&server, &id, place, to).await }
    };
    pages(start, next)
}

/// How far an id was read.
#[derive(Clone, Copy)]
struct Place {
    after: i64,
    is_first: bool,
}

async fn page(
    server: &Server,
    id: &PersistenceId,
    mut place: Place,
    to: i64,
) -> Result<(Vec<Recorded>, Option<Place>), ReadError> {
    if place.is_first {
        server.settled().await?;
    }
    if place.after >= to {
        return Ok((Vec::new(), None));
    }
    let limit = EVENTS.cast_signed() as i64;
    let rows = server.query(schema::READ, &[&id.as_str(), &place.after, &to, &limit, &BYTES]).await?;
    let events = rows.iter().map(|row| event(row, server.place())).collect::<Result<Vec<_>, _>>()?;
    let mut bytes = 0;
    for event in &events {
        let at = bigint(event.sequence.get());
        if at != place.after + 1 {
            gap(server, id, place.after + 1, at).await?;
        }
        bytes += event.event.payload.len().cast_signed() as i64;
        place.after = at;
    }
    place.is_first = false;
    let is_last = events.len() < EVENTS && bytes < BYTES;
    Ok((events, (!is_last).then_some(place)))
}

/// Events are missing before `at`: they were deleted, or are lost.
async fn gap(server: &Server, id: &PersistenceId, missing: i64, at: i64) -> Result<(), ReadError> {
    let rows = server.query(schema::DELETED, &[&id.as_str()]).await?;
    let deleted: i64 = rows.first().map_or(0, |row| row.get(0));
    if deleted >= at - 1 {
        return Ok(());
    }
    let what = format!("events {missing} to {} of `{id}` are missing in omnitron_event", at - 1);
    Err(ReadError::Corrupt(Fault::new(what, server.place(), RESTORE)))
}

/// The events of slices of one server.
pub(crate) fn slice_events(
    server: Arc<Server>,
    after: impl IntoIterator<Item = (u32, u64)>,
    tag: Option<String>,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    let after = after.into_iter().map(|(slice, after)| (slice.cast_signed(), bigint(after)));
    let next = move |cursor: Cursor| {
        let (server, tag) = (Arc::clone(&server), tag.clone());
        async move { slices_page(&server, cursor, tag.as_deref()).await }
    };
    pages(Cursor::new(after), next)
}

async fn slices_page(
    server: &Server,
    mut cursor: Cursor,
    tag: Option<&str>,
) -> Result<(Vec<Recorded>, Option<Cursor>), ReadError> {
    if cursor.is_at_end() {
        return Ok((Vec::new(), None));
    }
    let (slices, after, each) = cursor.next();
    let rows = match tag.map(str::as_bytes) {
        None => server.query(schema::READ_SLICES, &[&slices, &after, &each, &BYTES]).await?,
        Some(tag) => server.query(schema::READ_TAGGED, &[&slices, &after, &each, &BYTES, &tag]).await?,
    };
    let seen = |row: &Row| -> Seen {
        let raw = raw(row);
        (raw.slice, raw.ordinal, raw.payload.len())
    };
    cursor.seen(&rows.iter().map(seen).collect::<Vec<_>>());
    let events = rows.iter().map(|row| event(row, server.place())).collect::<Result<_, _>>()?;
    Ok((events, (!cursor.is_at_end()).then_some(cursor)))
}

/// One page after the other, until there is none or one cannot be read.
fn pages<P, N>(
    start: P,
    next: impl Fn(P) -> N + Send + 'static,
) -> BoxStream<'static, Result<Recorded, ReadError>>
where
    P: Send + 'static,
    N: Future<Output = Result<(Vec<Recorded>, Option<P>), ReadError>> + Send + 'static,
{
    let pages = stream::unfold(Some(start), move |place| {
        let page = place.map(&next);
        async move {
            Some(match page?.await {
                Ok((events, place)) => (events.into_iter().map(Ok).collect(), place),
                Err(error) => (vec![Err(error)], None),
            })
        }
    });
    pages.flat_map(stream::iter::<Vec<_>>).boxed()
}

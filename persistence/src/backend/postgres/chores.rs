//! What is done beside reading and writing: who removes what was deleted, and who notices what other processes wrote?
//!
//! Both are tasks of their own, one of each per server, which end when the journal is closed. What a sweep removes was marked as deleted before, so it may be removed
//! by anybody, at any time, more than once. Looking for news asks for the ends of the slices, and only while somebody follows the journal; a server need not know how to notify.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::faults::Trouble;
use super::rows::decode_tags;
use super::schema;
use super::server::Server;
use crate::backend::tail::Tail;

/// How many sequences of an id one statement removes.
const STEP: i64 = 1_000;
/// How long until what could not be swept is tried again.
const LATER: Duration = Duration::from_secs(30);

/// Removes what was deleted, whenever something was.
pub(crate) async fn sweep(server: Arc<Server>, mut closed: watch::Receiver<bool>) {
    loop {
        let swept = {
            let closing = pin!(closed.wait_for(|closed| *closed));
            match select(closing, pin!(sweep_all(&server))).await {
                Either::Left(_) => return,
                Either::Right((swept, _)) => swept,
            }
        };
        let closing = pin!(closed.wait_for(|closed| *closed));
        let next = async {
            match swept {
                Ok(()) => server.sweep.notified().await,
                // Readers do not see it; it only takes room.
                Err(_) => server.env.sleep(LATER).await,
            }
        };
        if let Either::Left(_) = select(closing, pin!(next)).await {
            return;
        }
    }
}

async fn sweep_all(server: &Server) -> Result<(), Trouble> {
    loop {
        let unswept = server.query(schema::UNSWEPT, &[]).await?;
        if unswept.is_empty() {
            return Ok(());
        }
        for row in &unswept {
            let (id, mut from, to): (&str, i64, i64) = (row.get(0), row.get(1), row.get(2));
            while from < to {
                let until = (from + STEP).min(to);
                let (mut slices, mut tags, mut ordinals) = (Vec::new(), Vec::new(), Vec::new());
                let tagged = server.query(schema::SWEPT_TAGS, &[&id, &from, &until]).await?;
                for row in &tagged {
                    for tag in decode_tags(row.get(2)).unwrap_or_default() {
                        slices.push(row.get::<_, i32>(0));
                        tags.push(tag);
                        ordinals.push(row.get::<_, i64>(1));
                    }
                }
                if !slices.is_empty() {
                    server.query(schema::SWEEP_TAGS, &[&slices, &tags, &ordinals]).await?;
                }
                server.query(schema::SWEEP, &[&id, &from, &until]).await?;
                from = until;
            }
        }
    }
}

/// Announces what others wrote.
pub(crate) async fn watch(
    server: Arc<Server>,
    slices: Vec<u32>,
    tail: Tail,
    mut closed: watch::Receiver<bool>,
) {
    let slices: Vec<i32> = slices.into_iter().map(u32::cast_signed).collect();
    let mut news = News::default();
    let (least, most) = (server.options.poll, server.options.poll * 4);
    let mut pause = least;
    loop {
        let closing = pin!(closed.wait_for(|closed| *closed));
        if let Either::Left(_) = select(closing, server.env.sleep(pause)).await {
            return;
        }
        if !tail.is_followed() {
            // Who begins to follow reads everything first.
            continue;
        }
        let Ok(rows) = server.query(schema::ORDINALS, &[&slices]).await else { continue };
        let end = |row: &tokio_postgres::Row| {
            (row.get::<_, i32>(0).cast_unsigned(), row.get::<_, i64>(2).cast_unsigned())
        };
        let is_new = news.look(rows.iter().map(end).collect(), &server.own.lock());
        if is_new {
            tail.announce();
        }
        pause = if is_new { least } else { (pause * 2).min(most) };
    }
}

/// The ends of slices, by their numbers.
type Ends = BTreeMap<u32, u64>;

/// What was seen of the ends of slices, to tell what others wrote from what this process wrote.
#[derive(Default)]
struct News {
    seen: Ends,
    announced: Ends,
}

impl News {
    /// Whether others wrote what was not announced yet. `own` is up to where this process wrote.
    ///
    /// What this process writes may be seen here before it is told, so where it writes, what counts is what was seen by the look before.
    fn look(&mut self, ends: Ends, own: &Ends) -> bool {
        let mut is_new = false;
        for (slice, &end) in &ends {
            let (seen, known) = match own.get(slice) {
                None => (end, 0),
                Some(&own) => (self.seen.get(slice).copied().unwrap_or_default(), own),
            };
            let announced = self.announced.entry(*slice).or_default();
            if seen > known.max(*announced) {
                *announced = seen;
                is_new = true;
            }
        }
        self.seen = ends;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_news_once_and_what_this_process_wrote_is_none() {
        let (mut news, none) = (News::default(), Ends::new());
        assert!(news.look([(0, 5), (1, 0)].into(), &none));
        assert!(!news.look([(0, 5), (1, 0)].into(), &none));
        // Seen before the writer has told it.
        assert!(!news.look([(0, 7), (1, 0)].into(), &[(0, 6)].into()));
        assert!(!news.look([(0, 9), (1, 0)].into(), &[(0, 9)].into()));
        // Somebody else took the slice over.
        assert!(!news.look([(0, 10), (1, 0)].into(), &[(0, 9)].into()));
        assert!(news.look([(0, 10), (1, 0)].into(), &[(0, 9)].into()));
        assert!(!news.look([(0, 10), (1, 0)].into(), &[(0, 9)].into()));
    }
}

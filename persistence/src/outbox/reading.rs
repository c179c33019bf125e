//! Who finds the posts in the journal?
//!
//! A task beside the postman follows the journal and hands on what is posted, at most a few batches ahead. Another reads again what a receiver could not take
//! when it was read first.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio::sync::mpsc;

use super::item::{Item, Ranges};
use crate::backend::{JournalBackend, ReadError, SlicesQuery};
use crate::event::DecodeError;
use crate::feed::{EventFeed, FeedError};
use crate::id::{Ordinal, PersistenceId, Sequence, Slice};
use crate::post::{self, Post, Posted};
use crate::recorded::Recorded;
use crate::stored;

/// How many batches wait.
const AHEAD: usize = 2;
/// Events that are looked at for one batch.
const EVENTS: usize = 1_024;

/// Posts that were read, and how far.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    pub(super) ends: Vec<(Slice, Ordinal)>,
}

/// Why there are no posts.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error("what `{id}` posted with its event {sequence} cannot be read")]
    Post {
        id: PersistenceId,
        sequence: Sequence,
        #[source]
        reason: DecodeError,
    },
}

pub(super) type Line = mpsc::Receiver<Result<Batch, Unread>>;

/// Where a task is to put what it reads, and where that comes out.
pub(super) fn line() -> (mpsc::Sender<Result<Batch, Unread>>, Line) {
    mpsc::channel(AHEAD)
}

/// Reads until nobody takes it any more, or it fails. `tell` is to tell that something lies in the line.
pub(super) async fn read(
    mut feed: EventFeed,
    line: mpsc::Sender<Result<Batch, Unread>>,
    tell: impl Fn() + Send,
) {
    feed.tells_live = true;
    loop {
        let was_live = feed.is_live();
        let read = match select(std::pin::pin!(feed.next(EVENTS)), std::pin::pin!(line.closed())).await {
            Either::Left((read, _)) => read,
            Either::Right(_) => return,
        };
        let batch = read.map_err(Unread::from).and_then(|events| {
            // While the journal is read, what was deleted is passed as well.
            let ends = if was_live { ends(&events) } else { feed.offset().iter().collect() };
            Ok(Batch { items: items(events)?, ends })
        });
        let failed = batch.is_err();
        let sent = line.send(batch).await;
        tell();
        if sent.is_err() || failed {
            return;
        }
    }
}

/// The last ordinal of each run of events of one slice.
fn ends(events: &[Recorded]) -> Vec<(Slice, Ordinal)> {
    let mut ends: Vec<(Slice, Ordinal)> = Vec::new();
    for Recorded { slice, ordinal, .. } in events {
        match ends.last_mut() {
            Some((last, end)) if last == slice => *end = *ordinal,
            _ => ends.push((*slice, *ordinal)),
        }
    }
    ends
}

fn items(events: Vec<Recorded>) -> Result<Vec<Item>, Unread> {
    events.into_iter().filter(|event| event.event.name == post::POSTED).map(item).collect()
}

fn item(recorded: Recorded) -> Result<Item, Unread> {
    let position = recorded.position();
    match stored::read_event::<Posted>(&recorded) {
        Ok(posted) => {
            let Recorded { id: from, sequence, .. } = recorded;
            Ok(Item { from, sequence, position, post: Post::from(posted) })
        }
        Err(reason) => Err(Unread::Post { id: recorded.id, sequence: recorded.sequence, reason }),
    }
}

/// The first `most` posts for a receiver in these ranges, and whether those are all.
pub(super) async fn again(
    backend: Arc<dyn JournalBackend>,
    receiver: Arc<str>,
    ranges: Ranges,
    most: usize,
) -> Result<(Vec<Item>, bool), ReadError> {
    let before = |first: Ordinal| Ordinal::new(first.get().saturating_sub(1));
    let after = ranges.iter().map(|(slice, (first, _))| (*slice, before(*first))).collect();
    let mut events = backend.read_slices(SlicesQuery { after, tag: None });
    let mut items = Vec::new();
    while let Some(recorded) = events.next().await {
        let recorded = recorded?;
        let is_wanted = ranges.get(&recorded.slice).is_some_and(|(_, last)| recorded.ordinal <= *last);
        if !is_wanted || recorded.event.name != post::POSTED {
            continue;
        }
        // What cannot be read was not taken when it was read first.
        let Ok(item) = item(recorded) else { continue };
        if item.post.receiver().as_str() == &*receiver {
            if items.len() == most {
                return Ok((items, false));
            }
            items.push(item);
        }
    }
    Ok((items, true))
}

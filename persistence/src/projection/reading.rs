//! Who reads and decodes events for a part, while it stores those before?
//!
//! A task beside the part. It is at most a few batches ahead, so a slow read model costs no memory.
//!
//! # Invariants
//!
//! * What cannot be decoded ends its batch: what came before it can be stored first. So does the mark of an id that was forgotten.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::sync::mpsc;

use super::model::{Projected, Readable, chain};
use crate::error::panic_text;
use crate::feed::{EventFeed, FeedError};
use crate::forget;
use crate::id::{PersistenceId, Sequence};
use crate::offset::{Offset, Position};
use crate::recorded::Recorded;
use crate::timestamp::Timestamp;

/// How many batches wait.
pub(crate) const AHEAD: usize = 2;

/// Events that were read.
pub(crate) struct Fetched<E> {
    pub(crate) events: Vec<Projected<E>>,
    /// What comes behind them and is no event.
    pub(crate) bad: Option<Bad>,
    /// What comes behind them and is the mark of an id that was forgotten.
    pub(crate) forgotten: Option<Mark>,
    /// Behind all that was read, unless it ends bad.
    pub(crate) end: Option<Offset>,
    pub(crate) is_live: bool,
}

/// The mark of an id that was forgotten.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) id: PersistenceId,
    pub(crate) sequence: Sequence,
    pub(crate) position: Position,
}

/// An event that cannot be taken.
#[derive(Clone, Debug)]
pub(crate) struct Bad {
    pub(crate) id: PersistenceId,
    pub(crate) sequence: Sequence,
    pub(crate) position: Position,
    pub(crate) reason: String,
}

/// What is known of names: there are few, and most events have that of one before.
#[derive(Default)]
struct Names(Vec<(String, bool)>);

/// How many names are remembered.
const NAMES: usize = 32;

impl Names {
    fn is_wanted<E: Readable>(&mut self, name: &str) -> bool {
        if let Some((_, wanted)) = self.0.iter().find(|(known, _)| known == name) {
            return *wanted;
        }
        let wanted = E::is_named(name);
        if self.0.len() < NAMES {
            self.0.push((name.to_owned(), wanted));
        }
        wanted
    }
}

/// Reads until nobody takes it any more, or it fails.
pub(crate) async fn read<E: Readable>(
    mut feed: EventFeed,
    tag: Option<Cow<'static, str>>,
    most: usize,
    line: mpsc::Sender<Result<Fetched<E>, FeedError>>,
) {
    let mut names = Names::default();
    feed.tells_live = true;
    loop {
        let read = match select(pin!(feed.next(most)), pin!(line.closed())).await {
            Either::Left((read, _)) => read,
            Either::Right(_) => return,
        };
        let events = match read {
            Ok(events) => events,
            Err(error) => {
                // Whoever is gone does not want to know.
                let _ = line.send(Err(error)).await;
                return;
            }
        };
        let mut events = events.into_iter();
        loop {
            let mut fetched = decode(&mut events, tag.as_deref(), &mut names);
            let done = fetched.bad.is_none() && fetched.forgotten.is_none();
            if done {
                fetched.end = Some(feed.offset());
                fetched.is_live = feed.is_live();
            }
            if line.send(Ok(fetched)).await.is_err() {
                return;
            }
            if done {
                break;
            }
        }
    }
}

/// The next events of those that were read, up to one that is none.
fn decode<E: Readable>(
    events: &mut impl ExactSizeIterator<Item = Recorded>,
    tag: Option<&str>,
    names: &mut Names,
) -> Fetched<E> {
    let room = Vec::with_capacity(events.len());
    let mut fetched = Fetched { events: room, bad: None, forgotten: None, end: None, is_live: false };
    for recorded in events {
        if forget::is_mark(&recorded) {
            let position = Position { slice: recorded.slice, ordinal: recorded.ordinal };
            let (id, sequence) = (recorded.id, recorded.sequence);
            fetched.forgotten = Some(Mark { id, sequence, position });
            break;
        }
        if !names.is_wanted::<E>(&recorded.event.name)
            || tag.is_some_and(|tag| recorded.event.tags.iter().all(|other| other != tag))
        {
            continue;
        }
        let (id, sequence) = (recorded.id.clone(), recorded.sequence);
        let position = Position { slice: recorded.slice, ordinal: recorded.ordinal };
        let at = Timestamp::from_millis(recorded.event.timestamp_ms);
        let read = catch_unwind(AssertUnwindSafe(|| E::read(recorded)));
        let reason = match read {
            Ok(Ok(event)) => {
                fetched.events.push(Projected { event, id, sequence, position, at });
                continue;
            }
            Ok(Err(error)) => chain(&error),
            Err(panic) => format!("its conversion panicked: {}", panic_text(&*panic)),
        };
        fetched.bad = Some(Bad { id, sequence, position, reason });
        break;
    }
    fetched
}

//! How does a history become a file: JSON for programs, a page for people?
//!
//! The history is replayed once more, event by event, into a [draft](super::draft) that gets its name when it is whole.

use std::any::type_name;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::difference::Difference;
use super::draft::{Draft, blocking};
use super::error::TimelineError;
use super::keeping::Origin;
use super::page::{self, Entry, Head};
use super::point::{Moment, iso};
use super::reel::{self, Reel};
use super::{Timeline, show};
use crate::disk::Disk;
use crate::disk::real::Real;
use crate::event_sourced::EventSourced;
use crate::id::{PersistenceId, Sequence};

/// The most events on a page: those around the place.
const EVENTS_ON_A_PAGE: u64 = 1_000;
/// The most bytes of a state, and of an event, on a page.
const STATE_ON_A_PAGE: usize = 16 << 10;
const EVENT_ON_A_PAGE: usize = 4 << 10;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The history cannot be read or replayed.
    #[error("the history cannot be exported")]
    History(#[from] TimelineError),
    /// The file cannot be written. What had its name before is still there.
    #[error("`{place}` cannot be written")]
    Unwritten {
        /// Which file.
        place: String,
        /// What the system says.
        #[source]
        reason: io::Error,
    },
    /// An event or a state is not what JSON can hold.
    #[error(
        "event {sequence} of `{id}`, or the state behind it, cannot be written as JSON: look at its `Serialize`"
    )]
    Unserializable {
        /// Whose history it is.
        id: PersistenceId,
        /// Which event.
        sequence: Sequence,
        /// What is wrong.
        #[source]
        reason: serde_json::Error,
    },
    /// The name does not say what the file is to be.
    #[error("`{place}` does not say what it is to be: give it a name that ends with `.json` or `.html`")]
    UnknownForm {
        /// Which file.
        place: String,
    },
}

/// What the JSON holds of one event.
#[derive(Serialize)]
struct Line<'a, E, S> {
    sequence: u64,
    at: String,
    at_nanos: i64,
    r#type: &'a str,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<CauseLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    /// Nothing of one of the machinery.
    event: Option<&'a E>,
    state: &'a S,
}

#[derive(Serialize)]
struct CauseLine<'a> {
    id: &'a str,
    sequence: u64,
}

impl<E: EventSourced<State: Debug>> Timeline<E> {
    /// Exports the history as a file whose name says its form: `.json`, or `.html` for a [page](Self::export_page). The place stays.
    ///
    /// The JSON is an object with `format`, `id`, `type`, `known_from` (the earliest event that the state can be shown behind; 0: the beginning) and `events`, one in a
    /// line, each with the state behind it. It is written while it is read, so it may be of any length.
    ///
    /// # Errors
    ///
    /// [`ExportError`]: then there is no file, or the one that had the name before.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped leaves what was under the name.
    pub async fn export(&mut self, file: impl AsRef<Path>) -> Result<(), ExportError>
    where
        E::State: Serialize,
        E::Event: Serialize,
    {
        let file = file.as_ref();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("html") => self.export_page_like(file, as_json).await,
            Some("json") => {
                let (disk, name) = self.folder(file).await?;
                self.export_json_to(&disk, &name).await
            }
            _ => Err(ExportError::UnknownForm { place: file.display().to_string() }),
        }
    }

    /// Exports the history as a page for a browser, which needs nothing but itself: each event with time, type and cause, what it changed, and the state
    /// behind it. Of a long history, the 1,000 events around this place. States are cut after 16 KiB.
    ///
    /// # Errors
    ///
    /// [`ExportError`]: then there is no file, or the one that had the name before.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped leaves what was under the name.
    pub async fn export_page(&mut self, file: impl AsRef<Path>) -> Result<(), ExportError>
    where
        E::Event: Debug,
    {
        self.export_page_like(file.as_ref(), |event| show::pretty_within(event, EVENT_ON_A_PAGE)).await
    }

    async fn export_page_like(
        &mut self,
        file: &Path,
        show: impl Fn(&E::Event) -> String + Send,
    ) -> Result<(), ExportError> {
        let (disk, name) = self.folder(file).await?;
        self.export_page_to(&disk, &name, show).await
    }

    /// As [`export`](Self::export) does with a name that ends with `.json`, into a folder that may be [simulated](crate::disk::sim).
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    pub async fn export_json_to(&mut self, disk: &Arc<dyn Disk>, name: &str) -> Result<(), ExportError>
    where
        E::State: Serialize,
        E::Event: Serialize,
    {
        let unwritten = |reason| ExportError::Unwritten { place: disk.place(name), reason };
        let mut draft = Draft::create(&self.env, disk, name).await.map_err(unwritten)?;
        let (id, of) = (json(self.id.as_str()), json(type_name::<E>()));
        let known_from = self.base.origin.sequence();
        let head = format!(
            "{{\"format\":\"omnitron history 1\",\"id\":{id},\"type\":{of},\"known_from\":{known_from},\"events\":["
        );
        draft.buffer().extend_from_slice(head.as_bytes());
        let mut state = self.base.state(&self.keeping);
        let mut reel = self.reel(self.end)?;
        let mut between = "\n";
        while let Some(recorded) = reel.next().await? {
            let event = reel::decode::<E>(&recorded)?;
            reel::apply::<E>(&mut state, event.as_ref(), &recorded)?;
            draft.buffer().extend_from_slice(between.as_bytes());
            let moment = Moment::of(&recorded);
            let line = Line {
                sequence: moment.sequence.get(),
                at: iso(moment.at),
                at_nanos: moment.at.as_nanos(),
                r#type: &moment.event,
                version: moment.version,
                cause: moment
                    .cause
                    .as_ref()
                    .map(|cause| CauseLine { id: cause.id.as_str(), sequence: cause.sequence.get() }),
                trace: moment.trace.map(|trace| trace.traceparent()),
                event: event.as_ref(),
                state: &state,
            };
            serde_json::to_writer(draft.buffer(), &line).map_err(|reason| ExportError::Unserializable {
                id: self.id.clone(),
                sequence: moment.sequence,
                reason,
            })?;
            draft.add().await.map_err(unwritten)?;
            between = ",\n";
        }
        draft.buffer().extend_from_slice(b"\n]}\n");
        draft.finish().await.map_err(unwritten).map(drop)
    }

    /// As [`export_page`](Self::export_page) does, into a folder that may be [simulated](crate::disk::sim), with events as `event` shows them.
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    pub async fn export_page_to(
        &mut self,
        disk: &Arc<dyn Disk>,
        name: &str,
        event: impl Fn(&E::Event) -> String + Send,
    ) -> Result<(), ExportError> {
        let unwritten = |reason| ExportError::Unwritten { place: disk.place(name), reason };
        let mut draft = Draft::create(&self.env, disk, name).await.map_err(unwritten)?;
        let (first, last) = window(self.base.at, self.at, self.end);
        let mut head = String::new();
        let (id, extent) = (self.id.to_string(), self.extent(first, last));
        page::head(&mut head, &Head { id: &id, of: type_name::<E>(), extent: &extent });
        draft.buffer().extend_from_slice(head.as_bytes());
        // The list comes first, and the states behind it: a page holds few events, so what they lead to can wait.
        let mut sections = String::new();
        let mut state = self.base.state(&self.keeping);
        let mut before = if first == self.base.at.plus(1) {
            show::pretty_within(&state, STATE_ON_A_PAGE)
        } else {
            String::new()
        };
        let mut reel = self.reel(last)?;
        while let Some(recorded) = reel.next().await? {
            let decoded = reel::decode::<E>(&recorded)?;
            reel::apply::<E>(&mut state, decoded.as_ref(), &recorded)?;
            // One before the first, for what the first has changed.
            if recorded.sequence.plus(1) < first {
                continue;
            }
            let after = show::pretty_within(&state, STATE_ON_A_PAGE);
            if recorded.sequence >= first {
                let entry = Entry {
                    moment: &Moment::of(&recorded),
                    event: &decoded.as_ref().map(&event).unwrap_or_default(),
                    difference: &Difference::between(&before, &after),
                    state: &after,
                    start: recorded.sequence == self.at,
                };
                let mut line = String::new();
                page::line(&mut line, &entry);
                draft.buffer().extend_from_slice(line.as_bytes());
                page::section(&mut sections, &entry);
            }
            before = after;
        }
        let mut tail = String::new();
        page::middle(&mut tail);
        draft.buffer().extend_from_slice(tail.as_bytes());
        draft.add().await.map_err(unwritten)?;
        draft.buffer().extend_from_slice(sections.as_bytes());
        tail.clear();
        page::tail(&mut tail);
        draft.buffer().extend_from_slice(tail.as_bytes());
        draft.finish().await.map_err(unwritten).map(drop)
    }

    /// What is said above the list.
    fn extent(&self, first: Sequence, last: Sequence) -> String {
        let known = match self.base.origin {
            Origin::Beginning => "known from its beginning".to_owned(),
            Origin::Snapshot { sequence, taken } => {
                format!("known from a snapshot of event {sequence} on, taken {}", iso(taken))
            }
            Origin::Event(sequence) => format!("known from event {sequence} on"),
        };
        let end = self.end;
        if first == self.base.at.plus(1) && last == end {
            return format!("{end} events, {known}");
        }
        format!("events {first} to {last} of {end}, {known}")
    }

    /// The events from the origin on.
    pub(super) fn reel(&self, to: Sequence) -> Result<Reel, TimelineError> {
        Ok(Reel::new(&*self.open()?.backend, &self.id, self.base.at, to))
    }

    /// The folder of a file, which has to be there, and the name in it.
    pub(super) async fn folder(&self, file: &Path) -> Result<(Arc<dyn Disk>, String), ExportError> {
        let unwritten = |reason| ExportError::Unwritten { place: file.display().to_string(), reason };
        let no_name =
            || unwritten(io::Error::new(io::ErrorKind::InvalidInput, "it has no name that is UTF-8"));
        let name = file.file_name().and_then(|name| name.to_str()).ok_or_else(no_name)?.to_owned();
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new(".")).to_owned();
        let disk = blocking(&self.env, move || {
            // Looked at first, because a folder that is not there would be made, and a slip would make one anywhere.
            Real::read_only(&folder)?;
            Real::new(&folder)
        });
        Ok((Arc::new(disk.await.map_err(unwritten)?), name))
    }
}

/// Which events of a history are on the page, when the place is `at`.
fn window(base: Sequence, at: Sequence, end: Sequence) -> (Sequence, Sequence) {
    let (base, at, end) = (base.get(), at.get(), end.get());
    let first =
        at.saturating_sub(EVENTS_ON_A_PAGE / 2).min(end.saturating_sub(EVENTS_ON_A_PAGE)).max(base) + 1;
    let last = end.min(first.saturating_add(EVENTS_ON_A_PAGE - 1));
    (Sequence::new(first), Sequence::new(last))
}

/// A text as JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An event as JSON over several lines.
fn as_json(event: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(event).unwrap_or_else(|error| format!("no JSON: {error}"));
    if text.len() > EVENT_ON_A_PAGE {
        let cut = (0..=EVENT_ON_A_PAGE).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        text.truncate(cut);
        text.push_str("\n… cut");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_the_events_around_the_place() {
        let window = |base, at, end| {
            let (first, last) = window(Sequence::new(base), Sequence::new(at), Sequence::new(end));
            (first.get(), last.get())
        };
        assert_eq!(window(0, 0, 1), (1, 1));
        assert_eq!(window(0, 1_000, 1_000), (1, 1_000));
        assert_eq!(window(0, 0, 1_001), (1, 1_000));
        assert_eq!(window(0, 1_001, 1_001), (2, 1_001));
        assert_eq!(window(0, 5_000, 100_000), (4_501, 5_500));
        assert_eq!(window(99_900, 100_000, 100_000), (99_901, 100_000));
    }
}

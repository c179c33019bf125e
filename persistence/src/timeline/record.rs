//! How does a history get out of a journal, to be replayed elsewhere?

use std::any::type_name;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use super::draft::Draft;
use super::export::ExportError;
use super::history::{Noted, Writer};
use super::reel::{self};
use super::{Timeline, show};
use crate::disk::Disk;
use crate::event_sourced::EventSourced;
use crate::recorded::Recorded;
use crate::stored;

impl Noted {
    pub(crate) fn of(recorded: &Recorded) -> Self {
        let event = &recorded.event;
        Self {
            sequence: recorded.sequence.get(),
            timestamp_ms: event.timestamp_ms,
            name: event.name.to_string(),
            version: event.version,
            fingerprint: stored::fingerprint_of(recorded),
            payload: event.payload.to_vec(),
        }
    }
}

impl<E: EventSourced<State: Debug>> Timeline<E> {
    /// Records the history as a text that a [`ReplayGate`](crate::testkit::ReplayGate) holds other code against: every event as it lies in the journal, and what it
    /// changed in the state as `Debug` prints it. By custom its name ends with `.history`. It holds what the events hold: think of whose data that is before you share it.
    ///
    /// # Errors
    ///
    /// [`ExportError`]: then there is no file, or the one that had the name before.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped leaves what was under the name.
    pub async fn record(&mut self, file: impl AsRef<Path>) -> Result<(), ExportError> {
        let (disk, name) = self.folder(file.as_ref()).await?;
        self.record_to(&disk, &name).await
    }

    /// As [`record`](Self::record), into a folder that may be [simulated](crate::disk::sim).
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    pub async fn record_to(&mut self, disk: &Arc<dyn Disk>, name: &str) -> Result<(), ExportError> {
        let unwritten = |reason| ExportError::Unwritten { place: disk.place(name), reason };
        let mut draft = Draft::create(&self.env, disk, name).await.map_err(unwritten)?;
        let (mut writer, mut text) = (Writer::default(), String::new());
        let mut state = self.base.state(&self.keeping);
        let begin = self.base.beginning();
        writer.begin(&mut text, self.id.as_str(), type_name::<E>(), &begin, show::pretty(&state));
        let mut reel = self.reel(self.end)?;
        while let Some(recorded) = reel.next().await? {
            let event = reel::decode::<E>(&recorded)?;
            reel::apply::<E>(&mut state, event.as_ref(), &recorded)?;
            writer.event(&mut text, &Noted::of(&recorded), show::pretty(&state));
            draft.buffer().extend_from_slice(text.as_bytes());
            text.clear();
            draft.add().await.map_err(unwritten)?;
        }
        writer.end(&mut text);
        draft.buffer().extend_from_slice(text.as_bytes());
        draft.finish().await.map_err(unwritten).map(drop)
    }
}

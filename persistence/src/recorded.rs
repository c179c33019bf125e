//! What does a journal keep of an event?
//!
//! Bytes and a few labels: encoding is somebody else's question.

use std::borrow::Cow;

use bytes::Bytes;

use crate::id::{Ordinal, PersistenceId, Sequence, Slice};
use crate::offset::Position;

/// The most bytes of an event's payload: 16 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 16 << 20;
/// The most bytes of an event's metadata: 64 KiB.
pub const MAX_METADATA_BYTES: usize = 64 << 10;
/// The most bytes of an event's name, and of each tag.
pub const MAX_LABEL_BYTES: usize = 255;
/// The most tags of one event.
pub const MAX_TAGS: usize = 64;

/// An event that is to be appended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewEvent {
    /// What kind of event it is, in a stable word: `account.withdrawn`. At most 255 bytes.
    pub name: Cow<'static, str>,
    /// Which version of that kind.
    pub version: u32,
    /// When it happened, in milliseconds since 1970, as the caller saw it.
    pub timestamp_ms: u64,
    /// By which readers of a slice find it. At most 64, of at most 255 bytes each.
    pub tags: Vec<Cow<'static, str>>,
    /// The event itself, encoded. At most 16 MiB.
    pub payload: Bytes,
    /// What travels beside it: traces, causes. At most 64 KiB.
    pub metadata: Bytes,
}

impl NewEvent {
    /// An event of version 1 without tags or metadata, which happened in 1970.
    pub fn new(name: impl Into<Cow<'static, str>>, payload: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            version: 1,
            timestamp_ms: 0,
            tags: Vec::new(),
            payload: payload.into(),
            metadata: Bytes::new(),
        }
    }

    /// With one more tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Cow<'static, str>>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// What of it exceeds its limit: the name of the field, its size, the limit.
    pub(crate) fn excess(&self) -> Option<(&'static str, usize, usize)> {
        let tag = self.tags.iter().map(|tag| tag.len()).max().unwrap_or_default();
        let sizes = [
            ("the payload of an event", self.payload.len(), MAX_PAYLOAD_BYTES),
            ("the metadata of an event", self.metadata.len(), MAX_METADATA_BYTES),
            ("the name of an event", self.name.len(), MAX_LABEL_BYTES),
            ("the number of tags", self.tags.len(), MAX_TAGS),
            ("a tag", tag, MAX_LABEL_BYTES),
        ];
        sizes.into_iter().find(|(_, size, limit)| size > limit)
    }
}

/// An event as a journal gives it back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    /// Whose event it is.
    pub id: PersistenceId,
    /// The slice of that id.
    pub slice: Slice,
    /// Its place among the events of the id.
    pub sequence: Sequence,
    /// Its place among the events of the slice.
    pub ordinal: Ordinal,
    /// The event, exactly as it was appended.
    pub event: NewEvent,
}

impl Recorded {
    /// Where it is in its journal.
    pub fn position(&self) -> Position {
        Position { slice: self.slice, ordinal: self.ordinal }
    }
}

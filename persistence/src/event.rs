//! What is an event to a journal: which name, which version, which bytes?
//!
//! A journal outlives the programs that write to it. So nothing of a Rust type gets into it but what is said here to stay: each
//! *variant* of an event is encoded alone, under a stable name (`account.withdrawn`) and a version, and has a fingerprint of what
//! it consists of. [`Event`] is all of that, and `#[derive(Event)]` writes it. How old versions live on is in `evolve`.
//!
//! # Invariants
//!
//! * What [`Event::encode`] gives, [`Event::decode`] reads, and gives an equal event.
//! * `decode` ends with an event or a [`DecodeError`], whatever the bytes are.

mod codec;
mod error;
mod format;
mod shape;

pub use self::codec::{Fault, MAX_EVENT_BYTES, MAX_EVENT_DEPTH};
pub use self::error::{DecodeError, EncodeError, Reason};
pub use self::format::{FORMAT, WrongFormat, check_format};
pub use self::shape::{Fingerprint, Named, NoFingerprint, Schema, Shape};
use crate::evolve::Family;

/// What happened, as a value that is stored for good.
///
/// `#[derive(Event)]` implements it for an enum, whose variants are the types of events, or for a struct, which is one.
pub trait Event: Sized + Send + 'static {
    /// The names and versions that are written and read, checked when the program is compiled.
    #[doc(hidden)]
    const FAMILY: &'static Family;

    /// The types of events that are written, in the order of the variants.
    fn types() -> &'static [EventType];

    /// The types of events that can be read: those that are written, then the old ones that are converted.
    fn readable() -> Vec<&'static EventType>;

    /// The type of this event.
    fn event_type(&self) -> &'static EventType;

    /// The event as a journal holds it.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when it is larger or deeper than an event may be. The same event is refused always.
    fn encode(&self) -> Result<Encoded, EncodeError>;

    /// The event that a journal holds. One of an old version is converted, step by step.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when its type is not known here, or its bytes are not of that type. It names both sides; the same bytes
    /// give the same error always.
    fn decode(stored: Stored<'_>) -> Result<Self, DecodeError>;
}

/// A type of events: a variant, as the world outside of the program knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EventType {
    /// The stable name, such as `account.withdrawn`.
    pub name: &'static str,
    /// The version of what it consists of; the first is 1.
    pub version: u32,
    /// The number of the shape.
    pub fingerprint: Fingerprint,
    /// What it consists of, for people: `{cents: u64, at: {nanos: i64}}`.
    pub shape: String,
    recursive: bool,
}

impl EventType {
    /// The fields of a variant, described.
    #[doc(hidden)]
    pub fn of(name: &'static str, version: u32, fields: fn(&mut Shape)) -> Self {
        let shape = Shape::of(fields);
        let recursive = shape.is_recursive();
        let shape = shape.into_text();
        Self { name, version, fingerprint: Fingerprint::of(&shape), shape, recursive }
    }
}

/// An event as a journal holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Encoded {
    /// The stable name of its type.
    pub name: &'static str,
    /// The version of its type.
    pub version: u32,
    /// The number of the shape of its type.
    pub fingerprint: Fingerprint,
    /// The content, in the form that [`FORMAT`] names; at most [`MAX_EVENT_BYTES`].
    pub bytes: Vec<u8>,
}

impl Encoded {
    /// As it will be read.
    pub fn as_stored(&self) -> Stored<'_> {
        Stored {
            name: self.name,
            version: self.version,
            fingerprint: Some(self.fingerprint),
            bytes: &self.bytes,
        }
    }
}

/// An event that was read from a journal and not understood yet. Nothing in it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The name of its type.
    pub name: &'a str,
    /// The version of its type.
    pub version: u32,
    /// The fingerprint of its type when it was written, where the journal keeps it. Without, only the bytes are checked.
    pub fingerprint: Option<Fingerprint>,
    /// The content, at any place in memory: it need not be aligned.
    pub bytes: &'a [u8],
}

/// What the code uses that `#[derive(Event)]` and `#[derive(Schema)]` write. Not for other code: it may change.
#[doc(hidden)]
pub mod __event {
    pub use std::result::Result;
    pub use std::sync::LazyLock;
    pub use std::vec::Vec;

    pub use rkyv;

    pub use super::codec::{Fault, Reader, Reads, Ref, Validator, Writer, Writes};
    pub use super::shape::{Schema, Shape};
    pub use super::{DecodeError, EncodeError, Encoded, Event, EventType, Stored};
    use super::{codec, error};
    pub use crate::evolve::{Family, Name, checked};

    /// The type itself, if it can be part of an event.
    pub type This<T> = <T as Schema>::This;

    /// The content of an event, given as its fields. `T` is what they are when they are read.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when it is too large, or too deep to be read again.
    pub fn encode<T: rkyv::Archive<Archived: Reads<T>>>(
        event_type: &'static EventType,
        fields: &impl Writes,
    ) -> Result<Encoded, EncodeError> {
        let refused = |fault| EncodeError { name: event_type.name, version: event_type.version, fault };
        let bytes = codec::write(fields).map_err(refused)?;
        if event_type.recursive {
            codec::check::<T>(&bytes).map_err(refused)?;
        }
        let &EventType { name, version, fingerprint, .. } = event_type;
        Ok(Encoded { name, version, fingerprint, bytes })
    }

    /// The fields of an event of a known type.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when it was written with other fields, or the bytes are not of this type.
    pub fn decode<E: Event, T: rkyv::Archive<Archived: Reads<T>>>(
        event_type: &EventType,
        stored: Stored<'_>,
    ) -> Result<T, DecodeError> {
        if let Some(found) = stored.fingerprint
            && found != event_type.fingerprint
        {
            return Err(error::other_shape::<E>(stored, found, event_type));
        }
        codec::read(stored.bytes).map_err(|fault| error::damaged::<E>(stored, fault))
    }

    /// The error about an event of a type that is not known.
    pub fn unknown<E: Event>(stored: Stored<'_>) -> DecodeError {
        error::unknown::<E>(stored)
    }
}

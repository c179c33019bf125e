//! What is posted: to whom, and which message?
//!
//! A [`Post`] is a message for an entity of some gateway, as bytes under a stable name, because it lies in the journal beside the events of its sender
//! until it is delivered. The two kinds of bookkeeping events are here as well: that something was posted, and that something was received.
//!
//! # Invariants
//!
//! * A `Post` has a receiver that can exist: a gateway, and an id that events can lie under.
//! * No `apply` sees a bookkeeping event.

use std::fmt;

use crate::Event;
use crate::event::{DecodeError, EncodeError, Fingerprint, Stored};
use crate::forget;
use crate::id::{InvalidId, Ordinal, PersistenceId, Slice};
use crate::marks::Origin;
use crate::offset::Position;

/// The name of the event that something was posted.
pub(crate) const POSTED: &str = "omnitron.posted";
/// The name of the event that something was received.
pub(crate) const RECEIVED: &str = "omnitron.received";

/// Whether an event of this name is of the machinery, and not for `apply`: one of these, or the mark of an id that was forgotten.
pub(crate) fn is_bookkeeping(name: &str) -> bool {
    [POSTED, RECEIVED, forget::MARK].contains(&name)
}

/// An entity that something is posted to: the name of its gateway, and its id there. It is checked when the effect is carried out.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Receiver(String);

impl Receiver {
    /// The entity `id` of the [gateway](crate::Gateway) that was started under the name `gateway`.
    pub fn of(gateway: impl AsRef<str>, id: impl AsRef<str>) -> Self {
        Self(format!("{}/{}", gateway.as_ref(), id.as_ref()))
    }

    /// `account/42`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(&self) -> Result<(), PostError> {
        let receiver = || self.0.clone();
        PersistenceId::new(&self.0)
            .map_err(|reason| PostError::InvalidId { receiver: receiver(), reason })?;
        match self.0.split_once('/') {
            Some((gateway, id)) if !gateway.is_empty() && !id.is_empty() => Ok(()),
            _ => Err(PostError::NoReceiver { receiver: receiver() }),
        }
    }
}

impl<G: AsRef<str>, I: AsRef<str>> From<(G, I)> for Receiver {
    fn from((gateway, id): (G, I)) -> Self {
        Self::of(gateway, id)
    }
}

impl From<&PersistenceId> for Receiver {
    fn from(id: &PersistenceId) -> Self {
        Self(id.as_str().to_owned())
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why something cannot be posted. The same is refused always.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// The gateway or the id is missing.
    #[error("`{receiver}` is no receiver: it takes the name of a gateway and an id, neither of them empty")]
    NoReceiver {
        /// What was given.
        receiver: String,
    },
    /// No entity can have this id.
    #[error("`{receiver}` cannot be a receiver")]
    InvalidId {
        /// What was given.
        receiver: String,
        /// What is wrong with it.
        #[source]
        reason: InvalidId,
    },
    /// The message cannot be stored.
    #[error("the message to `{receiver}` cannot be encoded")]
    Unencodable {
        /// To whom it was to go.
        receiver: String,
        /// Which message, and why.
        #[source]
        reason: EncodeError,
    },
}

/// A message to an entity, as it lies in the journal. Equal are those with the same receiver and the same content.
#[derive(Clone, Eq, PartialEq)]
pub struct Post {
    receiver: Receiver,
    name: String,
    version: u32,
    fingerprint: Fingerprint,
    bytes: Vec<u8>,
}

/// What an effect holds: a post, or why it is none.
pub(crate) type Draft = Result<Post, PostError>;

impl Post {
    /// A message to a receiver.
    ///
    /// # Errors
    ///
    /// [`PostError`] when there can be no such receiver, or the message cannot be encoded.
    pub fn new<P: Event>(receiver: impl Into<Receiver>, message: &P) -> Result<Self, PostError> {
        let receiver = receiver.into();
        receiver.check()?;
        match message.encode() {
            Ok(encoded) => Ok(Self {
                receiver,
                name: encoded.name.to_owned(),
                version: encoded.version,
                fingerprint: encoded.fingerprint,
                bytes: encoded.bytes,
            }),
            Err(reason) => Err(PostError::Unencodable { receiver: receiver.0, reason }),
        }
    }

    /// To whom it goes.
    pub fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// The stable name of the message, such as `account.deposit`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The message.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when it is no `P`.
    pub fn message<P: Event>(&self) -> Result<P, DecodeError> {
        let fingerprint = Some(self.fingerprint);
        P::decode(Stored { name: &self.name, version: self.version, fingerprint, bytes: &self.bytes })
    }

    /// About how much memory it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.receiver.0.len() + self.name.len() + self.bytes.len()
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { receiver, name, version, bytes, .. } = self;
        write!(f, "{name} version {version} of {} bytes to {receiver}", bytes.len())
    }
}

/// Whether two drafts say the same.
pub(crate) fn same(one: &Draft, other: &Draft) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one == other,
        (Err(one), Err(other)) => one.to_string() == other.to_string(),
        _ => false,
    }
}

/// Something was posted.
#[derive(Event)]
#[event(name = "omnitron.posted", crate = crate)]
pub(crate) struct Posted {
    receiver: String,
    name: String,
    version: u32,
    fingerprint: u64,
    bytes: Vec<u8>,
}

impl From<Post> for Posted {
    fn from(post: Post) -> Self {
        let Post { receiver: Receiver(receiver), name, version, fingerprint, bytes } = post;
        Self { receiver, name, version, fingerprint: fingerprint.as_u64(), bytes }
    }
}

impl From<Posted> for Post {
    fn from(posted: Posted) -> Self {
        let Posted { receiver, name, version, fingerprint, bytes } = posted;
        let fingerprint = Fingerprint::from_u64(fingerprint);
        Self { receiver: Receiver(receiver), name, version, fingerprint, bytes }
    }
}

/// A post was received, and what its command led to is in the same append.
#[derive(Event)]
#[event(name = "omnitron.received", crate = crate)]
pub(crate) struct Received {
    source: u64,
    slice: u32,
    ordinal: u64,
}

impl From<Origin> for Received {
    fn from(origin: Origin) -> Self {
        let Origin { source, position, .. } = origin;
        Self { source, slice: position.slice.get(), ordinal: position.ordinal.get() }
    }
}

impl From<Received> for Origin {
    fn from(received: Received) -> Self {
        let Received { source, slice, ordinal } = received;
        let position = Position { slice: Slice::new(slice), ordinal: Ordinal::new(ordinal) };
        Self { source, position, after: Ordinal::ZERO }
    }
}

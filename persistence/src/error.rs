//! Why was an effect not carried out, and why is an actor suspended?

use std::any::Any;

use crate::backend::{ReadError, WriteError};
use crate::event::EncodeError;
use crate::id::{PersistenceId, Sequence};
use crate::post::PostError;

/// Why the effect of a command could not be carried out: a failure of the actor. Nothing of the effect was stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EffectError {
    /// `apply` panicked over an event that was to be stored.
    #[error(
        "`{id}`: `apply` panicked over `{event}` version {version}, which would have been its event {sequence}, of a command \
         {command}: {panic}. Nothing of that command was stored; correct `apply`, or refuse the command in `handle`"
    )]
    ApplyPanicked {
        /// Whose event it is.
        id: PersistenceId,
        /// The sequence it would have had.
        sequence: Sequence,
        /// The name of its type.
        event: &'static str,
        /// The version of its type.
        version: u32,
        /// The type of the command.
        command: &'static str,
        /// What the panic said.
        panic: String,
    },
    /// An event cannot be encoded.
    #[error("`{id}`: an event of a command {command} cannot be stored")]
    Unencodable {
        /// Whose event it is.
        id: PersistenceId,
        /// The type of the command.
        command: &'static str,
        /// Which event, and why.
        #[source]
        reason: EncodeError,
    },
    /// Something cannot be posted.
    #[error("`{id}`: a post of a command {command} cannot be stored")]
    Unpostable {
        /// Who posts.
        id: PersistenceId,
        /// The type of the command.
        command: &'static str,
        /// What is wrong with it.
        #[source]
        reason: PostError,
    },
    /// The events are too many or too large for one append.
    #[error("`{id}`: the events of a command {command} cannot be stored together")]
    TooLarge {
        /// Whose events they are.
        id: PersistenceId,
        /// The type of the command.
        command: &'static str,
        /// What is too large.
        #[source]
        reason: WriteError,
    },
}

/// Why the state cannot be recovered now. Trying again may succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Passing {
    #[error("the journal cannot be read: {}", .0.fault())]
    Read(ReadError),
    #[error("the slice cannot be claimed: {0}")]
    Claim(WriteError),
    #[error("the journal has not answered for {0:?}")]
    Silent(std::time::Duration),
    #[error("appends of this id are still on their way, or another actor of this process has this id")]
    Occupied,
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&'static str>().copied());
    text.unwrap_or("a panic without text").to_owned()
}

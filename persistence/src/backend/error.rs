//! Why did a journal refuse or fail, did it happen anyway, and what is to be done?

use std::fmt;
use std::sync::Arc;

use crate::id::{Epoch, PersistenceId, Sequence, Slice};

/// What went wrong below a journal: what, where, and what to do. Cheap to clone, because one fault answers many.
#[derive(Clone)]
pub struct Fault(Arc<Parts>);

struct Parts {
    what: String,
    place: String,
    offset: Option<u64>,
    advice: &'static str,
}

impl Fault {
    /// `what` happened at `place`; `advice` says what to do.
    pub fn new(what: impl fmt::Display, place: impl fmt::Display, advice: &'static str) -> Self {
        Self(Arc::new(Parts { what: what.to_string(), place: place.to_string(), offset: None, advice }))
    }

    /// The same at byte `offset` of its file.
    #[must_use]
    pub fn at(self, offset: u64) -> Self {
        let Parts { what, place, advice, .. } = &*self.0;
        Self(Arc::new(Parts { what: what.clone(), place: place.clone(), offset: Some(offset), advice }))
    }

    /// What happened.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// The file, folder or service where it happened.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// The byte of the file where it happened, if there is one.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// What to do about it.
    pub fn advice(&self) -> &str {
        self.0.advice
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place())?;
        if let Some(offset) = self.offset() {
            write!(f, ", byte {offset}")?;
        }
        write!(f, ": {}. {}", self.what(), self.advice())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({self})")
    }
}

impl std::error::Error for Fault {}

/// Why a claim, an append or a deletion was not confirmed. In every case but [`Unknown`](Self::Unknown) it did **not** happen, and
/// never will.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Somebody else took over the slice. Trying again never succeeds: stop, or claim the slice anew.
    #[error(
        "{slice} belongs to epoch {current} now, and this came from epoch {given}: its owner has to stop"
    )]
    StaleEpoch {
        /// The slice.
        slice: Slice,
        /// The epoch of the caller.
        given: Epoch,
        /// The newest one.
        current: Epoch,
    },
    /// The id does not end where the caller thought. Read it again, then decide.
    #[error("`{id}` ends at sequence {actual}, not at {expected}: recover it before writing again")]
    UnexpectedSequence {
        /// The id.
        id: PersistenceId,
        /// Where the caller thought that it ends.
        expected: Sequence,
        /// Where it ends.
        actual: Sequence,
    },
    /// The caller and the journal disagree about the slice of the id: a mistake in the program, or another number of slices.
    #[error("`{id}` lies in {actual}, not in {given}: take the slice from `id.slice(journal.slices())`")]
    WrongSlice {
        /// The id.
        id: PersistenceId,
        /// The slice that was given.
        given: Slice,
        /// The slice it lies in.
        actual: Slice,
    },
    /// The journal has fewer slices.
    #[error("there is no {slice}: the journal has {slices}, counted from 0")]
    NoSuchSlice {
        /// The slice that was given.
        slice: Slice,
        /// How many there are.
        slices: u32,
    },
    /// Trying again never succeeds.
    #[error(
        "{what} is too large: {size}, and the limit is {limit}: split it, or keep what is large elsewhere"
    )]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// More waits than the journal holds. Trying again succeeds when some of it is done.
    #[error("{capacity} operations already wait for the journal: wait for some of them, then try again")]
    Full {
        /// The most operations that wait.
        capacity: usize,
    },
    /// The journal could not do it. Trying again may succeed when the cause is gone.
    #[error("the journal is not available, nothing was written")]
    Unavailable(#[source] Fault),
    /// It **may** have happened, and may show after the next start. Nothing of it happens later. Read before trying again.
    #[error("the journal cannot tell whether this was written")]
    Unknown(#[source] Fault),
}

impl WriteError {
    /// Whether it may have happened in spite of this error.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// What went wrong below the journal, if that is the reason.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Unavailable(fault) | Self::Unknown(fault) => Some(fault),
            _ => None,
        }
    }
}

/// Why events could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What was written is damaged. Trying again does not help.
    #[error("the journal is damaged")]
    Corrupt(#[source] Fault),
    /// It could not be read now. Trying again may succeed.
    #[error("the journal cannot be read")]
    Unavailable(#[source] Fault),
}

impl ReadError {
    /// What went wrong, and where.
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Corrupt(fault) | Self::Unavailable(fault) => fault,
        }
    }
}

//! How are persistent things named, numbered and spread over slices?
//!
//! # Invariants
//!
//! * A [`PersistenceId`] has 1 to [`MAX_ID_BYTES`] bytes and no control character, so it can be printed, listed and stored as it is.
//! * The slice of an id depends on its bytes and the number of slices alone. The function is part of every
//!   journal's format: XXH3 (64 bit, seed 0) of the UTF-8 bytes, modulo the number of slices.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

pub use omnitron_runtime::Epoch;

/// The most bytes of a [`PersistenceId`].
pub const MAX_ID_BYTES: usize = 512;

/// The most slices a journal can have.
pub const MAX_SLICES: u32 = 1 << 16;

/// The name of one thing whose events are kept: `account-17`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PersistenceId(Arc<str>);

/// Why a text is no [`PersistenceId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// There is nothing to tell things apart by.
    #[error("an id of persistence has at least one character")]
    Empty,
    /// It has more than [`MAX_ID_BYTES`] bytes.
    #[error("an id of persistence has at most {MAX_ID_BYTES} bytes, this one has {bytes}: shorten it")]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// It could not be printed or listed.
    #[error("an id of persistence has no control characters, this one has one at byte {at}: leave it out")]
    Control {
        /// The byte where it stands.
        at: usize,
    },
}

impl PersistenceId {
    /// The id `text`.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] when it is empty, longer than [`MAX_ID_BYTES`] bytes or holds a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(InvalidId::Empty);
        }
        if text.len() > MAX_ID_BYTES {
            return Err(InvalidId::TooLong { bytes: text.len() });
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(InvalidId::Control { at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The slice of this id in a journal of `slices` slices. Stable: it is part of the journal's format.
    pub fn slice(&self, slices: Slices) -> Slice {
        let slice = self.hash64() % u64::from(slices.get());
        Slice(u32::try_from(slice).expect("a remainder is less than the number of slices, which is a u32"))
    }

    /// XXH3 of the bytes.
    pub(crate) fn hash64(&self) -> u64 {
        twox_hash::XxHash3_64::oneshot(self.0.as_bytes())
    }
}

impl fmt::Display for PersistenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many slices a journal has: 1 to [`MAX_SLICES`], chosen when it is created and kept for good. Default: 256.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slices(NonZeroU32);

impl Slices {
    /// `count` slices, or nothing when `count` is 0 or more than [`MAX_SLICES`].
    pub fn new(count: u32) -> Option<Self> {
        NonZeroU32::new(count).filter(|count| count.get() <= MAX_SLICES).map(Self)
    }

    /// How many.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Slice> {
        (0..self.get()).map(Slice)
    }
}

impl Default for Slices {
    fn default() -> Self {
        Self::new(256).expect("256 is within the bounds")
    }
}

/// One of the parts into which ids are spread: the unit of order and of fencing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slice(u32);

impl Slice {
    /// The slice `number`, counted from 0.
    pub fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number, counted from 0.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slice {}", self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(u64);

        impl $name {
            /// Before the first.
            pub const ZERO: Self = Self(0);
            /// Behind every one there can be.
            pub const MAX: Self = Self(u64::MAX);

            /// The number `number`.
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// As a bare number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one `by` further on. Stops at [`MAX`](Self::MAX).
            #[must_use]
            pub const fn plus(self, by: u64) -> Self {
                Self(self.0.saturating_add(by))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The place of an event among those of its id. The first has 1, the next 2, without gaps; 0 is before the first.
    Sequence
}
number! {
    /// The place of an event among those of its slice: rises with each, may leave gaps; 0 is before the first.
    Ordinal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_512_bytes_and_no_control_character() {
        assert_eq!(PersistenceId::new(""), Err(InvalidId::Empty));
        assert!(PersistenceId::new("a".repeat(512)).is_ok());
        assert_eq!(PersistenceId::new("a".repeat(513)), Err(InvalidId::TooLong { bytes: 513 }));
        assert_eq!(PersistenceId::new("ab\u{0}"), Err(InvalidId::Control { at: 2 }));
        assert_eq!(PersistenceId::new("ä ß 漢").map(|id| id.to_string()), Ok("ä ß 漢".to_owned()));
    }

    #[test]
    fn the_slice_of_an_id_never_changes() {
        let slice =
            |id: &str, slices: u32| PersistenceId::new(id).unwrap().slice(Slices::new(slices).unwrap()).get();
        // Written down when the format was made: another value here loses every journal there is.
        assert_eq!(
            [slice("account-17", 256), slice("a", 256), slice("ä", 65_536), slice("x", 1)],
            [79, 31, 46_260, 0]
        );
    }

    #[test]
    fn a_journal_has_1_to_65536_slices() {
        assert_eq!(Slices::new(0), None);
        assert_eq!(Slices::new(1).map(Slices::get), Some(1));
        assert_eq!(Slices::new(65_536).map(Slices::get), Some(65_536));
        assert_eq!(Slices::new(65_537), None);
    }
}

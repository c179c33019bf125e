//! How far has somebody read a journal, and where in it is one event?
//!
//! # Invariants
//!
//! * An [`Offset`] names its journal: against another one it says nothing.
//! * What [`Offset::to_bytes`] gives, [`Offset::from_bytes`] reads; what differs in a bit is refused.

use std::collections::BTreeMap;
use std::fmt;

use crc32c::crc32c;

use crate::id::{MAX_SLICES, Ordinal, Slice};

/// The first byte of an offset.
const FORM: u8 = 1;
/// The form, the journal and the checksum.
const FIXED: usize = 1 + 8 + 4;

/// The place of an event in a journal: what "after my own write" means to a query.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// The slice.
    pub slice: Slice,
    /// The place among the events of the slice.
    pub ordinal: Ordinal,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.ordinal, self.slice)
    }
}

/// How far a journal was read. What is in it is nobody's business: keep its [bytes](Self::to_bytes).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offset {
    journal: u64,
    read: BTreeMap<Slice, Ordinal>,
}

/// Why bytes are no offset.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOffset {
    /// They are not those that were written.
    #[error(
        "these {bytes} bytes are no offset, or were damaged: restore the read model from a copy, or build it anew"
    )]
    Damaged {
        /// How many there are.
        bytes: usize,
    },
    /// A newer version wrote them.
    #[error("the offset has form {form}, and this program reads form {FORM}: use a newer program")]
    Newer {
        /// The form that they say they have.
        form: u8,
    },
}

impl Offset {
    /// Nothing was read of the journal with this [identity](crate::backend::JournalBackend::identity).
    pub fn start(journal: u64) -> Self {
        Self { journal, read: BTreeMap::new() }
    }

    /// Of which journal it is.
    pub fn journal(&self) -> u64 {
        self.journal
    }

    /// Whether the event at `position` was read.
    pub fn covers(&self, position: Position) -> bool {
        self.of(position.slice) >= position.ordinal
    }

    /// Up to where `slice` was read.
    pub fn of(&self, slice: Slice) -> Ordinal {
        self.read.get(&slice).copied().unwrap_or_default()
    }

    /// `slice` was read up to `ordinal`. Never goes back.
    pub fn advance(&mut self, slice: Slice, ordinal: Ordinal) {
        let at = self.read.entry(slice).or_default();
        *at = (*at).max(ordinal);
    }

    /// What either has read. `false`, and nothing changes, when the other one is of another journal.
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.journal != other.journal {
            return false;
        }
        other.read.iter().for_each(|(slice, ordinal)| self.advance(*slice, *ordinal));
        true
    }

    /// The slices of which something was read, and up to where.
    pub fn iter(&self) -> impl Iterator<Item = (Slice, Ordinal)> + '_ {
        self.read.iter().map(|(slice, ordinal)| (*slice, *ordinal))
    }

    /// The offset as bytes, about four per slice, with a checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        bytes.extend_from_slice(&self.journal.to_le_bytes());
        let mut before = 0;
        for (slice, ordinal) in &self.read {
            put(&mut bytes, u64::from(slice.get() - before));
            put(&mut bytes, ordinal.get());
            before = slice.get();
        }
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// The offset that these bytes are.
    ///
    /// # Errors
    ///
    /// [`InvalidOffset`] says whether they were damaged or are newer than this program.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidOffset> {
        let damaged = InvalidOffset::Damaged { bytes: bytes.len() };
        if bytes.len() < FIXED {
            return Err(damaged);
        }
        let (content, checksum) = bytes.split_at(bytes.len() - 4);
        if crc32c(content).to_le_bytes() != checksum {
            return Err(damaged);
        }
        if content[0] != FORM {
            return Err(InvalidOffset::Newer { form: content[0] });
        }
        let (journal, mut rest) = content[1..].split_first_chunk::<8>().ok_or(damaged)?;
        let mut offset = Self::start(u64::from_le_bytes(*journal));
        let mut before = 0_u64;
        while !rest.is_empty() {
            let slice = before.saturating_add(take(&mut rest).ok_or(damaged)?);
            let ordinal = Ordinal::new(take(&mut rest).ok_or(damaged)?);
            let known = u32::try_from(slice).ok().filter(|slice| *slice < MAX_SLICES).ok_or(damaged)?;
            offset.advance(Slice::new(known), ordinal);
            before = slice;
        }
        Ok(offset)
    }
}

/// A number in groups of seven bits, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_offset_is_read_back_and_one_with_a_changed_bit_is_refused(
            journal in any::<u64>(),
            read in prop::collection::btree_map(0..MAX_SLICES, any::<u64>(), 0..40),
            bit in any::<prop::sample::Index>(),
        ) {
            let mut offset = Offset::start(journal);
            for (slice, ordinal) in read {
                offset.advance(Slice::new(slice), Ordinal::new(ordinal));
            }
            let mut bytes = offset.to_bytes();
            prop_assert_eq!(Offset::from_bytes(&bytes), Ok(offset));
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Offset::from_bytes(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_an_offset_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Offset::from_bytes(&bytes);
            // Also behind a checksum that is right.
            let mut sealed = bytes;
            sealed.extend_from_slice(&crc32c(&sealed).to_le_bytes());
            let _ = Offset::from_bytes(&sealed);
        }
    }

    #[test]
    fn offsets_of_two_journals_do_not_mix() {
        let (mut one, mut other) = (Offset::start(1), Offset::start(2));
        other.advance(Slice::new(0), Ordinal::new(9));
        assert!(!one.merge(&other));
        assert_eq!(one, Offset::start(1));
        let mut same = Offset::start(1);
        same.advance(Slice::new(0), Ordinal::new(5));
        one.advance(Slice::new(0), Ordinal::new(7));
        assert!(one.merge(&same));
        assert_eq!(one.of(Slice::new(0)), Ordinal::new(7), "nothing goes back");
        assert!(one.covers(Position { slice: Slice::new(0), ordinal: Ordinal::new(7) }));
        assert!(!one.covers(Position { slice: Slice::new(0), ordinal: Ordinal::new(8) }));
    }
}

//! Which bytes stand at the head of each file and of each batch?
//!
//! `docs/formats/journal.md` describes them one by one. All numbers are little-endian. Every header carries a version or a magic number and a
//! CRC32C of itself.
//!
//! # Invariants
//!
//! * What `encode` wrote, `decode` reads; what differs in any bit, `decode` refuses.

use std::fmt;

use crc32c::{crc32c, crc32c_append};

/// The version of the format that is written, and the newest that is read.
pub(crate) const VERSION: u16 = 1;
/// The bytes of the file `journal`.
pub(crate) const IDENTITY_BYTES: usize = 32;
/// The bytes at the head of a segment.
pub(crate) const SEGMENT_BYTES: usize = 80;
/// The bytes at the head of a batch.
pub(crate) const BATCH_BYTES: usize = 40;
/// Where batches may start.
pub(crate) const ALIGNMENT: usize = 8;

const IDENTITY_MAGIC: [u8; 8] = *b"OMNITRNJ";
const SEGMENT_MAGIC: [u8; 8] = *b"OMNITRNS";
const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"BTCH");
/// The most bytes of a batch's body: a full batch and the largest append. A length beyond it is damage, and nothing is reserved for it.
pub(crate) const MAX_BODY_BYTES: u32 = 64 << 20;
const REWRITTEN: u16 = 1;
/// What to do about a file of a newer version.
pub(crate) const NEWER: &str = "Open it with the program that wrote it, or with a newer one";

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Damage {
    /// Fewer bytes than there should be.
    Short,
    /// Not a file of a journal.
    NotOurs,
    /// Written by a newer version.
    Newer(u16),
    /// The checksum says that something changed.
    Checksum,
    /// A field has a value that it cannot have.
    Field(&'static str),
}

impl Damage {
    /// What to do about it: the program is to be replaced, not the file, when the file is newer than the program.
    pub(crate) fn advice(self, otherwise: &'static str) -> &'static str {
        if matches!(self, Self::Newer(_)) { NEWER } else { otherwise }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the file ends in the middle of it"),
            Self::NotOurs => f.write_str("these are not the bytes with which it starts"),
            Self::Newer(version) => {
                write!(f, "it has format version {version}, and this program reads up to {VERSION}")
            }
            Self::Checksum => f.write_str("its checksum does not match its bytes"),
            Self::Field(what) => f.write_str(what),
        }
    }
}

/// The file `journal`: which journal this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) journal: u64,
    pub(crate) slices: u32,
}

impl Identity {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(IDENTITY_BYTES);
        bytes.extend_from_slice(&IDENTITY_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.slices.to_le_bytes());
        bytes.extend_from_slice(&self.journal.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        seal(&mut bytes, 0);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let bytes = versioned(bytes, IDENTITY_MAGIC, IDENTITY_BYTES)?;
        Ok(Self { slices: u32_at(bytes, 12), journal: u64_at(bytes, 16) })
    }
}

/// The head of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SegmentHeader {
    pub(crate) journal: u64,
    /// The number of the segment, and the last of those it stands for: more than one after a rewriting.
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// The number of its first batch.
    pub(crate) batch: u64,
    /// Where the segment before ended, when this one was created: bytes, and the checksum of its last batch.
    pub(crate) previous_end: u64,
    pub(crate) previous_chain: u32,
    /// Only of a segment that was rewritten.
    pub(crate) rewritten: Option<Rewritten>,
}

/// What a segment that was rewritten knows of itself and of those it stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rewritten {
    /// The checksum of the last batch there was before.
    pub(crate) original_chain: u32,
    /// Where this file ends.
    pub(crate) end: u64,
    pub(crate) chain: u32,
    /// The number of the first batch of the next segment.
    pub(crate) next_batch: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let none = Rewritten { original_chain: 0, end: 0, chain: 0, next_batch: 0 };
        let rewritten = self.rewritten.unwrap_or(none);
        let mut bytes = Vec::with_capacity(SEGMENT_BYTES);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&if self.rewritten.is_some() { REWRITTEN } else { 0 }.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.last.to_le_bytes());
        bytes.extend_from_slice(&self.previous_chain.to_le_bytes());
        bytes.extend_from_slice(&self.batch.to_le_bytes());
        bytes.extend_from_slice(&self.journal.to_le_bytes());
        bytes.extend_from_slice(&self.previous_end.to_le_bytes());
        bytes.extend_from_slice(&rewritten.end.to_le_bytes());
        bytes.extend_from_slice(&rewritten.next_batch.to_le_bytes());
        bytes.extend_from_slice(&rewritten.original_chain.to_le_bytes());
        bytes.extend_from_slice(&rewritten.chain.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        seal(&mut bytes, 0);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let bytes = versioned(bytes, SEGMENT_MAGIC, SEGMENT_BYTES)?;
        let rewritten = Rewritten {
            end: u64_at(bytes, 48),
            next_batch: u64_at(bytes, 56),
            original_chain: u32_at(bytes, 64),
            chain: u32_at(bytes, 68),
        };
        let header = Self {
            first: u32_at(bytes, 12),
            last: u32_at(bytes, 16),
            previous_chain: u32_at(bytes, 20),
            batch: u64_at(bytes, 24),
            journal: u64_at(bytes, 32),
            previous_end: u64_at(bytes, 40),
            rewritten: (u16_at(bytes, 10) & REWRITTEN != 0).then_some(rewritten),
        };
        if u16_at(bytes, 10) & !REWRITTEN != 0 {
            return Err(Damage::Field("it has a mark that this program does not know"));
        }
        if header.first == 0 || header.last < header.first {
            return Err(Damage::Field("it stands for no segments"));
        }
        Ok(header)
    }
}

/// The head of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BatchHeader {
    /// The bytes behind the header, a multiple of [`ALIGNMENT`].
    pub(crate) body: u32,
    /// Its number in the journal: one more than that of the batch before.
    pub(crate) number: u64,
    /// The first number of its segment.
    pub(crate) segment: u32,
    /// How many records it holds.
    pub(crate) records: u32,
    /// The checksum of the batch before, in this segment or in the one before it.
    pub(crate) previous: u32,
    /// CRC32C of the body.
    pub(crate) checksum: u32,
}

impl BatchHeader {
    /// `journal` goes into the checksum, so that nobody who fills an event with bytes can make them look like a batch.
    pub(crate) fn encode(&self, journal: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BATCH_BYTES);
        bytes.extend_from_slice(&BATCH_MAGIC.to_le_bytes());
        bytes.extend_from_slice(&self.body.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes.extend_from_slice(&self.previous.to_le_bytes());
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        seal(&mut bytes, journal);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], journal: u64) -> Result<Self, Damage> {
        let bytes = bytes.get(..BATCH_BYTES).ok_or(Damage::Short)?;
        if u32_at(bytes, 0) != BATCH_MAGIC {
            return Err(Damage::NotOurs);
        }
        unsealed(bytes, journal)?;
        let header = Self {
            body: u32_at(bytes, 4),
            number: u64_at(bytes, 8),
            segment: u32_at(bytes, 16),
            records: u32_at(bytes, 20),
            previous: u32_at(bytes, 24),
            checksum: u32_at(bytes, 28),
        };
        if header.body > MAX_BODY_BYTES || !(header.body as usize).is_multiple_of(ALIGNMENT) {
            return Err(Damage::Field("the length of the batch is impossible"));
        }
        Ok(header)
    }

    /// What the next batch links to: the checksum of the header.
    pub(crate) fn chain(&self, journal: u64) -> u32 {
        u32_at(&self.encode(journal), BATCH_BYTES - 4)
    }
}

/// Appends the checksum of what is there.
pub(crate) fn seal(bytes: &mut Vec<u8>, salt: u64) {
    let checksum = crc32c_append(crc32c(&salt.to_le_bytes()), bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
}

/// Whether the last four bytes are the checksum of those before.
pub(crate) fn unsealed(bytes: &[u8], salt: u64) -> Result<(), Damage> {
    let body = bytes.len().checked_sub(4).ok_or(Damage::Short)?;
    let checksum = crc32c_append(crc32c(&salt.to_le_bytes()), &bytes[..body]);
    if u32_at(bytes, body) == checksum { Ok(()) } else { Err(Damage::Checksum) }
}

/// The first `size` bytes, when they start with `magic` and a version that can be read, and the checksum matches.
pub(crate) fn versioned(bytes: &[u8], magic: [u8; 8], size: usize) -> Result<&[u8], Damage> {
    if bytes.len() < 10 {
        return Err(Damage::Short);
    }
    if bytes[..8] != magic {
        return Err(Damage::NotOurs);
    }
    // A newer version may be of any size, so its checksum cannot be checked: it is named, and nothing else is believed.
    let version = u16_at(bytes, 8);
    if version > VERSION {
        return Err(Damage::Newer(version));
    }
    let bytes = bytes.get(..size).ok_or(Damage::Short)?;
    unsealed(bytes, 0)?;
    if version == 0 { Err(Damage::Field("it has format version 0, which never was")) } else { Ok(bytes) }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(rewritten: bool) -> SegmentHeader {
        let all = Rewritten { original_chain: 21, end: 22, chain: 23, next_batch: 24 };
        SegmentHeader {
            journal: 1,
            first: 2,
            last: 3,
            batch: 4,
            previous_end: 5,
            previous_chain: 6,
            rewritten: rewritten.then_some(all),
        }
    }

    fn refuses_every_flip<T: PartialEq + fmt::Debug>(
        bytes: &[u8],
        decode: impl Fn(&[u8]) -> Result<T, Damage>,
    ) {
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&broken).is_err(), "bit {bit}");
        }
        for size in 0..bytes.len() {
            assert!(decode(&bytes[..size]).is_err(), "the first {size} bytes");
        }
    }

    #[test]
    fn headers_come_back_and_no_flipped_bit_is_believed() {
        for header in [segment(false), segment(true)] {
            assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
            refuses_every_flip(&header.encode(), SegmentHeader::decode);
        }
        let identity = Identity { journal: 7, slices: 256 };
        assert_eq!(Identity::decode(&identity.encode()), Ok(identity));
        refuses_every_flip(&identity.encode(), Identity::decode);
        let batch = BatchHeader { body: 8, number: 2, segment: 3, records: 4, previous: 5, checksum: 6 };
        assert_eq!(BatchHeader::decode(&batch.encode(9), 9), Ok(batch));
        refuses_every_flip(&batch.encode(9), |bytes| BatchHeader::decode(bytes, 9));
        assert_eq!(BatchHeader::decode(&batch.encode(9), 8), Err(Damage::Checksum), "of another journal");
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut bytes = segment(false).encode();
        bytes[8] = 2;
        assert_eq!(SegmentHeader::decode(&bytes), Err(Damage::Newer(2)));
    }
}

//! How far was the journal durable, as far as anybody wrote down?
//!
//! The checkpoint is a witness: a journal that ends before it has lost what was acknowledged, which the end of a segment alone cannot
//! tell from a torn batch. It is written when a segment is full and when the journal is closed; without it nothing is wrong.

use super::format::{Damage, VERSION, seal, u32_at, u64_at, versioned};

/// The name of its file.
pub(crate) const NAME: &str = "checkpoint";
const MAGIC: [u8; 8] = *b"OMNITRNC";
const BYTES: usize = 48;

/// A place in the journal before which everything is durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Checkpoint {
    pub(crate) journal: u64,
    pub(crate) segment: u32,
    /// Up to which byte of the segment.
    pub(crate) end: u64,
    /// The number of the next batch, and what it links to.
    pub(crate) number: u64,
    pub(crate) chain: u32,
}

impl Checkpoint {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.journal.to_le_bytes());
        bytes.extend_from_slice(&self.end.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.chain.to_le_bytes());
        seal(&mut bytes, 0);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let bytes = versioned(bytes, MAGIC, BYTES)?;
        Ok(Self {
            segment: u32_at(bytes, 12),
            journal: u64_at(bytes, 16),
            end: u64_at(bytes, 24),
            number: u64_at(bytes, 32),
            chain: u32_at(bytes, 40),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_and_no_flipped_bit_is_believed() {
        let checkpoint = Checkpoint { journal: 1, segment: 2, end: 3, number: 4, chain: 5 };
        let bytes = checkpoint.encode();
        assert_eq!(Checkpoint::decode(&bytes), Ok(checkpoint));
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::decode(&broken).is_err(), "bit {bit}");
        }
    }
}

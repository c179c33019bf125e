//! How far was the journal durable, as far as anybody wrote down?
//!
//! The checkpoint is a witness: a journal that ends before it has lost what was acknowledged, which the end of a segment alone cannot
//! tell from a torn batch. It is written when a segment is full and when the journal is closed; without it nothing is wrong. It also notes how many events of each
//! segment are deleted, which is a guide for giving space back and may be wrong.

use super::format::{Damage, VERSION, seal, u32_at, u64_at, versioned};

/// The name of its file.
pub(crate) const NAME: &str = "checkpoint";
const MAGIC: [u8; 8] = *b"OMNITRNC";
const HEAD: usize = 48;
const ENTRY: usize = 16;

/// A place in the journal before which everything is durable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Checkpoint {
    pub(crate) journal: u64,
    pub(crate) segment: u32,
    /// Up to which byte of the segment.
    pub(crate) end: u64,
    /// The number of the next batch, and what it links to.
    pub(crate) number: u64,
    pub(crate) chain: u32,
    /// How many events of full segments were deleted by what stands before `segment`.
    pub(crate) dead: Vec<Dead>,
}

/// How many events of a segment are deleted. The chain at its end tells whether it is still the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Dead {
    pub(crate) segment: u32,
    pub(crate) chain: u32,
    pub(crate) events: u64,
}

impl Checkpoint {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.dead.len() * ENTRY + 4);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.journal.to_le_bytes());
        bytes.extend_from_slice(&self.end.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.chain.to_le_bytes());
        let count = u32::try_from(self.dead.len()).expect("segments are counted by a u32");
        bytes.extend_from_slice(&count.to_le_bytes());
        for Dead { segment, chain, events } in &self.dead {
            bytes.extend_from_slice(&segment.to_le_bytes());
            bytes.extend_from_slice(&chain.to_le_bytes());
            bytes.extend_from_slice(&events.to_le_bytes());
        }
        seal(&mut bytes, 0);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        // Of a newer version nothing else is believed, so that comes first.
        let count = bytes.get(44..HEAD).map_or(0, |count| u32_at(count, 0) as usize);
        let bytes = versioned(bytes, MAGIC, count.saturating_mul(ENTRY).saturating_add(HEAD + 4))?;
        let entries = bytes[HEAD..bytes.len() - 4].chunks_exact(ENTRY);
        Ok(Self {
            segment: u32_at(bytes, 12),
            journal: u64_at(bytes, 16),
            end: u64_at(bytes, 24),
            number: u64_at(bytes, 32),
            chain: u32_at(bytes, 40),
            dead: entries
                .map(|entry| Dead {
                    segment: u32_at(entry, 0),
                    chain: u32_at(entry, 4),
                    events: u64_at(entry, 8),
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_and_no_flipped_bit_is_believed() {
        let dead = Dead { segment: 1, chain: 2, events: 3 };
        for dead in [vec![], vec![dead], vec![dead; 3]] {
            let checkpoint = Checkpoint { journal: 1, segment: 2, end: 3, number: 4, chain: 5, dead };
            let bytes = checkpoint.encode();
            assert_eq!(Checkpoint::decode(&bytes), Ok(checkpoint));
            for bit in 0..bytes.len() * 8 {
                let mut broken = bytes.clone();
                broken[bit / 8] ^= 1 << (bit % 8);
                assert!(Checkpoint::decode(&broken).is_err(), "bit {bit}");
            }
        }
    }
}

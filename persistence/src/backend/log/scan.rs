//! What in a segment is valid after a crash?
//!
//! Batches are checked one after the other, each against the one before. Where the chain breaks, the question is whether that
//! is the end: only the very last batch can have been torn by a crash, because each is synced before the next is written. So a whole
//! batch anywhere behind the break says that the middle is damaged, and nothing may be cut.
//!
//! # Invariants
//!
//! * `at`, `number` and `chain` describe the next batch; everything before `at` was checked.

use crc32c::crc32c;

use super::format::{ALIGNMENT, BATCH_BYTES, BatchHeader, Damage, SEGMENT_BYTES, SegmentHeader};

/// How far a segment was checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scan {
    journal: u64,
    segment: u32,
    /// Where the next batch starts.
    pub(crate) at: u64,
    /// Its number.
    pub(crate) number: u64,
    /// What it links to.
    pub(crate) chain: u32,
}

/// What stands where a batch could start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// A batch. Its body is still to be checked.
    Batch(BatchHeader),
    /// Nothing was ever written here.
    Nothing,
    /// Something that is not the next batch.
    Broken(Damage),
}

impl Scan {
    /// At the first batch of a segment.
    pub(crate) fn new(header: &SegmentHeader) -> Self {
        Self {
            journal: header.journal,
            segment: header.first,
            at: SEGMENT_BYTES as u64,
            number: header.batch,
            chain: header.previous_chain,
        }
    }

    /// What the bytes from `at` on are. [`BATCH_BYTES`] are enough; fewer say that the file ends there.
    pub(crate) fn next(&self, bytes: &[u8]) -> Next {
        if bytes.iter().take(BATCH_BYTES).all(|byte| *byte == 0) {
            return Next::Nothing;
        }
        let header = match BatchHeader::decode(bytes, self.journal) {
            Ok(header) => header,
            Err(damage) => return Next::Broken(damage),
        };
        let links =
            header.segment == self.segment && header.number == self.number && header.previous == self.chain;
        if links {
            Next::Batch(header)
        } else {
            Next::Broken(Damage::Field("it does not follow the batch before it"))
        }
    }

    /// Checks the body of a batch that [`next`](Self::next) found, and moves on.
    pub(crate) fn body(&mut self, header: &BatchHeader, body: &[u8]) -> Result<(), Damage> {
        if body.len() != header.body as usize {
            return Err(Damage::Short);
        }
        if crc32c(body) != header.checksum {
            return Err(Damage::Checksum);
        }
        self.at += (BATCH_BYTES + body.len()) as u64;
        self.number += 1;
        self.chain = header.chain(self.journal);
        Ok(())
    }

    /// Where in `window` the whole head of a batch stands that came after the one that is missing. `window` starts at a place where a batch may
    /// start.
    pub(crate) fn later(&self, window: &[u8]) -> Option<usize> {
        (0..window.len().saturating_sub(BATCH_BYTES - 1)).step_by(ALIGNMENT).find(|at| {
            BatchHeader::decode(&window[*at..], self.journal)
                .is_ok_and(|header| header.segment == self.segment && header.number > self.number)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JOURNAL: u64 = 77;

    fn header() -> SegmentHeader {
        SegmentHeader {
            journal: JOURNAL,
            first: 3,
            last: 3,
            batch: 10,
            previous_end: 0,
            previous_chain: 0,
            rewritten: None,
        }
    }

    /// The bytes of batches with such bodies, and where each ends.
    fn batches(bodies: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (header().encode(), Vec::new());
        let mut scan = Scan::new(&header());
        for body in bodies {
            let mut body = body.clone();
            body.resize(body.len().next_multiple_of(ALIGNMENT), 0);
            let batch = BatchHeader {
                body: u32::try_from(body.len()).unwrap(),
                number: scan.number,
                segment: 3,
                records: 0,
                previous: scan.chain,
                checksum: crc32c(&body),
            };
            bytes.extend_from_slice(&batch.encode(JOURNAL));
            bytes.extend_from_slice(&body);
            scan.body(&batch, &body).unwrap();
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// How many batches are whole, and whether a later one stands behind the break.
    fn judge(bytes: &[u8]) -> (usize, bool) {
        let (mut scan, mut whole) = (Scan::new(&header()), 0);
        loop {
            let at = usize::try_from(scan.at).unwrap().min(bytes.len());
            if let Next::Batch(batch) = scan.next(&bytes[at..]) {
                let body = &bytes[at + BATCH_BYTES..];
                let body = &body[..body.len().min(batch.body as usize)];
                if scan.body(&batch, body).is_ok() {
                    whole += 1;
                    continue;
                }
            }
            return (whole, scan.later(&bytes[at..]).is_some());
        }
    }

    fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..6)
    }

    proptest! {
        #[test]
        fn every_cut_leaves_the_whole_batches_before_it(bodies in bodies(), at in any::<prop::sample::Index>()) {
            let (bytes, ends) = batches(&bodies);
            prop_assert_eq!(judge(&bytes), (bodies.len(), false));
            let cut = SEGMENT_BYTES + at.index(bytes.len() - SEGMENT_BYTES);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            prop_assert_eq!(judge(&bytes[..cut]), (whole, false));
        }

        #[test]
        fn a_flip_is_a_torn_end_in_the_last_batch_and_a_hole_before_it(
            bodies in bodies(),
            at in any::<prop::sample::Index>(),
        ) {
            let (mut bytes, ends) = batches(&bodies);
            let bit = SEGMENT_BYTES * 8 + at.index((bytes.len() - SEGMENT_BYTES) * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let before = ends.iter().filter(|end| **end <= bit / 8).count();
            prop_assert_eq!(judge(&bytes), (before, before + 1 < bodies.len()));
        }
    }
}

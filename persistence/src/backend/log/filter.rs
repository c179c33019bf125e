//! Could a segment hold anything of an id?
//!
//! A Bloom filter in blocks of 64 bytes: about 12 bits for each id, all of them in one block, so that one read decides. It never says no to an
//! id that is there, and about one time in a hundred says yes to one that is not.

/// The bytes of a block.
pub(crate) const BLOCK: usize = 64;
const BITS: usize = BLOCK * 8;
const IDS_PER_BLOCK: usize = 42;
const PROBES: u32 = 6;

/// The filter of these hashes.
pub(crate) fn build(hashes: &[u64]) -> Vec<u8> {
    let blocks = hashes.len().div_ceil(IDS_PER_BLOCK).max(1);
    let mut bytes = vec![0; blocks * BLOCK];
    for hash in hashes {
        let start = block(*hash, blocks) * BLOCK;
        for bit in bits(*hash) {
            bytes[start + bit / 8] |= 1 << (bit % 8);
        }
    }
    bytes
}

/// Which of `blocks` blocks decides about `hash`.
pub(crate) fn block(hash: u64, blocks: usize) -> usize {
    usize::try_from((u128::from(hash) * blocks as u128) >> 64).expect("less than the number of blocks")
}

/// Whether the block that decides about `hash` says that it may be there.
pub(crate) fn may_hold(block: &[u8], hash: u64) -> bool {
    bits(hash).all(|bit| block[bit / 8] & (1 << (bit % 8)) != 0)
}

fn bits(hash: u64) -> impl Iterator<Item = usize> {
    // The upper bits chose the block; a multiplication spreads what the lower ones still have to say.
    let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PROBES).map(move |probe| (spread >> (10 * probe) & 0x3ff) as usize % BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::Random;

    #[test]
    fn what_is_there_is_never_denied_and_the_rest_nearly_always() {
        let mut random = Random::new(1);
        let there: Vec<u64> = (0..5000).map(|_| random.next()).collect();
        let filter = build(&there);
        let blocks = filter.len() / BLOCK;
        let holds = |hash| may_hold(&filter[block(hash, blocks) * BLOCK..][..BLOCK], hash);
        assert!(there.iter().all(|hash| holds(*hash)));
        let wrong = (0..10_000).filter(|_| holds(random.next())).count();
        assert!(wrong < 300, "{wrong} of 10000");
        assert!(!may_hold(&build(&[]), 7));
    }
}

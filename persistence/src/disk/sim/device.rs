//! What does the device hold, what do programs see, and what is left of the difference when the power goes?
//!
//! # Invariants
//!
//! * `durable` changes in a sync, in a power cut, and by damage that a test asks for.

use std::collections::{BTreeMap, BTreeSet};

/// What a device writes as a whole.
pub(super) const SECTOR: usize = 512;

pub(super) struct State {
    pub(super) random: Random,
    pub(super) files: BTreeMap<u64, Contents>,
    pub(super) next_file: u64,
    /// The names as programs see them, and as the device holds them.
    pub(super) names: BTreeMap<String, u64>,
    pub(super) durable_names: BTreeMap<String, u64>,
    /// The changes to names since the folder was synced, oldest first.
    pub(super) renames: Vec<Change>,
    pub(super) locks: BTreeSet<String>,
    /// Rises with each power cut: files opened before are dead.
    pub(super) life: u64,
    pub(super) capacity: Option<u64>,
    pub(super) failing_syncs: u32,
    pub(super) failing_writes: u32,
    pub(super) short_reads: bool,
    pub(super) held: bool,
    pub(super) syncs: u64,
    pub(super) read_only: bool,
    /// After how many changes the power goes.
    pub(super) fuse: Option<u32>,
}

#[derive(Clone)]
pub(super) enum Change {
    Set(String, u64),
    Remove(String),
}

#[derive(Default)]
pub(super) struct Contents {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unsynced: Vec<Write>,
}

pub(super) enum Write {
    Bytes(usize, Vec<u8>),
    Size(usize),
}

/// A small generator of numbers: the same from the same seed, on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("less than a usize")
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            files: BTreeMap::new(),
            next_file: 1,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renames: Vec::new(),
            locks: BTreeSet::new(),
            life: 0,
            capacity: None,
            failing_syncs: 0,
            failing_writes: 0,
            short_reads: false,
            held: false,
            syncs: 0,
            read_only: false,
            fuse: None,
        }
    }

    pub(super) fn power_cut(&mut self) {
        self.life += 1;
        self.locks.clear();
        (self.failing_syncs, self.failing_writes, self.held, self.fuse) = (0, 0, false, None);
        let kept = self.random.below(self.renames.len() + 1);
        let in_order = self.random.below(2) == 0;
        for (n, change) in std::mem::take(&mut self.renames).into_iter().enumerate() {
            if if in_order { n < kept } else { self.random.below(2) == 0 } {
                change.apply(&mut self.durable_names);
            }
        }
        self.names.clone_from(&self.durable_names);
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.files.retain(|file, _| named.contains(file));
        for contents in self.files.values_mut() {
            for write in std::mem::take(&mut contents.unsynced) {
                write.partly(&mut contents.durable, &mut self.random);
            }
            contents.seen.clone_from(&contents.durable);
        }
    }

    /// Whether the power goes now.
    pub(super) fn burnt(&mut self) -> bool {
        match self.fuse {
            Some(0) => {
                self.power_cut();
                true
            }
            Some(left) => {
                self.fuse = Some(left - 1);
                false
            }
            None => false,
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[file].seen.len() as u64).sum()
    }
}

impl Change {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Set(name, file) => {
                names.retain(|_, other| other != file); // a rename takes the old name away
                names.insert(name.clone(), *file);
            }
            Self::Remove(name) => drop(names.remove(name)),
        }
    }
}

impl Write {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Size(size) => bytes.resize(*size, 0),
            Self::Bytes(at, new) => {
                let size = bytes.len().max(at + new.len());
                bytes.resize(size, 0);
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
        }
    }

    /// As much of it as reaches the device: all, nothing, or some sectors.
    pub(super) fn partly(&self, bytes: &mut Vec<u8>, random: &mut Random) {
        match (random.below(3), self) {
            (0, _) => {}
            (1, _) | (_, Self::Size(_)) => self.apply(bytes),
            (_, Self::Bytes(at, new)) => {
                let mut from = *at;
                while from < at + new.len() {
                    let to = ((from / SECTOR + 1) * SECTOR).min(at + new.len());
                    if random.below(2) == 0 {
                        Self::Bytes(from, new[from - at..to - at].to_vec()).apply(bytes);
                    }
                    from = to;
                }
            }
        }
    }
}

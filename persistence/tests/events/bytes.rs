//! What becomes of bytes that are not what was written?
//!
//! No input may end the program, and none may cost more memory than in proportion to it. What was damaged may still
//! be an event, another one: that bytes are those which were written is for the journal to check, which has a sum of them.

use std::fmt::Write as _;

use omnitron::event::Reason;
use omnitron::{Event, Stored};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::world::{self, Account, Everything};

/// How many times each event is damaged by the runner. `OMNITRON_MUTATIONS` says otherwise.
const MUTATIONS: u64 = 400;

/// A generator that everybody can repeat: the finaliser of `MurmurHash3` over a counter.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^ (x >> 33)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n.max(1) as u64).unwrap()
    }
}

/// Decodes bytes as each type in turn, and reads every value that comes out.
fn try_all(bytes: &[u8]) -> usize {
    let mut accepted = 0;
    let mut sink = String::new();
    for event_type in Everything::types() {
        let stored = Stored { name: event_type.name, version: event_type.version, fingerprint: None, bytes };
        match Everything::decode(stored) {
            Ok(event) => {
                // What came out is an event like any other: it can be shown, and stored again.
                write!(sink, "{event:?}").unwrap();
                let again = event.encode().unwrap();
                let same = Everything::decode(again.as_stored()).unwrap();
                assert_eq!(format!("{event:?}"), format!("{same:?}"));
                accepted += 1;
            }
            Err(error) => assert!(matches!(error.reason, Reason::Damaged { .. }), "{error}"),
        }
    }
    accepted
}

fn samples(seed: u8, count: usize) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]),
    );
    let events = world::everything();
    (0..count).map(|_| events.new_tree(&mut runner).unwrap().current().encode().unwrap().bytes).collect()
}

#[test]
fn every_prefix_every_suffix_and_every_flipped_bit_is_an_event_or_an_error() {
    for bytes in samples(1, 60).iter().filter(|it| it.len() < 300) {
        for at in 0..=bytes.len() {
            try_all(&bytes[..at]);
            try_all(&bytes[at..]);
        }
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            try_all(&flipped);
        }
    }
}

#[test]
fn whatever_is_done_to_the_bytes_is_an_event_or_an_error() {
    let mutations = std::env::var("OMNITRON_MUTATIONS").map_or(MUTATIONS, |it| it.parse().unwrap());
    let seed = std::env::var("OMNITRON_SEED").map_or(1, |it| it.parse().unwrap());
    println!("seed {seed}: repeat with OMNITRON_SEED={seed}");
    let mut dice = Dice(seed);
    let samples = samples(2, 60);
    for bytes in &samples {
        for _ in 0..mutations {
            let mut bytes = bytes.clone();
            for _ in 0..=dice.below(3) {
                mutate(&mut bytes, &samples, &mut dice);
            }
            try_all(&bytes);
        }
    }
}

/// One thing that may happen to bytes.
fn mutate(bytes: &mut Vec<u8>, samples: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(bytes.len());
    match dice.below(9) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
        1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][dice.below(6)],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(..at)),
        4 => bytes.extend((0..dice.below(24)).map(|n| n.to_le_bytes()[0].wrapping_mul(37))),
        5 => drop(bytes.splice(..0, (0..dice.below(24)).map(|_| 0xff))),
        6 if bytes.len() >= 4 => {
            // A length or a pointer that is off by a little, or by all there is.
            let at = dice.below(bytes.len() - 3) & !3;
            let value = [0, 1, 4, 5, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffc][dice.below(8)];
            let word = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let value = if dice.below(2) == 0 { value } else { word.wrapping_add(value) };
            bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        }
        7 => {
            let other = &samples[dice.below(samples.len())];
            bytes.truncate(at);
            bytes.extend(&other[dice.below(other.len())..]);
        }
        _ => {
            let (from, len) = (dice.below(bytes.len()), dice.below(16));
            let piece = bytes[from..(from + len).min(bytes.len())].to_vec();
            drop(bytes.splice(at..at, piece));
        }
    }
}

#[test]
fn bytes_of_other_types_are_an_event_or_an_error() {
    let accepted: usize = samples(3, 200).iter().map(|bytes| try_all(bytes)).sum();
    // Each of them is at least that which it was written as.
    assert!(accepted >= 200, "{accepted}");
}

#[test]
fn an_event_is_read_wherever_its_bytes_lie() {
    for event in world::accounts() {
        let encoded = event.encode().unwrap();
        let mut buffer = vec![0; encoded.bytes.len() + 32];
        for offset in 0..32 {
            buffer[offset..offset + encoded.bytes.len()].copy_from_slice(&encoded.bytes);
            let bytes = &buffer[offset..offset + encoded.bytes.len()];
            assert_eq!(Account::decode(Stored { bytes, ..encoded.as_stored() }).unwrap(), event);
        }
    }
}

#[test]
fn an_event_without_fields_has_no_bytes_and_takes_none() {
    let encoded = Account::Closed.encode().unwrap();
    assert_eq!(encoded.bytes, [0_u8; 0]);
    let error = Account::decode(Stored { bytes: &[0], ..encoded.as_stored() }).unwrap_err();
    assert!(matches!(error.reason, Reason::Damaged { len: 1, .. }), "{error}");
}

#[test]
fn damage_is_an_error_that_names_what_was_expected_and_says_what_to_do() {
    let encoded = world::accounts()[1].encode().unwrap();
    let bytes = &encoded.bytes[1..];
    let error = Account::decode(Stored { bytes, ..encoded.as_stored() }).unwrap_err();
    let text = error.to_string();
    for part in ["`account.withdrawn`", "version 2", "::Account`", "restore"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(!cause.is_empty() && !cause.contains("0x"), "{cause}");
}

#[test]
fn a_length_that_promises_more_than_there_is_takes_no_memory() {
    let mut bytes =
        Everything::Lists { bytes: vec![1; 64], wide: vec![].into(), boxed: Box::new([]), array: [0; 5] }
            .encode()
            .unwrap()
            .bytes;
    let length = bytes.windows(4).rposition(|it| it == 64_u32.to_le_bytes()).unwrap();
    bytes[length..length + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let stored = Stored { name: "everything.lists", version: 1, fingerprint: None, bytes: &bytes };
    assert!(matches!(Everything::decode(stored).unwrap_err().reason, Reason::Damaged { .. }));
}

proptest! {
    #[test]
    fn bytes_from_nowhere_are_an_event_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        try_all(&bytes);
    }
}

//! Are the bytes of today those that were written first?
//!
//! Each file of `tests/fixtures/events` is the content of one event. A difference means that journals can no longer be
//! read: give the encoding a new version in `FORMAT`, and keep reading the old one. `OMNITRON_WRITE_FIXTURES=1` writes
//! files that are missing, and never one that is there.

use std::fs;
use std::path::PathBuf;

use omnitron::event::FORMAT;
use omnitron::{Event, Timestamp};

use crate::world::{self, Account, CustomerId, Everything, Money, Shape, Tree, Unit};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events")
}

fn compare<E: Event + std::fmt::Debug + PartialEq>(event: &E) {
    let encoded = event.encode().unwrap();
    let path = folder().join(format!("{}.{}.bin", encoded.name, encoded.version));
    if !path.exists() && std::env::var_os("OMNITRON_WRITE_FIXTURES").is_some() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(&path, &encoded.bytes).unwrap();
    }
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(encoded.bytes, bytes, "{} is written differently now", encoded.name);
    let stored = omnitron::Stored { bytes: &bytes, ..encoded.as_stored() };
    assert_eq!(&E::decode(stored).unwrap(), event, "{} is read differently now", encoded.name);
}

fn euros(cents: u64) -> Money {
    Money { cents, currency: world::Currency::Euro }
}

#[test]
fn the_bytes_of_the_first_version_are_read_and_written() {
    assert_eq!(FORMAT, [1, b'L', b'A', 4]);
    for event in world::accounts() {
        compare::<Account>(&event);
    }
    let mut next = 0;
    compare(&world::Wide::of(|| {
        next += 1;
        next
    }));
    for event in [
        Everything::Numbers(1, 2, 3, 4, 5, -1, -2, -3, -4, -5),
        Everything::Others {
            small: 1.try_into().unwrap(),
            middle: 2.try_into().unwrap(),
            large: (-3).try_into().unwrap(),
            float: 1.5,
            double: -2.5,
            truth: true,
            letter: 'ß',
            span: std::time::Duration::new(7, 8),
            at: Timestamp::from_nanos(-9),
        },
        Everything::Text("a text that is longer than eight bytes".to_owned()),
        Everything::Texts(
            "short".into(),
            None,
            vec![String::new(), "exactly8".to_owned(), "and nine!".to_owned()],
        ),
        Everything::Addresses(
            "2001:db8::1".parse().unwrap(),
            "192.0.2.1".parse().unwrap(),
            "2001:db8::2".parse().unwrap(),
        ),
        Everything::Lists {
            bytes: vec![1, 2, 3],
            wide: [1, u128::MAX].into(),
            boxed: [euros(1), euros(2)].into(),
            array: [1, 2, 3, 4, 5],
        },
        Everything::Maps(
            (0..12)
                .map(|n| (CustomerId(n), Shape::Box { width: 1, height: n, label: "a box".to_owned() }))
                .collect(),
            [("key".to_owned(), vec![1, 2])].into(),
            [world::Currency::Dollar].into(),
        ),
        Everything::Nested((1, (2, true)), Some(Some(Box::new(euros(3)))), Unit, world::Empty {}),
        Everything::Tree(Tree { value: 1, inside: vec![Tree { value: 2, inside: vec![] }, Tree::default()] }),
    ] {
        compare(&event);
    }
}

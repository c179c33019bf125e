//! Does an event come back from its bytes as it was, and does a program say so when it cannot read one?
//!
//! Here: names, versions and fingerprints of what the derive makes, and events of every form. `bytes` has what
//! is damaged, `old` the events of older programs, `fixtures` the bytes of the first version, `schema` the
//! file which records what there is. `ui` has the mistakes, each beside what rustc says.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

extern crate omnitron_persistence as omnitron;

mod bytes;
mod fixtures;
mod old;
mod schema;
mod world;

use omnitron::event::{MAX_EVENT_BYTES, MAX_EVENT_DEPTH, Reason};
use omnitron::{Event, Fingerprint, Stored, Timestamp};
use proptest::prelude::*;

use crate::world::{Account, Currency, CustomerId, Everything, Money, Order, Renamed, Tree, Wide};

#[test]
fn a_name_follows_from_enum_and_variant_unless_it_is_given() {
    let names = |types: &'static [omnitron::EventType]| {
        types.iter().map(|it| (it.name, it.version)).collect::<Vec<_>>()
    };
    assert_eq!(
        names(Account::types()),
        [
            ("account.opened", 1),
            ("account.withdrawn", 2),
            ("account.limit_changed", 1),
            ("account.closed", 1)
        ]
    );
    assert_eq!(names(Renamed::types()), [("sales.order-placed", 1), ("orders.paid", 7)]);
    assert_eq!(names(Order::types()), [("order", 1)]);
}

#[test]
fn an_event_has_the_type_of_its_variant() {
    for (at, event) in world::accounts().iter().enumerate() {
        assert_eq!(event.event_type(), &Account::types()[at]);
        let encoded = event.encode().unwrap();
        let found = (encoded.name, encoded.version, encoded.fingerprint);
        let expected = event.event_type();
        assert_eq!(found, (expected.name, expected.version, expected.fingerprint));
    }
}

#[test]
fn a_shape_shows_the_fields_down_to_the_standard_library() {
    let shapes: Vec<_> = Account::types().iter().map(|it| it.shape.as_str()).collect();
    assert_eq!(
        shapes,
        [
            "{owner: (u64), currency: enum{Euro, Dollar}}",
            "{money: {cents: u64, currency: enum{Euro, Dollar}}, at: {nanos: i64}}",
            "(Option<u64>)",
            "{}",
        ]
    );
    for event_type in Account::types() {
        assert_eq!(event_type.fingerprint, Fingerprint::of(&event_type.shape));
    }
}

/// The same names and other fields, one change at a time.
mod changed {
    use omnitron::{Event, Schema};

    macro_rules! variations {
        ($($module:ident: { $($body:tt)* } $rest:item)*) => {
            $(pub(crate) mod $module {
                use super::*;

                $rest

                #[derive(Event)]
                #[event(name = "changed")]
                pub(crate) struct Changed { $($body)* }
            })*

            pub(crate) fn all() -> Vec<&'static omnitron::EventType> {
                vec![$(&<$module::Changed as Event>::types()[0]),*]
            }
        };
    }

    variations! {
        plain: { a: u64, b: Part } #[derive(Schema)] struct Part { c: u8 }
        other_name: { x: u64, b: Part } #[derive(Schema)] struct Part { c: u8 }
        other_type: { a: i64, b: Part } #[derive(Schema)] struct Part { c: u8 }
        other_order: { b: Part, a: u64 } #[derive(Schema)] struct Part { c: u8 }
        one_more: { a: u64, b: Part, z: bool } #[derive(Schema)] struct Part { c: u8 }
        optional: { a: Option<u64>, b: Part } #[derive(Schema)] struct Part { c: u8 }
        inner_name: { a: u64, b: Part } #[derive(Schema)] struct Part { x: u8 }
        inner_type: { a: u64, b: Part } #[derive(Schema)] struct Part { c: u16 }
        inner_form: { a: u64, b: Part } #[derive(Schema)] struct Part(u8);
        inner_enum: { a: u64, b: Part } #[derive(Schema)] enum Part { C(u8) }
        inner_variant: { a: u64, b: Part } #[derive(Schema)] enum Part { C(u8), D }
        inner_order: { a: u64, b: Part } #[derive(Schema)] enum Part { D, C(u8) }
    }
}

#[test]
fn a_fingerprint_changes_with_every_field_and_with_every_type_inside() {
    let all = changed::all();
    for (at, one) in all.iter().enumerate() {
        for other in &all[..at] {
            assert_ne!(one.fingerprint, other.fingerprint, "{} and {}", one.shape, other.shape);
        }
    }
}

#[test]
fn a_fingerprint_stays_when_types_are_renamed() {
    mod elsewhere {
        use omnitron::Schema;

        #[derive(Schema)]
        pub(super) enum Valuta {
            Euro,
            Dollar,
        }
    }

    #[derive(Event)]
    #[event(name = "account.opened")]
    struct OtherName {
        owner: (u64,),
        currency: elsewhere::Valuta,
    }

    let event = OtherName { owner: (7,), currency: elsewhere::Valuta::Dollar };
    let encoded = event.encode().unwrap();
    assert_eq!(encoded.fingerprint, Account::types()[0].fingerprint);
    let read = Account::decode(encoded.as_stored()).unwrap();
    assert_eq!(read, Account::Opened { owner: CustomerId(7), currency: Currency::Dollar });
    assert!(matches!(OtherName::decode(encoded.as_stored()).unwrap().currency, elsewhere::Valuta::Dollar));
}

proptest! {
    #[test]
    fn every_event_comes_back_as_it_was(event in world::everything()) {
        let encoded = event.encode().unwrap();
        prop_assert_eq!(Everything::decode(encoded.as_stored()).unwrap(), event);
    }

    #[test]
    fn the_same_event_has_the_same_bytes(event in world::everything()) {
        prop_assert_eq!(event.encode().unwrap(), event.encode().unwrap());
    }
}

#[test]
fn an_event_of_many_fields_comes_back_in_their_order() {
    let mut n = 0;
    let event = Wide::of(|| {
        n += 1;
        n
    });
    assert_eq!(Wide::decode(event.encode().unwrap().as_stored()).unwrap(), event);
}

#[test]
fn an_event_as_large_as_may_be_is_stored_and_one_byte_more_is_refused() {
    // The tag and the bytes of a text: its length and place, and what fills up to them.
    let text = |len: usize| Everything::Text("x".repeat(len));
    let overhead = text(1000).encode().unwrap().bytes.len() - 1000;
    let largest = text(MAX_EVENT_BYTES - overhead);
    let encoded = largest.encode().unwrap();
    assert_eq!(encoded.bytes.len(), MAX_EVENT_BYTES);
    assert_eq!(Everything::decode(encoded.as_stored()).unwrap(), largest);

    let error = text(MAX_EVENT_BYTES - overhead + 1).encode().unwrap_err();
    assert_eq!((error.name, error.version), ("everything.text", 1));
    assert!(error.fault.to_string().contains("at most 16777216"), "{}", error.fault);

    let mut bytes = encoded.bytes.clone();
    bytes.insert(0, 0);
    let error = Everything::decode(Stored { bytes: &bytes, ..encoded.as_stored() }).unwrap_err();
    assert!(matches!(error.reason, Reason::Damaged { len, .. } if len == MAX_EVENT_BYTES + 1), "{error}");
}

#[test]
fn an_event_as_deep_as_may_be_is_stored_and_one_step_more_is_refused() {
    let deep =
        |depth: usize| (1..depth).fold(Tree::default(), |tree, _| Tree { value: 1, inside: vec![tree] });
    // The event itself is a step, and so is every list, also the last, which is empty.
    let deepest = Everything::Tree(deep(MAX_EVENT_DEPTH - 1));
    let encoded = deepest.encode().unwrap();
    assert_eq!(Everything::decode(encoded.as_stored()).unwrap(), deepest);
    let error = Everything::Tree(deep(MAX_EVENT_DEPTH)).encode().unwrap_err();
    assert!(error.fault.to_string().contains("depth"), "{}", error.fault);
}

#[test]
fn an_event_of_an_unknown_type_is_an_error_that_names_both_sides() {
    let mut stored = Order { id: 1 }.encode().unwrap();
    stored.name = "basket.emptied";
    let error = Account::decode(stored.as_stored()).unwrap_err();
    assert_eq!((error.name.as_str(), error.version), ("basket.emptied", 1));
    let text = error.to_string();
    for part in
        ["`basket.emptied`", "::Account`", "`account.opened`", "`account.withdrawn`", "start that one"]
    {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(matches!(error.reason, Reason::UnknownName { known } if known.len() == 4));
}

#[test]
fn a_name_from_a_damaged_disk_harms_no_terminal() {
    let name = format!("a\u{1b}[2J{}", "x".repeat(1_000_000));
    let stored = Stored { name: &name, version: 1, fingerprint: None, bytes: &[] };
    let text = Account::decode(stored).unwrap_err().to_string();
    assert!(!text.contains('\u{1b}') && text.len() < 1_000, "{text}");
}

#[test]
fn an_event_of_a_newer_version_is_an_error_that_names_both_versions() {
    let mut stored = world::accounts()[1].encode().unwrap();
    stored.version = 3;
    let error = Account::decode(stored.as_stored()).unwrap_err();
    assert!(matches!(error.reason, Reason::NewerVersion { known: 2 }));
    let text = error.to_string();
    assert!(
        text.contains("version 3") && text.contains("up to version 2") && text.contains("start"),
        "{text}"
    );
}

#[test]
fn an_event_of_an_old_version_without_a_conversion_is_an_error_that_says_so() {
    let mut stored = world::accounts()[1].encode().unwrap();
    stored.version = 1;
    let error = Account::decode(stored.as_stored()).unwrap_err();
    assert!(matches!(error.reason, Reason::ForgottenVersion { known: 2 }));
    let text = error.to_string();
    assert!(
        text.contains("version 1") && text.contains("from version 2 on") && text.contains("from ="),
        "{text}"
    );
}

#[test]
fn an_event_of_another_shape_is_an_error_that_names_both_fingerprints() {
    let stored = world::accounts()[3].encode().unwrap();
    let other = Fingerprint(7);
    let error = Account::decode(Stored { fingerprint: Some(other), ..stored.as_stored() }).unwrap_err();
    let text = error.to_string();
    let known = stored.fingerprint.to_string();
    for part in ["0000000000000007", &known, "`{}`", "without a new version", "version 2"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    // Without the fingerprint, only the bytes count.
    assert_eq!(Account::decode(Stored { fingerprint: None, ..stored.as_stored() }).unwrap(), Account::Closed);
}

#[test]
fn money_is_a_part_like_any_other() {
    let event = Account::Withdrawn {
        money: Money { cents: 5, currency: Currency::Euro },
        at: Timestamp::from_nanos(9),
    };
    assert_eq!(Account::decode(event.encode().unwrap().as_stored()).unwrap(), event);
}

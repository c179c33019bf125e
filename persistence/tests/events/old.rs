//! Do events of older programs become those of today?

use omnitron::event::Reason;
use omnitron::{Event, Schema, Stored};

/// What it was called at first.
#[derive(Event)]
#[event(name = "shipment.dispatched")]
struct Dispatched(String);

#[derive(Event)]
#[event(name = "shipment.sent", from = Dispatched)]
struct SentV1 {
    to: String,
}

impl From<Dispatched> for SentV1 {
    fn from(old: Dispatched) -> Self {
        Self { to: old.0 }
    }
}

#[derive(Event)]
#[event(name = "shipment.sent", version = 2, from = SentV1)]
struct SentV2 {
    street: String,
    country: Option<String>,
}

impl From<SentV1> for SentV2 {
    fn from(old: SentV1) -> Self {
        Self { street: old.to, country: None }
    }
}

/// A whole enum that is no more.
#[derive(Event)]
#[event(name = "parcel")]
enum Parcel {
    Lost,
    #[event(name = "parcel.opened.by-customs", version = 4)]
    Opened(u32),
}

#[derive(Debug, Event, PartialEq)]
#[event(name = "shipment", from = Parcel)]
enum Shipment {
    #[event(version = 3, from = SentV2)]
    Sent {
        street: String,
        country: Country,
    },
    #[event(from = Returned)]
    CameBack {
        after_days: u32,
    },
    Ended(Why),
}

/// An event that was renamed: another name, so any version.
#[derive(Event)]
#[event(name = "shipment.returned", version = 9)]
struct Returned(u32);

#[derive(Debug, PartialEq, Schema)]
enum Country {
    Unknown,
    Known(String),
}

#[derive(Debug, PartialEq, Schema)]
enum Why {
    Lost,
    Customs(u32),
}

impl From<SentV2> for Shipment {
    fn from(old: SentV2) -> Self {
        Self::Sent { street: old.street, country: old.country.map_or(Country::Unknown, Country::Known) }
    }
}

impl From<Returned> for Shipment {
    fn from(old: Returned) -> Self {
        Self::CameBack { after_days: old.0 }
    }
}

impl From<Parcel> for Shipment {
    fn from(old: Parcel) -> Self {
        Self::Ended(match old {
            Parcel::Lost => Why::Lost,
            Parcel::Opened(by) => Why::Customs(by),
        })
    }
}

fn read(event: &impl Event) -> Shipment {
    Shipment::decode(event.encode().unwrap().as_stored()).unwrap()
}

#[test]
fn an_old_event_goes_through_every_version_up_to_that_of_today() {
    let street = || "Main Street".to_owned();
    assert_eq!(read(&Dispatched(street())), Shipment::Sent { street: street(), country: Country::Unknown });
    assert_eq!(
        read(&SentV1 { to: street() }),
        Shipment::Sent { street: street(), country: Country::Unknown }
    );
    assert_eq!(
        read(&SentV2 { street: street(), country: Some("FR".to_owned()) }),
        Shipment::Sent { street: street(), country: Country::Known("FR".to_owned()) }
    );
    let today = Shipment::Sent { street: street(), country: Country::Unknown };
    assert_eq!(read(&today), today);
}

#[test]
fn an_event_that_was_renamed_or_removed_is_read_as_what_it_became() {
    assert_eq!(read(&Returned(3)), Shipment::CameBack { after_days: 3 });
    assert_eq!(read(&Parcel::Lost), Shipment::Ended(Why::Lost));
    assert_eq!(read(&Parcel::Opened(17)), Shipment::Ended(Why::Customs(17)));
}

#[test]
fn what_is_read_is_what_is_written_and_all_that_is_converted() {
    let names: Vec<_> = Shipment::readable().iter().map(|it| (it.name, it.version)).collect();
    assert_eq!(
        names,
        [
            ("shipment.sent", 3),
            ("shipment.came_back", 1),
            ("shipment.ended", 1),
            ("parcel.lost", 1),
            ("parcel.opened.by-customs", 4),
            ("shipment.sent", 2),
            ("shipment.sent", 1),
            ("shipment.dispatched", 1),
            ("shipment.returned", 9),
        ]
    );
    assert_eq!(Shipment::types().len(), 3);
}

#[test]
fn an_old_event_whose_fingerprint_is_another_is_refused_by_its_own_type() {
    let stored = SentV1 { to: String::new() }.encode().unwrap();
    let other = Stored { fingerprint: Some(omnitron::Fingerprint(1)), ..stored.as_stored() };
    let error = Shipment::decode(other).unwrap_err();
    assert!(error.wanted.ends_with("SentV1"), "{error}");
    assert!(matches!(error.reason, Reason::OtherShape { .. }));
}

#[test]
fn a_newer_version_is_compared_with_the_newest_of_the_family_and_an_older_one_with_the_oldest() {
    let mut stored = Returned(1).encode().unwrap();
    stored.version = 10;
    let error = Shipment::decode(stored.as_stored()).unwrap_err();
    assert!(matches!(error.reason, Reason::NewerVersion { known: 9 }), "{error}");
    stored.version = 8;
    let error = Shipment::decode(stored.as_stored()).unwrap_err();
    assert!(matches!(error.reason, Reason::ForgottenVersion { known: 9 }), "{error}");
}

/// Read and written by a release that is rolled out before anybody writes version 2.
#[derive(Debug, Event, PartialEq)]
enum Between {
    #[event(name = "order.placed")]
    Placed(String),
    #[event(name = "order.placed", version = 2)]
    PlacedBy(String, Option<u32>),
}

#[test]
fn two_versions_of_one_name_are_variants_side_by_side() {
    for (event, version) in
        [(Between::Placed("a".to_owned()), 1), (Between::PlacedBy("a".to_owned(), Some(7)), 2)]
    {
        let stored = event.encode().unwrap();
        assert_eq!((stored.as_stored().name, stored.version), ("order.placed", version));
        assert_eq!(Between::decode(stored.as_stored()).unwrap(), event);
    }
    let mut stored = Between::Placed(String::new()).encode().unwrap();
    stored.version = 3;
    let error = Between::decode(stored.as_stored()).unwrap_err();
    assert!(matches!(error.reason, Reason::NewerVersion { known: 2 }), "{error}");
}

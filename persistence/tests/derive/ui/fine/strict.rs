//! A program that forbids all that it can gets no warning from what is generated.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, unnameable_types, unused_qualifications)]

extern crate omnitron_persistence as omnitron;

mod events {
    // Names of the prelude which mean something else here.
    #[allow(dead_code)]
    struct Result;
    #[allow(dead_code)]
    struct Option;
    #[allow(dead_code)]
    struct Vec;

    /// What happens to an account.
    #[derive(omnitron::Event)]
    pub(crate) enum AccountEvent {
        /// Money went out.
        #[event(version = 2, from = Withdrawn)]
        Withdrawn {
            /// How much.
            money: Money,
            /// A name that is a word of the language.
            r#type: Kind,
        },
        Closed,
    }

    #[derive(omnitron::Event)]
    #[event(name = "account.withdrawn")]
    pub(crate) struct Withdrawn(pub(crate) Cents);

    impl From<Withdrawn> for AccountEvent {
        fn from(old: Withdrawn) -> Self {
            Self::Withdrawn { money: Money { cents: old.0 }, r#type: Kind::Transfer(None::<u8>.map(u64::from)) }
        }
    }

    #[derive(omnitron::Schema)]
    pub(crate) struct Cents(pub(crate) u64);

    #[derive(omnitron::Schema)]
    pub(crate) struct Money {
        pub(crate) cents: Cents,
    }

    #[derive(omnitron::Schema)]
    pub(crate) enum Kind {
        Cash,
        Transfer(core::option::Option<u64>),
    }
}

fn main() {
    use omnitron::Event as _;

    let stored = events::Withdrawn(events::Cents(5)).encode().unwrap();
    match events::AccountEvent::decode(stored.as_stored()).unwrap() {
        events::AccountEvent::Withdrawn { money, r#type: events::Kind::Transfer(None) } => {
            assert_eq!(money.cents.0, 5);
        }
        events::AccountEvent::Withdrawn { r#type: events::Kind::Cash, .. } => panic!("no cash"),
        _ => panic!("another event"),
    }
    assert!(events::AccountEvent::Closed.encode().unwrap().bytes.is_empty());
}

//! How do events that an older program wrote become events of today?
//!
//! An old version stays in the program as a plain type with its own `#[derive(Event)]`, and `From` leads to the next version:
//!
//! ```
//! # extern crate omnitron_persistence as omnitron;
//! use omnitron::{Event, Schema};
//!
//! #[derive(Event)]
//! #[event(name = "account.withdrawn")]
//! struct WithdrawnV1 {
//!     euros: u32,
//! }
//!
//! #[derive(Event)]
//! #[event(name = "account.withdrawn", version = 2, from = WithdrawnV1)]
//! struct WithdrawnV2 {
//!     cents: u64,
//! }
//!
//! impl From<WithdrawnV1> for WithdrawnV2 {
//!     fn from(old: WithdrawnV1) -> Self {
//!         Self { cents: u64::from(old.euros) * 100 }
//!     }
//! }
//!
//! #[derive(Debug, Event, PartialEq)]
//! enum AccountEvent {
//!     #[event(version = 3, from = WithdrawnV2)]
//!     Withdrawn { cents: u64, currency: Currency },
//!     Closed,
//! }
//!
//! #[derive(Debug, PartialEq, Schema)]
//! enum Currency {
//!     Euro,
//!     Dollar,
//! }
//!
//! impl From<WithdrawnV2> for AccountEvent {
//!     fn from(old: WithdrawnV2) -> Self {
//!         Self::Withdrawn { cents: old.cents, currency: Currency::Euro }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stored = WithdrawnV1 { euros: 5 }.encode()?;
//! let event = AccountEvent::decode(stored.as_stored())?;
//! assert_eq!(event, AccountEvent::Withdrawn { cents: 500, currency: Currency::Euro });
//! # Ok(())
//! # }
//! ```
//!
//! A *family* is what an event type reads: its own names and versions, and those of the types it is converted from, and theirs.
//!
//! # Invariants
//!
//! * Within a family, a name and version belongs to one type. Checked when the program is compiled.
//! * A type is made of lower versions of its own name, never of the same or higher ones.

use crate::event::Stored;

/// A name and a version.
#[doc(hidden)]
#[derive(Debug)]
pub struct Name {
    pub name: &'static str,
    pub version: u32,
}

/// What one Rust type writes, and the types it is made of when they are read.
#[doc(hidden)]
#[derive(Debug)]
pub struct Family {
    pub written: &'static [Name],
    pub old: &'static [&'static Family],
}

impl Family {
    /// Whether a type of this family is stored here.
    pub fn reads(&self, stored: Stored<'_>) -> bool {
        self.has(stored.name, stored.version)
    }

    const fn has(&self, name: &str, version: u32) -> bool {
        let mut at = 0;
        while at < self.written.len() {
            if self.written[at].version == version && same(self.written[at].name, name) {
                return true;
            }
            at += 1;
        }
        let mut at = 0;
        while at < self.old.len() {
            if self.old[at].has(name, version) {
                return true;
            }
            at += 1;
        }
        false
    }

    /// Whether any member of the family has this name with at least this version.
    const fn has_from(&self, name: &str, version: u32) -> bool {
        let mut at = 0;
        while at < self.written.len() {
            if self.written[at].version >= version && same(self.written[at].name, name) {
                return true;
            }
            at += 1;
        }
        let mut at = 0;
        while at < self.old.len() {
            if self.old[at].has_from(name, version) {
                return true;
            }
            at += 1;
        }
        false
    }

    /// Whether something of `other` is in this family, too.
    const fn overlaps(&self, other: &Self) -> bool {
        let mut at = 0;
        while at < other.written.len() {
            if self.has(other.written[at].name, other.written[at].version) {
                return true;
            }
            at += 1;
        }
        let mut at = 0;
        while at < other.old.len() {
            if self.overlaps(other.old[at]) {
                return true;
            }
            at += 1;
        }
        false
    }
}

/// Checks, when the program is compiled, that the type that is converted from at `at` fits beside all others.
#[doc(hidden)]
pub const fn checked(family: &Family, at: usize) {
    let old = family.old[at];
    let mut own = 0;
    while own < family.written.len() {
        let &Name { name, version } = &family.written[own];
        assert!(
            !old.has_from(name, version),
            "this type has the version of what it is converted to, or a higher one: give the new fields a higher `version`"
        );
        own += 1;
    }
    let mut other = 0;
    while other < at {
        assert!(
            !old.overlaps(family.old[other]),
            "another type after `from` reads the same name and version: name each of them once"
        );
        other += 1;
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = a.len();
    // From the end, because names of one family begin alike.
    while at > 0 {
        at -= 1;
        if a[at] != b[at] {
            return false;
        }
    }
    true
}

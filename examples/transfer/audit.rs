//! Is all the money there? Reads every event of the journal, and looks at the sum behind each.
//!
//! What was paid and not yet credited is underway: it lies in the journal as a post. So at every position of the journal, what the accounts hold and what is
//! underway are together what there was in the beginning, unless something was credited twice, or without having been paid.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use omnitron::backend::{JournalBackend, SlicesQuery};
use omnitron::prelude::*;
use omnitron::{Ordinal, Stored};

use crate::account::{AccountEvent, OPENING};

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Audit {
    pub(crate) paid: u64,
    pub(crate) credited: u64,
    /// Cents that were paid and not yet credited.
    pub(crate) underway: i64,
    /// What all accounts hold together.
    pub(crate) held: i64,
}

/// Reads the journal of so many accounts.
pub(crate) async fn audit(
    backend: &dyn JournalBackend,
    accounts: u64,
) -> Result<Audit, crate::program::Error> {
    let after = backend.slices().iter().map(|slice| (slice, Ordinal::ZERO)).collect();
    let mut events = backend.read_slices(SlicesQuery { after, tag: None });
    let total = OPENING * i64::try_from(accounts)?;
    let mut audit = Audit { held: total, ..Audit::default() };
    let (mut open, mut credited) = (BTreeMap::new(), BTreeSet::new());
    while let Some(recorded) = events.try_next().await? {
        let event = &recorded.event;
        if !matches!(&*event.name, "account.paid" | "account.credited") {
            continue;
        }
        let stored =
            Stored { name: &event.name, version: event.version, fingerprint: None, bytes: &event.payload };
        match AccountEvent::decode(stored)? {
            AccountEvent::Paid { number, cents } => {
                audit.paid += 1;
                (audit.held, audit.underway) = (audit.held - cents, audit.underway + cents);
                if open.insert(number, cents).is_some() {
                    return Err(format!("payment {number} was made twice").into());
                }
            }
            AccountEvent::Credited { number, cents } => {
                audit.credited += 1;
                (audit.held, audit.underway) = (audit.held + cents, audit.underway - cents);
                if !credited.insert(number) {
                    return Err(format!("payment {number} was credited twice").into());
                }
                if open.remove(&number) != Some(cents) {
                    return Err(format!("payment {number} was credited and not made, or not so").into());
                }
            }
        }
        if audit.held + audit.underway != total {
            return Err(format!(
                "at event {} of `{}` the sum is wrong: {audit:?}",
                recorded.sequence, recorded.id
            )
            .into());
        }
    }
    let posted: i64 = open.values().sum();
    if posted != audit.underway {
        return Err(format!("{posted} cents are posted: {audit:?}").into());
    }
    Ok(audit)
}

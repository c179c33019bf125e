//! Which journal is it, and are these all of its servers, in their order?
//!
//! The first server says who the journal is; the others have to agree. A journal is complete once every server has its row; until then whoever opens it goes on
//! with creating it.
//!
//! # Invariants
//!
//! * A server that belongs to a journal is never given to another one.
//! * A server that is empty is never taken for one of a journal that is complete.

use crate::backend::Fault;
use crate::backend::log::OpenError;
use crate::id::Slices;

/// What the row of a server says once the journal was created there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) journal: u64,
    /// Which of the servers it is, from 0.
    pub(crate) server: u32,
    pub(crate) servers: u32,
    pub(crate) slices: u32,
}

/// The row of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Found {
    pub(crate) identity: Option<Identity>,
    pub(crate) complete: bool,
}

const ORDER: &str = "Give the addresses in the order in which the journal was created";
const ALL: &str = "Give the addresses of all servers of the journal, in their order, and of no others";
const OTHER: &str = "Give the addresses of one journal, or empty databases to create a new one";
const SLICES: &str =
    "Open it with the number it has: it never changes. Copy the events into a new journal to get another";
const RESTORE: &str = "Correct the address, or restore this server from a copy: what it held is missing";

/// The journal that these servers are, as the first one has it; the others that have no row yet are to get theirs.
///
/// `wanted` is the number of slices that was asked for, `fresh` the number of a journal that is created.
pub(crate) fn agree(
    found: &[Found],
    places: &[&str],
    wanted: Option<Slices>,
    fresh: u64,
) -> Result<Identity, OpenError> {
    let servers = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let foreign = |what: String, place: &str, advice| OpenError::Foreign(Fault::new(what, place, advice));
    let owner = found.iter().find_map(|found| found.identity);
    let is_complete = found.iter().any(|found| found.complete);
    for (n, (found, place)) in (0..).zip(found.iter().zip(places)) {
        let (Some(first), which) = (owner, format!("address {} of {servers}", n + 1)) else { break };
        let Some(identity) = found.identity else {
            if is_complete {
                let what = format!(
                    "{which}, the database, is empty, and the other servers hold journal {:016x}",
                    first.journal
                );
                return Err(foreign(what, place, RESTORE));
            }
            continue;
        };
        if identity.journal != first.journal {
            let what = format!(
                "{which}, the database, holds journal {:016x}, and another address holds journal {:016x}",
                identity.journal, first.journal
            );
            return Err(foreign(what, place, OTHER));
        }
        if identity.servers != servers {
            let what =
                format!("the journal has {} servers, and {servers} addresses were given", identity.servers);
            return Err(foreign(what, place, ALL));
        }
        if identity.server != n {
            let what = format!("{which}, the database, is server {} of its journal", identity.server + 1);
            return Err(foreign(what, place, ORDER));
        }
        if let Some(wanted) = wanted
            && wanted.get() != identity.slices
        {
            let what =
                format!("the journal has {} slices, and {} were asked for", identity.slices, wanted.get());
            return Err(foreign(what, place, SLICES));
        }
    }
    let (journal, slices) = match owner {
        Some(first) => (first.journal, first.slices),
        None => (fresh, wanted.unwrap_or_default().get()),
    };
    if Slices::new(slices).is_none() {
        let what = format!("the table omnitron_journal says that there are {slices} slices");
        return Err(OpenError::Corrupt(Fault::new(
            what,
            places.first().copied().unwrap_or_default(),
            RESTORE,
        )));
    }
    Ok(Identity { journal, server: 0, servers, slices })
}

/// Refuses a server that is not the one it was, after a connection was made anew.
pub(crate) fn same(found: Found, expected: Identity, place: &str) -> Result<(), Fault> {
    if found.identity == Some(expected) {
        return Ok(());
    }
    let what = match found.identity {
        Some(other) => format!("this is server {} of journal {:016x} now", other.server + 1, other.journal),
        None => "this server holds no journal any more".to_owned(),
    };
    Err(Fault::new(what, place, RESTORE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [&str; 3] = ["a:1/x", "b:1/x", "c:1/x"];

    fn row(server: u32, servers: u32) -> Found {
        Found { identity: Some(Identity { journal: 7, server, servers, slices: 16 }), complete: true }
    }

    const EMPTY: Found = Found { identity: None, complete: false };

    fn refusal(found: &[Found], wanted: Option<u32>) -> String {
        let wanted = wanted.and_then(Slices::new);
        match agree(found, &PLACES[..found.len()], wanted, 9) {
            Err(error) => error.fault().to_string(),
            Ok(identity) => panic!("{identity:?}"),
        }
    }

    #[test]
    fn what_is_empty_becomes_a_journal_and_what_is_one_stays_it() {
        let new = agree(&[EMPTY, EMPTY], &PLACES[..2], None, 9).unwrap();
        assert_eq!(new, Identity { journal: 9, server: 0, servers: 2, slices: 256 });
        let known = agree(&[row(0, 2), row(1, 2)], &PLACES[..2], None, 9).unwrap();
        assert_eq!(known, Identity { journal: 7, server: 0, servers: 2, slices: 16 });
    }

    #[test]
    fn a_journal_whose_creation_was_broken_off_is_created_on() {
        let begun = Found { complete: false, ..row(0, 2) };
        assert_eq!(agree(&[begun, EMPTY], &PLACES[..2], None, 9).unwrap().journal, 7);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_server_and_what_to_do() {
        let other = Found {
            identity: Some(Identity { journal: 8, server: 1, servers: 2, slices: 16 }),
            complete: true,
        };
        for (found, wanted, expected) in [
            (&[row(1, 2), row(0, 2)][..], None, "address 1 of 2, the database, is server 2"),
            (&[row(0, 2)], None, "has 2 servers, and 1 addresses"),
            (&[row(0, 2), row(1, 2), EMPTY], None, "has 2 servers, and 3 addresses"),
            (&[row(0, 2), EMPTY], None, "address 2 of 2, the database, is empty"),
            (&[EMPTY, row(1, 2)], None, "address 1 of 2, the database, is empty"),
            (&[row(0, 2), other], None, "holds journal 0000000000000008"),
            (&[row(0, 2), row(1, 2)], Some(32), "16 slices, and 32 were asked for"),
            (&[row(0, 2), row(0, 2)], None, "address 2 of 2, the database, is server 1"),
        ] {
            let refusal = refusal(found, wanted);
            assert!(refusal.contains(expected), "{refusal}");
        }
    }

    #[test]
    fn a_server_that_is_another_one_after_a_while_is_refused() {
        let Some(expected) = row(1, 2).identity else { panic!() };
        assert!(same(row(1, 2), expected, "b").is_ok());
        assert!(same(EMPTY, expected, "b").is_err());
        assert!(same(row(0, 2), expected, "b").is_err());
    }
}

//! What does an error of the server mean: did it happen, and what is to be done?
//!
//! # Invariants
//!
//! * An error is taken for "nothing was written" only when the server itself says that the statement failed. Whatever else ends a statement that was
//!   sent leaves it open.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::backend::{Fault, WriteError};

const AGAIN: &str = "It is tried again by itself; look at the server and the network if it lasts";

/// What is to be said about an error.
pub(crate) fn fault(error: &Error, place: &str) -> Fault {
    match error.as_db_error() {
        Some(error) => of_server(error, place),
        None => {
            let mut what = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                what = format!("{what}: {error}");
                cause = error.source();
            }
            Fault::new(what, place, AGAIN)
        }
    }
}

/// The server did not answer in time.
pub(crate) fn late(doing: &str, place: &str) -> Fault {
    Fault::new(format!("no answer in time while {doing}"), place, AGAIN)
}

fn of_server(error: &DbError, place: &str) -> Fault {
    let what = format!("{} ({})", error.message(), error.code().code());
    Fault::new(what, place, advice(error.code()))
}

fn advice(code: &SqlState) -> &'static str {
    match code.code() {
        "28P01" | "28000" => {
            "Correct user and password in the address, or let pg_hba.conf of the server admit them"
        }
        "3D000" => "Create the database, or correct its name in the address",
        "3F000" => "Create the schema which the search path names, or correct that",
        "42501" => "Give the user the rights that docs/postgres.md lists",
        "42P01" | "42703" => "Tables of the journal were removed or changed by hand: restore them from a copy",
        "53100" => "Make room on the disk of the server",
        "53200" => "Give the server more memory",
        "53300" => "Allow the server more connections, or let less of them be used",
        "25006" => "This server takes no writes: name the one that does in the address, or several hosts to choose from",
        "55P03" => {
            "Somebody else opens this journal or holds its tables, or two addresses name the same database; try again"
        }
        _ => AGAIN,
    }
}

/// What is answered to those who wait for a statement that ended with this error.
pub(crate) fn written(error: &Error, place: &str) -> WriteError {
    let refused = error.as_db_error().is_some_and(refused);
    if refused { WriteError::Unavailable(fault(error, place)) } else { WriteError::Unknown(fault(error, place)) }
}

/// Whether the server says that nothing of the statement will ever be there.
fn refused(error: &DbError) -> bool {
    settled(error.parsed_severity() == Some(Severity::Error), error.code().code())
}

/// An error that ends the session may come after the commit, and so may one that interrupts it (class 57).
fn settled(ends_only_the_statement: bool, code: &str) -> bool {
    let open = ["08", "57", "58", "XX"].iter().any(|class| code.starts_with(class)) || code == "40003";
    ends_only_the_statement && !open
}

/// Whether the connection is to be made anew although it stands: this server takes no writes any more, or its tables are not those that were found.
pub(crate) fn ends_session(error: &Error) -> bool {
    error.code().is_none_or(|code| code.code() == "25006" || !settled(true, code.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_of_the_statement_itself_says_that_nothing_was_written() {
        for (code, expected) in [
            ("23505", true),
            ("53100", true),
            ("25006", true),
            ("42501", true),
            ("40001", true),
            ("40003", false), // "statement completion unknown"
            ("57014", false), // a cancel may come behind the commit
            ("57P01", false),
            ("58030", false),
            ("08006", false),
            ("XX000", false),
        ] {
            assert_eq!(settled(true, code), expected, "{code}");
            assert!(!settled(false, code), "{code} ended the session");
        }
    }

    #[test]
    fn what_people_can_correct_comes_with_words_of_its_own() {
        for code in ["28P01", "28000", "3D000", "3F000", "42501", "42P01", "53100", "53300", "25006", "55P03"] {
            assert_ne!(advice(&SqlState::from_code(code)), AGAIN, "{code}");
        }
        assert_eq!(advice(&SqlState::from_code("40P01")), AGAIN);
    }
}

//! What does an error of the server mean: did it happen, and what is to be done?
//!
//! # Invariants
//!
//! * An error is taken for "nothing was written" only when the server itself says that the statement failed. Whatever else ends a statement that was
//!   sent leaves it open.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::backend::{Fault, ReadError, WriteError};

const AGAIN: &str = "Look at the server and the network; a program that runs tries again by itself";

/// What is to be said about an error.
pub(crate) fn fault(error: &Error, place: &str) -> Fault {
    if let Some(error) = error.as_db_error() {
        return of_server(error, place);
    }
    let mut what = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        what = format!("{what}: {error}");
        cause = error.source();
    }
    // What the driver says of a server that is a standby.
    let is_standby = what.contains("does not allow writes");
    Fault::new(what, place, if is_standby { advice(&SqlState::READ_ONLY_SQL_TRANSACTION) } else { AGAIN })
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
        "42P01" | "42703" => {
            "Tables of the journal were removed or changed by hand: restore them from a copy"
        }
        "53100" => "Make room on the disk of the server",
        "53200" => "Give the server more memory",
        "53300" => "Allow the server more connections, or let less of them be used",
        "25006" => {
            "This server takes no writes: name the one that does in the address, or several hosts to choose from"
        }
        "55P03" => {
            "Somebody else opens this journal or holds its tables, or two addresses name the same database; try again"
        }
        _ => AGAIN,
    }
}

/// What came of a statement that did not succeed.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// What is to be said about it.
    pub(crate) fault: Fault,
    /// The code of the server, if it answered.
    pub(crate) code: Option<String>,
    /// Whether the statement **may** have been done all the same.
    pub(crate) is_open: bool,
    /// Whether the connection is to be made anew.
    pub(crate) ends_session: bool,
}

impl Trouble {
    /// Of a statement.
    pub(crate) fn of(error: &Error, place: &str) -> Self {
        let code = error.code().map(|code| code.code().to_owned());
        let is_open = !error.as_db_error().is_some_and(refused);
        // A server that takes no writes any more is not the one that was connected to.
        let ends_session = is_open || code.as_deref() == Some("25006");
        Self { fault: fault(error, place), code, is_open, ends_session }
    }

    /// Of one to which no answer came in time.
    pub(crate) fn late(doing: &str, place: &str) -> Self {
        Self { fault: late(doing, place), code: None, is_open: true, ends_session: true }
    }

    /// Of one that was not sent.
    pub(crate) fn before(fault: Fault) -> Self {
        Self { fault, code: None, is_open: false, ends_session: true }
    }

    /// As it is for those whose events were not in the statement: nothing of them was done.
    pub(crate) fn of_nothing(self) -> Self {
        Self { is_open: false, ..self }
    }

    /// Whether the same may succeed at once: the server wanted to run it after something else.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self.code.as_deref(), Some("40001" | "40P01"))
    }

    /// Whether what was sent is at fault, and not the server: one append of a batch may be, and the others not.
    pub(crate) fn is_of_data(&self) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        !self.is_open && ["22", "23", "54", "P0"].iter().any(|class| code.starts_with(class))
    }
}

impl From<Trouble> for ReadError {
    fn from(trouble: Trouble) -> Self {
        Self::Unavailable(trouble.fault)
    }
}

impl From<Trouble> for WriteError {
    fn from(trouble: Trouble) -> Self {
        if trouble.is_open { Self::Unknown(trouble.fault) } else { Self::Unavailable(trouble.fault) }
    }
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
        for code in ["28P01", "28000", "3D000", "3F000", "42501", "42P01", "53100", "53300", "25006", "55P03"]
        {
            assert_ne!(advice(&SqlState::from_code(code)), AGAIN, "{code}");
        }
        assert_eq!(advice(&SqlState::from_code("40P01")), AGAIN);
    }
}

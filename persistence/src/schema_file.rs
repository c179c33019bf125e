//! Did an event change since somebody looked?
//!
//! Journals hold events for years, and a field that is added in passing makes all that lie there unreadable. So the types of events
//! are recorded in a file, which lies beside the code and is compared by a test. It has a line for each type, so the difference
//! that a change makes is read like code. Here the file is read and written; `compare` decides what differs.

mod compare;

use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

pub use self::compare::{Difference, Malformed};
use crate::event::{Event, EventType};

/// The variable that makes [`SchemaFile::check`] write the file anew, when it is set to something.
pub const UPDATE: &str = "OMNITRON_UPDATE_SCHEMA";

/// The file which records the types of events that journals may hold.
///
/// In a test of the program:
///
/// ```no_run
/// # extern crate omnitron_persistence as omnitron;
/// # #[derive(omnitron::Event)] enum AccountEvent { Closed }
/// # #[derive(omnitron::Event)] enum OrderEvent { Placed }
/// use omnitron::SchemaFile;
///
/// #[test]
/// # fn not_a_test() {}
/// fn no_event_changed_without_a_new_version() {
///     SchemaFile::at("events.schema").event::<AccountEvent>().event::<OrderEvent>().assert_unchanged();
/// }
/// # fn main() { no_event_changed_without_a_new_version() }
/// ```
///
/// The first run, and each after an event was added on purpose, is with `OMNITRON_UPDATE_SCHEMA=1`, which writes the file.
/// It belongs into the repository. Recorded are types that are written and old ones that are converted.
#[derive(Debug)]
#[must_use = "nothing is compared until `check` or `assert_unchanged`"]
pub struct SchemaFile {
    path: PathBuf,
    types: Vec<&'static EventType>,
}

impl SchemaFile {
    /// The file at `path`. Tests run in the folder of their package.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), types: Vec::new() }
    }

    /// Compares the types of `E`, too.
    pub fn event<E: Event>(mut self) -> Self {
        self.types.extend(E::readable());
        self
    }

    /// Compares the file with the program; or, when the environment has [`UPDATE`], writes it anew.
    ///
    /// # Errors
    ///
    /// [`SchemaError`], which lists every difference, each with what to do.
    pub fn check(&self) -> Result<(), SchemaError> {
        if env::var_os(UPDATE).is_some_and(|value| !value.is_empty() && value != "0") {
            return self.update();
        }
        let recorded = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            // Everything is new then.
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(self.error(Problem::Unreadable(error))),
        };
        let differences = compare::compare(&recorded, &self.types)
            .map_err(|error| self.error(Problem::Malformed(error)))?;
        if differences.is_empty() { Ok(()) } else { Err(self.error(Problem::Changed(differences))) }
    }

    /// Compares the file with the program, as [`check`](Self::check).
    ///
    /// # Panics
    ///
    /// With the text of the [`SchemaError`], when they differ.
    #[track_caller]
    pub fn assert_unchanged(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }

    /// Writes the file anew: what it says now is what the program has, whatever it said before.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] when it cannot be written, or when two events contradict each other: then the file stays as it is.
    pub fn update(&self) -> Result<(), SchemaError> {
        let text =
            compare::text(&self.types).map_err(|differences| self.error(Problem::Changed(differences)))?;
        fs::write(&self.path, text).map_err(|error| self.error(Problem::Unwritable(error)))
    }

    fn error(&self, problem: Problem) -> SchemaError {
        SchemaError { path: self.path.clone(), problem }
    }
}

/// The schema file and the program do not agree, or could not be compared.
pub struct SchemaError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Unreadable(io::Error),
    Unwritable(io::Error),
    Malformed(Malformed),
    Changed(Vec<Difference>),
}

impl SchemaError {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What differs; nothing when the file could not be compared.
    pub fn differences(&self) -> &[Difference] {
        match &self.problem {
            Problem::Changed(differences) => differences,
            _ => &[],
        }
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Unreadable(error) => write!(f, "the schema file `{path}` cannot be read: {error}"),
            Problem::Unwritable(error) => write!(f, "the schema file `{path}` cannot be written: {error}"),
            Problem::Malformed(error) => {
                write!(f, "the schema file `{path}`, {error}: mend it, or set {UPDATE}=1 to write it anew")
            }
            Problem::Changed(differences) => {
                write!(f, "the events of this program are not those that `{path}` records:")?;
                differences.iter().try_for_each(|difference| write!(f, "\n- {difference}"))
            }
        }
    }
}

/// As it is shown: so a test that returns it, or unwraps it, is readable.
impl fmt::Debug for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SchemaError {}

//! Why can an event not be written, or not be read?
//!
//! An error about an event that was read names both sides, what the journal holds and what this program knows, and what to do.
//! Where in the journal it stands is for those to add who know.

use std::fmt;

use crate::event::{Event, EventType, Fault, Fingerprint, Stored};

/// The most names of known types that an error lists.
const LISTED: usize = 8;

/// The most characters of a name that an error shows: what is read from a disk may be anything.
const SHOWN: usize = 80;

/// An event cannot be stored. The same event is refused always.
#[derive(Debug, thiserror::Error)]
#[error("the event `{name}`, version {version}, cannot be encoded: store less in one event")]
pub struct EncodeError {
    /// The name of its type.
    pub name: &'static str,
    /// The version of its type.
    pub version: u32,
    /// What is wrong with it.
    #[source]
    pub fault: Fault,
}

/// A stored event cannot be read by this program. The same program says the same of it always.
#[derive(Debug)]
pub struct DecodeError {
    /// The name that the journal holds.
    pub name: String,
    /// The version that the journal holds.
    pub version: u32,
    /// The Rust type that was to be read.
    pub wanted: &'static str,
    /// What is wrong.
    pub reason: Reason,
}

/// Why a stored event cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// No type of this name is known.
    UnknownName {
        /// The names that are known, each once.
        known: Vec<&'static str>,
    },
    /// It is of a version that is newer than all that are known: a newer program wrote it.
    NewerVersion {
        /// The newest version that is known.
        known: u32,
    },
    /// It is of an old version that is not read any more.
    ForgottenVersion {
        /// The oldest version that is known.
        known: u32,
    },
    /// Name and version are known, and what it consists of is not: it was changed without a new version.
    OtherShape {
        /// The fingerprint that the journal holds.
        found: Fingerprint,
        /// The fingerprint that this program has.
        known: Fingerprint,
        /// What the type consists of in this program.
        shape: String,
    },
    /// The bytes are not of this type.
    Damaged {
        /// What is wrong with them.
        fault: Fault,
        /// How many they are.
        len: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, wanted, .. } = self;
        let name = Name(&self.name);
        write!(f, "the journal holds an event `{name}`, version {version}, ")?;
        match &self.reason {
            Reason::UnknownName { known } => {
                write!(f, "and `{wanted}` has none of this name, but")?;
                for (at, known) in known.iter().take(LISTED).enumerate() {
                    write!(f, "{} `{known}`", if at > 0 { "," } else { "" })?;
                }
                if known.len() > LISTED {
                    write!(f, " and {} more", known.len() - LISTED)?;
                }
                write!(
                    f,
                    ": if it was renamed, write its name with `#[event(name = \"…\")]`; if it was removed, keep its type \
                     and convert it with `#[event(from = …)]`; if a newer program wrote it, start that one"
                )
            }
            Reason::NewerVersion { known } => write!(
                f,
                "and `{wanted}` knows it up to version {known}: a newer program wrote it, so start that one"
            ),
            Reason::ForgottenVersion { known } => write!(
                f,
                "and `{wanted}` knows it from version {known} on: keep the type of version {version}, with a conversion to \
                 the next, and name it with `#[event(from = …)]`"
            ),
            Reason::OtherShape { found, known, shape } => write!(
                f,
                "with the fingerprint {found}, and in `{wanted}` that version has {known}, which is `{shape}`: it was \
                 changed without a new version, so give back its old fields, and the new ones the version {}",
                version.saturating_add(1)
            ),
            Reason::Damaged { len, .. } => write!(
                f,
                "whose {len} bytes are not what `{wanted}` expects of it: they are damaged, or it was changed without a \
                 new version; restore the journal, or give the event back its old fields"
            ),
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Damaged { fault, .. } => Some(fault),
            _ => None,
        }
    }
}

/// A name that may be anything, shown so that it harms no terminal.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.chars().take(SHOWN).collect::<String>();
        write!(f, "{}", shown.escape_debug())?;
        if shown.len() < self.0.len() { f.write_str("…") } else { Ok(()) }
    }
}

fn error<E: Event>(stored: Stored<'_>, reason: Reason) -> DecodeError {
    DecodeError {
        name: stored.name.to_owned(),
        version: stored.version,
        wanted: std::any::type_name::<E>(),
        reason,
    }
}

pub(super) fn other_shape<E: Event>(
    stored: Stored<'_>,
    found: Fingerprint,
    known: &EventType,
) -> DecodeError {
    let shape = known.shape.clone();
    error::<E>(stored, Reason::OtherShape { found, known: known.fingerprint, shape })
}

pub(super) fn damaged<E: Event>(stored: Stored<'_>, fault: Fault) -> DecodeError {
    error::<E>(stored, Reason::Damaged { fault, len: stored.bytes.len() })
}

pub(super) fn unknown<E: Event>(stored: Stored<'_>) -> DecodeError {
    let known = E::readable();
    let versions = || known.iter().filter(|it| it.name == stored.name).map(|it| it.version);
    let reason = match (versions().min(), versions().max()) {
        (Some(_), Some(newest)) if stored.version > newest => Reason::NewerVersion { known: newest },
        (Some(oldest), Some(_)) => Reason::ForgottenVersion { known: oldest },
        _ => {
            let mut names: Vec<_> = known.iter().map(|it| it.name).collect();
            names.sort_unstable();
            names.dedup();
            Reason::UnknownName { known: names }
        }
    };
    error::<E>(stored, reason)
}

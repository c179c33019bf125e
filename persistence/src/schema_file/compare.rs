//! What differs between the types of events that a file records and those that a program has?
//!
//! # Invariants
//!
//! * The text of some types does not depend on the order in which they are given, and is read back as the same types.
//! * A name and version that is in both, with the same fingerprint, is no difference. Everything else is one.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::event::{EventType, Fingerprint};

const HEAD: &str = "\
# The types of events that journals may hold: name, version, fingerprint, what it consists of.
# A test compares them with the program and says what to do where they differ.
";

/// By name and version, in the order of the file.
type Types<'a> = BTreeMap<(&'a str, u32), (Fingerprint, &'a str)>;

/// A type of events that the file and the program do not have in common.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// Both have this name and version, with other fields: the events in journals cannot be read any more.
    Changed {
        /// The name of the type.
        name: String,
        /// The version of the type.
        version: u32,
        /// What it consists of in the file.
        recorded: String,
        /// What it consists of in the program.
        found: String,
    },
    /// The file has it and the program does not: such events in journals cannot be read any more.
    Removed {
        /// The name of the type.
        name: String,
        /// The version of the type.
        version: u32,
    },
    /// The program has it and the file does not.
    New {
        /// The name of the type.
        name: String,
        /// The version of the type.
        version: u32,
    },
    /// Two types of the program have this name and version, and consist of different fields.
    Twice {
        /// The name of both.
        name: String,
        /// The version of both.
        version: u32,
        /// What one consists of.
        one: String,
        /// What the other one consists of.
        other: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let update = super::UPDATE;
        match self {
            Self::Changed { name, version, recorded, found } => write!(
                f,
                "`{name}`, version {version}, changed without a new version: it was `{recorded}`, and is `{found}`. Journals \
                 hold events as they were: give it `version = {}`, and keep the old fields as a type that it is converted \
                 `from`. If no journal holds any yet, set {update}=1",
                version.saturating_add(1)
            ),
            Self::Removed { name, version } => write!(
                f,
                "`{name}`, version {version}, was removed: journals may hold such events. Keep its type, and convert it with \
                 `#[event(from = …)]`; or give the event its old name back. If no journal holds any, set {update}=1"
            ),
            Self::New { name, version } => {
                write!(f, "`{name}`, version {version}, is new: record it with {update}=1, and keep the file")
            }
            Self::Twice { name, version, one, other } => write!(
                f,
                "two types are called `{name}`, version {version}, one `{one}`, the other `{other}`: give one of them \
                 another name"
            ),
        }
    }
}

/// A line of the file makes no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Malformed {
    /// Which, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// What the file of these types says.
///
/// # Errors
///
/// The types that contradict each other.
pub(super) fn text(types: &[&EventType]) -> Result<String, Vec<Difference>> {
    let (types, twice) = collected(types);
    if !twice.is_empty() {
        return Err(twice);
    }
    let mut text = HEAD.to_owned();
    for ((name, version), (fingerprint, shape)) in types {
        let _ = writeln!(text, "{name} {version} {fingerprint} {shape}"); // writing to a String cannot fail
    }
    Ok(text)
}

/// Everything that differs, in the order of the file.
///
/// # Errors
///
/// [`Malformed`], when the text is none of such a file.
pub(super) fn compare(recorded: &str, types: &[&EventType]) -> Result<Vec<Difference>, Malformed> {
    let recorded = parse(recorded)?;
    let (found, mut differences) = collected(types);
    for (&(name, version), &(fingerprint, shape)) in &recorded {
        let name = name.to_owned();
        match found.get(&(name.as_str(), version)) {
            None => differences.push(Difference::Removed { name, version }),
            Some(&(other, found)) if other != fingerprint => {
                let (recorded, found) = (shape.to_owned(), found.to_owned());
                differences.push(Difference::Changed { name, version, recorded, found });
            }
            Some(_) => {}
        }
    }
    let new = found.keys().filter(|key| !recorded.contains_key(*key));
    differences.extend(new.map(|&(name, version)| Difference::New { name: name.to_owned(), version }));
    Ok(differences)
}

/// The types of a program, and those that contradict each other. The same type may be given several times.
fn collected<'a>(types: &[&'a EventType]) -> (Types<'a>, Vec<Difference>) {
    let (mut all, mut twice) = (Types::new(), Vec::new());
    for event_type in types {
        let &EventType { name, version, fingerprint, ref shape, .. } = *event_type;
        let before = all.insert((name, version), (fingerprint, shape));
        if let Some((other, one)) = before
            && other != fingerprint
        {
            let (one, other) = (one.to_owned(), shape.clone());
            twice.push(Difference::Twice { name: name.to_owned(), version, one, other });
        }
    }
    (all, twice)
}

fn parse(text: &str) -> Result<Types<'_>, Malformed> {
    let mut types = Types::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let malformed = |what| Malformed { line: number, what };
        let mut parts = line.splitn(4, ' ');
        let (Some(name), Some(version), Some(fingerprint), Some(shape)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed(
                "a line has a name, a version, a fingerprint and what the event consists of",
            ));
        };
        let version = version.parse().map_err(|_| malformed("a version is a whole number"))?;
        let fingerprint: Fingerprint =
            fingerprint.parse().map_err(|_| malformed("a fingerprint has sixteen hexadecimal digits"))?;
        if Fingerprint::of(shape) != fingerprint {
            return Err(malformed("the fingerprint is not that of what the event consists of"));
        }
        if types.insert((name, version), (fingerprint, shape)).is_some() {
            return Err(malformed("the same name and version stand in an earlier line"));
        }
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    /// Two states of one program.
    mod states {
        use crate::Event;

        macro_rules! state {
            ($module:ident { $($variants:tt)* }) => {
                pub(super) mod $module {
                    use super::*;

                    #[derive(Event)]
                    #[event(crate = crate, name = "a")]
                    pub(in super::super) enum AEvent { $($variants)* }
                }
            };
        }

        state!(before { Kept, Changed { x: u8 }, Removed(u8), Renamed });
        state!(after { Kept, Changed { x: u16 }, #[event(name = "a.other")] Renamed, Added });
    }

    fn before() -> Vec<&'static EventType> {
        states::before::AEvent::readable()
    }

    fn difference(name: &str, make: fn(String, u32) -> Difference) -> Difference {
        make(name.to_owned(), 1)
    }

    fn removed(name: String, version: u32) -> Difference {
        Difference::Removed { name, version }
    }

    fn new(name: String, version: u32) -> Difference {
        Difference::New { name, version }
    }

    #[test]
    fn a_file_has_a_line_for_each_type_in_the_order_of_names_whatever_the_order_of_types() {
        let text = text(&before()).expect("no type contradicts another");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = |name: &str, shape: &str| format!("{name} 1 {} {shape}", Fingerprint::of(shape));
        assert_eq!(
            lines,
            [
                expected("a.changed", "{x: u8}"),
                expected("a.kept", "{}"),
                expected("a.removed", "(u8)"),
                expected("a.renamed", "{}"),
            ]
        );
        let mut others = before();
        others.reverse();
        others.extend(before());
        assert_eq!(super::text(&others), Ok(text));
    }

    #[test]
    fn what_was_recorded_does_not_differ_from_itself() {
        let text = text(&before()).expect("no type contradicts another");
        assert_eq!(compare(&text, &before()), Ok(vec![]));
        assert_eq!(
            compare(&text.replace('\n', "\r\n"), &before()),
            Ok(vec![]),
            "as some systems check it out"
        );
    }

    #[test]
    fn what_changed_what_is_gone_and_what_is_new_are_differences_each_of_its_kind() {
        let text = text(&before()).expect("no type contradicts another");
        let differences = compare(&text, &states::after::AEvent::readable());
        let changed = Difference::Changed {
            name: "a.changed".to_owned(),
            version: 1,
            recorded: "{x: u8}".to_owned(),
            found: "{x: u16}".to_owned(),
        };
        let expected = vec![
            changed,
            difference("a.removed", removed),
            difference("a.renamed", removed),
            difference("a.added", new),
            difference("a.other", new),
        ];
        assert_eq!(differences, Ok(expected));
    }

    #[test]
    fn without_a_file_everything_is_new() {
        let names = ["a.changed", "a.kept", "a.removed", "a.renamed"];
        assert_eq!(compare("", &before()), Ok(names.map(|name| difference(name, new)).into()));
    }

    #[test]
    fn two_types_of_one_name_and_version_contradict_each_other_unless_they_are_the_same() {
        let mut types = before();
        types.extend(states::after::AEvent::readable());
        let twice = Difference::Twice {
            name: "a.changed".to_owned(),
            version: 1,
            one: "{x: u8}".to_owned(),
            other: "{x: u16}".to_owned(),
        };
        assert_eq!(text(&types), Err(vec![twice.clone()]));
        assert!(compare("", &types).expect("the file is well formed").contains(&twice));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_refused_with_its_number() {
        let text = text(&before()).expect("no type contradicts another");
        let first = HEAD.lines().count() + 1;
        for (from, to, line) in [
            ("a.changed 1", "a.changed one", first),
            ("a.changed 1", "a.changed", first),
            ("a.changed 1 ", "a.changed 1 0", first),
            ("{x: u8}", "{x: u9}", first),
            ("a.kept 1", "a.changed 1", first + 1),
        ] {
            let broken = text.replacen(from, to, 1);
            let error = compare(&broken, &before()).expect_err(&broken);
            assert_eq!(error.line, line, "{error}\n{broken}");
        }
    }
}

//! Where an actor stands in the tree, and what it may be called.
//!
//! A path is the names from the root down to an actor: `/user/orders/worker-3`. It says nothing about
//! whether an actor lives there; the registry knows that. How deep a tree may grow
//! ([`DEPTH_LIMIT`]) is checked where actors are spawned, and where a text is read.
//!
//! # Invariants
//!
//! * The text starts with `/`. It ends with `/` only if it is the root, which is `/` alone.
//! * Every segment is a legal name: not empty, at most 255 bytes, no `/`, no control characters.
//! * So each path has exactly one text, equal texts are equal paths, and `parse(path.as_str()) == path`.
//! * No error carries a name, so an oversized or hostile one never reaches a log through it.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// The most segments of the path of an actor, so that a runaway recursion of spawns ends with an error.
pub(crate) const DEPTH_LIMIT: usize = 64;

/// The most bytes of a name (in UTF-8).
const NAME_LIMIT_BYTES: usize = 255;

/// The first character of names that the system gives.
const RESERVED: char = '$';

/// The names from the root of the actor tree down to one actor, like `/user/orders/worker-3`.
///
/// Cheap to clone. It outlives its actor, and an actor that starts later under the same name has the
/// same path. The order is that of the text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ActorPath(Arc<str>);

/// Why a name cannot be given to an actor. Nothing was spawned, and no retry helps: choose another name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name has no characters.
    #[error("the name is empty; give it at least one character")]
    Empty,
    /// The name is too long.
    #[error("the name has {length_bytes} bytes; shorten it to at most {limit_bytes}")]
    TooLong {
        /// Bytes of the name in UTF-8.
        length_bytes: usize,
        /// The most bytes of a name.
        limit_bytes: usize,
    },
    /// The name contains `/`, which separates the names in a path.
    #[error("the name contains '/' at byte {at_byte}; leave it out, or spawn from the parent actor")]
    Slash {
        /// Where the first `/` is, counted in bytes from 0.
        at_byte: usize,
    },
    /// The name contains a control character, which could forge lines in a log.
    #[error("the name contains the control character {character:?} at byte {at_byte}; leave it out")]
    Control {
        /// Where the first control character is, counted in bytes from 0.
        at_byte: usize,
        /// The character.
        character: char,
    },
    /// The name starts with `$`, as only names given by the system do.
    #[error("the name starts with '$', which is reserved for the system; start it with another character")]
    Reserved,
}

/// Why a text is not the path of an actor. No actor can have it, so a retry does not help.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The text does not start with `/`.
    #[error("the path does not start with '/'; write it from the root, like \"/user/worker\"")]
    NotAbsolute,
    /// The path is longer than that of any actor.
    #[error("the path has {segments} segments; no actor lives deeper than {limit}")]
    TooDeep {
        /// Segments of the path.
        segments: usize,
        /// The most segments of the path of an actor.
        limit: usize,
    },
    /// A segment of the path is not a name an actor can have.
    #[error("segment {segment} of the path cannot be the name of an actor")]
    Name {
        /// Which segment, counted from 1. In `/user//worker` the second is empty.
        segment: usize,
        /// What is wrong with it.
        source: NameError,
    },
}

impl ActorPath {
    /// The path as text. It always starts with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name in the path, and an empty text for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.split().1
    }

    /// The path of the actor that this one is a child of, and `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match self.split() {
            (_, "") => None,
            ("", _) => Some(Self::root()),
            (parent, _) => Some(Self(parent.into())),
        }
    }

    /// Number of names in the path: 0 for the root, 2 for `/user/worker`.
    #[must_use]
    pub fn depth(&self) -> usize {
        if self.is_root() { 0 } else { self.0.bytes().filter(|&byte| byte == b'/').count() }
    }

    /// The path `/`, the ancestor of all others.
    #[must_use]
    pub(crate) fn root() -> Self {
        Self("/".into())
    }

    /// The path of the child called `name`, as users may call it.
    ///
    /// # Errors
    ///
    /// [`NameError`] if no user may give that name.
    pub(crate) fn child(&self, name: &str) -> Result<Self, NameError> {
        if name.starts_with(RESERVED) {
            return Err(NameError::Reserved);
        }
        self.child_reserved(name)
    }

    /// The path of the child called `name`, which the system gives: it may start with `$`.
    ///
    /// # Errors
    ///
    /// [`NameError`] if no actor can have that name.
    pub(crate) fn child_reserved(&self, name: &str) -> Result<Self, NameError> {
        check_name(name)?;
        let parent = if self.is_root() { "" } else { self.as_str() };
        // Put together in a place of the thread's, so that it costs one allocation. A thread that is ending has none.
        thread_local!(static TEXT: RefCell<String> = const { RefCell::new(String::new()) });
        let child = TEXT.try_with(|text| {
            let mut text = text.borrow_mut();
            text.clear();
            text.push_str(parent);
            text.push('/');
            text.push_str(name);
            Self(text.as_str().into())
        });
        Ok(child.unwrap_or_else(|_| Self([parent, "/", name].concat().into())))
    }

    /// The path whose text is `text`, also where the system gave some of the names.
    ///
    /// # Errors
    ///
    /// [`PathError`] if no actor can have that path. A `/` at the end is an empty last name.
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let names = text.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
        if !names.is_empty() {
            let segments = names.split('/').count();
            if segments > DEPTH_LIMIT {
                return Err(PathError::TooDeep { segments, limit: DEPTH_LIMIT });
            }
            for (segment, name) in (1..).zip(names.split('/')) {
                check_name(name).map_err(|source| PathError::Name { segment, source })?;
            }
        }
        Ok(Self(text.into()))
    }

    fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// What is before the last `/`, and what is after it.
    fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').expect("every path starts with a slash")
    }
}

impl fmt::Display for ActorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AsRef<str> for ActorPath {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Whether an actor can be called `name`; a `$` in front is allowed here.
fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    // Before the search, so that its time is bounded too.
    if name.len() > NAME_LIMIT_BYTES {
        return Err(NameError::TooLong { length_bytes: name.len(), limit_bytes: NAME_LIMIT_BYTES });
    }
    match name.char_indices().find(|&(_, character)| character == '/' || character.is_control()) {
        None => Ok(()),
        Some((at_byte, '/')) => Err(NameError::Slash { at_byte }),
        Some((at_byte, character)) => Err(NameError::Control { at_byte, character }),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> ActorPath {
        ActorPath::parse(text).expect("the test writes a legal path")
    }

    #[test]
    fn the_root_has_no_name_no_parent_and_no_depth() {
        let root = ActorPath::root();
        assert_eq!((root.as_str(), root.name(), root.parent(), root.depth()), ("/", "", None, 0));
        assert_eq!(path("/"), root);
    }

    #[test]
    fn a_child_knows_its_name_its_parent_and_its_depth() {
        let user = ActorPath::root().child("user").unwrap();
        let worker = user.child("worker").unwrap();
        assert_eq!((user.as_str(), user.name(), user.depth()), ("/user", "user", 1));
        assert_eq!((worker.as_str(), worker.name(), worker.depth()), ("/user/worker", "worker", 2));
        assert_eq!(worker.parent(), Some(user.clone()));
        assert_eq!(user.parent(), Some(ActorPath::root()));
    }

    #[test]
    fn a_path_prints_as_its_text() {
        let worker = path("/user/worker");
        assert_eq!(worker.to_string(), "/user/worker");
        assert_eq!(format!("{worker:>14}|"), "  /user/worker|");
        assert_eq!(format!("{worker:?}"), r#"ActorPath("/user/worker")"#);
        assert_eq!(AsRef::<str>::as_ref(&worker), "/user/worker");
    }

    #[test]
    fn a_name_of_255_bytes_is_legal_and_one_of_256_is_not() {
        let root = ActorPath::root();
        assert!(root.child(&"x".repeat(255)).is_ok());
        assert_eq!(
            root.child(&"x".repeat(256)),
            Err(NameError::TooLong { length_bytes: 256, limit_bytes: 255 })
        );
        assert!(root.child(&"é".repeat(127)).is_ok(), "254 bytes");
        assert!(root.child(&"é".repeat(128)).is_err(), "bytes count, not characters");
    }

    #[test]
    fn the_first_thing_wrong_with_a_name_is_reported_with_its_place() {
        let root = ActorPath::root();
        for (name, error) in [
            ("", NameError::Empty),
            ("/", NameError::Slash { at_byte: 0 }),
            ("é/b\n", NameError::Slash { at_byte: 2 }),
            ("a\nb/c", NameError::Control { at_byte: 1, character: '\n' }),
            ("a\u{7f}", NameError::Control { at_byte: 1, character: '\u{7f}' }),
            ("a\u{85}", NameError::Control { at_byte: 1, character: '\u{85}' }),
            ("$", NameError::Reserved),
            ("$a/b", NameError::Reserved),
        ] {
            assert_eq!(root.child(name), Err(error), "{name:?}");
        }
        for name in ["a", "a$", "-", ".", "..", "two words", "données", "名前", "a\u{301}"] {
            assert!(root.child(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn only_the_system_gives_names_that_start_with_a_dollar_sign() {
        let root = ActorPath::root();
        assert_eq!(root.child("$1"), Err(NameError::Reserved));
        assert_eq!(root.child_reserved("$1").unwrap().as_str(), "/$1");
        assert_eq!(root.child_reserved("plain").unwrap().as_str(), "/plain");
        assert_eq!(root.child_reserved("$a/b"), Err(NameError::Slash { at_byte: 2 }));
        assert_eq!(path("/$1/worker").depth(), 2, "a path that was printed can be read back");
    }

    #[test]
    fn a_text_that_is_no_path_names_the_segment_that_is_wrong() {
        let wrong = |segment, source| Err(PathError::Name { segment, source });
        for text in ["", "user", "user/worker", " /user"] {
            assert_eq!(ActorPath::parse(text), Err(PathError::NotAbsolute), "{text:?}");
        }
        assert_eq!(ActorPath::parse("//"), wrong(1, NameError::Empty));
        assert_eq!(ActorPath::parse("/user//worker"), wrong(2, NameError::Empty));
        assert_eq!(ActorPath::parse("/user/"), wrong(2, NameError::Empty));
        assert_eq!(
            ActorPath::parse("/a/b/c\0"),
            wrong(3, NameError::Control { at_byte: 1, character: '\0' })
        );
    }

    #[test]
    fn a_text_of_64_segments_may_be_a_path_and_one_of_65_is_none() {
        assert_eq!(path(&"/x".repeat(64)).depth(), 64);
        assert_eq!(ActorPath::parse(&"/x".repeat(65)), Err(PathError::TooDeep { segments: 65, limit: 64 }));
    }

    #[test]
    fn errors_say_what_to_do_and_leave_the_cause_to_the_source() {
        let error = ActorPath::parse("/user/a\tb").unwrap_err();
        assert_eq!(error.to_string(), "segment 2 of the path cannot be the name of an actor");
        assert_eq!(
            error.source().unwrap().to_string(),
            r"the name contains the control character '\t' at byte 1; leave it out"
        );
        assert_eq!(
            ActorPath::root().child("").unwrap_err().to_string(),
            "the name is empty; give it at least one character"
        );
    }

    #[test]
    fn an_error_about_a_huge_name_is_short() {
        let huge = "x".repeat(10_000);
        let name = ActorPath::root().child(&huge).unwrap_err();
        let path = ActorPath::parse(&format!("/{huge}")).unwrap_err();
        assert_eq!(name.to_string(), "the name has 10000 bytes; shorten it to at most 255");
        assert!(format!("{name:?} {path} {path:?}").len() < 250);
    }

    proptest! {
        #[test]
        fn no_text_breaks_parsing_and_what_is_parsed_prints_as_it_was(text in "(/|[/$a-cé\n]|\\PC){0,30}") {
            if let Ok(path) = ActorPath::parse(&text) {
                prop_assert_eq!(path.as_str(), &text);
            }
        }

        #[test]
        fn a_path_is_the_names_it_was_built_from(
            names in prop::collection::vec("[^/\\pC$][^/\\pC]{0,20}", 0..10),
        ) {
            let mut path = ActorPath::root();
            for (depth, name) in names.iter().enumerate() {
                prop_assert_eq!(path.depth(), depth);
                let child = path.child(name).unwrap();
                prop_assert_eq!(child.name(), name);
                prop_assert_eq!(child.parent(), Some(path));
                path = child;
            }
            prop_assert_eq!(ActorPath::parse(path.as_str()), Ok(path.clone()));
            prop_assert_eq!(path.as_str(), format!("/{}", names.join("/")));
        }
    }
}

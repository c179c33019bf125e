//! Does a test notice that an event changed, and does it say what to do?

use std::fs;
use std::path::PathBuf;

use omnitron::schema_file::Difference;
use omnitron::{Event, SchemaFile};

use crate::world::Account;

/// A file for one test, gone when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{}.schema", std::process::id())))
    }

    fn file(&self) -> SchemaFile {
        SchemaFile::at(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // it may never have been written
    }
}

/// `Account` after a careless change.
#[derive(Event)]
#[event(name = "account")]
enum Careless {
    Opened { owner: u64 },
    Frozen,
}

#[test]
fn a_recorded_program_is_unchanged_and_a_changed_one_is_told_what_to_do() {
    let scratch = Scratch::new("changed");
    let error = scratch.file().event::<Account>().check().unwrap_err();
    assert_eq!(error.differences().len(), 4, "{error}");
    assert!(error.differences().iter().all(|it| matches!(it, Difference::New { .. })), "{error}");
    assert!(!scratch.0.exists(), "to compare is not to write");

    scratch.file().event::<Account>().update().unwrap();
    scratch.file().event::<Account>().assert_unchanged();

    let error = scratch.file().event::<Careless>().check().unwrap_err();
    let text = format!("{error:?}");
    for part in [
        scratch.0.to_str().unwrap(),
        "`account.opened`, version 1, changed without a new version",
        "it was `{owner: (u64), currency: enum{Euro, Dollar}}`, and is `{owner: u64}`",
        "`version = 2`",
        "`account.closed`, version 1, was removed",
        "`account.withdrawn`, version 2, was removed",
        "`account.frozen`, version 1, is new",
        "OMNITRON_UPDATE_SCHEMA=1",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
#[should_panic(expected = "is new: record it with OMNITRON_UPDATE_SCHEMA=1")]
fn a_test_fails_with_what_to_do() {
    Scratch::new("panics").file().event::<Account>().assert_unchanged();
}

#[test]
fn events_that_contradict_each_other_leave_the_file_as_it_is() {
    let scratch = Scratch::new("contradiction");
    scratch.file().event::<Account>().update().unwrap();
    let error = scratch.file().event::<Account>().event::<Careless>().update().unwrap_err();
    assert!(error.to_string().contains("two types are called `account.opened`, version 1"), "{error}");
    scratch.file().event::<Account>().assert_unchanged();
}

#[test]
fn a_file_that_is_none_is_an_error_with_its_line() {
    let scratch = Scratch::new("malformed");
    fs::write(&scratch.0, "# events\naccount.opened\n").unwrap();
    let text = scratch.file().event::<Account>().check().unwrap_err().to_string();
    assert!(text.contains("line 2") && text.contains("mend it"), "{text}");

    let folder = SchemaFile::at(env!("CARGO_TARGET_TMPDIR")).event::<Account>();
    assert!(folder.check().unwrap_err().to_string().contains("cannot be read"));
    assert!(folder.update().unwrap_err().to_string().contains("cannot be written"));
}

#[test]
fn the_events_of_these_tests_are_recorded() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events.schema");
    SchemaFile::at(path).event::<Account>().event::<crate::world::Everything>().assert_unchanged();
}

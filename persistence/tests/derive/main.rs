//! Does the derive say, at the place of the mistake, what to write instead?
//!
//! `ui` has programs that must not compile, each beside what is said about it; in `ui/rustc` it is rustc who speaks, in the
//! words of the oldest one that is supported. `ui/fine` has those that must compile.

#[test]
fn every_mistake_is_shown_in_the_users_code_with_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/derive/ui/*.rs");
}

/// In the words of the oldest rustc that is supported. Others may say it differently.
#[test]
fn what_only_rustc_can_know_is_shown_in_the_users_code_as_well() {
    let cases = trybuild::TestCases::new();
    // With one that runs, all are built, and some mistakes are seen no earlier.
    cases.pass("tests/derive/ui/fine/strict.rs");
    cases.compile_fail("tests/derive/ui/rustc/*.rs");
}

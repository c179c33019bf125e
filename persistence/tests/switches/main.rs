//! Does a program compile in which somebody turned one of the switches of rkyv's format?
//!
//! It must not: it would read nonsense from every journal. A switch is a feature of a dependency, so each is tried by a
//! cargo of its own, in a folder of its own.

use std::path::Path;
use std::process::Command;

/// What the compiler says with a feature of rkyv turned on.
#[track_caller]
fn said(feature: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline", "--color", "never", "--lib"])
        .args(["--features", &format!("rkyv/{feature}")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("switches"))
        .output()
        .expect("cargo runs, because it started this test");
    assert!(!output.status.success(), "it compiles with `{feature}`");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_program_in_which_rkyv_has_another_format_does_not_compile_and_says_why() {
    for feature in ["unaligned", "big_endian", "pointer_width_16", "pointer_width_64"] {
        let said = said(feature);
        for part in ["error", "rkyv is built with", feature, "cargo tree -e features -i rkyv"] {
            assert!(said.contains(part), "{part} is not in what is said with `{feature}`: {said}");
        }
    }
}

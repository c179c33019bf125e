//! Is every numbered promise in `docs/guarantees.md` proved by a test that runs?
//!
//! A promise is a heading `## G7. One message at a time`. Before the next heading, a line `Proved by:` and the rest
//! of its paragraph name tests in backticks: the file or folder, `::`, the function.

use crate::source::{code, has_word, words};
use crate::tree::Rust;

pub(crate) fn unproved(text: &str, files: &Rust<'_>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut number = 0;
    for section in text.split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').unwrap_or((section, ""));
        if !is_numbered(title) {
            continue; // the vocabulary, for instance
        }
        number += 1;
        if !title.starts_with(&format!("G{number}. ")) {
            findings.push(format!("`## {title}`: the promise after G{} is `## G{number}. …`", number - 1));
        }
        let proofs = proofs(body);
        if proofs.is_empty() {
            findings.push(format!("`## {title}`: no `Proved by:` with the name of a test in backticks"));
        }
        findings.extend(
            proofs
                .into_iter()
                .filter_map(|proof| doubt(proof, files))
                .map(|doubt| format!("`## {title}`: {doubt}")),
        );
    }
    if number == 0 {
        findings.push("no promise at all: each is a heading `## G1. …`".to_owned());
    }
    findings
}

fn is_numbered(title: &str) -> bool {
    title.strip_prefix('G').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The names in backticks from a line that opens with `Proved by:` to the end of its paragraph.
fn proofs(body: &str) -> Vec<&str> {
    let lists = body.split("\nProved by:").skip(1).filter_map(|rest| rest.split("\n\n").next());
    lists.flat_map(|list| list.split('`').skip(1).step_by(2)).collect()
}

/// Why `proof` proves nothing, if so.
fn doubt(proof: &str, files: &Rust<'_>) -> Option<String> {
    let (place, name) = (proof.split_once("::")?.0, proof.rsplit("::").next()?);
    let folder = format!("{place}/");
    let mut texts = files.iter().filter(|(path, _)| **path == place || path.starts_with(&folder)).peekable();
    if texts.peek().is_none() {
        return Some(format!("`{proof}`: no Rust file at `{place}`"));
    }
    let mut reason = format!("`{proof}`: no function of this name there");
    for (path, text) in texts {
        match attributes(&code(text), name) {
            Some(attributes) if !has_word(&attributes, "test") => {
                reason = format!("`{proof}`: the function in {path} is no test");
            }
            Some(attributes) if has_word(&attributes, "ignore") => {
                reason = format!("`{proof}`: the test in {path} is ignored");
            }
            Some(_) => return None,
            None => {}
        }
    }
    Some(reason)
}

/// What stands between the function `name` and whatever comes before it, without `#[cfg(…)]`.
fn attributes(code: &str, name: &str) -> Option<String> {
    let pattern = format!("fn {name}");
    let at = words(code, &pattern).next()?;
    let start = code[..at].rfind([';', '{', '}']).map_or(0, |end| end + 1);
    Some(
        code[start..at]
            .lines()
            .filter(|line| !line.trim().starts_with("#[cfg"))
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "#[test]\nfn order_is_kept() {}\n\n/// Not `test`.\nfn support() {}\n\
        #[cfg(test)]\nfn other() {}\n#[test]\n#[ignore = \"slow\"]\nfn slow() {}\n\
        #[tokio::test(flavor = \"multi_thread\")]\nasync fn waits() {}";

    fn findings(text: &str) -> Vec<String> {
        unproved(
            text,
            &[("tests/area/main.rs", TESTS), ("tests/area/more.rs", "#[test]\nfn again() {}")].into(),
        )
    }

    #[test]
    fn a_promise_with_tests_that_run_is_fine() {
        let text = "# Guarantees\n\n## Words\n\nask\n\n## G1. Order\n\nText with `code`.\n\n\
            Proved by: `tests/area::order_is_kept`,\n`tests/area::again` and `tests/area/main.rs::waits`.\n";
        assert_eq!(findings(text), Vec::<String>::new());
    }

    #[test]
    fn a_promise_without_a_test_that_runs_is_reported() {
        for (proof, why) in [
            ("Proved by: hope.", "no `Proved by:`"),
            ("It is so.", "no `Proved by:`"),
            ("Proved by: `tests/area::order`.", "no function"),
            ("Proved by: `tests/are::order_is_kept`.", "no Rust file"),
            ("Proved by: `tests/area::support`.", "is no test"),
            ("Proved by: `tests/area::other`.", "is no test"),
            ("Proved by: `tests/area::slow`.", "is ignored"),
            ("Proved by: `tests/area::order_is_kept`, `tests/area::order`.", "no function"),
        ] {
            let findings = findings(&format!("# Guarantees\n\n## G1. Order\n\n{proof}\n"));
            assert_eq!(findings.len(), 1, "{proof}: {findings:?}");
            assert!(findings[0].contains(why), "{proof}: {findings:?}");
        }
    }

    #[test]
    fn numbers_run_without_a_gap_and_an_empty_page_promises_nothing() {
        let proved = "\n\nProved by: `tests/area::again`.\n";
        assert_eq!(findings(&format!("# G\n\n## G1. A{proved}\n## G2. B{proved}")), Vec::<String>::new());
        assert_eq!(findings(&format!("# G\n\n## G1. A{proved}\n## G3. B{proved}")).len(), 1);
        assert_eq!(findings("# Guarantees\n").len(), 1);
    }
}

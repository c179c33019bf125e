//! What must hold for each Rust file on its own?

use crate::source::{code, line, without_tests, words};

/// Lines of code (no blanks, comments or inline tests) at which a file has to be split.
const LENGTH: usize = 400;

/// Lines, all told, at which an example is no longer one idea.
const EXAMPLE_LENGTH: usize = 100;

/// What a file that only decides has no use for.
const ACTS: &[&str] = &[
    "async",
    "await",
    "Instant::now",
    "SystemTime::now",
    "rand::",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "tokio",
];

/// Names that say nothing about what a thing is.
const EMPTY_NAMES: &[&str] = &["Manager", "Helper", "Util", "Utils", "Impl"];

pub(crate) fn module_doc(path: &str, text: &str) -> Vec<String> {
    let said = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//!"))
        .is_some_and(|doc| !doc.trim().is_empty());
    if said {
        vec![]
    } else {
        vec![format!("{path}:1: no module doc: open with `//!` and the question the file answers")]
    }
}

pub(crate) fn length(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let lines = without_tests(&code).lines().filter(|line| !line.trim().is_empty()).count();
    if lines < LENGTH {
        vec![]
    } else {
        vec![format!("{path}: {lines} lines of code, {LENGTH} are too many: split it")]
    }
}

pub(crate) fn example(path: &str, text: &str) -> Vec<String> {
    let is_one_file = path.strip_prefix("examples/").is_some_and(|name| !name.contains('/'));
    let lines = text.lines().count();
    if !is_one_file || lines < EXAMPLE_LENGTH {
        return vec![];
    }
    vec![format!("{path}: {lines} lines, {EXAMPLE_LENGTH} are too many: an example shows one idea")]
}

pub(crate) fn purity(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let code = without_tests(&code);
    ACTS.iter()
        .flat_map(|&word| words(code, word).map(move |at| (at, word)))
        .map(|(at, word)| {
            format!("{path}:{}: `{word}` in a file that only decides: take it as an argument", line(code, at))
        })
        .collect()
}

pub(crate) fn names(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    ["struct", "enum", "trait", "type", "union"]
        .iter()
        .flat_map(|kind| words(&code, kind).map(|at| (at, &code[at + kind.len()..])))
        .filter_map(|(at, rest)| {
            let name: String =
                rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            EMPTY_NAMES.iter().any(|empty| name.ends_with(empty)).then_some((at, name))
        })
        .map(|(at, name)| format!("{path}:{}: `{name}` does not say what it is", line(&code, at)))
        .collect()
}

/// An unbiased `select!` draws its order from thread-local randomness, so no seed repeats the run.
pub(crate) fn select(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    words(&code, "select!")
        .filter(|&at| {
            let body = code[at + "select!".len()..].trim_start().get(1..).unwrap_or_default();
            !body.trim_start().starts_with("biased;")
        })
        .map(|at| {
            format!("{path}:{}: `select!` without `biased;`: its order would be random", line(&code, at))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_module_doc_is_reported() {
        assert_eq!(module_doc("a.rs", "//! Why?\n\nfn a() {}"), Vec::<String>::new());
        for bad in ["", "//!\n//! Why?", "// Why?\n", "\n//! Why?", "/// Why?\nfn a() {}"] {
            assert_eq!(module_doc("a.rs", bad).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn a_file_is_too_long_at_the_limit_and_comments_blanks_and_tests_do_not_count() {
        let lines = |n: usize| "fn a() {} // and a comment\n".repeat(n);
        let rest = format!("// a\n\n/* b\n c */\n#[cfg(test)]\nmod tests {{\n{}}}\n", lines(LENGTH));
        assert_eq!(length("a.rs", &(lines(LENGTH - 1) + &rest)), Vec::<String>::new());
        assert_eq!(length("a.rs", &(lines(LENGTH) + &rest)).len(), 1);
    }

    #[test]
    fn an_example_is_too_long_at_the_limit_and_an_application_is_not_one() {
        let lines = |n: usize| "\n".repeat(n);
        assert_eq!(example("examples/a.rs", &lines(EXAMPLE_LENGTH - 1)), Vec::<String>::new());
        assert_eq!(example("examples/a.rs", &lines(EXAMPLE_LENGTH)).len(), 1);
        assert_eq!(example("examples/a/main.rs", &lines(EXAMPLE_LENGTH)), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_decides_and_acts_is_reported_with_the_line() {
        let clean = "//! No async here.\nfn decide(now: Instant) { log(\"tokio\") }\n#[cfg(test)]\nmod tests { use tokio; }";
        assert_eq!(purity("a.rs", clean), Vec::<String>::new());
        for word in ACTS {
            let findings = purity("a.rs", &format!("//! Doc.\nfn a() {{ {word} }}"));
            assert!(
                findings.iter().any(|it| it.starts_with("a.rs:2: ")),
                "{word} was not reported: {findings:?}"
            );
        }
    }

    #[test]
    fn an_empty_name_is_reported() {
        assert_eq!(
            names("a.rs", "struct Managers; // struct Manager\nimpl Helpful for X {}"),
            Vec::<String>::new()
        );
        assert_eq!(names("a.rs", "pub(crate) struct MailboxManager<T>;\ntrait Helper {}").len(), 2);
    }

    #[test]
    fn an_unbiased_select_is_reported() {
        assert_eq!(select("a.rs", "tokio::select! { biased;\n a = b => c }"), Vec::<String>::new());
        assert_eq!(select("a.rs", "tokio::select! {\n // biased;\n a = b => c }").len(), 1);
    }
}

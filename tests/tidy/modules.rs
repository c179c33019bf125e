//! Which Rust file does no `mod` reach? Nothing compiles it, so nothing checks it.
//!
//! The roots are what cargo finds by itself: `src/lib.rs`, `src/main.rs`, each file of `src/bin/`, and under `tests/`,
//! `benches/` and `examples/` each file and each folder with a `main.rs`; and what a test compiles by itself, in a folder
//! `ui` beside its `main.rs`. From there the declarations are followed.

use std::collections::BTreeSet;

use crate::source::{code, words};
use crate::tree::Rust;

pub(crate) fn orphans(files: &Rust<'_>) -> Vec<String> {
    let mut reached: BTreeSet<&str> = files.keys().copied().filter(|path| is_root(path)).collect();
    let mut waiting: Vec<&str> = reached.iter().copied().collect();
    while let Some(path) = waiting.pop() {
        for candidate in declared(path, files[path]) {
            if let Some((&found, _)) = files.get_key_value(candidate.as_str())
                && reached.insert(found)
            {
                waiting.push(found);
            }
        }
    }
    let lost = files.keys().filter(|path| !reached.contains(*path));
    lost.map(|path| format!("{path}: no `mod` reaches it: declare it or delete it")).collect()
}

fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    if let [.., "src", "lib.rs" | "main.rs"] | [.., "src", "bin", _] = parts.as_slice() {
        return true; // of a package, wherever it is
    }
    // Inside its package: a member may lie in another one's folder.
    let begins = |folder: &&str| *folder == "src" || is_target(folder);
    let inside = match parts.iter().position(begins) {
        Some(at) => &parts[at..],
        None => &parts[parts.len() - 1..],
    };
    match inside {
        ["build.rs"] | ["tests", _, "ui", ..] => true,
        [folder, _] | [folder, _, "main.rs"] => is_target(folder),
        _ => false,
    }
}

/// The folders in which cargo finds targets by itself, in the root package and in a member.
fn is_target(folder: &str) -> bool {
    matches!(folder, "tests" | "benches" | "examples")
}

/// Every place where a module that `text` declares may be.
fn declared(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let mut found = Vec::new();
    for at in words(&code, "mod") {
        let rest = code[at + "mod".len()..].trim_start();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !rest[name.len()..].trim_start().starts_with(';') {
            continue;
        }
        if let Some(given) = path_attribute(text, &code, at) {
            found.push(resolve(folder, given));
            continue;
        }
        let mut parts = vec![folder.to_owned()];
        if !matches!(file, "lib.rs" | "main.rs" | "mod.rs") && !is_root(path) {
            parts.push(file.trim_end_matches(".rs").to_owned());
        }
        parts.extend(enclosing(&code[..at]));
        parts.push(name);
        let stem = parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("/");
        found.push(format!("{stem}.rs"));
        found.push(format!("{stem}/mod.rs"));
    }
    found
}

/// The names of the inline modules that are open at the end of `code`.
fn enclosing(code: &str) -> Vec<String> {
    let mut open: Vec<Option<String>> = Vec::new();
    let mut since = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => {
                let head = code[since..at].trim();
                open.push(head.rsplit_once("mod ").map(|(_, name)| name.trim().to_owned()));
            }
            '}' => drop(open.pop()),
            ';' => {}
            _ => continue,
        }
        since = at + 1;
    }
    open.into_iter().flatten().collect()
}

/// The file that `#[path = "…"]` names for the module declared at byte `at` of `code`. The code has lost the
/// contents of its literals, so they are read in the same line of the text.
fn path_attribute<'a>(text: &'a str, code: &str, at: usize) -> Option<&'a str> {
    let above = code[..at].rfind([';', '}', '{']).map_or(0, |end| end + 1);
    let attribute = words(&code[above..at], "path").next()? + above;
    let line = text.lines().nth(code[..attribute].matches('\n').count())?;
    line.split_once("path = \"")?.1.split('"').next()
}

/// `relative` seen from `folder`, without `.` and `..`.
pub(crate) fn resolve(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(files: &[(&'static str, &'static str)]) -> Vec<String> {
        orphans(&files.iter().copied().collect())
    }

    #[test]
    fn a_file_that_nobody_declares_is_reported() {
        let findings = lost(&[("a/src/lib.rs", "// mod b;\nmod c;"), ("a/src/b.rs", ""), ("a/src/c.rs", "")]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("a/src/b.rs: "), "{findings:?}");
    }

    #[test]
    fn a_file_declared_only_by_a_file_out_of_the_tree_is_reported_with_it() {
        assert_eq!(lost(&[("src/lib.rs", ""), ("src/b.rs", "mod c;"), ("src/b/c.rs", "")]).len(), 2);
    }

    #[test]
    fn folders_inline_modules_and_given_paths_are_followed() {
        let findings = lost(&[
            (
                "src/lib.rs",
                "pub(crate) mod a;\nmod b { fn x() {} mod c; }\n#[cfg(test)]\n#[path = \"odd.rs\"]\nmod d;",
            ),
            ("src/a/mod.rs", "mod e;"),
            ("src/a/e.rs", "mod f;"),
            ("src/a/e/f.rs", ""),
            ("src/b/c.rs", ""),
            ("src/odd.rs", ""),
        ]);
        assert_eq!(findings, Vec::<String>::new());
    }

    #[test]
    fn a_member_inside_another_one_has_its_own_roots_and_so_have_the_cases_of_a_test() {
        let findings = lost(&[
            ("a/src/lib.rs", ""),
            ("a/b/src/lib.rs", "mod c;"),
            ("a/b/src/c.rs", ""),
            ("a/b/build.rs", ""),
            ("tests/area/main.rs", ""),
            ("tests/area/ui/wrong.rs", "mod nowhere;"),
            ("tests/area/ui/more/wrong.rs", ""),
        ]);
        assert_eq!(findings, Vec::<String>::new());
        assert_eq!(lost(&[("a/b/src/lib.rs", ""), ("a/b/src/c.rs", ""), ("a/b/c.rs", "")]).len(), 2);
    }

    #[test]
    fn tests_examples_and_benches_are_roots_and_their_folders_are_followed() {
        let findings = lost(&[
            ("tests/area/main.rs", "#[path = \"../other/shared.rs\"]\nmod shared;\nmod part;"),
            ("tests/area/part.rs", ""),
            ("tests/other/shared.rs", ""),
            ("benches/core.rs", "mod support;"),
            ("benches/support/mod.rs", ""),
            ("examples/hello.rs", ""),
        ]);
        assert_eq!(findings, Vec::<String>::new());
        assert_eq!(lost(&[("tests/area/main.rs", ""), ("tests/area/part.rs", "")]).len(), 1);
    }

    #[test]
    fn a_package_in_a_folder_of_benches_has_roots_of_its_own() {
        let (library, part) = (("benches/a/src/lib.rs", "mod b;"), ("benches/a/src/b.rs", ""));
        assert_eq!(lost(&[library, part, ("benches/a/src/bin/c.rs", "")]), Vec::<String>::new());
        assert_eq!(lost(&[library, part, ("benches/a/src/c.rs", "")]).len(), 1);
    }
}

//! Does a text hold what belongs to one machine, to a notebook or to an advertisement? Do its links lead somewhere?

use crate::modules::resolve;

/// Folders of somebody's machine. Pieced together, so that this file does not report itself.
const MACHINE: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// What is unfinished belongs into an issue; praise belongs to others.
const WORDS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("blazing", "ly"),
    concat!("blazing", " fast"),
    concat!("world", "-class"),
    concat!("battle", "-tested"),
];

pub(crate) fn findings(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        for folder in MACHINE.iter().filter(|folder| is_absolute(line, folder)) {
            findings.push(format!("{path}:{number}: `{folder}` is a path of one machine"));
        }
        for word in WORDS.iter().filter(|word| line.contains(**word)) {
            findings.push(format!("{path}:{number}: `{word}` does not belong here"));
        }
    }
    findings
}

/// Whether `folder` starts a path somewhere in `line`, and is not the middle of an address or of another path.
fn is_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~$}".contains(c)))
}

/// The relative links of a Markdown page that lead to no file or folder.
pub(crate) fn dead_links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || exists(&resolve(folder, target)) {
                continue;
            }
            findings.push(format!("{path}:{number}: the link to `{link}` leads nowhere"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_reported_with_its_line() {
        for folder in MACHINE {
            let found = findings("a.md", &format!("fine\nsee `{folder}me/x`"));
            assert_eq!(found.len(), 1, "{folder}: {found:?}");
            assert!(found[0].starts_with("a.md:2: "), "{found:?}");
            assert_eq!(findings("a.md", &format!("https://example.org{folder}x")), Vec::<String>::new());
        }
    }

    #[test]
    fn a_note_to_oneself_and_praise_are_reported() {
        for word in WORDS {
            assert_eq!(findings("a.rs", &format!("// {word}: later")).len(), 1, "{word}");
        }
    }

    #[test]
    fn a_dead_link_is_reported_and_an_address_is_not_followed() {
        let page = "[a](../b.md#part) [c](https://example.org) [d](#here)\n[e](gone.md)";
        let findings = dead_links("docs/a.md", page, |path| path == "b.md");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].starts_with("docs/a.md:2: "), "{findings:?}");
    }
}

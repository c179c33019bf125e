//! Is what a newcomer reads first true: the program, the two commands, the list of examples?
//!
//! The commands stand in fenced blocks under `<!-- run -->` and `<!-- test -->`. The gate reads them from there, so
//! what the page says is what is run.

use crate::tree::Rust;

const COMMANDS: &[&str] = &["run", "test"];

/// The first screen: everything above the first heading of the second level.
pub(crate) fn first_screen(readme: &str, hello: &str) -> Vec<String> {
    let screen = readme.split("\n## ").next().unwrap_or_default();
    let mut findings = Vec::new();
    match block(screen, "```rust\n") {
        None => findings.push("README.md: no program in a block ```rust on the first screen".to_owned()),
        Some(program) if program != hello => {
            let same = program.lines().zip(hello.lines()).take_while(|(a, b)| a == b).count();
            findings.push(format!(
                "README.md: the program differs from examples/hello.rs in its line {}",
                same + 1
            ));
        }
        Some(_) => {}
    }
    for name in COMMANDS {
        let marker = format!("<!-- {name} -->");
        let commands = screen.split_once(&marker).and_then(|(_, rest)| block(rest, "\n```sh\n"));
        if readme.matches(&marker).count() != 1 || commands.is_none_or(|text| text.lines().count() != 1) {
            findings.push(format!(
                "README.md: not exactly one `{marker}` with a block ```sh of one line under it"
            ));
        }
    }
    if screen.contains("![") {
        findings.push("README.md: a picture or a badge on the first screen".to_owned());
    }
    findings
}

/// The text of the first block that `fence` opens.
fn block<'a>(text: &'a str, fence: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(fence)?;
    rest.find("```").map(|end| &rest[..end])
}

/// The gate takes the commands from the page and holds no copy of its own.
pub(crate) fn gate(script: &str) -> Vec<String> {
    COMMANDS
        .iter()
        .filter(|name| !script.contains(&format!("\"$(readme_command {name})\"")))
        .map(|name| format!(".ci/run: it does not run what README.md says under `<!-- {name} -->`"))
        .collect()
}

/// Every example is in the guide.
pub(crate) fn examples(readme: &str, files: &Rust<'_>) -> Vec<String> {
    let paths = files.keys().filter(|path| path.starts_with("examples/"));
    paths
        .filter(|path| path.matches('/').count() == 1 || path.ends_with("/main.rs"))
        .filter(|path| {
            let target = path.trim_end_matches("/main.rs");
            !readme.contains(&format!("]({target})"))
        })
        .map(|path| format!("README.md: no link to {path}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A\n\nOne sentence.\n\n```rust\n//! Hello.\nfn main() {}\n```\n\n<!-- run -->\n```sh\nrun it\n```\n\n\
        <!-- test -->\n```sh\ntest it\n```\n\n## Guide\n\n[hello](examples/hello.rs), [whole](examples/whole)\n";
    const HELLO: &str = "//! Hello.\nfn main() {}\n";

    #[test]
    fn a_page_that_shows_the_example_and_both_commands_is_fine() {
        assert_eq!(first_screen(PAGE, HELLO), Vec::<String>::new());
        assert_eq!(
            gate("try \"$(readme_command run)\"\ntry \"$(readme_command test)\""),
            Vec::<String>::new()
        );
        let files =
            [("examples/hello.rs", ""), ("examples/whole/main.rs", ""), ("examples/whole/part.rs", "")];
        assert_eq!(examples(PAGE, &files.into()), Vec::<String>::new());
    }

    #[test]
    fn a_program_that_differs_is_reported_with_the_line() {
        let findings = first_screen(PAGE, "//! Hello.\nfn main() { }\n");
        assert_eq!(findings, ["README.md: the program differs from examples/hello.rs in its line 2"]);
        assert_eq!(first_screen(PAGE, HELLO.trim_end()).len(), 1, "byte for byte");
    }

    #[test]
    fn a_page_without_what_it_needs_is_reported() {
        for (from, to) in [
            ("```rust", "```text"),
            ("<!-- run -->", ""),
            ("<!-- test -->", "## Tests\n\n<!-- test -->"),
            ("run it\n", "run it\nand more\n"),
            ("## Guide", "<!-- run -->\n## Guide"),
            ("One sentence.", "![badge](https://example.org)"),
        ] {
            assert!(
                !first_screen(&PAGE.replace(from, to), HELLO).is_empty(),
                "{from:?} → {to:?} was not reported"
            );
        }
    }

    #[test]
    fn a_gate_with_a_command_of_its_own_is_reported() {
        assert_eq!(gate("try \"$(readme_command run)\"\ncargo test").len(), 1);
    }

    #[test]
    fn an_example_that_the_guide_leaves_out_is_reported() {
        assert_eq!(
            examples(PAGE, &[("examples/other.rs", ""), ("examples/more/main.rs", "")].into()).len(),
            2
        );
    }
}

//! Does every mutation of `tests/mutations/list.txt` still fit the code that it breaks?
//!
//! Running them takes minutes (`cargo test --test mutations`); that each can be applied is seen at once.

#[path = "../mutations/list.rs"]
mod list;

use list::{Mutation, parse};

pub(crate) fn stale<'a>(text: &str, file: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
    let mutations = match parse(text) {
        Ok(mutations) => mutations,
        Err(error) => return vec![format!("tests/mutations/list.txt: {error}")],
    };
    mutations.iter().filter_map(|mutation| fault(mutation, file(&mutation.file))).collect()
}

fn fault(mutation: &Mutation, text: Option<&str>) -> Option<String> {
    let error = match text {
        None => "the file does not exist".to_owned(),
        Some(text) => mutation.apply(text).err()?,
    };
    Some(format!("mutation `{}` of {}: {error}", mutation.name, mutation.file))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIST: &str = "# A comment.\n\nname: one\nfile: a.rs\nfind: x + 1\nreplace: x + 2\nproof: --lib a\n\n\
        name: two\nfile: b.rs\nfind:\n|  if ready {\n|  }\nreplace:\nrustflags: --cfg x\nlimit: 5\nproof: --test b -- c\n";

    #[test]
    fn a_list_is_read_with_its_defaults() {
        let list = parse(LIST).expect("the list is well formed");
        let [one, two] = list.as_slice() else { panic!("{list:?}") };
        assert_eq!((one.name.as_str(), one.file.as_str()), ("one", "a.rs"));
        assert_eq!((one.find.as_str(), one.replace.as_str()), ("x + 1", "x + 2"));
        assert_eq!((one.rustflags.as_deref(), one.limit), (None, Duration::from_mins(2)));
        assert_eq!((two.find.as_str(), two.replace.as_str()), ("  if ready {\n  }", ""));
        assert_eq!((two.rustflags.as_deref(), two.limit), (Some("--cfg x"), Duration::from_secs(5)));
        assert_eq!(two.proof, ["--test", "b", "--", "c"]);
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused_with_the_line() {
        for (from, to, line) in [
            ("name: two", "name: one", "line 9"),
            ("find: x + 1", "fnid: x + 1", "line 5"),
            ("find: x + 1\n", "", "line 3"),
            ("file: a.rs\n", "file: a.rs\nfile: b.rs\n", "line 5"),
            ("limit: 5", "limit: soon", "line 16"),
            ("replace: x + 2", "replace: x + 1", "line 3"),
            ("proof: --lib a", "proof:", "line 3"),
            ("name: one", "| name", "line 3"),
        ] {
            let error = parse(&LIST.replacen(from, to, 1)).expect_err(from);
            assert!(error.starts_with(line), "{from:?} → {to:?}: {error}");
        }
    }

    #[test]
    fn a_mutation_applies_where_its_text_stands_once_and_only_there() {
        let file = |text: &'static str| {
            move |path: &str| Some(if path == "a.rs" { text } else { "  if ready {\n  }\n" })
        };
        assert_eq!(stale(LIST, file("let y = x + 1;")), Vec::<String>::new());
        assert_eq!(stale(LIST, file("let y = x;")).len(), 1, "not there");
        assert_eq!(stale(LIST, file("x + 1; x + 1")).len(), 1, "there twice");
        assert_eq!(stale(LIST, |_| None).len(), 2, "no such files");
        assert_eq!(stale("nonsense", |_| None).len(), 1);
    }
}

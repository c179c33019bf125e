//! Which files does the repository have, and what do they say?
//!
//! A path here is relative to the root and uses `/`. What is built (`target…`) and what belongs to git is
//! left out; a file that is no UTF-8 (an archive, a picture) has a path and no text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// The Rust files of a tree: path and text, in the order of their paths.
pub(crate) type Rust<'a> = BTreeMap<&'a str, &'a str>;

/// Every file of the repository, read once.
pub(crate) struct Tree {
    texts: BTreeMap<String, String>,
    paths: BTreeSet<String>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self { texts: BTreeMap::new(), paths: BTreeSet::new() };
        tree.walk(root, "")?;
        Ok(tree)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == ".git" || name == "target" || (prefix.is_empty() && name.starts_with("target")) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"))?;
            } else if let Ok(text) = String::from_utf8(fs::read(entry.path())?) {
                self.texts.insert(path.clone(), text);
            }
            self.paths.insert(path);
        }
        Ok(())
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether `path` is a file or a folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Every text somebody wrote: a lock file is none.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(|(path, _)| !path.ends_with("Cargo.lock"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(crate) fn rust(&self) -> Rust<'_> {
        self.texts().filter(|(path, _)| has_extension(path, "rs")).collect()
    }
}

pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_sees_hidden_files_and_not_what_was_built() {
        let tree = Tree::read(env!("CARGO_MANIFEST_DIR").as_ref()).expect("the repository can be read");
        assert!(tree.has(".ci/run") && tree.has("runtime/src"));
        assert!(tree.text("tests/tidy/tree.rs").is_some_and(|text| text.contains("fn the_walk_sees")));
        assert!(tree.texts().all(|(path, _)| !path.contains("target/") && !path.starts_with(".git/")));
    }
}

//! Where does a mutation break the code without touching the working tree?
//!
//! In a copy of every file that git knows or would take. A file which has not changed is not written again, so that
//! cargo builds only what a mutation touched. One run at a time holds the folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A copy of the working tree, and the folder where it is built.
pub(crate) struct Copy {
    tree: PathBuf,
    target: PathBuf,
    /// Held until the run ends.
    _lock: File,
}

impl Copy {
    pub(crate) fn of(root: &Path, folder: &Path) -> Result<Self, String> {
        let at = |error: io::Error| format!("cannot copy the tree to {}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(at)?;
        let lock = File::create(folder.join("lock")).map_err(at)?;
        lock.try_lock().map_err(|_| "another run of the mutations is under way".to_owned())?;

        let copy = Self { tree: folder.join("tree"), target: folder.join("target"), _lock: lock };
        let files = files(root)?;
        for file in &files {
            copy.bring(root, file).map_err(at)?;
        }
        copy.forget_all_but(&files, Path::new("")).map_err(at)?;
        Ok(copy)
    }

    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Where a proof is built. Other flags build everything anew, so they get a folder of their own.
    pub(crate) fn target(&self, rustflags: Option<&str>) -> PathBuf {
        self.target.join(if rustflags.is_some() { "flags" } else { "plain" })
    }

    pub(crate) fn read(&self, file: &str) -> Result<String, String> {
        fs::read_to_string(self.tree.join(file)).map_err(|error| format!("cannot read {file}: {error}"))
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> Result<(), String> {
        fs::write(self.tree.join(file), text)
            .map_err(|error| format!("cannot write the copy of {file}: {error}"))
    }

    fn bring(&self, root: &Path, file: &Path) -> io::Result<()> {
        let (from, to) = (root.join(file), self.tree.join(file));
        let bytes = fs::read(from)?;
        if fs::read(&to).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        fs::create_dir_all(to.parent().unwrap_or(&self.tree))?;
        fs::write(to, bytes)
    }

    /// Deletes what an earlier copy had and the working tree no longer has.
    fn forget_all_but(&self, files: &BTreeSet<PathBuf>, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(self.tree.join(folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.forget_all_but(files, &path)?;
            } else if !files.contains(&path) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// What is in the repository or would be with the next commit.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = Command::new("git").args(arguments).current_dir(root).output();
    let output = output.map_err(|error| format!("cannot run git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let names =
        String::from_utf8(output.stdout).map_err(|error| format!("a file name is no UTF-8: {error}"))?;
    let deleted = |name: &str| !root.join(name).is_file();
    Ok(names.split('\0').filter(|name| !name.is_empty() && !deleted(name)).map(PathBuf::from).collect())
}

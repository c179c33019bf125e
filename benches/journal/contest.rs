//! Which process runs a contestant, and in which folder?
//!
//! Each run is a process of its own, so none inherits the memory or the files of another. The rivals are a program of their own, with
//! their own build, so that nobody compiles them who does not compare.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::figures::Figures;

/// The argument that makes this program run one contestant.
pub(crate) const CHILD: &str = "--child";

/// A folder of the build, so that all contestants write to the same file system.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("journal")
}

/// This program, as one contestant.
pub(crate) fn child(workload: &str, contestant: &str, count: usize, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.args([CHILD, workload, contestant, &count.to_string()]).arg(folder);
    command
}

/// The program with the rivals, built if need be. None, when that fails.
pub(crate) fn rivals() -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rivals/Cargo.toml");
    let target = folder().with_file_name("rivals");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status();
    built.is_ok_and(|status| status.success()).then(|| target.join("release/rivals"))
}

/// Runs one contestant once, in a folder that is empty before and gone afterwards.
pub(crate) fn run(rivals: Option<&Path>, workload: &str, contestant: &str, count: usize) -> Figures {
    let folder = folder();
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut command = child(workload, contestant, count, &folder);
    if let Some(rivals) = rivals {
        let arguments: Vec<_> = command.get_args().skip(1).map(ToOwned::to_owned).collect();
        command = Command::new(rivals);
        command.args(arguments);
    }
    let output = command.stderr(Stdio::inherit()).output().expect("a second process");
    let _ = std::fs::remove_dir_all(&folder);
    assert!(output.status.success(), "{contestant} failed in {workload}: {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = |line: &str| {
        let (value, name) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Figures(text.lines().filter_map(figure).collect())
}

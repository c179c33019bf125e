//! What does a journal say of a folder that it cannot have: of somebody else, a file, a path that is too long, one that may only be read?

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use omnitron_persistence::{Journal, WithJournal};
use omnitron_runtime::ActorSystem;

const FOLDER: &str = "OMNITRON_TEST_FOLDER";
/// A user without rights, whose number is the same everywhere.
const NOBODY: u32 = 65_534;

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("omnitron-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        // Others must be able to go through it.
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn allow(&self, name: &str, mode: u32) {
        fs::set_permissions(self.0.join(name), Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a system says that is started over this folder.
fn start(folder: &Path) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let system = ActorSystem::builder("test").journal(Journal::embedded(folder));
    match runtime.block_on(system.start()) {
        Ok(system) => {
            runtime.block_on(system.shutdown());
            "it started".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn assert_said(said: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| said.contains(part)), "{said:?} does not say {parts:?}");
}

#[test]
fn a_path_that_cannot_be_a_folder_is_refused_with_what_to_do() {
    let folder = Folder::new("paths");
    let file = folder.0.join("file");
    fs::write(&file, "a letter").unwrap();
    let place = file.display().to_string();
    assert_said(&start(&file), &[&place, "A file is in the way"]);
    assert_said(&start(&file.join("below")), &[&place, "A file is in the way"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "a letter");
    let long = folder.0.join("a".repeat(300));
    assert_said(&start(&long), &["aaaa", "Choose a shorter path"]);
    assert_said(&start(Path::new("")), &["Say which folder"]);
    assert_eq!(start(&folder.0.join("a/folder/that/is/made")), "it started");
}

/// What the one without rights does.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    println!("said: {}", start(Path::new(&folder)));
}

/// What a process says that has no right to more than the mode allows to others. The owner of everything has every right, so a child does it as somebody
/// else.
fn start_without_rights(folder: &Folder, place: &Path) -> String {
    let is_root = fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
    if !is_root {
        return start(place);
    }
    let program = folder.0.join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    folder.allow("program", 0o755);
    let mut command = Command::new(&program);
    command.args(["--exact", "environment::child", "--nocapture"]).env(FOLDER, place).current_dir("/");
    let output = command.uid(NOBODY).gid(NOBODY).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = text.lines().find_map(|line| line.split_once("said: ")).map(|(_, said)| said.to_owned());
    said.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_folder_or_file_without_the_rights_is_refused_with_its_name_and_what_to_do() {
    let folder = Folder::new("rights");
    let journal = folder.0.join("journal");
    assert_eq!(start(&journal), "it started");
    let rights = "Give this process the right to read and write the folder and its files";
    // Somebody else's, to be read by all: nothing can be written, not even the lock.
    folder.allow("journal", 0o555);
    for name in ["lock", "journal", "0000000001.log", "checkpoint"] {
        folder.allow(&format!("journal/{name}"), 0o444);
    }
    let before = files(&journal);
    assert_said(&start_without_rights(&folder, &journal), &["journal/lock: Permission denied", rights]);
    folder.allow("journal/lock", 0o666);
    assert_said(&start_without_rights(&folder, &journal), &["journal/journal: Permission denied", rights]);
    folder.allow("journal/journal", 0o666);
    assert_said(&start_without_rights(&folder, &journal), &["0000000001.log: Permission denied", rights]);
    folder.allow("journal/0000000001.log", 0o000);
    assert_said(&start_without_rights(&folder, &journal), &["0000000001.log: Permission denied", rights]);
    folder.allow("journal/0000000001.log", 0o644);
    // Nobody may look into it.
    folder.allow("journal", 0o000);
    assert_said(&start_without_rights(&folder, &journal), &["Permission denied", "right"]);
    folder.allow("journal", 0o755);
    assert_eq!(files(&journal), before, "nothing was changed");
    for name in ["journal", "0000000001.log", "checkpoint"] {
        folder.allow(&format!("journal/{name}"), 0o644);
    }
    assert_eq!(start(&journal), "it started");
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

//! What does a folder of counts do for the next run, and which folders are refused?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

use std::fs;
use std::path::PathBuf;

use crate::{first_rows, program, run, scratch};

/// A folder for the counts of one test, empty.
pub(crate) fn folder(name: &str) -> String {
    let folder = scratch(name);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{folder}: {error}"),
        _ => folder,
    }
}

fn file(name: &str, rows: usize) -> String {
    let file = scratch(name);
    fs::write(&file, first_rows(rows)).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_on_a_folder_prints_the_same_table_and_counts_nothing_again() {
    let (file, data) = (file("again.csv", 3_000), folder("again"));
    let in_memory = run([&file]).await;
    let first = run([&file, "--data", &data]).await;
    assert_eq!((first.table(), &*first.notes), (in_memory.table(), ""));
    let second = run([&file, "--data", &data]).await;
    assert_eq!(second.table(), in_memory.table());
    assert!(second.notes.starts_with("3000 flights were counted in "), "{}", second.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_reports_malformed_rows_as_one_that_never_stopped() {
    let rows = first_rows(400).replace("2013,1,1,533", "2013,1,1,533,and,more");
    let (file, data) = (scratch("left-out-again.csv"), folder("left-out-again"));
    fs::write(&file, rows).unwrap();
    let first = run([&file, "--data", &data]).await;
    let second = run([&file, "--data", &data]).await;
    assert_eq!(first.table(), second.table());
    let told = |notes: &str| {
        notes.lines().filter(|line| line.contains("malformed")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told(&first.notes), told(&second.notes));
    assert_eq!(told(&first.notes).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_a_folder_is_the_same_however_many_messages_fail() {
    let (file, data) = (file("stormy.csv", 2_000), folder("stormy"));
    let calm = run([&file]).await;
    let stormy = run([&file, "--data", &data, "--faults", "0.2", "--seed", "3"]).await;
    assert_eq!(stormy.table(), calm.table());
    assert!(stormy.figure("failures") > 100 && stormy.figure("restarts") > 50, "{}", stormy.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_keep_the_counts_is_refused_with_its_name_and_what_to_do() {
    let (file, other) = (file("bad-folders.csv", 100), file("bad-folders-other.csv", 101));
    let data = folder("bad-folders");
    let counted = run([&file, "--data", &data]).await;
    let refused = run([&other, "--data", &data]).await;
    let message = refused.refusal();
    assert!(message.contains("holds the counts of another file") && message.contains(&*other), "{message}");

    let foreign = folder("bad-folders-foreign");
    fs::create_dir_all(&foreign).unwrap();
    fs::write(PathBuf::from(&foreign).join("letter.txt"), "dear reader").unwrap();
    let message = run([&file, "--data", &foreign]).await.refusal().to_owned();
    assert!(message.contains("letter.txt") && message.contains("Choose a folder of its own"), "{message}");

    let message = run([&file, "--data", &file]).await.refusal().to_owned();
    assert!(message.contains(&file) && message.contains("A file is in the way"), "{message}");

    // Damaged in the middle: what stands behind the damage was acknowledged.
    let log = PathBuf::from(&data).join("0000000001.log");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let message = run([&file, "--data", &data]).await.refusal().to_owned();
    assert!(
        message.contains("0000000001.log, byte ") && message.contains("nothing was changed"),
        "{message}"
    );
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();
    assert_eq!(run([&file, "--data", &data]).await.table(), counted.table());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_on_one_folder_are_one_run_and_one_refusal() {
    let (file, data) = (file("both-at-once.csv", 3_000), folder("both-at-once"));
    let (a, b) = tokio::join!(run([&file, "--data", &data]), run([&file, "--data", &data]));
    let (done, refused) = if a.code == program::DONE { (a, b) } else { (b, a) };
    let message = refused.refusal();
    assert!(
        message.contains("the journal is in use") && message.contains("Stop the other program"),
        "{message}"
    );
    assert_eq!(done.table(), run([&file]).await.table());
}

//! Does one seed give one run, byte for byte, in whichever process and after whatever else ran there?

use std::path::{Path, PathBuf};
use std::process::Command;

use omnitron::testkit::Sim;

use crate::world;

/// The seed that the program below runs.
const SEED: &str = "OMNITRON_TEST_SEED";
/// The file it writes its log to.
const LOG: &str = "OMNITRON_TEST_LOG";

fn log_of(seed: u64) -> String {
    let sim = Sim::logging(seed);
    let outcome = world::run(&sim, 1_200);
    assert!(outcome.wrong.is_empty(), "seed {seed}: {:#?}", outcome.wrong);
    let mut log = sim.take_log().join("\n");
    log.push('\n');
    log
}

/// FNV-1a: short, and the same everywhere.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
#[ignore = "a program for the tests below, which run it in a process of its own"]
fn the_program() {
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    let log = log_of(seed);
    std::fs::write(std::env::var_os(LOG).unwrap(), &log).unwrap();
    println!("seed {seed}: {} entries, hash {:016x}", log.lines().count(), hash(&log));
}

/// The log of a seed, written by a process of its own into this file, and the line it said.
fn log_of_process(seed: u64, name: &str) -> (String, String) {
    let file: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["same_seed::the_program", "--exact", "--ignored", "--nocapture"])
        .env(SEED, seed.to_string())
        .env(LOG, &file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find_map(|line| Some(&line[line.find("seed ")?..])).unwrap().to_owned();
    let log = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    (log, line)
}

/// The first line in which two logs differ, or their hashes: the whole logs would be megabytes.
#[track_caller]
fn assert_same(one: &str, other: &str) {
    for (number, (left, right)) in one.lines().zip(other.lines()).enumerate() {
        assert_eq!(left, right, "the logs differ in entry {number}");
    }
    assert_eq!((one.len(), hash(one)), (other.len(), hash(other)), "one log is longer");
    assert!(one == other, "the logs differ");
}

#[test]
fn the_same_seed_gives_the_same_log_byte_for_byte_in_two_processes_and_after_other_runs() {
    let seed = 42;
    let (one, said_by_one) = log_of_process(seed, "simulation-one.log");
    let (two, said_by_two) = log_of_process(seed, "simulation-two.log");
    assert_same(&one, &two);
    assert_eq!(said_by_one, said_by_two);

    assert!(one.lines().count() >= 10_000, "{said_by_one}");
    let has = |what: &str| one.lines().filter(|line| line.contains(what)).count();
    assert!(has(" spawn #") >= 100, "{} actors and tasks", has(" spawn #"));
    let events = [
        "an error of",
        "a panic of",
        " timer ",
        "Terminated",
        "ChildRestarted",
        "dead letter",
        " ended",
        "shutdown Drain",
    ];
    for event in events {
        assert!(has(event) > 0, "the log tells of no `{event}`: {said_by_one}");
    }

    // This process has run other worlds before, and runs others beside this one.
    drop(log_of(seed + 1));
    assert_same(&one, &log_of(seed));
}

#[test]
fn another_seed_gives_another_log() {
    let (one, another) = (log_of(1), log_of(2));
    assert_ne!(hash(&one), hash(&another));
    let differ = one.lines().zip(another.lines()).take(1_000).filter(|(left, right)| left != right).count();
    assert!(differ > 100, "only {differ} of the first thousand entries differ");
}

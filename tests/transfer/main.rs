//! Does the example `transfer` lose or make a cent, whenever it is killed, and however often?
//!
//! The process is this test binary, run again: [`the_program`].

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

#[path = "../../examples/transfer/account.rs"]
mod account;
#[path = "../../examples/transfer/audit.rs"]
mod audit;
#[path = "../../examples/transfer/program.rs"]
mod program;

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use audit::Audit;
use omnitron::prelude::*;

/// The folder of the program.
const DATA: &str = "OMNITRON_TEST_TRANSFER";
/// Where the seed of the kills comes from.
const SEED: &str = "OMNITRON_SEED";
/// How often the program is killed, and how often that must have been in the middle.
const KILLS: (usize, usize) = (8, 5);
/// How many payments it makes in all.
const PAYMENTS: u64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a program for the test below, which runs it in a process of its own"]
async fn the_program() {
    let folder = PathBuf::from(std::env::var_os(DATA).expect("a test runs it and names a folder"));
    let say = |line: &str| {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).expect("the test listens");
    };
    let acknowledged = |count: u64| {
        if count.is_multiple_of(100) {
            say(&format!("acknowledged {count}"));
        }
    };
    program::run(&folder, PAYMENTS, acknowledged).await.unwrap();
    say("all the money is there");
}

fn start(folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_program", "--ignored", "--nocapture"]).env(DATA, folder);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

async fn look(folder: &Path) -> Audit {
    let journal = Journal::embedded(folder);
    let system = ActorSystem::builder("look").journal(journal.clone()).start().await.unwrap();
    let audit = audit::audit(journal.backend().unwrap(), program::ACCOUNTS).await.unwrap();
    system.shutdown().await;
    audit
}

fn draw(state: &mut u64, limit: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % limit
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_loses_no_cent_and_makes_none() {
    let seed = std::env::var(SEED).map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed}: repeat with {SEED}={seed}");
    let folder = std::env::temp_dir().join(format!("omnitron-transfer-test-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let (mut state, mut in_the_middle, mut underway) = (seed, 0, 0);
    for kill in 1..=KILLS.0 {
        let (mut child, out) = start(&folder);
        let mut lines = out.lines();
        // The harness writes into the first line.
        let is_one =
            |line: &io::Result<String>| line.as_ref().is_ok_and(|line| line.contains("acknowledged"));
        // Each life comes further than the one before, where there is something new to pay.
        let share = PAYMENTS / 100 / KILLS.0 as u64;
        let at = usize::try_from((kill as u64 - 1) * share + draw(&mut state, share)).unwrap();
        let runs = lines.by_ref().filter(is_one).nth(at).is_some();
        // Somewhere behind it, and not just when a line is written.
        (0..draw(&mut state, 3_000_000)).for_each(|_| std::hint::spin_loop());
        child.kill().unwrap();
        let whole = lines.any(|line| line.is_ok_and(|line| line.contains("all the money is there")));
        child.wait().unwrap();
        in_the_middle += usize::from(runs && !whole);
        // The sum is right at every position of the journal; this fails where it is not.
        let audit = look(&folder).await;
        println!("kill {kill}: {audit:?}");
        underway += usize::from(audit.underway > 0);
    }
    println!(
        "{in_the_middle} of {} kills fell into the middle, {underway} while money was underway",
        KILLS.0
    );
    assert!(in_the_middle >= KILLS.1, "only {in_the_middle}");
    let (mut child, out) = start(&folder);
    let lines: Vec<String> = out.lines().map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("all the money is there")), "{lines:?}");
    let Audit { paid, credited, underway, .. } = look(&folder).await;
    assert_eq!((credited, underway), (paid, 0));
    let _ = std::fs::remove_dir_all(&folder);
}

//! Does the example `delays` print the same table whenever it is killed, and however often?
//!
//! The process is this test binary, run again: [`the_program`].

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

#[path = "../../examples/delays/carrier.rs"]
mod carrier;
#[path = "../../examples/delays/program.rs"]
mod program;
#[path = "../../examples/delays/store.rs"]
mod store;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use omnitron::backend::JournalBackend;
use omnitron::backend::memory::{Failure, Memory};
use omnitron::prelude::*;
use omnitron::projection::Readable;
use omnitron::snapshot::memory::MemorySnapshots;
use omnitron::testkit::Sim;
use omnitron::{PersistenceId, Persistent, Positioned, Recorded, Sequence, Slices};

use carrier::{Carrier, Depart, Departed};
use futures_util::StreamExt;
use store::Delays;

/// The folder of the program.
const DATA: &str = "OMNITRON_TEST_DELAYS";
/// Where the seed of the kills comes from.
const SEED: &str = "OMNITRON_SEED";
/// How often the program is killed, and how often that must have been in the middle.
const KILLS: (usize, usize) = (8, 4);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a program for the test below, which runs it in a process of its own"]
async fn the_program() {
    let folder = PathBuf::from(std::env::var_os(DATA).expect("a test runs it and names a folder"));
    let acknowledged = |count: u64| {
        if count.is_multiple_of(100) {
            let mut out = io::stdout().lock();
            writeln!(out, "acknowledged {count}").and_then(|()| out.flush()).expect("the test listens");
        }
    };
    let table = program::run(&folder, acknowledged).await.unwrap();
    let mut out = io::stdout().lock();
    writeln!(out, "table follows\n{}\nend of table", table.join("\n")).expect("the test listens");
}

fn start(folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_program", "--ignored", "--nocapture"]).env(DATA, folder);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// What the flights of the file come to.
fn expected() -> Vec<store::Row> {
    let mut table = BTreeMap::new();
    for flight in program::flights() {
        let (flights, minutes) = table.entry((flight.carrier, flight.month)).or_insert((0, 0));
        *flights += 1;
        *minutes += i64::from(flight.minutes_late);
    }
    table
        .into_iter()
        .map(|((carrier, month), (flights, minutes))| (carrier, month, flights, minutes))
        .collect()
}

fn draw(state: &mut u64, limit: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % limit
}

#[test]
fn a_flight_whose_append_was_refused_is_not_lost_behind_those_that_were_on_their_way() {
    let sim = Sim::new(1);
    let (backend, controls) = Memory::new(Slices::new(4).unwrap());
    let journal = Journal::with(backend.clone(), MemorySnapshots::new());
    let system =
        sim.block_on(ActorSystem::builder("delays").env(sim.env()).journal(journal).start()).unwrap();
    let carrier = system.spawn("UA", Persistent::new(Carrier).id("carrier/UA")).unwrap();
    sim.run_until_idle();
    let ask = |number: u16| {
        let carrier = carrier.clone();
        let minutes_late = i32::from(number);
        let depart = move |reply| Depart { number: number.into(), month: 1, minutes_late, reply };
        async move { carrier.ask(depart).await }
    };
    let taken = |answer: &Result<Positioned<u64>, AskError>, number: u16| {
        answer.as_ref().is_ok_and(|answer| answer.value >= u64::from(number))
    };
    controls.fail_next(Failure::Refused);
    let answers = sim.block_on(futures_util::future::join_all((1..=600).map(ask)));
    let at_first = (1..).zip(&answers).filter(|(number, answer)| taken(answer, *number)).count();
    assert!(at_first < 600, "one was refused");
    // The program ends there. It is started again, and sends all of them again.
    for number in 1..=600 {
        let answer = sim.block_on(ask(number));
        assert!(taken(&answer, number), "{number}: {answer:?}");
    }
    let all = sim.block_on(ask(600)).unwrap();
    assert_eq!(all.value, 600);
    let events = backend.read(&PersistenceId::new("carrier/UA").unwrap(), Sequence::ZERO, Sequence::MAX);
    let late = |event: Result<Recorded, _>| Departed::read(event.unwrap()).unwrap().minutes_late;
    let late: Vec<i32> = sim.block_on(events.map(late).collect());
    assert_eq!(late, (1..=600).collect::<Vec<_>>(), "each of them once, and in order");
}

#[test]
fn killed_again_and_again_it_counts_each_flight_once() {
    let seed = std::env::var(SEED).map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed}: repeat with {SEED}={seed}");
    let folder = std::env::temp_dir().join(format!("omnitron-delays-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let (mut state, mut in_the_middle) = (seed, 0);
    let expected = expected();
    for kill in 1..=KILLS.0 {
        let (mut child, out) = start(&folder);
        let mut lines = out.lines();
        // The harness writes into the first line.
        let is_one =
            |line: &io::Result<String>| line.as_ref().is_ok_and(|line| line.contains("acknowledged"));
        let runs =
            lines.by_ref().filter(is_one).nth(usize::try_from(draw(&mut state, 60)).unwrap()).is_some();
        // Somewhere behind it, and not just when a line is written.
        (0..draw(&mut state, 3_000_000)).for_each(|_| std::hint::spin_loop());
        child.kill().unwrap();
        let whole = lines.any(|line| line.is_ok_and(|line| line.contains("end of table")));
        child.wait().unwrap();
        in_the_middle += usize::from(runs && !whole);
        let table = Delays::open(&folder.join("delays-0.sqlite")).unwrap().table().unwrap_or_default();
        for row in table {
            let most = expected.iter().find(|(carrier, month, ..)| (carrier, month) == (&row.0, &row.1));
            assert!(most.is_some_and(|most| row.2 <= most.2), "kill {kill}: {row:?} of {most:?}");
        }
    }
    println!("{in_the_middle} of {} kills fell into the middle", KILLS.0);
    assert!(in_the_middle >= KILLS.1, "only {in_the_middle}");
    let (mut child, out) = start(&folder);
    let lines: Vec<String> = out.lines().map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    let table: Vec<&String> = lines
        .iter()
        .skip_while(|line| !line.contains("table follows"))
        .skip(1)
        .take_while(|line| *line != "end of table")
        .collect();
    assert_eq!(table, program::lines(&expected).iter().collect::<Vec<_>>());
    assert_eq!(Delays::open(&folder.join("delays-0.sqlite")).unwrap().table().unwrap(), expected);
    let _ = std::fs::remove_dir_all(&folder);
}

//! Is the table the same when the process is killed at any moment, stopped, or out of room, and started again?
//!
//! The process is this test binary, run again: [`the_program`]. It says on its standard output which batches were acknowledged.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock};

use futures_util::TryStreamExt;
use omnitron::backend::SlicesQuery;
use omnitron::prelude::*;
use omnitron::{Ordinal, Slice, Stored};

use crate::durable::folder;
use crate::job::Notes;
use crate::record::{Columns, Flight, Row};
use crate::tally::{Departure, Leg, Movement, Place};
use crate::{MONTH, ProgressBar, partition, program, run};

/// The folder of the program's counts.
const DATA: &str = "OMNITRON_TEST_FLIGHTS";
/// Where the seed of the kills comes from.
const SEED: &str = "OMNITRON_SEED";
/// Turns a test that was skipped into one that failed.
const NO_SKIPS: &str = "OMNITRON_NO_SKIPS";
/// How often the program is killed, and how often that must have been in the middle.
const KILLS: (usize, usize) = (25, 20);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a program for the tests below, which run it in a process of its own"]
async fn the_program() {
    let data = std::env::var_os(DATA).expect("a test runs it and names a folder");
    let acknowledged = Arc::new(|Place { partition, line }: Place| {
        let mut out = io::stdout().lock();
        writeln!(out, "acknowledged {partition} {line}")
            .and_then(|()| out.flush())
            .expect("the test listens");
    });
    let mut table = Vec::new();
    let mut notes = Notes { bar: ProgressBar::hidden(), out: &mut io::stderr(), acknowledged };
    let code = program::run([OsString::from("--data"), data], &mut table, &mut notes).await;
    let mut out = io::stdout().lock();
    out.write_all(b"table follows\n").and_then(|()| out.write_all(&table)).expect("the test listens");
    drop(out);
    std::process::exit(code.into());
}

/// The program, running.
struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
    acknowledged: BTreeMap<u16, u64>,
    said: u64,
}

/// The program, ended.
struct Ended {
    status: ExitStatus,
    table: String,
    notes: String,
}

impl Program {
    /// Starts it on a folder; `before` are the lines of a shell in front of it.
    fn start(data: &str, before: &str) -> Self {
        let line = format!("{before}\nexec \"$0\" --exact killed::the_program --ignored --nocapture");
        let mut command = Command::new("sh");
        command.arg("-c").arg(line).arg(std::env::current_exe().unwrap()).env(DATA, data);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, acknowledged: BTreeMap::new(), said: 0 }
    }

    /// Waits until it has said of so many batches that they were acknowledged. `false`: it ended before.
    fn wait_for(&mut self, batches: u64) -> bool {
        let mut line = String::new();
        while self.said < batches {
            line.clear();
            if self.out.read_line(&mut line).unwrap() == 0 || line == "table follows\n" {
                return false;
            }
            // The test harness writes into the first line.
            let Some((_, numbers)) = line.split_once("acknowledged ") else { continue };
            let (partition, number) = numbers.trim().split_once(' ').unwrap();
            self.acknowledged.insert(partition.parse().unwrap(), number.parse().unwrap());
            self.said += 1;
        }
        true
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill {name}");
    }

    /// Waits for its end.
    fn end(mut self) -> Ended {
        self.wait_for(u64::MAX);
        let (mut table, mut notes) = (String::new(), String::new());
        self.out.read_to_string(&mut table).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut notes).unwrap();
        Ended { status: self.child.wait().unwrap(), table, notes }
    }
}

impl Ended {
    fn table(&self) -> &str {
        assert!(self.status.success(), "{}: {}", self.status, self.notes);
        self.table.split_once("-- system").expect("the system's figures follow the table").0
    }

    fn refusal(&self) -> &str {
        assert_eq!((self.status.code(), &*self.table), (Some(program::FAILED.into()), ""), "{}", self.notes);
        self.notes.lines().find_map(|line| line.strip_prefix("error: ")).expect("it says why")
    }
}

/// Every event that the month has to give: who counts it, and its line; twice where a flight starts and lands at one airport.
static EXPECTED: LazyLock<BTreeMap<(u16, u64), BTreeSet<String>>> = LazyLock::new(|| {
    let mut lines =
        csv::ReaderBuilder::new().has_headers(false).from_reader(MONTH.as_bytes()).into_byte_records();
    let columns = Columns::find(&lines.next().unwrap().unwrap()).unwrap();
    let rows = (2..).zip(lines).map(|(line, fields)| Row { line, fields: fields.unwrap(), columns });
    let events = rows.map(|row| {
        let flight = Flight::parse(&row).unwrap();
        let Flight { carrier, tail, origin, dest, .. } = flight;
        let mut who: BTreeSet<String> = tail.into_iter().map(|tail| format!("fleet/{tail}")).collect();
        who.insert(format!("carriers/{carrier}"));
        who.insert(format!("airports/{origin} departs"));
        who.insert(format!("airports/{dest} lands"));
        ((partition::of(&row), row.line), who)
    });
    events.collect()
});

/// Every event of the month that lies in the folder. Fails when one lies there twice.
async fn counted(data: &str) -> BTreeMap<(u16, u64), BTreeSet<String>> {
    let journal = Journal::embedded(data);
    let system = ActorSystem::builder("look").journal(journal.clone()).start().await.unwrap();
    let backend = journal.backend().unwrap();
    let after = (0..backend.slices().get()).map(|slice| (Slice::new(slice), Ordinal::ZERO)).collect();
    let mut events = backend.read_slices(SlicesQuery { after, tag: None });
    let mut counted = BTreeMap::<_, BTreeSet<String>>::new();
    while let Some(recorded) = events.try_next().await.unwrap() {
        let (event, id) = (&recorded.event, recorded.id.as_str());
        let stored =
            Stored { name: &event.name, version: event.version, fingerprint: None, bytes: &event.payload };
        let (place, who) = match &*event.name {
            "flights.aircraft.leg" => (Leg::decode(stored).unwrap().place, id.to_owned()),
            "flights.carrier.departure" => (Departure::decode(stored).unwrap().place, id.to_owned()),
            "flights.airport.movement" => {
                let Movement { place, departs } = Movement::decode(stored).unwrap();
                (place, format!("{id} {}", if departs { "departs" } else { "lands" }))
            }
            _ => continue,
        };
        let new = counted.entry((place.partition, place.line)).or_default().insert(who.clone());
        assert!(new, "{who} counted line {} twice", place.line);
    }
    system.shutdown().await;
    counted
}

/// A number below `limit`.
fn draw(state: &mut u64, limit: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % limit
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_loses_nothing_counts_nothing_twice_and_prints_the_same_table() {
    let seed = std::env::var(SEED).map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed}: repeat with {SEED}={seed}");
    let (data, mut state) = (folder("killed"), seed);
    let mut in_the_middle = 0;
    let mut acknowledged = BTreeMap::<u16, u64>::new();
    for kill in 1..=KILLS.0 {
        let mut program = Program::start(&data, "");
        let runs = program.wait_for(1 + draw(&mut state, 14));
        // Somewhere behind it, and not just when a line is written.
        (0..draw(&mut state, 3_000_000)).for_each(|_| std::hint::spin_loop());
        program.child.kill().unwrap();
        // What it had written before it was killed counts as well.
        let ended = !program.wait_for(u64::MAX) && program.child.wait().unwrap().success();
        in_the_middle += usize::from(runs && !ended);
        acknowledged.append(&mut program.acknowledged);

        let counted = counted(&data).await;
        for (place, expected) in EXPECTED.iter() {
            let (partition, line) = place;
            if acknowledged.get(partition).is_some_and(|last| line <= last) {
                assert_eq!(counted.get(place), Some(expected), "kill {kill}: line {line} was acknowledged");
            }
        }
    }
    println!("{in_the_middle} of {} kills fell between the first and the last acknowledgement", KILLS.0);
    assert!(in_the_middle >= KILLS.1, "only {in_the_middle}");
    let last = Program::start(&data, "").end();
    assert_eq!(last.table(), run([]).await.table());
    assert_eq!(counted(&data).await, *EXPECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_it_says_so_and_goes_on_when_there_is_some() {
    let data = folder("limited");
    // The limit is in units of 512 bytes. A write beyond it is to fail, and not to end the process.
    let ended = Program::start(&data, "trap '' XFSZ; ulimit -f 8192").end();
    let message = ended.refusal();
    for part in [&*data, ".log, byte ", "File too large", "Make room", "run the same command again"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(Program::start(&data, "").end().table(), run([]).await.table());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_device_it_says_so_and_goes_on_elsewhere() {
    let (data, rescued) = (folder("full"), folder("rescued"));
    fs::create_dir_all(&data).unwrap();
    let mount = format!("mount -t tmpfs -o size=6m tmpfs '{data}'");
    let may = Command::new("unshare").args(["-m", "sh", "-c", &mount]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os(NO_SKIPS).is_none(), "this test may not mount");
        println!("skipped: this test may not mount; the limit on the size of files is tested in any case");
        return;
    }
    // The device is gone with the process, so its files are copied first.
    let before = format!(
        "if [ -z \"$inside\" ]; then export inside=1; exec unshare -m sh -c \"$(cat <<'END'\n{mount} || exit 9\n\
         \"$0\" --exact killed::the_program --ignored --nocapture\ncode=$?\ncp -a '{data}' '{rescued}'\nexit $code\nEND\n)\" \"$0\"; fi"
    );
    let ended = Program::start(&data, &before).end();
    let message = ended.refusal();
    assert!(message.contains("No space left on device") && message.contains("Make room"), "{message}");
    assert_eq!(Program::start(&rescued, "").end().table(), run([]).await.table());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_for_ten_seconds_it_goes_on_as_if_nothing_had_been() {
    let data = folder("stopped");
    let mut program = Program::start(&data, "");
    assert!(program.wait_for(40), "it had ended before");
    program.signal("-STOP");
    // The time of the machine passes; that of a simulation would not be noticed by a process that is stopped.
    assert!(Command::new("sleep").arg("10").status().unwrap().success());
    program.signal("-CONT");
    assert_eq!(program.end().table(), run([]).await.table());
}

//! Does the program on real data give the right result, whatever fails on the way and whatever it is fed?
//!
//! The modules of `examples/flights` are compiled into this test: the whole run happens in this process, and the unit
//! tests beside the code run here as well (cargo runs none in examples).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use indicatif::ProgressBar;

#[path = "../../examples/flights/arguments.rs"]
mod arguments;
#[path = "../../examples/flights/faults.rs"]
mod faults;
#[path = "../../examples/flights/input.rs"]
mod input;
#[path = "../../examples/flights/job.rs"]
mod job;
#[path = "../../examples/flights/parser.rs"]
mod parser;
#[path = "../../examples/flights/partition.rs"]
mod partition;
#[path = "../../examples/flights/patience.rs"]
mod patience;
#[path = "../../examples/flights/program.rs"]
mod program;
#[path = "../../examples/flights/record.rs"]
mod record;
#[path = "../../examples/flights/registry.rs"]
mod registry;
#[path = "../../examples/flights/rejects.rs"]
mod rejects;
#[path = "../../examples/flights/report.rs"]
mod report;
#[path = "../../examples/flights/store.rs"]
mod store;
#[path = "../../examples/flights/tally.rs"]
mod tally;

mod durable;
mod killed;

use arguments::Options;
use faults::Faults;
use job::Notes;
use parser::{Batch, ParseMsg, Registries};
use record::{Columns, Row};
use registry::CounterMsg;
use tally::{Aircraft, Airport, Carrier};

use omnitron::prelude::*;

/// What one run said.
struct Run {
    /// The exit code.
    code: u8,
    /// Standard output.
    out: String,
    /// Standard error.
    notes: String,
}

impl Run {
    /// What must not differ between runs over the same flights.
    fn table(&self) -> &str {
        assert_eq!(self.code, program::DONE, "{}", self.notes);
        self.out.split_once("-- system").expect("the system's figures follow the table").0
    }

    /// A run that must fail: its message. A table printed all the same would pass for a right one.
    fn refusal(&self) -> &str {
        assert_eq!((self.code, &*self.out), (program::FAILED, ""), "{}", self.notes);
        self.notes.lines().find_map(|line| line.strip_prefix("error: ")).expect("it says why")
    }

    /// A number among the system's figures.
    fn figure(&self, name: &str) -> u64 {
        let line = self.out.lines().find_map(|line| line.strip_prefix(name)).expect("the figure is printed");
        line.trim().replace(',', "").parse().expect("it is a number")
    }
}

async fn run<const N: usize>(arguments: [&str; N]) -> Run {
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let mut sink = notes_to(&mut notes);
    let code = program::run(arguments.map(OsString::from), &mut out, &mut sink).await;
    let text = |bytes| String::from_utf8(bytes).expect("the program writes text");
    Run { code, out: text(out), notes: text(notes) }
}

fn notes_to(out: &mut dyn Write) -> Notes<'_> {
    Notes { bar: ProgressBar::hidden(), out, acknowledged: Arc::new(|_| {}) }
}

async fn run_on(name: &str, content: impl AsRef<[u8]>) -> Run {
    let file = scratch(name);
    fs::write(&file, content).expect("the scratch directory takes files");
    run([&file]).await
}

/// A place for a test's own file.
fn scratch(name: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flights");
    fs::create_dir_all(&folder).expect("the target directory takes folders");
    folder.join(name).into_os_string().into_string().expect("the target directory has a name in UTF-8")
}

/// The shipped month, decompressed.
static MONTH: LazyLock<String> = LazyLock::new(|| {
    let compressed = File::open(arguments::DEFAULT_FILE).expect("the month is in the repository");
    let mut text = String::new();
    GzDecoder::new(compressed).read_to_string(&mut text).expect("it is gzip of text");
    text
});

/// The first rows of the month under its header.
fn first_rows(rows: usize) -> String {
    MONTH.split_inclusive('\n').take(rows + 1).collect()
}

fn gzip(text: &str, level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(text.as_bytes()).expect("memory takes what is written to it");
    encoder.finish().expect("memory takes what is written to it")
}

/// Rows of the table as words.
fn words(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_month_gives_the_published_figures() {
    let run = run([]).await;
    let table = words(run.table());

    let carriers: Vec<_> = table[1..].iter().take_while(|row| !row.is_empty()).collect();
    let flights: Vec<_> = carriers.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(
        flights,
        [
            ("UA", "4637"),
            ("B6", "4427"),
            ("EV", "4171"),
            ("DL", "3690"),
            ("AA", "2794"),
            ("MQ", "2271"),
            ("US", "1602"),
            ("9E", "1573"),
            ("WN", "996"),
            ("FL", "328"),
            ("VX", "316"),
            ("AS", "62"),
            ("F9", "59"),
            ("YV", "46"),
            ("HA", "31"),
            ("OO", "1"),
        ]
    );
    let known: u64 = carriers.iter().map(|row| row[2].parse::<u64>().unwrap()).sum();
    assert_eq!(known, 27_004 - 521);
    for (carrier, mean) in
        [("UA", "8.33"), ("B6", "9.49"), ("EV", "24.23"), ("DL", "3.85"), ("AA", "6.93"), ("HA", "54.39")]
    {
        let row = carriers.iter().find(|row| row[0] == carrier).unwrap();
        assert_eq!(row[3], mean, "{carrier}");
    }

    let section = |title| table.iter().skip_while(move |row| row.first() != Some(&title)).skip(1);
    let airports: Vec<_> =
        section("airport").take_while(|row| !row.is_empty()).map(|row| (row[0], row[1])).collect();
    assert_eq!(
        airports,
        [
            ("EWR", "9,893"),
            ("JFK", "9,161"),
            ("LGA", "7,950"),
            ("ATL", "1,396"),
            ("ORD", "1,269"),
            ("BOS", "1,245"),
            ("MCO", "1,175"),
            ("FLL", "1,161"),
            ("LAX", "1,159"),
            ("CLT", "1,058"),
        ]
    );
    let aircraft: Vec<_> =
        section("aircraft").take_while(|row| !row.is_empty()).map(|row| (row[0], row[1])).collect();
    assert_eq!(aircraft[..3], [("N730MQ", "74"), ("N739MQ", "73"), ("N713MQ", "70")]);
    assert_eq!(aircraft.len(), 5);

    assert_eq!(run.notes, "");
    for silent in ["failures", "restarts", "dead letters"] {
        assert_eq!(run.figure(silent), 0, "{silent}");
    }
    assert!(run.figure("messages") > 50_000, "one per batch, and one per batch and actor that it concerns");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flight_without_tail_number_counts_everywhere_but_as_an_aircraft() {
    let options = Options { file: arguments::DEFAULT_FILE.into(), data: None, faults: Faults::default() };
    let (answers, _) = job::count(&options, &mut notes_to(&mut Vec::new())).await.unwrap();
    let flights: u64 = answers.carriers.iter().map(|(_, carrier)| carrier.flights).sum();
    let movements: u64 = answers.airports.iter().map(|(_, airport)| airport.movements).sum();
    let legs: u64 = answers.aircraft.iter().map(|(_, aircraft)| aircraft.legs).sum();
    assert_eq!((flights, movements, legs), (27_004, 2 * 27_004, 27_004 - 155));
    assert!(answers.aircraft.iter().all(|(tail, _)| tail != "NA"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_the_same_however_many_messages_fail_and_whichever() {
    let file = scratch("faults.csv");
    fs::write(&file, first_rows(2_000)).unwrap();
    let calm = run([&file]).await;
    for (chance, seed) in [("0.02", "1"), ("0.02", "2"), ("0.02", "3"), ("0.5", "4")] {
        let stormy = run([&file, "--faults", chance, "--seed", seed]).await;
        assert_eq!(stormy.table(), calm.table(), "--faults {chance} --seed {seed}");
        assert!(stormy.figure("failures") > 100 && stormy.figure("restarts") > 50, "{}", stormy.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_sent_twice_is_counted_once_by_the_actors_that_bear_its_names() {
    let system = ActorSystem::builder("twice").journal(Journal::memory()).start().await.unwrap();
    let registries = Registries {
        fleet: registry::spawn(&system, "fleet", Faults::default()).unwrap(),
        airports: registry::spawn(&system, "airports", Faults::default()).unwrap(),
        carriers: registry::spawn(&system, "carriers", Faults::default()).unwrap(),
    };
    let pool = parser::spawn_pool(&system, &registries, Faults::default()).unwrap();
    let mut lines =
        csv::ReaderBuilder::new().has_headers(false).from_reader(MONTH.as_bytes()).into_byte_records();
    let columns = Columns::find(&lines.next().unwrap().unwrap()).unwrap();
    let row = Row { line: 2, fields: lines.next().unwrap().unwrap(), columns };
    let batch = Arc::new(Batch { partition: partition::of(&row), rows: vec![row] });
    for _ in 0..2 {
        let malformed = pool.try_ask(|reply| ParseMsg { batch: batch.clone(), reply }).await.unwrap();
        assert_eq!(malformed, []);
    }
    let aircraft = system.lookup::<CounterMsg<Aircraft>>("/user/fleet/N14228").unwrap();
    assert_eq!(aircraft.ask(CounterMsg::Read).await.unwrap().legs, 1);
    let carrier = system.lookup::<CounterMsg<Carrier>>("/user/carriers/UA").unwrap();
    let carrier = carrier.ask(CounterMsg::Read).await.unwrap();
    assert_eq!((carrier.flights, carrier.known_delays, carrier.delay_minutes), (1, 1, 2));
    for end in ["/user/airports/EWR", "/user/airports/IAH"] {
        let airport = system.lookup::<CounterMsg<Airport>>(end).unwrap();
        assert_eq!(airport.ask(CounterMsg::Read).await.unwrap().movements, 1, "{end}");
    }
    system.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_seen_by_content_and_not_by_name() {
    let rows = first_rows(300);
    let plain = run_on("plain.gz", &rows).await;
    let compressed = run_on("compressed.csv", gzip(&rows, Compression::fast())).await;
    let windows = run_on("windows.csv", format!("\u{feff}{}", rows.replace('\n', "\r\n"))).await;
    assert_eq!(plain.table(), compressed.table());
    assert_eq!(plain.table(), windows.table());
    assert_eq!((&*plain.notes, &*compressed.notes, &*windows.notes), ("", "", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_gzip_gives_no_table_wherever_it_was_cut() {
    let compressed = gzip(&first_rows(2_000), Compression::best());
    let whole = compressed.len();
    for cut in [whole - 1, whole - 8, whole - 9, whole / 2, 4_000, 11, 3, 2] {
        let run = run_on("truncated.gz", &compressed[..cut]).await;
        let message = run.refusal();
        assert!(
            message.contains("truncated.gz") && message.contains("truncated: it ends after"),
            "{cut}: {message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_gzip_gives_no_table() {
    let mut damaged = gzip(&first_rows(1_000), Compression::best());
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    let run = run_on("damaged.gz", damaged).await;
    assert!(run.refusal().contains("damaged after line 1001"), "{}", run.refusal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_csv_of_flights_is_refused_with_its_name_and_what_it_lacks() {
    let missing = run([&scratch("missing.csv")]).await;
    assert!(missing.refusal().contains("missing.csv: there is no such file"), "{}", missing.refusal());
    let directory = run([&scratch("")]).await;
    assert!(directory.refusal().contains("is a directory"), "{}", directory.refusal());

    let mut garbage = vec![0_u8; 200_000];
    let mut state = 1_u32;
    for byte in &mut garbage {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = state.to_be_bytes()[0];
    }
    let header = MONTH.lines().next().unwrap();
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("empty.csv", Vec::new(), "is empty"),
        (
            "prose.txt",
            b"It was a dark and stormy night.\n".to_vec(),
            "none of the columns that flights need: dep_delay",
        ),
        ("garbage.bin", garbage, "none of the columns"),
        ("line.bin", vec![b'x'; 1_000_000], "none of the columns"),
        (
            "lacks.csv",
            header.replace("tailnum", "tail").replace("dest,", "").into_bytes(),
            "header lacks tailnum, dest",
        ),
        ("twice.csv", header.replace("hour", "origin").into_bytes(), "names origin more than once"),
    ];
    for (name, content, expected) in cases {
        let run = run_on(name, content).await;
        let message = run.refusal();
        assert!(message.contains(name) && message.contains(expected) && message.len() < 400, "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_without_flights_gives_an_empty_table_and_a_note() {
    let run = run_on("header.csv", first_rows(0)).await;
    assert!(run.table().starts_with("carrier"));
    assert!(run.notes.contains("header.csv: there is no flight in it"), "{}", run.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_rows_are_reported_by_line_and_reason_and_leave_the_table_as_it_is() {
    const HEADER: &[u8] = b"carrier,tailnum,origin,dest,dep_delay\n";
    const GOOD: [&[u8]; 2] = [b"UA,N1,EWR,IAH,2\n", b"AA,NA,JFK,MIA,NA\n"];
    let long = [b"UA,N1,EWR,IAH,".as_slice(), &vec![b'9'; 1_000_000], b"\n"].concat();
    let bad: [(&[u8], &str); 13] = [
        (b"UA,N1,EWR\n", "3 fields where the header has 5"),
        (b"UA,N1,EWR,IAH,2,3\n", "6 fields where the header has 5"),
        (b"UA\n", "1 field where the header has 5"),
        (b"UA,N1,EWR,IAH,late\n", "dep_delay is \"late\", not a whole number of minutes"),
        (b"UA,N1,EWR,IAH,2.5\n", "dep_delay is \"2.5\""),
        (b",N1,EWR,IAH,2\n", "no carrier"),
        (b"UA,N1,,IAH,2\n", "no origin"),
        (b"UA,N1,EWR,NA,2\n", "no dest"),
        (b"U\xff,N1,EWR,IAH,2\n", "carrier is not UTF-8 text"),
        (b"UA,N1/../N2,EWR,IAH,2\n", "tailnum is \"N1/../N2\", not a code"),
        (b"UA,\"N1,EWR,IAH,2\n", "2 fields where the header has 5"),
        (b"\0\x01\x02\x03\n", "1 field where"),
        (&long, "longer than 65536 bytes"),
    ];
    let clean = run_on("clean.csv", [HEADER, GOOD[0], GOOD[1]].concat()).await;
    let mut content = [HEADER, GOOD[0]].concat();
    for (row, _) in &bad {
        content.extend_from_slice(row);
    }
    content.extend_from_slice(b"\n\n");
    content.extend_from_slice(GOOD[1]);
    let run = run_on("malformed.csv", content).await;

    assert_eq!(run.table(), clean.table());
    let notes: Vec<_> = run.notes.lines().collect();
    assert_eq!(notes.len(), bad.len() + 1, "{}", run.notes);
    for ((note, (_, reason)), line) in notes.iter().zip(&bad).zip(3..) {
        assert!(note.starts_with(&format!("malformed row, line {line}: {reason}")), "{note}");
    }
    assert_eq!(notes[bad.len()], "13 malformed rows were left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_malformed_rows_the_first_twenty_are_shown_and_all_are_counted() {
    for (bad, last) in
        [(20, "20 malformed rows were left out"), (21, "the first 20 are shown"), (500, "500 malformed")]
    {
        let content = "carrier,tailnum,origin,dest,dep_delay\n".to_owned() + &"UA,N1,EWR,IAH,?\n".repeat(bad);
        let run = run_on("many.csv", content).await;
        assert_eq!(run.notes.matches("malformed row, line ").count(), 20);
        assert!(run.notes.contains("line 21:") && !run.notes.contains("line 22:"), "{}", run.notes);
        assert!(run.notes.contains(last), "{}", run.notes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_rows_before_a_truncated_end_are_reported_too() {
    let rows = first_rows(50).replace("2013,1,1,533", "2013,1,1,533,and,more");
    let whole = gzip(&rows, Compression::none());
    let run = run_on("both.gz", &whole[..whole.len() - 4]).await;
    assert!(run.refusal().contains("truncated"));
    assert!(run.notes.contains("malformed row, line 3: 21 fields where the header has 19"), "{}", run.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn help_is_a_result_and_a_wrong_argument_is_an_error_of_its_own() {
    let help = run(["--help"]).await;
    assert_eq!((help.code, &*help.notes), (program::DONE, ""));
    for option in ["FILE", "--data DIR", "--faults P", "--seed S"] {
        assert!(help.out.contains(option), "{}", help.out);
    }
    let wrong = run(["--faults", "1"]).await;
    assert_eq!((wrong.code, &*wrong.out), (program::MISUSED, ""));
    assert!(
        wrong.notes.starts_with("error: --faults takes a probability from 0 to 0.9, not 1"),
        "{}",
        wrong.notes
    );
}

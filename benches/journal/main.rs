//! How fast is the journal, through actors and alone, beside the bare file and other embedded stores?
//!
//! `cargo bench --bench journal [-- NAME …] [--rounds N] [--scale PERCENT] [--without-rivals]`: each workload runs `N` rounds
//! (default 5), the contestants in turn within a round, each run in a process of its own. Printed are medians with minimum and maximum, the ratio of the
//! medians to raw, and what became of the targets. All sync before they answer, and one thread writes what waits as one batch:
//!
//! * `raw`: bytes at the end of a file that exists already, and `fdatasync`.
//! * `backend`: `JournalBackend::append` of the journal in files.
//! * `actors`: the whole way, `ask` to an event-sourced actor, and one event per command.
//! * `fjall`, `sqlite`: `benches/rivals`, which is built first if need be (a minute). `--without-rivals` leaves them out.
//!
//! `append-C` has C callers, each with an id or actor of its own, one event of 256 bytes at a time, for two seconds. `hot` is one actor
//! with 1,024 callers. The others are described where they are: `scattered`, `replay-*`, `projection`, `open-after-kill`, `space`.
//! `--scale` changes how long `append` and `hot` take, and how many events the others have.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and spawns its contestants itself"
)]
#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

mod actors;
mod aftermath;
mod backend;
mod callers;
mod contest;
mod figures;
mod raw;
mod replay;
mod report;
mod scattered;
mod waiting;

use std::path::Path;
use std::time::Duration;

use callers::{appends, on_two};
use figures::Figures;
use report::{Bound, Target, report};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [child, workload, contestant, count, folder] = arguments.as_slice()
        && child == contest::CHILD
    {
        return run(workload, contestant, count.parse().expect("a count"), Path::new(folder));
    }
    let value = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1).and_then(|v| v.parse().ok());
    let rounds = value("--rounds").unwrap_or(5);
    let scale = value("--scale").unwrap_or(100);
    let names: Vec<&String> =
        arguments.iter().filter(|a| !a.starts_with("--") && a.parse::<usize>().is_err()).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| name.starts_with(n.as_str()));
    let workloads: Vec<Workload> = workloads().into_iter().filter(|workload| wanted(workload.name)).collect();
    let with_rivals = !arguments.iter().any(|argument| argument == "--without-rivals")
        && workloads.iter().any(|workload| workload.contestants.iter().any(|name| is_rival(name)));
    let rivals = with_rivals.then(contest::rivals).flatten();
    for workload in workloads {
        let Workload { name, contestants, count, targets } = workload;
        let there = |contestant: &&&str| rivals.is_some() || !is_rival(contestant);
        let mut all: Vec<(&str, Vec<Figures>)> =
            contestants.iter().filter(there).map(|contestant| (*contestant, Vec::new())).collect();
        for _ in 0..rounds {
            for (contestant, runs) in &mut all {
                let program = rivals.as_deref().filter(|_| is_rival(contestant));
                runs.push(contest::run(program, name, contestant, (count * scale / 100).max(1)));
            }
        }
        report(name, &all, targets);
    }
}

fn is_rival(contestant: &str) -> bool {
    matches!(contestant, "fjall" | "sqlite")
}

struct Workload {
    name: &'static str,
    contestants: &'static [&'static str],
    /// Milliseconds, or events, or ids.
    count: usize,
    targets: &'static [Target],
}

const ALL: &[&str] = &["raw", "backend", "actors", "fjall", "sqlite"];

fn workloads() -> Vec<Workload> {
    use Bound::{AtLeast, AtMost, TimesRaw};
    let workload = |name, contestants, count, targets| Workload { name, contestants, count, targets };
    vec![
        workload(
            "append-1",
            ALL,
            2_000,
            &[("backend", "events/s", TimesRaw(0.8)), ("actors", "events/s", TimesRaw(0.8))],
        ),
        workload(
            "append-16",
            ALL,
            2_000,
            &[("backend", "events/s", TimesRaw(0.8)), ("actors", "events/s", TimesRaw(0.8))],
        ),
        workload(
            "append-256",
            ALL,
            2_000,
            &[
                ("backend", "events/s", TimesRaw(0.8)),
                ("actors", "events/s", TimesRaw(0.5)),
                ("actors", "p99 µs", AtMost(3_000.0)),
            ],
        ),
        workload("append-4096", ALL, 2_000, &[("actors", "events/s", AtLeast(250_000.0))]),
        workload("hot", &["raw", "actors"], 2_000, &[("actors", "events/s", AtLeast(100_000.0))]),
        workload(
            "scattered",
            &["backend"],
            scattered::EVENTS,
            &[
                ("backend", "events/s", AtLeast(400_000.0)),
                ("backend", "resident MB", AtMost(150.0)),
                ("backend", "bytes on disk per byte", AtMost(1.15)),
            ],
        ),
        workload("replay-one", &["actors"], 2_000_000, &[("actors", "events/s", AtLeast(1_500_000.0))]),
        workload("replay-many", &["actors"], 20_000, &[("actors", "recoveries/s", AtLeast(10_000.0))]),
        workload("projection", &["backend"], 2_000_000, &[("backend", "events/s", AtLeast(2_000_000.0))]),
        workload("open-after-kill", &["backend"], scattered::EVENTS, &[("backend", "s", AtMost(1.0))]),
        workload("space", &["backend"], 1_000_000, &[("backend", "left of the space", AtMost(0.2))]),
    ]
}

/// Runs one contestant and prints its figures.
fn run(workload: &str, contestant: &str, count: usize, folder: &Path) {
    let figures = match workload {
        "hot" => appending(contestant, 1024, 1, count, folder),
        "scattered" => scattered::run(count, folder),
        "replay-one" => replay::one(count, folder),
        "replay-many" => replay::many(count, folder),
        "projection" => replay::projection(count, folder),
        "open-after-kill" => aftermath::open(count, folder),
        "space" => aftermath::space(count, folder),
        "victim" => return aftermath::victim(count, folder),
        other => {
            let callers = other.strip_prefix("append-").and_then(|callers| callers.parse().ok());
            let callers = callers.unwrap_or_else(|| panic!("there is no workload {other}"));
            appending(contestant, callers, callers, count, folder)
        }
    };
    figures.print();
    // What is left of runtimes and files ends with the process.
    std::process::exit(0);
}

fn appending(contestant: &str, callers: usize, ids: usize, millis: usize, folder: &Path) -> Figures {
    let time = Duration::from_millis(millis as u64);
    on_two(async {
        match contestant {
            "raw" => appends(raw::callers(callers, folder), time).await,
            "backend" => appends(backend::callers(callers, folder).await, time).await,
            "actors" => {
                let (system, callers) = actors::callers(callers, ids, folder).await;
                let figures = appends(callers, time).await;
                system.shutdown().await;
                figures
            }
            other => panic!("there is no contestant {other}"),
        }
    })
}

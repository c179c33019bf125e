//! What does an actor cost beside the least that could do its work: a tokio task that reads an mpsc channel?
//!
//! `cargo bench --bench core [-- NAME …] [--rounds N] [--scale PERCENT]`: each workload runs `N` rounds (default 7),
//! the contestants in turn within a round. Printed are medians with minimum and maximum, in millions of operations per
//! second, and the ratio of the medians to raw. `limit` is a bare vector behind the lock that a mailbox uses. Handlers are equal and synchronous; the runtime is tokio's, with 2 workers.
//! Bytes per idle actor are resident bytes, each contestant in a process of its own.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and spawns its contestants itself"
)]

mod limit;
mod ours;
mod raw;

use std::future::Future;
use std::time::Duration;

use ours::Listener::{Inspector, Nobody, Tracer};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let value = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1).and_then(|v| v.parse().ok());
    if let Some(contestant) = arguments.iter().skip_while(|a| *a != "--idle").nth(1) {
        return print_idle_bytes(contestant == "raw", value("--count").unwrap_or(IDLE));
    }
    let rounds = value("--rounds").unwrap_or(7);
    let scale = value("--scale").unwrap_or(100);
    let names: Vec<&String> =
        arguments.iter().filter(|a| !a.starts_with("--") && a.parse::<usize>().is_err()).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| name.starts_with(n.as_str()));
    println!("{:<22} {:>24} {:>24} {:>6} {:>24} {:>6}", "million/s", "raw", "limit", "", "omnitron", "");
    for workload in workloads() {
        if wanted(workload.name) {
            compare(&workload, rounds, (workload.count * scale / 100).max(1));
        }
    }
    if wanted("bytes") {
        compare_bytes(rounds, IDLE * scale / 100);
    }
}

/// Runs `count` operations and says how long they took.
type Run = fn(usize) -> Duration;

struct Workload {
    name: &'static str,
    count: usize,
    raw: Run,
    limit: Option<Run>,
    ours: Run,
}

impl Workload {
    fn with_limit(mut self, limit: Run) -> Self {
        self.limit = Some(limit);
        self
    }
}

fn workloads() -> Vec<Workload> {
    let workload = |name, count, raw, ours| Workload { name, count, raw, limit: None, ours };
    vec![
        workload(
            "tell-1-to-1",
            5_000_000,
            |n| on_two(raw::tell(n, OUTSIDE, None)),
            |n| on_two(ours::tell(n, OUTSIDE, false, Nobody)),
        )
        .with_limit(|n| on_two(limit::tell(n, OUTSIDE))),
        workload(
            "tell-1-to-1-inspected",
            5_000_000,
            |n| on_two(raw::tell(n, OUTSIDE, None)),
            |n| on_two(ours::tell(n, OUTSIDE, false, Inspector)),
        ),
        workload(
            "tell-1-to-1-traced",
            2_000_000,
            |n| on_two(raw::tell(n, OUTSIDE, None)),
            |n| on_two(ours::tell(n, OUTSIDE, false, Tracer)),
        ),
        workload(
            "tell-1-to-1-bounded",
            5_000_000,
            |n| on_two(raw::tell(n, OUTSIDE, Some(BOUND))),
            |n| on_two(ours::tell(n, OUTSIDE, true, Nobody)),
        ),
        workload(
            "tell-1-to-1-in-worker",
            5_000_000,
            |n| on_two(raw::tell(n, 1, None)),
            |n| on_two(ours::tell(n, 1, false, Nobody)),
        ),
        workload(
            "tell-8-to-1",
            4_000_000,
            |n| on_two(raw::tell(n, 8, None)),
            |n| on_two(ours::tell(n, 8, false, Nobody)),
        )
        .with_limit(|n| on_two(limit::tell(n, 8))),
        workload("ask-ping-pong", 500_000, |n| on_two(raw::ask(n, 1)), |n| on_two(ours::ask(n, 1))),
        workload("ask-1000-to-1", 1_000_000, |n| on_two(raw::ask(n, 1000)), |n| on_two(ours::ask(n, 1000))),
        workload("ring-of-1000", 2_000_000, |n| on_two(raw::ring(n)), |n| on_two(ours::ring(n))),
        workload("spawn", 300_000, |n| on_two(raw::spawn(n)), |n| on_two(ours::spawn(n))),
        workload("spawn-stop", 300_000, |n| on_two(raw::spawn_stop(n)), |n| on_two(ours::spawn_stop(n))),
    ]
}

/// The producer is the thread outside of the runtime, not a task: a task that never awaits holds what it wakes in its
/// worker's slot, and its consumer would only begin when all is sent.
const OUTSIDE: usize = 0;
const BOUND: usize = 1024;
const RING: usize = 1000;
const IDLE: usize = 200_000;

fn on_two<F: Future<Output = Duration>>(future: F) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime with two workers").block_on(future)
}

fn compare(workload: &Workload, rounds: usize, count: usize) {
    let (mut theirs, mut least, mut mine) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        theirs.push(rate(count, (workload.raw)(count)));
        least.extend(workload.limit.map(|limit| rate(count, limit(count))));
        mine.push(rate(count, (workload.ours)(count)));
    }
    report(workload.name, theirs, least, mine);
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64() / 1e6
}

fn report(name: &str, mut theirs: Vec<f64>, mut least: Vec<f64>, mut mine: Vec<f64>) {
    let raw = median(&mut theirs);
    let ratio = |figures: &mut Vec<f64>| match median(figures) {
        0.0 => String::new(),
        median => format!("{:.2}", median / raw),
    };
    let ratios = (ratio(&mut least), ratio(&mut mine));
    let show = |figures: &[f64]| match figures {
        [low, .., high] => format!("{:.2} ({low:.2}–{high:.2})", figures[figures.len() / 2]),
        [only] => format!("{only:.2}"),
        [] => String::new(),
    };
    let (raw, limit, ours) = (show(&theirs), show(&least), show(&mine));
    println!("{name:<22} {raw:>24} {limit:>24} {:>6} {ours:>24} {:>6}", ratios.0, ratios.1);
}

/// Sorts them. 0 if there are none.
fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

// ---- bytes ----------------------------------------------------------------------------------------------------

/// Resident bytes per idle contestant, each measured in a fresh process.
fn compare_bytes(rounds: usize, count: usize) {
    let (mut theirs, mut mine) = (Vec::new(), Vec::new());
    for _ in 0..rounds.min(5) {
        theirs.push(idle_bytes("raw", count));
        mine.push(idle_bytes("omnitron", count));
    }
    report("bytes per idle", theirs, Vec::new(), mine);
}

fn idle_bytes(contestant: &str, count: usize) -> f64 {
    let this = std::env::current_exe().expect("the path of this program");
    let arguments = ["--idle", contestant, "--count", &count.to_string()];
    let output = std::process::Command::new(this).args(arguments).output().expect("a second process");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a figure")
}

#[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^52")]
fn print_idle_bytes(raw: bool, count: usize) {
    let before = resident_bytes();
    on_two(async {
        let (kept_raw, kept_ours) =
            if raw { (Some(raw::idle(count)), None) } else { (None, Some(ours::idle(count).await)) };
        // All have handled their message when the tasks that were spawned last have.
        tokio::time::sleep(Duration::from_millis(500)).await;
        println!("{:.0}", (resident_bytes() - before) as f64 / count as f64);
        drop((kept_raw, kept_ours));
        std::process::exit(0);
    });
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("resident pages, from Linux") * 4096
}

//! `cargo run --release --manifest-path benches/peers/Cargo.toml [-- WORKLOAD … --rounds N --scale PERCENT --only NAME,…]`
//!
//! Prints each workload as soon as all have run it, then writes `results/peers.csv` and `results/peers.svg`. What was
//! cut short or left out goes to `results/partial.*` instead.

use std::path::Path;
use std::process::ExitCode;

use peers::plan::{Plan, Programs};
use peers::workloads::Outcome;
use peers::{chart, child, report};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--run", run)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return child::main(run, |contestant, workload, count| {
            child::run(contestant, workload, count).map(|outcome| match outcome {
                Outcome::Took(time) => time.as_secs_f64(),
                Outcome::Each(figure) => figure,
            })
        });
    }
    match Plan::parse(&arguments).and_then(|plan| compare(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn compare(plan: &Plan) -> Result<(), String> {
    let programs = Programs::prepare(plan)?;
    let mut rows = Vec::new();
    for workload in &plan.workloads {
        let row = plan.measure(workload, &programs);
        print!("{}", report::block(&row));
        rows.push(row);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let stem = if plan.is_whole() { "peers" } else { "partial" };
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (extension, text) in [("csv", report::csv(&rows, plan.rounds)), ("svg", chart::svg(&rows))] {
        let path = folder.join(stem).with_extension(extension);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("\nwritten: {}", path.display());
    }
    let failed = |row: &&peers::figures::Row| {
        row.entries.iter().any(|entry| entry.reason().is_some_and(|reason| reason.starts_with("FAILED")))
    };
    match rows.iter().find(failed) {
        None => Ok(()),
        Some(row) => Err(format!("a run failed: {}", row.workload.name)),
    }
}

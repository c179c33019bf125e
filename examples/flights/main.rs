//! Thousands of supervised, named actors work through a month of flights, and come to the right result even when they
//! fail all the time.
//!
//! ```text
//! cargo run --release --example flights
//! cargo run --release --example flights -- --faults 0.05
//! ```
//!
//! `job.rs` is the place to start reading: it spawns `/user/fleet`, `/user/airports` and `/user/carriers` (`registry.rs`),
//! each with an actor per name, and `/user/parsers` (`parser.rs`), hands out the rows of the file (`input.rs`, `record.rs`),
//! and asks the actors for what they counted (`tally.rs`, `report.rs`). `faults.rs` makes them fail, `patience.rs` asks again.
//!
//! The table goes to standard output, everything else to standard error. Exit code 1: the file is not what it should be;
//! 2: the arguments are not.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

mod arguments;
mod faults;
mod input;
mod job;
mod parser;
mod patience;
mod record;
mod registry;
mod report;
mod tally;

use arguments::Command;
use job::{Notes, RunError};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            // Not `print!`, which panics when the reader of a pipe has gone.
            let _ = io::stdout().write_all(arguments::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(bad) => {
            eprintln!("error: {bad}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    let mut notes = Notes { bar: progress_bar(), out: &mut io::stderr() };
    match job::run(&options, &mut io::stdout(), &mut notes).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever closed the pipe has seen enough.
        Err(RunError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Follows the bytes of the file; nothing when nobody watches.
fn progress_bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % of {total_bytes}, {elapsed}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

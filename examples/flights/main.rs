//! Thousands of supervised, named actors work through a month of flights, and come to the right result even when they
//! fail all the time.
//!
//! ```text
//! cargo run --release --example flights
//! cargo run --release --example flights -- --faults 0.05
//! cargo run --release --example flights -- --data counts     # kill it, and start it again
//! ```
//!
//! `job.rs` is the place to start reading: it spawns `/user/fleet`, `/user/airports` and `/user/carriers`
//! (`registry.rs`), each with an actor per name, and `/user/parsers` (`parser.rs`), deals out the rows of the file
//! (`partition.rs`, `input.rs`, `record.rs`), and asks the actors for what they counted (`tally.rs`, `report.rs`). The counts
//! lie in a journal (`store.rs`). `faults.rs` makes the actors fail, `patience.rs` asks again.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

mod arguments;
mod faults;
mod input;
mod job;
mod parser;
mod partition;
mod patience;
mod program;
mod record;
mod registry;
mod rejects;
mod report;
mod store;
mod tally;

#[tokio::main]
async fn main() -> ExitCode {
    let acknowledged = Arc::new(|_| {});
    let mut notes = job::Notes { bar: progress_bar(), out: &mut io::stderr(), acknowledged };
    ExitCode::from(program::run(std::env::args_os().skip(1), &mut io::stdout(), &mut notes).await)
}

/// Follows the bytes of the file; nothing when nobody watches.
fn progress_bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % of {total_bytes}, {elapsed}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

//! What do other embedded stores do with the work of a journal?
//!
//! `cargo bench --bench journal` builds and runs this: it says what is compared, and shares with it the callers, and the queue before the one
//! thread that writes. `rivals WORKLOAD CONTESTANT MILLISECONDS FOLDER` is one run of one contestant.

#[path = "../../journal/callers.rs"]
mod callers;
#[path = "../../journal/figures.rs"]
mod figures;
mod fjall;
mod sqlite;
#[path = "../../journal/waiting.rs"]
mod waiting;

use std::path::Path;
use std::time::Duration;

use waiting::Asker;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [workload, contestant, millis, folder] = arguments.as_slice() else {
        eprintln!("This is a part of `cargo bench --bench journal`");
        std::process::exit(1);
    };
    let callers = workload.strip_prefix("append-").and_then(|callers| callers.parse().ok());
    let callers: usize = callers.unwrap_or_else(|| panic!("there is no workload {workload}"));
    let time = Duration::from_millis(millis.parse().expect("milliseconds"));
    let of: fn(usize, &Path) -> Vec<Asker> = match contestant.as_str() {
        "fjall" => fjall::callers,
        "sqlite" => sqlite::callers,
        other => panic!("there is no contestant {other}"),
    };
    callers::on_two(callers::appends(of(callers, Path::new(folder)), time)).print();
    // What is left of runtimes and files ends with the process.
    std::process::exit(0);
}

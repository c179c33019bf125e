//! What does a process do that measures one run? One contestant, one workload, one figure on its standard output.
//!
//! A process per run, so that no run inherits threads, registries or a torn heap from the one before.

use std::process::ExitCode;
use std::time::Duration;

use crate::contestants::{
    actix::Actix, kameo::Kameo, murmer::Murmer, ractor::Ractor, raw::Raw, us::Omnitron, xtra::Xtra,
};
use crate::workloads::{self, Outcome};
use crate::{Cannot, Contestant};

/// After so long, a run counts as one that lost messages.
pub const LIMIT: Duration = Duration::from_mins(5);

/// What stands before the reason of a contestant that does not take part.
pub const CANNOT: &str = "cannot: ";

/// Runs a workload for the contestant of this name.
///
/// # Errors
///
/// If it does not take part.
pub fn run(contestant: &str, workload: &str, count: usize) -> Result<Outcome, Cannot> {
    fn of<C: Contestant>(workload: &str, count: usize) -> Result<Outcome, Cannot> {
        C::run(workloads::run::<C>(workload, count))
    }
    match contestant {
        "raw" => of::<Raw>(workload, count),
        "omnitron" => of::<Omnitron>(workload, count),
        "actix" => of::<Actix>(workload, count),
        "kameo" => of::<Kameo>(workload, count),
        "ractor" => of::<Ractor>(workload, count),
        "xtra" => of::<Xtra>(workload, count),
        "murmer" => of::<Murmer>(workload, count),
        _ => Err(Cannot("there is no such contestant")),
    }
}

/// The whole process: `CONTESTANT WORKLOAD COUNT`, and how a figure comes from them.
pub fn main(arguments: &[String], measure: fn(&str, &str, usize) -> Result<f64, Cannot>) -> ExitCode {
    let [contestant, workload, count] = arguments else {
        eprintln!("expected: CONTESTANT WORKLOAD COUNT");
        return ExitCode::FAILURE;
    };
    // A check that fails in an actor must not be an actor that fails.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(1);
    }));
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        eprintln!("not done in {LIMIT:?}: are messages lost?");
        std::process::exit(1);
    });
    match measure(contestant, workload, count.parse().unwrap_or(1)) {
        Ok(figure) => println!("{figure}"),
        Err(Cannot(reason)) => println!("{CANNOT}{reason}"),
    }
    // What still runs is not worth waiting for.
    std::process::exit(0)
}

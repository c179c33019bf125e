//! From arguments to an exit code: the program without its process, so that tests can run it.
//!
//! The table goes to `out`, everything else to the notes.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::arguments::{self, Command};
use crate::faults;
use crate::job::{self, Notes, RunError};

/// The exit code of a run that printed what was asked for.
pub(crate) const DONE: u8 = 0;
/// The exit code when there is no table: most often the file is not what it should be.
pub(crate) const FAILED: u8 = 1;
/// The exit code when the arguments make no sense. Nothing was read.
pub(crate) const MISUSED: u8 = 2;

/// Runs the program with these arguments (without its name) and returns its exit code.
pub(crate) async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    notes: &mut Notes<'_>,
) -> u8 {
    faults::silence_injected_panics();
    let result = match arguments::parse(arguments) {
        Ok(Command::Run(options)) => job::run(&options, out, notes).await,
        Ok(Command::Help) => out.write_all(arguments::HELP.as_bytes()).map_err(RunError::Output),
        Err(bad) => {
            notes.say(format_args!("error: {bad}\n\n{}", arguments::HELP));
            return MISUSED;
        }
    };
    match result {
        Ok(()) => DONE,
        // Whoever closed the pipe has seen enough.
        Err(RunError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            notes.say(format_args!("error: {error}"));
            FAILED
        }
    }
}

//! What does the proof of a mutation say about the code in the copy?
//!
//! Compiling comes first and has no limit: code that does not compile proves nothing about the tests.

use std::process::{Command, Output};

use crate::copy::Copy;
use crate::list::Mutation;

/// How many lines a table shows of what the compiler said.
const LINES: usize = 12;

/// What a proof came to.
pub(crate) enum Outcome {
    /// At least one test ran, and none failed.
    Passed,
    /// Some failed; the first of them, or how the process ended.
    Failed(String),
    /// Time ran out.
    Hung,
    /// The arguments select no test.
    NoTest,
    /// What the compiler said.
    NotCompiled(String),
}

/// A `cargo test` in the copy.
pub(crate) struct Proof<'a> {
    mutation: &'a Mutation,
    copy: &'a Copy,
}

impl<'a> Proof<'a> {
    pub(crate) fn of(mutation: &'a Mutation, copy: &'a Copy) -> Self {
        Self { mutation, copy }
    }

    /// # Errors
    ///
    /// A sentence, when the commands cannot be run at all.
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        let mut build = self.prepared(Command::new(env!("CARGO")));
        let build = output(build.args(["test", "--no-run"]).args(&self.mutation.proof))?;
        if !build.status.success() {
            return Ok(Outcome::NotCompiled(errors(&String::from_utf8_lossy(&build.stderr))));
        }
        // `timeout` of coreutils ends the whole process group: a test that hangs is a child of cargo's, not ours.
        let mut test = self.prepared(Command::new("timeout"));
        let limit = self.mutation.limit.as_secs().to_string();
        let test = output(test.args(["-k", "5", &limit, env!("CARGO"), "test"]).args(&self.mutation.proof))?;
        let said = String::from_utf8_lossy(&test.stdout);
        Ok(match test.status.code() {
            Some(0) if said.lines().any(ran_a_test) => Outcome::Passed,
            Some(0) => Outcome::NoTest,
            Some(124 | 137) => Outcome::Hung,
            _ => Outcome::Failed(culprit(&said).unwrap_or_else(|| test.status.to_string())),
        })
    }

    fn prepared(&self, mut command: Command) -> Command {
        command.current_dir(self.copy.tree());
        // What cargo told this process about itself is not true of the copy.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "RUSTFLAGS" {
                command.env_remove(&name);
            }
        }
        command.env("CARGO_TARGET_DIR", self.copy.target(self.mutation.rustflags.as_deref()));
        command.env("CARGO_TERM_COLOR", "never");
        if let Some(flags) = &self.mutation.rustflags {
            command.env("RUSTFLAGS", flags);
        }
        command
    }
}

fn output(command: &mut Command) -> Result<Output, String> {
    command.output().map_err(|error| format!("cannot run {}: {error}", command.get_program().display()))
}

/// `running 3 tests`, as the harness of Rust and of doctests says it.
fn ran_a_test(line: &str) -> bool {
    line.strip_prefix("running ").is_some_and(|rest| rest.ends_with(" tests") && !rest.starts_with("0 "))
        || line == "running 1 test"
}

/// The first test that failed.
fn culprit(said: &str) -> Option<String> {
    let name = said.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    name.map(str::to_owned)
}

/// The first lines of what the compiler called errors.
fn errors(said: &str) -> String {
    let from = said.lines().skip_while(|line| !line.starts_with("error"));
    from.take(LINES).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

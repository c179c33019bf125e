//! Which runs are made, in which order? Within a workload the contestants take turns, round by round, so that a slow
//! spell of the machine meets all of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::CANNOT;
use crate::contestants::NAMES;
use crate::erlang::{self, Erlang};
use crate::figures::{Entry, Row};
use crate::workloads::{ALL, Unit, Workload};

/// What the command line chose.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rounds of each workload.
    pub rounds: usize,
    /// Percent of the operations of a whole run.
    pub scale: usize,
    /// Who takes part.
    pub contestants: Vec<&'static str>,
    /// What they do.
    pub workloads: Vec<&'static Workload>,
}

impl Plan {
    /// Reads the command line: names of workloads (or how they begin), and options.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let (mut rounds, mut scale, mut names) = (5, 100, Vec::new());
        let mut contestants = NAMES.to_vec();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            let number = |text: &String| text.parse().ok().filter(|number| *number > 0);
            match argument.as_str() {
                "--rounds" => rounds = number(value()?).ok_or("--rounds N, from 1")?,
                "--scale" => scale = number(value()?).ok_or("--scale PERCENT, from 1")?,
                "--only" => {
                    let wanted: Vec<&str> = value()?.split(',').collect();
                    if let Some(unknown) = wanted.iter().find(|name| !NAMES.contains(*name)) {
                        return Err(format!("no contestant `{unknown}`: there are {}", NAMES.join(", ")));
                    }
                    contestants.retain(|name| wanted.contains(name));
                }
                option if option.starts_with("--") => {
                    return Err(format!("no option `{option}`: there are --rounds, --scale and --only"));
                }
                name => names.push(name),
            }
        }
        let chosen = |workload: &&Workload| {
            names.is_empty() || names.iter().any(|name| workload.name.starts_with(name))
        };
        let workloads: Vec<_> = ALL.iter().filter(chosen).collect();
        if workloads.is_empty() {
            let all: Vec<_> = ALL.iter().map(|workload| workload.name).collect();
            return Err(format!("no such workload: there are {}", all.join(", ")));
        }
        Ok(Self { rounds, scale, contestants, workloads })
    }

    /// Whether nothing was left out or cut short.
    pub fn is_whole(&self) -> bool {
        self.scale == 100 && self.contestants.len() == NAMES.len() && self.workloads.len() == ALL.len()
    }

    /// Makes all runs of one workload.
    pub fn measure(&self, workload: &'static Workload, programs: &Programs) -> Row {
        let mut entries: Vec<Entry> = self.contestants.iter().copied().map(Entry::new).collect();
        let count = workload.scaled(self.scale);
        for _ in 0..self.rounds {
            for entry in entries.iter_mut().filter(|entry| entry.takes_part()) {
                entry.add(programs.run(entry.contestant, workload, count));
            }
        }
        Row { workload, entries }
    }
}

/// What a run is started with.
#[derive(Debug)]
pub struct Programs {
    timed: PathBuf,
    counting: Result<PathBuf, String>,
    erlang: Result<Erlang, String>,
}

impl Programs {
    /// Finds and builds what stands beside this program, as far as the plan needs it.
    ///
    /// # Errors
    ///
    /// If this program does not know where it is.
    pub fn prepare(plan: &Plan) -> Result<Self, String> {
        let timed = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = timed.ancestors().nth(2).unwrap_or(package);
        let counts = plan.workloads.iter().any(|workload| workload.unit == Unit::Allocations);
        let counting = if counts { build_counting(&timed, package, target) } else { Err(String::new()) };
        let erlang = if plan.contestants.contains(&erlang::NAME) {
            Erlang::compile(package, target)
        } else {
            Err(String::new())
        };
        for missing in [counting.as_ref().err(), erlang.as_ref().err()].into_iter().flatten() {
            if !missing.is_empty() {
                println!("left out: {missing}");
            }
        }
        Ok(Self { timed, counting, erlang })
    }

    /// One run. Brings the figure, or why there is none.
    fn run(&self, contestant: &str, workload: &Workload, count: usize) -> Result<f64, String> {
        let counts = workload.unit == Unit::Allocations;
        let mut command = match (&self.erlang, &self.counting) {
            _ if contestant == erlang::NAME && counts => {
                return Err("has a heap of its own for each process".to_owned());
            }
            (erlang, _) if contestant == erlang::NAME => {
                erlang.as_ref().map_err(Clone::clone)?.command(workload.name, count)
            }
            (_, counting) => {
                let program = if counts { counting.as_ref().map_err(Clone::clone)? } else { &self.timed };
                let mut command = Command::new(program);
                if !counts {
                    command.arg("--run");
                }
                command.args([contestant, workload.name, &count.to_string()]);
                command
            }
        };
        let output = command.output().map_err(|error| format!("cannot run: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if let Some(reason) = said.trim().strip_prefix(CANNOT) {
            return Err(reason.to_owned());
        }
        match said.trim().parse::<f64>() {
            Ok(figure) if output.status.success() => Ok(match workload.unit {
                Unit::MillionsPerSecond => count as f64 / figure / 1e6,
                Unit::Bytes | Unit::Allocations => figure,
            }),
            _ => {
                let errors = String::from_utf8_lossy(&output.stderr);
                eprintln!("{contestant}, {}: {}\n{said}{errors}", workload.name, output.status);
                Err(format!("FAILED: {}", output.status))
            }
        }
    }
}

/// `cargo run` has built this program only.
fn build_counting(timed: &Path, package: &Path, target: &Path) -> Result<PathBuf, String> {
    let program = timed.with_file_name("allocations");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        // What `cargo run` says about this package would have build scripts run, and all that hangs on them, again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&name);
            }
        }
        let status = build
            .args(["build", "--release", "--locked", "--quiet", "--bin", "allocations", "--manifest-path"])
            .arg(package.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(target)
            .status();
        if !status.is_ok_and(|status| status.success()) {
            return Err("the program that counts allocations does not build".to_owned());
        }
    }
    program.exists().then_some(program).ok_or_else(|| "start it by `cargo run --release`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Plan, String> {
        Plan::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn without_arguments_everything_runs_five_times() {
        let plan = parse("").expect("a plan");
        assert!(plan.is_whole() && plan.rounds == 5);
    }

    #[test]
    fn names_and_options_select() {
        let plan = parse("ask ring --rounds 3 --scale 20 --only omnitron,raw").expect("a plan");
        let names: Vec<_> = plan.workloads.iter().map(|workload| workload.name).collect();
        assert_eq!(names, ["ask-ping-pong", "ask-1000-to-1", "ask-1000-to-1000", "ring"]);
        assert_eq!(
            (plan.rounds, plan.scale, plan.contestants.as_slice()),
            (3, 20, ["raw", "omnitron"].as_slice())
        );
        assert!(!plan.is_whole());
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        for wrong in ["nothing", "--rounds", "--rounds 0", "--scale x", "--only nobody", "--all"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_scaled_count_is_a_whole_number_of_steps_and_never_none() {
        for workload in &ALL {
            for percent in [1, 33, 100] {
                let count = workload.scaled(percent);
                assert!(count > 0 && count % workload.step == 0, "{} at {percent}", workload.name);
            }
        }
    }
}

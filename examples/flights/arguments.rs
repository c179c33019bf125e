//! What does the user want?

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::faults::Faults;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Counts flights with an actor per aircraft, airport and carrier.

Usage: cargo run --release --example flights [-- [FILE] [--data DIR] [--faults P] [--seed S]]

  FILE        CSV of flights, or gzip of it [default: New York City, January 2013]
  --data DIR  the folder that keeps the counts: a run that was killed goes on there [default: they stay in memory]
  --faults P  every actor fails with probability P per message, 0 to 0.9 [default: 0]
  --seed S    which messages fail, a whole number [default: 1]
  --help      print this
";

/// The highest probability of a fault. What fails is sent again, on average 1 / (1 - P) times: ten times at 0.9, and
/// without end at 1.
const HIGHEST_CHANCE: f64 = 0.9;

/// The month that comes with the example, wherever it is started from.
pub(crate) const DEFAULT_FILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013-01.csv.gz");

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    /// Print the help.
    Help,
    /// Count flights.
    Run(Options),
}

/// What to count, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// The flights.
    pub(crate) file: PathBuf,
    /// The folder that keeps the counts; none: they stay in memory.
    pub(crate) data: Option<PathBuf>,
    /// What fails on the way.
    pub(crate) faults: Faults,
}

/// Reads the arguments, without the program's name.
///
/// # Errors
///
/// [`BadArgument`] names the first that is wrong and says what would be right.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, BadArgument> {
    let mut arguments = arguments.into_iter();
    let mut file = None;
    let mut data = None;
    let mut chance = None;
    let mut seed = None;
    let mut options = true;
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy().into_owned();
        if !options || !text.starts_with('-') {
            if argument.is_empty() {
                return Err(BadArgument("FILE is empty".to_owned()));
            }
            if let Some(first) = file.replace(PathBuf::from(argument)) {
                return Err(BadArgument(format!(
                    "one FILE is enough; {text} comes after {}",
                    first.display()
                )));
            }
            continue;
        }
        let (name, value) = text.split_once('=').map_or((&*text, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("--", None) => options = false,
            ("--help" | "-h", None) => return Ok(Command::Help),
            ("--data", value) => {
                let folder = path_of(name, value, &mut arguments)?;
                once(name, &mut data, folder)?;
            }
            ("--faults", value) => {
                once(name, &mut chance, probability(&value_of(name, value, &mut arguments)?)?)?;
            }
            ("--seed", value) => once(name, &mut seed, whole(&value_of(name, value, &mut arguments)?)?)?,
            _ => return Err(BadArgument(format!("there is no option {text}"))),
        }
    }
    let faults = Faults { chance: chance.unwrap_or(0.0), seed: seed.unwrap_or(1) };
    let file = file.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    Ok(Command::Run(Options { file, data, faults }))
}

fn value_of(
    name: &str,
    value: Option<&str>,
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<String, BadArgument> {
    match value {
        Some(value) => Ok(value.to_owned()),
        None => match rest.next() {
            Some(value) => Ok(value.to_string_lossy().into_owned()),
            None => Err(BadArgument(format!("{name} needs a value"))),
        },
    }
}

/// A path may be no text, so it is not made one unless it stands behind `=`.
fn path_of(
    name: &str,
    value: Option<&str>,
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<PathBuf, BadArgument> {
    let path = value.map(OsString::from).or_else(|| rest.next());
    path.filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .ok_or_else(|| BadArgument(format!("{name} needs a folder")))
}

fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), BadArgument> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadArgument(format!("{name} is given twice"))),
    }
}

fn probability(text: &str) -> Result<f64, BadArgument> {
    text.parse().ok().filter(|chance| (0.0..=HIGHEST_CHANCE).contains(chance)).ok_or_else(|| {
        BadArgument(format!(
            "--faults takes a probability from 0 to {HIGHEST_CHANCE}, not {text}: what fails is sent again, ten times on \
             average at {HIGHEST_CHANCE} and without end at 1"
        ))
    })
}

fn whole(text: &str) -> Result<u64, BadArgument> {
    text.parse()
        .map_err(|_| BadArgument(format!("--seed takes a whole number from 0 to {}, not {text}", u64::MAX)))
}

/// An argument that makes no sense, as a sentence.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct BadArgument(String);

impl fmt::Display for BadArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(arguments: &[&str]) -> Result<Command, String> {
        parse(arguments.iter().map(OsString::from)).map_err(|bad| bad.to_string())
    }

    fn run(file: &str, chance: f64, seed: u64) -> Command {
        Command::Run(Options { file: file.into(), data: None, faults: Faults { chance, seed } })
    }

    #[test]
    fn no_argument_means_the_shipped_month_without_faults() {
        assert_eq!(parse_all(&[]), Ok(run(DEFAULT_FILE, 0.0, 1)));
    }

    #[test]
    fn options_come_in_any_order_and_both_spellings() {
        assert_eq!(parse_all(&["a.csv", "--faults", "0.05", "--seed", "7"]), Ok(run("a.csv", 0.05, 7)));
        assert_eq!(parse_all(&["--seed=7", "--faults=0.9", "a.csv"]), Ok(run("a.csv", 0.9, 7)));
        assert_eq!(parse_all(&["--", "--faults"]), Ok(run("--faults", 0.0, 1)));
        assert_eq!(parse_all(&["a.csv", "--help"]), Ok(Command::Help));
    }

    #[test]
    fn a_folder_is_taken_in_both_spellings() {
        for arguments in [&["--data", "counts"][..], &["--data=counts"]] {
            let Ok(Command::Run(options)) = parse_all(arguments) else { panic!("{arguments:?} is refused") };
            assert_eq!(options.data.as_deref(), Some("counts".as_ref()));
        }
    }

    #[test]
    fn a_probability_outside_its_bounds_is_refused_with_the_reason() {
        for wrong in ["0.91", "1", "-0.1", "NaN", "inf", "many", ""] {
            let message = parse_all(&["--faults", wrong]).unwrap_err();
            assert!(message.contains("from 0 to 0.9") && message.contains("sent again"), "{message}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (arguments, named) in [
            (&["--fault", "0.1"][..], "--fault"),
            (&["-x"], "-x"),
            (&["--help=yes"], "--help=yes"),
            (&["--seed"], "--seed needs a value"),
            (&["--seed", "-1"], "-1"),
            (&["--seed", "1", "--seed", "2"], "--seed is given twice"),
            (&["a.csv", "b.csv"], "b.csv comes after a.csv"),
            (&[""], "FILE is empty"),
            (&["--data"], "--data needs a folder"),
            (&["--data="], "--data needs a folder"),
            (&["--data", "a", "--data", "b"], "--data is given twice"),
        ] {
            let message = parse_all(arguments).unwrap_err();
            assert!(message.contains(named), "{message}");
        }
    }
}

//! Would the tests notice? Breaks a copy of the code on purpose, one mutation at a time, and runs the tests that
//! have to fail.
//!
//! `list.txt` says what is broken and how to run this. The working tree is never written to: the copy, and what is
//! built of it, stays in cargo's own folder for the next run. Every proof is first run on the code as it is, so that a test
//! which fails anyway, or is misspelt and runs nothing, catches nothing.

mod copy;
mod list;
mod proof;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use copy::Copy;
use list::Mutation;
use proof::{Outcome, Proof};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every mutation was caught.
fn run() -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/mutations/list.txt");
    let text =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mutations = list::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mutations = chosen(mutations, std::env::args().skip(1))?;
    let copy = Copy::of(root, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations"))?;

    let width = mutations.iter().map(|mutation| mutation.name.len()).max().unwrap_or_default();
    let mut healthy = BTreeMap::new();
    let mut caught = 0;
    for mutation in &mutations {
        let proof = Proof::of(mutation, &copy);
        let baseline = healthy.entry((&mutation.proof, &mutation.rustflags)).or_insert_with(|| proof.run());
        let (good, verdict) = match baseline {
            Ok(Outcome::Passed) => judge(mutation, &proof, &copy)?,
            Ok(Outcome::NotCompiled(output)) => {
                (false, format!("INVALID: its proof does not compile as it is\n{output}"))
            }
            Ok(Outcome::NoTest) => (false, "INVALID: its proof runs no test".to_owned()),
            Ok(Outcome::Hung) => (false, "INVALID: its proof hangs as it is".to_owned()),
            Ok(Outcome::Failed(by)) => (false, format!("INVALID: its proof fails as it is: {by}")),
            Err(error) => return Err(error.clone()),
        };
        println!("{:width$}  {verdict}", mutation.name);
        caught += usize::from(good);
    }
    let missed = mutations.len() - caught;
    println!("\n{} mutations: {caught} caught, {missed} survived or invalid", mutations.len());
    Ok(missed == 0)
}

/// Breaks the copy, runs the proof, mends the copy. The verdict, and whether it is the one hoped for.
fn judge(mutation: &Mutation, proof: &Proof<'_>, copy: &Copy) -> Result<(bool, String), String> {
    let text = copy.read(&mutation.file)?;
    let broken = match mutation.apply(&text) {
        Ok(broken) => broken,
        Err(error) => return Ok((false, format!("INVALID: {}: {error}", mutation.file))),
    };
    copy.write(&mutation.file, &broken)?;
    let outcome = proof.run();
    copy.write(&mutation.file, &text)?;
    Ok(match outcome? {
        Outcome::Failed(by) => (true, format!("caught by {by}")),
        Outcome::Hung => (true, format!("caught: hung for {} s", mutation.limit.as_secs())),
        Outcome::Passed => (false, "SURVIVED".to_owned()),
        Outcome::NoTest => (false, "INVALID: with it, its proof runs no test".to_owned()),
        Outcome::NotCompiled(output) => (false, format!("INVALID: it does not compile\n{output}")),
    })
}

fn chosen(all: Vec<Mutation>, mut arguments: impl Iterator<Item = String>) -> Result<Vec<Mutation>, String> {
    let mut names = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => names.push(arguments.next().ok_or("--only wants the name of a mutation")?),
            name if !names.is_empty() && !name.starts_with('-') => names.push(name.to_owned()),
            other => return Err(format!("`{other}` is no option: there is `--only NAME …`")),
        }
    }
    if let Some(name) = names.iter().find(|name| all.iter().all(|mutation| mutation.name != **name)) {
        return Err(format!("no mutation is called `{name}`"));
    }
    Ok(all.into_iter().filter(|mutation| names.is_empty() || names.contains(&mutation.name)).collect())
}

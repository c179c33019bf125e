//! A doctor for the files of a journal: what is in them, are they whole, and what can be saved?
//!
//! `cargo run --release --example journal -- DIR (check | list | show ID | dump | repair --to COPY)`. The folder is opened to be read only, and nothing in it
//! is ever changed. The exit code is 0 when all is well, 1 when something is damaged, 2 when it could not be looked at.

mod show;

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use omnitron_persistence::backend::log::inspect::{Finding, Kind, Stream};
use omnitron_persistence::backend::log::{Inspection, inspect};
use omnitron_persistence::disk::real::Real;

const USAGE: &str = "usage: journal DIR COMMAND

  check             verify every byte, and say what is damaged, where, and what to do
  list              every id: its last sequence, how many events can be read, their bytes
  show ID           the events of one id with their bytes
  dump              every event as a line of JSON
  repair --to COPY  copy everything that is intact into a new journal at COPY, which must not exist

DIR is never changed.";

type Outcome = Result<bool, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = match words[..] {
        [folder, "check"] => open(folder).and_then(|journal| check(&journal, &mut out)),
        [folder, "list"] => open(folder).and_then(|journal| list(&journal, &mut out)),
        [folder, "show", id] => open(folder).and_then(|journal| show::one(&journal, id, &mut out)),
        [folder, "dump"] => open(folder).and_then(|journal| show::all(&journal, &mut out)),
        [folder, "repair", "--to", copy] => {
            open(folder).and_then(|journal| repair(&journal, Path::new(copy), &mut out))
        }
        _ => Err(USAGE.into()),
    };
    match outcome.and_then(|healthy| Ok(out.flush().map(|()| healthy)?)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        // Who reads the output has seen enough.
        Err(error) if closed(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn closed(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn open(folder: &str) -> Result<Inspection, Box<dyn Error>> {
    let disk = Real::read_only(folder)
        .map_err(|error| format!("{folder}: {error}. Name a folder that can be read"))?;
    let journal = inspect(disk)?;
    if journal.is_live() {
        eprintln!("A process has this journal open: this is a moment's view, and its end may look torn.");
    }
    Ok(journal)
}

fn check(journal: &Inspection, out: &mut impl Write) -> Outcome {
    let report = journal.check();
    findings(&report.findings, out)?;
    let (ids, events) =
        (report.streams.len(), report.streams.values().map(|stream| stream.events).sum::<u64>());
    let (segments, snapshots) = (report.segments, report.snapshots);
    writeln!(out, "{ids} ids, {events} events, {segments} segments, {snapshots} snapshots")?;
    let broken: Vec<_> = report.streams.iter().filter(|(_, stream)| !stream.lost.is_empty()).collect();
    for (id, stream) in &broken {
        writeln!(out, "{id} can be read up to event {} only{}", stream.highest, lost(stream))?;
    }
    let healthy = report.is_healthy() && broken.is_empty();
    writeln!(
        out,
        "{}",
        if healthy { "healthy" } else { "DAMAGED: `repair --to COPY` copies what is intact" }
    )?;
    Ok(healthy)
}

fn list(journal: &Inspection, out: &mut impl Write) -> Outcome {
    let report = journal.check();
    writeln!(out, "{:>12} {:>12} {:>12} {:>14}  id", "highest", "events", "deleted to", "bytes")?;
    for (id, stream) in &report.streams {
        let Stream { highest, events, deleted, bytes, .. } = stream;
        writeln!(out, "{highest:>12} {events:>12} {deleted:>12} {bytes:>14}  {id}{}", lost(stream))?;
    }
    warn(&report.findings);
    Ok(report.is_healthy())
}

fn repair(journal: &Inspection, copy: &Path, out: &mut impl Write) -> Outcome {
    if copy.exists() {
        return Err(format!("{} exists: name a folder that does not", copy.display()).into());
    }
    let repaired = journal.repair(&Real::new(copy)?)?;
    findings(&repaired.findings, out)?;
    for (id, lost) in &repaired.left_out {
        let why = if lost.intact { "left out, because events before them are missing" } else { "missing" };
        writeln!(out, "{id}: events {} to {} are {why}", lost.from, lost.to)?;
    }
    writeln!(out, "copied {} events and {} snapshots", repaired.events, repaired.snapshots)?;
    let complete = repaired.left_out.is_empty() && repaired.findings.iter().all(|it| it.kind == Kind::Note);
    // The copy is looked at as every journal is.
    let healthy = check(&inspect(Real::read_only(copy)?)?, out)?;
    Ok(complete && healthy)
}

fn findings(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    for finding in findings {
        let kind = match finding.kind {
            Kind::Note => "note",
            Kind::Newer => "NEWER",
            _ => "DAMAGE",
        };
        writeln!(out, "{kind}: {}", finding.fault)?;
    }
    Ok(())
}

fn lost(stream: &Stream) -> String {
    stream.lost.iter().fold(String::new(), |mut text, lost| {
        let word = if lost.intact { "cut off" } else { "missing" };
        let _ = write!(text, ", {} to {} {word}", lost.from, lost.to); // a String takes everything
        text
    })
}

/// Damage beside what was asked for.
pub(crate) fn warn(findings: &[Finding]) {
    for finding in findings.iter().filter(|finding| finding.kind != Kind::Note) {
        eprintln!("DAMAGE: {}", finding.fault);
    }
}

//! Where do the counts lie, and of which file are they?
//!
//! In a journal: in the folder that `--data` names, or in memory. A folder holds the counts of one file. Marks are lines, and
//! those of another file would be taken for counted, so the folder remembers its file and refuses any other.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::Crc;
use omnitron::backend::{IdQuery, ReadError};
use omnitron::prelude::*;

use crate::patience::{GaveUp, Patience};

/// Ids that are asked for at a time.
const IDS_PER_PAGE: usize = 1_000;

/// The journal of a run.
pub(crate) fn journal(data: Option<&Path>) -> Journal {
    data.map_or_else(Journal::memory, Journal::embedded)
}

/// The names of all actors below `registry` that have ever counted anything, whether or not they run now.
///
/// # Errors
///
/// [`ReadError`].
pub(crate) async fn names(journal: &Journal, registry: &str) -> Result<Vec<String>, ReadError> {
    let Some(backend) = journal.backend() else { return Ok(Vec::new()) };
    let prefix = format!("{registry}/");
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let query = IdQuery { prefix: prefix.clone(), after, limit: IDS_PER_PAGE };
        let page = backend.ids(query).await?;
        names.extend(page.iter().filter_map(|id| id.as_str().strip_prefix(&prefix).map(str::to_owned)));
        if page.len() < IDS_PER_PAGE {
            return Ok(names);
        }
        after = page.into_iter().last();
    }
}

/// Sees to it that the counts in the folder are those of `file`.
///
/// # Errors
///
/// [`NotItsFile`].
pub(crate) async fn keep_to(system: &ActorSystem, data: &Path, file: &Path) -> Result<(), NotItsFile> {
    let error = |problem| NotItsFile { data: data.to_owned(), file: file.to_owned(), problem };
    let chosen = identify(file).map_err(|unreadable| error(Problem::Unreadable(unreadable)))?;
    let source = system.spawn("source", Persistent::new(Source)).map_err(|e| error(Problem::Spawn(e)))?;
    let mut patience = Patience::default();
    loop {
        match source.ask(|reply| Choose { file: chosen.clone(), reply }).await {
            Ok(held) if (held.bytes, held.crc32) == (chosen.bytes, chosen.crc32) => return Ok(()),
            Ok(held) => return Err(error(Problem::Another { path: held.path })),
            Err(failed) => patience.spend(&failed).map_err(|gave_up| error(Problem::GaveUp(gave_up)))?,
        }
    }
}

fn identify(file: &Path) -> io::Result<Chosen> {
    let mut content = File::open(file)?;
    if !content.metadata()?.is_file() {
        return Err(io::Error::other("it has to be a file that can be read again after a crash"));
    }
    let (mut crc, mut buffer) = (Crc::new(), vec![0; 64 << 10]);
    let mut bytes = 0;
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                crc.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Chosen { path: file.display().to_string(), bytes, crc32: crc.sum() })
}

/// Remembers of which file the counts are.
struct Source;

/// A file, by its content; the path is for people.
#[derive(Clone, Event)]
#[event(name = "flights.source.chosen")]
struct Chosen {
    path: String,
    bytes: u64,
    crc32: u32,
}

/// Which file is it? The first to ask chooses.
struct Choose {
    file: Chosen,
    reply: ReplyTo<Chosen>,
}

impl EventSourced for Source {
    type Command = Choose;
    type Event = Chosen;
    type State = Option<Chosen>;

    fn handle(
        &self,
        state: &Option<Chosen>,
        Choose { file, reply }: Choose,
        _cx: &Scope<Self>,
    ) -> Effect<Self> {
        match state {
            Some(chosen) => Effect::reply(reply, chosen.clone()),
            None => Effect::persist(file.clone()).then_reply(reply, |_: &Option<Chosen>| file),
        }
    }

    fn apply(state: &mut Option<Chosen>, event: &Chosen) {
        *state = Some(event.clone());
    }
}

/// Why a folder is not used for a file.
#[derive(Debug)]
pub(crate) struct NotItsFile {
    data: PathBuf,
    file: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Unreadable(io::Error),
    Another { path: String },
    Spawn(SpawnError),
    GaveUp(GaveUp),
}

impl fmt::Display for NotItsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (data, file) = (self.data.display(), self.file.display());
        match &self.problem {
            Problem::Unreadable(error) => write!(f, "{file} cannot be counted with --data {data}: {error}"),
            Problem::Another { path } => write!(
                f,
                "{data} holds the counts of another file, {path}, and not of {file}: name that file, or another folder"
            ),
            Problem::Spawn(error) => write!(f, "an actor did not start: {error}"),
            Problem::GaveUp(gave_up) => write!(f, "{data} did not say whose counts it holds: {gave_up}"),
        }
    }
}

impl std::error::Error for NotItsFile {}

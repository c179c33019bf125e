//! Does new code make of recorded histories what the old code made?
//!
//! The files are read line by line; one event and one state are in memory at a time.

use std::fmt::{self, Debug, Display};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::error::panic_text;
use crate::event::{DecodeError, Event, Stored};
use crate::event_sourced::EventSourced;
use crate::forget;
use crate::id::{PersistenceId, Sequence};
use crate::post;
use crate::snapshot::Snapshot;
use crate::stored;
use crate::timeline::Difference;
use crate::timeline::history::{Beginning, Noted, Parser, Step, Writer};
use crate::timeline::show;

/// The variable that says to write the files anew: `OMNITRON_HISTORIES=overwrite`.
const OVERWRITE: (&str, &str) = ("OMNITRON_HISTORIES", "overwrite");

/// Holds `E` against [recorded](crate::timeline::Timeline::record) histories: a test that fails when new code reads an event differently, or makes another state of it.
///
/// ```no_run
/// # extern crate omnitron_persistence as omnitron;
/// # use omnitron::{Effect, Event, EventSourced, Scope};
/// use omnitron::testkit::ReplayGate;
/// # struct Account;
/// # #[derive(Event)]
/// # enum AccountEvent { Deposited(u64) }
/// # impl EventSourced for Account {
/// #     type Command = ();
/// #     type Event = AccountEvent;
/// #     type State = u64;
/// #     fn handle(&self, _: &u64, _: (), _: &Scope<Self>) -> Effect<Self> { Effect::none() }
/// #     fn apply(state: &mut u64, AccountEvent::Deposited(n): &AccountEvent) { *state += n }
/// # }
///
/// // In a test:
/// ReplayGate::<Account>::new().assert("tests/histories");
/// ```
///
/// A difference that is meant is accepted by `OMNITRON_HISTORIES=overwrite cargo test`, which writes the states of the files anew; read the change of the files like
/// code.
#[must_use = "a gate checks nothing by itself"]
pub struct ReplayGate<E: EventSourced> {
    restore: Option<Restore<E::State>>,
    of: PhantomData<fn() -> E>,
}

/// How a snapshot becomes a state.
type Restore<S> = fn(&Snapshot) -> Result<S, DecodeError>;

/// Why a history does not pass. Each names the file and, where there is one, the event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The state is another one than it was: the first event behind which that is so.
    #[error(
        "{place}: `{id}` diverges at event {sequence}, {event}. What makes the new state of the recorded one:\n{difference}"
    )]
    Diverged {
        /// Which file.
        place: String,
        /// Whose history it is.
        id: PersistenceId,
        /// The event; [`Sequence::ZERO`]: the state before the first.
        sequence: Sequence,
        /// The name of its type and its version.
        event: String,
        /// What makes the new state of the recorded one.
        difference: Difference,
    },
    /// The event cannot be read any more.
    #[error("{place}: `{id}` diverges at event {sequence}, which cannot be read: {reason}")]
    Undecodable {
        /// Which file.
        place: String,
        /// Whose history it is.
        id: PersistenceId,
        /// The event.
        sequence: Sequence,
        /// The type, both sides, and what to do.
        #[source]
        reason: Box<DecodeError>,
    },
    /// `apply` panics over the event.
    #[error("{place}: `{id}` diverges at event {sequence}, {event}, over which `apply` panics: {panic}")]
    ApplyPanicked {
        /// Which file.
        place: String,
        /// Whose history it is.
        id: PersistenceId,
        /// The event.
        sequence: Sequence,
        /// The name of its type and its version.
        event: String,
        /// What the panic said.
        panic: String,
    },
    /// It begins with a snapshot that cannot be used.
    #[error("{place}: `{id}` begins with a snapshot of event {sequence}, which cannot be used: {reason}")]
    Unbegun {
        /// Which file.
        place: String,
        /// Whose history it is.
        id: PersistenceId,
        /// The last event in the snapshot.
        sequence: Sequence,
        /// Why, and what to do.
        reason: String,
    },
    /// The file is no whole history.
    #[error("{place}:{line}: this is no history: {what}")]
    Malformed {
        /// Which file.
        place: String,
        /// Which line, from 1 on.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The file or folder cannot be read, or not be written anew.
    #[error("{place}: {reason}")]
    Unread {
        /// Which file.
        place: String,
        /// What the system says.
        #[source]
        reason: io::Error,
    },
    /// There is nothing to be checked, and a check of nothing proves nothing.
    #[error("{place}: there is no file whose name ends with `.history`: record one with `Timeline::record`")]
    Nothing {
        /// Which folder.
        place: String,
    },
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Passed {
    /// How many histories.
    pub histories: u64,
    /// How many events, in all.
    pub events: u64,
}

/// The histories that do not pass, in the order of their names. There is one at least.
#[derive(Debug)]
pub struct GateFailures(pub Vec<GateError>);

impl Display for GateFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| writeln!(f, "{error}"))
    }
}

impl std::error::Error for GateFailures {}

impl<E: EventSourced<State: Debug>> ReplayGate<E> {
    /// A gate for histories that are known from their beginning.
    pub fn new() -> Self {
        Self { restore: None, of: PhantomData }
    }

    /// Also for histories that begin with a snapshot.
    pub fn snapshots(mut self) -> Self
    where
        E::State: Event,
    {
        self.restore = Some(stored::read_snapshot::<E::State>);
        self
    }

    /// Checks the histories in a folder, files whose names end with `.history`, or one file.
    ///
    /// # Panics
    ///
    /// When one does not pass, with all those that do not; see [`check`](Self::check).
    #[track_caller]
    pub fn assert(&self, place: impl AsRef<Path>) {
        if let Err(failures) = self.check(place) {
            let (name, value) = OVERWRITE;
            panic!(
                "{failures}If that is meant, accept it with {name}={value}, and read what changes in the files."
            );
        }
    }

    /// Checks the histories in a folder, files whose names end with `.history`, or one file. With `OMNITRON_HISTORIES=overwrite` in the environment, differences
    /// of states are written into the files instead.
    ///
    /// # Errors
    ///
    /// [`GateFailures`]: of each history that does not pass, why.
    pub fn check(&self, place: impl AsRef<Path>) -> Result<Passed, GateFailures> {
        let place = place.as_ref();
        let overwrite = std::env::var(OVERWRITE.0).is_ok_and(|value| value == OVERWRITE.1);
        let (mut passed, mut failures) = (Passed::default(), Vec::new());
        for file in files(place).map_err(|error| GateFailures(vec![error]))? {
            let checked = if overwrite { self.overwrite(&file) } else { self.check_file(&file) };
            match checked {
                Ok(events) => {
                    passed.histories += 1;
                    passed.events += events;
                }
                Err(error) => failures.push(error),
            }
        }
        if failures.is_empty() { Ok(passed) } else { Err(GateFailures(failures)) }
    }

    fn check_file(&self, file: &Path) -> Result<u64, GateError> {
        self.walk(file, |place, run, recorded, shown| {
            let difference = Difference::between(recorded, shown);
            if difference.is_empty() {
                return Ok(());
            }
            let (id, sequence, event) = (run.id.clone(), run.sequence, run.event.clone());
            Err(GateError::Diverged { place: place.to_owned(), id, sequence, event, difference })
        })
    }

    /// Writes the states as they are now.
    fn overwrite(&self, file: &Path) -> Result<u64, GateError> {
        let unread = |reason| GateError::Unread { place: file.display().to_string(), reason };
        let draft = file.with_extension("history.new");
        let mut out = File::create(&draft).map(io::BufWriter::new).map_err(unread)?;
        let (mut writer, mut text) = (Writer::default(), String::new());
        let written = self.walk(file, |_, run, _, shown| {
            match &run.step {
                Step::Begin { id, begin } => {
                    writer.begin(&mut text, id, std::any::type_name::<E>(), begin, shown.to_owned());
                }
                Step::Event(event) => writer.event(&mut text, event, shown.to_owned()),
            }
            out.write_all(text.as_bytes()).map_err(unread)?;
            text.clear();
            Ok(())
        });
        let written = written.and_then(|events| {
            writer.end(&mut text);
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(unread)?;
            std::fs::rename(&draft, file).map_err(unread)?;
            Ok(events)
        });
        if written.is_err() {
            // It is in nobody's way.
            drop(std::fs::remove_file(&draft));
        }
        written
    }

    /// Replays a file, and hands each state to `meet` beside the one that was recorded. How many events there were.
    fn walk(
        &self,
        file: &Path,
        mut meet: impl FnMut(&str, &Run<E>, &str, &str) -> Result<(), GateError>,
    ) -> Result<u64, GateError> {
        let place = file.display().to_string();
        let unread = |reason| GateError::Unread { place: place.clone(), reason };
        let mut parser = Parser::default();
        let mut run: Option<Run<E>> = None;
        let (mut events, mut number) = (0, 0);
        for line in BufReader::new(File::open(file).map_err(unread)?).lines() {
            number += 1;
            let malformed = |what| GateError::Malformed { place: place.clone(), line: number, what };
            let Some(step) = parser.line(&line.map_err(unread)?).map_err(malformed)? else { continue };
            match (&mut run, step) {
                (run, step @ Step::Begin { .. }) => *run = Some(self.begin(&place, step)?),
                (Some(run), Step::Event(event)) => {
                    if event.sequence != run.sequence.get().saturating_add(1) {
                        return Err(malformed("an event is missing before this one"));
                    }
                    events += 1;
                    run.apply(&place, event)?;
                }
                (None, Step::Event(_)) => unreachable!("the parser has seen the beginning"),
            }
            if let Some(run) = &run {
                meet(&place, run, &parser.state(), &show::pretty(&run.state))?;
            }
        }
        if parser.is_done() {
            return Ok(events);
        }
        Err(GateError::Malformed { place, line: number, what: "it ends without its end: it was cut" })
    }

    fn begin(&self, place: &str, step: Step) -> Result<Run<E>, GateError> {
        let Step::Begin { id, begin } = &step else { unreachable!("it is called for a beginning") };
        let malformed = |what| GateError::Malformed { place: place.to_owned(), line: 2, what };
        let id = PersistenceId::new(id).map_err(|_| malformed("the id cannot be one"))?;
        let Beginning { sequence, snapshot } = begin;
        let sequence = Sequence::new(*sequence);
        let state = match snapshot {
            None => E::State::default(),
            Some((name, version, bytes)) => {
                let unbegun = |reason| {
                    let (place, id) = (place.to_owned(), id.clone());
                    GateError::Unbegun { place, id, sequence, reason }
                };
                let restore =
                    self.restore.ok_or_else(|| unbegun("give the gate `.snapshots()`".to_owned()))?;
                let (id, name, version) = (id.clone(), name.clone(), *version);
                let state = bytes.clone().into();
                let snapshot = Snapshot { id, sequence, timestamp_ms: 0, name, version, state };
                restore(&snapshot).map_err(|reason| unbegun(reason.to_string()))?
            }
        };
        Ok(Run { id, sequence, event: "before its first event".to_owned(), state, step })
    }
}

/// A replay under way.
struct Run<E: EventSourced> {
    id: PersistenceId,
    sequence: Sequence,
    /// The last event, in words.
    event: String,
    state: E::State,
    step: Step,
}

impl<E: EventSourced> Run<E> {
    fn apply(&mut self, place: &str, noted: Noted) -> Result<(), GateError> {
        let place = || place.to_owned();
        let (id, sequence) = (self.id.clone(), Sequence::new(noted.sequence));
        self.sequence = sequence;
        self.event = format!("`{}` version {}", noted.name, noted.version);
        if post::is_bookkeeping(&noted.name) {
            if noted.name == forget::MARK {
                self.state = E::State::default();
            }
            self.step = Step::Event(noted);
            return Ok(());
        }
        let Noted { name, version, fingerprint, payload, .. } = &noted;
        let stored = Stored { name, version: *version, fingerprint: *fingerprint, bytes: payload };
        let event = <E::Event as Event>::decode(stored);
        let event = event.map_err(|reason| GateError::Undecodable {
            place: place(),
            id,
            sequence,
            reason: Box::new(reason),
        })?;
        catch_unwind(AssertUnwindSafe(|| E::apply(&mut self.state, &event))).map_err(|panic| {
            let (id, event, panic) = (self.id.clone(), self.event.clone(), panic_text(&*panic));
            GateError::ApplyPanicked { place: place(), id, sequence, event, panic }
        })?;
        self.step = Step::Event(noted);
        Ok(())
    }
}

/// The histories at a place, in the order of their names.
fn files(place: &Path) -> Result<Vec<PathBuf>, GateError> {
    let unread = |reason| GateError::Unread { place: place.display().to_string(), reason };
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(place).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.extension().is_some_and(|extension| extension == "history") {
            files.push(path);
        }
    }
    files.sort_unstable();
    if files.is_empty() {
        return Err(GateError::Nothing { place: place.display().to_string() });
    }
    Ok(files)
}

impl<E: EventSourced<State: Debug>> Default for ReplayGate<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: EventSourced> Debug for ReplayGate<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayGate").field("snapshots", &self.restore.is_some()).finish_non_exhaustive()
    }
}

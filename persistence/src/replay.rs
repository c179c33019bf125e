//! Who fetches what a recovery orders, and applies it?
//!
//! The driver of [`recovery`](crate::recovery). One event is in memory at a time, and what the stream of the backend holds.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use omnitron_runtime::Env;

use crate::active::Codec;
use crate::backend::{Fault, ReadError};
use crate::error::{Passing, panic_text};
use crate::event_sourced::EventSourced;
use crate::forget;
use crate::id::{Epoch, PersistenceId, Sequence, Slice};
use crate::journal::{Journal, Open};
use crate::marks::{Marks, Origin};
use crate::post::{self, Received};
use crate::projection::chain;
use crate::recorded::Recorded;
use crate::recovery::{Fact, Order, Recovery, RecoveryError};
use crate::stored;

/// After so many events others have their turn.
pub(crate) const EVENTS_PER_TURN: u64 = 256;
/// After so long without an answer the others have their turn, and this is tried again later.
const SILENCE: Duration = Duration::from_secs(30);
/// After so many events the log says how far a recovery is.
const EVENTS_PER_LINE: u64 = 100_000;

/// A state as the journal holds it.
pub(crate) struct Recovered<S> {
    pub(crate) state: S,
    pub(crate) marks: Marks,
    pub(crate) sequence: Sequence,
    pub(crate) epoch: Epoch,
    pub(crate) snapshot: Option<Sequence>,
    /// Events behind the snapshot.
    pub(crate) replayed: u64,
}

/// Why there is no state.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Trying again gives the same.
    Lasting(RecoveryError),
    Passing(Passing),
}

impl From<RecoveryError> for Trouble {
    fn from(error: RecoveryError) -> Self {
        Self::Lasting(error)
    }
}

impl From<Passing> for Trouble {
    fn from(passing: Passing) -> Self {
        Self::Passing(passing)
    }
}

impl Trouble {
    /// What went wrong below the journal, if that is the reason.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Lasting(RecoveryError::Damaged { reason, .. }) | Self::Passing(Passing::Read(reason)) => {
                Some(reason.fault())
            }
            Self::Passing(Passing::Claim(reason)) => reason.fault(),
            _ => None,
        }
    }
}

/// Recovers the state of an id.
pub(crate) async fn recover<E: EventSourced>(
    env: &Env,
    journal: &Journal,
    open: &Open,
    id: &PersistenceId,
    slice: Slice,
    codec: Option<&Codec<E::State>>,
) -> Result<Recovered<E::State>, Trouble> {
    let mut recovery = Recovery::new(id.clone(), E::LAST_ONLY);
    let (mut state, mut marks) = (E::State::default(), Marks::default());
    let (mut turn, mut unreadable) = (None, None);
    let shown = journal.shown(id);
    let mut replayed = 0;
    loop {
        let fact = match recovery.next() {
            Order::TakePermit => {
                turn = Some(journal.turn().await);
                Fact::Permitted
            }
            Order::Claim => {
                let claimed = answered(env, journal.epoch(open, slice)).await?;
                Fact::Claimed(claimed.map_err(Passing::Claim)?)
            }
            Order::FindEnd => {
                let end = answered(env, open.backend.highest(id)).await?;
                Fact::End(end.map_err(|error| failed(&recovery, id, error))?)
            }
            Order::LoadSnapshot { to } => match codec {
                None => Fact::Snapshot(None),
                Some(codec) => {
                    let into = (&mut state, &mut marks, &mut unreadable);
                    answered(env, load(open, id, to, codec, &recovery, into)).await??
                }
            },
            Order::Read { from, to } => {
                let mut events = open.backend.read(id, from, to);
                let mut silence = env.sleep(SILENCE);
                loop {
                    let read = match select(events.next(), &mut silence).await {
                        Either::Left((Some(read), _)) => read,
                        Either::Left((None, _)) => break,
                        Either::Right(_) => return Err(Passing::Silent(SILENCE).into()),
                    };
                    let recorded = read.map_err(|error| failed(&recovery, id, error))?;
                    if forget::is_mark(&recorded) {
                        recovery.forgotten(recorded.sequence);
                        state = E::State::default();
                    } else {
                        let next = recovery.read(recorded.sequence);
                        next.map_err(|error| explained(error, unreadable.as_ref()))?;
                        apply::<E>(&mut state, &mut marks, id, &recorded)?;
                    }
                    replayed += 1;
                    if replayed % EVENTS_PER_TURN == 0 {
                        shown.at(recovery.at(), recovery.end());
                        silence = env.sleep(SILENCE);
                        give_way().await;
                    }
                    if replayed % EVENTS_PER_LINE == 0 {
                        tracing::info!(%id, at = recovery.at().get(), end = recovery.end().get(), "recovering");
                    }
                }
                Fact::ReadAll
            }
            Order::Finish => {
                drop(turn);
                let (sequence, epoch, snapshot) = (recovery.at(), recovery.epoch(), recovery.snapshot());
                return Ok(Recovered { state, marks, sequence, epoch, snapshot, replayed });
            }
        };
        recovery.learn(fact).map_err(|error| explained(error, unreadable.as_ref()))?;
    }
}

/// What the journal answers, unless it is silent for too long.
async fn answered<T>(env: &Env, answer: impl Future<Output = T>) -> Result<T, Passing> {
    match select(pin!(answer), env.sleep(SILENCE)).await {
        Either::Left((answer, _)) => Ok(answer),
        Either::Right(_) => Err(Passing::Silent(SILENCE)),
    }
}

/// A snapshot that is there and cannot be read, and why.
type Unreadable = (Sequence, String);

/// Events that are missing because of a snapshot that holds them and cannot be read are no reason to restore the journal.
fn explained(error: RecoveryError, unreadable: Option<&Unreadable>) -> RecoveryError {
    match (error, unreadable) {
        (RecoveryError::Gap { id, from, to }, Some((snapshot, reason))) => {
            let (snapshot, reason) = (*snapshot, reason.clone());
            RecoveryError::SnapshotUnreadable { id, from, to, snapshot, reason }
        }
        (error, _) => error,
    }
}

/// Loads a snapshot into `state`, if there is one that can be used.
async fn load<S>(
    open: &Open,
    id: &PersistenceId,
    to: Sequence,
    codec: &Codec<S>,
    recovery: &Recovery,
    (state, marks, unreadable): (&mut S, &mut Marks, &mut Option<Unreadable>),
) -> Result<Fact, Trouble> {
    let loaded = open.snapshots.load(id, to).await.map_err(|error| failed(recovery, id, error))?;
    for damage in loaded.damaged {
        tracing::warn!(%id, reason = %damage.fault(), "a snapshot is damaged: an older one or the events replace it");
    }
    let Some(snapshot) = loaded.snapshot else { return Ok(Fact::Snapshot(None)) };
    // One that lies behind the end is an error whatever is in it.
    if snapshot.sequence > recovery.end() {
        return Ok(Fact::Snapshot(Some(snapshot.sequence)));
    }
    let sequence = snapshot.sequence;
    let decoded =
        stored::split_marks(snapshot).and_then(|(snapshot, marks)| Ok(((codec.decode)(&snapshot)?, marks)));
    match decoded {
        Ok(decoded) => {
            (*state, *marks) = decoded;
            Ok(Fact::Snapshot(Some(sequence)))
        }
        Err(reason) => {
            tracing::warn!(%id, %sequence, %reason, "a snapshot cannot be read: an older one or the events replace it");
            // The newest one holds what the older ones do.
            unreadable.get_or_insert_with(|| (sequence, chain(&reason)));
            Ok(Fact::SnapshotUnusable(sequence))
        }
    }
}

/// Applies an event of the journal.
fn apply<E: EventSourced>(
    state: &mut E::State,
    marks: &mut Marks,
    id: &PersistenceId,
    recorded: &Recorded,
) -> Result<(), RecoveryError> {
    let sequence = recorded.sequence;
    let undecodable = |reason| RecoveryError::Undecodable { id: id.clone(), sequence, reason };
    match &*recorded.event.name {
        post::POSTED => {
            marks.has_posted = true;
            return Ok(());
        }
        post::RECEIVED => {
            let received = stored::read_event::<Received>(recorded).map_err(undecodable)?;
            marks.received(Origin::from(received));
            return Ok(());
        }
        _ => {}
    }
    let event = stored::read_event::<E::Event>(recorded).map_err(undecodable)?;
    catch_unwind(AssertUnwindSafe(|| E::apply(state, &event))).map_err(|payload| {
        let (event, version) = (recorded.event.name.to_string(), recorded.event.version);
        RecoveryError::ApplyPanicked {
            id: id.clone(),
            sequence,
            event,
            version,
            panic: panic_text(&*payload),
        }
    })
}

fn failed(recovery: &Recovery, id: &PersistenceId, error: ReadError) -> Trouble {
    match error {
        ReadError::Unavailable(_) => Passing::Read(error).into(),
        reason @ ReadError::Corrupt(_) => {
            RecoveryError::Damaged { id: id.clone(), after: recovery.at(), reason }.into()
        }
    }
}

/// Gives way to others once.
pub(crate) async fn give_way() {
    let mut gave = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

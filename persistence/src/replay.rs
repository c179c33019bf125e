//! Who fetches what a recovery orders, and applies it?
//!
//! The driver of [`recovery`](crate::recovery). One event is in memory at a time, and what the stream of the backend holds.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use futures_util::StreamExt;

use crate::active::Codec;
use crate::backend::{Fault, ReadError};
use crate::error::{Passing, panic_text};
use crate::event_sourced::EventSourced;
use crate::id::{Epoch, PersistenceId, Sequence, Slice};
use crate::journal::{Journal, Open};
use crate::recorded::Recorded;
use crate::recovery::{Fact, Order, Recovery, RecoveryError};
use crate::stored;

/// After so many events others have their turn.
pub(crate) const EVENTS_PER_TURN: u64 = 256;
/// After so many events the log says how far a recovery is.
const EVENTS_PER_LINE: u64 = 100_000;

/// A state as the journal holds it.
pub(crate) struct Recovered<S> {
    pub(crate) state: S,
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
    journal: &Journal,
    open: &Open,
    id: &PersistenceId,
    slice: Slice,
    codec: Option<&Codec<E::State>>,
) -> Result<Recovered<E::State>, Trouble> {
    let mut recovery = Recovery::new(id.clone(), E::LAST_ONLY);
    let mut state = E::State::default();
    let mut turn = None;
    let shown = journal.shown(id);
    let mut replayed = 0;
    loop {
        let fact = match recovery.next() {
            Order::TakePermit => {
                turn = Some(journal.turn().await);
                Fact::Permitted
            }
            Order::Claim => Fact::Claimed(journal.epoch(open, slice).await.map_err(Passing::Claim)?),
            Order::FindEnd => {
                Fact::End(open.backend.highest(id).await.map_err(|error| failed(&recovery, id, error))?)
            }
            Order::LoadSnapshot { to } => match codec {
                None => Fact::Snapshot(None),
                Some(codec) => load(open, id, to, codec, &recovery, &mut state).await?,
            },
            Order::Read { from, to } => {
                let mut events = open.backend.read(id, from, to);
                while let Some(read) = events.next().await {
                    let recorded = read.map_err(|error| failed(&recovery, id, error))?;
                    recovery.read(recorded.sequence)?;
                    apply::<E>(&mut state, id, &recorded)?;
                    replayed += 1;
                    if replayed % EVENTS_PER_TURN == 0 {
                        shown.at(recovery.at(), recovery.end());
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
                return Ok(Recovered { state, sequence, epoch, snapshot, replayed });
            }
        };
        recovery.learn(fact)?;
    }
}

/// Loads a snapshot into `state`, if there is one that can be used.
async fn load<S>(
    open: &Open,
    id: &PersistenceId,
    to: Sequence,
    codec: &Codec<S>,
    recovery: &Recovery,
    state: &mut S,
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
    match (codec.decode)(&snapshot) {
        Ok(decoded) => {
            *state = decoded;
            Ok(Fact::Snapshot(Some(snapshot.sequence)))
        }
        Err(reason) => {
            let sequence = snapshot.sequence;
            tracing::warn!(%id, %sequence, %reason, "a snapshot cannot be read: an older one or the events replace it");
            Ok(Fact::SnapshotUnusable(sequence))
        }
    }
}

/// Applies an event of the journal.
fn apply<E: EventSourced>(
    state: &mut E::State,
    id: &PersistenceId,
    recorded: &Recorded,
) -> Result<(), RecoveryError> {
    let sequence = recorded.sequence;
    let event = stored::read_event::<E::Event>(recorded).map_err(|reason| RecoveryError::Undecodable {
        id: id.clone(),
        sequence,
        reason,
    })?;
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

//! What the stories share: accounts whose states can be kept in different ways, and a pen that writes their events at times of its choice.

use std::fmt::Debug;

use futures_util::FutureExt;
use omnitron_persistence::backend::memory::{Controls, Memory};
use omnitron_persistence::backend::{Append, Delete, JournalBackend};
use omnitron_persistence::snapshot::memory::MemorySnapshots;
use omnitron_persistence::snapshot::{Snapshot, SnapshotStore};
use omnitron_persistence::timeline::{Opening, Timeline, TimelineError};
use omnitron_persistence::{
    Effect, Epoch, Event, EventSourced, Journal, NewEvent, PersistenceId, Scope, Sequence, Slices, Timestamp,
};
use omnitron_runtime::{Env, ReplyTo};
use serde::Serialize;

#[derive(Clone, Debug, Event, PartialEq, Serialize)]
#[event(name = "account")]
pub(crate) enum AccountEvent {
    Deposited { cents: u64 },
    Withdrawn { cents: u64, note: String },
}

#[derive(Clone, Debug, Default, Event, PartialEq, Serialize)]
#[event(name = "balance")]
pub(crate) struct Balance {
    pub(crate) cents: u64,
    pub(crate) events: u64,
    pub(crate) note: String,
}

pub(crate) fn change(state: &mut Balance, event: &AccountEvent) {
    match event {
        AccountEvent::Deposited { cents } => {
            assert_ne!(*cents, 13, "an unlucky deposit");
            state.cents += cents;
        }
        AccountEvent::Withdrawn { cents, note } => {
            state.cents = state.cents.saturating_sub(*cents);
            state.note.clone_from(note);
        }
    }
    state.events += 1;
}

pub(crate) struct Account;

pub(crate) enum Ask {
    Deposit(ReplyTo<u64>),
}

impl EventSourced for Account {
    type Command = Ask;
    type Event = AccountEvent;
    type State = Balance;

    fn handle(&self, _: &Balance, Ask::Deposit(reply): Ask, _: &Scope<Self>) -> Effect<Self> {
        Effect::persist(deposited(1)).then_reply(reply, |state: &Balance| state.cents)
    }

    fn apply(state: &mut Balance, event: &AccountEvent) {
        change(state, event);
    }
}

pub(crate) fn deposited(cents: u64) -> AccountEvent {
    AccountEvent::Deposited { cents }
}

pub(crate) fn withdrawn(cents: u64, note: &str) -> AccountEvent {
    AccountEvent::Withdrawn { cents, note: note.to_owned() }
}

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(millis).unwrap() * 1_000_000)
}

/// A journal in memory, and the one who writes the history of one id.
pub(crate) struct Pen {
    pub(crate) backend: Memory,
    pub(crate) controls: Controls,
    pub(crate) snapshots: MemorySnapshots,
    pub(crate) journal: Journal,
    pub(crate) id: PersistenceId,
    epoch: Epoch,
    written: u64,
}

impl Pen {
    pub(crate) fn new() -> Self {
        let (backend, controls) = Memory::new(Slices::new(4).unwrap());
        let snapshots = MemorySnapshots::new();
        let journal = Journal::with(backend.clone(), snapshots.clone());
        let id = PersistenceId::new("account-42").unwrap();
        let epoch = now(backend.claim(id.slice(backend.slices()))).unwrap();
        Self { backend, controls, snapshots, journal, id, epoch, written: 0 }
    }

    /// Each event one second after the other: the first at second 1.
    pub(crate) fn with(events: impl IntoIterator<Item = AccountEvent>) -> Self {
        let mut pen = Self::new();
        for event in events {
            let millis = (pen.written + 1) * 1_000;
            pen.write(&event, millis);
        }
        pen
    }

    pub(crate) fn write(&mut self, event: &impl Event, timestamp_ms: u64) {
        let encoded = event.encode().unwrap();
        let new = NewEvent::new(encoded.name, encoded.bytes);
        self.write_raw(NewEvent { version: encoded.version, timestamp_ms, ..new });
    }

    pub(crate) fn write_raw(&mut self, event: NewEvent) {
        let (slice, epoch) = (self.id.slice(self.backend.slices()), self.epoch);
        let (id, expected) = (self.id.clone(), Sequence::new(self.written));
        now(self.backend.append(Append { slice, epoch, id, expected, events: vec![event] })).unwrap();
        self.written += 1;
    }

    pub(crate) fn delete_to(&self, to: u64) {
        let (slice, epoch) = (self.id.slice(self.backend.slices()), self.epoch);
        let delete = Delete { slice, epoch, id: self.id.clone(), to: Sequence::new(to) };
        now(self.backend.delete_to(delete)).unwrap();
    }

    /// Saves a snapshot without its fingerprint's check: as an entity would.
    pub(crate) fn snapshot(&self, state: &Balance, sequence: u64) {
        let encoded = state.encode().unwrap();
        let mut bytes = encoded.fingerprint.as_u64().to_le_bytes().to_vec();
        bytes.extend_from_slice(&encoded.bytes);
        self.snapshot_of(encoded.name, bytes, sequence);
    }

    pub(crate) fn snapshot_of(&self, name: &str, state: Vec<u8>, sequence: u64) {
        let snapshot = Snapshot {
            id: self.id.clone(),
            sequence: Sequence::new(sequence),
            timestamp_ms: sequence * 1_000 + 10,
            name: name.to_owned(),
            version: 1,
            state: state.into(),
        };
        now(self.snapshots.save(snapshot)).unwrap();
    }

    pub(crate) fn opening<E: EventSourced<State: Debug>>(&self) -> Opening<E> {
        self.journal.timeline(&Env::tokio().unwrap(), self.id.as_str())
    }

    pub(crate) async fn open(&self) -> Result<Timeline<Account>, TimelineError> {
        self.opening::<Account>().clones().await
    }
}

fn now<T>(answer: impl Future<Output = T>) -> T {
    // The budget of a task of tokio is for those who wait.
    tokio::task::unconstrained(answer).now_or_never().unwrap()
}

/// A new folder among the temporary files.
pub(crate) fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("omnitron-timeline-{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The same account, by code that charges for withdrawals, and cannot take a deposit of 7.
pub(crate) struct Charging;

impl EventSourced for Charging {
    type Command = ();
    type Event = AccountEvent;
    type State = Balance;

    fn handle(&self, _: &Balance, (): (), _: &Scope<Self>) -> Effect<Self> {
        Effect::none()
    }

    fn apply(state: &mut Balance, event: &AccountEvent) {
        assert_ne!(*event, deposited(7), "no sevens");
        change(state, event);
        if let AccountEvent::Withdrawn { .. } = event {
            state.cents -= 1;
        }
    }
}

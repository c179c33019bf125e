//! What does an effect do to a state, and to what is on its way to the journal?

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use omnitron_runtime::{Baggage, Env};
use parking_lot::Mutex;

use crate::backend::{Append, Delete, JournalBackend};
use crate::cause::{Because, Cause};
use crate::effect::{Release, Step};
use crate::error::{EffectError, panic_text};
use crate::event::{DecodeError, EncodeError, Event};
use crate::event_sourced::{EventSourced, Scope};
use crate::flow::Flow;
use crate::id::{Epoch, PersistenceId, Sequence, Slice};
use crate::journal::Journal;
use crate::marks::{Marks, Origin};
use crate::pipeline::Verdict;
use crate::post::{Draft, Posted, Received};
use crate::retention::{Cleanup, Retention};
use crate::snapshot::Snapshot;
use crate::stored::{self, LastMetadata};

/// How a state becomes a snapshot and back.
pub(crate) struct Codec<S> {
    pub(crate) encode: fn(&S, &PersistenceId, Sequence, u64) -> Result<Snapshot, EncodeError>,
    pub(crate) decode: fn(&Snapshot) -> Result<S, DecodeError>,
}

/// Once in so long an actor that appends nothing asks the journal whether it is still the owner, before an answer leaves.
const UNVERIFIED: Duration = Duration::from_secs(10);
/// Where only the last value counts, the others are deleted after so many.
const VALUES_PER_TRIM: u64 = 100;

/// A state that is what the journal holds and what is on its way there.
pub(crate) struct Active<E: EventSourced> {
    pub(crate) journal: Journal,
    pub(crate) backend: Arc<dyn JournalBackend>,
    pub(crate) slice: Slice,
    pub(crate) epoch: Epoch,
    pub(crate) state: E::State,
    pub(crate) marks: Marks,
    pub(crate) scope: Scope<E>,
    /// When it last asked whether it is still the owner.
    pub(crate) verified: Instant,
    pub(crate) retention: Option<Arc<Mutex<Retention>>>,
    pub(crate) last_metadata: LastMetadata,
}

impl<E: EventSourced> Active<E> {
    /// Whether so much time has passed that another process may have become the owner without this one's noticing, as after a pause. From now on it counts as
    /// asked.
    pub(crate) fn is_to_verify(&mut self, env: &Env) -> bool {
        if !self.backend.is_shared() {
            return false;
        }
        let now = env.now();
        let is_old = now.saturating_duration_since(self.verified) >= UNVERIFIED;
        if is_old {
            self.verified = now;
        }
        is_old
    }

    /// The append that stores these events behind the state, and in it what is posted and received.
    pub(crate) fn prepare(
        &mut self,
        events: &[E::Event],
        posts: Vec<Draft>,
        received: Option<Origin>,
        timestamp_ms: u64,
        because: &Because,
    ) -> Result<Append, EffectError> {
        let (id, command) = (self.scope.id.clone(), type_name::<E::Command>());
        let last = &mut self.last_metadata;
        let mut stored = Vec::with_capacity(events.len() + posts.len() + usize::from(received.is_some()));
        let unencodable = |reason| EffectError::Unencodable { id: id.clone(), command, reason };
        for event in events {
            let tags = E::tags(event);
            stored.push(stored::event(event, tags, timestamp_ms, because, last).map_err(unencodable)?);
        }
        for draft in posts {
            let unpostable = |reason| EffectError::Unpostable { id: id.clone(), command, reason };
            let posted = Posted::from(draft.map_err(unpostable)?);
            stored
                .push(stored::event(&posted, Vec::new(), timestamp_ms, because, last).map_err(unencodable)?);
        }
        if let Some(origin) = received {
            let received = Received::from(origin);
            stored.push(
                stored::event(&received, Vec::new(), timestamp_ms, because, last).map_err(unencodable)?,
            );
        }
        let Self { slice, epoch, .. } = *self;
        let append = Append { slice, epoch, id, expected: self.scope.sequence, events: stored };
        match append.check(self.backend.slices()) {
            Ok(()) => Ok(append),
            Err(reason) => Err(EffectError::TooLarge { id: append.id, command, reason }),
        }
    }

    /// Counts what lies behind the events of a command: so many posts, and what was received.
    pub(crate) fn keep_books(&mut self, posts: usize, received: Option<Origin>) {
        self.marks.has_posted |= posts > 0;
        if let Some(origin) = received {
            self.marks.received(origin);
        }
        self.scope.sequence = self.scope.sequence.plus(posts as u64 + u64::from(received.is_some()));
    }

    /// Applies the events, then makes the replies and side effects of the state that this gives.
    pub(crate) fn apply(
        &mut self,
        events: &[E::Event],
        steps: Vec<Step<E>>,
        because: Because,
    ) -> Result<Vec<Release>, EffectError> {
        for event in events {
            let sequence = self.scope.sequence.plus(1);
            let applied = catch_unwind(AssertUnwindSafe(|| E::apply(&mut self.state, event)));
            applied.map_err(|payload| {
                let (id, of) = (self.scope.id.clone(), event.event_type());
                let (event, version, command) = (of.name, of.version, type_name::<E::Command>());
                let panic = panic_text(&*payload);
                EffectError::ApplyPanicked { id, sequence, event, version, command, panic }
            })?;
            self.scope.sequence = sequence;
        }
        let sends = steps.iter().any(Step::sends);
        let baggage = sends.then(|| self.caused(!events.is_empty(), because)).flatten();
        Ok(steps.into_iter().map(|step| (step.make)(&self.state, baggage.as_ref())).collect())
    }

    /// What is sent because of the last event; without events of its own, an effect passes on what caused it.
    fn caused(&self, has_events: bool, because: Because) -> Option<Baggage> {
        let Scope { id, sequence, .. } = &self.scope;
        let last = has_events.then(|| Cause { id: id.clone(), sequence: *sequence });
        last.or(because.cause).map(Cause::into_baggage)
    }

    /// Takes a snapshot if one is due, now that an effect added so many events and bytes. It is saved when it is durable that it is
    /// of this journal: never before its events.
    pub(crate) fn snapshot_if_due(
        &self,
        codec: &Codec<E::State>,
        (events, bytes): (u64, usize),
        demanded: bool,
        timestamp_ms: u64,
        flow: &Arc<Flow>,
        env: &Env,
    ) {
        let Some(retention) = &self.retention else { return };
        let (id, sequence) = (&self.scope.id, self.scope.sequence);
        {
            let mut retention = retention.lock();
            retention.applied(events, bytes as u64);
            if !retention.begin(sequence, demanded) {
                return;
            }
        }
        // The events are on their way already: a state that cannot be encoded costs the snapshot, and nothing else.
        let encode = || (codec.encode)(&self.state, id, sequence, timestamp_ms);
        match catch_unwind(AssertUnwindSafe(encode)) {
            Ok(Ok(snapshot)) => {
                let snapshot = stored::with_marks(snapshot, &self.marks);
                flow.hold(self.save(snapshot, Arc::clone(retention), flow, env.clone()));
            }
            Ok(Err(reason)) => {
                let cause = std::error::Error::source(&reason).map(ToString::to_string);
                tracing::warn!(%id, %reason, cause, "no snapshot was taken: the events remain");
                retention.lock().ended(false, None);
            }
            Err(panic) => {
                let panic = panic_text(&*panic);
                tracing::error!(%id, panic, "no snapshot was taken, its encoding panicked: the events remain");
                retention.lock().ended(false, None);
            }
        }
    }

    /// Deletes the values before the last one now and then, where only that one counts.
    pub(crate) fn trim_if_due(&self, events: u64, flow: &Arc<Flow>, env: &Env) {
        let sequence = self.scope.sequence;
        if !E::LAST_ONLY || events == 0 || sequence.get() % VALUES_PER_TRIM >= events {
            return;
        }
        let Self { journal, backend, slice, epoch, .. } = self;
        let (journal, backend, slice, epoch) = (journal.clone(), Arc::clone(backend), *slice, *epoch);
        let (id, to) = (self.scope.id.clone(), Sequence::new(sequence.get().saturating_sub(1)));
        let (weak, env) = (Arc::downgrade(flow), env.clone());
        flow.hold(Box::new(move |verdict, _| {
            let passed = || {
                let ordinal = weak.upgrade().and_then(|flow| flow.last());
                let readers = journal.slowest_reader(slice, false);
                readers.is_none_or(|readers| ordinal.is_some_and(|ordinal| ordinal <= readers))
            };
            if verdict == Verdict::Durable && passed() {
                env.spawn(
                    || format!("{id} trims"),
                    delete(backend, Delete { slice, epoch, id: id.clone(), to }),
                );
            }
        }));
    }

    /// Saves a snapshot beside the actor, then lets go of what is not needed any more.
    fn save(
        &self,
        snapshot: Snapshot,
        retention: Arc<Mutex<Retention>>,
        flow: &Arc<Flow>,
        env: Env,
    ) -> Release {
        let Self { journal, slice, epoch, .. } = self;
        let (journal, slice, epoch) = (journal.clone(), *slice, *epoch);
        let has_posted = self.marks.has_posted;
        // Weak, because a flow holds its releases.
        let flow = Arc::downgrade(flow);
        Box::new(move |verdict, _| {
            if verdict != Verdict::Durable {
                return retention.lock().ended(false, None);
            }
            // It is the flow that calls this. Until this is done, nobody recovers: he could find neither the old snapshot nor the events behind it.
            let Some((task, ordinal)) = flow.upgrade().map(|flow| (flow.begin_task(), flow.last())) else {
                return;
            };
            let id = snapshot.id.clone();
            let label = format!("{id} snapshot");
            env.spawn(|| label, async move {
                let _task = task;
                let Some(open) = journal.get() else { return };
                let saved =
                    AssertUnwindSafe(async { open.snapshots.save(snapshot).await }).catch_unwind().await;
                match &saved {
                    Ok(Ok(())) => {}
                    Ok(Err(reason)) => {
                        tracing::warn!(%id, %reason, "a snapshot was not saved: the events remain");
                    }
                    Err(panic) => {
                        let reason = panic_text(&**panic);
                        tracing::error!(%id, reason, "a store of snapshots panicked: the events remain");
                    }
                }
                let saved = matches!(saved, Ok(Ok(())));
                let readers = journal.slowest_reader(slice, has_posted);
                let cleanup = {
                    let mut retention = retention.lock();
                    retention.ended(saved, ordinal);
                    retention.cleanup(readers)
                };
                let Cleanup { snapshots_to, events_to } = cleanup;
                if let Some(to) = events_to {
                    delete(Arc::clone(&open.backend), Delete { slice, epoch, id: id.clone(), to }).await;
                }
                if let Some(to) = snapshots_to
                    && let Err(reason) = open.snapshots.delete_to(&id, to).await
                {
                    tracing::warn!(%id, %reason, "old snapshots were not deleted");
                }
            });
        })
    }
}

async fn delete(backend: Arc<dyn JournalBackend>, delete: Delete) {
    let (id, to) = (delete.id.clone(), delete.to);
    if let Err(reason) = backend.delete_to(delete).await {
        tracing::warn!(%id, %to, %reason, "old events were not deleted");
    }
}

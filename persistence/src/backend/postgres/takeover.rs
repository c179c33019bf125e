//! What becomes of claims and deletions that wait for the writer of a server?
//!
//! Both can be done twice, so one whose answer was lost is simply done again.

use std::collections::{BTreeMap, BTreeSet};

use super::batch;
use super::faults::Trouble;
use super::plan::{elsewhere, needs};
use super::queue::{Answer, Command};
use super::writer::Writer;
use crate::backend::{Append, Delete, Fault, WriteError};
use crate::id::{Epoch, Sequence, Slice};

impl Writer {
    /// The claims at the front, each slice once.
    pub(crate) async fn claims(&mut self) {
        let mut claims = BTreeMap::<u32, Answer<Epoch>>::new();
        while let Some(Command::Claim(slice, to)) = self.pending.pop_front_if(
            |next| matches!(next, Command::Claim(slice, _) if !claims.contains_key(&slice.get())),
        ) {
            claims.insert(slice.get(), to);
        }
        let slices: BTreeSet<u32> = claims.keys().copied().collect();
        let deadline = self.env.now() + self.options.patience;
        let (mut conflicts, mut is_open) = (0, false);
        let failed = loop {
            if let Err(fault) = self.ready(deadline).await {
                self.refuse_all(&fault);
                break fault;
            }
            let Some(session) = &self.session else { continue };
            match batch::claim(session, &mut self.memory, &slices).await {
                Ok(claimed) => {
                    self.tail.announce();
                    for (slice, to) in claims {
                        let others = || {
                            Fault::new(
                                format!("others claim {} again and again", Slice::new(slice)),
                                &self.address.place,
                                "Let one process own a slice",
                            )
                        };
                        let epoch = claimed.get(&slice).copied();
                        let _ = to.send(epoch.ok_or_else(|| WriteError::Unavailable(others())));
                    }
                    return;
                }
                Err(trouble) => {
                    is_open |= trouble.is_open;
                    // What is remembered may be of an epoch that was raised.
                    self.memory.forget();
                    if !self.again(&trouble, &mut conflicts, deadline).await {
                        break trouble.fault;
                    }
                }
            }
        };
        let error = if is_open { WriteError::Unknown } else { WriteError::Unavailable };
        for to in claims.into_values() {
            let _ = to.send(Err(error(failed.clone())));
        }
    }

    pub(crate) async fn delete(&mut self) {
        let Some(Command::Delete(delete, to)) = self.pending.pop_front() else { return };
        let deadline = self.env.now() + self.options.patience;
        let (mut conflicts, mut is_open) = (0, false);
        let answer = loop {
            if let Err(fault) = self.ready(deadline).await {
                self.refuse_all(&fault);
                break Err(if is_open { WriteError::Unknown(fault) } else { WriteError::Unavailable(fault) });
            }
            match self.try_delete(&delete).await {
                Ok(answer) => break answer,
                Err(trouble) => {
                    is_open |= trouble.is_open;
                    if trouble.is_open {
                        self.part([(delete.slice.get(), delete.epoch.get())]);
                    }
                    if !self.again(&trouble, &mut conflicts, deadline).await {
                        let error = if is_open { WriteError::Unknown } else { WriteError::Unavailable };
                        break Err(error(trouble.fault));
                    }
                }
            }
        };
        if answer.is_ok() {
            self.sweep.notify_one();
        }
        let _ = to.send(answer);
    }

    async fn try_delete(&mut self, delete: &Delete) -> Result<Result<(), WriteError>, Trouble> {
        let nothing = Fault::new("there is no connection", &self.address.place, "It is tried again");
        let session = self.session.as_ref().ok_or_else(|| Trouble::before(nothing))?;
        let Delete { slice, epoch, id, .. } = delete;
        let check =
            Append { slice: *slice, epoch: *epoch, id: id.clone(), expected: Sequence::ZERO, events: vec![] };
        let needs = needs(std::iter::once(&check), &self.memory);
        let mut fences = BTreeMap::new();
        if !needs.lanes.is_empty() {
            fences =
                batch::hold(session, &mut self.memory, &needs.lanes).await.map_err(Trouble::of_nothing)?;
            self.tail.announce();
        }
        let lane = self.memory.lane(slice.get()).filter(|lane| lane.epoch == epoch.get());
        if let Some(lane) = lane {
            if batch::delete(session, lane, delete).await? {
                return Ok(Ok(()));
            }
            self.memory.lose(slice.get());
            fences = batch::fences(session, [slice.get()]).await.map_err(Trouble::of_nothing)?;
        }
        let current = self.memory.lane(slice.get()).map_or(0, |lane| lane.epoch);
        let current = Epoch::new(fences.get(&slice.get()).copied().unwrap_or_default().max(current));
        if current == *epoch && current != Epoch::ZERO {
            return Ok(Err(elsewhere(*slice, session.place())));
        }
        Ok(Err(WriteError::StaleEpoch { slice: *slice, given: *epoch, current }))
    }
}

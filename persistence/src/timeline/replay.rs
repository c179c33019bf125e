//! What would have become of a state, had the events or the code been others?
//!
//! Two states run side by side over one history: the one that was, and the one that would have been.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::difference::Difference;
use super::error::TimelineError;
use super::point::Moment;
use super::reel::{self, Reel};
use super::{Timeline, show};
use crate::error::panic_text;
use crate::event_sourced::EventSourced;
use crate::id::PersistenceId;
use crate::recorded::Recorded;

/// The first event behind which two states differ.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Divergence {
    /// Whose history it is.
    pub id: PersistenceId,
    /// The event.
    pub moment: Moment,
    /// What makes the other state of the one that was.
    pub difference: Difference,
}

/// A state that would have been.
#[derive(Debug)]
pub struct Replay<S> {
    state: S,
    difference: Difference,
    divergence: Option<Divergence>,
}

impl<S> Replay<S> {
    /// The state at the end of the history, as it would have been.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// What makes this state of the one that was, at the end of the history.
    pub fn diff(&self) -> &Difference {
        &self.difference
    }

    /// Where the states differ for the first time. `None`: nowhere.
    pub fn divergence(&self) -> Option<&Divergence> {
        self.divergence.as_ref()
    }
}

impl<E: EventSourced<State: Debug>> Timeline<E> {
    /// Replays the whole history, up to the [end](Self::end), with each event as `change` returns it: the same, another one, or `None` to leave it out. The
    /// journal and the place of this timeline stay as they are.
    ///
    /// # Errors
    ///
    /// [`TimelineError`], about an event of either history.
    pub async fn replay_with<R: Into<Option<E::Event>>>(
        &mut self,
        mut change: impl FnMut(E::Event) -> R,
    ) -> Result<Replay<E::State>, TimelineError> {
        let other = self.base.state(&self.keeping);
        self.side_by_side::<E>(other, |_, event| Ok(change(event).into())).await
    }

    /// As [`replay_with`](Self::replay_with), for changes that depend on where an event stands.
    ///
    /// # Errors
    ///
    /// [`TimelineError`], about an event of either history.
    pub async fn replay_with_moments<R: Into<Option<E::Event>>>(
        &mut self,
        mut change: impl FnMut(&Moment, E::Event) -> R,
    ) -> Result<Replay<E::State>, TimelineError> {
        let other = self.base.state(&self.keeping);
        self.side_by_side::<E>(other, |recorded, event| Ok(change(&Moment::of(recorded), event).into())).await
    }

    /// Replays the whole history, up to the [end](Self::end), by the `apply` of other code: a new version of `E`, that reads the same events. The states are
    /// compared by what `Debug` prints. `state` is the one that it begins with, for a history whose beginning was
    /// [deleted](super::Origin); else `N::State::default()` is right.
    ///
    /// # Errors
    ///
    /// [`TimelineError`], about an event of either code.
    pub async fn replay_as<N: EventSourced<State: Debug>>(
        &mut self,
        state: N::State,
    ) -> Result<Replay<N::State>, TimelineError> {
        self.side_by_side::<N>(state, |recorded, _| reel::decode::<N>(recorded)).await
    }

    async fn side_by_side<N: EventSourced<State: Debug>>(
        &mut self,
        mut other: N::State,
        mut change: impl FnMut(&Recorded, E::Event) -> Result<Option<N::Event>, TimelineError>,
    ) -> Result<Replay<N::State>, TimelineError> {
        let mut was = self.base.state(&self.keeping);
        let mut divergence = None;
        let mut reel = Reel::new(&*self.open()?.backend, &self.id, self.base.at, self.end);
        while let Some(recorded) = reel.next().await? {
            let event = reel::decode::<E>(&recorded)?;
            reel::apply::<E>(&mut was, event.as_ref(), &recorded)?;
            let Some(event) = event else {
                reel::apply::<N>(&mut other, None, &recorded)?;
                continue;
            };
            let changed = catch_unwind(AssertUnwindSafe(|| change(&recorded, event)));
            let changed = changed.map_err(|panic| TimelineError::ChangePanicked {
                id: self.id.clone(),
                sequence: recorded.sequence,
                panic: panic_text(&*panic),
            })?;
            if let Some(event) = changed? {
                reel::apply::<N>(&mut other, Some(&event), &recorded)?;
            }
            if divergence.is_none() {
                let difference = Difference::between(&show::pretty(&was), &show::pretty(&other));
                if !difference.is_empty() {
                    let (id, moment) = (self.id.clone(), Moment::of(&recorded));
                    divergence = Some(Divergence { id, moment, difference });
                }
            }
        }
        let difference = Difference::between(&show::pretty(&was), &show::pretty(&other));
        Ok(Replay { state: other, difference, divergence })
    }
}

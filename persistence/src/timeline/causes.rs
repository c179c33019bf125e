//! What led to an event, across actors?

use std::fmt::{self, Debug};

use futures_util::StreamExt;

use super::Timeline;
use super::error::TimelineError;
use super::point::{Moment, iso};
use crate::cause::Cause;
use crate::event_sourced::EventSourced;
use crate::id::PersistenceId;

/// The most events of a chain that are looked up.
const LONGEST: usize = 1_000;

/// An event in a chain.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// Whose event it is.
    pub id: PersistenceId,
    /// The event.
    pub moment: Moment,
}

/// What led to an event: what caused it, what caused that, and so on. `Display` writes one line for each.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Causes {
    /// The events, the latest first; the last one is the beginning. Empty: a command that no event caused led to this one.
    pub links: Vec<Link>,
    /// Where the chain ends although something was before: an event that was deleted, is in another journal, or is behind 1,000 others. `None`: the chain is
    /// whole.
    pub missing: Option<Cause>,
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Link { id, moment } in &self.links {
            let Moment { sequence, at, event, version, .. } = moment;
            writeln!(f, "{} event {sequence} of {id}: {event} version {version}", iso(*at))?;
        }
        match &self.missing {
            Some(cause) => writeln!(f, "before that, {cause}, which is not in this journal any more"),
            None => Ok(()),
        }
    }
}

impl<E: EventSourced<State: Debug>> Timeline<E> {
    /// What led to the event at this place, across actors: what caused it, what caused that, and so on, up to an event that a command from outside led to.
    /// Empty at the origin.
    ///
    /// An event holds its cause when the command that led to it was sent by the effect of another entity ([`then_tell`](crate::Effect::then_tell),
    /// [`then_run`](crate::Effect::then_run)), directly, through a gateway, or by other actors that handled what such an effect had sent; or where somebody said
    /// so: [`Cause::scope`], [`Effect::caused_by`](crate::Effect::caused_by).
    ///
    /// # Errors
    ///
    /// [`TimelineError::Unread`].
    pub async fn causes(&mut self) -> Result<Causes, TimelineError> {
        let mut causes = Causes { links: Vec::new(), missing: None };
        let mut next = self.moment().and_then(|moment| moment.cause.clone());
        while let Some(cause) = next.take() {
            let Cause { id, sequence } = cause.clone();
            let mut events = self.open()?.backend.read(&id, sequence, sequence);
            let read = if causes.links.len() < LONGEST { events.next().await } else { None };
            let Some(read) = read else {
                causes.missing = Some(cause);
                break;
            };
            let moment = match read {
                Ok(recorded) => Moment::of(&recorded),
                Err(reason) => return Err(TimelineError::Unread { id, after: sequence, reason }),
            };
            next.clone_from(&moment.cause);
            causes.links.push(Link { id, moment });
        }
        Ok(causes)
    }
}

//! What was the state of an entity at any moment, and what made it so?
//!
//! A [`Timeline`] is the history of one id, with a place in it that moves: by time or by sequence, forwards and backwards. The state at that place is
//! made of the events up to there by today's `apply`. It only reads: it claims no slice, appends nothing, and whoever writes meanwhile is not held up.
//!
//! # Invariants
//!
//! * `state` holds every event up to `at`, each once, in order.
//! * What is in memory does not grow with the history: one event, and a bounded number of states.

mod causes;
mod difference;
mod draft;
mod error;
mod export;
pub(crate) mod history;
mod keeping;
mod marks;
mod opening;
mod page;
mod point;
mod record;
mod reel;
mod replay;
pub(crate) mod show;

use std::fmt::{self, Debug};

use omnitron_runtime::Env;

pub use self::causes::{Causes, Link};
pub use self::difference::{Change, Difference};
pub use self::error::TimelineError;
pub use self::export::ExportError;
pub use self::keeping::Origin;
use self::keeping::{Base, Keeping, Kept};
use self::marks::Marks;
pub use self::opening::{Opening, TimeTravel};
pub use self::point::{Moment, Point};
use self::reel::Reel;
pub use self::replay::{Divergence, Replay};
use crate::event_sourced::EventSourced;
use crate::id::{PersistenceId, Sequence};
use crate::journal::{Journal, Open};
use crate::timestamp::Timestamp;

/// The history of one id, and a place in it. It opens at the beginning; the end is the last event there was when it was opened.
///
/// After an error about an event it stands in front of that event. After one about the journal it stands where it was or nearer to where it was to go.
///
/// # Example
///
/// ```
/// # extern crate omnitron_persistence as omnitron;
/// # use omnitron::{Effect, Event, EventSourced, Journal, Persistent, Scope, WithJournal};
/// # use omnitron_runtime::{ActorSystem, ReplyTo};
/// use omnitron::timeline::TimeTravel;
/// # struct Counter;
/// # enum CounterCommand { Add(u64), Get(ReplyTo<u64>) }
/// # #[derive(Debug, Event)]
/// # enum CounterEvent { Added(u64) }
/// # impl EventSourced for Counter {
/// #     type Command = CounterCommand;
/// #     type Event = CounterEvent;
/// #     type State = u64;
/// #     fn handle(&self, state: &u64, command: CounterCommand, _: &Scope<Self>) -> Effect<Self> {
/// #         match command {
/// #             CounterCommand::Add(n) => Effect::persist(CounterEvent::Added(n)),
/// #             CounterCommand::Get(reply) => Effect::reply(reply, *state),
/// #         }
/// #     }
/// #     fn apply(state: &mut u64, event: &CounterEvent) {
/// #         let CounterEvent::Added(n) = event;
/// #         *state += n;
/// #     }
/// # }
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = ActorSystem::builder("demo").journal(Journal::memory()).start().await?;
/// # let counter = system.spawn("counter", Persistent::new(Counter))?;
///
/// counter.tell(CounterCommand::Add(2))?;
/// counter.tell(CounterCommand::Add(3))?;
/// assert_eq!(counter.ask(CounterCommand::Get).await?, 5);
///
/// let mut past = system.timeline::<Counter>("counter").await?;
/// past.rewind_to(1).await?;
/// assert_eq!(past.state(), &2);
/// past.step_forward().await?;
/// assert_eq!(past.diff().to_string(), "-2\n+5\n");
/// # Ok(())
/// # }
/// ```
pub struct Timeline<E: EventSourced> {
    env: Env,
    journal: Journal,
    id: PersistenceId,
    base: Base,
    keeping: Keeping<E::State>,
    end: Sequence,
    /// States along the whole way, and those just behind the place.
    marks: Marks<Mark<E::State>>,
    near: Marks<Mark<E::State>>,
    at: Sequence,
    /// The latest time of an event up to there.
    latest: Timestamp,
    state: E::State,
    here: Option<Here<E>>,
}

/// A state that was passed.
struct Mark<S> {
    latest: Timestamp,
    state: Kept<S>,
}

/// The event that led to the place.
struct Here<E: EventSourced> {
    moment: Moment,
    /// `None`: it is one of the machinery.
    event: Option<E::Event>,
    /// The state before it; `None`: it was not looked at.
    before: Option<String>,
}

impl<E: EventSourced<State: Debug>> Timeline<E> {
    /// Whose history it is.
    pub fn id(&self) -> &PersistenceId {
        &self.id
    }

    /// From where on the history is known. Before that, no state can be shown.
    pub fn origin(&self) -> Origin {
        self.base.origin
    }

    /// The place: the last event that the state holds. At the origin, that of the [`Origin`].
    pub fn sequence(&self) -> Sequence {
        self.at
    }

    /// The last event of the history.
    pub fn end(&self) -> Sequence {
        self.end
    }

    /// The state at this place.
    pub fn state(&self) -> &E::State {
        &self.state
    }

    /// The state at this place as `Debug` prints it over several lines, cut after 1 MiB.
    pub fn shown(&self) -> String {
        show::pretty(&self.state)
    }

    /// The event that led to this place, without its content. `None` at the origin.
    pub fn moment(&self) -> Option<&Moment> {
        self.here.as_ref().map(|here| &here.moment)
    }

    /// The event that led to this place. `None` at the origin, and where it is one of the machinery, of which the state holds nothing: something was posted or
    /// received, or the id was forgotten. Its [`moment`](Self::moment) has its name.
    pub fn event(&self) -> Option<&E::Event> {
        self.here.as_ref().and_then(|here| here.event.as_ref())
    }

    /// What the event that led to this place has changed in the state. Empty at the origin, and after a move that ended with an error.
    pub fn diff(&self) -> Difference {
        let before = self.here.as_ref().and_then(|here| here.before.as_deref());
        before.map_or_else(Difference::default, |before| Difference::between(before, &self.shown()))
    }

    /// What has changed in the state between `from` and this place. The place stays.
    ///
    /// # Errors
    ///
    /// [`TimelineError`], as [`rewind_to`](Self::rewind_to).
    pub async fn diff_since(&mut self, from: impl Into<Point>) -> Result<Difference, TimelineError> {
        let (place, after) = (self.at, self.shown());
        self.rewind_to(from).await?;
        let before = self.shown();
        self.go(place).await?;
        Ok(Difference::between(&before, &after))
    }

    /// Goes to a place, in either direction: a sequence, a [`Timestamp`] or a `SystemTime`. A moment behind the last event is the end.
    ///
    /// A way back begins at the last state before that place that is [kept](Opening::clones), or at the origin.
    ///
    /// # Errors
    ///
    /// [`TimelineError`]: there is no such place, or an event on the way cannot be read or applied.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped leaves the timeline somewhere on the way, with the state of that place.
    pub async fn rewind_to(&mut self, to: impl Into<Point>) -> Result<(), TimelineError> {
        let to = match to.into() {
            Point::Sequence(sequence) => sequence,
            Point::Time(at) => self.find(at).await?,
        };
        self.go(to).await
    }

    /// Goes to the last event.
    ///
    /// # Errors
    ///
    /// [`TimelineError`], as [`rewind_to`](Self::rewind_to).
    pub async fn to_end(&mut self) -> Result<(), TimelineError> {
        self.go(self.end).await
    }

    /// Goes on by one event. `false`: there is none.
    ///
    /// # Errors
    ///
    /// [`TimelineError`], as [`rewind_to`](Self::rewind_to).
    pub async fn step_forward(&mut self) -> Result<bool, TimelineError> {
        if self.at >= self.end {
            return Ok(false);
        }
        self.go(self.at.plus(1)).await.map(|()| true)
    }

    /// Goes back by one event. `false`: this is the origin.
    ///
    /// # Errors
    ///
    /// [`TimelineError`], as [`rewind_to`](Self::rewind_to).
    pub async fn step_back(&mut self) -> Result<bool, TimelineError> {
        if self.at <= self.base.origin.sequence() {
            return Ok(false);
        }
        self.go(Sequence::new(self.at.get() - 1)).await.map(|()| true)
    }

    /// Looks whether there are more events, and moves the end to the last one. How many came.
    ///
    /// # Errors
    ///
    /// [`TimelineError::Unread`].
    pub async fn refresh(&mut self) -> Result<u64, TimelineError> {
        let end = highest(self.open()?, &self.id, self.end).await?;
        let came = end.get().saturating_sub(self.end.get());
        self.end = self.end.max(end);
        Ok(came)
    }

    /// Goes to the place behind the event `to`.
    async fn go(&mut self, to: Sequence) -> Result<(), TimelineError> {
        let known_from = self.base.origin.sequence();
        let (id, asked) = (self.id.clone(), to);
        if to < known_from {
            return Err(TimelineError::BeforeKnown { id, asked, known_from });
        }
        if to > self.end {
            return Err(TimelineError::BehindEnd { id, asked, end: self.end });
        }
        let error = match self.run(to).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if let TimelineError::Undecodable { sequence, .. } | TimelineError::ApplyPanicked { sequence, .. } =
            &error
        {
            // In front of it, with a state that nothing has touched by halves.
            let before = Sequence::new(sequence.get().saturating_sub(1));
            self.reset();
            if let Err(again) = self.run(before).await {
                tracing::warn!(id = %self.id, %again, "a timeline went back to its origin");
                self.reset();
            }
        }
        Err(error)
    }

    /// Applies what lies between a state that is known and `to`.
    async fn run(&mut self, to: Sequence) -> Result<(), TimelineError> {
        let seen = self.here.as_ref().is_some_and(|here| here.before.is_some());
        if self.at == to && (seen || to == self.base.at) {
            return Ok(());
        }
        // The state before the last event is to be seen as well.
        let before = Sequence::new(to.get().saturating_sub(1)).max(self.base.at);
        self.start_from(before);
        let mut reel = Reel::new(&*self.open()?.backend, &self.id, self.at, to);
        while let Some(recorded) = reel.next().await? {
            let event = reel::decode::<E>(&recorded)?;
            let before = (recorded.sequence == to).then(|| self.shown());
            reel::apply::<E>(&mut self.state, event.as_ref(), &recorded)?;
            let moment = Moment::of(&recorded);
            self.at = recorded.sequence;
            self.latest = self.latest.max(moment.at);
            self.here = Some(Here { moment, event, before });
            self.mark();
        }
        Ok(())
    }

    /// Goes to the nearest known state up to `to`.
    fn start_from(&mut self, to: Sequence) {
        let on_the_way = |at: Sequence| self.at > to || at > self.at;
        let mark = [&self.marks, &self.near].into_iter().filter_map(|marks| marks.last_to(to));
        let mark = mark.filter(|(at, _)| on_the_way(*at)).max_by_key(|(at, _)| *at);
        let restored =
            mark.and_then(|(at, mark)| Some((at, mark.latest, self.keeping.restore(&mark.state)?)));
        match restored {
            Some((at, latest, state)) => {
                let back = self.at > to;
                (self.at, self.latest, self.state, self.here) = (at, latest, state, None);
                if back && self.marks.last_to(at).is_some_and(|(last, _)| last == at) {
                    self.near.restart(at, to);
                }
            }
            None if self.at > to => {
                self.reset();
                self.near.restart(self.at, to);
            }
            None => {}
        }
    }

    /// Goes to the origin.
    fn reset(&mut self) {
        self.at = self.base.at;
        self.latest = self.base.taken().unwrap_or(Timestamp::from_nanos(i64::MIN));
        self.state = self.base.state(&self.keeping);
        self.here = None;
    }

    /// Keeps the state of this place, if it is one of those that are kept.
    fn mark(&mut self) {
        if !self.keeping.keeps() {
            return;
        }
        let (at, latest) = (self.at, self.latest);
        for marks in [&mut self.marks, &mut self.near] {
            if marks.wants(at)
                && let Some(state) = self.keeping.keep(&self.state, &self.id, at)
            {
                marks.keep(at, Mark { latest, state });
            }
        }
    }

    /// The place in front of the first event that is later than `at`.
    async fn find(&mut self, at: Timestamp) -> Result<Sequence, TimelineError> {
        let known = [&self.marks, &self.near].into_iter();
        let known = known.filter_map(|marks| marks.backwards().find(|(_, mark)| mark.latest <= at));
        let known = known.map(|(sequence, _)| sequence).max();
        let known = known.into_iter().chain((self.latest <= at).then_some(self.at)).max();
        let start = known.unwrap_or(self.base.at);
        let mut reel = Reel::new(&*self.open()?.backend, &self.id, start, self.end);
        while let Some(recorded) = reel.next().await? {
            let moment = Moment::of(&recorded);
            if moment.at <= at {
                continue;
            }
            let before = Sequence::new(moment.sequence.get().saturating_sub(1));
            let known_from = self.base.taken().unwrap_or(moment.at);
            if before == self.base.at && known_from > at {
                return Err(TimelineError::BeforeFirst { id: self.id.clone(), asked: at, known_from });
            }
            return Ok(before);
        }
        let known_from = self.base.taken().filter(|taken| self.end == self.base.at && *taken > at);
        match known_from {
            Some(known_from) => {
                Err(TimelineError::BeforeFirst { id: self.id.clone(), asked: at, known_from })
            }
            None => Ok(self.end),
        }
    }

    fn open(&self) -> Result<&Open, TimelineError> {
        self.journal.get().ok_or_else(|| TimelineError::NoJournal { id: self.id.to_string() })
    }
}

/// The last event of an id.
async fn highest(open: &Open, id: &PersistenceId, after: Sequence) -> Result<Sequence, TimelineError> {
    let highest = open.backend.highest(id).await;
    highest.map_err(|reason| TimelineError::Unread { id: id.clone(), after, reason })
}

impl<E: EventSourced> Debug for Timeline<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline")
            .field("id", &self.id)
            .field("at", &self.at)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

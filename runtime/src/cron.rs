//! Which occurrences of a schedule does a timer run now, and when does it look again?
//!
//! A cron timer looks at the wall clock when it believes that an occurrence has come, and at least every [`LOOK`], because
//! the wall clock may be set. What it sees it hands in here, and it is told to run, or how long to wait. What a line
//! means is in [`mod@line`].
//!
//! # Invariants
//!
//! * What lies up to `seen` is dealt with, run or skipped. An occurrence runs only when it is moved across, so no
//!   occurrence runs twice and none runs early.
//! * `seen` goes back only when the clock has gone back by more than [`BACK`].
//! * A look takes one or two searches of the calendar, however much time has passed.

mod line;

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

pub use line::{Cron, CronError};

/// The longest wait between two looks at the wall clock: how late a step of the clock is noticed.
pub(crate) const LOOK: Duration = Duration::from_secs(30);

/// An occurrence that is older than this when the actor comes to it was missed. Twice [`LOOK`], so that a small step of
/// the clock misses nothing.
const LATE: Duration = Duration::from_mins(1);

/// A clock that goes back by more than this was wrong before. As in Vixie's cron; more than any change to summer time.
const BACK: Duration = Duration::from_hours(3);

/// What becomes of occurrences that passed while their actor was busy, the machine slept or its clock was set forward.
/// [`Cron::missed`] chooses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Missed {
    /// They are skipped. An occurrence that the actor comes to within 60 s is not missed.
    Skip,
    /// They make one message, however many they are: the default, and what a timer by `every` does.
    #[default]
    RunOnce,
    /// Each makes a message, one after the other, up to so many in a row; those after that are skipped.
    RunAll(NonZeroU32),
}

/// How far the timer of one schedule has come.
#[derive(Debug)]
pub(crate) struct Schedule {
    cron: Cron,
    seen: SystemTime,
    /// An occurrence is to be run.
    due: bool,
    /// How many more may run before the timer has caught up.
    left: u32,
}

impl Schedule {
    /// What comes after `now` is to be run.
    pub(crate) fn new(cron: Cron, now: SystemTime) -> Self {
        let left = in_a_row(&cron);
        Self { cron, seen: now, due: false, left }
    }

    /// What to do when the wall clock shows `now`: wait so long and look again, or (`None`) run. It is the latter until
    /// [`ran`](Self::ran).
    pub(crate) fn look(&mut self, now: SystemTime) -> Option<Duration> {
        if self.due {
            return None;
        }
        if self.seen.duration_since(now).is_ok_and(|back| back > BACK) {
            self.seen = now;
        }
        let wait = self.wait(now);
        if wait.is_some() {
            self.left = in_a_row(&self.cron);
            return wait;
        }
        self.cross(now);
        if self.due { None } else { Some(self.wait(now).unwrap_or(LOOK)) }
    }

    /// The occurrence that was due has been run.
    pub(crate) fn ran(&mut self) {
        self.due = false;
    }

    /// How long until the next occurrence, or the next look; `None` when it has come.
    fn wait(&self, now: SystemTime) -> Option<Duration> {
        let Some(next) = self.cron.next_after(self.seen) else { return Some(LOOK) };
        let until = next.duration_since(now).unwrap_or_default();
        (!until.is_zero()).then(|| until.min(LOOK))
    }

    /// Deals with what has come up to `now`, or with the first of it.
    fn cross(&mut self, now: SystemTime) {
        match self.cron.on_missed() {
            Missed::RunOnce => {
                self.due = true;
                self.seen = now;
            }
            Missed::Skip => {
                let fresh = now.checked_sub(LATE).map_or(self.seen, |late| late.max(self.seen));
                self.due = self.cron.next_after(fresh).is_some_and(|next| next <= now);
                self.seen = now;
            }
            Missed::RunAll(_) if self.left == 0 => {
                self.left = in_a_row(&self.cron);
                self.seen = now;
            }
            Missed::RunAll(_) => {
                self.due = true;
                self.left -= 1;
                self.seen = self.cron.next_after(self.seen).unwrap_or(now);
            }
        }
    }
}

/// How many occurrences may run one after the other.
fn in_a_row(cron: &Cron) -> u32 {
    match cron.on_missed() {
        Missed::Skip | Missed::RunOnce => 1,
        Missed::RunAll(limit) => limit.get(),
    }
}

#[cfg(test)]
mod tests;

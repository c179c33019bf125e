//! Where in a history?

use std::time::SystemTime;

use omnitron_runtime::TraceContext;

use crate::cause::{Because, Cause};
use crate::id::Sequence;
use crate::recorded::Recorded;
use crate::stored;
use crate::timestamp::Timestamp;

/// A place in a history: behind an event, or at a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Point {
    /// Behind the event of this sequence; [`Sequence::ZERO`] is before the first.
    Sequence(Sequence),
    /// In front of the first event that is later than this moment. The time of an event is that of the clock of the machine which wrote it, in
    /// milliseconds; where that went back, an event counts as no earlier than those before it.
    Time(Timestamp),
}

impl From<Sequence> for Point {
    fn from(sequence: Sequence) -> Self {
        Self::Sequence(sequence)
    }
}

impl From<u64> for Point {
    fn from(sequence: u64) -> Self {
        Self::Sequence(Sequence::new(sequence))
    }
}

impl From<Timestamp> for Point {
    fn from(at: Timestamp) -> Self {
        Self::Time(at)
    }
}

impl From<SystemTime> for Point {
    fn from(at: SystemTime) -> Self {
        Self::Time(at.into())
    }
}

/// One event of a history, without its content.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Moment {
    /// Its place among the events of the id.
    pub sequence: Sequence,
    /// When it was made, by the clock of the machine that did.
    pub at: Timestamp,
    /// The name of its type: `account.withdrawn`.
    pub event: String,
    /// The version of its type, as it was stored.
    pub version: u32,
    /// The event that caused it, if that is [known](crate::Effect::caused_by).
    pub cause: Option<Cause>,
    /// The handling of the command that led to it, in a system that [traces its messages](omnitron_runtime::SystemBuilder::trace_messages).
    pub trace: Option<TraceContext>,
}

impl Moment {
    pub(crate) fn of(recorded: &Recorded) -> Self {
        let event = &recorded.event;
        let Because { cause, trace } = stored::because(recorded);
        Self {
            sequence: recorded.sequence,
            at: Timestamp::from_millis(event.timestamp_ms),
            event: event.name.to_string(),
            version: event.version,
            cause,
            trace,
        }
    }
}

/// In the form of ISO 8601, in UTC, with milliseconds.
pub(crate) fn iso(at: Timestamp) -> String {
    const DAY: i64 = 86_400_000;
    let millis = at.as_nanos().div_euclid(1_000_000);
    let (days, of_day) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    // Years begin in March, so that the day that not every year has comes last; 400 of them have 146,097 days.
    let day = days + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_calendar_has_it() {
        let written = |millis: i64| iso(Timestamp::from_nanos(millis * 1_000_000));
        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(written(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(written(951_868_799_999), "2000-02-29T23:59:59.999Z");
        assert_eq!(written(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(written(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}

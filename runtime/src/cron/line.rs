//! What does a cron line say, and at which moments?
//!
//! A line is read once, when it is made into a [`Cron`]; from then on nothing about it can fail. The calendar is that of
//! `croner`, the time zones are those of `jiff`; neither shows in the public interface, so that both can be replaced.
//!
//! # Invariants
//!
//! * A `Cron` has an occurrence after every moment of a life: a line that has none is refused.
//! * Occurrences fall on whole seconds, and `next_after(t)` is after `t`.
//! * No error carries a longer text than [`LINE_LIMIT_BYTES`], and none shows a raw control character.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use croner::errors::CronError as Reason;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

use crate::cron::Missed;

/// The most bytes of a line. One that names every minute, hour, day, month and weekday has fewer.
const LINE_LIMIT_BYTES: usize = 512;

/// The most characters of the name of a time zone that an error shows. No real one is longer.
const ZONE_LIMIT: usize = 64;

/// The fields of a line, in their order, and what they take.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31, L or 15W"),
    ("month", "1-12 or JAN-DEC"),
    ("weekday", "0-7 or SUN-SAT, 5L or 5#2; 0 and 7 are Sunday"),
];

/// When to fire, by the calendar: a cron line, a time zone, and what becomes of moments that were missed.
///
/// A line has five fields: minute, hour, day of the month, month, weekday. Each takes `*`, numbers, names (`JAN`, `MON`),
/// ranges (`1-5`), steps (`*/15`, `10-40/10`) and lists of those (`1,15`); the day of the month also `L` (the last one)
/// and `15W` (the nearest working day), the weekday `5L` (the last Friday) and `5#2` (the second). When both the day of
/// the month and the weekday are given, either is enough. `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` stand
/// for lines.
///
/// ```
/// # use omnitron_runtime::{Cron, CronError, Missed};
/// let weekdays: Cron = "0 9 * * 1-5".parse()?; // UTC; what was missed runs once
/// let closing = Cron::parse("30 17 * * FRI")?.in_zone("Europe/Berlin")?.missed(Missed::Skip);
/// # Ok::<(), CronError>(())
/// ```
///
/// # Daylight-saving time
///
/// As Vixie's cron does it. A line with *one* minute and *one* hour fires once a day, whatever the clocks do: if its time
/// is left out in spring, at the first moment after the gap; if it comes twice in autumn, the first time. Any other line
/// (with `*`, a list, a range or a step for the minute or the hour) follows the clock on the wall: what is left out does
/// not fire, what comes twice fires twice.
#[derive(Clone)]
pub struct Cron {
    line: Arc<str>,
    calendar: Arc<croner::Cron>,
    zone: TimeZone,
    missed: Missed,
}

/// Why a line is no schedule. Nothing was set, and no retry helps: write it differently.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// There is nothing in the line.
    #[error("the cron line is empty: write five fields, such as \"0 9 * * 1-5\"")]
    Empty,
    /// The line is too long.
    #[error("the cron line has {length_bytes} bytes: shorten it to at most {limit_bytes}")]
    TooLong {
        /// Bytes of the line.
        length_bytes: usize,
        /// The most bytes of a line.
        limit_bytes: usize,
    },
    /// The line has more or fewer fields than five.
    #[error(
        "cron line {line:?} has {found} field(s): write five, \"minute hour day month weekday\", or @daily"
    )]
    Fields {
        /// The line.
        line: String,
        /// How many fields it has.
        found: usize,
    },
    /// A field says something that it cannot mean.
    #[error("cron line {line:?}: {field} {text:?}: {reason} (it takes {takes})")]
    Field {
        /// The line.
        line: String,
        /// Which field: `minute`, `hour`, `day of the month`, `month` or `weekday`.
        field: &'static str,
        /// What the field says.
        text: String,
        /// What is wrong with that.
        reason: String,
        /// What the field takes.
        takes: &'static str,
    },
    /// Every field is legal, but no day of the calendar fits, such as the 31st of February.
    #[error("cron line {line:?} never fires: no month it names has such a day")]
    Never {
        /// The line.
        line: String,
    },
    /// Neither the machine nor this program knows the time zone.
    #[error("unknown time zone {zone:?}: use a name such as \"Europe/Berlin\", or \"UTC\"")]
    UnknownZone {
        /// The name, or the beginning of it.
        zone: String,
    },
}

impl Cron {
    /// Reads a line. Its times are in UTC until [`in_zone`](Self::in_zone) says otherwise.
    ///
    /// # Errors
    ///
    /// [`CronError`] names the line, the field and what is wrong with it. A line that can never fire is an error.
    pub fn parse(line: &str) -> Result<Self, CronError> {
        if line.len() > LINE_LIMIT_BYTES {
            return Err(CronError::TooLong { length_bytes: line.len(), limit_bytes: LINE_LIMIT_BYTES });
        }
        let line = line.trim();
        if line.is_empty() {
            return Err(CronError::Empty);
        }
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.len() == FIELDS.len() {
            check_fields(line, &fields)?;
        } else if !line.starts_with('@') {
            return Err(CronError::Fields { line: line.to_owned(), found: fields.len() });
        }
        let calendar = parser()
            .parse(line)
            .map_err(|_| CronError::Fields { line: line.to_owned(), found: fields.len() })?;
        // No zone is needed to see that no day fits. Every combination of dates and weekdays comes within 400 years.
        if calendar.find_next_occurrence(&date(2000, 1, 1).at(0, 0, 0, 0), true).is_err() {
            return Err(CronError::Never { line: line.to_owned() });
        }
        Ok(Self {
            line: line.into(),
            calendar: Arc::new(calendar),
            zone: TimeZone::UTC,
            missed: Missed::default(),
        })
    }

    /// Takes the times of the line for those of this zone, by its name in the IANA database. Default: `UTC`.
    ///
    /// The rules are those of the machine if it has them, and otherwise those built into the program. They are read by
    /// this call: an update of the machine's reaches the schedules made after it.
    ///
    /// # Errors
    ///
    /// [`CronError::UnknownZone`] if neither knows the name.
    pub fn in_zone(mut self, zone: &str) -> Result<Self, CronError> {
        self.zone = TimeZone::get(zone)
            .map_err(|_| CronError::UnknownZone { zone: zone.chars().take(ZONE_LIMIT).collect() })?;
        Ok(self)
    }

    /// What becomes of moments that passed unseen. Default: [`Missed::RunOnce`].
    #[must_use = "this returns the schedule with that choice"]
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// The first moment after `then` at which this fires. `None` when that is thousands of years away.
    pub fn next_after(&self, then: SystemTime) -> Option<SystemTime> {
        let then = Timestamp::from_second(whole_seconds(then)?).ok()?.to_zoned(self.zone.clone());
        let next = self.calendar.find_next_occurrence(&then, false).ok()?;
        let seconds = next.timestamp().as_second();
        let apart = Duration::from_secs(seconds.unsigned_abs());
        if seconds >= 0 {
            SystemTime::UNIX_EPOCH.checked_add(apart)
        } else {
            SystemTime::UNIX_EPOCH.checked_sub(apart)
        }
    }

    pub(super) fn on_missed(&self) -> Missed {
        self.missed
    }
}

/// The seconds since 1970, rounded down.
fn whole_seconds(moment: SystemTime) -> Option<i64> {
    match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => {
            let before = before.duration();
            let up = i64::from(before.subsec_nanos() > 0);
            Some(-i64::try_from(before.as_secs()).ok()?.checked_add(up)?)
        }
    }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build()
}

/// The calendar says what is wrong, but not where: so each field is read alone, among stars.
fn check_fields(line: &str, fields: &[&str]) -> Result<(), CronError> {
    for (index, (&text, (field, takes))) in fields.iter().zip(FIELDS).enumerate() {
        let mut alone = ["*"; FIELDS.len()];
        alone[index] = text;
        let reason = if text.split(',').any(str::is_empty) {
            "an item of the list is empty".to_owned()
        } else {
            match parser().parse(&alone.join(" ")) {
                Ok(_) => continue,
                Err(
                    Reason::ComponentError(what)
                    | Reason::InvalidPattern(what)
                    | Reason::IllegalCharacters(what),
                ) => what.trim_end_matches('.').to_owned(),
                Err(other) => other.to_string(),
            }
        };
        return Err(CronError::Field { line: line.to_owned(), field, text: text.to_owned(), reason, takes });
    }
    Ok(())
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(line: &str) -> Result<Self, CronError> {
        Self::parse(line)
    }
}

/// The line and the zone: `0 9 * * 1-5 (Europe/Berlin)`.
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.line, self.zone.iana_name().unwrap_or("UTC"))
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({self}, {:?})", self.missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(moment: &str) -> SystemTime {
        moment.parse::<Timestamp>().unwrap().into()
    }

    /// The occurrences of a line in a zone from one moment to another.
    fn fires(line: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
        let cron = Cron::parse(line).unwrap().in_zone(zone).unwrap();
        let mut found = Vec::new();
        let mut then = at(from);
        while let Some(next) = cron.next_after(then).filter(|&next| next <= at(to)) {
            found.push(Timestamp::try_from(next).unwrap().to_string());
            then = next;
        }
        found
    }

    #[test]
    fn a_time_that_is_left_out_in_spring_fires_once_after_the_gap() {
        // At 01:00 UTC the clocks of Berlin go from 02:00 to 03:00.
        let night = ("2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z");
        assert_eq!(fires("30 2 * * *", "Europe/Berlin", night.0, night.1), ["2026-03-29T01:00:00Z"]);
        assert_eq!(fires("0 3 * * *", "Europe/Berlin", night.0, night.1), ["2026-03-29T01:00:00Z"]);
        assert_eq!(fires("0 1 * * *", "Europe/Berlin", night.0, night.1), ["2026-03-29T00:00:00Z"]);
    }

    #[test]
    fn a_time_that_comes_twice_in_autumn_fires_the_first_time_only() {
        // At 01:00 UTC the clocks of Berlin go from 03:00 back to 02:00.
        let night = ("2026-10-24T22:00:00Z", "2026-10-25T21:00:00Z");
        assert_eq!(fires("30 2 * * *", "Europe/Berlin", night.0, night.1), ["2026-10-25T00:30:00Z"]);
    }

    #[test]
    fn lines_with_more_than_one_time_follow_the_clock_on_the_wall() {
        let spring = ("2026-03-28T23:59:59Z", "2026-03-29T02:00:00Z");
        assert_eq!(
            fires("30 * * * *", "Europe/Berlin", spring.0, spring.1),
            ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]
        );
        assert_eq!(fires("30 2,14 * * *", "Europe/Berlin", spring.0, spring.1), Vec::<String>::new());
        let autumn = ("2026-10-24T23:59:59Z", "2026-10-25T02:00:00Z");
        assert_eq!(
            fires("30 2,14 * * *", "Europe/Berlin", autumn.0, autumn.1),
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]
        );
    }

    #[test]
    fn a_fraction_of_a_second_and_a_moment_before_1970_are_no_trouble() {
        let cron: Cron = "0 0 * * *".parse().unwrap();
        assert_eq!(cron.next_after(at("2020-01-01T23:59:59.999Z")), Some(at("2020-01-02T00:00:00Z")));
        assert_eq!(cron.next_after(at("2020-01-02T00:00:00Z")), Some(at("2020-01-03T00:00:00Z")));
        assert_eq!(cron.next_after(at("1969-12-30T23:59:59.5Z")), Some(at("1969-12-31T00:00:00Z")));
        assert_eq!(cron.next_after(at("1969-12-31T23:59:59.5Z")), Some(at("1970-01-01T00:00:00Z")));
        assert_eq!(cron.next_after(at("9999-12-30T00:00:00Z")), None);
    }

    #[test]
    fn the_day_and_the_weekday_are_alternatives_when_both_are_given() {
        let days = fires("0 0 13 * FRI", "UTC", "2020-03-01T00:00:00Z", "2020-03-15T00:00:00Z");
        assert_eq!(days, ["2020-03-06T00:00:00Z", "2020-03-13T00:00:00Z"]);
    }

    #[test]
    fn a_schedule_prints_its_line_and_its_zone() {
        let cron = Cron::parse(" @daily ").unwrap().in_zone("europe/berlin").unwrap();
        assert_eq!(cron.to_string(), "@daily (Europe/Berlin)");
        assert_eq!(format!("{:?}", Cron::parse("* * * * *").unwrap()), "Cron(* * * * * (UTC), RunOnce)");
    }

    fn field(low: u8, high: u8) -> impl Strategy<Value = String> {
        prop_oneof![
            3 => Just("*".to_owned()),
            3 => (low..=high).prop_map(|one| one.to_string()),
            1 => (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            1 => (2u8..30).prop_map(|step| format!("*/{step}")),
            1 => (low..=high, low..=high).prop_map(|(a, b)| format!("{a},{b}")),
        ]
    }

    proptest! {
        #[test]
        fn the_next_occurrence_is_later_on_a_whole_minute_and_none_lies_before_it(
            line in (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
            then_ns in -1_000_000_000_000_000_000i64..4_000_000_000_000_000_000,
            part in 0u32..1_000,
        ) {
            let line = format!("{} {} {} {} {}", line.0, line.1, line.2, line.3, line.4);
            let cron = Cron::parse(&line).unwrap().in_zone(zone).unwrap();
            let then: SystemTime = Timestamp::from_nanosecond(then_ns.into()).unwrap().into();
            let next = cron.next_after(then).expect("a line that is taken fires");
            prop_assert!(next > then);
            let since = next.duration_since(then).unwrap();
            prop_assert!(since < Duration::from_hours(24 * 366 * 13), "{:?}", since);
            // From wherever one begins to look in between, the same occurrence comes next.
            prop_assert_eq!(cron.next_after(then + since * part / 1_000), Some(next));
        }

        #[test]
        fn no_text_of_any_kind_makes_parsing_panic(line in "[0-9*/,#LW@a-z +-]{0,40}|.{0,40}", zone in ".{0,80}") {
            if let Ok(cron) = Cron::parse(&line) {
                let _ = cron.next_after(SystemTime::UNIX_EPOCH);
                let _ = cron.in_zone(&zone);
            }
        }
    }
}

//! A moment as an event holds it.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::Schema;

/// A moment of wall-clock time, in nanoseconds since the beginning of 1970 in UTC: from the year 1677 to 2262.
///
/// [`SystemTime`] has no form of its own in a journal, because its range and its resolution differ between systems.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Schema)]
#[schema(crate = crate)]
pub struct Timestamp {
    nanos: i64,
}

impl Timestamp {
    /// The moment so many nanoseconds after the beginning of 1970, or before it.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self { nanos }
    }

    /// The moment so many milliseconds after the beginning of 1970, as a journal keeps them; the last there is, if it is later.
    pub(crate) fn from_millis(millis: u64) -> Self {
        let nanos = i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Self { nanos }
    }

    /// Nanoseconds since the beginning of 1970; negative before it.
    pub const fn as_nanos(self) -> i64 {
        self.nanos
    }
}

/// A moment as a journal keeps it: in milliseconds since the beginning of 1970, 0 before it.
pub(crate) fn millis(wall: SystemTime) -> u64 {
    whole_millis(wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// The milliseconds in a duration; the most there are, if it is longer.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A moment out of range becomes the first or the last there is.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let nanos = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
        };
        Self { nanos }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        let distance = Duration::from_nanos(timestamp.nanos.unsigned_abs());
        if timestamp.nanos < 0 { Self::UNIX_EPOCH - distance } else { Self::UNIX_EPOCH + distance }
    }
}

/// As seconds since the beginning of 1970, with nine digits behind the point.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let nanos = self.nanos.unsigned_abs();
        write!(f, "{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_the_system_comes_back_the_same() {
        for nanos in [0, 1, -1, 1_700_000_000_123_456_789, i64::MAX, i64::MIN + 1] {
            let timestamp = Timestamp::from_nanos(nanos);
            assert_eq!(Timestamp::from(SystemTime::from(timestamp)), timestamp, "{nanos}");
        }
    }

    #[test]
    fn a_moment_out_of_range_is_the_last_or_the_first() {
        let ages = Duration::from_secs(1 << 40);
        assert_eq!(Timestamp::from(SystemTime::UNIX_EPOCH + ages).as_nanos(), i64::MAX);
        assert_eq!(Timestamp::from(SystemTime::UNIX_EPOCH - ages).as_nanos(), i64::MIN);
    }

    #[test]
    fn a_time_that_no_timestamp_can_hold_is_the_last_there_is() {
        assert_eq!(Timestamp::from_millis(u64::MAX).as_nanos(), i64::MAX);
        assert_eq!(Timestamp::from_millis(1_500).as_nanos(), 1_500_000_000);
    }

    #[test]
    fn it_is_shown_in_seconds() {
        assert_eq!(Timestamp::from_nanos(1_500_000_000).to_string(), "1.500000000");
        assert_eq!(Timestamp::from_nanos(-1).to_string(), "-0.000000001");
    }
}

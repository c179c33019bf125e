//! What does the answer look like on the screen?
//!
//! Numbers come in, text goes out. The order of what comes in leaves no trace, so runs that differ only in which actor
//! was faster print the same table.

use std::cmp::Reverse;
use std::fmt::{Display, Write};
use std::time::Duration;

use crate::tally::{Aircraft, Airport, Carrier};

/// Airports shown.
const AIRPORTS: usize = 10;
/// Aircraft shown.
const AIRCRAFT: usize = 5;

/// What the actors answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Every carrier by its code.
    pub(crate) carriers: Vec<(String, Carrier)>,
    /// Every airport by its code.
    pub(crate) airports: Vec<(String, Airport)>,
    /// Every aircraft by its tail number.
    pub(crate) aircraft: Vec<(String, Aircraft)>,
}

/// What the system says about itself.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Actors alive.
    pub(crate) actors: usize,
    /// Messages handled.
    pub(crate) messages: u64,
    /// Messages or hooks that failed.
    pub(crate) failures: u64,
    /// Restarts after a failure.
    pub(crate) restarts: u64,
    /// Messages that reached nobody.
    pub(crate) dead_letters: u64,
    /// The most messages that ever waited in one mailbox.
    pub(crate) deepest_mailbox: usize,
    /// From the first row to the last answer.
    pub(crate) elapsed: Duration,
}

/// The table: carriers, airports and aircraft, each with the most first and equals by name.
pub(crate) fn table(answers: Answers) -> String {
    let Answers { mut carriers, mut airports, mut aircraft } = answers;
    let mut text = String::new();

    carriers.sort_by_cached_key(|(code, carrier)| (Reverse(carrier.flights), code.clone()));
    line(&mut text, format_args!("carrier   flights  known delay  mean delay (min)"));
    for (code, carrier) in &carriers {
        let Carrier { flights, known_delays, delay_minutes, .. } = *carrier;
        let mean = mean(delay_minutes, known_delays);
        line(&mut text, format_args!("{code:<8}{flights:>9}{known_delays:>13}{mean:>18}"));
    }

    airports.sort_by_cached_key(|(code, airport)| (Reverse(airport.movements), code.clone()));
    line(&mut text, format_args!("\nairport  departures and arrivals"));
    for (code, airport) in airports.iter().take(AIRPORTS) {
        line(&mut text, format_args!("{code:<8}{:>24}", thousands(airport.movements)));
    }

    aircraft.sort_by_cached_key(|(tail, aircraft)| (Reverse(aircraft.legs), tail.clone()));
    line(&mut text, format_args!("\naircraft  legs"));
    for (tail, aircraft) in aircraft.iter().take(AIRCRAFT) {
        line(&mut text, format_args!("{tail:<8}{:>6}", aircraft.legs));
    }
    text
}

/// The system's own figures, which differ from run to run.
pub(crate) fn system(figures: &Figures) -> String {
    let millis = figures.elapsed.as_millis();
    let per_second = (u128::from(figures.messages) * 1_000).checked_div(millis);
    let rows = [
        ("actors", thousands(figures.actors)),
        ("messages", thousands(figures.messages)),
        ("failures", thousands(figures.failures)),
        ("restarts", thousands(figures.restarts)),
        ("dead letters", thousands(figures.dead_letters)),
        ("deepest mailbox", thousands(figures.deepest_mailbox)),
        ("elapsed", format!("{}.{:03} s", millis / 1_000, millis % 1_000)),
        ("messages/s", per_second.map_or_else(|| "-".to_owned(), thousands)),
    ];
    let mut text = String::from("-- system\n");
    for (name, value) in rows {
        line(&mut text, format_args!("{name:<16}{value:>14}"));
    }
    text
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a String takes whatever is written to it");
}

/// `sum / count` with two decimals, halves away from zero; `-` for the mean of nothing. In whole numbers, so that no
/// rounding of a binary fraction gets between the sum and what is shown.
fn mean(sum: i64, count: u64) -> String {
    if count == 0 {
        return "-".to_owned();
    }
    let (sum, count) = (i128::from(sum), i128::from(count));
    let hundredths = (200 * sum.abs() + count) / (2 * count);
    let sign = if sum < 0 && hundredths > 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}

/// `9893` as `9,893`.
fn thousands(number: impl Copy + Display) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_two_decimals_and_rounds_halves_away_from_zero() {
        for (sum, count, expected) in [
            (0, 0, "-"),
            (0, 7, "0.00"),
            (1, 3, "0.33"),
            (2, 3, "0.67"),
            (1, 200, "0.01"),
            (1, 201, "0.00"),
            (-1, 200, "-0.01"),
            (-1, 201, "0.00"),
            (-101, 2, "-50.50"),
            (i64::MIN, 1, "-9223372036854775808.00"),
        ] {
            assert_eq!(mean(sum, count), expected, "{sum} / {count}");
        }
    }

    #[test]
    fn thousands_are_separated_from_the_right() {
        let shown = [0_u64, 999, 1_000, 27_004, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "27,004", "1,234,567"]);
    }

    fn named<T>(all: impl IntoIterator<Item = (&'static str, T)>) -> Vec<(String, T)> {
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn the_table_has_the_most_first_and_equals_by_name_whatever_order_the_answers_came_in() {
        let carriers =
            [("YV", Carrier::of(1, 0, 0)), ("UA", Carrier::of(5, 4, 10)), ("AA", Carrier::of(1, 1, -3))];
        let aircraft = ["N6", "N5", "N4", "N3", "N2", "N1"].map(|tail| (tail, Aircraft::of(1)));
        let text = table(Answers {
            carriers: named(carriers),
            airports: named([("LGA", Airport::of(2)), ("EWR", Airport::of(9_893))]),
            aircraft: named(aircraft),
        });
        assert_eq!(
            text,
            "\
carrier   flights  known delay  mean delay (min)
UA              5            4              2.50
AA              1            1             -3.00
YV              1            0                 -

airport  departures and arrivals
EWR                        9,893
LGA                            2

aircraft  legs
N1           1
N2           1
N3           1
N4           1
N5           1
"
        );
    }

    #[test]
    fn a_run_too_short_to_measure_has_no_rate() {
        let text = system(&Figures { messages: 12, ..Figures::default() });
        assert!(
            text.starts_with("-- system\n") && text.ends_with("messages/s                   -\n"),
            "{text}"
        );
        let text =
            system(&Figures { messages: 3_000, elapsed: Duration::from_millis(1_500), ..Figures::default() });
        assert!(text.contains("elapsed                1.500 s\nmessages/s               2,000\n"), "{text}");
    }
}

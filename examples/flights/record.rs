//! What is a flight, and what is wrong with a row that is none?
//!
//! A row comes in as the fields of one line and leaves as a [`Flight`] or as a [`Malformed`] that says
//! what a person would have to mend. Nothing here reads a file or talks to an actor.
//!
//! # Invariants
//!
//! * Every name in a [`Flight`] is one to [`MAX_CODE_BYTES`] ASCII letters, digits and hyphens, so it may name
//!   an actor as it is: what comes from a file can neither leave its place in the tree nor be refused there.
//! * The text of a [`Reason`] is short and holds no control character, whatever the row held.

use std::fmt;

use csv::ByteRecord;

/// The longest carrier, airport or tail number that is believed. Real ones have at most six characters.
pub(crate) const MAX_CODE_BYTES: usize = 16;

/// How much of a wrong value a message quotes, in characters.
const QUOTED_CHARS: usize = 24;

/// The columns this program reads. A file may have others, in any order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Column {
    /// Minutes between planned and real departure; negative when early.
    DepDelay,
    /// The airline's two-letter code.
    Carrier,
    /// The aircraft's registration.
    TailNum,
    /// The airport of departure.
    Origin,
    /// The airport of arrival.
    Dest,
}

impl Column {
    /// All of them, in the order in which a message lists them.
    pub(crate) const ALL: [Self; 5] =
        [Self::DepDelay, Self::Carrier, Self::TailNum, Self::Origin, Self::Dest];

    /// The name in the file's header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DepDelay => "dep_delay",
            Self::Carrier => "carrier",
            Self::TailNum => "tailnum",
            Self::Origin => "origin",
            Self::Dest => "dest",
        }
    }
}

/// Where the columns are in the file at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    /// Positions in the order of [`Column::ALL`].
    positions: [usize; 5],
    /// How many fields a row has.
    width: usize,
}

impl Columns {
    /// Finds the columns in a header.
    ///
    /// # Errors
    ///
    /// [`WrongHeader`] when a column is missing, or there twice.
    pub(crate) fn find(header: &ByteRecord) -> Result<Self, WrongHeader> {
        let mut positions = [0; 5];
        let mut missing = Vec::new();
        for (slot, column) in positions.iter_mut().zip(Column::ALL) {
            let mut places = header
                .iter()
                .enumerate()
                .filter(|(_, name)| name.trim_ascii() == column.name().as_bytes())
                .map(|(place, _)| place);
            match (places.next(), places.next()) {
                (Some(place), None) => *slot = place,
                (Some(_), Some(_)) => return Err(WrongHeader::Twice(column)),
                (None, _) => missing.push(column),
            }
        }
        if missing.is_empty() {
            Ok(Self { positions, width: header.len() })
        } else {
            Err(WrongHeader::Missing(missing))
        }
    }

    fn position(&self, column: Column) -> usize {
        self.positions[column as usize]
    }
}

/// Why a first line is no header of flights.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum WrongHeader {
    /// These columns are not there.
    Missing(Vec<Column>),
    /// This column is there more than once, so its value would be a guess.
    Twice(Column),
}

impl fmt::Display for WrongHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(columns) if columns.len() == Column::ALL.len() => {
                f.write_str("its first line has none of the columns that flights need: ")?;
                list(f, columns)
            }
            Self::Missing(columns) => {
                f.write_str("its header lacks ")?;
                list(f, columns)
            }
            Self::Twice(column) => write!(f, "its header names {} more than once", column.name()),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, columns: &[Column]) -> fmt::Result {
    for (position, column) in columns.iter().enumerate() {
        if position > 0 {
            f.write_str(", ")?;
        }
        f.write_str(column.name())?;
    }
    Ok(())
}

/// One line of the file, cut into fields and not looked at further.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its number in the file; the header is line 1.
    pub(crate) line: u64,
    /// What stands between the commas.
    pub(crate) fields: ByteRecord,
    /// Which field is which.
    pub(crate) columns: Columns,
}

impl Row {
    /// The tail number as it stands in the file; empty when the row is too short to have one. Good enough to
    /// choose a parser by, before anybody has parsed the row.
    pub(crate) fn tail(&self) -> &[u8] {
        self.fields.get(self.columns.position(Column::TailNum)).unwrap_or_default()
    }
}

/// One flight: what the counting actors need to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Flight {
    /// The line it came from: its identity.
    pub(crate) line: u64,
    /// The airline.
    pub(crate) carrier: String,
    /// The aircraft, if it is known.
    pub(crate) tail: Option<String>,
    /// The airport of departure.
    pub(crate) origin: String,
    /// The airport of arrival.
    pub(crate) dest: String,
    /// Departure delay in minutes, if it is known.
    pub(crate) delay: Option<i32>,
}

impl Flight {
    /// Reads a row.
    ///
    /// # Errors
    ///
    /// [`Malformed`] with the first thing that is wrong, looking at the number of fields, then at the columns in
    /// the order of [`Column::ALL`].
    pub(crate) fn parse(row: &Row) -> Result<Self, Malformed> {
        Self::read(row).map_err(|reason| Malformed { line: row.line, reason })
    }

    fn read(row: &Row) -> Result<Self, Reason> {
        if row.fields.len() != row.columns.width {
            return Err(Reason::Fields { found: row.fields.len(), expected: row.columns.width });
        }
        Ok(Self {
            line: row.line,
            delay: known(row, Column::DepDelay)?.map(minutes).transpose()?,
            carrier: required(row, Column::Carrier)?,
            tail: known(row, Column::TailNum)?.map(|text| code(Column::TailNum, text)).transpose()?,
            origin: required(row, Column::Origin)?,
            dest: required(row, Column::Dest)?,
        })
    }
}

/// The text in a column; `None` when it is empty or `NA`, the data's two ways to say unknown.
fn known(row: &Row, column: Column) -> Result<Option<&str>, Reason> {
    let bytes = row.fields.get(row.columns.position(column)).unwrap_or_default();
    let text = std::str::from_utf8(bytes).map_err(|_| Reason::NotText(column))?.trim();
    Ok(Some(text).filter(|text| !text.is_empty() && *text != "NA"))
}

fn required(row: &Row, column: Column) -> Result<String, Reason> {
    code(column, known(row, column)?.ok_or(Reason::Unknown(column))?)
}

fn code(column: Column, text: &str) -> Result<String, Reason> {
    let legal = text.len() <= MAX_CODE_BYTES && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if legal { Ok(text.to_owned()) } else { Err(Reason::Code(column, quote(text))) }
}

/// Whole minutes. Tables that went through a program without integers say `2.0` for 2.
fn minutes(text: &str) -> Result<i32, Reason> {
    text.strip_suffix(".0").unwrap_or(text).parse().map_err(|_| Reason::Delay(quote(text)))
}

/// A value as a message may show it: short, on one line, with nothing that a terminal would obey.
fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_CHARS).is_some() {
        quoted.push('…');
    }
    quoted
}

/// A row that is no flight. It counts nowhere but among its like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Malformed {
    /// Where it stands in the file.
    pub(crate) line: u64,
    /// What is wrong with it.
    pub(crate) reason: Reason,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for Malformed {}

/// What is wrong with a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// The row is cut short, or has a comma too many.
    Fields {
        /// How many fields it has.
        found: usize,
        /// How many the header has.
        expected: usize,
    },
    /// The line is longer than any row of flights.
    TooLong {
        /// The longest line that is read, in bytes.
        limit_bytes: usize,
    },
    /// The column holds bytes that are no UTF-8.
    NotText(Column),
    /// The column is empty or `NA`, and a flight cannot do without it.
    Unknown(Column),
    /// The column holds something that is no code.
    Code(Column, String),
    /// The delay is no whole number of minutes.
    Delay(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields { found: 1, expected } => write!(f, "1 field where the header has {expected}"),
            Self::Fields { found, expected } => write!(f, "{found} fields where the header has {expected}"),
            Self::TooLong { limit_bytes } => write!(f, "longer than {limit_bytes} bytes"),
            Self::NotText(column) => write!(f, "{} is not UTF-8 text", column.name()),
            Self::Unknown(column) => write!(f, "no {}", column.name()),
            Self::Code(column, value) => write!(
                f,
                "{} is \"{value}\", not a code of at most {MAX_CODE_BYTES} letters, digits and hyphens",
                column.name()
            ),
            Self::Delay(value) => write!(f, "dep_delay is \"{value}\", not a whole number of minutes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: &[&[u8]]) -> Row {
        let header = ByteRecord::from(vec!["carrier", "tailnum", "origin", "dest", "dep_delay", "hour"]);
        let columns = Columns::find(&header).unwrap();
        Row { line: 7, fields: ByteRecord::from(fields), columns }
    }

    fn parse(fields: [&str; 6]) -> Result<Flight, Reason> {
        Flight::parse(&row(&fields.map(str::as_bytes))).map_err(|malformed| malformed.reason)
    }

    #[test]
    fn a_complete_row_is_a_flight_whatever_the_order_of_the_columns() {
        let flight = parse(["UA", "N14228", "EWR", "IAH", "-2", "5"]).unwrap();
        assert_eq!(
            flight,
            Flight {
                line: 7,
                carrier: "UA".into(),
                tail: Some("N14228".into()),
                origin: "EWR".into(),
                dest: "IAH".into(),
                delay: Some(-2),
            }
        );
    }

    #[test]
    fn unknown_delay_and_unknown_aircraft_leave_a_flight_that_counts() {
        for unknown in ["", "NA", " "] {
            let flight = parse(["UA", unknown, "EWR", "IAH", unknown, "5"]).unwrap();
            assert_eq!((flight.tail, flight.delay), (None, None));
        }
    }

    #[test]
    fn blanks_around_a_value_do_not_make_another_actor() {
        let flight = parse([" UA ", " N1", "EWR ", "IAH\t", " 3 ", ""]).unwrap();
        assert_eq!((&*flight.carrier, flight.tail.as_deref(), flight.delay), ("UA", Some("N1"), Some(3)));
    }

    #[test]
    fn a_delay_with_a_zero_fraction_is_whole_and_any_other_is_malformed() {
        assert_eq!(parse(["UA", "", "EWR", "IAH", "2.0", ""]).unwrap().delay, Some(2));
        for wrong in ["2.5", "soon", "1e3", "--2", "99999999999", ".0", "0x10"] {
            let reason = parse(["UA", "", "EWR", "IAH", wrong, ""]).unwrap_err();
            assert_eq!(reason, Reason::Delay(wrong.into()));
        }
    }

    #[test]
    fn a_row_without_carrier_origin_or_destination_is_malformed_and_says_which() {
        for unknown in ["", "NA"] {
            let reasons = [
                (parse([unknown, "N1", "EWR", "IAH", "2", ""]), Column::Carrier),
                (parse(["UA", "N1", unknown, "IAH", "2", ""]), Column::Origin),
                (parse(["UA", "N1", "EWR", unknown, "2", ""]), Column::Dest),
            ];
            for (result, column) in reasons {
                assert_eq!(result, Err(Reason::Unknown(column)));
            }
        }
    }

    #[test]
    fn what_could_not_name_an_actor_is_malformed() {
        let longest = "N".repeat(MAX_CODE_BYTES);
        assert!(parse(["UA", &longest, "EWR", "IAH", "2", ""]).is_ok());
        let longer = "N".repeat(MAX_CODE_BYTES + 1);
        for wrong in ["N1/2", "..", "N 1", "N\u{7}1", "Ñ1", &longer] {
            let reason = parse(["UA", wrong, "EWR", "IAH", "2", ""]).unwrap_err();
            assert!(matches!(reason, Reason::Code(Column::TailNum, _)), "{wrong}: {reason}");
        }
    }

    #[test]
    fn a_row_with_too_few_or_too_many_fields_says_both_numbers() {
        let short = Flight::parse(&row(&[b"UA", b"N1"])).unwrap_err();
        assert_eq!(short.to_string(), "line 7: 2 fields where the header has 6");
        let long = Flight::parse(&row(&[b"UA", b"N1", b"EWR", b"IAH", b"2", b"5", b"6"])).unwrap_err();
        assert_eq!(long.reason, Reason::Fields { found: 7, expected: 6 });
    }

    #[test]
    fn bytes_that_are_no_text_are_malformed_only_in_a_column_that_is_read() {
        let wrong = Flight::parse(&row(&[b"U\xff", b"N1", b"EWR", b"IAH", b"2", b"5"])).unwrap_err();
        assert_eq!(wrong.reason, Reason::NotText(Column::Carrier));
        assert!(Flight::parse(&row(&[b"UA", b"N1", b"EWR", b"IAH", b"2", b"\xff"])).is_ok());
    }

    #[test]
    fn a_message_quotes_a_wrong_value_briefly_and_harmlessly() {
        let hostile = format!("\u{1b}[2J{}", "x".repeat(100_000));
        let text = parse(["UA", &hostile, "EWR", "IAH", "2", ""]).unwrap_err().to_string();
        assert!(text.len() < 200 && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_header_without_a_needed_column_is_refused_by_name() {
        let header = ByteRecord::from(vec!["carrier", "origin", "dest", "dep_delay"]);
        let wrong = Columns::find(&header).unwrap_err();
        assert_eq!(wrong.to_string(), "its header lacks tailnum");
        let header = ByteRecord::from(vec!["carrier", "carrier", "tailnum", "origin", "dest", "dep_delay"]);
        assert_eq!(Columns::find(&header).unwrap_err(), WrongHeader::Twice(Column::Carrier));
    }

    #[test]
    fn the_tail_of_a_row_too_short_to_have_one_is_empty() {
        assert_eq!(row(&[b"UA"]).tail(), b"");
        assert_eq!(row(&[b"UA", b"N1"]).tail(), b"N1");
    }
}

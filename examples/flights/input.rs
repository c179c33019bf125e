//! Where do the rows come from, and which files are refused?
//!
//! Opens a file, sees by its first bytes whether it is gzip, checks the header, and then hands out one row after
//! the other, cut into fields but not understood: understanding is the parsers' work. Memory is bounded by
//! [`MAX_LINE_BYTES`], whatever the file holds.
//!
//! # Invariants
//!
//! * A row is a line. Lines are cut first and fields second, so a quotation mark that nobody closes spoils its own
//!   line and not the rest of the file, and every number in a message is the number an editor shows.
//! * A problem that makes the counts wrong as a whole (truncated, damaged or unreadable file) is an
//!   [`InputError`]; one that concerns a single row is a [`Malformed`] row, and the next row follows.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Position, ReaderBuilder};
use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;

use crate::record::{Columns, Malformed, Reason, Row, WrongHeader};

/// The longest line that is read. Rows of flights have about 100 bytes.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024;

/// Bytes read from the file at a time: small, so that the progress bar moves through a file of 0.5 MB.
const FILE_BUFFER_BYTES: usize = 8 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const UTF8_BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// A file of flights, read row by row.
pub(crate) struct Input {
    path: PathBuf,
    lines: Lines,
    splitter: Splitter,
    columns: Columns,
    gzip: bool,
}

/// What the next line turned out to be.
#[derive(Debug)]
pub(crate) enum Line {
    /// A row to parse.
    Row(Row),
    /// A line that cannot even be cut into fields.
    Malformed(Malformed),
}

impl Input {
    /// Opens a file and reads its header. `bar` follows the bytes read.
    ///
    /// # Errors
    ///
    /// Every [`Problem`] is possible. Nothing was counted.
    pub(crate) fn open(path: &Path, bar: &ProgressBar) -> Result<Self, InputError> {
        let error = |problem| InputError { path: path.to_owned(), problem };
        let file = File::open(path).map_err(|e| error(Problem::NotOpened(e)))?;
        let metadata = file.metadata().map_err(|e| error(Problem::NotOpened(e)))?;
        if metadata.is_dir() {
            return Err(error(Problem::Directory));
        }
        bar.set_length(metadata.len());
        let (gzip, source) =
            decompressed(bar.wrap_read(file)).map_err(|e| error(Problem::unreadable(e, 0, false)))?;

        let mut lines = Lines { source, buffer: Vec::new(), number: 0 };
        let mut splitter = Splitter::default();
        let more = lines.advance().map_err(|e| error(Problem::unreadable(e, 0, gzip)))?;
        let header = match more {
            Some(Length::Fits) => splitter.split(lines.text()),
            Some(Length::Exceeded) => ByteRecord::new(),
            None => return Err(error(Problem::Empty)),
        };
        let columns = Columns::find(&header).map_err(|e| error(Problem::NoFlights(e)))?;
        Ok(Self { path: path.to_owned(), lines, splitter, columns, gzip })
    }

    /// The next line that is not blank; `None` at the orderly end of the file.
    ///
    /// # Errors
    ///
    /// [`Problem::Truncated`], [`Problem::Damaged`] or [`Problem::Unreadable`]: rows are missing.
    pub(crate) fn next_line(&mut self) -> Result<Option<Line>, InputError> {
        loop {
            let more = self.lines.advance().map_err(|e| InputError {
                path: self.path.clone(),
                problem: Problem::unreadable(e, self.lines.number, self.gzip),
            })?;
            let line = self.lines.number;
            match more {
                None => return Ok(None),
                Some(Length::Exceeded) => {
                    let reason = Reason::TooLong { limit_bytes: MAX_LINE_BYTES };
                    return Ok(Some(Line::Malformed(Malformed { line, reason })));
                }
                Some(Length::Fits) if self.lines.text().trim_ascii().is_empty() => {}
                Some(Length::Fits) => {
                    let fields = self.splitter.split(self.lines.text());
                    return Ok(Some(Line::Row(Row { line, fields, columns: self.columns })));
                }
            }
        }
    }
}

/// Looks at the first bytes, because a name says nothing about the content: `true` and the decompressed content
/// when they are gzip's.
fn decompressed(mut file: impl Read + 'static) -> io::Result<(bool, Box<dyn BufRead>)> {
    let mut magic = Vec::new();
    file.by_ref().take(2).read_to_end(&mut magic)?;
    let gzip = magic == GZIP_MAGIC;
    let whole = BufReader::with_capacity(FILE_BUFFER_BYTES, Cursor::new(magic).chain(file));
    Ok((gzip, if gzip { Box::new(BufReader::new(MultiGzDecoder::new(whole))) } else { Box::new(whole) }))
}

/// Cuts a source into lines and forgets what is beyond the limit.
struct Lines {
    source: Box<dyn BufRead>,
    buffer: Vec<u8>,
    /// Lines read so far, thus the number of the one in the buffer.
    number: u64,
}

enum Length {
    Fits,
    Exceeded,
}

impl Lines {
    fn text(&self) -> &[u8] {
        let start = if self.number == 1 && self.buffer.starts_with(&UTF8_BYTE_ORDER_MARK) { 3 } else { 0 };
        &self.buffer[start..]
    }

    /// Reads the next line into the buffer; `None` at the end.
    fn advance(&mut self) -> io::Result<Option<Length>> {
        self.buffer.clear();
        let mut exceeded = false;
        let mut began = false;
        loop {
            let chunk = match self.source.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            began |= !chunk.is_empty();
            exceeded |= self.buffer.len() + part.len() > MAX_LINE_BYTES;
            if !exceeded {
                self.buffer.extend_from_slice(part);
            }
            let last = end.is_some() || chunk.is_empty();
            let used = part.len() + usize::from(end.is_some());
            self.source.consume(used);
            if last {
                self.number += u64::from(began);
                return Ok(began.then_some(if exceeded { Length::Exceeded } else { Length::Fits }));
            }
        }
    }
}

/// Cuts lines into fields. One CSV reader serves all of them, because building one costs more than a line does.
struct Splitter {
    reader: csv::Reader<Cursor<Vec<u8>>>,
}

impl Default for Splitter {
    fn default() -> Self {
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(Cursor::default());
        Self { reader }
    }
}

impl Splitter {
    /// The fields of a line; none when the line has no content.
    fn split(&mut self, line: &[u8]) -> ByteRecord {
        let mut fields = ByteRecord::new();
        // The reader met the end of the line before this one, and only a seek makes it read on. `seek` would do
        // nothing after an empty line, because it believes to be at the start already; `seek_raw` always seeks.
        let content = self.reader.get_mut().get_mut();
        content.clear();
        content.extend_from_slice(line);
        self.reader
            .seek_raw(io::SeekFrom::Start(0), Position::new())
            .and_then(|()| self.reader.read_byte_record(&mut fields))
            .expect("memory can be read, bytes need no decoding, and rows of any length are allowed");
        fields
    }
}

/// Why a file gives no table.
#[derive(Debug)]
pub(crate) struct InputError {
    /// The file.
    pub(crate) path: PathBuf,
    /// What is wrong with it.
    pub(crate) problem: Problem,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for InputError {}

/// What is wrong with a file.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It is not there, or may not be read.
    NotOpened(io::Error),
    /// It is a directory.
    Directory,
    /// It has no content.
    Empty,
    /// It has a first line which is no header of flights.
    NoFlights(WrongHeader),
    /// It is gzip and ends before it is complete.
    Truncated {
        /// The last line that is whole.
        after_line: u64,
    },
    /// It is gzip, and its content does not match its check sum or its format.
    Damaged {
        /// The last line that was read.
        after_line: u64,
        /// What the decoder found.
        error: io::Error,
    },
    /// The system failed to read it.
    Unreadable {
        /// The last line that was read.
        after_line: u64,
        /// What the system said.
        error: io::Error,
    },
}

impl Problem {
    fn unreadable(error: io::Error, after_line: u64, gzip: bool) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if gzip => Self::Truncated { after_line },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if gzip => {
                Self::Damaged { after_line, error }
            }
            _ => Self::Unreadable { after_line, error },
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpened(e) if e.kind() == io::ErrorKind::NotFound => {
                f.write_str("there is no such file; give the path of a CSV of flights, or none for the month that comes with this example")
            }
            Self::NotOpened(e) => write!(f, "cannot be opened: {e}"),
            Self::Directory => f.write_str("is a directory; give the path of a file in it"),
            Self::Empty => f.write_str("is empty; a CSV of flights starts with a header line"),
            Self::NoFlights(wrong) => write!(f, "is no CSV of flights: {wrong}"),
            Self::Truncated { after_line } => write!(
                f,
                "the gzip file is truncated: it ends after line {after_line}, before it is complete; fetch or copy it again"
            ),
            Self::Damaged { after_line, error } => {
                write!(f, "the gzip file is damaged after line {after_line} ({error}); fetch or copy it again")
            }
            Self::Unreadable { after_line, error } => {
                write!(f, "cannot be read beyond line {after_line}: {error}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(content: &[u8]) -> Lines {
        Lines { source: Box::new(Cursor::new(content.to_vec())), buffer: Vec::new(), number: 0 }
    }

    fn read_all(content: &[u8]) -> Vec<(u64, Option<String>)> {
        let mut lines = lines(content);
        let mut all = Vec::new();
        while let Some(length) = lines.advance().unwrap() {
            let text =
                matches!(length, Length::Fits).then(|| String::from_utf8_lossy(lines.text()).into_owned());
            all.push((lines.number, text));
        }
        all
    }

    fn numbered(expected: &[&str]) -> Vec<(u64, Option<String>)> {
        (1..).zip(expected).map(|(number, text)| (number, Some((*text).to_owned()))).collect()
    }

    #[test]
    fn a_last_line_counts_with_and_without_its_end() {
        assert_eq!(read_all(b"a\nb\n"), numbered(&["a", "b"]));
        assert_eq!(read_all(b"a\nb"), numbered(&["a", "b"]));
        assert_eq!(read_all(b"a\n\nb"), numbered(&["a", "", "b"]));
        assert_eq!(read_all(b"\n"), numbered(&[""]));
        assert_eq!(read_all(b""), numbered(&[]));
    }

    #[test]
    fn a_line_longer_than_the_limit_is_forgotten_and_the_next_one_is_not() {
        let fits = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(read_all(format!("{fits}\nb").as_bytes()), numbered(&[&fits, "b"]));
        assert_eq!(read_all(format!("{fits}x\nb").as_bytes()), [(1, None), (2, Some("b".to_owned()))]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_header() {
        assert_eq!(read_all(b"\xef\xbb\xbfyear,month\n1"), numbered(&["year,month", "1"]));
    }

    fn split(splitter: &mut Splitter, line: &str) -> Vec<String> {
        splitter
            .split(line.as_bytes())
            .iter()
            .map(|field| String::from_utf8_lossy(field).into_owned())
            .collect()
    }

    #[test]
    fn one_splitter_cuts_one_line_after_the_other() {
        let mut splitter = Splitter::default();
        assert_eq!(split(&mut splitter, "a,b,c"), ["a", "b", "c"]);
        assert_eq!(split(&mut splitter, "\"a,b\",\"c\"\"d\"\r"), ["a,b", "c\"d"]);
        assert!(split(&mut splitter, "").is_empty());
        assert_eq!(split(&mut splitter, ",,"), ["", "", ""]);
        assert_eq!(
            split(&mut splitter, "a,\"b,c"),
            ["a", "b,c"],
            "a quotation mark left open ends with its line"
        );
        assert_eq!(split(&mut splitter, "d"), ["d"]);
    }
}

//! How is a history written down, so that other code can be held against it?
//!
//! As text: each event with its bytes, and what it changed in the lines of the state. `docs/formats/histories.md` describes it.
//!
//! # Invariants
//!
//! * What a [`Writer`] wrote, a [`Parser`] reads. Any other text is refused with the number of the line.
//! * One event and one state are in memory at a time.

use std::fmt::Write as _;

use similar::DiffOp;

use super::difference::compare;
use crate::event::Fingerprint;

/// The first line.
pub(crate) const HEAD: &str = "omnitron history 1";

/// What is written down of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Noted {
    pub(crate) sequence: u64,
    pub(crate) timestamp_ms: u64,
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) payload: Vec<u8>,
}

/// The snapshot that a history begins with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Beginning {
    /// The last event that is in it; 0: there is no snapshot.
    pub(crate) sequence: u64,
    /// The name, the version and the bytes of the state.
    pub(crate) snapshot: Option<(String, u32, Vec<u8>)>,
}

/// Writes a history.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    state: String,
    events: u64,
}

impl Writer {
    /// The beginning, and the state there.
    pub(crate) fn begin(&mut self, out: &mut String, id: &str, of: &str, begin: &Beginning, state: String) {
        // Writing to a text does not fail: here, and below.
        let _ = write!(out, "{HEAD}\nid {}\nentity {}\nbegins {}", escaped(id), escaped(of), begin.sequence);
        if let Some((name, version, bytes)) = &begin.snapshot {
            let _ = write!(out, " {} {version} {}", word(name), hex(bytes));
        }
        out.push('\n');
        self.change(out, state);
    }

    /// An event, and the state behind it.
    pub(crate) fn event(&mut self, out: &mut String, event: &Noted, state: String) {
        let Noted { sequence, timestamp_ms, name, version, fingerprint, payload } = event;
        let fingerprint = fingerprint.map_or_else(|| "-".to_owned(), |it| format!("{:016x}", it.as_u64()));
        let (name, payload) = (word(name), hex(payload));
        let _ = writeln!(out, "event {sequence} {timestamp_ms} {name} {version} {fingerprint} {payload}");
        self.events += 1;
        self.change(out, state);
    }

    /// The end. Without it a history is not whole.
    pub(crate) fn end(&self, out: &mut String) {
        let _ = writeln!(out, "end {}", self.events);
    }

    /// What makes `state` of the one before.
    fn change(&mut self, out: &mut String, state: String) {
        if self.state != state {
            let (old, new): (Vec<_>, Vec<_>) = (lines(&self.state), lines(&state));
            let mut ops = compare(&old, &new);
            // What is not mentioned at the end stays.
            ops.pop_if(|op| matches!(op, DiffOp::Equal { .. }));
            for op in ops {
                let (_, gone, come) = op.as_tag_tuple();
                if let DiffOp::Equal { len, .. } = op {
                    let _ = writeln!(out, "={len}");
                    continue;
                }
                if !gone.is_empty() {
                    let _ = writeln!(out, "-{}", gone.len());
                }
                for line in &new[come] {
                    let _ = writeln!(out, "+{}", escaped(line));
                }
            }
        }
        self.state = state;
    }
}

/// Something in a history, with the state behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Begin { id: String, begin: Beginning },
    Event(Noted),
}

/// What is wrong with a line.
pub(crate) type Malformed = &'static str;

/// Reads a history, line by line.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    stage: Stage,
    id: String,
    /// The step whose changes are being read.
    open: Option<Step>,
    before: Vec<String>,
    after: Vec<String>,
    /// How many lines of `before` were kept or dropped.
    passed: usize,
    events: u64,
}

#[derive(Debug, Default, Eq, PartialEq)]
enum Stage {
    #[default]
    Head,
    Id,
    Entity,
    Begins,
    Events,
    Done,
}

impl Parser {
    /// Reads one line. Returns a step that is whole now.
    pub(crate) fn line(&mut self, line: &str) -> Result<Option<Step>, Malformed> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (&self.stage, kind) {
            (Stage::Head, _) if line == HEAD => self.stage = Stage::Id,
            (Stage::Head, _) => return Err("a history begins with the line `omnitron history 1`"),
            (Stage::Id, "id") => {
                self.id = unescaped(rest)?;
                self.stage = Stage::Entity;
            }
            (Stage::Entity, "entity") => self.stage = Stage::Begins,
            (Stage::Begins, "begins") => {
                let begin = beginning(rest)?;
                self.open = Some(Step::Begin { id: std::mem::take(&mut self.id), begin });
                self.stage = Stage::Events;
            }
            (Stage::Events, "event") => {
                let event = noted(rest)?;
                self.events += 1;
                let whole = self.close();
                self.open = Some(Step::Event(event));
                return Ok(whole);
            }
            (Stage::Events, "end") => {
                if number::<u64>(rest)? != self.events {
                    return Err("there were fewer or more events than this says");
                }
                self.stage = Stage::Done;
                return Ok(self.close());
            }
            (Stage::Events, _) => self.change(line)?,
            (Stage::Done, _) => return Err("nothing comes behind the end"),
            (Stage::Id | Stage::Entity | Stage::Begins, _) => {
                return Err("`id`, `entity` and `begins` come first, in this order");
            }
        }
        Ok(None)
    }

    /// Whether the end was read.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// The state behind the step that was returned last.
    pub(crate) fn state(&self) -> String {
        self.before.join("\n")
    }

    fn close(&mut self) -> Option<Step> {
        let rest = self.before.drain(self.passed..);
        self.after.extend(rest);
        self.before = std::mem::take(&mut self.after);
        self.passed = 0;
        self.open.take()
    }

    fn change(&mut self, line: &str) -> Result<(), Malformed> {
        if let Some(text) = line.strip_prefix('+') {
            self.after.push(unescaped(text)?);
            return Ok(());
        }
        let kept = line.strip_prefix('=');
        let Some(count) = kept.or_else(|| line.strip_prefix('-')) else {
            return Err("a line begins with `event`, `end`, `=`, `-` or `+`");
        };
        let count: usize = number(count)?;
        let end = self.passed.checked_add(count).filter(|&end| end <= self.before.len());
        let Some(end) = end else { return Err("the state before has not so many lines") };
        if kept.is_some() {
            self.after.extend(self.before[self.passed..end].iter().cloned());
        }
        self.passed = end;
        Ok(())
    }
}

fn beginning(rest: &str) -> Result<Beginning, Malformed> {
    let parts: Vec<&str> = rest.split(' ').collect();
    match parts[..] {
        [sequence] => Ok(Beginning { sequence: number(sequence)?, snapshot: None }),
        [sequence, name, version, bytes] => {
            let snapshot = Some((unescaped(name)?, number(version)?, bytes_of(bytes)?));
            Ok(Beginning { sequence: number(sequence)?, snapshot })
        }
        _ => Err(
            "behind `begins` come a sequence and, where it begins with a snapshot, name, version and bytes of the state",
        ),
    }
}

fn noted(rest: &str) -> Result<Noted, Malformed> {
    let parts: Vec<&str> = rest.split(' ').collect();
    let [sequence, timestamp_ms, name, version, fingerprint, payload] = parts[..] else {
        return Err("behind `event` come sequence, time, name, version, fingerprint and bytes");
    };
    let fingerprint = match fingerprint {
        "-" => None,
        other => Some(other.parse().map_err(|_| "a fingerprint has sixteen hexadecimal digits, or is `-`")?),
    };
    Ok(Noted {
        sequence: number(sequence)?,
        timestamp_ms: number(timestamp_ms)?,
        name: unescaped(name)?,
        version: number(version)?,
        fingerprint,
        payload: bytes_of(payload)?,
    })
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, Malformed> {
    text.parse().map_err(|_| "a number is missing, or too large")
}

/// The lines of a state; none of an empty text.
fn lines(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('\n').collect() }
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes_of(text: &str) -> Result<Vec<u8>, Malformed> {
    const BAD: Malformed = "bytes are pairs of hexadecimal digits, or `-`";
    if text == "-" {
        return Ok(Vec::new());
    }
    let digit =
        |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(BAD);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() {
        return Err(BAD);
    }
    pairs.iter().map(|&[high, low]| Ok(digit(high)? << 4 | digit(low)?)).collect()
}

/// A text that stands in one line.
fn escaped(text: &str) -> String {
    escape(text, |c| c == '\\' || c.is_control())
}

/// A text that stands between two blanks.
fn word(text: &str) -> String {
    escape(text, |c| c == '\\' || c.is_control() || c.is_whitespace())
}

fn escape(text: &str, is_special: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if is_special(c) {
            let _ = write!(out, "\\{:x};", u32::from(c));
        } else {
            out.push(c);
        }
        out
    })
}

fn unescaped(text: &str) -> Result<String, Malformed> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, behind)) = rest.split_once('\\') {
        let code = behind.split_once(';').and_then(|(code, behind)| {
            let c = u32::from_str_radix(code, 16).ok().and_then(char::from_u32)?;
            Some((c, behind))
        });
        let Some((c, behind)) = code else {
            return Err("behind a `\\` come the number of a character, in hexadecimal digits, and a `;`");
        };
        out.push_str(before);
        out.push(c);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noted() -> impl Strategy<Value = (Noted, String)> {
        let bytes = prop::collection::vec(any::<u8>(), 0..9);
        let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), prop::option::of(any::<u64>()));
        let state = "[ab\\\\\n\r=+-]{0,12}";
        ("\\PC{0,9}", bytes, numbers, state).prop_map(|(name, payload, numbers, state)| {
            let (sequence, timestamp_ms, version, fingerprint) = numbers;
            let fingerprint = fingerprint.map(Fingerprint::from_u64);
            (Noted { sequence, timestamp_ms, name, version, fingerprint, payload }, state)
        })
    }

    #[test]
    fn what_changed_stands_below_each_event() {
        let mut writer = Writer::default();
        let mut out = String::new();
        let begin = Beginning { sequence: 0, snapshot: None };
        writer.begin(&mut out, "a b", "Account", &begin, "S {\n  cents: 0,\n}".to_owned());
        let event = Noted {
            sequence: 1,
            timestamp_ms: 9,
            name: "account.deposited".to_owned(),
            version: 2,
            fingerprint: Some(Fingerprint::from_u64(0xab)),
            payload: vec![1, 0xff],
        };
        writer.event(&mut out, &event, "S {\n  cents: 5,\n}".to_owned());
        writer.end(&mut out);
        let expected = "omnitron history 1\nid a b\nentity Account\nbegins 0\n+S {\n+  cents: 0,\n+}\n\
            event 1 9 account.deposited 2 00000000000000ab 01ff\n=1\n-1\n+  cents: 5,\nend 1\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn what_is_no_history_is_refused() {
        let good = format!("{HEAD}\nid a\nentity E\nbegins 0\n+x\nevent 1 1 n 1 - -\n=1\nend 1");
        let read = |text: &str| {
            let mut parser = Parser::default();
            text.lines().try_for_each(|line| parser.line(line).map(drop)).map(|()| parser.is_done())
        };
        assert_eq!(read(&good), Ok(true));
        for (from, to) in [
            ("omnitron history 1", "omnitron history 2"),
            ("id a", "di a"),
            ("begins 0", "begins"),
            ("begins 0", "begins 5 balance 1"),
            ("begins 0", "begins 5 balance 1 abc"),
            ("=1", "=2"),
            ("=1", "?1"),
            ("=1", "=18446744073709551615"),
            ("+x", "+\\x;"),
            ("- -", "xy -"),
            ("- -", "- 0g"),
            ("- -", "-"),
            ("end 1", "end 2"),
            ("end 1", "end 1\nend 1"),
        ] {
            assert!(read(&good.replace(from, to)).is_err(), "{from} → {to}");
        }
        assert_eq!(read(good.trim_end_matches("end 1")), Ok(false));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(
            id in "\\PC{1,9}",
            begins in "[ab\n]{0,9}",
            snapshot in prop::option::of(("\\PC{1,9}", any::<u32>(), prop::collection::vec(any::<u8>(), 0..9))),
            events in prop::collection::vec(noted(), 0..9),
        ) {
            let (mut writer, mut out) = (Writer::default(), String::new());
            let sequence = if snapshot.is_some() { 7 } else { 0 };
            let begin = Beginning { sequence, snapshot };
            writer.begin(&mut out, &id, "E", &begin, begins.clone());
            for (event, state) in &events {
                writer.event(&mut out, event, state.clone());
            }
            writer.end(&mut out);
            let mut parser = Parser::default();
            let mut steps = Vec::new();
            for line in out.split_terminator('\n') {
                if let Some(step) = parser.line(line).unwrap() {
                    steps.push((step, parser.state()));
                }
            }
            prop_assert!(parser.is_done());
            let first = std::iter::once((Step::Begin { id, begin }, begins));
            let expected: Vec<_> =
                first.chain(events.into_iter().map(|(event, state)| (Step::Event(event), state))).collect();
            prop_assert_eq!(steps, expected);
        }

        #[test]
        fn no_text_makes_the_parser_panic(lines in prop::collection::vec("(event|end|begins|=|-|\\+)? ?[0-9a-z\\\\;]{0,9}", 0..9)) {
            let mut parser = Parser { stage: Stage::Events, ..Parser::default() };
            for line in lines {
                drop(parser.line(&line));
            }
        }
    }
}

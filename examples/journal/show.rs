//! How does an event look to people, and to programs?

use std::fmt::Write as _;
use std::io::Write;

use omnitron_persistence::backend::log::Inspection;
use omnitron_persistence::backend::log::inspect::{Kind, Located};
use serde_json::json;

use crate::Outcome;

/// The events of one id, with their bytes.
pub(crate) fn one(journal: &Inspection, id: &str, out: &mut impl Write) -> Outcome {
    let mut any = false;
    let healthy = each(journal, &mut |Located { recorded, file, offset }| {
        if recorded.id.as_str() != id {
            return Ok(());
        }
        any = true;
        let event = &recorded.event;
        let (sequence, time, size) = (recorded.sequence, utc(event.timestamp_ms), event.payload.len());
        writeln!(
            out,
            "{sequence}  {time}  {} v{}  {size} bytes  ({file}, byte {offset})",
            event.name, event.version
        )?;
        bytes(&event.payload, out)
    })?;
    if any { Ok(healthy) } else { Err(format!("no event of `{id}` is here: `list` shows the ids").into()) }
}

/// Every event as a line of JSON.
pub(crate) fn all(journal: &Inspection, out: &mut impl Write) -> Outcome {
    each(journal, &mut |Located { recorded, file, offset }| {
        let event = &recorded.event;
        let line = json!({
            "id": recorded.id.as_str(), "sequence": recorded.sequence.get(), "slice": recorded.slice.get(),
            "ordinal": recorded.ordinal.get(), "time_ms": event.timestamp_ms, "name": event.name, "version": event.version,
            "tags": event.tags, "payload": hex(&event.payload), "metadata": hex(&event.metadata),
            "file": file, "offset": offset,
        });
        writeln!(out, "{line}")
    })
}

/// Gives each intact event to `act`. Whether nothing was damaged.
fn each(journal: &Inspection, act: &mut dyn FnMut(Located) -> std::io::Result<()>) -> Outcome {
    let mut healthy = true;
    for found in journal.events() {
        match found {
            Ok(event) => act(event)?,
            Err(finding) => {
                healthy &= finding.kind == Kind::Note;
                crate::warn(&[finding]);
            }
        }
    }
    Ok(healthy)
}

/// Sixteen bytes a line: where, in hexadecimal, as ASCII.
fn bytes(bytes: &[u8], out: &mut impl Write) -> std::io::Result<()> {
    for (n, line) in bytes.chunks(16).enumerate() {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let visible =
            |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let text: String = line.iter().map(visible).collect();
        writeln!(out, "    {:06x}  {:<47}  {text}", n * 16, digits.join(" "))?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

/// Milliseconds since 1970 as a date and a time in UTC.
fn utc(timestamp_ms: u64) -> String {
    let (days, ms) = (timestamp_ms / 86_400_000, timestamp_ms % 86_400_000);
    // Years are counted from March, so that the day that comes and goes is the last one; 400 years have 146,097 days.
    let from_march_of_0 = days + 719_468;
    let (era, day) = (from_march_of_0 / 146_097, from_march_of_0 % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

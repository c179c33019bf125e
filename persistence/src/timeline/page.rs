//! How does a history look in a browser?
//!
//! As one page that needs nothing else: no script, style, font or picture from anywhere, and it says so to the browser, which refuses all but the two it
//! carries. Without scripts it is a list with everything below it.
//!
//! # Invariants
//!
//! * Every text that is not of this file is escaped.

use std::fmt::Write as _;

use super::difference::{Change, Difference};
use super::point::{Moment, iso};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// SHA-256 of the two: `openssl dgst -sha256 -binary FILE | base64`. With another one a browser refuses them; the test with a browser notices.
const STYLE_SUM: &str = "rihghIRx1a9AkitqilMivroU5YxVwQ3Ph4b7LvWiMs0=";
const SCRIPT_SUM: &str = "BUZDeQ4ID4SSdr2oCC+T0g2Vyo61mVzFrH2ZkIKe/yM=";
/// What stands at the top.
pub(crate) struct Head<'a> {
    pub(crate) id: &'a str,
    /// The type of the entity.
    pub(crate) of: &'a str,
    /// From where it is known, and which part of it is on the page.
    pub(crate) extent: &'a str,
}

/// One event, and what it did.
pub(crate) struct Entry<'a> {
    pub(crate) moment: &'a Moment,
    pub(crate) event: &'a str,
    pub(crate) difference: &'a Difference,
    pub(crate) state: &'a str,
    /// Where the page opens.
    pub(crate) start: bool,
}

/// Everything before the list.
pub(crate) fn head(out: &mut String, head: &Head<'_>) {
    let (id, of, extent) = (escaped(head.id), escaped(head.of), escaped(head.extent));
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    // Writing to a text does not fail: here, and below.
    let _ = writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{STYLE_SUM}'; \
         script-src 'sha256-{SCRIPT_SUM}'; base-uri 'none'; form-action 'none'\">"
    );
    let _ = writeln!(
        out,
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{id}</title>\n<style>{STYLE}</style></head>\n<body>\n\
         <header><h1>{id}</h1><p>{of} · {extent}</p><p class=\"keys\"><kbd>↑</kbd> <kbd>↓</kbd> one event, <kbd>PgUp</kbd> \
         <kbd>PgDn</kbd> ten, <kbd>Home</kbd> <kbd>End</kbd></p></header>\n<main><ol id=\"events\">"
    );
}

/// Its line in the list.
pub(crate) fn line(out: &mut String, entry: &Entry<'_>) {
    let Moment { sequence, at, event, version, cause, trace } = entry.moment;
    let start = if entry.start { " data-start" } else { "" };
    let _ = write!(
        out,
        "<li><a href=\"#e{sequence}\"{start}><span class=\"n\">{sequence}</span> <b>{}</b> <small>v{version} · <time>{}</time>",
        escaped(event),
        iso(*at),
    );
    if let Some(cause) = cause {
        let _ = write!(out, " · caused by {}", escaped(&cause.to_string()));
    }
    if let Some(trace) = trace {
        let _ = write!(out, " · trace {:032x}", trace.trace_id());
    }
    out.push_str("</small></a></li>\n");
}

/// What stands between the list and what it leads to.
pub(crate) fn middle(out: &mut String) {
    out.push_str("</ol>\n<div id=\"states\">\n");
}

/// What its line leads to.
pub(crate) fn section(out: &mut String, entry: &Entry<'_>) {
    let Moment { sequence, at, event, version, cause, .. } = entry.moment;
    let cause = cause.as_ref().map(|cause| format!(", caused by {cause}")).unwrap_or_default();
    let _ = write!(
        out,
        "<section id=\"e{sequence}\"><h2>{sequence} · {} v{version}</h2><time>{}</time>{}\n<h3>Event</h3><pre>{}</pre>\n\
         <h3>Change</h3><pre>",
        escaped(event),
        iso(*at),
        escaped(&cause),
        escaped(entry.event),
    );
    if entry.difference.is_empty() {
        out.push_str("none");
    }
    for (number, group) in entry.difference.groups().iter().enumerate() {
        if number > 0 {
            out.push_str("<span>…</span>");
        }
        for (change, text) in group {
            let (class, mark) = match change {
                Change::Same => ("same", ' '),
                Change::Removed => ("del", '-'),
                Change::Added => ("add", '+'),
            };
            let _ = write!(out, "<span class=\"{class}\">{mark}{}</span>", escaped(text));
        }
    }
    let _ = writeln!(out, "</pre>\n<h3>State after it</h3><pre>{}</pre></section>", escaped(entry.state));
}

/// Everything behind.
pub(crate) fn tail(out: &mut String) {
    let _ = write!(out, "</div></main>\n<script>{SCRIPT}</script>\n</body></html>\n");
}

/// A text as a page may hold it. What controls how text is shown is shown itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            // These turn the direction of what follows round.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(out, "{}", character.escape_unicode());
            }
            other if other.is_control() => {
                let _ = write!(out, "{}", other.escape_unicode());
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_place() {
        assert_eq!(escaped("</pre><script>\"'&"), "&lt;/pre&gt;&lt;script&gt;&quot;&#39;&amp;");
        assert_eq!(escaped("a\0b\r\n\u{202e}c"), "a\\u{0}b\\u{d}\n\\u{202e}c");
    }

    #[test]
    fn neither_style_nor_script_can_end_early() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !SCRIPT.contains("fetch"));
    }
}

//! What of a Rust file is code, and not a comment, a literal or a test?
//!
//! A few states are enough, because the rules look for words and lines and never for meaning. Always true: the
//! result has the same lines as the text, so a line number holds in both.

/// `text` with comments and the contents of literals blanked out.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_blank(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts `at` ends; `at` itself when none starts there.
fn end_of_blank(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match (chars[at], next) {
        ('/', Some('/')) => position(chars, at, |c| c == '\n'),
        ('/', Some('*')) => end_of_block_comment(chars, at),
        ('"', _) => end_of_string(chars, at),
        ('r', Some('"' | '#')) if !follows_a_word(chars, at) => end_of_raw_string(chars, at),
        ('\'', Some('\\')) => position(chars, at + 3, |c| c == '\'') + 1,
        ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 3, // anything else is a lifetime
        _ => at,
    }
}

fn position(chars: &[char], from: usize, found: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|&at| found(chars[at])).unwrap_or(chars.len())
}

fn end_of_block_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 1;
    let mut at = at + 2;
    while at < chars.len() && depth > 0 {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at.min(chars.len())
}

fn end_of_string(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn end_of_raw_string(chars: &[char], at: usize) -> usize {
    let open = position(chars, at + 1, |c| c != '#');
    if chars.get(open) != Some(&'"') {
        return at; // a raw identifier
    }
    let hashes = open - at - 1;
    (open + 1..chars.len())
        .find(|&quote| chars[quote] == '"' && (1..=hashes).all(|n| chars.get(quote + n) == Some(&'#')))
        .map_or(chars.len(), |quote| quote + 1 + hashes)
}

/// Whether the `r` belongs to an identifier. The prefixes of `br"…"` and `cr"…"` are no identifiers.
fn follows_a_word(chars: &[char], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).map(|at| chars[at]);
    match before(1) {
        Some('b' | 'c') => before(2).is_some_and(is_word),
        other => other.is_some_and(is_word),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `code` up to its inline test module, if it has one.
pub(crate) fn without_tests(code: &str) -> &str {
    let end = code.match_indices("#[cfg(").find(|&(at, _)| {
        let Some((attribute, mut rest)) = code[at..].split_once(']') else { return false };
        while let Some((_, after)) =
            rest.trim_start().strip_prefix("#[").and_then(|rest| rest.split_once(']'))
        {
            rest = after;
        }
        let opens = rest
            .trim_start()
            .strip_prefix("mod ")
            .and_then(|rest| rest.find(['{', ';']).map(|at| &rest[at..]));
        has_word(attribute, "test") && opens.is_some_and(|rest| rest.starts_with('{'))
    });
    end.map_or(code, |(at, _)| &code[..at])
}

/// The places of `pattern` in `code` where it is not a part of a longer word.
pub(crate) fn words<'a>(code: &'a str, pattern: &'a str) -> impl Iterator<Item = usize> + 'a {
    let open_ended = !pattern.ends_with(is_word);
    code.match_indices(pattern).map(|(at, _)| at).filter(move |&at| {
        !code[..at].ends_with(is_word) && (open_ended || !code[at + pattern.len()..].starts_with(is_word))
    })
}

pub(crate) fn has_word(code: &str, pattern: &str) -> bool {
    words(code, pattern).next().is_some()
}

/// The number of the line that holds the byte `at`, counted from 1.
pub(crate) fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let text = "let a = \"tokio \\\" x\"; // tokio\n/* a /* b */\ntokio */ let r = r#\"tokio \" \"#;\nlet b = b\"tokio\";";
        let code = code(text);
        assert!(!code.contains("tokio"), "{code}");
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(code.contains("let a =") && code.contains("let r =") && code.contains("let b ="));
    }

    #[test]
    fn a_quote_in_a_character_opens_no_string_and_a_lifetime_no_character() {
        let code = code("fn f<'a>(x: &'a str) { g('\"', '\\'', '\\u{22}'); tokio() } // no");
        assert!(code.contains("tokio()") && code.contains("&'a str") && !code.contains("no"), "{code}");
    }

    #[test]
    fn the_inline_test_module_is_cut_off_and_a_declared_one_is_not() {
        assert_eq!(without_tests("a\n#[cfg(test)]\n#[rustfmt::skip]\nmod tests { b }"), "a\n");
        assert_eq!(without_tests("#[cfg(test)]\nmod tests;\na"), "#[cfg(test)]\nmod tests;\na");
        assert_eq!(without_tests("#[cfg(test)]\nuse x;\na"), "#[cfg(test)]\nuse x;\na");
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        assert!(has_word("use tokio::sync;", "tokio") && has_word("async move", "async"));
        assert!(!has_word("use my_tokio; tokio_util", "tokio") && !has_word("operand::x", "rand::"));
    }
}

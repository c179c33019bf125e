//! How is a state shown?
//!
//! As its `Debug` prints it, over several lines. What others wrote runs here: it may panic or never end, so it is caught, and cut.

use std::fmt::{self, Debug, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::panic_text;

/// The most bytes of a state that is shown: 1 MiB.
pub(crate) const MAX_TEXT_BYTES: usize = 1 << 20;

/// A text that takes no more than so much.
struct Bounded {
    text: String,
    room: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.room {
            self.room -= text.len();
            self.text.push_str(text);
            return Ok(());
        }
        let cut = (0..=self.room).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        self.text.push_str(&text[..cut]);
        self.room = 0;
        Err(fmt::Error)
    }
}

/// The value over several lines, cut after [`MAX_TEXT_BYTES`].
pub(crate) fn pretty(value: &impl Debug) -> String {
    bounded(format_args!("{value:#?}"), MAX_TEXT_BYTES)
}

/// The value over several lines, cut after so many bytes.
pub(crate) fn pretty_within(value: &impl Debug, most: usize) -> String {
    bounded(format_args!("{value:#?}"), most)
}

fn bounded(value: fmt::Arguments<'_>, most: usize) -> String {
    let mut out = Bounded { text: String::new(), room: most };
    let ended = catch_unwind(AssertUnwindSafe(|| out.write_fmt(value)));
    let mut text = out.text;
    let said = match ended {
        Ok(Ok(())) => return text,
        Ok(Err(_)) if out.room == 0 => format!("… cut after {most} bytes"),
        Ok(Err(_)) => "… `Debug` failed".to_owned(),
        Err(panic) => format!("… `Debug` panicked: {}", panic_text(&*panic)),
    };
    text.push('\n');
    text.push_str(&said);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bad;

    impl Debug for Bad {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            panic!("no more")
        }
    }

    struct Endless;

    impl Debug for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("ä漢")?;
            }
        }
    }

    #[test]
    fn a_value_is_shown_over_several_lines() {
        assert_eq!(pretty(&Some(1)), "Some(\n    1,\n)");
    }

    #[test]
    fn what_never_ends_is_cut_between_two_characters() {
        let text = pretty(&Endless);
        assert!(text.ends_with("cut after 1048576 bytes"), "{}", &text[text.len() - 60..]);
        assert!(text.len() <= MAX_TEXT_BYTES + 40);
        assert_eq!(pretty_within(&"abcdef", 4), "\"abc\n… cut after 4 bytes");
    }

    #[test]
    fn what_panics_is_shown_up_to_there() {
        assert_eq!(pretty(&Bad), "half\n… `Debug` panicked: no more");
    }
}

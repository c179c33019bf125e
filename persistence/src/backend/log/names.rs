//! Which names of events were read before?
//!
//! A program has few types of events, and reads millions of events of each. The first names that are read are kept for good, so that an event
//! that has one of them takes no memory for it. What comes beyond that many is held by each event, as it was read.
//!
//! # Invariants
//!
//! * At most [`KEPT`] names are kept, whatever is read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use parking_lot::RwLock;

/// How many names are kept, of at most 255 bytes each.
const KEPT: usize = 1024;

static NAMES: Names = Names { kept: RwLock::new(BTreeSet::new()) };

struct Names {
    kept: RwLock<BTreeSet<&'static str>>,
}

/// The name `text`. `before` is the one read before, which is often the same.
pub(crate) fn name(text: &str, before: Option<&Cow<'static, str>>) -> Cow<'static, str> {
    NAMES.name(text, before)
}

impl Names {
    fn name(&self, text: &str, before: Option<&Cow<'static, str>>) -> Cow<'static, str> {
        if let Some(Cow::Borrowed(same)) = before
            && *same == text
        {
            return Cow::Borrowed(same);
        }
        if let Some(kept) = self.kept.read().get(text) {
            return Cow::Borrowed(kept);
        }
        let mut all = self.kept.write();
        match all.get(text) {
            Some(kept) => Cow::Borrowed(kept),
            None if all.len() >= KEPT => Cow::Owned(text.to_owned()),
            None => {
                let kept: &'static str = Box::leak(text.into());
                all.insert(kept);
                Cow::Borrowed(kept)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_was_read_and_the_first_ones_are_kept_once() {
        let names = Names { kept: RwLock::default() };
        let first = names.name("account.opened", None);
        let (again, behind) =
            (names.name("account.opened", None), names.name("account.opened", Some(&first)));
        assert!(first.as_ptr() == again.as_ptr() && first.as_ptr() == behind.as_ptr());
        for n in 0..2 * KEPT {
            assert_eq!(names.name(&format!("name-{n}"), Some(&first)), format!("name-{n}"));
        }
        assert_eq!(names.kept.read().len(), KEPT);
        assert!(matches!(names.name("one more", Some(&first)), Cow::Owned(_)));
    }
}

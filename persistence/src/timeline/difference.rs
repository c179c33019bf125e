//! In what do two states differ?
//!
//! In the lines of their texts. Texts of the same lines give no difference; what stays the same is shown for three lines around a change.

use std::fmt;

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

/// How many lines of context a change has.
const CONTEXT: usize = 3;
/// A comparison takes up to (lines that differ before) times (lines that differ after) steps. Beyond so many, all of the one is said to have gone and all of
/// the other to have come.
const MOST_STEPS: usize = 4_000_000;

/// What became of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It is there before and after.
    Same,
    /// It is there before only.
    Removed,
    /// It is there after only.
    Added,
}

/// The difference between two texts, line by line. Its `Display` is what `diff -u` prints, without a head.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Difference {
    /// Changes that are near to each other, with what is around them.
    groups: Vec<Vec<(Change, String)>>,
}

impl Difference {
    /// What makes `after` of `before`.
    pub fn between(before: &str, after: &str) -> Self {
        if before == after {
            return Self::default();
        }
        let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
        let line = |change, text: &str| (change, text.to_owned());
        let group = |ops: Vec<DiffOp>| {
            let lines = ops.into_iter().flat_map(|op| {
                let (_, from, to) = op.as_tag_tuple();
                let same = matches!(op, DiffOp::Equal { .. });
                let gone = old[from]
                    .iter()
                    .map(move |&text| line(if same { Change::Same } else { Change::Removed }, text));
                let come =
                    new[if same { 0..0 } else { to }].iter().map(move |&text| line(Change::Added, text));
                gone.chain(come).collect::<Vec<_>>()
            });
            lines.collect()
        };
        let groups = group_diff_ops(compare(&old, &new), CONTEXT).into_iter().map(group).collect();
        Self { groups }
    }

    /// Whether the texts are the same, line by line.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The lines that differ and those around them, in order.
    pub fn lines(&self) -> impl Iterator<Item = (Change, &str)> {
        self.groups.iter().flatten().map(|(change, text)| (*change, text.as_str()))
    }

    /// The lines in groups: between two of them, lines that are the same are left out.
    pub(crate) fn groups(&self) -> &[Vec<(Change, String)>] {
        &self.groups
    }
}

/// What is to be done to the lines of `old`.
pub(crate) fn compare(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let (gone, come) = (old_rest.len() - tail, new_rest.len() - tail);
    if gone.saturating_mul(come) <= MOST_STEPS {
        return capture_diff_slices(Algorithm::Myers, old, new);
    }
    let equal = |old_index, new_index, len| DiffOp::Equal { old_index, new_index, len };
    let all = DiffOp::Replace { old_index: head, old_len: gone, new_index: head, new_len: come };
    let ops = [equal(0, 0, head), all, equal(head + gone, head + come, tail)];
    ops.into_iter().filter(|op| !matches!(op, DiffOp::Equal { len: 0, .. })).collect()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, group) in self.groups.iter().enumerate() {
            if number > 0 {
                writeln!(f, " …")?;
            }
            for (change, text) in group {
                let mark = match change {
                    Change::Same => ' ',
                    Change::Removed => '-',
                    Change::Added => '+',
                };
                writeln!(f, "{mark}{text}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_changed_line_goes_and_comes_between_those_around_it() {
        let (before, after) = ("a\nb\nc\nd\ne\nf\ng\nh\ni", "a\nb\nc\nd\nE\nf\ng\nh\ni");
        let difference = Difference::between(before, after);
        assert_eq!(difference.to_string(), " b\n c\n d\n-e\n+E\n f\n g\n h\n");
        assert!(Difference::between(before, before).is_empty());
    }

    #[test]
    fn what_is_far_apart_is_in_two_groups() {
        let text = |first: &str, last: &str| format!("{first}\n{}{last}", "same\n".repeat(20));
        let difference = Difference::between(&text("a", "z"), &text("A", "Z"));
        assert_eq!(difference.groups().len(), 2);
        assert!(difference.to_string().contains("\n …\n"));
    }

    #[test]
    fn what_would_take_too_long_is_replaced_as_a_whole() {
        let text = |word: &str| {
            let lines: Vec<_> = (0..3_000).map(|n| format!("{word} {n}")).collect();
            format!("head\n{}\ntail", lines.join("\n"))
        };
        let difference = Difference::between(&text("a"), &text("b"));
        let count = |change| difference.lines().filter(|(it, _)| *it == change).count();
        assert_eq!((count(Change::Removed), count(Change::Added), count(Change::Same)), (3_000, 3_000, 2));
    }

    proptest! {
        #[test]
        fn what_is_added_and_removed_leads_from_one_to_the_other(
            before in prop::collection::vec("[a-c]", 0..12),
            after in prop::collection::vec("[a-c]", 0..12),
        ) {
            let difference = Difference::between(&before.join("\n"), &after.join("\n"));
            let sorted = |lines: &[String], change| {
                let mut lines = lines.to_vec();
                lines.extend(difference.lines().filter(|(it, _)| *it == change).map(|(_, text)| text.to_owned()));
                lines.sort_unstable();
                lines
            };
            prop_assert_eq!(sorted(&before, Change::Added), sorted(&after, Change::Removed));
            prop_assert_eq!(difference.is_empty(), before == after);
        }
    }
}

//! What do the rounds of one contestant in one workload say together?

use crate::workloads::{Unit, Workload};

/// The figures of all rounds, or why there are none.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who.
    pub contestant: &'static str,
    /// Sorted.
    figures: Result<Vec<f64>, String>,
}

impl Entry {
    /// No rounds yet.
    pub fn new(contestant: &'static str) -> Self {
        Self { contestant, figures: Ok(Vec::new()) }
    }

    /// Whether a further round makes sense.
    pub fn takes_part(&self) -> bool {
        self.figures.is_ok()
    }

    /// Takes one round. A failure ends the entry: whoever loses messages once has no figure.
    pub fn add(&mut self, figure: Result<f64, String>) {
        match (figure, &mut self.figures) {
            (Ok(figure), Ok(figures)) => {
                figures.push(figure);
                figures.sort_by(f64::total_cmp);
            }
            (Err(reason), figures) => *figures = Err(reason),
            (Ok(_), Err(_)) => {}
        }
    }

    /// Median, smallest and largest.
    pub fn summary(&self) -> Option<Summary> {
        let figures = self.figures.as_ref().ok()?;
        Some(Summary {
            median: *figures.get(figures.len() / 2)?,
            min: *figures.first()?,
            max: *figures.last()?,
        })
    }

    /// Why there is no figure.
    pub fn reason(&self) -> Option<&str> {
        self.figures.as_ref().err().map(String::as_str)
    }
}

/// What is shown of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// The middle one.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// One workload and all who ran it.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub workload: &'static Workload,
    /// In the order in which contestants are shown.
    pub entries: Vec<Entry>,
}

impl Row {
    /// The median divided by that of `raw`. Allocations have none: they are often zero.
    pub fn ratio(&self, entry: &Entry) -> Option<f64> {
        if self.workload.unit == Unit::Allocations {
            return None;
        }
        let raw = self.entries.iter().find(|entry| entry.contestant == "raw")?.summary()?.median;
        (raw > 0.0).then(|| entry.summary().map(|summary| summary.median / raw)).flatten()
    }
}

/// A figure with the digits that its unit deserves.
pub fn show(unit: Unit, figure: f64) -> String {
    match unit {
        Unit::Bytes => format!("{figure:.0}"),
        Unit::MillionsPerSecond if figure < 1.0 => format!("{figure:.3}"),
        Unit::MillionsPerSecond | Unit::Allocations => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads;

    #[test]
    fn a_summary_is_the_middle_the_smallest_and_the_largest() {
        let mut entry = Entry::new("raw");
        assert!(entry.summary().is_none());
        for figure in [3.0, 1.0, 9.0] {
            entry.add(Ok(figure));
        }
        let summary = entry.summary().expect("three rounds");
        assert_eq!(
            [summary.median, summary.min, summary.max].map(|it| show(Unit::Bytes, it)),
            ["3", "1", "9"]
        );
    }

    #[test]
    fn one_failure_leaves_no_figure_and_no_ratio() {
        let (mut raw, mut other) = (Entry::new("raw"), Entry::new("omnitron"));
        raw.add(Ok(2.0));
        other.add(Ok(1.0));
        let row = Row { workload: &workloads::ALL[0], entries: vec![raw.clone(), other.clone()] };
        assert_eq!(row.ratio(&row.entries[1]).map(|ratio| format!("{ratio:.1}")).as_deref(), Some("0.5"));
        raw.add(Err("lost".to_owned()));
        raw.add(Ok(2.0));
        assert_eq!(raw.reason(), Some("lost"));
        let row = Row { workload: &workloads::ALL[0], entries: vec![raw, other] };
        assert!(row.ratio(&row.entries[1]).is_none());
    }
}

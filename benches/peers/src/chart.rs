//! How does it look? Small panels, one per workload, a bar per contestant, on a logarithmic axis that all panels of one
//! unit share.

use std::fmt::Write as _;

use crate::figures::{Row, show};
use crate::workloads::Unit;

const COLUMNS: usize = 3;
const PANEL: f64 = 470.0;
const MARGIN: f64 = 24.0;
const HEAD: f64 = 78.0;
const TITLE: f64 = 44.0;
const BAR: f64 = 19.0;
const NAMES: f64 = 76.0;
const LABELS: f64 = 128.0;

/// The chart of all rows as a picture. Allocations, which are often none, have no logarithm and are left to the table.
pub fn svg(rows: &[Row]) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.workload.unit != Unit::Allocations).collect();
    let tallest = rows.iter().map(|row| row.entries.len()).max().unwrap_or(0);
    let panel_height = TITLE + BAR * tallest as f64 + 40.0;
    let width = MARGIN * 2.0 + PANEL * COLUMNS as f64;
    let height = HEAD + panel_height * rows.len().div_ceil(COLUMNS) as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN}\" y=\"34\" font-size=\"20\" font-weight=\"bold\">Omnitron beside its peers</text>\n\
         <text x=\"{MARGIN}\" y=\"56\" fill=\"#555555\">Medians, lines from the smallest to the largest, logarithmic; \
         million operations in a second, longer is better; bytes, shorter is better. × raw: the ratio to a tokio task \
         that reads a channel.</text>\n"
    );
    for (index, row) in rows.iter().enumerate() {
        let x = MARGIN + PANEL * (index % COLUMNS) as f64;
        let y = HEAD + panel_height * (index / COLUMNS) as f64;
        let axis = Axis::over(rows.iter().filter(|other| other.workload.unit == row.workload.unit).copied());
        panel(&mut text, row, axis, x, y);
    }
    text.push_str("</svg>\n");
    text
}

fn panel(text: &mut String, row: &Row, axis: Axis, x: f64, y: f64) {
    let (left, top) = (x + NAMES, y + TITLE);
    let bottom = top + BAR * row.entries.len() as f64;
    let _ = write!(
        text,
        "<text x=\"{x}\" y=\"{:.0}\" font-size=\"14\" font-weight=\"bold\">{} <tspan font-weight=\"normal\" \
         fill=\"#555555\">{}</tspan></text>\n<text x=\"{x}\" y=\"{:.0}\" font-size=\"11\" fill=\"#555555\">{}</text>\n",
        y + 16.0,
        row.workload.name,
        row.workload.unit.name(),
        y + 32.0,
        row.workload.about,
    );
    for decade in axis.decades() {
        let at = left + axis.at(decade);
        let _ = write!(
            text,
            "<line x1=\"{at:.1}\" y1=\"{top:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\" stroke=\"#dddddd\"/>\n\
             <text x=\"{at:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#888888\" text-anchor=\"middle\">{decade}</text>\n",
            bottom + 13.0,
        );
    }
    for (index, entry) in row.entries.iter().enumerate() {
        let line = top + BAR * index as f64;
        let base = line + BAR - 6.0;
        let weight = if entry.contestant == "omnitron" { "bold" } else { "normal" };
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>",
            left - 6.0,
            entry.contestant,
        );
        let Some(summary) = entry.summary() else {
            let reason = entry.reason().unwrap_or_default();
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{base:.1}\" font-size=\"11\" fill=\"#888888\">– {}</text>",
                left + 4.0,
                reason.replace('&', "&amp;").replace('<', "&lt;"),
            );
            continue;
        };
        let [median, min, max] = [summary.median, summary.min, summary.max].map(|figure| axis.at(figure));
        let middle = line + BAR / 2.0;
        let ratio = row.ratio(entry).map(|ratio| format!(" ({ratio:.2} × raw)")).unwrap_or_default();
        let _ = write!(
            text,
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{median:.1}\" height=\"{:.1}\" fill=\"{}\"/>\n\
             <line x1=\"{:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\" stroke=\"#222222\"/>\n\
             <text x=\"{:.1}\" y=\"{base:.1}\" font-size=\"11\" font-weight=\"{weight}\">{}{ratio}</text>\n",
            line + 2.5,
            BAR - 5.0,
            colour(entry.contestant),
            left + min,
            left + max,
            left + median.max(max) + 5.0,
            show(row.workload.unit, summary.median),
        );
    }
}

fn colour(contestant: &str) -> &'static str {
    match contestant {
        "omnitron" => "#d1495b",
        "raw" => "#444444",
        _ => "#8fb1cc",
    }
}

/// From one power of ten to another.
#[derive(Clone, Copy)]
struct Axis {
    from: i32,
    to: i32,
}

impl Axis {
    /// Wide enough for all figures of these rows.
    fn over<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let entries = rows.flat_map(|row| &row.entries);
        let (mut least, mut most) = (f64::MAX, 0.0_f64);
        for summary in entries.filter_map(crate::figures::Entry::summary).filter(|it| it.min > 0.0) {
            least = least.min(summary.min);
            most = most.max(summary.max);
        }
        if most <= 0.0 {
            return Self { from: 0, to: 1 };
        }
        let power = |figure: f64| (-9..=12).rev().find(|power| 10_f64.powi(*power) <= figure).unwrap_or(-9);
        let from = power(least);
        let to = power(most) + 1;
        Self { from, to }
    }

    fn decades(self) -> impl Iterator<Item = f64> {
        (self.from..=self.to).map(|power| 10_f64.powi(power))
    }

    /// How far to the right.
    fn at(self, figure: f64) -> f64 {
        let share = (figure.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        share.clamp(0.0, 1.0) * (PANEL - NAMES - LABELS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Entry;
    use crate::workloads;

    #[test]
    fn an_axis_covers_all_figures_and_ends_at_powers_of_ten() {
        let mut entry = Entry::new("raw");
        entry.add(Ok(0.3));
        entry.add(Ok(42.0));
        let row = Row { workload: &workloads::ALL[0], entries: vec![entry, Entry::new("xtra")] };
        let axis = Axis::over([&row].into_iter());
        assert_eq!((axis.from, axis.to), (-1, 2));
        assert!(axis.at(0.3) > 0.0 && axis.at(0.3) < axis.at(42.0));
        assert_eq!(svg(&[row]).matches("<rect").count(), 2, "the background and one bar");
    }
}

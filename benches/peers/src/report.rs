//! How is a row written: for the eye, and for a program?

use std::fmt::Write as _;

use crate::figures::{Entry, Row, show};

/// The row as a block of lines.
pub fn block(row: &Row) -> String {
    let unit = row.workload.unit;
    let mut text = format!("\n{}, {}: {}\n", row.workload.name, unit.name(), row.workload.about);
    for entry in &row.entries {
        let line = match (entry.summary(), entry.reason()) {
            (Some(summary), _) => format!(
                "{:>10}  {:<24}{}",
                show(unit, summary.median),
                format!("({}–{})", show(unit, summary.min), show(unit, summary.max)),
                row.ratio(entry).map(|ratio| format!("{ratio:>6.2} × raw")).unwrap_or_default(),
            ),
            (None, reason) => format!("{:>10}  {}", "–", reason.unwrap_or("not run")),
        };
        let _ = writeln!(text, "  {:<10}{}", entry.contestant, line.trim_end());
    }
    text
}

/// All rows as comma-separated values, a line per contestant and workload.
pub fn csv(rows: &[Row], rounds: usize) -> String {
    let mut text = String::from("workload,contestant,unit,median,min,max,ratio_to_raw,rounds,note\n");
    for row in rows {
        for entry in &row.entries {
            let _ = writeln!(
                text,
                "{},{},{},{},{rounds},{}",
                row.workload.name,
                entry.contestant,
                row.workload.unit.name(),
                numbers(row, entry),
                entry.reason().unwrap_or_default().replace(',', ";"),
            );
        }
    }
    text
}

fn numbers(row: &Row, entry: &Entry) -> String {
    let Some(summary) = entry.summary() else { return ",,,".to_owned() };
    let [median, min, max] =
        [summary.median, summary.min, summary.max].map(|figure| show(row.workload.unit, figure));
    let ratio = row.ratio(entry).map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
    format!("{median},{min},{max},{ratio}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads;

    #[test]
    fn a_contestant_without_a_figure_has_a_dash_and_a_reason() {
        let (mut raw, mut other) = (Entry::new("raw"), Entry::new("ractor"));
        raw.add(Ok(10.0));
        other.add(Err("has none, sorry".to_owned()));
        let row = Row { workload: &workloads::ALL[1], entries: vec![raw, other] };
        assert!(block(&row).contains("ractor"), "{}", block(&row));
        assert!(block(&row).contains("–  has none, sorry"), "{}", block(&row));
        let csv = csv(&[row], 1);
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[1], "tell-1-to-1-bounded,raw,million/s,10.00,10.00,10.00,1.000,1,");
        assert_eq!(lines[2], "tell-1-to-1-bounded,ractor,million/s,,,,,1,has none; sorry");
        assert!(lines.iter().all(|line| line.matches(',').count() == 8));
    }
}

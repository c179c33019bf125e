//! Does the table in `docs/metrics.md` say what a recorder gets, and nothing else?

use std::collections::BTreeMap;

use omnitron::Metrics;

use crate::recorder::Described;
use crate::{Job, SECOND, shop, worker};

/// A row of the table: what is described, and the labels.
type Row = (Described, Vec<String>);

/// The rows that begin with a name in backticks.
fn rows() -> BTreeMap<String, Row> {
    let page = include_str!("../../docs/metrics.md");
    let bare = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<String> = line.trim_matches('|').split('|').map(bare).collect();
        let [name, kind, unit, label, help] = &cells[..] else { panic!("not five columns: {line}") };
        let kind = if kind == "counter" { "counter" } else { "gauge" };
        let described = Described { kind, unit: unit.clone(), help: help.clone() };
        let labels = [label.as_str(), "system"].into_iter().filter(|label| !label.is_empty());
        let row = (described, labels.map(str::to_owned).collect());
        assert_eq!(rows.insert(name.clone(), row), None, "{name} stands there twice");
    }
    rows
}

#[test]
fn every_row_of_the_table_is_recorded_as_it_says_and_nothing_else_is() {
    shop(Metrics::every(SECOND), async |sim, seen, system| {
        system.spawn("worker", worker()).unwrap().tell(Job::Nothing).unwrap();
        sim.env().sleep(SECOND * 2).await;
        let described = seen.described();
        let mut recorded = BTreeMap::new();
        for key in seen.keys() {
            let (name, labels) = key.trim_end_matches('}').split_once('{').unwrap();
            let labels = labels.split(',').map(|label| label.split_once('=').unwrap().0.to_owned()).collect();
            let described = described.get(name).unwrap_or_else(|| panic!("{name} is not described")).clone();
            recorded.insert(name.to_owned(), (described, labels));
        }
        assert_eq!(recorded, rows());
        assert_eq!(described.len(), recorded.len(), "described and never recorded: {described:?}");
    });
}

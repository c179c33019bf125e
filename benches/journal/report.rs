//! What do the figures of all rounds say, and which targets are reached?

use super::figures::Figures;

/// What a figure of a contestant has to be.
pub(crate) type Target = (&'static str, &'static str, Bound);

/// In terms of medians.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// At least so many times the same figure of raw.
    TimesRaw(f64),
}

/// Prints a workload: a line per contestant and figure, and a line per target.
pub(crate) fn report(workload: &str, all: &[(&str, Vec<Figures>)], targets: &[Target]) {
    println!("\n{workload}");
    let median_of = |contestant: &str, figure: &str| {
        let runs = &all.iter().find(|(name, _)| *name == contestant)?.1;
        sorted(runs, figure).map(|values| values[values.len() / 2])
    };
    for (contestant, runs) in all {
        let names = runs.first().map(|run| run.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
        for (n, name) in names.unwrap_or_default().into_iter().enumerate() {
            let Some(values) = sorted(runs, name) else { continue };
            let (low, median, high) = (values[0], values[values.len() / 2], values[values.len() - 1]);
            let ratio = median_of("raw", name).map(|raw| format!("{:.2} × raw", median / raw));
            let shown = format!("{} ({}–{})", short(median), short(low), short(high));
            let contestant = if n == 0 { contestant } else { "" };
            println!("  {contestant:<8} {name:<24} {shown:>32} {:>12}", ratio.unwrap_or_default());
        }
    }
    for (contestant, figure, bound) in targets {
        let (Some(seen), raw) = (median_of(contestant, figure), median_of("raw", figure)) else { continue };
        let (is_reached, wanted) = match *bound {
            Bound::AtLeast(least) => (seen >= least, format!("≥ {}", short(least))),
            Bound::AtMost(most) => (seen <= most, format!("≤ {}", short(most))),
            Bound::TimesRaw(times) => {
                (raw.is_some_and(|raw| seen >= raw * times), format!("≥ {times} × raw"))
            }
        };
        let word = if is_reached { "reached" } else { "MISSED" };
        println!("  target: {contestant}, {figure} {wanted}: {word}");
    }
}

fn sorted(runs: &[Figures], figure: &str) -> Option<Vec<f64>> {
    let value = |run: &Figures| run.0.iter().find(|(name, _)| name == figure).map(|(_, value)| *value);
    let mut values: Vec<f64> = runs.iter().filter_map(value).collect();
    values.sort_by(f64::total_cmp);
    if values.is_empty() { None } else { Some(values) }
}

/// Three digits that say something.
fn short(value: f64) -> String {
    match value {
        10_000_000.0.. => format!("{:.1}M", value / 1e6),
        1_000_000.0.. => format!("{:.2}M", value / 1e6),
        10_000.0.. => format!("{:.0}k", value / 1e3),
        1_000.0.. => format!("{:.1}k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

//! Does this repository keep the rules which the compiler cannot check?
//!
//! Each rule is a pure function from text to findings, in a module of its own, together with a sample that
//! breaks the rule: a rule that nothing can break proves nothing. This file holds each of them
//! against the real tree. A finding says where it is, what is wrong and what to do.

mod guarantees;
mod modules;
mod mutations;
mod prose;
mod readme;
mod rules;
mod source;
mod tree;

use std::fmt::Write as _;

use tree::Tree;

/// Files that decide and never act: no waiting, no clock, no thread-local randomness, no I/O.
/// One that moves is listed under its new path, and one that is missing is a finding.
const PURE: &[&str] = &[
    "persistence/src/backend/log/checkpoint.rs",
    "persistence/src/backend/log/compact.rs",
    "persistence/src/backend/log/filter.rs",
    "persistence/src/backend/log/form.rs",
    "persistence/src/backend/log/format.rs",
    "persistence/src/backend/log/recent.rs",
    "persistence/src/backend/log/record.rs",
    "persistence/src/backend/log/remains.rs",
    "persistence/src/backend/log/scan.rs",
    "persistence/src/backend/log/table.rs",
    "persistence/src/backend/postgres/identity.rs",
    "persistence/src/backend/postgres/memory.rs",
    "persistence/src/backend/postgres/options.rs",
    "persistence/src/backend/postgres/pages.rs",
    "persistence/src/backend/postgres/plan.rs",
    "persistence/src/backend/postgres/rows.rs",
    "persistence/src/backend/postgres/schema.rs",
    "persistence/src/cause.rs",
    "persistence/src/effect.rs",
    "persistence/src/event.rs",
    "persistence/src/event/codec.rs",
    "persistence/src/event/error.rs",
    "persistence/src/event/format.rs",
    "persistence/src/event/shape.rs",
    "persistence/src/event_sourced.rs",
    "persistence/src/evolve.rs",
    "persistence/src/id.rs",
    "persistence/src/join.rs",
    "persistence/src/marks.rs",
    "persistence/src/offset.rs",
    "persistence/src/outbox/sorting.rs",
    "persistence/src/pipeline.rs",
    "persistence/src/post.rs",
    "persistence/src/projection/attempt.rs",
    "persistence/src/recorded.rs",
    "persistence/src/recovery.rs",
    "persistence/src/retention.rs",
    "persistence/src/roster.rs",
    "persistence/src/schema_file/compare.rs",
    "persistence/src/timeline/difference.rs",
    "persistence/src/timeline/history.rs",
    "persistence/src/timeline/marks.rs",
    "persistence/src/timeline/page.rs",
    "persistence/src/timeline/point.rs",
    "persistence/src/timeline/show.rs",
    "persistence/src/timestamp.rs",
    "runtime/src/cron.rs",
    "runtime/src/fence.rs",
    "runtime/src/fence/candidate.rs",
    "runtime/src/health/report.rs",
    "runtime/src/log_limit.rs",
    "runtime/src/mailbox/overflow.rs",
    "runtime/src/metrics/ledger.rs",
    "runtime/src/metrics/names.rs",
    "runtime/src/pace.rs",
    "runtime/src/path.rs",
    "runtime/src/roster.rs",
    "runtime/src/router/hash_ring.rs",
    "runtime/src/router/pick.rs",
    "runtime/src/router/resize.rs",
    "runtime/src/shutdown.rs",
    "runtime/src/slot/word.rs",
    "runtime/src/supervision/backoff.rs",
    "runtime/src/supervision/budget.rs",
    "runtime/src/supervision/strategy.rs",
    "runtime/src/wheel.rs",
];

fn tree() -> Tree {
    let root = env!("CARGO_MANIFEST_DIR");
    Tree::read(root.as_ref()).unwrap_or_else(|error| panic!("cannot read the tree at {root}: {error}"))
}

#[track_caller]
fn expect_none(findings: &[String]) {
    let mut list = String::new();
    for finding in findings {
        let _ = write!(list, "\n  {finding}"); // writing to a String cannot fail
    }
    assert!(findings.is_empty(), "{} finding(s):{list}", findings.len());
}

/// The findings of `rule` in every Rust file.
fn in_every_file(rule: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let tree = tree();
    let files = tree.rust();
    assert!(files.len() > 10, "the walk found {} Rust files, so it looked in the wrong place", files.len());
    files.into_iter().flat_map(|(path, text)| rule(path, text)).collect()
}

#[test]
fn every_file_opens_with_a_module_doc() {
    expect_none(&in_every_file(rules::module_doc));
}

#[test]
fn every_file_is_small_enough_to_be_read_in_one_go() {
    expect_none(&in_every_file(rules::length));
}

#[test]
fn no_type_is_called_a_manager_or_a_helper() {
    expect_none(&in_every_file(rules::names));
}

#[test]
fn every_select_says_that_it_is_biased() {
    expect_none(&in_every_file(rules::select));
}

#[test]
fn examples_are_short() {
    let tree = tree();
    expect_none(
        &tree.rust().into_iter().flat_map(|(path, text)| rules::example(path, text)).collect::<Vec<_>>(),
    );
}

#[test]
fn files_that_decide_do_not_act() {
    let tree = tree();
    let findings: Vec<String> = PURE
        .iter()
        .flat_map(|path| match tree.text(path) {
            Some(text) => rules::purity(path, text),
            None => {
                vec![format!("{path}: listed as pure, but missing: list its new path in tests/tidy/main.rs")]
            }
        })
        .collect();
    expect_none(&findings);
}

#[test]
fn no_file_is_left_out_of_its_module_tree() {
    expect_none(&modules::orphans(&tree().rust()));
}

#[test]
fn every_guarantee_names_a_test_that_exists() {
    let tree = tree();
    let text = tree.text("docs/guarantees.md").expect("docs/guarantees.md holds the numbered promises");
    expect_none(&guarantees::unproved(text, &tree.rust()));
}

#[test]
fn every_mutation_still_fits_the_code_it_breaks() {
    let tree = tree();
    let text = tree.text("tests/mutations/list.txt").expect("the list of mutations is checked in");
    expect_none(&mutations::stale(text, |path| tree.text(path)));
}

#[test]
fn no_text_names_a_path_of_one_machine_or_an_empty_promise() {
    let tree = tree();
    expect_none(&tree.texts().flat_map(|(path, text)| prose::findings(path, text)).collect::<Vec<_>>());
}

#[test]
fn every_relative_link_leads_somewhere() {
    let tree = tree();
    let pages = tree.texts().filter(|(path, _)| tree::has_extension(path, "md"));
    expect_none(
        &pages.flat_map(|(path, text)| prose::dead_links(path, text, |to| tree.has(to))).collect::<Vec<_>>(),
    );
}

#[test]
fn the_first_screen_of_the_readme_is_true() {
    let tree = tree();
    let text = |path: &str| tree.text(path).unwrap_or_else(|| panic!("{path} is missing")).to_owned();
    let mut findings = readme::first_screen(&text("README.md"), &text("examples/hello.rs"));
    findings.extend(readme::gate(&text(".ci/run")));
    findings.extend(readme::examples(&text("README.md"), &tree.rust()));
    expect_none(&findings);
}

//! Histories as files.

use std::path::PathBuf;
use std::sync::Arc;

use omnitron_persistence::disk::Disk;
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::timeline::ExportError;
use omnitron_persistence::{Effect, EventSourced, Scope};

use crate::world::{AccountEvent, Pen, deposited, folder, withdrawn};

fn disk() -> (Sim, Arc<dyn Disk>) {
    let sim = Sim::new(1);
    (sim.clone(), Arc::new(sim))
}

#[tokio::test]
async fn the_json_holds_every_event_and_the_state_behind_it() {
    let pen = Pen::with([deposited(5), withdrawn(2, "\"tea\"")]);
    let mut past = pen.open().await.unwrap();
    let (sim, disk) = disk();
    past.export_json_to(&disk, "a.json").await.unwrap();
    assert_eq!(past.sequence().get(), 0);
    let json: serde_json::Value = serde_json::from_slice(&sim.contents()["a.json"]).unwrap();
    assert_eq!((&json["format"], &json["id"]), (&"omnitron history 1".into(), &"account-42".into()));
    assert_eq!(json["known_from"], 0);
    let expected = serde_json::json!([
        {"sequence": 1, "at": "1970-01-01T00:00:01.000Z", "at_nanos": 1_000_000_000_u64, "type": "account.deposited", "version": 1,
         "event": {"Deposited": {"cents": 5}}, "state": {"cents": 5, "events": 1, "note": ""}},
        {"sequence": 2, "at": "1970-01-01T00:00:02.000Z", "at_nanos": 2_000_000_000_u64, "type": "account.withdrawn", "version": 1,
         "event": {"Withdrawn": {"cents": 2, "note": "\"tea\""}}, "state": {"cents": 3, "events": 2, "note": "\"tea\""}},
    ]);
    assert_eq!(json["events"], expected);
}

#[tokio::test]
async fn a_full_disk_leaves_what_was_there_and_no_part_of_what_was_to_come() {
    let pen = Pen::with((20..3_000).map(deposited));
    let mut past = pen.open().await.unwrap();
    let (sim, disk) = disk();
    past.rewind_to(2).await.unwrap();
    let show = |event: &AccountEvent| format!("{event:?}");
    for limit in [0, 100_000] {
        sim.limit(Some(limit));
        let error = past.export_json_to(&disk, "a.json").await.unwrap_err();
        assert!(
            matches!(&error, ExportError::Unwritten { place, .. } if place.contains("a.json")),
            "{error}"
        );
        let error = past.export_page_to(&disk, "a.html", show).await.unwrap_err();
        assert!(matches!(error, ExportError::Unwritten { .. }), "{error}");
        assert_eq!(sim.contents().keys().collect::<Vec<_>>(), Vec::<&String>::new());
    }
    sim.limit(None);
    past.export_json_to(&disk, "a.json").await.unwrap();
    let whole = sim.contents();
    sim.limit(Some(sim.used()));
    past.export_json_to(&disk, "a.json").await.unwrap_err();
    assert_eq!(sim.contents(), whole);
}

#[tokio::test]
async fn a_history_with_an_event_that_cannot_be_applied_gives_no_file() {
    let pen = Pen::with([1, 13].map(deposited));
    let mut past = pen.open().await.unwrap();
    let (sim, disk) = disk();
    let error = past.export_json_to(&disk, "a.json").await.unwrap_err();
    assert!(matches!(error, ExportError::History(_)), "{error}");
    assert!(sim.contents().is_empty());
}

#[tokio::test]
async fn the_name_says_the_form_and_its_folder_has_to_be_there() {
    let pen = Pen::with([deposited(1)]);
    let mut past = pen.open().await.unwrap();
    let folder = folder("export");
    for name in ["a", "a.txt", "a.JSON"] {
        let error = past.export(folder.join(name)).await.unwrap_err();
        assert!(matches!(error, ExportError::UnknownForm { .. }), "{error}");
    }
    let missing: PathBuf = folder.join("missing/a.json");
    let error = past.export(&missing).await.unwrap_err();
    assert!(matches!(error, ExportError::Unwritten { .. }), "{error}");
    assert!(!folder.join("missing").exists());
    past.export(folder.join("a.json")).await.unwrap();
    past.export(folder.join("a.html")).await.unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.html", "a.json"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn of_a_long_history_a_page_holds_a_thousand_events_around_the_place() {
    let pen = Pen::with((0..5_000).map(|_| deposited(1)));
    let mut past = pen.open().await.unwrap();
    past.rewind_to(2_000).await.unwrap();
    let (sim, disk) = disk();
    past.export_page_to(&disk, "a.html", |event| format!("{event:?}")).await.unwrap();
    let page = String::from_utf8(sim.contents()["a.html"].clone()).unwrap();
    assert_eq!(page.matches("<section ").count(), 1_000);
    assert!(page.contains("events 1501 to 2500 of 5000, known from its beginning"));
    assert!(page.contains("<a href=\"#e2000\" data-start>"));
    // What the first of them has changed is known as well.
    let first = page.split("<section id=\"e1501\">").nth(1).unwrap();
    assert!(first.contains("<span class=\"del\">-    cents: 1500,</span>"), "{}", &first[..600]);
}

/// JSON has no keys that are no texts.
#[derive(Default, Debug, serde::Serialize)]
struct Pairs(std::collections::BTreeMap<(u8, u8), u8>);

struct Odd;

impl EventSourced for Odd {
    type Command = ();
    type Event = AccountEvent;
    type State = Pairs;

    fn handle(&self, _: &Pairs, (): (), _: &Scope<Self>) -> Effect<Self> {
        Effect::none()
    }

    fn apply(state: &mut Pairs, _: &AccountEvent) {
        state.0.insert((1, 2), 3);
    }
}

#[tokio::test]
async fn a_state_that_json_cannot_hold_is_an_error_that_names_the_event() {
    let pen = Pen::with([deposited(1)]);
    let mut past = pen.opening::<Odd>().await.unwrap();
    let (sim, disk) = disk();
    let error = past.export_json_to(&disk, "a.json").await.unwrap_err();
    assert!(error.to_string().contains("event 1 of `account-42`"), "{error}");
    assert!(sim.contents().is_empty());
}

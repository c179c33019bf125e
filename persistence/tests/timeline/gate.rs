//! Recorded histories against new code.

use std::path::Path;
use std::sync::Arc;

use omnitron_persistence::disk::Disk;
use omnitron_persistence::disk::sim::Sim;
use omnitron_persistence::testkit::{GateError, ReplayGate};
use omnitron_persistence::{Effect, Event, EventSourced, NewEvent, Scope};

use crate::world::{Account, Balance, Charging, Pen, change, deposited, folder, withdrawn};

/// Code that has lost a type of events.
#[derive(Debug, Event)]
#[event(name = "account")]
enum Fewer {
    Deposited { cents: u64 },
}

struct Forgetful;

impl EventSourced for Forgetful {
    type Command = ();
    type Event = Fewer;
    type State = Balance;

    fn handle(&self, _: &Balance, (): (), _: &Scope<Self>) -> Effect<Self> {
        Effect::none()
    }

    fn apply(state: &mut Balance, Fewer::Deposited { cents }: &Fewer) {
        change(state, &deposited(*cents));
    }
}

async fn record(pen: &Pen, file: &Path) {
    pen.opening::<Account>().snapshots().await.unwrap().record(file).await.unwrap();
}

fn text(name: &str) -> String {
    std::fs::read_to_string(name).unwrap()
}

fn only<T: std::fmt::Debug>(result: Result<T, omnitron_persistence::testkit::GateFailures>) -> GateError {
    let mut failures = result.unwrap_err();
    assert_eq!(failures.0.len(), 1, "{failures}");
    failures.0.remove(0)
}

#[tokio::test]
async fn code_that_makes_the_same_states_passes_and_other_code_is_told_the_first_event() {
    let folder = folder("gate");
    record(&Pen::with([deposited(10), withdrawn(1, "a\\b\r"), withdrawn(1, "c")]), &folder.join("a.history"))
        .await;
    record(&Pen::with([deposited(10), deposited(5)]), &folder.join("b.history")).await;
    let passed = ReplayGate::<Account>::new().check(&folder).unwrap();
    assert_eq!((passed.histories, passed.events), (2, 5));

    let error = only(ReplayGate::<Charging>::new().check(&folder));
    let GateError::Diverged { place, id, sequence, event, difference } = &error else { panic!("{error}") };
    assert!(place.ends_with("a.history"), "{place}");
    assert_eq!((id.as_str(), sequence.get(), &**event), ("account-42", 2, "`account.withdrawn` version 1"));
    assert!(difference.to_string().contains("-    cents: 9,\n+    cents: 8,\n"), "{difference}");

    let error = only(ReplayGate::<Forgetful>::new().check(&folder));
    assert!(matches!(&error, GateError::Undecodable { sequence, .. } if sequence.get() == 2), "{error}");
    record(&Pen::with([deposited(7)]), &folder.join("c.history")).await;
    let error = only(ReplayGate::<Charging>::new().check(folder.join("c.history")));
    assert!(
        matches!(&error, GateError::ApplyPanicked { panic, .. } if panic.contains("no sevens")),
        "{error}"
    );
    let failures = ReplayGate::<Charging>::new().check(&folder).unwrap_err();
    assert_eq!(failures.0.len(), 2, "{failures}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_history_that_begins_with_a_snapshot_is_replayed_from_it() {
    let folder = folder("gate-snapshot");
    let pen = Pen::with((1..=5).map(deposited));
    pen.snapshot(&Balance { cents: 6, events: 3, note: String::new() }, 3);
    pen.delete_to(3);
    record(&pen, &folder.join("a.history")).await;
    let passed = ReplayGate::<Account>::new().snapshots().check(&folder).unwrap();
    assert_eq!(passed.events, 2);
    let error = only(ReplayGate::<Account>::new().check(&folder));
    assert!(error.to_string().contains("give the gate `.snapshots()`"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_is_no_whole_history_is_refused_with_file_and_line() {
    let folder = folder("gate-bad");
    let error = only(ReplayGate::<Account>::new().check(&folder));
    assert!(matches!(error, GateError::Nothing { .. }), "{error}");
    let error = only(ReplayGate::<Account>::new().check(folder.join("missing")));
    assert!(matches!(error, GateError::Unread { .. }), "{error}");

    let file = folder.join("a.history");
    record(&Pen::with([deposited(10), withdrawn(1, "a")]), &file).await;
    let whole = text(file.to_str().unwrap());
    let refused = |text: &str| {
        std::fs::write(&file, text).unwrap();
        only(ReplayGate::<Account>::new().check(&folder)).to_string()
    };
    assert!(refused(&whole[..whole.len() - 6]).contains("it was cut"));
    assert!(refused("").contains("it was cut"));
    assert!(refused("a text\n").contains("a.history:1: this is no history"));
    assert!(refused(&whole.replace("event 2", "event 3")).contains("an event is missing"));
    let refusal = refused(&whole.replace("=1\n", "=100\n"));
    assert!(refusal.contains("has not so many lines"), "{refusal}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_full_disk_leaves_no_part_of_a_history() {
    let mut pen = Pen::with([deposited(1)]);
    pen.write_raw(NewEvent::new("account.deposited", vec![1, 2]));
    let sim = Sim::new(1);
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let mut past = pen.open().await.unwrap();
    past.record_to(&disk, "a.history").await.unwrap_err();
    assert!(sim.contents().is_empty());
    let pen = Pen::with([deposited(1)]);
    sim.limit(Some(10));
    pen.open().await.unwrap().record_to(&disk, "a.history").await.unwrap_err();
    assert!(sim.contents().is_empty());
}

/// What was recorded once stays readable, as `docs/formats/histories.md` has it.
#[test]
fn a_history_of_the_first_version_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/histories");
    assert_eq!(ReplayGate::<Account>::new().check(folder).unwrap().events, 2);
}

/// The test process of [`a_difference_that_is_meant_is_written_into_the_files`] has the variable set.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn writes_anew() {
    let folder = std::env::var("OMNITRON_TEST_FOLDER").unwrap();
    ReplayGate::<Charging>::new().assert(folder);
}

#[tokio::test]
async fn a_difference_that_is_meant_is_written_into_the_files() {
    let folder = folder("gate-overwrite");
    record(&Pen::with([deposited(10), withdrawn(1, "a")]), &folder.join("a.history")).await;
    let before = text(folder.join("a.history").to_str().unwrap());
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--ignored", "--exact", "gate::writes_anew"]);
    again.env("OMNITRON_HISTORIES", "overwrite").env("OMNITRON_TEST_FOLDER", &folder);
    let output = again.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let after = text(folder.join("a.history").to_str().unwrap());
    assert_eq!(after.lines().filter(|line| !before.contains(line)).count(), 2, "{after}");
    ReplayGate::<Charging>::new().assert(&folder);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

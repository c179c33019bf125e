//! What if the recorder panics, or is not there, or the choices make no sense?

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use omnitron::Metrics;
use omnitron::prelude::*;
use omnitron::testkit::Sim;
use parking_lot::Mutex;
use tracing_subscriber::util::SubscriberInitExt;

use crate::recorder::Seen;
use crate::{Job, SECOND, expect, shop, worker};

#[test]
fn a_recorder_that_panics_loses_that_value_and_nothing_else_and_later_readings_go_on() {
    let messages = r#"omnitron_messages_total{system="shop"}"#;
    let failures = r#"omnitron_failures_total{system="shop"}"#;
    shop(Metrics::every(SECOND * 2), async |sim, seen, system| {
        let metrics = system.extension::<Metrics>().unwrap();
        let worker = system.spawn("worker", worker()).unwrap();
        assert_eq!(metrics.recorder_panics(), 0);
        seen.panic_at(Some("omnitron_messages_total"));
        worker.tell(Job::Nothing).unwrap();
        worker.tell(Job::Fail).unwrap();
        sim.env().sleep(SECOND * 4).await;
        assert_eq!(metrics.recorder_panics(), 2, "one in each of two readings");
        expect(seen, &[(messages, 0.0), (failures, 1.0)]);
        assert_eq!(system.stats().messages, 2, "the actors work on");

        seen.panic_at(None);
        sim.env().sleep(SECOND * 2).await;
        assert_eq!(metrics.recorder_panics(), 2);
        expect(seen, &[(messages, 2.0), (failures, 1.0)]);

        seen.panic_at(Some("omnitron_actors"));
        let report = system.shutdown().await;
        assert!(report.cause.is_none() && report.unfinished.is_empty(), "{report}");
        assert_eq!(metrics.recorder_panics(), 3, "in the last reading");
    });
}

/// Lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn about_the_recorder(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0.lock()).into_owned();
        text.lines().filter(|line| line.contains("recorder of metrics panicked")).map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_names_a_recorder_that_panics_once_per_minute_and_says_why_and_where() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // As in the test of the log of dead letters: with one subscriber only, other threads may switch a line off.
    let _second = tracing_subscriber::fmt().with_writer(std::io::sink).finish().set_default();
    let _first = subscriber.set_default();
    shop(Metrics::every(SECOND), async |sim, seen, system| {
        sim.env().sleep(SECOND / 2).await;
        seen.panic_at(Some("omnitron_dead_letters_total"));
        sim.env().sleep(SECOND * 60).await;
        let minute = lines.about_the_recorder();
        assert_eq!(minute.len(), 1, "{minute:#?}");
        for part in ["ERROR", "shop", "no room for omnitron_dead_letters_total", "recorder.rs:"] {
            assert!(minute[0].contains(part), "no {part}: {}", minute[0]);
        }
        sim.env().sleep(SECOND).await;
        let all = lines.about_the_recorder();
        assert_eq!(all.len(), 2, "{all:#?}");
        assert!(all[1].contains("suppressed=59"), "{}", all[1]);
        assert_eq!(system.extension::<Metrics>().unwrap().recorder_panics(), 61 * 7, "one for each reason");
    });
}

#[test]
fn without_a_recorder_a_system_works_and_one_that_comes_late_gets_the_totals() {
    let (sim, seen) = (Sim::new(1), Seen::default());
    let builder = ActorSystem::builder("shop").env(sim.env()).extension(Metrics::default());
    let system = sim.block_on(builder.start()).unwrap();
    system.spawn("worker", worker()).unwrap().tell(Job::Nothing).unwrap();
    sim.advance(SECOND * 60);
    metrics::with_local_recorder(&seen, || sim.advance(SECOND * 5));
    expect(&seen, &[(r#"omnitron_messages_total{system="shop"}"#, 1.0)]);
    assert!(seen.described().contains_key("omnitron_actors"));
    sim.block_on(system.shutdown());
}

#[test]
fn an_interval_of_zero_is_a_short_one_and_one_without_end_reads_first_and_last() {
    let actors = r#"omnitron_actors{system="shop"}"#;
    shop(Metrics::every(Duration::ZERO), async |sim, seen, system| {
        // Half-way between two readings.
        sim.env().sleep(Metrics::SHORTEST_INTERVAL / 2).await;
        let before = seen.all(actors).len();
        sim.env().sleep(Metrics::SHORTEST_INTERVAL * 7).await;
        assert_eq!(seen.all(actors).len() - before, 7);
        system.shutdown().await;
    });
    shop(Metrics::every(Duration::MAX), async |sim, seen, system| {
        sim.env().sleep(SECOND * 100_000).await;
        assert_eq!(seen.all(actors).len(), 1);
        system.shutdown().await;
        assert_eq!(seen.all(actors).len(), 2);
    });
}

#[test]
fn a_limit_of_no_groups_puts_all_actors_together() {
    shop(Metrics::every(SECOND).groups(0), async |sim, seen, system| {
        let _workers = ["a", "b"].map(|name| system.spawn(name, worker()).unwrap());
        sim.env().sleep(SECOND * 2).await;
        expect(seen, &[(r#"omnitron_group_actors{group="other",system="shop"}"#, 2.0)]);
    });
}

#[test]
fn a_second_one_is_refused_and_the_error_says_what_to_do() {
    let sim = Sim::new(1);
    let builder = ActorSystem::builder("shop").env(sim.env());
    let twice = builder.extension(Metrics::default()).extension(Metrics::default());
    let error = sim.block_on(twice.start()).unwrap_err();
    assert!(matches!(&error, StartError::Extension { name, .. } if name == "metrics"), "{error:?}");
    assert!(error.to_string().contains("add one"), "{error}");
}

#[test]
fn a_shutdown_without_a_budget_is_over_at_once() {
    let (sim, seen) = (Sim::new(1), Seen::default());
    metrics::with_local_recorder(&seen, || {
        sim.block_on(async {
            let builder = ActorSystem::builder("shop").env(sim.env()).shutdown_budget(Duration::ZERO);
            let system = builder.extension(Metrics::default()).start().await.unwrap();
            let begun = sim.now();
            system.shutdown().await;
            assert_eq!(sim.now(), begun);
        });
    });
}

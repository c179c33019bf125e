//! Do extensions start before the actors and go down with them, phase by phase?

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use omnitron::{ExtensionFuture, SystemBuilder};

use crate::{Diary, Job, ms, unfinished, worker};

/// Writes down when it is told what.
struct Part {
    name: &'static str,
    diary: Diary,
    trouble: Trouble,
}

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    FailsToStart,
    PanicsAtStart,
    HangsIn(Phase),
    PanicsIn(Phase),
}

impl Part {
    fn new(name: &'static str, diary: &Diary, trouble: Trouble) -> Self {
        Self { name, diary: diary.clone(), trouble }
    }
}

impl Extension for Part {
    fn name(&self) -> &str {
        self.name
    }

    fn start<'a>(&'a self, system: &'a ActorSystem) -> ExtensionFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            self.diary.note(format!("{} starts", self.name));
            let early = system.spawn("early", worker(&self.diary));
            assert!(early.is_err(), "no actor starts before the extensions have");
            assert!(self.trouble != Trouble::PanicsAtStart, "no hardware");
            if self.trouble == Trouble::FailsToStart { Err(Failure::msg("no licence")) } else { Ok(()) }
        })
    }

    fn stop<'a>(&'a self, phase: Phase, system: &'a ActorSystem) -> ExtensionFuture<'a, ()> {
        Box::pin(async move {
            self.diary.note(format!("{} {phase:?} with {} actors", self.name, system.stats().actors));
            if self.trouble == Trouble::HangsIn(phase) {
                std::future::pending::<()>().await;
            }
            assert!(self.trouble != Trouble::PanicsIn(phase), "trouble in {phase:?}");
        })
    }
}

fn builder(sim: &Sim) -> SystemBuilder {
    ActorSystem::builder("test").env(sim.env()).shutdown_budget(Duration::from_secs(10))
}

#[test]
fn extensions_start_in_order_and_are_told_of_each_phase_the_last_started_first() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = builder(&sim)
            .extension(Part::new("a", &diary, Trouble::None))
            .extension(Part::new("b", &diary, Trouble::None))
            .start()
            .await
            .unwrap();
        assert_eq!(system.extension::<Part>().unwrap().name, "a", "the first of its type");
        let actor = system.spawn("worker", worker(&diary)).unwrap();
        actor.tell(Job::Busy(ms(1))).unwrap();
        actor.tell(Job::Note("handled")).unwrap();
        let report = system.shutdown().await;
        assert_eq!(unfinished(&report), [""; 0]);
    });
    assert_eq!(
        diary.read(),
        [
            "a starts",
            "b starts",
            "b StopAccepting with 1 actors",
            "a StopAccepting with 1 actors",
            "b Drain with 1 actors",
            "a Drain with 1 actors",
            "handled",
            "b StopActors with 1 actors",
            "a StopActors with 1 actors",
            "/user/worker stopped",
            "b Kill with 0 actors",
            "a Kill with 0 actors",
            "b Close with 0 actors",
            "a Close with 0 actors",
        ]
    );
}

#[test]
fn an_extension_that_does_not_start_is_named_and_those_before_it_are_stopped_again() {
    for (trouble, said) in
        [(Trouble::FailsToStart, "no licence"), (Trouble::PanicsAtStart, "panicked: no hardware")]
    {
        let sim = Sim::new(1);
        let diary = Diary::default();
        let error = sim.block_on(async {
            builder(&sim)
                .extension(Part::new("a", &diary, Trouble::None))
                .extension(Part::new("b", &diary, trouble))
                .extension(Part::new("c", &diary, Trouble::None))
                .start()
                .await
                .unwrap_err()
        });
        let StartError::Extension { name, reason } = &error else { panic!("{error:?}") };
        assert_eq!((name.as_str(), reason.as_str()), ("b", said));
        assert!(error.to_string().contains("`b`") && error.to_string().contains(said), "{error}");
        let phases = Phase::ALL.map(|phase| format!("a {phase:?} with 0 actors"));
        let mut expected = vec!["a starts".to_owned(), "b starts".to_owned()];
        expected.extend(phases);
        assert_eq!(diary.read(), expected);
    }
}

#[test]
fn an_extension_that_hangs_is_dropped_with_its_phase_and_the_shutdown_goes_on() {
    for phase in Phase::ALL {
        let sim = Sim::new(1);
        let diary = Diary::default();
        sim.block_on(async {
            let system = builder(&sim)
                .extension(Part::new("a", &diary, Trouble::None))
                .extension(Part::new("b", &diary, Trouble::HangsIn(phase)))
                .start()
                .await
                .unwrap();
            system.spawn("worker", worker(&diary)).unwrap().tell(Job::Busy(ms(1))).unwrap();
            let report = system.shutdown().await;
            assert!(report.took <= Duration::from_secs(10), "{phase:?}: {:?}", report.took);
        });
        let diary = diary.read();
        assert!(diary.last().unwrap().starts_with("a Close"), "{phase:?}: {diary:#?}");
        assert!(diary.iter().any(|line| line == "/user/worker stopped"), "{phase:?}: {diary:#?}");
    }
}

#[test]
fn an_extension_that_panics_keeps_nobody_from_going_down() {
    for phase in Phase::ALL {
        let sim = Sim::new(1);
        let diary = Diary::default();
        sim.block_on(async {
            let system = builder(&sim)
                .extension(Part::new("a", &diary, Trouble::None))
                .extension(Part::new("b", &diary, Trouble::PanicsIn(phase)))
                .start()
                .await
                .unwrap();
            system.spawn("worker", worker(&diary)).unwrap();
            let report = system.shutdown().await;
            assert_eq!(unfinished(&report), [""; 0], "{phase:?}");
        });
        let diary = diary.read();
        assert!(diary.last().unwrap().starts_with("a Close"), "{phase:?}: {diary:#?}");
    }
}

/// Never done with its stop.
struct Hangs;

impl Extension for Hangs {
    fn name(&self) -> &'static str {
        "hangs"
    }

    fn stop<'a>(&'a self, _: Phase, _: &'a ActorSystem) -> ExtensionFuture<'a, ()> {
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_forced_shutdown_does_not_wait_for_an_extension() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let builder = ActorSystem::builder("forced").env(sim.env()).shutdown_budget(Duration::from_secs(100));
        let system = builder.extension(Hangs).start().await.unwrap();
        system.begin_shutdown();
        sim.env().sleep(Duration::from_secs(1)).await;
        system.force_shutdown();
        let report = system.terminated().await;
        assert!(report.took < Duration::from_secs(5), "{report}");
    });
}

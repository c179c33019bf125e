//! What is said of actors that have ended, and of systems that begin and end?

use std::sync::{Arc, Mutex};

use super::*;
use omnitron::{ExtensionFuture, SystemState};

#[test]
fn a_check_outlives_its_actor_and_is_unhealthy_until_it_is_removed() {
    system_of(&[("part", CheckResult::Healthy)], async |_, system, parts| {
        parts[0].stop().await;
        let report = system.health().report(SECOND).await;
        assert_eq!(results(&report), [("part", unhealthy("the actor has ended"))]);
        assert!(!report.is_ready());
        assert!(system.health().remove("part"));
        assert!(system.health().report(SECOND).await.is_ready());
    });
}

#[test]
fn an_actor_that_ends_while_it_is_asked_is_unhealthy_at_once() {
    system_of(&[("part", CheckResult::Healthy)], async |sim, system, parts| {
        parts[0].tell(PartMsg::Busy(SECOND / 2)).unwrap();
        let stop = parts[0].clone();
        let env = sim.env();
        sim.env().spawn(|| "stop".to_owned(), async move {
            env.sleep(SECOND / 4).await;
            stop.stop().await;
        });
        let report = system.health().report(SECOND * 10).await;
        assert_eq!(report.checks[0].result.word(), "unhealthy");
        assert_eq!(report.checks[0].took, SECOND / 2);
    });
}

#[test]
fn a_restarted_actor_registers_its_name_again_and_another_only_after_its_end() {
    system_of(
        &[("part", CheckResult::Healthy), ("other", CheckResult::Healthy)],
        async |sim, system, parts| {
            let health = system.health();
            parts[0].tell(PartMsg::Fail).unwrap();
            sim.env().sleep(SECOND).await;
            assert_eq!((system.stats().restarts, system.stats().failures), (1, 1));
            assert_eq!(health.report(SECOND).await.checks.len(), 2);

            let take = || health.check("part", &parts[1], |reply| PartMsg::Late(SECOND / 2, reply), SECOND);
            let actor = parts[0].path().clone();
            assert_eq!(take(), Err(HealthError::NameTaken { name: "part".to_owned(), actor }));
            assert_eq!(
                results(&health.report(SECOND).await),
                [("other", CheckResult::Healthy), ("part", CheckResult::Healthy)]
            );
            parts[0].stop().await;
            assert_eq!(take(), Ok(()));
            assert_eq!(health.report(SECOND).await.check("part").unwrap().actor, *parts[1].path());
        },
    );
}

#[test]
fn a_system_that_shuts_down_is_live_and_unready_and_a_stopped_one_is_neither() {
    system_of(&[("part", CheckResult::Healthy)], async |sim, system, parts| {
        parts[0].tell(PartMsg::Busy(SECOND)).unwrap();
        sim.env().sleep(SECOND / 4).await;
        system.begin_shutdown();
        let health = system.health();
        let report = health.report(SECOND).await;
        assert_eq!((report.state, report.live, report.is_ready()), (SystemState::ShuttingDown, true, false));
        assert_eq!(results(&report), [("part", unhealthy("the system is shutting down"))]);

        system.shutdown().await;
        let report = health.report(SECOND).await;
        assert_eq!((report.state, report.live, report.is_ready()), (SystemState::Stopped, false, false));
        assert!(report.checks.is_empty());
        assert_eq!(
            report.to_json(),
            r#"{"system":"shop","state":"stopped","live":false,"ready":false,"checks":[]}"#
        );
        let refused = health.check("part", &parts[0], PartMsg::Health, SECOND);
        assert_eq!(refused, Err(HealthError::SystemStopped));
    });
}

#[test]
fn a_system_whose_extensions_still_start_is_not_ready() {
    struct Early(Arc<Mutex<Option<HealthReport>>>);
    impl Extension for Early {
        fn name(&self) -> &'static str {
            "early"
        }
        fn start<'a>(&'a self, system: &'a ActorSystem) -> ExtensionFuture<'a, Result<(), Failure>> {
            Box::pin(async {
                let report = system.health().report(SECOND).await;
                *self.0.lock().unwrap() = Some(report);
                Ok(())
            })
        }
    }
    let sim = Sim::new(1);
    let seen = Arc::new(Mutex::new(None));
    let early = Early(seen.clone());
    sim.block_on(async { ActorSystem::builder("shop").env(sim.env()).extension(early).start().await })
        .unwrap();
    let report = seen.lock().unwrap().take().unwrap();
    assert_eq!((report.state, report.live, report.is_ready()), (SystemState::Starting, true, false));
}

#[test]
fn the_end_of_the_system_lets_go_of_what_its_checks_hold() {
    let held = Arc::new(());
    system_of(&[("part", CheckResult::Healthy)], async |_, system, parts| {
        let inside = held.clone();
        let make = move |reply| {
            let _ = &inside;
            PartMsg::Health(reply)
        };
        system.health().check("second", &parts[0], make, SECOND).unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        system.shutdown().await;
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

#[test]
fn a_system_whose_runtime_is_gone_is_not_live() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (own, other) = (runtime(), runtime());
    let system = own.block_on(async {
        let system = ActorSystem::start("shop").await.unwrap();
        system.spawn("part", part(CheckResult::Healthy)).unwrap();
        system
    });
    assert!(other.block_on(system.health().is_live(SECOND * 10)), "also when asked from elsewhere");
    drop(own);
    let report = other.block_on(system.health().report(SECOND * 10));
    assert!(!report.live && !report.is_ready(), "{report}");
}

//! Does the report say how the actors are, whatever they do?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod ends;

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use omnitron::{CheckResult, Health, HealthError, HealthReport};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

/// An actor that says of itself what it is told to.
struct Part {
    says: CheckResult,
    held: Vec<ReplyTo<CheckResult>>,
}

enum PartMsg {
    Health(ReplyTo<CheckResult>),
    /// Take the question, and never answer.
    Hold(ReplyTo<CheckResult>),
    Drop(ReplyTo<CheckResult>),
    Panic(ReplyTo<CheckResult>),
    /// Answer after so long.
    Late(Duration, ReplyTo<CheckResult>),
    Busy(Duration),
    Fail,
    Report(ReplyTo<HealthReport>),
}

impl Actor for Part {
    type Msg = PartMsg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let name = ctx.name().to_owned();
        ctx.health(&name, PartMsg::Health)?;
        Ok(())
    }

    async fn receive(&mut self, message: PartMsg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            PartMsg::Health(reply) => reply.send(self.says.clone()),
            PartMsg::Hold(reply) => self.held.push(reply),
            PartMsg::Drop(reply) => drop(reply),
            PartMsg::Panic(_reply) => panic!("as told"),
            PartMsg::Late(after, reply) => {
                ctx.env().sleep(after).await;
                reply.send(CheckResult::Healthy);
            }
            PartMsg::Busy(time) => ctx.env().sleep(time).await,
            PartMsg::Fail => return Err(Failure::msg("as told")),
            PartMsg::Report(reply) => reply.send(ctx.system().health().report(SECOND).await),
        }
        Ok(())
    }
}

fn part(says: CheckResult) -> impl Fn() -> Part + Send + 'static {
    move || Part { says: says.clone(), held: Vec::new() }
}

fn degraded(reason: &str) -> CheckResult {
    CheckResult::Degraded(reason.to_owned())
}

fn unhealthy(reason: &str) -> CheckResult {
    CheckResult::Unhealthy(reason.to_owned())
}

/// A system in virtual time, with parts of these names that say so, all of them started.
fn system_of(
    parts: &[(&str, CheckResult)],
    run: impl AsyncFnOnce(&Sim, &ActorSystem, Vec<ActorRef<PartMsg>>),
) {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = ActorSystem::builder("shop").env(sim.env()).start().await.unwrap();
        let spawned =
            parts.iter().map(|(name, says)| system.spawn(name, part(says.clone())).unwrap()).collect();
        sim.env().sleep(SECOND).await;
        run(&sim, &system, spawned).await;
    });
}

fn results(report: &HealthReport) -> Vec<(&str, CheckResult)> {
    report.checks.iter().map(|check| (&*check.name, check.result.clone())).collect()
}

#[test]
fn a_system_without_checks_is_live_and_ready() {
    system_of(&[], async |_, system, _| {
        let report = system.health().report(SECOND).await;
        assert!(report.live && report.is_ready() && report.checks.is_empty());
        assert_eq!(report.to_string(), "shop: running, live, ready");
    });
}

#[test]
fn every_check_is_reported_by_name_with_its_reason_and_one_unhealthy_makes_unready() {
    let parts = [
        ("queue", degraded("half full")),
        ("cache", CheckResult::Healthy),
        ("database", unhealthy("no connection")),
    ];
    system_of(&parts, async |_, system, _| {
        let report = system.health().report(SECOND).await;
        let [cache, database, queue] =
            ["cache", "database", "queue"].map(|name| report.check(name).unwrap().result.clone());
        assert_eq!(
            (cache, database, queue),
            (CheckResult::Healthy, unhealthy("no connection"), degraded("half full"))
        );
        assert!(report.live && !report.is_ready());
        assert_eq!(report.checks[1].actor.as_str(), "/user/database");
        assert!(report.to_string().contains("\n  database: unhealthy after 0ns: no connection"), "{report}");

        assert!(system.health().remove("database") && !system.health().remove("database"));
        let report = system.health().report(SECOND).await;
        assert_eq!(results(&report), [("cache", CheckResult::Healthy), ("queue", degraded("half full"))]);
        assert!(report.is_ready(), "degraded is ready");
    });
}

#[test]
fn an_actor_that_does_not_answer_in_time_is_unhealthy_and_the_deadline_is_named() {
    system_of(&[("part", CheckResult::Healthy)], async |sim, system, parts| {
        let (health, part) = (system.health(), &parts[0]);
        let late = |after| move |reply| PartMsg::Late(after, reply);
        health.check("a holds", part, PartMsg::Hold, SECOND).unwrap();
        health.remove("part");
        let report = health.report(SECOND * 10).await;
        assert_eq!(results(&report), [("a holds", unhealthy("no answer within 1s"))]);
        let took = report.checks[0].took;
        assert!(took >= SECOND && took <= SECOND + Duration::from_millis(20), "{took:?}");

        let just_in_time = Duration::from_millis(980);
        health.check("a holds", part, late(just_in_time), SECOND).unwrap();
        let report = health.report(SECOND * 10).await;
        assert_eq!(results(&report), [("a holds", CheckResult::Healthy)]);
        assert_eq!(report.checks[0].took, just_in_time);

        part.tell(PartMsg::Busy(SECOND * 5)).unwrap();
        sim.env().sleep(SECOND).await;
        let report = health.report(SECOND * 10).await;
        let still = "no answer within 1s: the question is still in the mailbox";
        assert_eq!(results(&report), [("a holds", unhealthy(still))]);
    });
}

#[test]
fn an_actor_that_refuses_to_answer_is_unhealthy_at_once_and_harms_no_other_check() {
    system_of(
        &[("part", CheckResult::Healthy), ("other", CheckResult::Healthy)],
        async |_, system, parts| {
            let (health, part) = (system.health(), &parts[0]);
            health.check("drops", part, PartMsg::Drop, SECOND).unwrap();
            health.check("panics", part, PartMsg::Panic, SECOND).unwrap();
            health.check("unmade", part, |_| panic!("no question"), SECOND).unwrap();
            let report = health.report(SECOND * 10).await;
            let reason = |name| report.check(name).unwrap().result.reason().map(str::to_owned);
            assert_eq!(reason("drops").unwrap(), "the reply was dropped unanswered");
            assert_eq!(reason("panics").unwrap(), "the handler panicked before it replied");
            let unmade = reason("unmade").unwrap();
            assert!(
                unmade.starts_with("the question could not be made") && unmade.contains("no question"),
                "{unmade}"
            );
            assert_eq!(reason("other"), None);
            assert!(report.checks.iter().all(|check| check.took < SECOND));
        },
    );
}

#[test]
fn a_mailbox_without_room_is_unhealthy() {
    system_of(&[], async |sim, system, _| {
        let spawn = Spawn::new(part(CheckResult::Healthy)).mailbox(Mailbox::bounded(1));
        let full = system.spawn("full", spawn).unwrap();
        sim.env().sleep(SECOND).await;
        full.tell(PartMsg::Busy(SECOND * 10)).unwrap();
        let report = system.health().report(SECOND * 10).await;
        assert_eq!(results(&report), [("full", unhealthy("mailbox is full (1 messages)"))]);
    });
}

#[test]
fn checks_run_side_by_side_and_the_limit_of_the_report_bounds_them_all() {
    system_of(&[], async |sim, system, _| {
        for index in 0..50 {
            let slow = system.spawn(&format!("slow-{index}"), part(CheckResult::Healthy)).unwrap();
            sim.env().sleep(Duration::from_millis(1)).await;
            system.health().check(&format!("slow-{index}"), &slow, PartMsg::Hold, SECOND * 3).unwrap();
        }
        for (within, lasts) in [(SECOND * 10, SECOND * 3), (SECOND, SECOND)] {
            let start = sim.now();
            let report = system.health().report(within).await;
            let took = sim.now() - start;
            assert!(took >= lasts && took <= lasts + Duration::from_millis(20), "{took:?}");
            assert_eq!(report.checks.len(), 50);
            let text = format!("no answer within {lasts:?}");
            assert!(report.checks.iter().all(|check| check.result == unhealthy(&text)), "{report}");
        }
    });
}

#[test]
fn a_report_that_is_dropped_half_way_leaves_nothing_behind() {
    system_of(&[("part", CheckResult::Healthy)], async |sim, system, parts| {
        parts[0].tell(PartMsg::Busy(SECOND * 3)).unwrap();
        let health = system.health();
        let report = Box::pin(health.report(SECOND * 10));
        let pause = Box::pin(sim.env().sleep(Duration::from_millis(100)));
        futures_select(report, pause).await;
        sim.env().sleep(SECOND * 3).await;
        assert_eq!(parts[0].depth(), 0);
        assert_eq!(results(&health.report(SECOND).await), [("part", CheckResult::Healthy)]);
    });
}

/// Polls both until the second is ready, and drops them.
async fn futures_select<A, B>(
    mut one: impl Future<Output = A> + Unpin,
    mut two: impl Future<Output = B> + Unpin,
) {
    std::future::poll_fn(|cx| {
        let _ = std::pin::Pin::new(&mut one).poll(cx);
        std::pin::Pin::new(&mut two).poll(cx).map(drop)
    })
    .await;
}

#[test]
fn an_actor_that_reports_in_its_own_handler_cannot_answer_for_itself_and_learns_it_at_once() {
    system_of(
        &[("gateway", CheckResult::Healthy), ("other", CheckResult::Healthy)],
        async |sim, _, parts| {
            let start = sim.now();
            let report = parts[0].ask(PartMsg::Report).await.unwrap();
            assert_eq!(report.check("other").unwrap().result, CheckResult::Healthy);
            let reason = report.check("gateway").unwrap().result.reason().unwrap();
            assert!(reason.starts_with("a cycle of asks"), "{reason}");
            assert_eq!(sim.now(), start);
        },
    );
}

#[test]
fn an_illegal_name_and_a_deadline_of_zero_are_refused_and_change_nothing() {
    system_of(&[("part", CheckResult::Healthy)], async |_, system, parts| {
        let health = system.health();
        for name in ["", "a/b", "$a", "a\nb", &"x".repeat(256)] {
            let refused = health.check(name, &parts[0], PartMsg::Hold, SECOND);
            assert!(matches!(refused, Err(HealthError::IllegalName(_))), "{name:?}: {refused:?}");
        }
        let refused = health.check("part", &parts[0], PartMsg::Hold, Duration::ZERO);
        assert_eq!(refused, Err(HealthError::ZeroDeadline { name: "part".to_owned() }));
        assert_eq!(results(&health.report(SECOND).await), [("part", CheckResult::Healthy)]);
    });
}

#[test]
fn a_deadline_beyond_all_measure_waits_for_the_answer() {
    system_of(&[("part", CheckResult::Healthy)], async |_, system, parts| {
        let late = |reply| PartMsg::Late(SECOND * 1_000, reply);
        system.health().check("part", &parts[0], late, Duration::MAX).unwrap();
        let report = system.health().report(Duration::MAX).await;
        assert_eq!((report.is_ready(), report.checks[0].took), (true, SECOND * 1_000));
        assert_eq!(Health::DEFAULT_DEADLINE, SECOND);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_json_is_valid_and_says_the_same_whatever_the_texts_are(
        reason in "(\\PC|[\u{0}-\u{1f}\"\\\\/]){0,20}",
        name in "[^/$\\x00-\\x1f\\x7f-\\x9f]{1,20}",
    ) {
        system_of(&[(&name, unhealthy(&reason)), ("well", CheckResult::Healthy)], async |_, system, _| {
            let report = system.health().report(SECOND).await;
            let json = report.to_json();
            assert!(!json.contains('\n'));
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(read["system"], "shop");
            assert_eq!(read["state"], "running");
            assert_eq!((&read["live"], &read["ready"]), (&true.into(), &false.into()));
            let check = |name: &str| {
                read["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
            };
            let bad = check(&name);
            assert_eq!(bad["status"], "unhealthy");
            assert_eq!(bad["reason"], reason);
            assert_eq!(bad["actor"], format!("/user/{name}"));
            assert_eq!(bad["took_ms"], 0);
            assert_eq!(check("well")["reason"], serde_json::Value::Null);
        });
    }
}

//! Does an actor written with `#[actor]` do what one written by hand does?
//!
//! Here: what a call on a reference sends, and what becomes of what a method returns. `shapes` has actors of all
//! forms: with parameters, behind a `cfg`, in another module. `ui` has the mistakes, each beside what rustc says.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod shapes;

use std::fmt;
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::{Probe, Sim, Single};

/// Long enough, in virtual time, for everything these tests wait for.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// Runs a test in a simulation, in a system of its own.
pub(crate) fn run<T>(test: impl AsyncFnOnce(ActorSystem) -> T) -> T {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = ActorSystem::builder("test").env(sim.env()).start().await.unwrap();
        test(system).await
    })
}

/// What the actor of these tests is asked in vain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Refused(u64);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is refused", self.0)
    }
}

impl std::error::Error for Refused {}

#[derive(Default)]
struct Counter {
    value: u64,
    started: u64,
    signals: Option<ActorRef<String>>,
}

#[actor]
impl Counter {
    /// Not a message.
    fn counted(&self) -> u64 {
        self.value
    }

    #[tell]
    fn add(&mut self, n: u64) {
        self.value += n;
    }

    #[tell]
    fn reset(&mut self) {
        self.value = 0;
    }

    #[tell]
    fn add_at_most(&mut self, n: u64, limit: u64) -> Result<(), Refused> {
        if n > limit {
            return Err(Refused(n));
        }
        self.value += n;
        Ok(())
    }

    #[tell]
    async fn copy_to(&self, ctx: &mut Context<Self>, other: ActorRef<CounterMsg>) -> Result<(), Failure> {
        ctx.env().sleep(SOON).await;
        other.add(self.value)?;
        Ok(())
    }

    #[ask]
    fn get(&self) -> u64 {
        self.counted()
    }

    #[ask]
    fn flush(&mut self) {
        self.value = 0;
    }

    #[ask]
    fn named(&self, mut prefix: String, ctx: &mut Context<Self>, _suffix: String) -> String {
        prefix.push_str(ctx.name());
        prefix
    }

    #[ask]
    async fn get_of(&self, ctx: &mut Context<Self>, other: ActorRef<CounterMsg>) -> Option<u64> {
        ctx.env().sleep(SOON).await;
        other.get().await.ok()
    }

    #[ask]
    fn take(&mut self, n: u64) -> Result<u64, Refused> {
        self.value = self.value.checked_sub(n).ok_or(Refused(n))?;
        Ok(self.value)
    }

    #[ask(plain)]
    fn may_take(&self, n: u64) -> Result<u64, Refused> {
        self.value.checked_sub(n).ok_or(Refused(n))
    }

    #[ask(fail)]
    fn take_or_fail(&mut self, n: u64) -> Result<u64, Refused> {
        self.take(n)
    }

    #[ask(fail)]
    async fn flush_or_fail(&mut self, ctx: &mut Context<Self>, ok: bool) -> Result<(), Failure> {
        ctx.env().sleep(SOON).await;
        self.flush();
        ok.then_some(()).ok_or_else(|| Failure::msg("on request"))
    }

    #[ask(fail)]
    fn take_both_ways(&mut self, n: u64, ok: bool) -> Result<Result<u64, Refused>, Failure> {
        if ok { Ok(self.take(n)) } else { Err(Failure::msg("on request")) }
    }

    #[ask]
    fn started_times(&self) -> u64 {
        self.started
    }

    #[tell]
    fn watch_for(&mut self, ctx: &mut Context<Self>, who: ActorRef<CounterMsg>, whom: ActorRef<String>) {
        ctx.watch(&who);
        self.signals = Some(whom);
    }

    #[hook]
    async fn started(&mut self, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.started += 1;
        Ok(())
    }

    #[hook]
    async fn signal(&mut self, signal: Signal, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        if let (Signal::Terminated(path), Some(whom)) = (signal, &self.signals) {
            whom.tell(format!("terminated {path}"))?;
        }
        Ok(())
    }

    #[hook]
    async fn pre_restart(&mut self, crash: &Crash, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        if let Some(whom) = &self.signals {
            whom.tell(format!("restarts: {}", crash.reason()))?;
        }
        Ok(())
    }

    #[hook]
    async fn post_restart(&mut self, _crash: &Crash, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.started += 100;
        Ok(())
    }

    #[hook]
    async fn stopped(&mut self, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        if let Some(whom) = &self.signals {
            whom.tell("stopped".to_owned())?;
        }
        Ok(())
    }
}

#[test]
fn a_tell_is_a_method_of_the_reference() {
    run(async |system| {
        let counter = system.spawn("counter", Counter::default).unwrap();
        counter.add(5).unwrap();
        counter.add(2).unwrap();
        assert_eq!(counter.get().await.unwrap(), 7);
        counter.reset().unwrap();
        assert_eq!(counter.get().await.unwrap(), 0);
    });
}

#[test]
fn a_tell_that_is_refused_gives_the_message_back() {
    run(async |system| {
        let counter = system.spawn("counter", Counter::default).unwrap();
        counter.stop().await;
        let Undelivered { message, reason } = counter.add(5).unwrap_err();
        assert!(matches!(message, CounterMsg::Add { n: 5 }));
        assert_eq!(reason, Refusal::Stopped);
    });
}

#[test]
fn the_messages_can_also_be_written_out() {
    let mut counter = Single::new(Counter::default);
    counter.handle(CounterMsg::Add { n: 5 }).unwrap();
    assert_eq!(counter.ask(|reply| CounterMsg::Get { reply }).unwrap(), 5);
    counter.handle(CounterMsg::Reset).unwrap();
    assert_eq!(counter.actor().counted(), 0);
}

#[test]
fn an_ask_has_a_deadline_and_is_a_future_like_any_other() {
    run(async |system| {
        let (one, other) = (
            system.spawn("one", Counter::default).unwrap(),
            system.spawn("other", Counter::default).unwrap(),
        );
        other.add(3).unwrap();
        assert_eq!(one.get_of(other.clone()).within(2 * SOON).await.unwrap(), Some(3));
        let error = one.get_of(other.clone()).within(SOON / 2).await.unwrap_err();
        assert!(matches!(error, AskError::TimedOut { after } if after == SOON / 2), "{error:?}");

        // It does not hold on to the reference it was asked through.
        let question = other.clone().get();
        let (tell, told) = tokio::sync::oneshot::channel();
        system.env().spawn(|| "elsewhere".to_owned(), async move { tell.send(question.await).unwrap() });
        assert_eq!(told.await.unwrap().unwrap(), 3);
    });
}

#[test]
fn an_ask_without_a_value_is_answered_when_it_is_done() {
    run(async |system| {
        let counter = system.spawn("counter", Counter::default).unwrap();
        counter.add(5).unwrap();
        let () = counter.flush().await.unwrap();
        assert_eq!(counter.get().await.unwrap(), 0);
    });
}

#[test]
fn the_context_may_stand_anywhere_among_the_arguments() {
    run(async |system| {
        let counter = system.spawn("counter", Counter::default).unwrap();
        assert_eq!(counter.named("the ".to_owned(), String::new()).await.unwrap(), "the counter");
        let other = system.spawn("other", Counter::default).unwrap();
        counter.add(4).unwrap();
        counter.copy_to(other.clone()).unwrap();
        assert_eq!(counter.get().await.unwrap(), 4);
        assert_eq!(other.get().await.unwrap(), 4);
    });
}

#[test]
fn an_error_in_the_reply_comes_back_and_the_actor_goes_on() {
    run(async |system| {
        let counter = system.spawn("counter", Counter::default).unwrap();
        counter.add(5).unwrap();
        assert_eq!(counter.take(3).await.unwrap(), 2);
        let error = counter.take(3).within(SOON).await.unwrap_err();
        assert!(matches!(error, AskError::Failed(Refused(3))), "{error:?}");
        assert_eq!(counter.started_times().await.unwrap(), 1);
    });
}

#[test]
fn a_plain_ask_replies_with_the_whole_result() {
    run(async |system| {
        let counter = system.spawn("counter", Counter::default).unwrap();
        let reply: Result<Result<u64, Refused>, AskError> = counter.may_take(3).await;
        assert_eq!(reply.unwrap(), Err(Refused(3)));
    });
}

#[test]
fn an_error_of_a_failing_ask_fails_the_actor_and_the_asker_sees_the_loss() {
    run(async |system| {
        let counter = system.spawn("counter", Counter::default).unwrap();
        counter.add(5).unwrap();
        assert_eq!(counter.take_or_fail(3).await.unwrap(), 2);
        let () = counter.flush_or_fail(true).await.unwrap();
        assert_eq!(counter.started_times().await.unwrap(), 1);

        assert!(matches!(counter.take_or_fail(3).await.unwrap_err(), AskError::Abandoned));
        assert_eq!(counter.started_times().await.unwrap(), 100, "the failed one was replaced");
        assert!(matches!(counter.flush_or_fail(false).await.unwrap_err(), AskError::Abandoned));
    });
}

#[test]
fn a_failing_ask_whose_reply_is_a_result_keeps_the_two_errors_apart() {
    run(async |system| {
        let counter = system.spawn("counter", Counter::default).unwrap();
        let error = counter.take_both_ways(1, true).await.unwrap_err();
        assert!(matches!(error, AskError::Failed(Refused(1))), "{error:?}");
        assert_eq!(counter.started_times().await.unwrap(), 1);
        let error = counter.take_both_ways(1, false).await.unwrap_err();
        assert!(matches!(error, AskError::Abandoned), "{error:?}");
        assert_eq!(counter.started_times().await.unwrap(), 100);
    });
}

#[test]
fn an_error_of_a_tell_fails_the_actor() {
    run(async |system| {
        let counter = system.spawn("counter", Counter::default).unwrap();
        counter.add_at_most(5, 5).unwrap();
        assert_eq!(counter.get().await.unwrap(), 5);
        counter.add_at_most(6, 5).unwrap();
        assert_eq!(counter.started_times().await.unwrap(), 100);
        assert_eq!(system.stats().restarts, 1);
    });
}

#[test]
fn every_hook_runs() {
    run(async |system| {
        let mut probe = Probe::new(&system, "probe").unwrap();
        let counter = system.spawn("counter", Counter::default).unwrap();
        let other = system.spawn("other", Counter::default).unwrap();
        assert_eq!(counter.started_times().await.unwrap(), 1, "started");
        counter.watch_for(other.clone(), probe.actor().clone()).unwrap();
        other.stop().await;
        assert_eq!(probe.expect_next(SOON).await, "terminated /user/other");
        counter.add_at_most(2, 1).unwrap();
        assert_eq!(probe.expect_next(SOON).await, "restarts: 2 is refused");
        assert_eq!(counter.started_times().await.unwrap(), 100, "post_restart");
        counter.watch_for(other, probe.actor().clone()).unwrap();
        assert_eq!(probe.expect_next(SOON).await, "terminated /user/other");
        counter.stop().await;
        assert_eq!(probe.expect_next(SOON).await, "stopped");
    });
}

#[test]
fn every_mistake_is_shown_in_the_users_code_with_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/macros/ui/*.rs");
}

/// In the words of the oldest rustc that is supported. Others may say it differently.
#[test]
fn what_only_rustc_can_know_is_shown_in_the_users_code_as_well() {
    trybuild::TestCases::new().compile_fail("tests/macros/ui/rustc/*.rs");
}

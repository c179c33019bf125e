//! Does an ask that runs its target on the spot keep every promise of one that does not?
//!
//! On a runtime with one thread, an answer within the first poll can only come from there.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::FutureExt;
use omnitron::prelude::*;
use tokio::task::coop;
use tracing_subscriber::layer::SubscriberExt;

/// Answers, or asks the one behind it for the answer.
struct Link {
    next: Option<ActorRef<Ask>>,
}

enum Ask {
    Number(u64, ReplyTo<u64>),
    /// Gives way once before it answers.
    Later(u64, ReplyTo<u64>),
    /// The number of links behind this one.
    Depth(ReplyTo<u64>),
    /// Asks this one for its depth.
    DepthOf(ActorRef<Ask>, ReplyTo<Result<u64, String>>),
    Panic(ReplyTo<u64>),
}

impl Actor for Link {
    type Msg = Ask;

    async fn receive(&mut self, ask: Ask, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match ask {
            Ask::Number(number, reply) => reply.send(number),
            Ask::Later(number, reply) => {
                tokio::task::yield_now().await;
                reply.send(number);
            }
            Ask::Depth(reply) => match &self.next {
                Some(next) => reply.send(next.ask(Ask::Depth).await? + 1),
                None => reply.send(0),
            },
            Ask::DepthOf(other, reply) => {
                let myself = ctx.myself().clone();
                let depth = other.ask(|reply| Ask::DepthOf(myself, reply));
                let text = match depth.await {
                    Ok(depth) => depth,
                    Err(error) => Err(error.to_string()),
                };
                reply.send(text);
            }
            Ask::Panic(reply) => panic!("on request of {reply:?}"),
        }
        Ok(())
    }
}

/// A system with an actor that sleeps and has answered before.
async fn sleeper(inline: bool) -> (ActorSystem, ActorRef<Ask>) {
    let system = ActorSystem::builder("inline").inline_asks(inline).start().await.unwrap();
    let actor = system.spawn("sleeper", || Link { next: None }).unwrap();
    assert_eq!(actor.ask(|reply| Ask::Number(1, reply)).await.unwrap(), 1);
    (system, actor)
}

#[tokio::test]
async fn an_actor_that_sleeps_answers_within_the_first_poll_unless_that_is_switched_off() {
    for (inline, expected) in [(true, Some(7)), (false, None)] {
        let (system, actor) = sleeper(inline).await;
        let answer = actor.ask(|reply| Ask::Number(7, reply)).now_or_never();
        assert_eq!(answer.map(Result::unwrap), expected);
        system.shutdown().await;
    }
}

#[tokio::test]
async fn a_handler_that_awaits_goes_on_after_the_poll_of_its_asker() {
    let (system, actor) = sleeper(true).await;
    let mut ask = Box::pin(actor.ask(|reply| Ask::Later(8, reply)));
    assert!(ask.as_mut().now_or_never().is_none());
    assert_eq!(ask.await.unwrap(), 8);
    system.shutdown().await;
}

#[tokio::test]
async fn a_panic_on_the_spot_is_a_failure_of_the_target_alone() {
    let (system, actor) = sleeper(true).await;
    let answer = actor.ask(Ask::Panic).now_or_never().unwrap();
    assert!(matches!(answer, Err(AskError::Crashed)), "{answer:?}");
    assert_eq!(actor.ask(|reply| Ask::Number(9, reply)).await.unwrap(), 9);
    assert_eq!(system.stats().restarts, 1);
    system.shutdown().await;
}

/// Asks this often within one poll. Whether all were answered on the spot.
async fn asks_in_one_poll(actor: &ActorRef<Ask>, times: usize) -> bool {
    let ask = || actor.ask(|reply| Ask::Number(1, reply)).now_or_never();
    poll_fn(|_| Poll::Ready((0..times).all(|_| ask().is_some()))).await
}

#[tokio::test]
async fn who_asks_on_and_on_lets_other_tasks_run() {
    // What tokio lets a task do before it has to give way.
    const BUDGET: usize = 128;
    let (system, actor) = sleeper(true).await;
    // Where a handler was slow once, askers leave its actor to the drivers for a while.
    while !asks_in_one_poll(&actor, BUDGET / 2).await {
        tokio::task::yield_now().await;
    }
    let mut answered = 0;
    while answered < 10 {
        tokio::task::yield_now().await;
        let more = asks_in_one_poll(&actor, BUDGET * 2).await;
        assert!(!more, "nobody else can run while somebody asks");
        answered += usize::from(!coop::has_budget_remaining());
    }
    system.shutdown().await;
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a small stack is the point")]
fn a_long_chain_of_asks_does_not_run_inside_itself_without_end() {
    let chain = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let system = ActorSystem::start("chain").await.unwrap();
            let mut next = None;
            for index in 0..2_000 {
                next = Some(system.spawn(&index.to_string(), move || Link { next: next.clone() }).unwrap());
            }
            let first = next.unwrap();
            for _ in 0..3 {
                assert_eq!(first.ask(Ask::Depth).await.unwrap(), 1_999);
            }
            system.shutdown().await;
        });
    };
    let small = std::thread::Builder::new().stack_size(400 * 1024).spawn(chain);
    small.unwrap().join().unwrap();
}

#[tokio::test]
async fn a_cycle_is_found_on_the_spot_as_well() {
    let (system, one) = sleeper(true).await;
    let other = system.spawn("other", || Link { next: None }).unwrap();
    assert_eq!(other.ask(|reply| Ask::Number(1, reply)).await.unwrap(), 1);
    let answer = one.ask(|reply| Ask::DepthOf(other, reply)).await.unwrap();
    let error = answer.unwrap_err();
    assert!(error.contains("/user/sleeper") && error.contains("/user/other"), "{error}");
    system.shutdown().await;
}

#[tokio::test]
async fn who_asks_inside_of_a_span_runs_nobody_on_the_spot() {
    let (system, actor) = sleeper(true).await;
    let subscriber =
        tracing_subscriber::registry().with(tracing_subscriber::fmt::layer().with_writer(std::io::sink));
    let _subscribed = tracing::subscriber::set_default(subscriber);
    let span = tracing::info_span!("of the asker");
    let inside = span.in_scope(|| actor.ask(|reply| Ask::Number(7, reply)).now_or_never());
    assert!(inside.is_none(), "the handler would log as a part of the asker's span");
    let outside = actor.ask(|reply| Ask::Number(7, reply)).await.unwrap();
    assert_eq!(outside, 7);
    system.shutdown().await;
}

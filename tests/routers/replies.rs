//! Which reply does an asker get, and when?

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::{FirstReply, Scatter};

use crate::world::{Act, Job, Later, SECOND, World};

/// What each worker does about a question; the others note it.
type Question = Vec<(&'static str, Act)>;

/// Workers that answer as the question says by name.
struct Replica;

struct Ask(Question, ReplyTo<String>);

impl Actor for Replica {
    type Msg = Ask;

    async fn receive(&mut self, Ask(question, reply): Ask, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let act = question.iter().find(|(name, _)| *name == ctx.name()).map_or(Act::Note, |&(_, act)| act);
        match act {
            Act::Note => {}
            Act::Busy(time) => ctx.env().clone().sleep(time).await,
            Act::Fail => return Err(Failure::msg("on request")),
            Act::Stop => ctx.stop(),
        }
        reply.send(ctx.name().to_owned());
        Ok(())
    }
}

type Routed = FirstReply<Question, String, Ask>;

fn scatter_gather() -> Routed {
    FirstReply::scatter_gather(10 * SECOND, Ask)
}

fn tail_chopping() -> Routed {
    FirstReply::tail_chopping(10 * SECOND, SECOND, Ask)
}

/// Asks a pool of so many replicas, and gives the answer with the time it took.
fn answer(size: usize, route: Routed, question: Question) -> (Result<String, AskError>, Duration) {
    let world = World::new(1);
    let pool = world.system.spawn("pool", Router::pool(size, route, || Replica)).unwrap();
    let asked = pool.ask(|reply| Scatter { question, reply }).within(60 * SECOND);
    world.sim.run_until_idle();
    let before = world.sim.elapsed();
    let answer = world.sim.block_on(asked);
    (answer, world.sim.elapsed().saturating_sub(before))
}

const SLOW: Act = Act::Busy(Duration::from_secs(5));
const NEVER: Act = Act::Busy(Duration::from_hours(1));

#[test]
fn scatter_gather_gives_the_first_reply() {
    let quick = Act::Busy(SECOND);
    let (answer, took) = answer(3, scatter_gather(), vec![("0", SLOW), ("1", quick), ("2", NEVER)]);
    assert_eq!(answer.unwrap(), "1");
    assert_eq!(took, SECOND);
}

#[test]
fn a_failure_is_no_reply_while_another_may_still_come() {
    let (answer, took) = answer(2, scatter_gather(), vec![("0", Act::Fail), ("1", SLOW)]);
    assert_eq!(answer.unwrap(), "1");
    assert_eq!(took, 5 * SECOND);
}

#[test]
fn a_question_ends_with_the_last_failure_and_not_later() {
    for route in [scatter_gather(), tail_chopping()] {
        let (answer, took) = answer(2, route, vec![("0", Act::Fail), ("1", Act::Fail)]);
        assert!(matches!(answer, Err(AskError::Abandoned)), "{answer:?}");
        assert_eq!(took, Duration::ZERO);
    }
}

#[test]
fn a_question_without_a_reply_ends_when_its_time_is_over() {
    for route in [scatter_gather(), tail_chopping()] {
        let (answer, took) = answer(2, route, vec![("0", NEVER), ("1", NEVER)]);
        assert!(matches!(answer, Err(AskError::Abandoned)), "{answer:?}");
        assert_eq!(took, 10 * SECOND);
    }
}

#[test]
fn tail_chopping_asks_one_more_after_each_interval() {
    let (world, shared) = (World::new(1), crate::world::Seen::default());
    let seen = shared.clone();
    let route = FirstReply::tail_chopping(60 * SECOND, SECOND, move |number: u32, reply: ReplyTo<String>| {
        seen.note("asked", number);
        Job::Get(number, Act::Busy(10 * SECOND), reply)
    });
    let (pool, _) = world.pool(3, route);
    let _asked = world.begin(pool.ask(|reply| Scatter { question: 7, reply }).within(60 * SECOND));
    assert_eq!(shared.of("asked").len(), 1);
    world.sim.advance(Duration::from_nanos(999_999_999));
    assert_eq!(shared.of("asked").len(), 1);
    world.sim.advance(Duration::from_nanos(1));
    assert_eq!(shared.of("asked").len(), 2);
    world.sim.advance(60 * SECOND);
    assert_eq!(shared.of("asked").len(), 3);
}

#[test]
fn tail_chopping_cuts_a_slow_one_short_and_asks_at_once_where_one_fails() {
    // One of two is slow: whoever is asked first, a reply comes at once or after the interval.
    let (slow, took) = answer(2, tail_chopping(), vec![("0", NEVER)]);
    assert_eq!(slow.unwrap(), "1");
    assert!(took == Duration::ZERO || took == SECOND, "{took:?}");
    let (failing, took) = answer(2, tail_chopping(), vec![("0", Act::Fail)]);
    assert_eq!(failing.unwrap(), "1");
    assert_eq!(took, Duration::ZERO);
}

#[test]
fn one_open_question_does_not_hold_up_the_next_but_those_beyond_the_limit_wait() {
    let world = World::new(1);
    let route = FirstReply::scatter_gather(60 * SECOND, |seconds: u32, reply| {
        Job::Get(seconds, Act::Busy(seconds * SECOND), reply)
    })
    .in_flight(2);
    let pool = Router::pool(1, route, world.workers());
    let pool = world.system.spawn("pool", pool).unwrap();
    let ask = |question| world.begin(pool.ask(move |reply| Scatter { question, reply }).within(60 * SECOND));
    let mut asks: Vec<Later<_>> = [1, 1, 1].map(ask).into();
    let [routee] = &world.system.lookup::<Job>("/user/pool/routees/0").into_iter().collect::<Vec<_>>()[..]
    else {
        panic!("one routee")
    };
    assert_eq!(routee.depth(), 2, "the third question waits in the router");
    world.sim.advance(SECOND);
    assert_eq!(routee.depth(), 2, "one is answered, and the third has come");
    world.sim.advance(2 * SECOND);
    assert!(asks.iter_mut().all(|ask| ask.now().unwrap().is_ok()));
}

#[test]
fn a_question_that_cannot_be_made_is_a_failure_of_the_router_alone() {
    let world = World::new(1);
    let route = FirstReply::scatter_gather(SECOND, |number: u32, reply| {
        assert_ne!(number, 13, "unlucky");
        Job::Get(number, Act::Note, reply)
    });
    let (pool, control) = world.pool(2, route);
    let ask = |question| world.sim.block_on(pool.ask(move |reply| Scatter { question, reply }));
    let unlucky = ask(13);
    assert!(matches!(unlucky, Err(AskError::Crashed | AskError::Abandoned)), "{unlucky:?}");
    assert!(ask(14).is_ok());
    assert_eq!(world.system.stats().failures, 1);
    assert_eq!(control.routees().len(), 2);
}

#[test]
fn a_draining_system_lets_a_question_through_to_its_routees() {
    let world = World::new(1);
    let (pool, _) = {
        let route = FirstReply::scatter_gather(60 * SECOND, |(): (), reply| Job::Get(1, Act::Note, reply));
        world.pool(2, route)
    };
    let mut asked = world.begin({
        let pool = pool.clone();
        let system = world.system.clone();
        async move {
            let asked = pool.ask(|reply| Scatter { question: (), reply });
            let mut asked = std::pin::pin!(asked);
            // Sent, and then the system begins to shut down.
            let polled =
                std::future::poll_fn(|cx| std::task::Poll::Ready(asked.as_mut().poll(cx).is_ready())).await;
            assert!(!polled);
            system.begin_shutdown();
            asked.await
        }
    });
    world.sim.advance(20 * SECOND);
    assert!(asked.now().unwrap().is_ok());
}

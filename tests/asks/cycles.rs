//! Which asks inside handlers could never be answered, and are they the only ones that fail for it?

use std::collections::VecDeque;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::world::{Later, SECOND, start};

/// What came of a question that was passed on: the error at the end of the way, if any.
type Passed = Result<(), String>;

enum Step {
    /// Ask the first of these to pass the rest on.
    Pass { route: VecDeque<ActorRef<Step>>, reply: ReplyTo<Passed> },
    /// Ask two at once.
    Both { left: VecDeque<ActorRef<Step>>, right: VecDeque<ActorRef<Step>>, reply: ReplyTo<[Passed; 2]> },
    /// Answer first, and pass on then; what comes of that is kept.
    AnswerFirst { route: VecDeque<ActorRef<Step>>, reply: ReplyTo<()> },
    /// Ask with a limit of its own, and do not wait for the end of it; then answer.
    GiveUp { route: VecDeque<ActorRef<Step>>, reply: ReplyTo<Passed> },
    /// Ask oneself in a task of its own.
    Apart { reply: ReplyTo<()> },
    /// What came of the last `AnswerFirst`.
    Kept(ReplyTo<Option<Passed>>),
}

#[derive(Default)]
struct Node {
    kept: Option<Passed>,
}

/// Passes on, and says what came of it.
async fn pass(mut route: VecDeque<ActorRef<Step>>) -> Passed {
    let Some(next) = route.pop_front() else { return Ok(()) };
    match next.ask(|reply| Step::Pass { route, reply }).await {
        Ok(passed) => passed,
        Err(error) => {
            if matches!(error, AskError::Cycle { .. }) {
                assert_eq!(error.acted(), Acted::No);
            }
            Err(error.to_string())
        }
    }
}

impl Actor for Node {
    type Msg = Step;

    async fn receive(&mut self, step: Step, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match step {
            Step::Pass { route, reply } => reply.send(pass(route).await),
            Step::Both { left, right, reply } => {
                let (left, right) = tokio::join!(pass(left), pass(right));
                reply.send([left, right]);
            }
            Step::AnswerFirst { route, reply } => {
                reply.send(());
                self.kept = Some(pass(route).await);
            }
            Step::GiveUp { mut route, reply } => {
                if let Some(next) = route.pop_front() {
                    let ask = next.ask(|reply| Step::AnswerFirst { route, reply });
                    let mut ask = std::pin::pin!(ask);
                    let env = ctx.env().clone();
                    tokio::select! { biased;
                        _ = &mut ask => {}
                        () = env.sleep(SECOND) => {}
                    }
                }
                reply.send(Ok(()));
            }
            Step::Apart { reply } => {
                let myself = ctx.myself().clone();
                let ask =
                    async move { myself.ask(|reply| Step::Pass { route: VecDeque::new(), reply }).await };
                ctx.env().spawn(|| "apart".to_owned(), async move {
                    ask.await.unwrap().unwrap();
                    reply.send(());
                });
            }
            Step::Kept(reply) => reply.send(self.kept.take()),
        }
        Ok(())
    }
}

struct Ring {
    sim: Sim,
    system: ActorSystem,
    nodes: Vec<ActorRef<Step>>,
}

impl Ring {
    fn new() -> Self {
        let sim = Sim::new(5);
        let system = start(&sim, "cycles");
        let nodes = ["a", "b", "c", "d"].map(|name| system.spawn(name, Node::default).unwrap()).into();
        Self { sim, system, nodes }
    }

    fn route(&self, way: &str) -> VecDeque<ActorRef<Step>> {
        way.bytes().map(|name| self.nodes[usize::from(name - b'a')].clone()).collect()
    }

    /// Asks the first of `way` to ask the second, and so on.
    fn pass(&self, way: &str) -> Passed {
        self.sim.block_on(pass(self.route(way)))
    }

    fn elapsed_nothing(&self) {
        assert!(self.sim.elapsed().is_zero(), "a cycle fails at once, not after {:?}", self.sim.elapsed());
    }
}

fn cycle(names: &str) -> Passed {
    Err(format!("a cycle of asks: {names}"))
}

#[test]
fn a_chain_that_meets_nobody_twice_is_no_cycle() {
    assert_eq!(Ring::new().pass("abcd"), Ok(()));
}

#[test]
fn an_ask_to_oneself_fails_at_once() {
    let ring = Ring::new();
    assert_eq!(ring.pass("aa"), cycle("/user/a → /user/a"));
    ring.elapsed_nothing();
}

#[test]
fn an_ask_back_fails_at_once_with_the_names_in_order() {
    let ring = Ring::new();
    assert_eq!(ring.pass("aba"), cycle("/user/a → /user/b → /user/a"));
    ring.elapsed_nothing();
}

#[test]
fn longer_cycles_fail_at_once_also_where_the_way_into_them_is_no_part_of_them() {
    let ring = Ring::new();
    assert_eq!(ring.pass("abcda"), cycle("/user/a → /user/b → /user/c → /user/d → /user/a"));
    assert_eq!(ring.pass("abcb"), cycle("/user/a → /user/b → /user/c → /user/b"));
    assert_eq!(ring.pass("dcba"), Ok(()), "nobody is stuck after that");
    ring.elapsed_nothing();
}

#[test]
fn of_two_asks_at_once_only_the_one_that_closes_a_cycle_fails() {
    let ring = Ring::new();
    let both = |left, right| {
        let (left, right) = (ring.route(left), ring.route(right));
        ring.sim.block_on(ring.nodes[0].ask(|reply| Step::Both { left, right, reply })).unwrap()
    };
    assert_eq!(both("b", "c"), [Ok(()), Ok(())]);
    assert_eq!(both("b", "a"), [Ok(()), cycle("/user/a → /user/a")]);
    assert_eq!(both("bca", "d"), [cycle("/user/a → /user/b → /user/c → /user/a"), Ok(())]);
    ring.elapsed_nothing();
}

#[test]
fn an_ask_from_a_plain_task_is_no_cycle() {
    let ring = Ring::new();
    let asked = ring.sim.block_on(ring.nodes[0].ask(|reply| Step::Apart { reply }));
    assert!(asked.is_ok(), "{asked:?}");
    ring.elapsed_nothing();
}

#[test]
fn two_chains_that_cross_are_no_cycle_by_themselves_and_end_by_their_deadline_if_they_wait_for_each_other() {
    let ring = Ring::new();
    let ask = |to: usize, way: &str| {
        let (to, route) = (ring.nodes[to].clone(), ring.route(way));
        Later::begin(&ring.system, async move { to.ask(|reply| Step::Pass { route, reply }).await })
    };
    // Both begin before either asks on: a waits for b, b waits for a, and neither is in the chain of the other.
    let (one, other) = (ask(0, "b"), ask(1, "a"));
    let ends = ring.sim.block_on(async { [one.await, other.await] });
    for end in ends {
        assert!(
            matches!(end, Ok(Ok(()) | Err(_)) | Err(AskError::TimedOut { .. } | AskError::Expired { .. })),
            "{end:?}"
        );
    }
    assert_eq!(ring.pass("abcd"), Ok(()), "nobody is stuck after that");
}

#[test]
fn an_asker_that_has_its_answer_may_be_asked_back() {
    let ring = Ring::new();
    let route = ring.route("ab");
    // `a` asks `b`, which answers first, and then asks `a`: `a` waits for nothing any more.
    let sent = ring.sim.block_on(ring.nodes[0].ask(|reply| {
        let mut route = route;
        route.rotate_left(1);
        Step::GiveUp { route, reply }
    }));
    assert_eq!(sent.unwrap(), Ok(()));
    ring.sim.run_until_idle();
    let kept = ring.sim.block_on(ring.nodes[1].ask(Step::Kept)).unwrap();
    assert_eq!(kept, Some(Ok(())), "`a` had its answer");
    ring.elapsed_nothing();
}

#[test]
fn an_asker_that_gave_up_may_be_asked_back() {
    let ring = Ring::new();
    // `b` is busy with a question of its own; `a` gives up after a second; only then does `b` come to `a`'s question.
    let slow = ring.system.spawn("slow", || Slow).unwrap();
    let held = Later::begin(&ring.system, {
        let (b, slow) = (ring.nodes[1].clone(), slow.clone());
        async move { b.ask(|reply| Step::Pass { route: VecDeque::from([slow]), reply }).await }
    });
    ring.sim.run_until_idle();
    let route = ring.route("ba");
    let gave_up = ring.sim.block_on(ring.nodes[0].ask(|reply| Step::GiveUp { route, reply }));
    assert_eq!(gave_up.unwrap(), Ok(()));
    assert!(ring.sim.block_on(held).is_ok());
    ring.sim.run_until_idle();
    let kept = ring.sim.block_on(ring.nodes[1].ask(Step::Kept)).unwrap();
    assert_eq!(kept, Some(Ok(())), "`a` waits for nobody");
}

/// Answers after two seconds.
struct Slow;

impl Actor for Slow {
    type Msg = Step;

    async fn receive(&mut self, step: Step, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.env().sleep(SECOND * 2).await;
        if let Step::Pass { reply, .. } = step {
            reply.send(Ok(()));
        }
        Ok(())
    }
}

#[test]
fn a_cycle_names_each_actor_as_it_would_print() {
    let ring = Ring::new();
    let Err(text) = ring.pass("abca") else { panic!("a cycle") };
    for node in &ring.nodes[..3] {
        assert!(text.contains(&node.to_string()), "{text} lacks {node}");
    }
    assert_eq!(ring.system.dead_letters().total(), 0, "nothing was sent");
}

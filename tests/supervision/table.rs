//! Does every combination of strategy, directive and phase do what the rules say?
//!
//! A parent has the children `a`, `b` and `c`, in this order. `b` fails in some phase, and its supervision knows one
//! directive and one strategy. The rules are written down in [`Outcome::of`], once, and not per combination.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use omnitron::prelude::*;

use crate::world::{At, Bomb, Msg, Node, SECOND, World, simulate};

/// Where `b` fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    FactoryPanics,
    StartedFails,
    StartedPanics,
    ReceiveFails,
    ReceivePanics,
    SignalFails,
    SignalPanics,
    TimerPanics,
    PipedPanics,
    MessageDropPanics,
    DeciderPanics,
    /// In the following, a first failure causes a restart.
    PreRestartFails,
    PreRestartPanics,
    StateDropPanicsOnRestart,
    FactoryPanicsOnRestart,
    PostRestartFails,
    PostRestartPanics,
    /// In the following, `b` is asked to stop.
    StoppedFails,
    StoppedPanics,
    StateDropPanicsOnStop,
}

use Fault::*;

const PHASES: [Fault; 20] = [
    FactoryPanics,
    StartedFails,
    StartedPanics,
    ReceiveFails,
    ReceivePanics,
    SignalFails,
    SignalPanics,
    TimerPanics,
    PipedPanics,
    MessageDropPanics,
    DeciderPanics,
    PreRestartFails,
    PreRestartPanics,
    StateDropPanicsOnRestart,
    FactoryPanicsOnRestart,
    PostRestartFails,
    PostRestartPanics,
    StoppedFails,
    StoppedPanics,
    StateDropPanicsOnStop,
];
const DIRECTIVES: [Directive; 4] =
    [Directive::Resume, Directive::Restart, Directive::Stop, Directive::Escalate];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Strategy {
    One,
    All,
    Rest,
}

const STRATEGIES: [Strategy; 3] = [Strategy::One, Strategy::All, Strategy::Rest];

impl Fault {
    /// What the reports of the failures say, the one that triggers a restart first.
    fn during(self) -> Vec<During> {
        let running = During::Running { message_type: std::any::type_name::<Msg>() };
        match self {
            FactoryPanics | StartedFails | StartedPanics => vec![During::Starting],
            ReceiveFails | ReceivePanics | MessageDropPanics | DeciderPanics => vec![running],
            SignalFails | SignalPanics => vec![During::Signal],
            TimerPanics => vec![During::Timer],
            PipedPanics => vec![During::Piped],
            PreRestartFails
            | PreRestartPanics
            | StateDropPanicsOnRestart
            | FactoryPanicsOnRestart
            | PostRestartFails
            | PostRestartPanics => vec![running, During::Restarting],
            StoppedFails | StoppedPanics | StateDropPanicsOnStop => vec![During::Stopping],
        }
    }

    fn is_panic(self) -> bool {
        !matches!(
            self,
            StartedFails
                | ReceiveFails
                | SignalFails
                | PreRestartFails
                | PostRestartFails
                | StoppedFails
                | DeciderPanics
        )
    }

    /// Whether a restart comes before the failure in question, or around it.
    fn in_restart(self) -> bool {
        self.during().contains(&During::Restarting)
    }

    /// Whether the decider has no say: the restart or the stop goes on.
    fn only_reported(self) -> bool {
        matches!(self, PreRestartFails | PreRestartPanics | StateDropPanicsOnRestart) || self.stops()
    }

    fn stops(self) -> bool {
        self.during() == [During::Stopping]
    }

    fn has_no_state(self) -> bool {
        matches!(self, FactoryPanics | FactoryPanicsOnRestart)
    }
}

/// What is left in the end.
#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    /// How often the factories of `a`, `b` and `c` ran.
    made: [u32; 3],
    /// Whether the parent, `a`, `b` and `c` live.
    live: [bool; 4],
    /// How often the decider of the parent was asked.
    escalated: u64,
    /// Messages which `b` had handled, if it lives, with the state it has: two are sent, one before it fails.
    memory: Option<u32>,
    during: Vec<During>,
    restarts: u64,
}

impl Outcome {
    /// The rules.
    fn of(phase: Fault, directive: Directive, strategy: Strategy) -> Self {
        // A decider that panics escalates; without a state there is nothing to resume.
        let directive = match (phase, directive) {
            (DeciderPanics, _) => Directive::Escalate,
            (phase, Directive::Resume) if phase.has_no_state() => Directive::Restart,
            (_, directive) => directive,
        };
        // Whom it concerns besides `b`.
        let concerned = match strategy {
            Strategy::One => [false, false],
            Strategy::All => [true, true],
            Strategy::Rest => [false, true],
        };
        let mut made = [1, 1, 1];
        let mut live = [true; 4];
        if phase.in_restart() {
            // `a` starts before `b` in the round; `c` waits for `b`.
            made[0] += u32::from(concerned[0]);
            made[1] += 1;
            let goes_on = phase.only_reported() || directive == Directive::Resume;
            made[2] += u32::from(concerned[1] && goes_on);
        }
        if phase.stops() {
            live[2] = false;
        } else if !phase.only_reported() {
            match directive {
                Directive::Resume => {}
                Directive::Restart => {
                    made[0] += u32::from(concerned[0]);
                    made[1] += 1;
                    made[2] += u32::from(concerned[1]);
                }
                Directive::Stop => live = [true, !concerned[0], false, !concerned[1]],
                Directive::Escalate => live = [false; 4],
            }
        }
        let escalates = directive == Directive::Escalate && !phase.only_reported();
        // What starts is told its messages later, and has lost nothing.
        let early = matches!(phase, FactoryPanics | StartedFails | StartedPanics);
        let kept = early || (directive == Directive::Resume && !phase.in_restart());
        // A restart counts when the fresh actor is to be made.
        let restarts = made.iter().sum::<u32>() - 3;
        Self {
            made,
            live,
            escalated: u64::from(escalates),
            memory: live[2].then_some(if kept { 2 } else { 1 }),
            during: phase.during(),
            restarts: u64::from(restarts),
        }
    }
}

/// `b`, which fails in `phase`, once.
fn failing(world: &World, phase: Fault) -> Spawn<Node> {
    world.node("b", move |at, incarnation, _| {
        let error = Err(Failure::msg("the failure in question"));
        match (phase, at, incarnation) {
            (FactoryPanics, At::Made, 1)
            | (FactoryPanicsOnRestart, At::Made, 2)
            | (StartedPanics, At::Started, 1)
            | (SignalPanics, At::Signal, 1)
            | (PreRestartPanics, At::PreRestart, 1)
            | (PostRestartPanics, At::PostRestart, 2)
            | (StoppedPanics, At::Stopped, 1)
            | (StateDropPanicsOnRestart | StateDropPanicsOnStop, At::Dropped, 1) => {
                panic!("the failure in question")
            }
            (StartedFails, At::Started, 1)
            | (SignalFails, At::Signal, 1)
            | (PreRestartFails, At::PreRestart, 1)
            | (PostRestartFails, At::PostRestart, 2)
            | (StoppedFails, At::Stopped, 1) => error,
            _ => Ok(()),
        }
    })
}

fn supervision(phase: Fault, directive: Directive, strategy: Strategy) -> Supervision {
    let supervision = Supervision::restart().decide(move |failure| {
        assert!(phase != DeciderPanics, "the decider panics");
        if failure.to_string() == "trigger" { Directive::Restart } else { directive }
    });
    match strategy {
        Strategy::One => supervision,
        Strategy::All => supervision.all_for_one(),
        Strategy::Rest => supervision.rest_for_one(),
    }
}

/// Makes `b` fail in `phase`, if it does not by itself.
async fn provoke(world: &World, phase: Fault, b: &ActorRef<Msg>) {
    let message = match phase {
        FactoryPanics | StartedFails | StartedPanics => return,
        StoppedFails | StoppedPanics | StateDropPanicsOnStop => return b.stop().await,
        ReceiveFails | DeciderPanics => Msg::fail("the failure in question"),
        ReceivePanics => Msg::panic("the failure in question"),
        MessageDropPanics => Msg::Bomb(Bomb),
        SignalFails | SignalPanics => {
            let watched = world.find("/user/watched");
            drop(b.tell(Msg::run(move |ctx| {
                ctx.watch(&watched);
                Ok(())
            })));
            world.wait(SECOND).await;
            return world.find("/user/watched").stop().await;
        }
        TimerPanics => Msg::run(|ctx| {
            ctx.timers().once("fuse", SECOND, || panic!("the failure in question"));
            Ok(())
        }),
        PipedPanics => Msg::run(|ctx| {
            let sleep = ctx.env().sleep(SECOND);
            ctx.pipe_to_self(sleep, |()| panic!("the failure in question"))?;
            Ok(())
        }),
        PreRestartFails
        | PreRestartPanics
        | StateDropPanicsOnRestart
        | FactoryPanicsOnRestart
        | PostRestartFails
        | PostRestartPanics => Msg::fail("trigger"),
    };
    b.tell(message).expect("b lives and has room");
}

async fn observe(world: &World, phase: Fault, directive: Directive, strategy: Strategy) -> Outcome {
    let escalated = Arc::new(AtomicU64::new(0));
    let inner = world.clone();
    let parent = world.parent("parent", move |ctx| {
        ctx.spawn("a", inner.plain("a"))?;
        let b = failing(&inner, phase).supervision(supervision(phase, directive, strategy));
        let b = ctx.spawn("b", b)?;
        ctx.spawn("c", inner.plain("c"))?;
        b.tell(Msg::Note(1)).expect("b has room");
        Ok(())
    });
    let asked = escalated.clone();
    let parent = parent.supervision(Supervision::stop().decide(move |failure| {
        assert_eq!(failure.escalated_from().map(ActorPath::name), Some("b"));
        asked.fetch_add(1, Ordering::Relaxed);
        Directive::Stop
    }));
    world.system.spawn("watched", world.plain("watched")).expect("a free name");
    world.system.spawn("parent", parent).expect("a free name");
    world.wait(SECOND).await;
    if let Ok(b) = world.system.lookup("/user/parent/b") {
        provoke(world, phase, &b).await;
        world.rest().await;
        // Refused if `b` has stopped, which is seen below.
        drop(b.tell(Msg::Note(2)));
    }
    world.rest().await;
    let lives = |path: &str| world.lives(path);
    let b_lives = lives("/user/parent/b");
    let last = world.handled().last().filter(|_| b_lives).map(|&(_, _, memory)| memory);
    // A failure while stopping is the last one the parent hears of; one that escalates makes it fail before it hears.
    let crashes = world.crashes();
    assert!(crashes.iter().all(|crash| crash.path().name() == "b"), "{crashes:?}");
    assert!(crashes.iter().map(Crash::attempt).eq(1..=crashes.len() as u64), "{crashes:?}");
    let question = crashes.last().expect("b has failed");
    assert_eq!(question.is_panic(), phase.is_panic(), "{question}");
    assert_eq!(question.place().is_some(), phase.is_panic(), "{question}");
    Outcome {
        made: ["a", "b", "c"].map(|name| world.made(name)),
        live: ["/user/parent", "/user/parent/a", "/user/parent/b", "/user/parent/c"].map(lives),
        escalated: escalated.load(Ordering::Relaxed),
        memory: last,
        during: crashes.iter().map(Crash::during).collect(),
        restarts: world.system.stats().restarts,
    }
}

#[test]
fn every_strategy_obeys_every_directive_in_every_phase() {
    for phase in PHASES {
        for directive in DIRECTIVES {
            for strategy in STRATEGIES {
                println!("{phase:?}, {directive:?}, {strategy:?}");
                simulate(async |world| {
                    let observed = observe(&world, phase, directive, strategy).await;
                    assert_eq!(observed, Outcome::of(phase, directive, strategy));
                });
            }
        }
    }
}

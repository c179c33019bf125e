//! Who plays in these tests, and what is noted of it?
//!
//! A [`Node`] notes every hook it goes through in its [`World`] and then does what its script says; a message may
//! carry code to run. So a test is a script, an order of messages, and a list of notes to compare with.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use omnitron::prelude::*;
use omnitron::testkit::Sim;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Long enough for everything in these tests to come to rest.
pub(crate) const REST: Duration = Duration::from_mins(10);
/// Each test runs once with each of these.
const SEEDS: Range<u64> = 0..5;

/// A hook of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum At {
    Made,
    Started,
    Signal,
    PreRestart,
    PostRestart,
    Stopped,
    Dropped,
}

/// What a node does in a hook besides noting it. The context is missing where there is none.
type Script = dyn Fn(At, u32, Option<&mut Context<Node>>) -> Result<(), Failure> + Send + Sync;

/// What a message makes a node do.
type Job = Box<dyn FnOnce(&mut Context<Node>) -> Result<(), Failure> + Send>;

pub(crate) enum Msg {
    /// Note the number.
    Note(u32),
    Run(Job),
    /// Await for so long, then note the number.
    Sleep(Duration, u32),
    /// Handled without a word, but its drop panics.
    Bomb(Bomb),
    Ping(ReplyTo<u32>),
}

impl Msg {
    pub(crate) fn run(job: impl FnOnce(&mut Context<Node>) -> Result<(), Failure> + Send + 'static) -> Self {
        Self::Run(Box::new(job))
    }

    pub(crate) fn fail(text: &'static str) -> Self {
        Self::run(move |_| Err(Failure::msg(text)))
    }

    pub(crate) fn panic(text: &'static str) -> Self {
        Self::run(move |_| panic!("{text}"))
    }
}

/// Panics when it is dropped (but not while its thread panics: that would abort).
#[derive(Debug)]
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "boom on drop");
    }
}

/// An actor that notes what happens to it.
pub(crate) struct Node {
    world: World,
    name: String,
    incarnation: u32,
    script: Arc<Script>,
    handled: u32,
}

impl Node {
    fn at(&mut self, at: At, what: &str, ctx: Option<&mut Context<Self>>) -> Result<(), Failure> {
        self.world.note(&self.name, self.incarnation, what);
        (self.script.clone())(at, self.incarnation, ctx)
    }
}

impl Actor for Node {
    type Msg = Msg;

    async fn receive(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let number = match msg {
            Msg::Note(number) => number,
            Msg::Run(job) => return job(ctx),
            Msg::Sleep(time, number) => {
                ctx.env().clone().sleep(time).await;
                number
            }
            Msg::Bomb(_) => return Ok(()),
            Msg::Ping(reply) => {
                reply.send(self.incarnation);
                return Ok(());
            }
        };
        self.handled += 1;
        self.world.note(&self.name, self.incarnation, &number.to_string());
        self.world.locked().handled.push((self.name.clone(), number, self.handled));
        Ok(())
    }

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.at(At::Started, "started", Some(ctx))
    }

    async fn signal(&mut self, signal: Signal, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let what = match signal {
            Signal::Terminated(path) => format!("hears that {} ended", path.name()),
            Signal::ChildFailed(crash) => {
                let what = format!("hears failure {} of {}", crash.attempt(), crash.path().name());
                self.world.locked().crashes.push(crash);
                what
            }
            Signal::ChildRestarted { path, attempt } => {
                format!("hears restart {attempt} of {}", path.name())
            }
            _ => "hears something else".to_owned(),
        };
        self.at(At::Signal, &what, Some(ctx))
    }

    async fn pre_restart(&mut self, crash: &Crash, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.at(At::PreRestart, &format!("pre_restart by {}", crash.path().name()), Some(ctx))
    }

    async fn post_restart(&mut self, crash: &Crash, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.at(At::PostRestart, &format!("post_restart by {}", crash.path().name()), Some(ctx))
    }

    async fn stopped(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.at(At::Stopped, "stopped", Some(ctx))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.world.note(&self.name, self.incarnation, "dropped");
        // An error has nowhere to go from here: scripts panic.
        let _ = (self.script.clone())(At::Dropped, self.incarnation, None);
    }
}

/// What happened.
#[derive(Default)]
struct Notes {
    lines: Vec<(Instant, String)>,
    made: BTreeMap<String, u32>,
    crashes: Vec<Crash>,
    handled: Vec<(String, u32, u32)>,
}

/// One system in one simulation, and what happens in it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) system: ActorSystem,
    notes: Arc<Mutex<Notes>>,
}

impl World {
    fn locked(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("notes are taken without a panic")
    }

    pub(crate) fn note(&self, name: &str, incarnation: u32, what: &str) {
        let now = self.system.env().now();
        self.locked().lines.push((now, format!("{name}#{incarnation} {what}")));
    }

    /// A node that only notes.
    pub(crate) fn plain(&self, name: &str) -> Spawn<Node> {
        self.node(name, |_, _, _| Ok(()))
    }

    /// A node with a script, which is given the hook and the number of the incarnation.
    pub(crate) fn node(
        &self,
        name: &str,
        script: impl Fn(At, u32, Option<&mut Context<Node>>) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Spawn<Node> {
        let (world, name, script) = (self.clone(), name.to_owned(), Arc::new(script));
        Spawn::new(move || {
            let incarnation = {
                let mut notes = world.locked();
                let made = notes.made.entry(name.clone()).or_default();
                *made += 1;
                *made
            };
            world.note(&name, incarnation, "made");
            script(At::Made, incarnation, None).expect("a factory cannot return an error: scripts panic");
            Node { world: world.clone(), name: name.clone(), incarnation, script: script.clone(), handled: 0 }
        })
    }

    /// A parent that spawns `children` whenever it starts, in this order.
    pub(crate) fn parent(
        &self,
        name: &str,
        children: impl Fn(&mut Context<Node>) -> Result<(), SpawnError> + Send + Sync + 'static,
    ) -> Spawn<Node> {
        self.node(name, move |at, _, ctx| {
            if let (At::Started | At::PostRestart, Some(ctx)) = (at, ctx) {
                children(ctx)?;
            }
            Ok(())
        })
    }

    pub(crate) fn find(&self, path: &str) -> ActorRef<Msg> {
        self.system.lookup(path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn lives(&self, path: &str) -> bool {
        self.system.lookup::<Msg>(path).is_ok()
    }

    /// Lets everything happen that is going to.
    pub(crate) async fn rest(&self) {
        self.wait(REST).await;
    }

    pub(crate) async fn wait(&self, time: Duration) {
        self.system.env().sleep(time).await;
    }

    /// All notes, or those of which `keep` says so.
    pub(crate) fn notes(&self, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let notes = self.locked();
        notes.lines.iter().map(|(_, line)| line.clone()).filter(|line| keep(line)).collect()
    }

    /// When that was noted, each time.
    pub(crate) fn times(&self, what: &str) -> Vec<Instant> {
        self.locked().lines.iter().filter(|(_, line)| line.contains(what)).map(|&(at, _)| at).collect()
    }

    /// How often the factory of a node ran.
    pub(crate) fn made(&self, name: &str) -> u32 {
        self.locked().made.get(name).copied().unwrap_or_default()
    }

    /// The failures that parents heard of.
    pub(crate) fn crashes(&self) -> Vec<Crash> {
        self.locked().crashes.clone()
    }

    /// The messages that nodes handled: name, number, and how many that incarnation had handled by then.
    pub(crate) fn handled(&self) -> Vec<(String, u32, u32)> {
        self.locked().handled.clone()
    }
}

/// Runs a story once per seed, each in a world of its own.
pub(crate) fn simulate(story: impl AsyncFn(World)) {
    for seed in SEEDS {
        simulate_with(seed, &story);
    }
}

pub(crate) fn simulate_with(seed: u64, story: impl AsyncFn(World)) {
    println!("seed {seed}");
    let sim = Sim::new(seed);
    sim.block_on(async {
        let system = ActorSystem::builder("supervision").env(sim.env()).start().await.expect("it starts");
        let world = World { system: system.clone(), notes: Arc::default() };
        story(world).await;
        let report = system.shutdown().await;
        assert_eq!(report.unfinished, [], "everybody ends when told to");
    });
}

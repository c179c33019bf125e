//! A power cut at any change while an id is forgotten: does it ever come back by halves, and are its bytes gone in the end?

use std::time::Duration;

use omnitron_persistence::backend::log::{self, Options, Writer};
use omnitron_persistence::disk::sim::Sim as Disk;
use omnitron_persistence::{Journal, Persistent, Slices, Snapshots, WithJournal};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorRef, ActorSystem};
use tokio::sync::oneshot;

use crate::world::{Command, Notebook, id};

/// A number whose eight bytes stand nowhere by chance.
const SECRET: u64 = 0x5ec2_e700_de7a_1150;
const NOTES: u64 = 5;

/// A life of the process.
struct Life {
    sim: Sim,
    system: ActorSystem,
    journal: Journal,
    writer: Writer,
}

impl Life {
    fn begin(disk: &Disk) -> Self {
        let options = Options::default().slices(Slices::new(1).unwrap()).segment_bytes(4096).readers(0);
        let (log, writer) = log::open_driven(disk.boot(), options).unwrap();
        let sim = Sim::new(1);
        let journal = Journal::with(log.clone(), log.snapshots());
        let system = ActorSystem::builder("test").env(sim.env()).journal(journal.clone()).start();
        let system = sim.block_on(system).unwrap();
        Self { sim, system, journal, writer }
    }

    /// Runs it, and the writer beside it. `None`: it does not end.
    fn run<T: Send + 'static>(&mut self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (tell, mut told) = oneshot::channel();
        self.sim.env().spawn(|| "work".to_owned(), async move { drop(tell.send(work.await)) });
        for _ in 0..200 {
            self.sim.run_until_idle();
            while self.writer.step() {
                self.sim.run_until_idle();
            }
            if let Ok(done) = told.try_recv() {
                return Some(done);
            }
            self.sim.advance(Duration::from_millis(100));
        }
        None
    }

    fn spawn(&self, name: &str) -> ActorRef<Command> {
        let notebook = Persistent::new(Notebook).id(name).snapshots(Snapshots::every(2));
        self.system.spawn(name, notebook).unwrap()
    }

    fn notes(&mut self, name: &str, numbers: impl IntoIterator<Item = u64>) {
        let actor = self.spawn(name);
        for number in numbers {
            let (actor, asked) = (actor.clone(), number);
            self.run(async move { actor.ask(|reply| Command::Note(asked, reply)).await }).unwrap().unwrap();
        }
        self.run(actor.stop().into_future()).unwrap();
    }

    fn read(&mut self, name: &str) -> Vec<u64> {
        let actor = self.spawn(name);
        let asked = actor.clone();
        let read = self.run(async move { asked.ask(Command::Read).await }).unwrap().unwrap();
        self.run(actor.stop().into_future()).unwrap();
        read
    }

    fn forget(&mut self) -> bool {
        let (journal, env) = (self.journal.clone(), self.sim.env());
        let forgotten = self.run(async move { journal.forget(&env, &id("a")).await });
        forgotten.is_some_and(|forgotten| forgotten.is_ok())
    }

    fn erase(&mut self) -> bool {
        let journal = self.journal.clone();
        self.run(async move { journal.erase().await }).is_some_and(|erased| erased.is_ok())
    }
}

fn holds_secret(disk: &Disk) -> Vec<String> {
    let secret = SECRET.to_le_bytes();
    let holds = |bytes: &[u8]| bytes.windows(8).any(|window| window == secret);
    disk.contents().into_iter().filter(|(_, bytes)| holds(bytes)).map(|(name, _)| name).collect()
}

#[test]
fn after_a_power_cut_at_any_change_it_is_there_or_gone_and_in_the_end_no_file_has_a_byte_of_it() {
    let secret = vec![SECRET; usize::try_from(NOTES).unwrap()];
    let (mut there, mut gone, mut done) = (0, 0, 0);
    for (changes, seed) in (0..).flat_map(|changes| (0..3).map(move |seed| (changes, seed))) {
        let disk = Disk::new(seed);
        let mut life = Life::begin(&disk);
        life.notes("b", 0..3);
        life.notes("a", secret.clone());
        life.notes("b", 3..5);
        assert!(!holds_secret(&disk).is_empty());
        disk.power_cut_after(changes);
        let told = life.forget() && life.erase();
        disk.power_cut_after(u32::MAX);
        drop(life);
        disk.power_cut();
        let mut life = Life::begin(&disk);
        let found = life.read("a");
        assert!(found == secret || (found.is_empty()), "cut after {changes}: {found:?}");
        assert!(!told || found.is_empty(), "cut after {changes}: it was told that it is gone");
        *if found.is_empty() { &mut gone } else { &mut there } += 1;
        assert!(life.forget() && life.erase(), "cut after {changes}");
        assert_eq!(holds_secret(&disk), Vec::<String>::new(), "cut after {changes}");
        assert_eq!(life.read("b"), [0, 1, 2, 3, 4], "cut after {changes}");
        life.notes("a", [7]);
        drop(life);
        disk.power_cut();
        assert_eq!(Life::begin(&disk).read("a"), [7], "cut after {changes}");
        done += u32::from(told);
        if done == 3 {
            break;
        }
    }
    assert!(there > 1 && gone > 5, "{there}, {gone}");
}

#[test]
fn what_is_not_deleted_is_not_touched() {
    let disk = Disk::new(1);
    let mut life = Life::begin(&disk);
    life.notes("a", 0..150);
    let before = disk.contents();
    assert!(life.erase());
    let after = disk.contents();
    // Of the last segment, what was reserved is given back; it is full now.
    let full: Vec<&String> =
        before.keys().filter(|name| name.starts_with("000") && name.contains("log")).collect();
    assert!(full.len() > 2, "{full:?}");
    for name in &full[..full.len() - 1] {
        assert_eq!(after[*name], before[*name], "{name}");
    }
    assert_eq!(life.read("a"), (0..150).collect::<Vec<_>>());
}

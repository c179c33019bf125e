//! Two systems that both believe an id is theirs, over one log, in every order of what they are asked and what the writer does: does ever one answer out of
//! a state that is not the newest?

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::backend::log::{self, Log, Options, Writer};
use omnitron_persistence::disk::sim::Sim as Disk;
use omnitron_persistence::{
    Event, Journal, PersistenceId, Persistent, Sequence, Slices, Stored, WithJournal,
};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorRef, ActorSystem, AskError};
use tokio::sync::oneshot;

use crate::world::{Account, AccountEvent, Command};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// This owner is asked for the next deposit. The first time it is spawned.
    Ask(usize),
    /// The writer writes what waits.
    Writer,
}

const DEPOSITS: u64 = 2;

#[derive(Default)]
struct Owner {
    account: Option<ActorRef<Command>>,
    asked: u64,
    answers: Vec<(u64, oneshot::Receiver<Result<u64, AskError>>)>,
}

struct World {
    sim: Sim,
    log: Log,
    writer: Writer,
    systems: [ActorSystem; 2],
    owners: [Owner; 2],
}

impl World {
    fn new() -> Self {
        let sim = Sim::new(1);
        let options = Options::default().slices(Slices::new(1).unwrap()).segment_bytes(1 << 20).readers(0);
        let (log, writer) = log::open_driven(Disk::new(1), options).unwrap();
        let system = |name: &str| {
            let journal = Journal::with(log.clone(), log.snapshots());
            sim.block_on(ActorSystem::builder(name).env(sim.env()).journal(journal).start()).unwrap()
        };
        let systems = [system("one"), system("two")];
        Self { sim, log, writer, systems, owners: [Owner::default(), Owner::default()] }
    }

    fn is_open(&self, step: Step) -> bool {
        match step {
            Step::Ask(which) => self.owners[which].asked < DEPOSITS,
            Step::Writer => true,
        }
    }

    /// `false`: it did nothing.
    fn take(&mut self, step: Step) -> bool {
        let did = match step {
            Step::Writer => self.writer.step(),
            Step::Ask(which) => {
                let owner = &mut self.owners[which];
                let spawn =
                    || self.systems[which].spawn("a", Persistent::new(Account::default()).id("a")).unwrap();
                let account = owner.account.get_or_insert_with(spawn).clone();
                owner.asked += 1;
                // Every sum of deposits tells which ones they are.
                let cents = 1 << (8 * which as u64 + owner.asked);
                let (tell, answer) = oneshot::channel();
                owner.answers.push((cents, answer));
                let ask = async move {
                    let asked = account.ask(|reply| Command::Deposit(cents, reply));
                    drop(tell.send(asked.within(Duration::from_hours(1)).await));
                };
                self.sim.env().spawn(|| "asker".to_owned(), ask);
                true
            }
        };
        self.sim.run_until_idle();
        did
    }

    fn deposits(&self) -> Vec<u64> {
        let read = self.log.read(&PersistenceId::new("a").unwrap(), Sequence::ZERO, Sequence::MAX);
        let events = read.collect::<Vec<_>>().now_or_never().unwrap().into_iter().map(Result::unwrap);
        let cents = |(at, recorded): (usize, omnitron_persistence::Recorded)| {
            assert_eq!(recorded.sequence.get(), at as u64 + 1, "without a gap");
            let (event, bytes) = (&recorded.event, &recorded.event.payload);
            let stored = Stored { name: &event.name, version: event.version, fingerprint: None, bytes };
            let AccountEvent::Deposited { cents } = AccountEvent::decode(stored).unwrap();
            cents
        };
        events.enumerate().map(cents).collect()
    }

    /// Everything is answered, and every answer is true. Returns how many were good ones.
    fn finish(mut self) -> usize {
        for _ in 0..60 {
            while self.take(Step::Writer) {}
            self.sim.advance(Duration::from_secs(1));
        }
        let there = self.deposits();
        let mut good = 0;
        for (cents, mut answer) in self.owners.iter_mut().flat_map(|owner| owner.answers.drain(..)) {
            let at = there.iter().position(|other| *other == cents);
            match answer.try_recv().expect("every question ends") {
                Ok(balance) => {
                    let at = at.expect("it was acknowledged");
                    assert_eq!(balance, there[..=at].iter().sum::<u64>(), "{cents} in {there:?}");
                    good += 1;
                }
                Err(AskError::Unavailable | AskError::Unhandled | AskError::Refused(_)) => {
                    assert_eq!(at, None, "{cents} was denied: {there:?}");
                }
                Err(_) => {}
            }
        }
        assert!(
            there.iter().all(|cents| there.iter().filter(|other| *other == cents).count() == 1),
            "{there:?}"
        );
        good
    }
}

#[test]
fn two_owners_in_every_order_never_answer_out_of_a_stale_state() {
    const STEPS: [Step; 3] = [Step::Ask(0), Step::Ask(1), Step::Writer];
    let (mut orders, mut good) = (0, 0);
    let mut paths: Vec<Vec<Step>> = vec![Vec::new()];
    while let Some(path) = paths.pop() {
        let mut world = World::new();
        // One in which a step does nothing is the same as one without it.
        if !path.iter().all(|step| world.take(*step)) {
            continue;
        }
        let open: Vec<Step> =
            STEPS.into_iter().filter(|step| path.len() < 8 && world.is_open(*step)).collect();
        if open.len() <= 1 {
            orders += 1;
            good += world.finish();
            continue;
        }
        for step in open {
            paths.push(path.iter().copied().chain([step]).collect());
        }
    }
    assert!(orders > 100 && good > orders, "{orders} orders, {good} good answers");
}

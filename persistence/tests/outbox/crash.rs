//! A power cut at every change of a simulated disk, and at random ones: does each letter arrive once, in order?
//!
//! A failure names its seed: `OMNITRON_SIM_SEED=17 cargo test -p omnitron-persistence --test outbox crash`. More seeds: `OMNITRON_SIM_SEEDS=10000`.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::backend::log::{self, Log, Options};
use omnitron_persistence::disk::sim::Sim as Disk;
use omnitron_persistence::{
    Event, Gateway, Journal, Outbox, PersistenceId, Persistent, Sequence, Slices, Snapshots, Stored,
    WithJournal,
};
use omnitron_runtime::ActorSystem;
use omnitron_runtime::testkit::Sim;

use crate::seeds::each_seed;
use crate::world::{Command, Office, OfficeEvent};

const OFFICES: [&str; 3] = ["a", "b", "c"];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn options() -> Options {
    let slices = Slices::new(3).expect("three is a number of slices");
    Options::default().slices(slices).identity(0xfeed).segment_bytes(4096).readers(0)
}

/// One life of the machine, in which so many letters are written. With `cut`, the power goes after so many changes of the disk; says whether it did.
fn live(seed: u64, disk: &Disk, letters: u64, cut: Option<u32>, snapshots: bool) -> bool {
    let (log, mut writer) = log::open_driven(disk.boot(), options()).expect("the disk is well again");
    let (sim, mut random) = (Sim::new(seed), Random(seed));
    let journal = Journal::with(log.clone(), log.snapshots());
    let system = ActorSystem::builder("crash").env(sim.env()).journal(journal).start();
    let system = sim.block_on(system).expect("it starts");
    let mut run = || {
        sim.run_until_idle();
        while writer.step() {
            sim.run_until_idle();
        }
    };
    if let Some(cut) = cut {
        disk.power_cut_after(cut);
    }
    let entity = move |_: &str| {
        let office = Persistent::new(Office::default());
        if snapshots { office.snapshots(Snapshots::every(5).keep(1).delete_events()) } else { office }
    };
    let offices = Gateway::new(entity).start(&system, "office").expect("the name is free");
    let outbox = Outbox::new("post").deliver(&offices, Command::Get).window(2).holds(8, 2);
    let _outbox = outbox.start(&system).expect("the name is free");
    run();
    for _ in 0..letters {
        let [from, to] = [0, 1].map(|_| OFFICES[usize::try_from(random.below(3)).expect("it is small")]);
        let office = offices.entity(from).expect("the ids are valid");
        let all = OFFICES.map(str::to_owned).to_vec();
        let write = if random.below(4) == 0 {
            Command::WriteAll(all)
        } else {
            Command::Write(to.to_owned(), 1 + random.below(2))
        };
        // Without power nobody takes it.
        let _ = office.tell(write);
        if random.below(3) > 0 {
            run();
        }
        if random.below(4) == 0 {
            sim.advance(Duration::from_secs(1));
            run();
        }
    }
    run();
    if cut.is_some() {
        for _ in 0..3 {
            sim.advance(Duration::from_secs(1));
            run();
        }
        let is_down = disk.is_down();
        disk.power_cut();
        disk.power_cut_after(u32::MAX);
        return is_down;
    }
    for _ in 0..60 {
        sim.advance(Duration::from_secs(1));
        run();
    }
    false
}

/// What lies in the journal of each office: letters written, and letters got, in order.
fn books(log: &Log, office: &str) -> Vec<OfficeEvent> {
    let id = PersistenceId::new(format!("office/{office}")).expect("the ids are valid");
    let read = log.read(&id, Sequence::ZERO, Sequence::MAX).collect::<Vec<_>>().now_or_never();
    let events = read.expect("it reads on this thread").into_iter().map(|event| event.expect("it is intact"));
    let own = events.filter(|event| !event.event.name.starts_with("omnitron."));
    own.map(|event| {
        let (name, version, bytes) = (&event.event.name, event.event.version, &event.event.payload);
        OfficeEvent::decode(Stored { name, version, fingerprint: None, bytes }).expect("it was encoded here")
    })
    .collect()
}

/// Each office has got from each other the first letters that it wrote, each once and in order; at the end, all.
fn agree(disk: &Disk, whole: bool) -> u64 {
    let (log, _writer) = log::open_driven(disk.boot(), options()).expect("the disk is well again");
    let all = OFFICES.map(|office| (office, books(&log, office)));
    let mut count = 0;
    for (from, written) in &all {
        for (to, received) in &all {
            let wrote =
                written.iter().filter(|event| matches!(event, OfficeEvent::Wrote { to: it, .. } if it == to));
            let wrote = wrote.count() as u64;
            let got: Vec<u64> = received
                .iter()
                .filter_map(|event| match event {
                    OfficeEvent::Got { from: it, number } if it == from => Some(*number),
                    _ => None,
                })
                .collect();
            assert!(got.iter().copied().eq(1..=got.len() as u64), "{from} to {to}: {got:?}");
            assert!(got.len() as u64 <= wrote, "{from} to {to}: {got:?}, and {wrote} were written");
            assert!(!whole || got.len() as u64 == wrote, "{from} to {to}: {got:?} of {wrote}");
            count += got.len() as u64;
        }
    }
    count
}

#[test]
fn each_post_takes_effect_once_and_in_order_wherever_the_power_goes() {
    let mut cuts = 0;
    for cut in 0.. {
        let disk = Disk::new(u64::from(cut));
        if !live(7, &disk, 12, Some(cut), false) {
            break;
        }
        cuts += 1;
        agree(&disk, false);
        live(8, &disk, 1, None, false);
        assert!(agree(&disk, true) > 0 || cut < 20, "cut {cut}");
    }
    println!("{cuts} places");
    assert!(cuts > 60, "only {cuts}");
}

/// Several lives with a cut each, some with snapshots and deleted events.
fn run(seed: u64) {
    let (mut random, disk) = (Random(seed), Disk::new(seed));
    let snapshots = seed.is_multiple_of(3);
    for _ in 0..4 {
        let cut = u32::try_from(random.below(150)).expect("it is small");
        let letters = random.below(15);
        live(random.below(u64::MAX), &disk, letters, Some(cut), snapshots);
        if !snapshots {
            agree(&disk, false);
        }
    }
    live(random.below(u64::MAX), &disk, 3, None, snapshots);
    if snapshots {
        agree_in_memory(&disk);
    } else {
        agree(&disk, true);
    }
}

/// As `agree`, of offices whose old events are gone: by what they say.
fn agree_in_memory(disk: &Disk) {
    let (log, mut writer) = log::open_driven(disk.boot(), options()).expect("the disk is well again");
    let sim = Sim::new(1);
    let journal = Journal::with(log.clone(), log.snapshots());
    let system = sim.block_on(ActorSystem::builder("look").env(sim.env()).journal(journal).start());
    let system = system.expect("it starts");
    let entity = |_: &str| Persistent::new(Office::default()).snapshots(Snapshots::every(5));
    let offices = Gateway::new(entity).start(&system, "office").expect("the name is free");
    let mut said = std::collections::BTreeMap::new();
    for office in OFFICES {
        let entity = offices.entity(office).expect("the ids are valid");
        let (tell, mut told) = tokio::sync::oneshot::channel();
        let ask = async move {
            drop(tell.send((entity.ask(Command::Got).await, entity.ask(Command::Wrote).await)));
        };
        sim.env().spawn(|| "asker".to_owned(), ask);
        sim.run_until_idle();
        while writer.step() {
            sim.run_until_idle();
        }
        let (got, wrote) = told.try_recv().expect("it has ended");
        said.insert(office, (got.expect("it answers"), wrote.expect("it answers")));
    }
    for (from, (_, wrote)) in &said {
        for (to, (got, _)) in &said {
            let got = got.iter().filter(|(office, _)| office == from).map(|(_, number)| *number);
            let wrote = wrote.get(*to).copied().unwrap_or_default();
            assert!(got.clone().eq(1..=wrote), "{from} to {to}: {:?} of {wrote}", got.collect::<Vec<_>>());
        }
    }
}

#[test]
fn each_post_takes_effect_once_through_many_crashes_also_behind_snapshots() {
    each_seed(60, "outbox crash", run);
}

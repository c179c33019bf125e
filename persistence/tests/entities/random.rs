//! Whatever the journal does: is what was acknowledged there, in order, and is nothing there that was denied?

use std::time::Duration;

use omnitron_persistence::backend::memory::Failure;
use omnitron_persistence::{Persistent, Snapshots};
use omnitron_runtime::AskError;
use proptest::prelude::*;

use crate::world::{Account, AccountEvent, Asked, Command, World};

#[derive(Clone, Copy, Debug)]
enum Step {
    Deposit,
    Read,
    Confirmed,
    Hold,
    Release(usize),
    Resume,
    Fail(Failure),
    Unreadable(bool),
    Panic,
    Pass(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let failure = prop_oneof![Just(Failure::Refused), Just(Failure::UnknownLost), Just(Failure::UnknownKept)];
    prop_oneof![
        12 => Just(Step::Deposit),
        3 => Just(Step::Read),
        1 => Just(Step::Confirmed),
        2 => Just(Step::Hold),
        3 => (1_usize..4).prop_map(Step::Release),
        2 => Just(Step::Resume),
        2 => failure.prop_map(Step::Fail),
        1 => any::<bool>().prop_map(Step::Unreadable),
        1 => Just(Step::Panic),
        3 => (1_u64..300).prop_map(Step::Pass),
        1 => Just(Step::Crash),
    ]
}

/// A deposit of its own number: so the journal shows which ones happened.
struct Question {
    deposit: Option<u64>,
    asked: Asked<u64>,
}

fn spawn(world: &World) -> omnitron_runtime::ActorRef<Command> {
    let options = Snapshots::every(3).keep(2);
    world.spawn_with("a", Persistent::new(Account::default()).snapshots(options).pipeline(4, 1 << 20))
}

/// What was deposited so far, as the journal has it.
fn note_events(world: &World, history: &mut Vec<u64>) {
    for recorded in world.events("a") {
        let at = usize::try_from(recorded.sequence.get()).unwrap() - 1;
        let stored = omnitron_persistence::Stored {
            name: &recorded.event.name,
            version: recorded.event.version,
            fingerprint: None,
            bytes: &recorded.event.payload,
        };
        let AccountEvent::Deposited { cents } = omnitron_persistence::Event::decode(stored).unwrap();
        if at < history.len() {
            assert_eq!(history[at], cents, "history does not change");
        } else {
            assert_eq!(at, history.len(), "nothing is skipped");
            history.push(cents);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn what_was_acknowledged_is_there_and_what_was_denied_is_not(
        seed in any::<u32>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(u64::from(seed));
        let mut account = spawn(&world);
        let mut open: Vec<Question> = Vec::new();
        let (mut number, mut last_answer) = (100, 0);
        let mut history = Vec::new();
        for step in steps.into_iter().chain([Step::Resume, Step::Unreadable(false), Step::Pass(1_000)]) {
            match step {
                Step::Deposit => {
                    number += 1;
                    open.push(Question { deposit: Some(number), asked: world.deposit(&account, number) });
                }
                Step::Read => open.push(Question { deposit: None, asked: world.ask(&account, Command::Balance) }),
                Step::Confirmed => {
                    open.push(Question { deposit: None, asked: world.ask(&account, Command::Confirmed) });
                }
                Step::Hold => world.controls.hold(),
                Step::Release(n) => world.controls.release(n),
                Step::Resume => world.controls.resume(),
                Step::Fail(failure) => world.controls.fail_next(failure),
                Step::Unreadable(unreadable) => world.controls.unreadable(unreadable),
                Step::Panic => drop(account.tell(Command::Panic)),
                Step::Pass(millis) => world.sim.advance(Duration::from_millis(millis)),
                Step::Crash => {
                    world.controls.unreadable(false);
                    note_events(&world, &mut history);
                    world = world.crash();
                    account = spawn(&world);
                    open.clear();
                }
            }
            world.sim.run_until_idle();
            world.controls.unreadable(matches!(step, Step::Unreadable(true)));
            if !matches!(step, Step::Unreadable(true)) {
                note_events(&world, &mut history);
            }
            let mut waiting = Vec::new();
            for mut question in open.drain(..) {
                match question.asked.poll() {
                    None => waiting.push(question),
                    Some(Ok(balance)) => {
                        prop_assert!(waiting.is_empty(), "an answer overtook one that still waits");
                        prop_assert!(balance >= last_answer, "{balance} after {last_answer}");
                        last_answer = balance;
                        // Only a state that is durable is seen.
                        let sums = history.iter().scan(0, |sum, cents| { *sum += cents; Some(*sum) });
                        prop_assert!(balance == 0 || sums.clone().any(|sum| sum == balance), "{balance}");
                        if let Some(deposit) = question.deposit {
                            prop_assert!(history.contains(&deposit), "{deposit} was acknowledged");
                        }
                    }
                    Some(Err(AskError::Unavailable)) => {
                        if let Some(deposit) = question.deposit {
                            prop_assert!(!history.contains(&deposit), "{deposit} was denied");
                            // Nor will it ever be.
                            waiting.retain(|other: &Question| other.deposit != Some(deposit));
                        }
                    }
                    Some(Err(_)) => {}
                }
            }
            open = waiting;
        }
        prop_assert!(open.is_empty(), "every question ends");
        // Failures may still be in store: each attempt uses up one.
        let balance = (0..100).find_map(|_| {
            let asked = world.ask(&account, Command::Balance);
            world.sim.advance(Duration::from_secs(11));
            asked.get().ok()
        });
        prop_assert_eq!(balance, Some(history.iter().sum::<u64>()));
    }
}

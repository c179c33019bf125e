//! Are effects values, and does the test kit show what they lead to?

use omnitron_persistence::testkit::TestKit;
use omnitron_persistence::{Effect, EventSourced};
use omnitron_runtime::AskError;

use crate::world::{Account, AccountEvent, Balance, Command, World};

fn deposited(cents: u64) -> AccountEvent {
    AccountEvent::Deposited { cents }
}

#[test]
fn effects_are_compared_by_their_events_and_the_steps_behind_them() {
    let kit = TestKit::new(Account::default());
    let handle = |command| Account::default().handle(&Balance::default(), command, &kit.scope());
    assert_eq!(handle(Command::Put(5)), Effect::persist(deposited(5)));
    assert_ne!(handle(Command::Put(5)), Effect::persist(deposited(6)));
    assert_ne!(handle(Command::Put(5)), Effect::persist(deposited(5)).then_stop());
    assert_ne!(handle(Command::Note(5)), Effect::persist(deposited(5)));
    assert_eq!(handle(Command::Note(5)), Effect::persist(deposited(5)).then_run(|_| || ()));
    assert_eq!(
        format!("{:?}", handle(Command::Now)),
        "Effect { events: [Deposited { cents: 1 }], then: [], and: [\"unstash\"], .. }"
    );
}

#[test]
fn given_events_when_a_command_comes_then_there_are_events_a_reply_and_a_state() {
    let mut account = TestKit::given(Account::default(), [deposited(2), deposited(3)]);
    assert_eq!(account.state(), &Balance { cents: 5, deposits: 2 });
    let outcome = account.ask(|reply| Command::DepositAll(vec![10, 20], reply));
    assert_eq!((outcome.events, outcome.reply.unwrap()), (vec![deposited(10), deposited(20)], 35));
    assert_eq!(account.when(Command::Put(1)).unwrap(), [deposited(1)]);
    let outcome = account.ask(Command::Balance);
    assert_eq!((outcome.events, outcome.reply.unwrap()), (vec![], 36));
    assert!(account.when(Command::Fail("no")).unwrap_err().to_string().contains("no"));
    assert!(!account.is_stopping());
    assert_eq!(account.ask(Command::Close).reply.unwrap(), 37);
    assert!(account.is_stopping());
}

#[test]
fn commands_that_are_stashed_are_handled_when_they_are_taken_up_again() {
    let world = World::new(1);
    let account = world.spawn("a");
    let mut later = world.ask(&account, |reply| Command::Later(5, reply));
    assert!(later.poll().is_none());
    account.tell(Command::Now).unwrap();
    world.sim.run_until_idle();
    assert_eq!(later.get().unwrap(), 6);
}

#[test]
fn what_a_full_stash_has_no_room_for_is_answered() {
    let world = World::new(1);
    let account = omnitron_persistence::Persistent::new(Account::default()).stash(1);
    let account = world.spawn_with("a", account);
    let mut first = world.ask(&account, |reply| Command::Later(5, reply));
    let second = world.ask(&account, |reply| Command::Later(5, reply));
    assert!(matches!(second.get(), Err(AskError::Unavailable)));
    assert!(first.poll().is_none());
}

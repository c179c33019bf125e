//! Looks back: the state of an account at any moment, what changed it, what would have been, and whether new code makes the same of its history.
//!
//! `cargo run --example time_travel [FOLDER]`; without a folder, one among the temporary files. It holds a page for a browser afterwards.

use omnitron::prelude::*;
use omnitron::testkit::ReplayGate;

/// An account that keeps so many hundredths of each deposit: 1 is the old code, 2 the new one.
struct Account<const FEE: u64>;

enum AccountCommand {
    Deposit(u64),
    Withdraw(u64),
    /// Withdraws, and then deposits there.
    Transfer(u64, ActorRef<AccountCommand>),
    Balance(ReplyTo<u64>),
}

#[derive(Clone, Debug, Event, serde::Serialize)]
#[event(name = "account")]
enum AccountEvent {
    Deposited { cents: u64 },
    Withdrawn { cents: u64 },
}

#[derive(Clone, Debug, Default, serde::Serialize)]
struct Balance {
    cents: u64,
    fees: u64,
}

impl<const FEE: u64> EventSourced for Account<FEE> {
    type Command = AccountCommand;
    type Event = AccountEvent;
    type State = Balance;

    fn handle(&self, state: &Balance, command: AccountCommand, _: &Scope<Self>) -> Effect<Self> {
        match command {
            AccountCommand::Deposit(cents) => Effect::persist(AccountEvent::Deposited { cents }),
            AccountCommand::Withdraw(cents) => Effect::persist(AccountEvent::Withdrawn { cents }),
            AccountCommand::Transfer(cents, to) => Effect::persist(AccountEvent::Withdrawn { cents })
                .then_tell(&to, move |_: &Balance| AccountCommand::Deposit(cents)),
            AccountCommand::Balance(reply) => Effect::reply(reply, state.cents),
        }
    }

    fn apply(state: &mut Balance, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { cents } => {
                let fee = cents * FEE / 100;
                state.cents += cents - fee;
                state.fees += fee;
            }
            AccountEvent::Withdrawn { cents } => state.cents = state.cents.saturating_sub(*cents),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(std::path::PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("omnitron-time-travel"));
    std::fs::create_dir_all(&folder)?;
    let system = ActorSystem::builder("bank").journal(Journal::memory()).start().await?;
    let alice = system.spawn("alice", Persistent::new(Account::<1>))?;
    let bob = system.spawn("bob", Persistent::new(Account::<1>))?;
    alice.tell(AccountCommand::Deposit(10_000))?;
    alice.tell(AccountCommand::Withdraw(1_500))?;
    alice.tell(AccountCommand::Transfer(2_000, bob.clone()))?;
    println!("alice has {} cents now", alice.ask(AccountCommand::Balance).await?);
    while bob.ask(AccountCommand::Balance).await? == 0 {}

    let mut past = system.timeline::<Account<1>>("alice").clones().await?;
    past.rewind_to(2).await?;
    println!("behind event 2 it was {:?}; {:?} had changed\n{}", past.state(), past.event(), past.diff());
    let what_if = past.replay_with_moments(|at, event| (at.sequence.get() != 2).then_some(event)).await?;
    println!("without event 2 it would be {:?} now", what_if.state());
    past.export(folder.join("alice.html")).await?;
    past.record(folder.join("alice.history")).await?;
    println!("open {}", folder.join("alice.html").display());

    let mut of_bob = system.timeline::<Account<1>>("bob").await?;
    of_bob.to_end().await?;
    print!("what led to bob's deposit:\n{}", of_bob.causes().await?);

    println!("the gate: {:?}", ReplayGate::<Account<1>>::new().check(&folder)?);
    if let Err(failures) = ReplayGate::<Account<2>>::new().check(&folder) {
        print!("with new code:\n{failures}");
    }
    system.shutdown().await;
    Ok(())
}

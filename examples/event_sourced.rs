//! An account that survives: its events lie in a journal, and its state is their sum. Run it twice: the balance goes on.
//!
//! `cargo run --example event_sourced [FOLDER]`; without a folder, one among the temporary files.

use omnitron::prelude::*;

struct Account;

#[derive(Debug, thiserror::Error)]
#[error("{cents} cents are more than the {available} there are")]
struct Insufficient {
    cents: u64,
    available: u64,
}

enum AccountCommand {
    Deposit { cents: u64, reply: ReplyTo<u64> },
    Withdraw { cents: u64, reply: ReplyTo<Result<u64, Insufficient>> },
    Balance(ReplyTo<u64>),
}

#[derive(Event)]
enum AccountEvent {
    Deposited { cents: u64, at: Timestamp },
    Withdrawn { cents: u64, at: Timestamp },
}

/// The state is stored in snapshots, under a stable name as events are.
#[derive(Default, Event)]
#[event(name = "account.balance")]
struct Balance {
    cents: u64,
}

impl EventSourced for Account {
    type Command = AccountCommand;
    type Event = AccountEvent;
    type State = Balance;

    fn handle(&self, state: &Balance, command: AccountCommand, cx: &Scope<Self>) -> Effect<Self> {
        match command {
            AccountCommand::Deposit { cents, reply } => {
                Effect::persist(AccountEvent::Deposited { cents, at: cx.now() })
                    .then_reply(reply, |state: &Balance| state.cents)
            }
            AccountCommand::Withdraw { cents, reply } if cents > state.cents => {
                Effect::reply(reply, Err(Insufficient { cents, available: state.cents }))
            }
            AccountCommand::Withdraw { cents, reply } => {
                Effect::persist(AccountEvent::Withdrawn { cents, at: cx.now() })
                    .then_reply(reply, |state: &Balance| Ok(state.cents))
            }
            AccountCommand::Balance(reply) => Effect::reply(reply, state.cents),
        }
    }

    fn apply(state: &mut Balance, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { cents, .. } => state.cents += cents,
            AccountEvent::Withdrawn { cents, .. } => state.cents -= cents,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(std::path::PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("omnitron-event-sourced"));
    println!("the journal is in {}", folder.display());

    let system = ActorSystem::builder("bank").journal(Journal::embedded(folder)).start().await?;
    let account = Persistent::new(Account).snapshots(Snapshots::every(100).keep(2));
    let account = system.spawn("account-42", account)?;

    let before = account.ask(AccountCommand::Balance).await?;
    println!("found {before} cents");
    // All at once: none of them waits until the one before is on the disk, and the replies come in order.
    let deposits = (1..=10).map(|cents| account.ask(move |reply| AccountCommand::Deposit { cents, reply }));
    for balance in futures_util::future::try_join_all(deposits).await? {
        print!("{balance} ");
    }
    println!("cents");
    let withdraw = |cents| account.try_ask(move |reply| AccountCommand::Withdraw { cents, reply });
    println!("{} cents after a withdrawal of 5", withdraw(5).await?);
    if let Err(AskError::Failed(refused)) = withdraw(1_000_000).await {
        println!("refused: {refused}");
    }
    assert_eq!(account.ask(AccountCommand::Balance).await?, before + 50);
    println!("run it again: they are still there");
    system.shutdown().await;
    Ok(())
}

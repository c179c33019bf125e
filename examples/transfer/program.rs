//! Pays from account to account, until so many payments were tried, and looks whether all the money is there.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use omnitron::prelude::*;
use omnitron::{Gateway, Outbox, Snapshots};

use crate::account::{Account, Command, OPENING, Payment};
use crate::audit::{Audit, audit};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// How many accounts there are.
pub(crate) const ACCOUNTS: u64 = 1_000;
/// How many payments are on their way at once.
const AT_ONCE: usize = 1_024;
/// How long a payment is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers that look random, the same for the same payment always: whoever starts again pays the same.
fn draw(number: u64, which: u64, limit: u64) -> u64 {
    let mut z = (number * 3 + which).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 31)) % limit
}

/// Tries so many payments in a journal in `folder`, those that were made before a crash too. `acknowledged` is told how many are done.
pub(crate) async fn run(
    folder: &Path,
    payments: u64,
    mut acknowledged: impl FnMut(u64),
) -> Result<Audit, Error> {
    let journal = Journal::embedded(folder);
    let system = ActorSystem::builder("transfer").journal(journal.clone()).start().await?;
    let account = |_: &str| Persistent::new(Account).snapshots(Snapshots::every(100));
    let room = NonZeroUsize::new(16_384).ok_or("there is room")?;
    let accounts = Gateway::new(account).mailbox(room).start(&system, "account")?;
    let outbox = Outbox::new("transfers").deliver(&accounts, Command::Credit).start(&system)?;

    let all = (1..=payments).map(|number| {
        let accounts = &accounts;
        async move {
            let [from, to] = [0, 1].map(|which| draw(number, which, ACCOUNTS));
            let (to, cents) = (to.to_string(), 1 + i64::try_from(draw(number, 2, 2_000))?);
            let payer = accounts.entity(from.to_string())?;
            let pay = move |reply| Command::Pay(Payment { number, to, cents, reply });
            Ok::<_, Error>(payer.ask(pay).within(PATIENCE).await?)
        }
    });
    let mut all = stream::iter(all).buffered(AT_ONCE);
    let mut count = 0;
    while let Some(paid) = all.next().await {
        paid?;
        count += 1;
        acknowledged(count);
    }
    drop(all);

    // What was posted above arrives, whatever became of earlier deliveries.
    outbox.caught_up().await?;
    let mut held = 0;
    for number in 0..ACCOUNTS {
        held += accounts.entity(number.to_string())?.ask(Command::Balance).await?;
    }
    let backend = journal.backend().ok_or("the journal is open")?;
    let audit = audit(backend, ACCOUNTS).await?;
    system.shutdown().await;
    if held != OPENING * i64::try_from(ACCOUNTS)? {
        return Err(format!("the accounts hold {held} cents: {audit:?}").into());
    }
    Ok(audit)
}
